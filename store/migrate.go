package store

import (
	"context"
	"embed"
	"fmt"
	"strconv"
	"strings"

	"github.com/vedette-hub/vedette"
)

//go:embed migration/*.sql
var migrations embed.FS

// migrate runs the steps that the database has not had. Each statement of a
// step is a transaction together with its mark, so a killed migration goes on
// where it stopped, and two processes do not run one step twice.
func (s *Store) migrate(ctx context.Context) error {
	files, err := migrations.ReadDir("migration") // in the order of their names
	if err != nil {
		return err
	}
	if err := s.update(ctx, func(t *tx) error {
		if err := t.exclusive(); err != nil {
			return err
		}
		_, err := t.once("create table if not exists migrations(name text primary key, done bigint not null)")
		return err
	}); err != nil {
		return err
	}
	for _, f := range files {
		text, err := migrations.ReadFile("migration/" + f.Name())
		if err != nil {
			return err
		}
		if err := s.step(ctx, f.Name(), statements(s.d.ddl.Replace(string(text)))); err != nil {
			return fmt.Errorf("migration %s: %w", f.Name(), err)
		}
	}
	return s.tooNew(ctx, len(files))
}

func (s *Store) step(ctx context.Context, name string, stmts []string) error {
	for more := true; more; {
		err := s.update(ctx, func(t *tx) error {
			if err := t.exclusive(); err != nil {
				return err
			}
			var done int
			known, err := one(t, "select done from migrations where name = ?", []any{name}, &done)
			if err != nil {
				return err
			}
			if !known {
				if _, err := t.once("insert into migrations(name, done) values (?, 0)", name); err != nil {
					return err
				}
			}
			if more = done < len(stmts); !more {
				return nil
			}
			if _, err := t.once(stmts[done]); err != nil {
				return fmt.Errorf("statement %d: %w", done+1, err)
			}
			_, err = t.once("update migrations set done = ? where name = ?", done+1, name)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// exclusive keeps other migrators out until the transaction ends; on SQLite
// every write transaction is exclusive from its begin.
func (t *tx) exclusive() error {
	if !t.d.numbered {
		return nil
	}
	_, err := t.once("select pg_advisory_xact_lock(" + strconv.Itoa(migrationLock) + ")")
	return err
}

const migrationLock = 7_367_001

// tooNew refuses a database that a newer vedette has changed.
func (s *Store) tooNew(ctx context.Context, known int) error {
	var n int
	if _, err := one(reader{s, ctx}, "select count(*) from migrations", nil, &n); err != nil {
		return err
	}
	if n > known {
		return vedette.Conflict("the database has %d migrations, this vedette knows %d: use a newer vedette", n, known)
	}
	return nil
}

// statements cuts a migration at each ";" that ends a line, without its comments.
func statements(text string) []string {
	var out []string
	var b strings.Builder
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "--") {
			continue
		}
		b.WriteString(line)
		b.WriteByte('\n')
		if strings.HasSuffix(strings.TrimSpace(line), ";") {
			out = append(out, strings.TrimSuffix(strings.TrimSpace(b.String()), ";"))
			b.Reset()
		}
	}
	return out
}
