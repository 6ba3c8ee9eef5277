package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/vedette-hub/vedette"
)

const schemaDefault = "jobs"

// connections a process needs at least: one listens, one holds the life lock.
const connections = 8

// postgres are jobs in a schema that any number of processes work. Each that
// works holds a life lock: an advisory lock on its name, which goes with its
// connection. Who runs jobs and whose lock is free is dead.
type postgres struct {
	pool   *pgxpool.Pool
	schema string
	me     string
	owner  bool // may change the schema
	every  time.Duration
	log    *slog.Logger

	free map[string]bool // owners of running jobs whose lock was free at the last look; of tend alone

	quit  context.CancelFunc
	heart sync.WaitGroup
}

// openPool connects.
func openPool(ctx context.Context, url string) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, vedette.Invalid("job: %w", err)
	}
	c.MaxConns = max(c.MaxConns, connections)
	if c.ConnConfig.RuntimeParams["application_name"] == "" {
		c.ConnConfig.RuntimeParams["application_name"] = "vedette jobs"
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// openPostgres connects to a schema that is migrated already.
func openPostgres(ctx context.Context, cfg Config, me string) (*postgres, error) {
	pool, err := openPool(ctx, cfg.URL)
	if err != nil {
		return nil, err
	}
	p := &postgres{pool: pool, schema: cfg.Schema, me: me, every: cfg.Reclaim, log: cfg.Log}
	if err := p.ready(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return p, nil
}

// ready says whether the schema is as this program wants it, and sees whether
// it is ours.
func (p *postgres) ready(ctx context.Context) error {
	m, err := migrator(p.pool, p.schema)
	if err != nil {
		return err
	}
	have, err := m.ExistingVersions(ctx)
	if err != nil {
		return err
	}
	if len(have) != len(m.AllVersions()) {
		return fmt.Errorf("%w: job: schema %s is at version %d of %d: the owner of the database has to migrate it",
			vedette.ErrUnavailable, p.schema, len(have), len(m.AllVersions()))
	}
	return p.pool.QueryRow(ctx, `select pg_has_role(relowner, 'usage') from pg_class where oid = to_regclass($1)`,
		p.table("river_job")).Scan(&p.owner)
}

func migrator(pool *pgxpool.Pool, schema string) (*rivermigrate.Migrator[pgx.Tx], error) {
	return rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler), Schema: schema})
}

// Migrate makes the schema of the jobs, "" is "jobs", and brings it up to
// date. It needs the right to create a schema, or to change that one. Several
// processes may call it at once.
//
// It is a step of its own, not part of a transaction of the caller: River adds
// a value to an enum type, which PostgreSQL lets no transaction do and use.
func Migrate(ctx context.Context, url, schema string) error {
	if schema == "" {
		schema = schemaDefault
	}
	if !schemaName.MatchString(schema) {
		return vedette.Invalid("job: a schema has no name like %q", schema)
	}
	pool, err := openPool(ctx, url)
	if err != nil {
		return classify(err)
	}
	defer pool.Close()
	if err := migrate(ctx, pool, schema); err != nil {
		return classify(fmt.Errorf("job: migrate: %w", err))
	}
	return nil
}

func migrate(ctx context.Context, pool *pgxpool.Pool, schema string) error {
	m, err := migrator(pool, schema)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { // holds the lock, nothing else
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(`+lockKey("$1")+`)`, "migrate "+schema); err != nil {
			return err
		}
		// Where the schema was made by another, the right to make one is not needed.
		var there bool
		if err := pool.QueryRow(ctx, `select exists (select 1 from pg_namespace where nspname = $1)`, schema).Scan(&there); err != nil {
			return err
		}
		if !there {
			if _, err := pool.Exec(ctx, `create schema `+schema); err != nil {
				return err
			}
		}
		_, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil)
		return err
	})
}

// Grant returns the statements that let a role work, add and administer the
// jobs of a schema ("" is "jobs"), and nothing else: no right to change the
// schema and none outside it. The owner runs them after Migrate.
func Grant(schema, role string) []string {
	if schema == "" {
		schema = schemaDefault
	}
	s, to := pgx.Identifier{schema}.Sanitize(), " to "+pgx.Identifier{role}.Sanitize()
	var tables []string
	for _, t := range []string{"river_job", "river_leader", "river_queue", "river_client", "river_client_queue"} {
		tables = append(tables, s+"."+t)
	}
	return []string{
		"grant usage on schema " + s + to,
		"grant select, insert, update, delete on " + strings.Join(tables, ", ") + to,
		"grant select on " + s + ".river_migration" + to,
		"grant usage on sequence " + s + ".river_job_id_seq" + to,
		"grant usage on type " + s + ".river_job_state" + to, // everybody's, unless a default took it away
		"grant execute on function " + s + ".river_job_state_in_bitmask(bit, " + s + ".river_job_state)" + to,
	}
}

// lockKey is the advisory lock of ours on a name, an expression of SQL. All
// locks of a database share one space of 64 bits.
func lockKey(name string) string { return `hashtextextended('vedette job ' || ` + name + `, 7)` }

func (p *postgres) table(name string) string { return p.schema + "." + name }

// lockName is what the life lock of a process is on.
func (p *postgres) lockName(process string) string { return p.schema + " " + process }

// settle takes the life lock and keeps it from then on.
func (p *postgres) settle(ctx context.Context) error {
	if p.quit != nil {
		return nil
	}
	c, err := p.live(ctx)
	if err != nil {
		return err
	}
	alive, quit := context.WithCancel(context.WithoutCancel(ctx))
	p.quit = quit
	p.heart.Go(func() { p.beat(alive, c) })
	return nil
}

// errHeld is a life lock that an old connection of ours holds still.
var errHeld = errors.New("job: the life lock of this process is held")

// live takes the life lock on a connection of its own. It does not wait for
// it: a half-open connection can hold it for minutes, and as long as it does
// nobody thinks us dead.
func (p *postgres) live(ctx context.Context) (*pgxpool.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, err := p.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	var got bool
	err = c.QueryRow(ctx, `select pg_try_advisory_lock(`+lockKey("$1")+`)`, p.lockName(p.me)).Scan(&got)
	if err == nil && !got {
		err = errHeld
	}
	if err != nil {
		c.Release()
		return nil, err
	}
	return c, nil
}

// beat waits for the loss of the life lock, as when PostgreSQL restarts, and
// takes it again at once: others look twice before they take our jobs.
func (p *postgres) beat(ctx context.Context, c *pgxpool.Conn) {
	for {
		lost := p.await(ctx, c)
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		c.Conn().Close(end) // the lock goes with the connection, which must not go back to the pool
		cancel()
		c.Release()
		if ctx.Err() != nil {
			return
		}
		p.log.Warn("job: lost the life lock", "error", lost)
		var err error
		for c, err = p.live(ctx); err != nil; c, err = p.live(ctx) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(p.every / 5):
			}
		}
	}
}

// await returns when a connection is gone or ctx is done. It reads, to notice
// an end at once, and asks now and then, to notice silence.
func (p *postgres) await(ctx context.Context, c *pgxpool.Conn) error {
	for {
		wait, cancel := context.WithTimeout(ctx, 2*p.every)
		_, err := c.Conn().WaitForNotification(wait)
		late := wait.Err() != nil
		cancel()
		if ctx.Err() != nil || err != nil && !late {
			return errors.Join(ctx.Err(), err)
		}
		ask, cancel := context.WithTimeout(ctx, 5*time.Second)
		err = c.Ping(ask)
		cancel()
		if err != nil {
			return err
		}
	}
}

// tend looks for processes that died. One is dead whose life lock is free at
// two looks in a row: after a restart of PostgreSQL all are free for a moment.
func (p *postgres) tend(ctx context.Context) error {
	rows, err := p.pool.Query(ctx, `select attempted_by[array_upper(attempted_by, 1)] from `+p.table("river_job")+`
		where state = 'running' and attempted_by is not null union select leader_id from `+p.table("river_leader"))
	if err != nil {
		return err
	}
	owners, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	before := p.free
	p.free = map[string]bool{}
	if len(owners) == 0 || len(owners) == 1 && owners[0] == p.me {
		return nil
	}
	return pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error { // holds the free locks, so that one process reclaims
		rows, err := tx.Query(ctx, `select o.name from unnest($2::text[]) o(name), lateral (select $3 || o.name) l(lock)
			where o.name <> $1 and pg_try_advisory_xact_lock(`+lockKey("l.lock")+`)`, p.me, owners, p.lockName(""))
		if err != nil {
			return err
		}
		free, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		var dead []string
		for _, o := range free {
			if before[o] {
				dead = append(dead, o)
			} else {
				p.free[o] = true
			}
		}
		if len(dead) == 0 {
			return nil
		}
		return p.inherit(ctx, tx, dead)
	})
}

// inherit hands back the jobs of dead processes and the lead of one: River
// alone would wait for Rescue, and 15 seconds for the lead.
func (p *postgres) inherit(ctx context.Context, tx pgx.Tx, dead []string) error {
	if _, err := tx.Exec(ctx, `with gone as (delete from `+p.table("river_leader")+` where leader_id = any($1) returning leader_id)
		select pg_notify($2, json_build_object('leader_id', leader_id, 'action', 'resigned')::text) from gone`,
		dead, p.schema+".river_leadership"); err != nil {
		return err
	}
	t, err := tx.Exec(ctx, `update `+p.table("river_job")+` set
		state = (case when metadata ? 'cancel_attempted_at' then 'cancelled' when attempt >= max_attempts then 'discarded' else 'available' end)::`+p.table("river_job_state")+`,
		finalized_at = case when metadata ? 'cancel_attempted_at' or attempt >= max_attempts then now() end,
		scheduled_at = now(),
		errors = array_append(errors, jsonb_build_object('at', now(), 'attempt', attempt, 'error', $2::text, 'trace', ''))
		where state = 'running' and attempted_by[array_upper(attempted_by, 1)] = any($1)`, dead, died)
	if err != nil {
		return err
	}
	p.log.Warn("job: took over from processes that died", "processes", dead, "jobs", t.RowsAffected())
	return nil
}

func (p *postgres) look(ctx context.Context, ids []int64) (map[int64]seen, error) {
	rows, err := p.pool.Query(ctx, `select id, attempt, state = 'running' and attempted_by[array_upper(attempted_by, 1)] = $2, metadata ? 'cancel_attempted_at'
		from `+p.table("river_job")+` where id = any($1)`, ids, p.me)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[int64]seen{}
	for rows.Next() {
		var id int64
		var s seen
		if err := rows.Scan(&id, &s.attempt, &s.mine, &s.cancelled); err != nil {
			return nil, err
		}
		out[id] = s
	}
	return out, rows.Err()
}

func (p *postgres) unmark(ctx context.Context, id int64) error {
	_, err := p.pool.Exec(ctx, `update `+p.table("river_job")+` set metadata = metadata - 'cancel_attempted_at'
		where id = $1 and state <> 'running' and metadata ? 'cancel_attempted_at'`, id)
	return err
}

func (p *postgres) close() error {
	if p.quit != nil {
		p.quit()
		p.heart.Wait()
	}
	p.pool.Close()
	return nil
}
