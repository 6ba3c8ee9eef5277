package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/app"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/store"
)

// stix is what a store needs to know of a STIX-like object.
type stix struct {
	ID       string    `json:"id"`
	Type     string    `json:"type"`
	Name     string    `json:"name"`
	Created  time.Time `json:"created"`
	Modified time.Time `json:"modified"`
	Text     string    `json:"description"`
	Relation string    `json:"relationship_type"`
	From     string    `json:"source_ref"`
	To       string    `json:"target_ref"`
	Aliases  []string  `json:"aliases"`
	Refs     []struct {
		ID string `json:"external_id"`
	} `json:"external_references"`
}

// sayStix is a format of the bench alone: one object a record.
func sayStix(body []byte) (vedette.Said, error) {
	var o stix
	if err := json.Unmarshal(body, &o); err != nil {
		return vedette.Said{}, err
	}
	st := vedette.Statement{Object: o.ID, Type: o.Type, Name: o.Name, Since: o.Modified, Text: o.Text, Values: o.values()}
	if o.From != "" {
		st.Links = []vedette.Link{{Relation: o.Relation, From: o.From, FromType: typeOf(o.From), To: o.To, ToType: typeOf(o.To)}}
	}
	return vedette.Said{Statements: []vedette.Statement{st}}, nil
}

func (o *stix) values() []string {
	out := o.Aliases
	for _, r := range o.Refs {
		if r.ID != "" {
			out = append(out, r.ID)
		}
	}
	return out
}

func typeOf(id string) string { t, _, _ := strings.Cut(id, "--"); return t }

func bareStix(body []byte) (bareObject, error) {
	var o stix
	if err := json.Unmarshal(body, &o); err != nil {
		return bareObject{}, err
	}
	b := bareObject{id: o.ID, typ: o.Type, name: o.Name, created: o.Created.UnixMicro(), modified: o.Modified.UnixMicro(), values: o.values()}
	if o.Name != "" {
		b.values = append(b.values, o.Name)
	}
	if o.From != "" {
		b.links = [][3]string{{o.From, o.Relation, o.To}}
	}
	return b, nil
}

// objects is W1: objects of the shape of ATT&CK, and indicators.
func (b *bench) objects(e engine) error {
	if err := b.ingestAgainst(e, "W1 ATT&CK-shaped objects", madeUpObjects(b.seed, 24_771), true); err != nil {
		return err
	}
	n := 100_000
	if b.full {
		n = 1_000_000
	}
	return b.ingestAgainst(e, fmt.Sprintf("W1 %d indicators", n), madeUpIndicators(b.seed, n), true)
}

// ingestAgainst takes records into the store and into the bare layout.
func (b *bench) ingestAgainst(e engine, what string, records [][]byte, again bool) error {
	doc := bytes.Join(records, []byte{'\n'})
	opt := app.StoreOptions()
	opt.Say = func(_ string, body []byte) (vedette.Said, error) { return sayStix(body) }
	bareTook, err := b.bareIngest(e, doc, records, bareStix)
	if err != nil {
		return err
	}
	s, done, err := b.open(e, opt)
	if err != nil {
		return err
	}
	defer done()
	sc, err := s.As(b.ctx, vedette.Local())
	if err != nil {
		return err
	}
	var counts vedette.Counts
	take := func() (err error) { counts, err = takeStix(b.ctx, sc, doc, records); return err }
	took, err := b.measure(e, take)
	if err != nil {
		return err
	}
	n := float64(len(records))
	b.row(what, e, n/took.total(), n/bareTook.total(), "obj/cpu-s", fmt.Sprintf("%d new; %s; bare: %s; peak %d MB", counts.New, took, bareTook, peak()))
	if again {
		before, err := s.System().Size(b.ctx)
		if err != nil {
			return err
		}
		repeat, err := b.measure(e, take)
		if err != nil {
			return err
		}
		after, err := s.System().Size(b.ctx)
		if err != nil {
			return err
		}
		b.row(what+", same bytes again", e, n/repeat.total(), n/took.total(), "obj/cpu-s", fmt.Sprintf("against the first time; %d rows more", after["claims"]+after["objects"]-before["claims"]-before["objects"]))
	}
	return nil
}

func (b *bench) bareIngest(e engine, doc []byte, records [][]byte, decode func([]byte) (bareObject, error)) (spent, error) {
	where, clean, err := b.place(e)
	if err != nil {
		return spent{}, err
	}
	defer clean()
	l, err := openBare(b.ctx, e, where)
	if err != nil {
		return spent{}, err
	}
	defer l.db.Close()
	return b.measure(e, func() error { return l.load(doc, records, decode) })
}

// takeStix takes a document of objects in.
func takeStix(ctx context.Context, sc *store.Scoped, doc []byte, records [][]byte) (vedette.Counts, error) {
	h := sha256.Sum256(doc)
	now := time.Now()
	src := vedette.Source{Name: "bench", Marking: vedette.Marking{TLP: vedette.TLPClear}}
	t, err := sc.Take(ctx, vedette.Intake{Source: src.Name, Document: hex.EncodeToString(h[:]), Format: "bench", At: now, Time: now, Address: "bench"}, src, store.Way{})
	if err != nil || t.Known {
		return vedette.Counts{}, err
	}
	for _, r := range records {
		said, err := sayStix(r)
		if err != nil {
			return t.Counts, err
		}
		if err := t.Add(r, said); err != nil {
			return t.Counts, err
		}
	}
	return t.Counts, t.Finish(int64(len(doc)), now)
}

// records is the ingest of CVE records.
func (b *bench) records(e engine) error {
	records, err := b.cveRecords()
	if err != nil {
		return err
	}
	doc := bytes.Join(records, []byte{'\n'})
	bareTook, err := b.bareIngest(e, doc, records, bareRecord)
	if err != nil {
		return err
	}
	s, done, err := b.store(e)
	if err != nil {
		return err
	}
	defer done()
	sc, err := s.As(b.ctx, vedette.Local())
	if err != nil {
		return err
	}
	format := "cve"
	if b.data == "" {
		format = "nvd-overrides"
	}
	took, err := b.measure(e, func() error { return b.ingest(s, sc, format, bytes.NewReader(doc)) })
	if err != nil {
		return err
	}
	n := float64(len(records))
	b.row(fmt.Sprintf("%d CVE records", len(records)), e, n/took.total(), n/bareTook.total(), "records/cpu-s", fmt.Sprintf("%s; bare (id, dates and bytes alone): %s", took, bareTook))
	return nil
}

func (b *bench) cveRecords() ([][]byte, error) {
	if b.data == "" {
		return bytes.Split(bytes.TrimSpace(madeUpRecords(b.seed, 16_000)), []byte{'\n'}), nil
	}
	var out [][]byte
	err := safe.MembersFile(filepath.Join(b.data, "vuln", "cve5-vulnrichment.jsonl.gz"), safe.Defaults, func(m safe.Member) error {
		if m.Err != nil {
			return m.Err
		}
		var text bytes.Buffer
		if _, err := text.ReadFrom(m.R); err != nil {
			return err
		}
		out = bytes.Split(bytes.TrimSpace(text.Bytes()), []byte{'\n'})
		return nil
	})
	return out, err
}

// bareRecord reads the header of a CVE record of either format.
func bareRecord(body []byte) (bareObject, error) {
	var r struct {
		Meta struct {
			ID        string `json:"cveId"`
			Published string `json:"datePublished"`
			Updated   string `json:"dateUpdated"`
		} `json:"cveMetadata"`
		Note struct {
			ID string `json:"cve_id"`
		} `json:"_annotation"`
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return bareObject{}, err
	}
	id := r.Meta.ID + r.Note.ID
	o := bareObject{id: id, typ: vedette.TypeVulnerability, values: []string{id}}
	for _, t := range []struct {
		text string
		to   *int64
	}{{r.Meta.Published, &o.created}, {r.Meta.Updated, &o.modified}} {
		if at, err := time.Parse("2006-01-02T15:04:05.999Z07:00", t.text); err == nil {
			*t.to = at.UnixMicro()
		}
	}
	return o, nil
}

// queries is W1q: an object by value, against a point read of one row.
func (b *bench) queries(e engine) error {
	n := 100_000
	if b.full {
		n = 1_000_000
	}
	records := madeUpIndicators(b.seed, n)
	opt := app.StoreOptions()
	opt.Say = func(_ string, body []byte) (vedette.Said, error) { return sayStix(body) }
	where, clean, err := b.place(e)
	if err != nil {
		return err
	}
	defer clean()
	s, err := store.Open(b.ctx, where, opt)
	if err != nil {
		return err
	}
	defer s.Close()
	sc, err := s.As(b.ctx, vedette.Local())
	if err != nil {
		return err
	}
	if _, err := takeStix(b.ctx, sc, bytes.Join(records, []byte{'\n'}), records); err != nil {
		return err
	}
	if sc, err = s.As(b.ctx, vedette.Local()); err != nil { // the marking is new
		return err
	}
	const rounds = 5000
	value := func(i int) string { return indicatorValue(b.seed, int(keyOf([]byte{byte(i), byte(i >> 8)})%uint64(n))) }
	took, err := b.measure(e, func() error {
		for i := range rounds {
			rows, err := sc.Search(b.ctx, value(i), 1)
			if err != nil || len(rows) != 1 {
				return fmt.Errorf("%d objects of value %s: %w", len(rows), value(i), err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	point, err := b.pointReads(e, where, n, rounds)
	if err != nil {
		return err
	}
	us := func(s spent) float64 { return s.total() * 1e6 / rounds }
	b.row(fmt.Sprintf("W1q object by value among %d", n), e, us(took), us(point), "us cpu", "a value is at most 5 point reads is the goal")
	return nil
}

func (b *bench) pointReads(e engine, where string, n, rounds int) (spent, error) {
	driver, dsn, q := "sqlite", "file:"+filepath.Join(where, store.File)+"?_pragma=query_only(1)&_pragma=cache_size(-65536)", "select id from objects where k = ?"
	if e == "postgres" {
		driver, dsn, q = "pgx", where, "select id from objects where k = $1"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return spent{}, err
	}
	defer db.Close()
	st, err := db.PrepareContext(b.ctx, q)
	if err != nil {
		return spent{}, err
	}
	return b.measure(e, func() error {
		for i := range rounds {
			var id string
			if err := st.QueryRowContext(b.ctx, 1+int64(keyOf([]byte{byte(i), byte(i >> 8)})%uint64(n))).Scan(&id); err != nil {
				return err
			}
		}
		return nil
	})
}
