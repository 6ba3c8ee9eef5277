package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/app"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/store"
)

// year is how much a year of daily surveys and scores keeps, from its first
// days: vedette lab estate --year takes it in whole.
func (b *bench) year(e engine) error {
	where, clean, err := b.place(e)
	if err != nil {
		return err
	}
	defer clean()
	s, err := store.Open(b.ctx, where, app.StoreOptions())
	if err != nil {
		return err
	}
	defer s.Close()
	sc, err := app.LabScope(b.ctx, s, vedette.Local())
	if err != nil {
		return err
	}
	const assets, per = 20_000, 10
	w := lab.Estate{Seed: b.seed, Assets: assets, Services: assets * per}.Build()
	if err := app.ApplyLab(b.ctx, sc, w); err != nil {
		return err
	}
	line := app.NewLine(s)
	scores := lab.NewEPSS(b.seed, lab.CVEs(280_000), w.Time())
	days, changed, points := 3, 0, 0
	if b.full {
		days = 30
	}
	day := func() error {
		counts, err := app.TakeSurvey(b.ctx, sc, w, nil)
		if err != nil {
			return err
		}
		n, err := app.TakeScores(b.ctx, sc, scores, w.Time())
		changed, points = changed+counts.New+counts.Changed, points+n
		if err != nil {
			return err
		}
		return line.Drain(b.ctx)
	}
	if err := day(); err != nil {
		return err
	}
	before, err := b.size(e, where)
	if err != nil {
		return err
	}
	changed, points = 0, 0
	took, err := b.measure(e, func() error {
		for range days {
			w.Next()
			if err := day(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	after, err := b.size(e, where)
	if err != nil {
		return err
	}
	mb := float64(after-before) / 1e6
	surveys := mb - float64(days)*scoresMB
	fmt.Fprintf(b.out, "a year of 200k assets\t%s\t%.1f GB\t30 GB (goal)\t%.2f\tfrom %d days of %d assets: %d observations changed, %d points kept, %.1f MB, %.1f cpu-s a day; %s\n", e,
		365*(surveys/float64(days)*10+scoresMB)/1e3, 365*(surveys/float64(days)*10+scoresMB)/30e3, days, assets, changed, points, mb, took.total()/float64(days), took)
	return nil
}

// scoresMB is what a day of scores keeps, which does not grow with the estate.
const scoresMB = 3.6

// size is how many bytes the database takes.
func (b *bench) size(e engine, where string) (n int64, err error) {
	if e == "sqlite" {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(where, store.File))
		if err != nil {
			return 0, err
		}
		defer db.Close()
		if _, err := db.ExecContext(b.ctx, "pragma wal_checkpoint(truncate)"); err != nil {
			return 0, err
		}
		info, err := os.Stat(filepath.Join(where, store.File))
		if err != nil {
			return 0, err
		}
		return info.Size(), nil
	}
	db, err := sql.Open("pgx", where)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	err = db.QueryRowContext(b.ctx, "select pg_database_size(current_database())").Scan(&n)
	return n, err
}
