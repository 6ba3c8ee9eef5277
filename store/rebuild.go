package store

import (
	"context"
	"slices"

	"github.com/vedette-hub/vedette"
)

// Worker is where the line takes its work from: the store, or the one
// transaction of a rebuild.
type Worker interface {
	Work(ctx context.Context, stage Stage, n int, f func(*Work) error) (int, error)
	Names(ctx context.Context) (map[int64]vedette.ProductName, error)
	Aliases(ctx context.Context) ([]AliasRow, error)
	NamesVersion(ctx context.Context) (NamesVersion, error)
	Markings(ctx context.Context) (map[int64]vedette.Marking, error)
}

// rebuilding is the line's work inside the transaction of a rebuild: readers
// see the old generation until the new one is whole.
type rebuilding struct{ t *tx }

func (r rebuilding) Work(_ context.Context, stage Stage, n int, f func(*Work) error) (int, error) {
	return r.t.take(stage, n, func(keys []int64) error { return f(&Work{r.t, keys}) })
}
func (r rebuilding) Names(context.Context) (map[int64]vedette.ProductName, error) { return names(r.t) }
func (r rebuilding) Aliases(context.Context) ([]AliasRow, error)                  { return aliases(r.t) }
func (r rebuilding) NamesVersion(context.Context) (NamesVersion, error)           { return namesVersion(r.t) }
func (r rebuilding) Markings(context.Context) (map[int64]vedette.Marking, error) {
	return r.t.allMarkings(r.t)
}

// Rebuild computes everything again that is derived from documents and
// claims: heads, relationships, ranges, series, intervals, pairs, findings.
// Claims, documents, constituents, people and events stay as they are, and
// nothing leaves the house. The line's stages run inside it.
func (sc *Scoped) Rebuild(ctx context.Context, own Owner, line func(Worker) error) error {
	if err := sc.may("rebuild"); err != nil {
		return err
	}
	return sc.s.update(ctx, func(t *tx) error {
		if err := t.alone(); err != nil {
			return err
		}
		for _, table := range []string{"heads", "vals", "edges", "affected", "exploited", "pairs", "findings", "evidence"} {
			if _, err := t.once("delete from " + table); err != nil {
				return err
			}
		}
		if _, err := t.once("delete from aliases where claim_k <> 0"); err != nil {
			return err
		}
		if err := t.d.emptyTexts(t); err != nil {
			return err
		}
		if err := t.rederiveAll(); err != nil {
			return err
		}
		if err := t.replaySeries(0); err != nil {
			return err
		}
		if err := t.replayAll(own); err != nil {
			return err
		}
		if err := t.refill(); err != nil {
			return err
		}
		if err := line(rebuilding{t}); err != nil {
			return err
		}
		return t.event(sc.did("rebuild", "derived rows", nil))
	})
}

// rederiveAll derives from every object's claims.
func (t *tx) rederiveAll() error { return t.eachObject("claims", t.rederive) }

// eachObject hands the objects that a table names to f, some thousands at a time.
func (t *tx) eachObject(table string, f func([]int64) error) error {
	for from := int64(0); ; {
		var ks []int64
		if err := t.each("select distinct object_k from "+table+" where object_k > ? order by object_k limit 5000", []any{from}, collect(&ks)); err != nil || len(ks) == 0 {
			return err
		}
		if err := f(ks); err != nil {
			return err
		}
		from = ks[len(ks)-1]
	}
}

// refill gives the stages everything to do.
func (t *tx) refill() error {
	for _, q := range []struct {
		stage Stage
		from  string
	}{
		{StageFact, "select k from facts"},
		{StageAsset, "select k from assets"},
		{StageAsset, "select -k from constituents where removed_at is null"},
	} {
		if _, err := t.exec("delete from todo where stage = ?", q.stage.k); err != nil {
			return err
		}
	}
	if _, err := t.exec("delete from todo where stage in (?, ?)", StageName.k, StageVulnerability.k); err != nil {
		return err // facts meet all vulnerabilities anyway
	}
	for _, q := range []string{"insert into todo(stage, key, urgent) select ?, k, 0 from facts order by k"} {
		if _, err := t.exec(q, StageFact.k); err != nil {
			return err
		}
	}
	if err := t.touchKept("1 = 1"); err != nil { // one whose findings are gone is not touched by them
		return err
	}
	for _, from := range []string{"k, 0 from assets order by k", "-k, 0 from constituents where removed_at is null order by k"} {
		if _, err := t.exec("insert into todo(stage, key, urgent) select ?, "+from, StageAsset.k); err != nil {
			return err
		}
	}
	return nil
}

// kept is an intake whose documents are read again.
type kept struct {
	k, time, mark, constituent int64
	bound                      bool
	format, constituentID      string
}

func (t *tx) kept(where string) ([]kept, error) {
	var out []kept
	err := t.each("select i.k, i.time, i.mark_k, i.constituent_k, i.bound, f.text, coalesce(c.id, '') from intakes i join terms f on f.k = i.format_k left join constituents c on c.k = i.constituent_k where i.purged_at is null and "+where+" order by i.time, i.k", nil, func(scan func(...any) error) error {
		var k kept
		var bound int64
		err := scan(&k.k, &k.time, &k.mark, &k.constituent, &bound, &k.format, &k.constituentID)
		k.bound = bound == 1
		out = append(out, k)
		return err
	})
	return out, err
}

// reread is a batch of an intake that is read again.
func (t *tx) reread(in kept, own Owner) (*batch, error) {
	m, err := t.marking(t, in.mark)
	if err != nil {
		return nil, err
	}
	return &batch{tx: t, Taking: &Taking{s: t.Store, ctx: t.ctx, bound: in.bound, intakeK: in.k, markK: in.mark, constituentK: in.constituent, replayed: true, seen: map[int64]bool{},
		in: vedette.Intake{Marking: m, Time: at(in.time), Constituent: in.constituentID}, way: Way{Own: own}}}, nil
}

// replay reads the kept records of an intake again and hands them to run in batches.
func (t *tx) replay(in kept, own Owner, keep func(*vedette.Said), run func(*batch) error) error {
	b, err := t.reread(in, own)
	if err != nil {
		return err
	}
	var blocks []int64
	if err := t.each("select k from blocks where k between ? and ? order by k", []any{in.k << 20, in.k<<20 | (1<<20 - 1)}, func(scan func(...any) error) error {
		var k int64
		err := scan(&k)
		blocks = append(blocks, k)
		return err
	}); err != nil {
		return err
	}
	bs := newBodies(t)
	for _, k := range blocks {
		bl, err := bs.block(k)
		if err != nil {
			return err
		}
		delete(bs.blocks, k)
		for i, s := range bl.slots {
			if i > 0 && bl.slots[i-1] == s {
				continue // another statement of the same record
			}
			said, err := t.opt.Say(in.format, bl.body[s.off:s.off+s.len])
			if err != nil {
				continue // blanked by a purge
			}
			keep(&said)
			b.buf = append(b.buf, entry{said, k & (1<<20 - 1), int64(i), bodyHash(bl.body[s.off : s.off+s.len])})
		}
		if len(b.buf) >= t.opt.Batch {
			if err := run(b); err != nil {
				return err
			}
			b.buf = b.buf[:0]
		}
	}
	return run(b)
}

// replaySeries computes the EPSS series again from all its documents, in the
// order of their days: a late document cannot change what order would give.
func (t *tx) replaySeries(with int64) error {
	for _, q := range []string{"delete from epss", "delete from epss_now"} {
		if _, err := t.exec(q); err != nil {
			return err
		}
	}
	ins, err := t.kept("i.points = 1 and (i.done = 1 or i.k = " + itoa(with) + ")")
	if err != nil {
		return err
	}
	for _, in := range ins {
		if err := t.replay(in, nil, func(*vedette.Said) {}, (*batch).series); err != nil {
			return err
		}
	}
	return nil
}

// replayFull computes the claims of a full source at one marking again from
// all its documents in the order of time: a late document may say that
// something was left out earlier than was known.
func (t *tx) replayFull(source, mark, with int64) error {
	var claims []int64
	if err := t.each("select k from claims where source_k = ? and mark_k = ?", []any{source, mark}, collect(&claims)); err != nil {
		return err
	}
	if err := t.forgetDerived(claims); err != nil {
		return err
	}
	objects := map[int64]bool{}
	if err := t.each("select distinct object_k from claims where source_k = ? and mark_k = ?", []any{source, mark}, func(scan func(...any) error) error {
		var k int64
		err := scan(&k)
		objects[k] = true
		return err
	}); err != nil {
		return err
	}
	if _, err := t.exec("delete from claims where source_k = ? and mark_k = ?", source, mark); err != nil {
		return err
	}
	for k := range objects { // written anew with the first claim
		if _, err := t.exec("delete from texts where rowid = ?", headKey{k, mark}.key()); err != nil {
			return err
		}
	}
	ins, err := t.kept("i.source_k = " + itoa(source) + " and i.mark_k = " + itoa(mark) + " and (i.done = 1 or i.k = " + itoa(with) + ")")
	if err != nil {
		return err
	}
	for _, in := range ins {
		if err := t.replayFullOne(in, source); err != nil {
			return err
		}
	}
	if err := t.rederive(keysOf(objects)); err != nil { // what is left of objects the source says nothing of now
		return err
	}
	return t.todo(StageVulnerability, false, keysOf(objects)...)
}

func (t *tx) replayFullOne(in kept, source int64) error {
	var last *batch
	seen := map[int64]bool{}
	if err := t.replay(in, nil, func(*vedette.Said) {}, func(b *batch) error {
		b.src.Full, b.sourceK, b.way.Shrink, b.seen = true, source, true, seen
		last = b
		return b.statements()
	}); err != nil {
		return err
	}
	return last.closeAbsent(t)
}

// replayAll computes all intervals again from the looks of all documents.
func (t *tx) replayAll(own Owner) error {
	if err := t.tallyOpen("k >= 0", -1); err != nil {
		return err
	}
	if _, err := t.exec("delete from observations where asset_k <> 0"); err != nil {
		return err
	}
	ins, err := t.kept("i.looks = 1 and i.done = 1")
	if err != nil {
		return err
	}
	for _, in := range ins {
		if err := t.replay(in, own, func(*vedette.Said) {}, (*batch).observations); err != nil {
			return err
		}
	}
	return nil
}

// replayAssets computes the intervals of some assets again.
func (t *tx) replayAssets(assets map[int64]bool, own Owner, with int64) error {
	ids := map[string]bool{}
	var ks []int64
	for k := range assets {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	from := map[int64]bool{with: true}
	for part := range slices.Chunk(ks, 400) {
		if err := t.each("select id from assets where k in "+ints(part), nil, func(scan func(...any) error) error {
			var id string
			err := scan(&id)
			ids[id] = true
			return err
		}); err != nil {
			return err
		}
		if err := t.each("select distinct intake_k from observations where asset_k in "+ints(part), nil, func(scan func(...any) error) error {
			var k int64
			err := scan(&k)
			from[k] = true
			return err
		}); err != nil {
			return err
		}
		// findings point at intervals that go: the stage of the assets makes them again
		var cons []int64
		if err := t.each("select distinct constituent_k from observations where asset_k in "+ints(part), nil, collect(&cons)); err != nil {
			return err
		}
		if err := t.dropFindings("constituent_k in " + ints(cons) + " and asset_k in " + ints(part)); err != nil {
			return err
		}
		if err := t.todo(StageAsset, false, part...); err != nil {
			return err
		}
		if err := t.tallyOpen("asset_k in "+ints(part), -1); err != nil {
			return err
		}
		if _, err := t.once("delete from observations where asset_k in " + ints(part)); err != nil {
			return err
		}
	}
	if err := t.each("select intake_k, assets from coverage", nil, func(scan func(...any) error) error {
		var k int64
		var packed []byte
		if err := scan(&k, &packed); err != nil || from[k] {
			return err
		}
		from[k] = slices.ContainsFunc(ks, func(a int64) bool { return inRanges(packed, a) })
		return nil
	}); err != nil {
		return err
	}
	return t.replayFrom(from, ids, own, with)
}

func (t *tx) replayFrom(from map[int64]bool, ids map[string]bool, own Owner, with int64) error {
	ins, err := t.kept("i.looks = 1 and (i.done = 1 or i.k = " + itoa(with) + ")")
	if err != nil {
		return err
	}
	only := func(said *vedette.Said) {
		said.Observations = slices.DeleteFunc(said.Observations, func(o vedette.Observation) bool { return !ids[o.Asset] })
		said.Coverage = slices.DeleteFunc(said.Coverage, func(c vedette.Coverage) bool { return !ids[c.Asset] })
	}
	for _, in := range ins {
		if !from[in.k] {
			continue
		}
		if err := t.replay(in, own, only, (*batch).observations); err != nil {
			return err
		}
	}
	return nil
}

// retext writes the full text of objects' heads again.
func (t *tx) retext(objects []int64) error {
	all, err := t.loadClaims(objects, "")
	if err != nil {
		return err
	}
	by := map[headKey][]current{}
	d := t.deriver(nil)
	for h, cs := range all {
		last := cs[len(cs)-1]
		st, err := d.statement(last)
		if err != nil {
			return err
		}
		k := headKey{h.object, h.mark}
		by[k] = append(by[k], current{last, h.source, st})
	}
	for k, now := range by {
		sts := ordered(now)
		if err := d.texts.add(k.key(), headText(sts, t.opt.Fold(sts))); err != nil {
			return err
		}
	}
	return d.flush()
}

// Records are all kept records, decompressed: a test asks whether anything
// purged is left in them.
func (y *System) Records(ctx context.Context) ([][]byte, error) {
	var out [][]byte
	err := y.s.each(ctx, "select body from blocks order by k", nil, func(scan func(...any) error) error {
		var packed []byte
		if err := scan(&packed); err != nil {
			return err
		}
		b, err := decodeBlock(packed)
		if err != nil {
			return err
		}
		out = append(out, b.body)
		return nil
	})
	return out, err
}

// Integrity asks the engine whether its file is whole; "" is yes.
func (y *System) Integrity(ctx context.Context) (fault string, err error) {
	if y.s.d.integrity == "" {
		return "", nil
	}
	_, err = one(reader{y.s, ctx}, y.s.d.integrity, nil, &fault)
	if fault == "ok" {
		fault = ""
	}
	return fault, err
}
