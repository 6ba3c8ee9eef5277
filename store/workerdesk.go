package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/vedette-hub/vedette"
)

// assignmentsView is all that a worker's role reads of the store: the parts
// that wait, with the scope that decides about their packets.
const assignmentsView = `create or replace view assignments as
	select p.k, p.survey_k, p.body as part, c.id as constituent, (c.body::jsonb->'scope')::text as scope, (c.body::jsonb->'exclude')::text as exclude,
		(select coalesce(jsonb_agg(jsonb_build_object('what', o.what, 'until', o.until_day, 'reason', o.reason)), '[]'::jsonb)::text from optouts o) as optouts,
		(select count(*) from meta where name = 'lab') as lab
	from parts p join surveys s on s.k = p.survey_k join constituents c on c.k = s.constituent_k where p.state = 'waiting' and c.removed_at is null`

var roleName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// GrantWorker gives a PostgreSQL role what a probe worker needs and nothing
// else: the view of assignments, the stops, and insert on the inbox; more are
// statements besides, of the jobs. It takes everything else away first.
func (sc *Scoped) GrantWorker(ctx context.Context, role string, more []string) error {
	if err := sc.may("migrate"); err != nil {
		return err
	}
	if !sc.s.d.numbered {
		return vedette.Invalid("workers need PostgreSQL: the embedded store is of one machine")
	}
	if !roleName.MatchString(role) {
		return vedette.Invalid("%q is no name of a role (a-z, 0-9 and _)", role)
	}
	return sc.s.update(ctx, func(t *tx) error {
		var n int
		if found, err := one(t, "select 1 from pg_roles where rolname = ?", []any{role}, &n); err != nil || !found {
			return errors.Join(err, vedette.NotFound("role %s: create it with `create role %s login password '...'`", role, role))
		}
		stmts := []string{
			assignmentsView,
			"revoke all on all tables in schema public from " + role,
			"revoke all on all sequences in schema public from " + role,
			"revoke create on schema public from public",
			"grant usage on schema public to " + role,
			"grant select on assignments, stops to " + role,
			"grant insert on observed to " + role,
		}
		for _, q := range append(stmts, more...) {
			if _, err := t.once(q); err != nil {
				return err
			}
		}
		return t.event(sc.did("migrate", "worker role "+role, nil))
	})
}

// Desk is the narrow door of a probe worker on PostgreSQL: it reads its
// assignments and writes into the inbox, with a role that can do nothing else.
type Desk struct {
	db *sql.DB
	d  *dialect
}

// OpenDesk opens the door. It runs no migration: the hub does.
func OpenDesk(ctx context.Context, url string) (*Desk, error) {
	if !IsURL(url) {
		return nil, vedette.Invalid("a worker needs PostgreSQL: --db URL")
	}
	db, err := sql.Open("pgx", url)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	w := &Desk{db: db, d: &postgres}
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("%w: %w", vedette.ErrUnavailable, err)
	}
	return w, nil
}

// Close lets the database go.
func (w *Desk) Close() error { return w.db.Close() }

// asking is a desk with the time that a question may take: a database that
// hangs must not keep a probe from hearing that it may not go on.
type asking struct {
	*Desk
	ctx context.Context
}

func (w asking) each(q string, args []any, f func(scan func(...any) error) error) error {
	rows, err := w.db.QueryContext(w.ctx, w.d.bind(q), args...)
	return drain(rows, err, q, f)
}

// Lab says whether the hub is a lab, by any part that waits; a worker asks
// before it opens anything.
func (w *Desk) Lab(ctx context.Context) (lab, known bool, err error) {
	var n int
	known, err = one(asking{w, ctx}, "select lab from assignments limit 1", nil, &n)
	return n > 0, known, err
}

// Assignment is a part with what decides about it now.
func (w *Desk) Assignment(ctx context.Context, part int64) (a vedette.Assignment, err error) {
	var body, outs string
	var scope, exclude *string
	var survey int64
	var lab int
	q := asking{w, ctx}
	found, err := one(q, "select survey_k, part, constituent, scope, exclude, optouts, lab from assignments where k = ?", []any{part}, &survey, &body, &a.Constituent.ID, &scope, &exclude, &outs, &lab)
	if err != nil {
		return a, err
	}
	if !found {
		a.Stopped = "the part is not waiting any more"
		return a, nil
	}
	a.Lab = lab > 0
	for _, x := range []struct {
		text *string
		into any
	}{{&body, &a.Part}, {scope, &a.Constituent.Scope}, {exclude, &a.Constituent.Exclude}, {&outs, &a.OptOuts}} {
		if x.text == nil {
			continue
		}
		if err := json.Unmarshal([]byte(*x.text), x.into); err != nil {
			return a, err
		}
	}
	a.Stopped, err = stoppedBy(q, survey)
	return a, err
}

// Submit puts what a part saw into the inbox.
func (w *Desk) Submit(ctx context.Context, part int64, document []byte) error {
	_, err := w.db.ExecContext(ctx, "insert into observed(part_k, at, body) values ($1, (extract(epoch from clock_timestamp()) * 1000000)::bigint, $2)", part, document)
	return classify(err)
}
