package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/job"
	"github.com/vedette-hub/vedette/scope"
	"github.com/vedette-hub/vedette/store"
)

type rebuildCmd struct{}

// Help is shown by --help.
func (rebuildCmd) Help() string {
	return "Computes again what is derived from documents and claims. Readers see the old state until the new one is whole; nothing is sent."
}

// Run rebuilds.
func (rebuildCmd) Run(r *run) error {
	own, err := r.owner()
	if err != nil {
		return err
	}
	r.line.Progress = func(stage string, rows int) { r.progress("rebuild: %s, %d in this batch", stage, rows) }
	if err := r.sc.Rebuild(r.ctx, own, r.line.Inside(r.ctx)); err != nil {
		return err
	}
	r.progress("")
	return r.drain()
}

// owner is the look-up of owners by the scopes of all constituents.
func (r *run) owner() (store.Owner, error) {
	return scopeOwner(r.ctx, r.store)
}

// scopeOwner says whose an asset is, by the scopes of all constituents as they are now.
func scopeOwner(ctx context.Context, s *store.Store) (store.Owner, error) {
	cs, err := s.System().AllConstituents(ctx)
	if err != nil {
		return nil, err
	}
	return scope.NewMap(cs).Owner, nil
}

type purgeCmd struct {
	Document string `help:"Everything one document said; its SHA-256 as audit list shows it." placeholder:"HASH" xor:"what" required:""`
	Source   string `help:"Everything a source said; person:NAME for a person." placeholder:"NAME" xor:"what" required:""`
	Object   string `help:"What every source said of one object." placeholder:"ID" xor:"what" required:""`
	Reason   string `help:"Why; it is recorded." required:"" placeholder:"TEXT"`
	Yes      bool   `help:"Do it. Nothing brings it back."`
}

// Help is shown by --help.
func (purgeCmd) Help() string {
	return "Examples:\n  vedette purge --source partner-one --reason 'end of agreement' --yes\n  vedette purge --document 9f86d0... --reason 'sent by mistake' --yes\n\nA tombstone stays: the hash of the document and when it went."
}

// Run destroys, then compacts the store so that nothing is left in free pages.
func (c *purgeCmd) Run(r *run) error {
	if !c.Yes {
		return fmt.Errorf("%w: purge destroys content: add --yes", errUsage)
	}
	own, err := r.owner()
	if err != nil {
		return err
	}
	done, err := r.sc.Purge(r.ctx, store.Purge{Document: c.Document, Source: c.Source, Object: c.Object}, c.Reason, own)
	if err != nil {
		return err
	}
	if err := r.drain(); err != nil {
		return err
	}
	if err := r.sc.Compact(r.ctx); err != nil {
		return err
	}
	if r.Output != "table" {
		return r.json(done)
	}
	_, err = fmt.Fprintf(r.out, "purged %d documents, %d claims; recomputed %d objects, %d assets\n", done.Intakes, done.Claims, done.Objects, done.Assets)
	return err
}

type backupCmd struct {
	File string `arg:"" help:"New file to write; - is stdout."`
}

// Help is shown by --help.
func (backupCmd) Help() string {
	return "Writes everything as of one moment while others go on writing. The file holds all content of all constituents: guard it as the store."
}

// Run writes the backup beside its name and gives it the name when it is whole.
func (c *backupCmd) Run(r *run) error {
	if c.File == "-" {
		_, err := r.sc.Backup(r.ctx, r.out)
		return err
	}
	if _, err := os.Stat(c.File); err == nil {
		return vedette.Conflict("%s exists", c.File)
	}
	f, err := os.CreateTemp(filepath.Dir(c.File), ".vedette-backup-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when the rename was done
	rows, err := r.sc.Backup(r.ctx, f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), c.File); err != nil {
		return err
	}
	r.note("%d rows", rows)
	return nil
}

type restoreCmd struct {
	File string `arg:"" help:"Backup to read."`
}

// Help is shown by --help.
func (restoreCmd) Help() string {
	return "Restores into a new, empty store of either engine:\n  vedette --data new restore hub.backup\n  vedette --db postgres://... restore hub.backup"
}

// storeless: nobody has rights in a store that is still empty; whoever can
// read the backup and write the store can restore.
func (restoreCmd) storeless() {}

// Run restores. The store must be empty, so no token can exist in it yet.
func (c *restoreCmd) Run(r *run) error {
	f, err := os.Open(c.File)
	if err != nil {
		return vedette.NotFound("%w", err)
	}
	defer f.Close()
	if r.store, err = store.Open(r.ctx, r.place(), StoreOptions()); err != nil {
		return err
	}
	defer r.store.Close()
	if r.sc, err = r.store.As(r.ctx, vedette.Local()); err != nil {
		return err
	}
	rows, err := r.sc.Restore(r.ctx, f)
	if err != nil {
		return err
	}
	r.line = NewLine(r.store)
	if err := r.drain(); err != nil {
		return err
	}
	r.note("%d rows", rows)
	return nil
}

type verifyCmd struct{}

// Help is shown by --help.
func (verifyCmd) Help() string {
	return "One hash per table over public ids: equal for two stores that hold the same, on either engine, before and after a rebuild."
}

// Run prints the hashes.
func (verifyCmd) Run(r *run) error {
	hs, err := r.sc.Verify(r.ctx)
	if err != nil {
		return err
	}
	t := &table{columns: []string{"table", "rows", "hash"}}
	for _, h := range hs {
		t.add(h, h.Table, strconv.Itoa(h.Rows), h.Hash)
	}
	return r.print(t)
}

type migrateCmd struct {
	WorkerRole string `help:"Give this role of PostgreSQL what a probe worker needs, and nothing else." placeholder:"ROLE"`
}

// Help is shown by --help.
func (migrateCmd) Help() string {
	return "Examples:\n  vedette migrate\n  vedette --db postgres://hub@db.hub.example/vedette migrate --worker-role probe\n\nThe role is made before: create role probe login password '...'"
}

// Run has done its work when the store is open, but for a worker's role.
func (c *migrateCmd) Run(r *run) error {
	if c.WorkerRole != "" {
		jc := r.jobConfig()
		if jc.URL == "" {
			return vedette.Invalid("workers need PostgreSQL: the embedded store is of one machine")
		}
		if err := job.Migrate(r.ctx, jc.URL, jc.Schema); err != nil {
			return err
		}
		if err := r.sc.GrantWorker(r.ctx, c.WorkerRole, job.Grant(jc.Schema, c.WorkerRole)); err != nil {
			return err
		}
		if err := r.drain(); err != nil {
			return err
		}
	}
	_, err := io.WriteString(r.out, "the schema is up to date\n")
	return err
}
