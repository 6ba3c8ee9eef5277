package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/app"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/read"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/store"
)

// recordFiles are the files of vulnerabilities to match by.
func (b *bench) recordFiles() []string {
	if b.data == "" {
		return nil
	}
	return []string{filepath.Join(b.data, "vuln", "cve5-vulnrichment.jsonl.gz"), filepath.Join(b.data, "vuln", "nvd-cpe-configurations-anchore.jsonl.gz")}
}

// match is W6: all affected ranges against all that is seen, then one new
// exploited vulnerability.
func (b *bench) match(e engine) error {
	s, done, err := b.store(e)
	if err != nil {
		return err
	}
	defer done()
	sc, w, err := b.known(s)
	if err != nil {
		return err
	}
	line := app.NewLine(s)
	var counts vedette.Counts
	took, err := b.measure(e, func() (err error) { counts, err = app.TakeSurvey(b.ctx, sc, w, nil); return err })
	if err != nil {
		return err
	}
	b.row("W6 estate import", e, float64(counts.New)/took.total(), 0, "observations/cpu-s", fmt.Sprintf("%d observations, %s, peak %d MB", counts.New, took, peak()))
	if took, err = b.measure(e, func() error { return line.Drain(b.ctx) }); err != nil {
		return err
	}
	assets, services := w.Counts()
	n, err := s.System().Size(b.ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "W6 full match\t%s\t%.1f cpu-s\t60 cpu-s (goal)\t%.2f\t%d assets, %d services, %d facts, %d pairs, %d findings; %s, peak %d MB\n", e, took.total(), took.total()/60, assets, services, n["facts"], n["pairs"], n["findings"], took, peak())
	return b.newlyExploited(e, s, sc, line)
}

// known takes the records in, and makes up whom they may concern.
func (b *bench) known(s *store.Store) (*store.Scoped, *lab.World, error) {
	sc, err := app.LabScope(b.ctx, s, vedette.Local())
	if err != nil {
		return nil, nil, err
	}
	files := b.recordFiles()
	for _, f := range files {
		if _, err := b.ingestFile(s, sc, f); err != nil {
			return nil, nil, err
		}
	}
	if len(files) == 0 {
		if err := b.ingest(s, sc, "nvd-overrides", bytes.NewReader(madeUpRecords(b.seed, 16_000))); err != nil {
			return nil, nil, err
		}
	}
	if err := app.NewLine(s).Drain(b.ctx); err != nil {
		return nil, nil, err
	}
	w, err := b.estate(files)
	if err != nil {
		return nil, nil, err
	}
	if err := app.ApplyLab(b.ctx, sc, w); err != nil {
		return nil, nil, err
	}
	return sc, w, nil
}

func (b *bench) estate(files []string) (*lab.World, error) {
	products, err := app.LabProducts(files)
	if err != nil {
		return nil, err
	}
	x := lab.Estate{Seed: b.seed, Assets: 20_000, Services: 200_000, Products: products}
	if b.full {
		x.Assets, x.Services = 200_000, 2_000_000
	}
	return x.Build(), nil
}

// newlyExploited has a record of a new vulnerability of a common product come
// in, and that it is exploited, and waits until all its findings are kept.
func (b *bench) newlyExploited(e engine, s *store.Store, sc *store.Scoped, line *app.Line) error {
	const id = "CVE-2026-99001"
	record := `{"_annotation":{"cve_id":"` + id + `","published":"2026-02-01T00:00:00","modified":"2026-02-01T00:00:00"},"cve":{"configurations":[{"nodes":[{"cpeMatch":[{"criteria":"cpe:2.3:a:f5:nginx:*:*:*:*:*:*:*:*","vulnerable":true,"versionEndExcluding":"1.27.1"},{"criteria":"cpe:2.3:a:openbsd:openssh:*:*:*:*:*:*:*:*","vulnerable":true,"versionEndExcluding":"9.8"}],"operator":"OR"}]}]}}` + "\n"
	says := "cve,actor,since,source,url\n" + id + ",Bench Bear,2026-02-01,bench,https://bench.example/1\n"
	took, err := b.measure(e, func() error {
		if err := b.ingest(s, sc, "nvd-overrides", bytes.NewReader([]byte(record))); err != nil {
			return err
		}
		if err := b.ingest(s, sc, "exploited-by", bytes.NewReader([]byte(says))); err != nil {
			return err
		}
		return line.Drain(b.ctx)
	})
	if err != nil {
		return err
	}
	again, err := s.As(b.ctx, vedette.Local())
	if err != nil {
		return err
	}
	n := 0
	for after := int64(0); ; {
		fs, next, err := again.Findings(b.ctx, store.FindingFilter{Weakness: id, After: after, Limit: 5000})
		if err != nil {
			return err
		}
		n += len(fs)
		if next == 0 {
			break
		}
		after = next
	}
	fmt.Fprintf(b.out, "W6 one new exploited CVE\t%s\t%.2f s\t2 s (goal)\t%.2f\t%d findings; %s\n", e, took.wall.Seconds(), took.wall.Seconds()/2, n, took)
	return nil
}

// ingestFile takes a file in and returns how many records it had.
func (b *bench) ingestFile(s *store.Store, sc *store.Scoped, name string) (n int, err error) {
	err = safe.MembersFile(name, safe.Defaults, func(m safe.Member) error {
		if m.Err != nil {
			return m.Err
		}
		text, err := io.ReadAll(m.R)
		if err != nil {
			return err
		}
		n += bytes.Count(text, []byte{'\n'})
		f, err := read.Sniff(text)
		if err != nil {
			return err
		}
		return b.ingest(s, sc, f.Name, bytes.NewReader(text))
	})
	return n, err
}

// ingest takes a document in as import does.
func (b *bench) ingest(s *store.Store, sc *store.Scoped, format string, r *bytes.Reader) error {
	f, err := read.ByName(format)
	if err != nil {
		return err
	}
	h := sha256.New()
	if _, err := r.WriteTo(h); err != nil {
		return err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	now := time.Now()
	t, err := sc.Take(b.ctx, vedette.Intake{Source: f.Source.Name, Document: hex.EncodeToString(h.Sum(nil)), Format: f.Name, At: now, Time: now, Address: "bench"},
		f.Source, store.Way{Whole: f.Whole, Own: func(string) (string, []string, bool) { return "", nil, false }})
	if err != nil || t.Known {
		return err
	}
	say := app.StoreOptions().Say
	doc, err := f.Parse(r, func(rec read.Record) error {
		if rec.Err != nil {
			fmt.Fprintln(os.Stderr, "refused:", rec.Where, rec.Err)
			return nil
		}
		said, err := say(f.Name, rec.Body)
		if err != nil {
			return nil // import lists it as refused
		}
		return t.Add(rec.Body, said)
	})
	if err != nil {
		return err
	}
	return t.Finish(r.Size(), doc.Time)
}
