package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/policy"
)

// Way is how a document is taken in.
type Way struct {
	// Whole keeps nothing of a document before its end.
	Whole bool
	// Own finds the owner and the users of an asset among the constituents;
	// tie is true when two scopes claim it alike.
	Own func(asset string) (owner string, users []string, tie bool)
	// Shrink lets a full source leave out more than a tenth of what it said before.
	Shrink bool
}

// Taking is one document on its way in. It is for one goroutine.
type Taking struct {
	vedette.Counts
	Known bool // the same source handed in the same bytes before: nothing to do

	s   *Store
	ctx context.Context
	p   vedette.Principal
	// bound: who handed it in speaks for a constituent, not for the hub.
	bound bool
	in    vedette.Intake
	src   vedette.Source
	way   Way

	intakeK, sourceK, constituentK, formatK int64
	markK                                   int64
	late                                    int64          // when the source's next document came, if this one is late
	replayed                                bool           // a rebuild reads kept records again
	lateLooks                               map[int64]bool // assets looked at in a newer document already
	lateSeries                              bool
	skip                                    int // records a killed import kept already
	buf                                     []entry
	weight                                  int // of the records in buf, in statements
	block                                   block
	blocks                                  int64 // finished ones
	cuts                                    []packed
	seen                                    map[int64]bool // objects a full source named
}

// packed is a finished block.
type packed struct {
	n       int64 // its number in the intake
	records int
	body    []byte
}

// batch is what one transaction takes of a document.
type batch struct {
	*Taking
	*tx
}

// entry is one record in the batch.
type entry struct {
	said  vedette.Said
	block int64
	slot  int64
	hash  int64 // of the body: the same source saying the same says nothing new
}

// Take begins to take in a document for its source. The document's hash, the
// marking and the time have to be set. If the source handed in the same bytes
// under the same marking before, Known is set and nothing else has to be done.
func (sc *Scoped) Take(ctx context.Context, in vedette.Intake, src vedette.Source, way Way) (*Taking, error) {
	if err := sc.may("import"); err != nil {
		return nil, err
	}
	if policy.Bound(sc.p) && src.Name != "person:"+sc.p.Name { // nobody speaks in the name of a source of the hub
		src.Name, src.Full, src.Marking = "org:"+in.Constituent+"/"+src.Name, false, vedette.Marking{TLP: vedette.TLPAmberStrict}
	}
	src, err := keptSource(sc.reader(ctx), src)
	if err != nil {
		return nil, err
	}
	if src.Marking.TLP == vedette.TLPNone {
		return nil, vedette.Invalid("source %s is new and has no default marking: give it one with --marking", src.Name)
	}
	if in.Marking.TLP == vedette.TLPNone {
		in.Marking = src.Marking
	}
	if in.Marking.Originator == "" {
		in.Marking.Originator = src.Name
	}
	if err := sc.mayHandIn(in.Constituent); err != nil {
		return nil, err
	}
	in.By = sc.p.Name
	if len(sc.p.Constituents) > 0 {
		// what a constituent hands in is its own word, for itself and the hub: it moves nobody else's findings
		in.Marking.TLP = max(in.Marking.TLP, vedette.TLPAmberStrict)
		in.Marking.Originator = "org:" + in.Constituent
		in.Marking.Audience = in.Marking.Audience.And(vedette.ToOrgs(in.Constituent))
	}
	t := &Taking{s: sc.s, ctx: ctx, p: sc.p, bound: len(sc.p.Constituents) > 0, in: in, src: src, way: way, seen: map[int64]bool{}}
	t.way.Whole = way.Whole || src.Full
	return t, t.look(reader{sc.s, ctx})
}

// mayHandIn: who is bound to constituents speaks of them only.
func (sc *Scoped) mayHandIn(constituent string) error {
	if sc.all || contains(sc.p.Constituents, constituent) {
		return nil
	}
	if constituent == "" {
		return vedette.Refused("%s may import for its own constituent only: name it with --constituent", sc.p.Name)
	}
	return vedette.NotFound("constituent %s", constituent)
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// keptSource is the source of that name as it is kept: what a source's
// documents are marked with is its own matter, not that of their format.
func keptSource(q querier, src vedette.Source) (vedette.Source, error) {
	var text string
	found, err := one(q, "select body from sources where name = ?", []any{src.Name}, &text)
	if err != nil || !found {
		return src, err
	}
	var kept vedette.Source
	return kept, json.Unmarshal([]byte(text), &kept)
}

// look finds out whether the intake is known, or was begun and killed. It writes nothing.
func (t *Taking) look(q querier) error {
	hash, err := t.hash()
	if err != nil {
		return err
	}
	var done int
	m := t.in.Marking
	ok, err := one(q, `select i.k, i.done, i.records from intakes i join documents d on d.k = i.document_k join sources s on s.k = i.source_k
		join markings m on m.k = i.mark_k join terms f on f.k = i.format_k left join constituents c on c.k = i.constituent_k
		where d.hash = ? and s.name = ? and m.tlp = ? and m.pap = ? and m.originator = ? and m.audience = ? and f.text = ? and coalesce(c.id, '') = ? and i.purged_at is null`,
		[]any{hash, t.src.Name, int64(m.TLP), int64(m.PAP), m.Originator, string(m.Audience), t.in.Format, t.in.Constituent}, &t.intakeK, &done, &t.skip)
	if err != nil || !ok {
		return err
	}
	if t.Known = done == 1; t.Known {
		t.Read, t.Unchanged = t.skip, t.skip
		return nil
	}
	var last *int64
	_, err = one(q, "select max(k) from blocks where k between ? and ?", []any{t.intakeK << 20, t.intakeK<<20 | (1<<20 - 1)}, &last)
	if last != nil {
		t.blocks = *last&(1<<20-1) + 1
	}
	return err
}

func (t *Taking) hash() ([]byte, error) {
	hash, err := hex.DecodeString(t.in.Document)
	if err != nil || len(hash) != 32 {
		return nil, vedette.Invalid("document hash %q is not a SHA-256", t.in.Document)
	}
	return hash, nil
}

// begin makes the rows of source, document and intake in the first batch, and
// finds their keys in any.
func (b *batch) begin() (err error) {
	if err := b.turn(turnIngest); err != nil {
		return err
	}
	if b.src, b.sourceK, err = b.source(b.src); err != nil {
		return err
	}
	if b.markK, err = b.mark(b.in.Marking); err != nil {
		return err
	}
	if b.formatK, err = b.term(b.in.Format); err != nil {
		return err
	}
	if b.constituentK, err = b.constituentKey(b.in.Constituent); err != nil {
		return err
	}
	if b.src.Full {
		var next *int64
		if _, err := one(b, "select min(time) from intakes where source_k = ? and mark_k = ? and done = 1 and purged_at is null and time > ?",
			[]any{b.sourceK, b.markK, us(b.in.Time)}, &next); err != nil {
			return err
		}
		if next != nil {
			b.late = *next
		}
	}
	if b.intakeK != 0 {
		return nil
	}
	return b.intake()
}

func (b *batch) intake() error {
	hash, err := b.hash()
	if err != nil {
		return err
	}
	document, err := b.intern("documents", "hash", []any{hash})
	if err != nil {
		return err
	}
	if b.intakeK, err = b.reserve("intakes", 1); err != nil {
		return err
	}
	// an intake that was purged gives its place to the new one
	if _, err := b.exec("delete from intakes where document_k = ? and source_k = ? and mark_k = ? and constituent_k = ? and format_k = ? and purged_at is not null",
		document, b.sourceK, b.markK, b.constituentK, b.formatK); err != nil {
		return err
	}
	_, err = b.exec("insert into intakes(k, source_k, document_k, format_k, mark_k, constituent_k, at, time, address, principal, bound, records, done) values (?,?,?,?,?,?,?,?,?,?,?,0,0)",
		b.intakeK, b.sourceK, document, b.formatK, b.markK, b.constituentK, us(b.in.At), us(b.in.Time), b.in.Address, b.in.By, boolInt(b.bound))
	return err
}

// source returns the kept source of that name, or keeps the one given.
func (t *tx) source(src vedette.Source) (vedette.Source, int64, error) {
	var body string
	var k int64
	found, err := one(t, "select k, body from sources where name = ?", []any{src.Name}, &k, &body)
	if err != nil {
		return src, 0, err
	}
	if found {
		var kept vedette.Source
		return kept, k, json.Unmarshal([]byte(body), &kept)
	}
	if src.Name == "" {
		return src, 0, vedette.Invalid("a document needs a source")
	}
	text, err := json.Marshal(src)
	if err != nil {
		return src, 0, err
	}
	if k, err = t.reserve("sources", 1); err != nil {
		return src, 0, err
	}
	_, err = t.exec("insert into sources(k, name, body) values (?, ?, ?)", k, src.Name, string(text))
	return src, k, err
}

// Add takes one record: its body and what it says.
func (t *Taking) Add(body []byte, said vedette.Said) error {
	if len(body) > maxBody {
		return vedette.Invalid("a record of %d bytes; the most is %d", len(body), maxBody)
	}
	if t.bound {
		for i := range said.Observations {
			if c := said.Observations[i].Constituent; c != "" && c != t.in.Constituent {
				return vedette.NotFound("constituent %s", c) // as if it were not there
			}
		}
	}
	t.Read++
	if t.Read <= t.skip { // a killed import goes on behind what it kept
		return nil
	}
	if t.block.full(len(body)) {
		t.cut()
	}
	t.buf = append(t.buf, entry{said, t.blocks, int64(t.block.add(body, len(said.Statements))), bodyHash(body)})
	t.weight += max(1, len(said.Statements), len(said.Observations)/4, len(said.Points))
	if !t.way.Whole && t.weight >= t.s.opt.Batch {
		return t.flush(nil)
	}
	return nil
}

func bodyHash(body []byte) int64 {
	h := sha256.Sum256(body)
	return int64(binary.BigEndian.Uint64(h[:]))
}

// cut ends the block in hand.
func (t *Taking) cut() {
	if len(t.block.slots) == 0 {
		return
	}
	t.cuts = append(t.cuts, packed{t.blocks, len(t.block.slots), t.block.encode()})
	t.block, t.blocks = block{}, t.blocks+1
}

// flush keeps the batch in one transaction; end, when given, runs in it too.
func (t *Taking) flush(end func(*tx) error) error {
	t.cut()
	counts, intake := t.Counts, t.intakeK
	err := t.s.update(t.ctx, func(x *tx) error {
		b := &batch{Taking: t, tx: x}
		for _, step := range []func() error{b.begin, b.progress, b.keepBlocks, b.statements, b.observations, b.series} {
			if err := step(); err != nil {
				return err
			}
		}
		if end != nil {
			return end(x)
		}
		return nil
	})
	if err != nil {
		t.Counts, t.intakeK = counts, intake
		return err
	}
	clear(t.buf)
	t.buf, t.cuts, t.weight = t.buf[:0], nil, 0
	return nil
}

// progress is where a killed import goes on.
func (b *batch) progress() error {
	looks, points := false, false
	for i := range b.buf {
		looks = looks || len(b.buf[i].said.Observations)+len(b.buf[i].said.Coverage) > 0
		points = points || len(b.buf[i].said.Points) > 0
	}
	_, err := b.exec("update intakes set records = ?, looks = case when looks + ? > 0 then 1 else 0 end, points = case when points + ? > 0 then 1 else 0 end, time = ? where k = ?",
		b.Read, boolInt(looks), boolInt(points), us(b.in.Time), b.intakeK)
	return err
}

func (b *batch) keepBlocks() error {
	w := b.bulk("blocks", "k, records, body", "")
	for _, c := range b.cuts {
		if err := w.add(b.intakeK<<20|c.n, c.records, c.body); err != nil {
			return err
		}
	}
	return w.flush()
}

// Finish keeps the rest and marks the document as done. The time is what the
// document says of its own; zero keeps the intake's.
func (t *Taking) Finish(size int64, own time.Time) error {
	if !own.IsZero() {
		t.in.Time = own
	}
	return t.flush(func(x *tx) error {
		switch {
		case t.src.Full && t.late != 0:
			if err := x.replayFull(t.sourceK, t.markK, t.intakeK); err != nil {
				return err
			}
		case t.src.Full:
			if err := t.closeAbsent(x); err != nil {
				return err
			}
		}
		if len(t.lateLooks) > 0 {
			if err := x.replayAssets(t.lateLooks, t.way.Own, t.intakeK); err != nil {
				return err
			}
		}
		if t.lateSeries {
			if err := x.replaySeries(t.intakeK); err != nil {
				return err
			}
		}
		if _, err := x.exec("update intakes set done = 1, time = ? where k = ?", us(t.in.Time), t.intakeK); err != nil {
			return err
		}
		if _, err := x.exec("update documents set size = ? where k = (select document_k from intakes where k = ?)", size, t.intakeK); err != nil {
			return err
		}
		subject := t.in.Address
		if t.in.Marking.TLP >= vedette.TLPRed {
			subject = "a RED document" // its name is content too
		}
		return x.event(vedette.Event{Principal: t.p.Name, Token: t.p.Token, Verb: "import", Subject: subject, Constituent: t.in.Constituent,
			Detail: map[string]string{"document": t.in.Document, "source": t.src.Name, "format": t.in.Format, "marking": t.in.Marking.String(),
				"read": strconv.Itoa(t.Read), "new": strconv.Itoa(t.New), "changed": strconv.Itoa(t.Changed), "closed": strconv.Itoa(t.Closed)}})
	})
}
