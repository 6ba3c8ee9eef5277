package job

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	_ "modernc.org/sqlite" // the driver of the embedded store

	"github.com/vedette-hub/vedette"
)

// The files of the embedded store that are ours.
const (
	File     = "jobs.db" // the jobs; it is not worth a backup
	LockFile = "lock"    // held by the one process that works them
)

// embedded are jobs in a file. One process works them, which the lock proves,
// so whatever runs when it starts is an orphan.
type embedded struct {
	db   *sql.DB
	lock *os.File // nil when the process only adds
}

// pragma: River writes some times in the zone of the connection and compares
// them as text, so the zone is UTC; a transaction that begins as a reader and
// then writes fails without waiting, so all begin as writers.
var pragma = url.Values{
	"_pragma":      {"journal_mode(WAL)", "synchronous(NORMAL)", "busy_timeout(5000)"},
	"_txlock":      {"immediate"},
	"_time_format": {"sqlite"},
	"_timezone":    {"UTC"},
}.Encode()

// openEmbedded opens the file of a folder, made and migrated as needed.
func openEmbedded(ctx context.Context, dir string, working bool) (*embedded, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	e := &embedded{}
	if working {
		f, err := lockFile(filepath.Join(dir, LockFile))
		if errors.Is(err, errLocked) {
			return nil, vedette.Conflict("job: another process works the jobs of %s", dir)
		}
		if err != nil {
			return nil, err
		}
		e.lock = f
	}
	path := filepath.Join(dir, File)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) // for us alone, which SQLite would not see to
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		e.db, err = sql.Open("sqlite", "file:"+strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)+"?"+pragma)
	}
	if err == nil {
		e.db.SetMaxOpenConns(1) // writers of one process wait in line rather than for the lock
		err = e.migrate(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

// migrate makes River's tables, in one transaction: two processes may open a
// new folder at once.
func (e *embedded) migrate(ctx context.Context) error {
	m, err := rivermigrate.New(riversqlite.New(e.db), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if have, err := m.ExistingVersions(ctx); err != nil || len(have) == len(m.AllVersions()) {
		return err
	}
	tx, err := e.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	//lint:ignore SA1019 what it warns of are enum types of PostgreSQL
	if _, err := m.MigrateTx(ctx, tx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	return tx.Commit()
}

// settle hands back all that ran, and the lead, which a dead process would
// keep for 15 seconds.
func (e *embedded) settle(ctx context.Context) error {
	tx, err := e.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, q := range []string{
		`update river_job set
			state = case when metadata ->> '$.cancel_attempted_at' is not null then 'cancelled' when attempt >= max_attempts then 'discarded' else 'available' end,
			finalized_at = case when metadata ->> '$.cancel_attempted_at' is not null or attempt >= max_attempts then datetime('now', 'subsec') end,
			scheduled_at = datetime('now', 'subsec'),
			errors = json_insert(coalesce(errors, json('[]')), '$[#]',
				json_object('at', strftime('%Y-%m-%dT%H:%M:%fZ'), 'attempt', attempt, 'error', '` + died + `', 'trace', ''))
			where state = 'running'`,
		`delete from river_leader`,
	} {
		if _, err := tx.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// died is the failure of an attempt whose process is gone.
const died = "the process died"

func (e *embedded) tend(context.Context) error { return nil }

func (e *embedded) look(ctx context.Context, ids []int64) (map[int64]seen, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	rows, err := e.db.QueryContext(ctx, `select id, attempt, state = 'running', metadata ->> '$.cancel_attempted_at' is not null
		from river_job where id in (select value from json_each(?))`, string(list))
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

func (e *embedded) unmark(ctx context.Context, id int64) error {
	_, err := e.db.ExecContext(ctx, `update river_job set metadata = json_remove(metadata, '$.cancel_attempted_at')
		where id = ? and state <> 'running' and metadata ->> '$.cancel_attempted_at' is not null`, id)
	return err
}

func (e *embedded) close() error {
	var err error
	if e.db != nil {
		err = e.db.Close()
	}
	if e.lock != nil {
		err = errors.Join(err, e.lock.Close())
	}
	return err
}
