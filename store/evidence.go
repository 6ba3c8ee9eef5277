package store

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/vedette-hub/vedette"
)

// placed is a pair on its way to the places of its fact.
type placed struct {
	k, object, fact, mark, rank int64
	software                    vedette.Software // with requires only
	requires                    []vedette.Require
}

// site is an observation with what a finding's key needs.
type site struct {
	k, asset, constituent, check, port, proto, place, fact, mark, from int64
	assetID, constituentID                                             string
}

// siteColumns: the ids are looked up one by one. A join of the few places that
// are asked for would have a planner go through all assets there are.
const siteColumns = `o.k, o.asset_k, o.constituent_k, o.check_k, o.port, o.proto_k, o.place_k, o.fact_k, o.mark_k, o.from_t,
	coalesce((select a.id from assets a where a.k = o.asset_k), ''), coalesce((select c.id from constituents c where c.k = o.constituent_k), '') from observations o`

func (t *tx) sites(where string, args []any) ([]site, error) {
	var out []site
	err := t.each("select "+siteColumns+" where "+where+" order by o.k", args, func(scan func(...any) error) error {
		var s site
		err := scan(&s.k, &s.asset, &s.constituent, &s.check, &s.port, &s.proto, &s.place, &s.fact, &s.mark, &s.from, &s.assetID, &s.constituentID)
		out = append(out, s)
		return err
	})
	return out, err
}

// proof is one row of evidence to be, with its finding.
type proof struct {
	finding, observation, pair, mark, rank int64
	site                                   *site
	object                                 int64
}

// expand lays pairs on all places that show their facts.
func (t *tx) expand(pairs []placed) error {
	by := map[int64][]*placed{}
	var facts []int64
	for i := range pairs {
		p := &pairs[i]
		if by[p.fact] == nil {
			facts = append(facts, p.fact)
		}
		by[p.fact] = append(by[p.fact], p)
	}
	for part := range slices.Chunk(facts, 100) {
		sites, err := t.sites(t.d.among("o.fact_k", part))
		if err != nil {
			return err
		}
		proofs, err := t.proofs(sites, by)
		if err != nil {
			return err
		}
		if err := t.writeProofs(proofs, newHeld()); err != nil {
			return err
		}
	}
	return nil
}

// proofs lays the pairs of each site's fact on the site.
func (t *tx) proofs(sites []site, by map[int64][]*placed) ([]proof, error) {
	beside, err := t.beside(sites, by)
	if err != nil {
		return nil, err
	}
	ids, err := t.weaknesses(sites, by)
	if err != nil {
		return nil, err
	}
	var out []proof
	for i := range sites {
		s := &sites[i]
		check, err := t.text(t, s.check)
		if err != nil {
			return nil, err
		}
		for _, p := range by[s.fact] {
			v := t.opt.ByCheck(vedette.Verdicts[p.rank], check)
			if len(p.requires) > 0 {
				on, err := t.besideSite(beside[s.asset], s)
				if err != nil {
					return nil, err
				}
				v = t.opt.Settle(vedette.Match{Verdict: v, Software: p.software, Requires: p.requires}, on).Verdict
			}
			if !v.MakesFinding() {
				continue
			}
			mark, err := t.joinMarks(s.mark, p.mark)
			if err != nil {
				return nil, err
			}
			key, err := t.findingKey(ids[p.object], s)
			if err != nil {
				return nil, err
			}
			out = append(out, proof{key, s.k, p.k, mark, int64(v.Rank()), s, p.object})
		}
	}
	return out, nil
}

// weaknesses are the ids of the vulnerabilities that the sites' facts meet.
func (t *tx) weaknesses(sites []site, by map[int64][]*placed) (map[int64]string, error) {
	ids := map[int64]string{}
	var ks []int64
	for i := range sites {
		for _, p := range by[sites[i].fact] {
			if _, ok := ids[p.object]; !ok {
				ids[p.object] = ""
				ks = append(ks, p.object)
			}
		}
	}
	for part := range slices.Chunk(ks, 400) {
		where, args := t.d.among("k", part)
		if err := t.each("select k, id from objects where "+where, args, func(scan func(...any) error) error {
			var k int64
			var id string
			err := scan(&k, &id)
			ids[k] = id
			return err
		}); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

func (t *tx) findingKey(weakness string, s *site) (int64, error) {
	proto, err := t.text(t, s.proto)
	if err != nil {
		return 0, err
	}
	place, err := t.text(t, s.place)
	if err != nil {
		return 0, err
	}
	return vedette.FindingKey(s.constituentID, weakness, s.assetID, int(s.port), proto, place), nil
}

// shown is software on an asset with whose row shows it, to whom.
type shown struct {
	constituent, mark int64
	software          []vedette.Software
}

// besideSite is the software beside a site that every reader of the site may
// know of: a verdict tells of what it was settled with.
func (t *tx) besideSite(on []shown, s *site) ([]vedette.Software, error) {
	var out []vedette.Software
	for _, o := range on {
		if o.constituent != s.constituent {
			continue
		}
		if o.mark != s.mark {
			here, err := t.marking(t, s.mark)
			if err != nil {
				return nil, err
			}
			there, err := t.marking(t, o.mark)
			if err != nil {
				return nil, err
			}
			if j := here.Join(there); j.TLP != here.TLP || j.Audience != here.Audience {
				continue
			}
		}
		out = append(out, o.software...)
	}
	return out, nil
}

// beside is the other software of the assets for which some pair requires some.
func (t *tx) beside(sites []site, by map[int64][]*placed) (map[int64][]shown, error) {
	need := map[int64]bool{}
	for i := range sites {
		for _, p := range by[sites[i].fact] {
			if len(p.requires) > 0 && sites[i].asset != 0 {
				need[sites[i].asset] = true
			}
		}
	}
	if len(need) == 0 {
		return nil, nil
	}
	return softwareOn(t, need, "")
}

// softwareOn is all software seen now on each asset.
func softwareOn(q querier, assets map[int64]bool, and string) (map[int64][]shown, error) {
	ks := make([]int64, 0, len(assets))
	for k := range assets {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	type row struct{ constituent, mark, fact int64 }
	on := map[int64][]row{}
	var fs []int64
	for part := range slices.Chunk(ks, 400) {
		if err := q.each("select distinct asset_k, constituent_k, mark_k, fact_k from observations where closed_t is null and asset_k in "+ints(part)+and+" order by fact_k, constituent_k, mark_k", nil, func(scan func(...any) error) error {
			var a int64
			var r row
			err := scan(&a, &r.constituent, &r.mark, &r.fact)
			on[a] = append(on[a], r)
			fs = append(fs, r.fact)
			return err
		}); err != nil {
			return nil, err
		}
	}
	slices.Sort(fs)
	all, err := facts(q, slices.Compact(fs))
	if err != nil {
		return nil, err
	}
	out := map[int64][]shown{}
	for a, rows := range on {
		for _, r := range rows {
			out[a] = append(out[a], shown{r.constituent, r.mark, all[r.fact].Software})
		}
	}
	return out, nil
}

// held are findings and evidence that the store has where proofs are written.
type held struct {
	first map[int64]int64 // of a finding
	rows  map[proofKey]heldRow
}

type proofKey struct{ finding, observation, pair int64 }

// heldRow is what evidence says.
type heldRow struct{ mark, rank int64 }

func newHeld() *held { return &held{map[int64]int64{}, map[proofKey]heldRow{}} }

func (p *proof) key() proofKey { return proofKey{p.finding, p.observation, p.pair} }

// findingRow are the columns of the proof's finding.
func (p *proof) findingRow() []int64 {
	s := p.site
	return []int64{p.finding, p.object, s.constituent, s.asset, s.port, s.proto, s.place, s.from}
}

// read adds the findings of a condition, and then their evidence: of
// a join a planner might read all there is.
func (h *held) read(t *tx, where string, args []any) error {
	var ks []int64
	if err := t.each("select k, first_t from findings where "+where, args, func(scan func(...any) error) error {
		var k, first int64
		err := scan(&k, &first)
		h.first[k] = first
		ks = append(ks, k)
		return err
	}); err != nil {
		return err
	}
	for part := range slices.Chunk(ks, 400) {
		where, args := t.d.among("finding_k", part)
		if err := t.each("select finding_k, observation_k, pair_k, mark_k, rank from evidence where "+where, args, func(scan func(...any) error) error {
			var k proofKey
			var row heldRow
			err := scan(&k.finding, &k.observation, &k.pair, &row.mark, &row.rank)
			h.rows[k] = row
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// writeProofs keeps findings and evidence, as far as the store does not hold them.
func (t *tx) writeProofs(proofs []proof, have *held) error {
	slices.SortFunc(proofs, func(a, b proof) int {
		return cmp.Or(cmp.Compare(a.finding, b.finding), cmp.Compare(a.site.from, b.site.from), cmp.Compare(a.observation, b.observation), cmp.Compare(a.pair, b.pair))
	})
	if err := t.writeFindings(proofs, have); err != nil {
		return err
	}
	const columns = "finding_k, observation_k, pair_k, mark_k, rank"
	fresh := t.numbers("evidence", columns, "")
	changed := t.numbers("evidence", columns, " on conflict (finding_k, observation_k, pair_k) do update set mark_k = excluded.mark_k, rank = excluded.rank")
	for i := range proofs {
		p, w := &proofs[i], fresh
		if was, ok := have.rows[p.key()]; ok {
			if was.mark == p.mark && was.rank == p.rank {
				continue
			}
			w = changed
		}
		if err := w.add(p.finding, p.observation, p.pair, p.mark, p.rank); err != nil {
			return err
		}
	}
	if err := fresh.flush(); err != nil {
		return err
	}
	if err := changed.flush(); err != nil {
		return err
	}
	return t.touchCases(proofs)
}

// writeFindings keeps the findings of proofs in the order of their keys. Those
// that the store has without being held are held afterwards: another place's
// may have the same key.
func (t *tx) writeFindings(proofs []proof, have *held) error {
	const columns = "k, object_k, constituent_k, asset_k, port, proto_k, place_k, first_t"
	w := t.numbers("findings", columns, " on conflict (k) do nothing")
	var fresh []int64
	var last int64 = -1
	for i := range proofs {
		p := &proofs[i]
		if _, known := have.first[p.finding]; known || p.finding == last {
			continue
		}
		if err := w.add(p.findingRow()...); err != nil {
			return err
		}
		fresh, last = append(fresh, p.finding), p.finding
	}
	if err := w.flush(); err != nil {
		return err
	}
	if w.wrote < int64(len(fresh)) {
		for part := range slices.Chunk(fresh, 400) {
			where, args := t.d.among("k", part)
			if err := have.read(t, where, args); err != nil {
				return err
			}
		}
	}
	earlier := t.numbers("findings", columns, " on conflict (k) do update set first_t = excluded.first_t")
	for i := range proofs {
		p := &proofs[i]
		if first, known := have.first[p.finding]; known && p.site.from < first {
			have.first[p.finding] = p.site.from
			if err := earlier.add(p.findingRow()...); err != nil {
				return err
			}
		}
	}
	return earlier.flush()
}

// matched: most facts meet nothing, so their places need not be read. It is
// asked for each place, as siteColumns are, not of all pairs.
const matched = " and (select 1 from pairs where pairs.fact_k = o.fact_k limit 1) = 1"

// SettleAssets brings the findings of assets in line with what is seen on
// them: the key is an asset, or the negative of a constituent for its declared software.
func (w *Work) SettleAssets() error {
	t := w.t
	var assets, declared []int64
	for _, k := range w.Keys {
		if k > 0 {
			assets = append(assets, k)
		} else {
			declared = append(declared, -k)
		}
	}
	var sites []site
	for part := range slices.Chunk(assets, 400) {
		where, args := t.d.among("o.asset_k", part)
		s, err := t.sites(where+matched, args)
		if err != nil {
			return err
		}
		sites = append(sites, s...)
	}
	if len(declared) > 0 {
		s, err := t.sites("o.asset_k = 0 and o.constituent_k in "+ints(declared)+matched, nil)
		if err != nil {
			return err
		}
		sites = append(sites, s...)
	}
	by, err := t.pairsOf(sites)
	if err != nil {
		return err
	}
	proofs, err := t.proofs(sites, by)
	if err != nil {
		return err
	}
	have, err := t.heldOn(assets, declared)
	if err != nil {
		return err
	}
	if err := t.dropUnproved(have, proofs); err != nil {
		return err
	}
	return t.writeProofs(proofs, have)
}

// pairsOf are the pairs of the sites' facts.
func (t *tx) pairsOf(sites []site) (map[int64][]*placed, error) {
	var fs []int64
	for i := range sites {
		fs = append(fs, sites[i].fact)
	}
	slices.Sort(fs)
	by := map[int64][]*placed{}
	for part := range slices.Chunk(slices.Compact(fs), 400) {
		where, args := t.d.among("fact_k", part)
		if err := t.each("select k, object_k, fact_k, mark_k, rank, case when body like '%\"q\":%' then body else '' end from pairs where "+where+" order by k", args, func(scan func(...any) error) error {
			p := &placed{}
			var body string
			if err := scan(&p.k, &p.object, &p.fact, &p.mark, &p.rank, &body); err != nil {
				return err
			}
			by[p.fact] = append(by[p.fact], p)
			if body == "" { // most require nothing
				return nil
			}
			var m pairMatch
			err := json.Unmarshal([]byte(body), &m)
			p.requires, p.software = m.Requires, m.Software
			return err
		}); err != nil {
			return nil, err
		}
	}
	return by, nil
}

// heldOn is what the store has of the findings of assets, and of the declared
// software of constituents.
func (t *tx) heldOn(assets, declared []int64) (*held, error) {
	have := newHeld()
	owners, err := t.ownersOf(assets)
	if err != nil {
		return have, err
	}
	for owner, as := range owners {
		for part := range slices.Chunk(as, 400) {
			where, args := t.d.among("asset_k", part)
			if err := have.read(t, where+" and constituent_k = ?", append(args, owner)); err != nil {
				return have, err
			}
		}
	}
	for _, c := range declared {
		if err := have.read(t, "asset_k = 0 and constituent_k = ?", []any{c}); err != nil {
			return have, err
		}
	}
	return have, nil
}

// dropUnproved removes what is held and what none of the proofs supports now.
func (t *tx) dropUnproved(have *held, proofs []proof) error {
	if len(have.rows) == 0 {
		return nil
	}
	want := make(map[proofKey]bool, len(proofs))
	for i := range proofs {
		want[proofs[i].key()] = true
	}
	touched := map[int64]bool{}
	for k := range have.rows {
		if want[k] {
			continue
		}
		delete(have.rows, k)
		touched[k.finding] = true
		if _, err := t.exec("delete from evidence where finding_k = ? and observation_k = ? and pair_k = ?", k.finding, k.observation, k.pair); err != nil {
			return err
		}
	}
	for f := range touched {
		n, err := t.exec("delete from findings where k = ? and not exists (select 1 from evidence where finding_k = ?)", f, f)
		if err != nil {
			return err
		}
		if n > 0 {
			delete(have.first, f)
		}
	}
	return nil
}

// ownersOf are the assets by the constituents in whose rows something is told
// of them: the owner, and who states them for himself.
func (t *tx) ownersOf(assets []int64) (map[int64][]int64, error) {
	out := map[int64][]int64{}
	for part := range slices.Chunk(assets, 400) {
		here, args := t.d.among("k", part)
		there, more := t.d.among("asset_k", part)
		if err := t.each("select k, owner_k from assets where "+here+" union select asset_k, constituent_k from observations where "+there, append(args, more...), func(scan func(...any) error) error {
			var k, o int64
			err := scan(&k, &o)
			out[o] = append(out[o], k)
			return err
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// dropFindings removes findings with their evidence; where is of our own making.
func (t *tx) dropFindings(where string) error {
	if err := t.touchKept("exists (select 1 from findings where findings.object_k = cases.object_k and findings.constituent_k = cases.constituent_k and " + where + ")"); err != nil {
		return err
	}
	if _, err := t.once("delete from evidence where finding_k in (select k from findings where " + where + ")"); err != nil {
		return err
	}
	_, err := t.once("delete from findings where " + where)
	return err
}
