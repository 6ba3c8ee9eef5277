package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/collect"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/read"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/scope"
	"github.com/vedette-hub/vedette/store"
)

type labEstate struct {
	Seed         uint64   `help:"The same seed makes the same estate." default:"1" placeholder:"N"`
	Constituents int      `help:"How many constituents." default:"95" placeholder:"N"`
	Assets       int      `help:"How many assets." default:"200000" placeholder:"N"`
	Services     int      `help:"How many services." default:"2000000" placeholder:"N"`
	Products     []string `help:"Files with vulnerabilities whose products the estate runs, beside the built-in ones." placeholder:"FILE"`
	Year         bool     `help:"Go on with daily surveys and scores for --days days; the estate has --year-assets assets then."`
	Days         int      `help:"Days of --year." default:"365" placeholder:"N"`
	YearAssets   int      `help:"Assets of --year." default:"20000" placeholder:"N"`
	Scores       int      `help:"Vulnerabilities scored every day of --year." default:"280000" placeholder:"N"`
}

// Help is shown by --help.
func (labEstate) Help() string {
	return "Examples:\n  vedette --data lab lab estate --assets 2000 --services 20000\n  vedette --data lab lab init && vedette --data lab import cves.jsonl.gz && vedette --data lab lab estate --products cves.jsonl.gz\n\nWorks on a new store, or on one that lab init has stamped. Organisations end in .example, addresses are of the documentation ranges; nothing is sent anywhere."
}

// labRow is one line of the summary.
type labRow struct {
	What    string  `json:"what"`
	Rows    int     `json:"rows"`
	Seconds float64 `json:"seconds"`
	MB      float64 `json:"mb,omitempty"`
}

// Run makes the estate up, takes it in and lets the line work.
func (c *labEstate) Run(r *run) error {
	sys := r.store.System()
	if _, is, err := sys.Lab(r.ctx); err != nil {
		return err
	} else if !is {
		if err := sys.StampLab(r.ctx); err != nil {
			return fmt.Errorf("not a lab: %w", err)
		}
	}
	products, err := LabProducts(c.Products)
	if err != nil {
		return err
	}
	e := lab.Estate{Seed: c.Seed, Constituents: c.Constituents, Assets: c.Assets, Services: c.Services, Products: products}
	if c.Year {
		e.Services = int(float64(c.Services) / float64(max(c.Assets, 1)) * float64(c.YearAssets))
		e.Assets = c.YearAssets
	}
	if e.Constituents < 1 || e.Assets < e.Constituents || e.Services < e.Assets {
		return fmt.Errorf("%w: at least one constituent, an asset for each, a service for each asset", errUsage)
	}
	l := &labRun{run: r}
	if err := l.first(e); err != nil {
		return err
	}
	if c.Year {
		if err := l.year(c); err != nil {
			return err
		}
	}
	return r.print(l.table())
}

// labRun keeps what the parts of a run did.
type labRun struct {
	*run
	world *lab.World
	rows  []labRow
}

func (l *labRun) done(what string, rows int, since time.Time) {
	row := labRow{What: what, Rows: rows, Seconds: time.Since(since).Seconds()}
	l.rows = append(l.rows, row)
	l.note("%s: %d in %.1f s", row.What, row.Rows, row.Seconds)
}

func (l *labRun) table() *table {
	t := &table{columns: []string{"what", "rows", "seconds", "MB"}}
	for _, row := range l.rows {
		t.add(row, row.What, strconv.Itoa(row.Rows), strconv.FormatFloat(row.Seconds, 'f', 1, 64), strconv.FormatFloat(row.MB, 'f', 0, 64))
	}
	return t
}

// first takes in the constituency and the survey of the first day.
func (l *labRun) first(e lab.Estate) error {
	start := time.Now()
	l.world = e.Build()
	assets, services := l.world.Counts()
	l.done("services made up", services, start)
	sc, err := LabScope(l.ctx, l.store, l.p)
	if err != nil {
		return err
	}
	start = time.Now()
	if err := ApplyLab(l.ctx, sc, l.world); err != nil {
		return err
	}
	l.done("constituents", len(l.world.Constituents), start)
	start = time.Now()
	counts, err := TakeSurvey(l.ctx, sc, l.world, func(c string, n int) { l.progress("%s: %d of %d assets", c, n, assets) })
	l.progress("")
	if err != nil {
		return err
	}
	l.done("observations", counts.New, start)
	return l.work("line")
}

func (l *labRun) work(what string) error {
	start := time.Now()
	n := 0
	l.line.Progress = func(stage string, rows int) {
		n += rows
		l.progress("%s: %s, %d", what, stage, n)
	}
	err := l.line.Drain(l.ctx)
	l.progress("")
	l.done(what, n, start)
	return err
}

// year goes on day by day with a survey of all assets and the day's scores.
func (l *labRun) year(c *labEstate) error {
	sc, err := LabScope(l.ctx, l.store, l.p)
	if err != nil {
		return err
	}
	scores := lab.NewEPSS(c.Seed, lab.CVEs(c.Scores), l.world.Time())
	var changed, points int
	start := time.Now()
	for d := 1; d <= c.Days; d++ {
		l.world.Next()
		counts, err := TakeSurvey(l.ctx, sc, l.world, nil)
		if err != nil {
			return err
		}
		n, err := TakeScores(l.ctx, sc, scores, l.world.Time())
		if err != nil {
			return err
		}
		if err := l.line.Drain(l.ctx); err != nil {
			return err
		}
		changed, points = changed+counts.New+counts.Changed, points+n
		l.progress("day %d of %d: %d observations changed", d, c.Days, changed)
		if d%30 == 0 {
			l.progress("")
			l.note("day %d: %d observations changed, %d points kept, %.0f s", d, changed, points, time.Since(start).Seconds())
		}
	}
	l.progress("")
	l.done("observations changed in "+strconv.Itoa(c.Days)+" days", changed, start)
	l.rows = append(l.rows, labRow{What: "EPSS points kept", Rows: points})
	return l.weigh(c)
}

// weigh tells what the database takes, and what a year of the whole estate
// would: surveys grow with it, the documents of the scores do not.
func (l *labRun) weigh(c *labEstate) error {
	sys := l.store.System()
	total, documents, err := sys.Bytes(l.ctx)
	if err != nil {
		return err
	}
	rows, err := sys.Size(l.ctx)
	if err != nil {
		return err
	}
	const mb = 1e6
	scores := documents[labScores]
	grown := float64(total-scores) * float64(c.Assets) / float64(c.YearAssets)
	l.rows = append(l.rows,
		labRow{What: "documents of surveys", MB: float64(documents[labSource]) / mb},
		labRow{What: "documents of scores", MB: float64(scores) / mb},
		labRow{What: "observations in the store", Rows: rows["observations"]},
		labRow{What: "the whole database", MB: float64(total) / mb},
		labRow{What: fmt.Sprintf("these %d days at %d assets, scaled", c.Days, c.Assets), MB: (grown + float64(scores)) / mb})
	return nil
}

// The sources of what is made up.
const (
	labSource = "lab"
	labScores = "lab-epss"
)

// LabScope is who takes made-up data in: there is nobody to keep it from.
func LabScope(ctx context.Context, s *store.Store, p vedette.Principal) (*store.Scoped, error) {
	return s.As(ctx, vedette.Principal{Name: p.Name, Token: p.Token, Roles: []vedette.Role{vedette.Lead, vedette.Analyst}})
}

// LabProducts are the products that the files' vulnerabilities affect, beside the built-in ones.
func LabProducts(files []string) ([]lab.Product, error) {
	if len(files) == 0 {
		return lab.Builtin(), nil
	}
	var c lab.Catalogue
	for _, name := range files {
		if err := safe.MembersFile(name, safe.Defaults, func(m safe.Member) error {
			if m.Err != nil {
				return m.Err
			}
			return eachVulnerability(m.R, c.Add)
		}); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return c.Products(labProducts), nil
}

// labProducts is how many products an estate runs beside the built-in ones.
const labProducts = 1200

// eachVulnerability reads a document of any format of vulnerabilities.
func eachVulnerability(r io.Reader, f func(vedette.Vulnerability)) error {
	doc, err := collect.Spool(r)
	if err != nil {
		return err
	}
	defer doc.Close()
	format, err := read.Sniff(doc.Head)
	if err != nil {
		return err
	}
	body, err := doc.Reader()
	if err != nil {
		return err
	}
	_, err = format.Read(body, func(_ read.Record, said vedette.Said) error {
		for _, st := range said.Statements {
			if st.Vulnerability != nil {
				f(*st.Vulnerability)
			}
		}
		return nil
	})
	return err
}

// ApplyLab makes the constituency the world's.
func ApplyLab(ctx context.Context, sc *store.Scoped, w *lab.World) error {
	own := scope.NewMap(w.Constituents).Owner
	return sc.ApplyConstituents(ctx, w.Constituents, nil, own, scope.Users(w.Constituents), map[string]string{"added": strconv.Itoa(len(w.Constituents)), "lab": "yes"})
}

// TakeSurvey takes in the survey of the world's day: for each constituent a
// document of each format.
func TakeSurvey(ctx context.Context, sc *store.Scoped, w *lab.World, progress func(constituent string, assets int)) (vedette.Counts, error) {
	var sum vedette.Counts
	way := store.Way{Own: scope.NewMap(w.Constituents).Owner}
	for i, c := range w.Constituents {
		for _, name := range lab.Formats {
			f, err := read.ByName(name)
			if err != nil {
				return sum, err
			}
			n, err := takeRecords(ctx, sc, way, f, c.ID, w.Time(), func(emit func([]byte) error) error { return w.Survey(i, name, emit) })
			if err != nil {
				return sum, fmt.Errorf("%s of %s: %w", name, c.ID, err)
			}
			sum.Read, sum.New, sum.Changed, sum.Unchanged = sum.Read+n.Read, sum.New+n.New, sum.Changed+n.Changed, sum.Unchanged+n.Unchanged
			if progress != nil {
				progress(c.ID, sum.Read)
			}
		}
	}
	return sum, nil
}

// takeRecords takes a document of the source "lab" that is made up twice: once
// for its hash, once for its records.
func takeRecords(ctx context.Context, sc *store.Scoped, way store.Way, f read.Format, constituent string, at time.Time, records func(emit func([]byte) error) error) (vedette.Counts, error) {
	h := sha256.New()
	var size int64
	if err := records(func(body []byte) error {
		size += int64(len(body)) + 1
		h.Write(body)
		h.Write([]byte{'\n'})
		return nil
	}); err != nil || size == 0 {
		return vedette.Counts{}, err
	}
	src := f.Source
	src.Name, src.About = labSource, "made up"
	t, err := sc.Take(ctx, vedette.Intake{Source: src.Name, Document: hex.EncodeToString(h.Sum(nil)), Format: f.Name, At: at, Time: at,
		Address: "lab:" + constituent, Constituent: constituent}, src, way)
	if err != nil || t.Known {
		return vedette.Counts{}, err
	}
	if err := records(func(body []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		said, err := f.Say(body)
		if err != nil {
			return err
		}
		return t.Add(body, said)
	}); err != nil {
		return t.Counts, err
	}
	return t.Counts, t.Finish(size, at)
}

// TakeScores takes in one day of EPSS and returns how many points were kept.
func TakeScores(ctx context.Context, sc *store.Scoped, e *lab.EPSS, at time.Time) (int, error) {
	var doc bytes.Buffer
	if err := e.Next(&doc); err != nil {
		return 0, err
	}
	f, err := read.ByName("epss")
	if err != nil {
		return 0, err
	}
	h := sha256.Sum256(doc.Bytes())
	src := f.Source
	src.Name, src.About = labScores, "made up"
	t, err := sc.Take(ctx, vedette.Intake{Source: src.Name, Document: hex.EncodeToString(h[:]), Format: f.Name, At: at, Time: at, Address: "lab:epss"}, src, store.Way{})
	if err != nil || t.Known {
		return 0, err
	}
	size := int64(doc.Len())
	own, err := f.Read(&doc, func(rec read.Record, said vedette.Said) error {
		return errors.Join(rec.Err, t.Add(rec.Body, said))
	})
	if err != nil {
		return 0, err
	}
	err = t.Finish(size, own.Time)
	return t.New + t.Changed, err
}
