package store

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/vedette-hub/vedette"
)

// Ranged is one range of one vulnerability, as one source states it.
type Ranged struct {
	Object   int64
	Weakness string
	Name     int64 // of the product
	Source   string
	Mark     int64
	// Range tells ranges apart: one is listed under each name of its product.
	Range    RangeKey
	Affected vedette.Affected
}

// RangeKey is a range of a claim.
type RangeKey struct{ Claim, N int64 }

// Pair is that a fact meets a vulnerability: what was matched once for all
// places that show the fact.
type Pair struct {
	Object, Fact, Mark int64
	Match              vedette.Match
}

// AliasRow is that two product names are one product's.
type AliasRow struct {
	From, To, Mark int64
	Accepted       bool // by a person
}

// Work is one batch of one stage, inside its transaction.
type Work struct {
	t    *tx
	Keys []int64
}

// Work hands up to n keys of a stage to f, urgent ones first, and returns how
// many to-do rows that was. What f does is kept together with their removal.
func (y *System) Work(ctx context.Context, stage Stage, n int, f func(*Work) error) (int, error) {
	return y.s.work(ctx, stage, n, func(t *tx, keys []int64) error { return f(&Work{t, keys}) })
}

// Seal chains the events that are not sealed yet.
func (y *System) Seal(ctx context.Context) error { return y.s.seal(ctx) }

// Markings are all markings by key.
func (y *System) Markings(ctx context.Context) (map[int64]vedette.Marking, error) {
	return y.s.markings(ctx)
}

// Context is the batch's context.
func (w *Work) Context() context.Context { return w.t.ctx }

// NamesVersion changes when a product name or an alias does.
type NamesVersion struct{ Name, Aliases, States int64 }

// NamesVersion is the version of names and aliases now.
func (y *System) NamesVersion(ctx context.Context) (NamesVersion, error) {
	return namesVersion(reader{y.s, ctx})
}

func namesVersion(q querier) (v NamesVersion, err error) {
	if _, err = one(q, "select coalesce(max(k), 0) from names", nil, &v.Name); err != nil {
		return v, err
	}
	_, err = one(q, "select count(*), coalesce(sum(state), 0) from aliases", nil, &v.Aliases, &v.States)
	return v, err
}

// Rematch has the vulnerabilities of products with these names matched again,
// and the facts that show them.
func (w *Work) Rematch(names []int64) error {
	shown, err := w.FactsNamed(names)
	if err != nil || len(shown) == 0 { // nobody shows any of them
		return err
	}
	var objects []int64
	for part := range slices.Chunk(names, 400) {
		if err := w.t.each("select distinct object_k from affected where name_k in "+ints(part), nil, func(scan func(...any) error) error {
			var k int64
			err := scan(&k)
			objects = append(objects, k)
			return err
		}); err != nil {
			return err
		}
	}
	slices.Sort(objects)
	return w.t.todo(StageVulnerability, false, slices.Compact(objects)...)
}

// Names are all product names by key.
func (y *System) Names(ctx context.Context) (map[int64]vedette.ProductName, error) {
	return names(reader{y.s, ctx})
}

func names(q querier) (map[int64]vedette.ProductName, error) {
	out := map[int64]vedette.ProductName{}
	err := q.each("select k, scheme, vendor, product from names", nil, func(scan func(...any) error) error {
		var k int64
		var n vedette.ProductName
		err := scan(&k, &n.Scheme, &n.Vendor, &n.Product)
		out[k] = n
		return err
	})
	return out, err
}

// Aliases are the aliases that join names: stated and not rejected, or accepted.
func (y *System) Aliases(ctx context.Context) ([]AliasRow, error) {
	return aliases(reader{y.s, ctx})
}

func aliases(q querier) ([]AliasRow, error) {
	var out []AliasRow
	err := q.each(`select from_k, to_k, mark_k, state from aliases where state in (1, 2)
		and not exists (select 1 from aliases r where r.from_k = aliases.from_k and r.to_k = aliases.to_k and r.state = 3) order by from_k, to_k, claim_k`, nil,
		func(scan func(...any) error) error {
			var a AliasRow
			var state int64
			err := scan(&a.From, &a.To, &a.Mark, &state)
			a.Accepted = state == aliasAccepted
			out = append(out, a)
			return err
		})
	return out, err
}

const rangedColumns = `affected.object_k, objects.id, affected.name_k, sources.name, affected.mark_k, affected.claim_k, affected.n, affected.body from affected
	join objects on objects.k = affected.object_k join claims on claims.k = affected.claim_k join sources on sources.k = claims.source_k`

// RangesOf are the ranges of vulnerabilities; RangesNamed those of product names.
func (w *Work) RangesOf(objects []int64) ([]Ranged, error) {
	return ranges(w.t, "affected.object_k", objects)
}

// RangesNamed are the ranges of the products with these names.
func (w *Work) RangesNamed(names []int64) ([]Ranged, error) {
	return ranges(w.t, "affected.name_k", names)
}

// Ranges are the ranges of a vulnerability that the principal may see.
func (sc *Scoped) Ranges(ctx context.Context, id string) ([]Ranged, error) {
	k, _, err := sc.object(ctx, id)
	if err != nil {
		return nil, err
	}
	return ranges(sc.reader(ctx), sc.seen("affected.mark_k")+" and affected.object_k", []int64{k})
}

func ranges(q querier, column string, ks []int64) ([]Ranged, error) {
	var out []Ranged
	for part := range slices.Chunk(ks, 400) {
		if err := q.each("select "+rangedColumns+" where "+column+" in "+ints(part)+" order by affected.object_k, affected.claim_k, affected.n", nil, func(scan func(...any) error) error {
			var r Ranged
			var body string
			if err := scan(&r.Object, &r.Weakness, &r.Name, &r.Source, &r.Mark, &r.Range.Claim, &r.Range.N, &body); err != nil {
				return err
			}
			r.Range.N /= affectedNames
			err := json.Unmarshal([]byte(body), &r.Affected)
			out = append(out, r)
			return err
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Weaknesses gives the ids of vulnerabilities, with the name under which facts
// that report them are found.
func (w *Work) Weaknesses(objects []int64) (map[string]int64, error) {
	out := map[string]int64{}
	for part := range slices.Chunk(objects, 400) {
		if err := w.t.each("select k, id from objects where k in "+ints(part)+" or same_k in "+ints(part), nil, func(scan func(...any) error) error {
			var k int64
			var id string
			err := scan(&k, &id)
			out[id] = k
			return err
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// WeaknessKeys are the objects of reported weaknesses, through redirects.
func (w *Work) WeaknessKeys(ids []string) (map[string]int64, error) {
	set := &objectSet{keys: map[string]int64{}, old: map[int64]bool{}}
	for _, id := range ids {
		set.keys[id] = 0
	}
	err := (&batch{tx: w.t}).lookup(set)
	return set.keys, err
}

// Public is the marking of what everybody may know: a report's own marking is
// that of the observation.
func (w *Work) Public() (int64, error) {
	return w.t.mark(vedette.Marking{TLP: vedette.TLPClear})
}

// FactsNamed are the facts that show any of the product names, by name.
func (w *Work) FactsNamed(names []int64) (map[int64][]int64, error) { return factsNamed(w.t, names) }

func factsNamed(q querier, names []int64) (map[int64][]int64, error) {
	out := map[int64][]int64{}
	for part := range slices.Chunk(names, 400) {
		if err := q.each("select name_k, fact_k from fact_names where name_k in "+ints(part), nil, func(scan func(...any) error) error {
			var n, f int64
			err := scan(&n, &f)
			out[n] = append(out[n], f)
			return err
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// NamesOf are the product names of facts.
func (w *Work) NamesOf(facts []int64) (map[int64][]int64, error) {
	out := map[int64][]int64{}
	for part := range slices.Chunk(facts, 400) {
		if err := w.t.each("select name_k, fact_k from fact_names where fact_k in "+ints(part), nil, func(scan func(...any) error) error {
			var n, f int64
			err := scan(&n, &f)
			out[f] = append(out[f], n)
			return err
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Facts are facts by key.
func (w *Work) Facts(ks []int64) (map[int64]vedette.Fact, error) { return facts(w.t, ks) }

func facts(q querier, ks []int64) (map[int64]vedette.Fact, error) {
	out := make(map[int64]vedette.Fact, len(ks))
	for part := range slices.Chunk(ks, 400) {
		if err := q.each("select k, body from facts where k in "+ints(part), nil, func(scan func(...any) error) error {
			var k int64
			var body string
			if err := scan(&k, &body); err != nil {
				return err
			}
			var f vedette.Fact
			err := json.Unmarshal([]byte(body), &f)
			out[k] = f
			return err
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// JoinMarks interns the marking of what is made of all.
func (w *Work) JoinMarks(ks ...int64) (int64, error) { return w.t.joinMarks(ks...) }

func (t *tx) joinMarks(ks ...int64) (int64, error) {
	ks = slices.Compact(slices.Sorted(slices.Values(ks))) // the caller's list stays as it is
	if len(ks) == 1 {
		return ks[0], nil
	}
	if len(ks) == 2 {
		if k, ok := t.local[[2]int64(ks)]; ok {
			return k, nil
		}
	}
	var m vedette.Marking
	for i, k := range ks {
		o, err := t.marking(t, k)
		if err != nil {
			return 0, err
		}
		if i == 0 {
			m = o
		} else {
			m = m.Join(o)
		}
	}
	k, err := t.mark(m)
	if err == nil && len(ks) == 2 {
		t.local[[2]int64(ks)] = k
	}
	return k, err
}

// pairRow is a pair in the store.
type pairRow struct {
	k    int64
	rank int64
	body string
}

type pairKey struct{ object, fact, mark int64 }

// SetPairs makes the pairs of the vulnerabilities (or, when facts is set, of
// the facts) exactly these, and brings evidence and findings in line. Facts
// without any place yet cost nothing.
func (w *Work) SetPairs(objects, facts []int64, pairs []Pair) error {
	t := w.t
	column, ks := "object_k", objects
	if facts != nil {
		column, ks = "fact_k", facts
	}
	old := map[pairKey]pairRow{}
	for part := range slices.Chunk(ks, 400) {
		if err := t.each("select k, object_k, fact_k, mark_k, rank, body from pairs where "+column+" in "+ints(part), nil, func(scan func(...any) error) error {
			var r pairRow
			var k pairKey
			err := scan(&r.k, &k.object, &k.fact, &k.mark, &r.rank, &r.body)
			old[k] = r
			return err
		}); err != nil {
			return err
		}
	}
	changed, err := t.writePairs(old, pairs)
	if err != nil {
		return err
	}
	for _, r := range old { // what is left does not match any more
		if err := t.dropPair(r.k); err != nil {
			return err
		}
	}
	if facts != nil {
		return nil // their places are in the to-do of the assets
	}
	return t.expand(changed)
}

// pairMatch is what a pair keeps of a match: the weakness is its object.
type pairMatch struct {
	Software vedette.Software  `json:"s"`
	Reasons  []string          `json:"r"`
	Fixed    string            `json:"f,omitempty"`
	Source   string            `json:"w"`
	Requires []vedette.Require `json:"q,omitempty"`
}

func (t *tx) writePairs(old map[pairKey]pairRow, pairs []Pair) ([]placed, error) {
	slices.SortFunc(pairs, func(a, b Pair) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Fact, b.Fact), cmp.Compare(a.Mark, b.Mark))
	})
	var changed []placed
	ins := t.bulk("pairs", "k, object_k, fact_k, mark_k, rank, body", "")
	next, err := t.reserve("pairs", len(pairs))
	if err != nil {
		return nil, err
	}
	for _, p := range pairs {
		m := p.Match
		raw, err := json.Marshal(pairMatch{m.Software, m.Reasons, m.Fixed, m.Source, m.Requires})
		if err != nil {
			return nil, err
		}
		body, rank := clean(string(raw)), int64(m.Verdict.Rank())
		key := pairKey{p.Object, p.Fact, p.Mark}
		was, known := old[key]
		delete(old, key)
		switch {
		case known && was.rank == rank && was.body == body:
			continue
		case known:
			if _, err := t.exec("update pairs set rank = ?, body = ? where k = ?", rank, body, was.k); err != nil {
				return nil, err
			}
		default:
			was.k, next = next, next+1
			if err := ins.add(was.k, p.Object, p.Fact, p.Mark, rank, body); err != nil {
				return nil, err
			}
		}
		changed = append(changed, placed{was.k, p.Object, p.Fact, p.Mark, rank, m.Software, m.Requires})
	}
	return changed, ins.flush()
}

// dropPair removes a pair with its evidence, and findings that have no other.
func (t *tx) dropPair(k int64) error {
	var object int64
	if _, err := one(t, "select object_k from pairs where k = ?", []any{k}, &object); err != nil {
		return err
	}
	if _, err := t.exec("delete from evidence where finding_k in (select k from findings where object_k = ?) and pair_k = ?", object, k); err != nil {
		return err
	}
	if _, err := t.exec("delete from pairs where k = ?", k); err != nil {
		return err
	}
	if _, err := t.exec("delete from findings where object_k = ? and not exists (select 1 from evidence where evidence.finding_k = findings.k)", object); err != nil {
		return err
	}
	return t.touchKept("object_k = " + itoa(object))
}
