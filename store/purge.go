package store

import (
	"context"
	"encoding/hex"
	"slices"

	"github.com/vedette-hub/vedette"
)

// Purge is what to destroy: exactly one of the fields is set.
type Purge struct {
	Document string // SHA-256, hex: all its intakes
	Source   string // everything a source said; person:NAME for a person
	Object   string // what every source said of one object
}

// Purged is what a purge destroyed.
type Purged struct {
	Intakes int `json:"intakes"`
	Claims  int `json:"claims"`
	Objects int `json:"objects"` // recomputed from what is left
	Assets  int `json:"assets"`
}

// Purge destroys content and recomputes what was derived from it. A tombstone
// of each document stays: its hash, and when it went. The file is compacted
// last, so that nothing is left in free pages.
func (sc *Scoped) Purge(ctx context.Context, what Purge, reason string, own Owner) (Purged, error) {
	if err := sc.may("purge"); err != nil {
		return Purged{}, err
	}
	var done Purged
	if reason == "" {
		return done, vedette.Invalid("a purge needs a reason")
	}
	err := sc.s.update(ctx, func(t *tx) error {
		if err := t.alone(); err != nil {
			return err
		}
		var err error
		subject := what.Document + what.Source + what.Object
		if what.Object != "" {
			done, err = t.purgeObject(what.Object)
		} else {
			done, err = t.purgeIntakes(what, own)
		}
		if err != nil {
			return err
		}
		if err := t.sweep(); err != nil {
			return err
		}
		e := sc.did("purge", subject, map[string]string{"claims": itoa(int64(done.Claims)), "intakes": itoa(int64(done.Intakes))})
		e.Reason = reason
		return t.event(e)
	})
	if err == nil {
		sc.s.forget()
	}
	return done, err
}

func (t *tx) purgeIntakes(what Purge, own Owner) (done Purged, err error) {
	q, args := "select i.k from intakes i join sources s on s.k = i.source_k where i.purged_at is null and s.name = ?", []any{what.Source}
	if what.Document != "" {
		hash, err := hex.DecodeString(what.Document)
		if err != nil || len(hash) != 32 {
			return done, vedette.Invalid("document %q is not a SHA-256 in hex", what.Document)
		}
		q, args = "select i.k from intakes i join documents d on d.k = i.document_k where i.purged_at is null and d.hash = ?", []any{hash}
	}
	var intakes []int64
	if err := t.each(q+" order by i.k", args, collect(&intakes)); err != nil {
		return done, err
	}
	if len(intakes) == 0 {
		return done, vedette.NotFound("no document to purge: %s%s", what.Document, what.Source)
	}
	objects, assets := map[int64]bool{}, map[int64]bool{}
	series := false
	full, err := t.fullAmong(intakes)
	if err != nil {
		return done, err
	}
	for _, k := range intakes {
		n, err := t.purgeIntake(k, objects, assets, &series)
		if err != nil {
			return done, err
		}
		done.Claims += n
	}
	for _, f := range full {
		if err := t.replayFull(f.source, f.mark, 0); err != nil {
			return done, err
		}
	}
	if err := t.settle(objects); err != nil {
		return done, err
	}
	if len(assets) > 0 {
		if err := t.replayAssets(assets, own, 0); err != nil {
			return done, err
		}
		ks := keysOf(assets)
		if err := t.todo(StageAsset, false, ks...); err != nil {
			return done, err
		}
	}
	if series {
		err = t.replaySeries(0)
	}
	done.Intakes, done.Objects, done.Assets = len(intakes), len(objects), len(assets)
	return done, err
}

// fullAmong are the full sources, by marking, of intakes: what they left out
// depends on all their documents.
func (t *tx) fullAmong(intakes []int64) ([]holder, error) {
	var all []holder
	if err := t.each("select distinct source_k, mark_k from intakes where k in "+ints(intakes), nil, func(scan func(...any) error) error {
		var h holder
		err := scan(&h.source, &h.mark)
		all = append(all, h)
		return err
	}); err != nil {
		return nil, err
	}
	var out []holder
	for _, h := range all {
		full, err := t.fullSource(h.source)
		if err != nil {
			return nil, err
		}
		if full {
			out = append(out, h)
		}
	}
	return out, nil
}

func collect(into *[]int64) func(scan func(...any) error) error {
	return func(scan func(...any) error) error {
		var k int64
		err := scan(&k)
		*into = append(*into, k)
		return err
	}
}

func keysOf(set map[int64]bool) []int64 {
	out := make([]int64, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// purgeIntake takes the claims, the records and the coverage of one intake away.
func (t *tx) purgeIntake(k int64, objects, assets map[int64]bool, series *bool) (claims int, err error) {
	var gone []int64
	if err := t.each("select k, object_k from claims where k between ? and ?", []any{k << 32, (k+1)<<32 - 1}, func(scan func(...any) error) error {
		var c, o int64
		err := scan(&c, &o)
		gone, objects[o] = append(gone, c), true
		return err
	}); err != nil {
		return 0, err
	}
	if err := t.forgetDerived(gone); err != nil {
		return 0, err
	}
	var as []int64
	if err := t.each("select distinct asset_k from observations where intake_k = ? and asset_k <> 0", []any{k}, collect(&as)); err != nil {
		return 0, err
	}
	if err := t.each("select assets from coverage where intake_k = ?", []any{k}, func(scan func(...any) error) error {
		var packed []byte
		err := scan(&packed)
		as = append(as, unpackRanges(packed)...)
		return err
	}); err != nil {
		return 0, err
	}
	for _, a := range as {
		assets[a] = true
	}
	var points int64
	if _, err := one(t, "select points from intakes where k = ?", []any{k}, &points); err != nil {
		return 0, err
	}
	*series = *series || points == 1
	return len(gone), t.blankIntake(k)
}

func (t *tx) blankIntake(k int64) error {
	for _, q := range []struct {
		text string
		args []any
	}{
		{"delete from claims where k between ? and ?", []any{k << 32, (k+1)<<32 - 1}},
		{"delete from blocks where k between ? and ?", []any{k << 20, (k+1)<<20 - 1}},
		{"delete from coverage where intake_k = ?", []any{k}},
		{"update intakes set purged_at = ?, address = '' where k = ?", []any{us(t.Now()), k}},
		{"update documents set purged_at = ? where k = (select document_k from intakes where k = ?) and not exists (select 1 from intakes i where i.document_k = documents.k and i.purged_at is null)", []any{us(t.Now()), k}},
	} {
		if _, err := t.exec(q.text, q.args...); err != nil {
			return err
		}
	}
	return nil
}

// forgetDerived removes the rows that claims derived, while their bodies can still be read.
func (t *tx) forgetDerived(claims []int64) error {
	d := t.deriver(nil)
	for _, c := range claims {
		var k headKey
		if _, err := one(t, "select object_k, mark_k from claims where k = ?", []any{c}, &k.object, &k.mark); err != nil {
			return err
		}
		if err := d.drop(k, &claim{k: c}); err != nil {
			return err
		}
	}
	return d.flush()
}

// settle gives the claims that are left the intervals they would have without
// what was purged, and derives from them.
func (t *tx) settle(objects map[int64]bool) error {
	ks := keysOf(objects)
	all, err := t.loadClaims(slices.Clone(ks), "")
	if err != nil {
		return err
	}
	for h, cs := range all {
		full, err := t.fullSource(h.source)
		if err != nil {
			return err
		}
		for i, c := range cs {
			end := int64(open)
			if i+1 < len(cs) {
				end = cs[i+1].from
			}
			if full || c.closed == end { // replayed already
				continue
			}
			if _, err := t.exec("update claims set closed_t = ? where k = ?", nullOpen(end), c.k); err != nil {
				return err
			}
		}
	}
	if err := t.rederive(ks); err != nil {
		return err
	}
	return t.todo(StageVulnerability, false, ks...)
}

func (t *tx) fullSource(k int64) (bool, error) {
	var name string
	if _, err := one(t, "select name from sources where k = ?", []any{k}, &name); err != nil {
		return false, err
	}
	src, _, err := t.source(vedette.Source{Name: name})
	return src.Full, err
}

// purgeObject blanks what every source said of one object: the bytes of its
// records at equal length, so that everything beside them keeps its place.
func (t *tx) purgeObject(id string) (done Purged, err error) {
	b := &batch{tx: t}
	set := &objectSet{keys: map[string]int64{id: 0}, old: map[int64]bool{}}
	if err := b.lookup(set); err != nil {
		return done, err
	}
	k := set.of(id)
	if k == 0 {
		return done, vedette.NotFound("%s", id)
	}
	var claims []int64
	if err := t.each("select k from claims where object_k = ? order by k", []any{k}, collect(&claims)); err != nil {
		return done, err
	}
	if err := t.forgetDerived(claims); err != nil {
		return done, err
	}
	// a record may say something of other objects too: those lose it as well
	objects := map[int64]bool{k: true}
	for _, c := range claims {
		if err := t.blank(c, objects); err != nil {
			return done, err
		}
	}
	done.Claims, done.Objects = len(claims), len(objects)
	return done, t.settle(objects)
}

// blank overwrites the record of a claim with spaces, and removes every claim of that record.
func (t *tx) blank(c int64, objects map[int64]bool) error {
	bs := newBodies(t)
	k := claimBlock(c)
	bl, err := bs.block(k)
	if err != nil {
		return err
	}
	s := bl.slots[claimSlot(c)]
	for i := range bl.body[s.off : s.off+s.len] {
		bl.body[int(s.off)+i] = ' '
	}
	first := c - claimSlot(c)
	var same []int64
	for i, o := range bl.slots {
		if o == s {
			same = append(same, first+int64(i))
		}
	}
	var others []int64
	if err := t.each("select k, object_k from claims where k in "+ints(same), nil, func(scan func(...any) error) error {
		var k, o int64
		err := scan(&k, &o)
		objects[o] = true
		if k != c {
			others = append(others, k)
		}
		return err
	}); err != nil {
		return err
	}
	if err := t.forgetDerived(others); err != nil {
		return err
	}
	if _, err := t.once("delete from claims where k in " + ints(same)); err != nil {
		return err
	}
	_, err = t.exec("update blocks set body = ? where k = ?", bl.encode(), k)
	return err
}

// unpackRanges is the set of keys that packRanges packed.
func unpackRanges(packed []byte) []int64 {
	var out []int64
	eachRange(packed, func(lo, hi int64) bool {
		for k := lo; k < hi; k++ {
			out = append(out, k)
		}
		return true
	})
	return out
}

// sweep removes what nothing refers to any more: objects, facts, names, assets
// and terms that only purged documents spoke of.
func (t *tx) sweep() error {
	for _, q := range []string{
		"delete from pairs where not exists (select 1 from observations o where o.fact_k = pairs.fact_k)",
		"delete from evidence where not exists (select 1 from observations o where o.k = evidence.observation_k) or not exists (select 1 from pairs p where p.k = evidence.pair_k)",
		"delete from findings where not exists (select 1 from evidence e where e.finding_k = findings.k)",
		"delete from fact_names where not exists (select 1 from observations o where o.fact_k = fact_names.fact_k)",
		"delete from facts where not exists (select 1 from observations o where o.fact_k = facts.k)",
		"delete from assets where not exists (select 1 from observations o where o.asset_k = assets.k)",
		"delete from asset_users where not exists (select 1 from assets a where a.k = asset_users.asset_k)",
		"delete from heads where not exists (select 1 from claims c where c.object_k = heads.object_k and c.mark_k = heads.mark_k)",
		"delete from objects where not exists (select 1 from claims c where c.object_k = objects.k) and not exists (select 1 from edges e where e.src = objects.k) and not exists (select 1 from edges e where e.dst = objects.k) and not exists (select 1 from objects o where o.same_k = objects.k) and (same_k = 0 or not exists (select 1 from claims c where c.object_k = objects.same_k))",
		"delete from names where not exists (select 1 from affected a where a.name_k = names.k) and not exists (select 1 from fact_names f where f.name_k = names.k) and not exists (select 1 from aliases a where a.from_k = names.k or a.to_k = names.k)",
		"delete from terms where k not in (select type_k from objects union select rel from edges union select format_k from intakes union select kind_k from assets union select check_k from observations union select proto_k from observations union select place_k from observations union select check_k from coverage union select model_k from epss union select proto_k from findings union select place_k from findings union select kind_k from counters)",
	} {
		if _, err := t.once(q); err != nil {
			return err
		}
	}
	return t.d.forgetTexts(t)
}

// Compact gives free pages back and overwrites what they held.
func (sc *Scoped) Compact(ctx context.Context) error {
	if err := sc.may("purge"); err != nil {
		return err
	}
	for _, q := range sc.s.d.compact {
		if _, err := sc.s.write.ExecContext(ctx, q); err != nil {
			return classify(err)
		}
	}
	return nil
}
