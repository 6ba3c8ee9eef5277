package store

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// The checks whose results have a meaning of their own.
const (
	CheckDeclared  = "declared"  // the constituent says so
	CheckInventory = "inventory" // the host itself says so
	CheckResolves  = "resolves"  // a name has an address
)

// place is where on an asset something is, as one constituent's rows tell it to
// one circle of readers: the key of an interval. A look opens and closes nothing
// for a circle that may not know of it.
type place struct{ asset, constituent, check, port, proto, place, readers int64 }

// interval is a row of observations.
type interval struct {
	k, fact, from, closed, mark, exposed int64
	was                                  int64 // closed as loaded
	fresh, dirty                         bool
}

// spot is an asset and what the batch knows of it.
type spot struct {
	k, owner int64
	ownerID  string
	first    int64
	fresh    bool
}

// sighting is one observation with its keys.
type sighting struct {
	o    *vedette.Observation
	at   place
	fact int64
	mark int64
	t    int64
}

// observations turns the batch's looks into intervals and coverage.
func (b *batch) observations() error {
	var obs []*vedette.Observation
	var looks []*vedette.Coverage
	for i := range b.buf {
		said := &b.buf[i].said
		for j := range said.Observations {
			obs = append(obs, &said.Observations[j])
		}
		for j := range said.Coverage {
			looks = append(looks, &said.Coverage[j])
		}
	}
	if len(obs)+len(looks) == 0 {
		return nil
	}
	spots, err := b.spots(obs, looks)
	if err != nil {
		return err
	}
	facts, err := b.facts(obs)
	if err != nil {
		return err
	}
	seen, err := b.sightings(obs, spots, facts)
	if err != nil {
		return err
	}
	return b.intervals(seen, looks, spots)
}

// spots finds and makes the assets of the batch, with their owners.
func (b *batch) spots(obs []*vedette.Observation, looks []*vedette.Coverage) (map[string]*spot, error) {
	spots := map[string]*spot{}
	stated := map[string]string{}
	add := func(id, constituent string, at int64) {
		if id == "" {
			return
		}
		if s, ok := spots[id]; !ok {
			spots[id] = &spot{first: at}
		} else {
			s.first = min(s.first, at)
		}
		if constituent != "" {
			stated[id] = constituent
		}
	}
	for _, o := range obs {
		add(o.Asset, o.Constituent, b.time(us(o.At)))
	}
	for _, c := range looks {
		add(c.Asset, "", b.time(us(c.At)))
	}
	ids := make([]string, 0, len(spots))
	for id := range spots {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if err := b.findAssets(ids, spots); err != nil {
		return nil, err
	}
	if err := b.claim(ids, spots, stated); err != nil {
		return nil, err
	}
	return spots, b.makeAssets(ids, spots, stated)
}

// time is a look's own time, else the document's.
func (b *batch) time(t int64) int64 {
	if t == 0 {
		return us(b.in.Time)
	}
	return t
}

func (b *batch) findAssets(ids []string, spots map[string]*spot) error {
	var earlier []*spot
	for part := range slices.Chunk(ids, 100) {
		args := make([]any, len(part))
		for i, id := range part {
			args[i] = id
		}
		if err := b.each("select a.k, a.id, a.first_t, a.owner_k, coalesce(c.id, '') from assets a left join constituents c on c.k = a.owner_k where a.id in (?"+strings.Repeat(",?", len(part)-1)+")", args, func(scan func(...any) error) error {
			var id, owner string
			var k, first, ownerK int64
			if err := scan(&k, &id, &first, &ownerK, &owner); err != nil {
				return err
			}
			if spots[id].first < first {
				earlier = append(earlier, spots[id])
			}
			spots[id].k, spots[id].owner, spots[id].ownerID = k, ownerK, owner
			return nil
		}); err != nil {
			return err
		}
	}
	for _, s := range earlier { // seen earlier than we knew
		if _, err := b.exec("update assets set first_t = ? where k = ?", s.first, s.k); err != nil {
			return err
		}
	}
	return nil
}

// claim gives an asset that nobody owns to whom the hub states it for. What a
// constituent states of an asset outside of its scope makes it no owner: it
// would be given what is seen there.
func (b *batch) claim(ids []string, spots map[string]*spot, stated map[string]string) error {
	if b.bound || b.replayed {
		return nil
	}
	claimed := map[int64]bool{}
	for _, id := range ids {
		s := spots[id]
		name := cmp.Or(stated[id], b.in.Constituent)
		if s.k == 0 || s.owner != 0 || name == "" {
			continue
		}
		if owner, _, tie := b.way.Own(id); owner != "" || tie {
			continue
		}
		k, err := b.constituentKey(name)
		if err != nil {
			return err
		}
		if _, err := b.exec("update assets set owner_k = ? where k = ?", k, s.k); err != nil {
			return err
		}
		claimed[s.k] = true
		s.owner, s.ownerID = k, name
	}
	if len(claimed) == 0 {
		return nil
	}
	return b.replayAssets(claimed, b.way.Own, b.intakeK)
}

// makeAssets keeps new assets: the longest scope owns them, else who stated them.
func (b *batch) makeAssets(ids []string, spots map[string]*spot, stated map[string]string) error {
	fresh := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return spots[id].k != 0 })
	if len(fresh) == 0 {
		return nil
	}
	k, err := b.reserve("assets", len(fresh))
	if err != nil {
		return err
	}
	w := b.bulk("assets", "k, id, kind_k, owner_k, first_t", "")
	u := b.bulk("asset_users", "constituent_k, asset_k", " on conflict do nothing")
	constituent := b.constituentKeys()
	for _, id := range fresh {
		a, err := vedette.ParseAsset(id)
		if err != nil {
			return err
		}
		kind, err := b.term(string(a.Kind))
		if err != nil {
			return err
		}
		s := spots[id]
		owner, users, tie := b.way.Own(id)
		if owner == "" && !tie && !b.bound {
			owner = cmp.Or(stated[id], b.in.Constituent)
		}
		s.k, s.ownerID, s.fresh = k, owner, true
		if s.owner, err = constituent(owner); err != nil {
			return err
		}
		for _, name := range users {
			c, err := constituent(name)
			if err != nil {
				return err
			}
			if err := u.add(c, k); err != nil {
				return err
			}
		}
		if err := w.add(k, id, kind, s.owner, s.first); err != nil {
			return err
		}
		k++
	}
	if err := u.flush(); err != nil {
		return err
	}
	return w.flush()
}

// facts interns what was seen: thousands of hosts show the same.
func (t *tx) facts(obs []*vedette.Observation) (map[*vedette.Observation]int64, error) {
	bodies, keys := make([]string, len(obs)), map[string]int64{}
	var hs []int64
	for i, o := range obs {
		b, err := json.Marshal(o.Fact)
		if err != nil {
			return nil, err
		}
		bodies[i] = clean(string(b))
		if _, ok := keys[bodies[i]]; !ok {
			keys[bodies[i]] = 0
			hs = append(hs, hash64(bodies[i]))
		}
	}
	slices.Sort(hs)
	for part := range slices.Chunk(hs, 256) {
		if err := t.each("select k, body from facts where h in "+ints(part), nil, func(scan func(...any) error) error {
			var k int64
			var body string
			if err := scan(&k, &body); err != nil {
				return err
			}
			if _, ok := keys[body]; ok {
				keys[body] = k
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	if err := t.makeFacts(bodies, obs, keys); err != nil {
		return nil, err
	}
	out := make(map[*vedette.Observation]int64, len(obs))
	for i, o := range obs {
		out[o] = keys[bodies[i]]
	}
	return out, nil
}

func (t *tx) makeFacts(bodies []string, obs []*vedette.Observation, keys map[string]int64) error {
	w := t.bulk("facts", "k, h, body", "")
	n := t.bulk("fact_names", "name_k, fact_k", " on conflict do nothing")
	missing := 0
	for _, k := range keys {
		if k == 0 {
			missing++
		}
	}
	if missing == 0 {
		return nil
	}
	k, err := t.reserve("facts", missing)
	if err != nil {
		return err
	}
	var fresh []int64
	for i, body := range bodies {
		if keys[body] != 0 {
			continue
		}
		keys[body] = k
		if err := w.add(k, hash64(body), body); err != nil {
			return err
		}
		for _, report := range obs[i].Fact.Reports {
			nk, err := t.name(WeaknessName(report.Weakness))
			if err != nil {
				return err
			}
			if err := n.add(nk, k); err != nil {
				return err
			}
		}
		for _, sw := range obs[i].Fact.Software {
			for _, name := range t.opt.Names(sw) {
				nk, err := t.name(name)
				if err != nil {
					return err
				}
				if err := n.add(nk, k); err != nil {
					return err
				}
			}
		}
		if len(obs[i].Fact.Software)+len(obs[i].Fact.Reports) > 0 {
			fresh = append(fresh, k)
		}
		k++
	}
	if err := w.flush(); err != nil {
		return err
	}
	if err := n.flush(); err != nil {
		return err
	}
	return t.todo(StageFact, false, fresh...)
}

// WeaknessName is the name under which facts that report a weakness are found,
// as those of a software are by its product's.
func WeaknessName(id string) vedette.ProductName {
	return vedette.ProductName{Scheme: "weakness", Product: id}
}

// sightings gives the observations their places, facts and markings.
func (b *batch) sightings(obs []*vedette.Observation, spots map[string]*spot, facts map[*vedette.Observation]int64) ([]sighting, error) {
	out := make([]sighting, 0, len(obs))
	for _, o := range obs {
		s := spots[o.Asset]
		if s == nil {
			return nil, vedette.Invalid("an observation without an asset")
		}
		p, err := b.place(o, b.whose(s))
		if err != nil {
			return nil, err
		}
		mark, err := b.seenMark(s.ownerID)
		if err != nil {
			return nil, err
		}
		if p.readers, err = b.readers(mark); err != nil {
			return nil, err
		}
		out = append(out, sighting{o, p, facts[o], mark, b.time(us(o.At))})
	}
	return out, nil
}

// whose is the asset with the constituent whose rows the batch writes of it:
// the owner's, unless somebody bound to a constituent states it. His word on an
// asset of another is his constituent's own and touches no row of the owner.
func (b *batch) whose(s *spot) *spot {
	if !b.bound {
		return s
	}
	return &spot{k: s.k, owner: b.constituentK}
}

// readersOf is the key under which a transaction remembers a circle of readers.
type readersOf struct{ mark int64 }

// readers tells markings with different readers apart, whoever originated them.
func (t *tx) readers(mark int64) (int64, error) {
	if k, ok := t.local[readersOf{mark}]; ok {
		return k, nil
	}
	m, err := t.marking(t, mark)
	if err != nil {
		return 0, err
	}
	k := hash64(m.TLP.String() + " " + string(m.Audience))
	t.local[readersOf{mark}] = k
	return k, nil
}

func (t *tx) place(o *vedette.Observation, s *spot) (p place, err error) {
	p.asset, p.constituent, p.port = s.k, s.owner, int64(o.Port)
	if p.check, err = t.term(o.Check); err != nil {
		return p, err
	}
	if p.proto, err = t.term(o.Proto); err != nil {
		return p, err
	}
	at := o.Path
	if o.Item != "" {
		at += "\x1f" + o.Item
	}
	p.place, err = t.term(at)
	return p, err
}

// seenMark is the marking of what was seen on an owner's asset: AMBER+STRICT
// with the owner as audience, or the one who handed it in when he is bound to
// a constituent.
func (b *batch) seenMark(owner string) (int64, error) {
	m := vedette.Marking{TLP: max(vedette.TLPAmberStrict, b.in.Marking.TLP), PAP: b.in.Marking.PAP, Originator: vedette.HubOriginator, Audience: b.in.Marking.Audience}
	switch {
	case b.bound && b.in.Constituent != "":
		m.Originator, m.Audience = "org:"+b.in.Constituent, m.Audience.And(vedette.ToOrgs(b.in.Constituent))
	case owner != "":
		m.Audience = m.Audience.And(vedette.ToOrgs(owner))
	}
	return b.mark(m)
}

// intervals opens, keeps and closes intervals, and writes the coverage.
func (b *batch) intervals(seen []sighting, looks []*vedette.Coverage, spots map[string]*spot) error {
	assets := map[int64]bool{}
	for _, s := range spots {
		if !s.fresh {
			assets[s.k] = true
		}
	}
	known, err := b.loadIntervals(assets)
	if err != nil {
		return err
	}
	changed := map[int64]bool{}
	slices.SortStableFunc(seen, func(a, b sighting) int { return cmp.Compare(a.t, b.t) })
	for _, s := range seen {
		old := len(known[s.at])
		ivs, diff := see(known[s.at], s)
		known[s.at] = ivs
		switch {
		case !diff:
			b.Unchanged++
		case old > 0:
			b.Changed++
		default:
			b.New++
		}
		if diff {
			changed[s.at.asset] = true
		}
	}
	if err := b.look4(seen, looks, spots, known, changed); err != nil {
		return err
	}
	if err := b.writeIntervals(known); err != nil {
		return err
	}
	keys := make([]int64, 0, len(changed))
	for k := range changed {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return b.todo(StageAsset, false, keys...)
}

func (t *tx) loadIntervals(assets map[int64]bool) (map[place][]*interval, error) {
	ks := make([]int64, 0, len(assets))
	for k := range assets {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	known := map[place][]*interval{}
	type row struct {
		p  place
		iv *interval
	}
	for part := range slices.Chunk(ks, 256) {
		var rows []row
		if err := t.each("select k, asset_k, constituent_k, check_k, port, proto_k, place_k, fact_k, from_t, closed_t, mark_k, exposed from observations where asset_k in "+ints(part)+" order by from_t", nil, func(scan func(...any) error) error {
			var p place
			iv := &interval{closed: open}
			var closed *int64
			if err := scan(&iv.k, &p.asset, &p.constituent, &p.check, &p.port, &p.proto, &p.place, &iv.fact, &iv.from, &closed, &iv.mark, &iv.exposed); err != nil {
				return err
			}
			if closed != nil {
				iv.closed = *closed
			}
			iv.was = iv.closed
			rows = append(rows, row{p, iv})
			return nil
		}); err != nil {
			return nil, err
		}
		for _, r := range rows {
			var err error
			if r.p.readers, err = t.readers(r.iv.mark); err != nil {
				return nil, err
			}
			known[r.p] = append(known[r.p], r.iv)
		}
	}
	return known, nil
}

// see puts one sighting among the intervals of its place; an identical repeat changes nothing.
func see(ivs []*interval, s sighting) ([]*interval, bool) {
	i := slices.IndexFunc(ivs, func(iv *interval) bool { return iv.from > s.t })
	if i < 0 {
		i = len(ivs)
	}
	iv := &interval{fact: s.fact, from: s.t, closed: open, mark: s.mark, exposed: tri(s.o.Exposed), fresh: true}
	if i > 0 && ivs[i-1].closed > s.t { // a look inside a known interval
		in := ivs[i-1]
		if in.fact == s.fact || in.from == s.t {
			return ivs, false
		}
		iv.closed = in.closed
		in.closed, in.dirty = s.t, true
		return slices.Insert(ivs, i, iv), true
	}
	if i < len(ivs) {
		if ivs[i].fact == s.fact { // seen earlier than we knew
			ivs[i].from, ivs[i].dirty = s.t, true
			return ivs, true
		}
		iv.closed = ivs[i].from
	}
	return slices.Insert(ivs, i, iv), true
}

func tri(b *bool) int64 {
	if b == nil {
		return -1
	}
	return boolInt(*b)
}

func untri(n int64) *bool {
	if n < 0 {
		return nil
	}
	b := n == 1
	return &b
}

// look4 closes what a successful look no longer saw, and keeps the look as coverage.
func (b *batch) look4(seen []sighting, looks []*vedette.Coverage, spots map[string]*spot, known map[place][]*interval, changed map[int64]bool) error {
	saw := map[place]map[int64]bool{}
	for _, s := range seen {
		if saw[s.at] == nil {
			saw[s.at] = map[int64]bool{}
		}
		saw[s.at][s.t] = true
	}
	type where struct{ asset, check int64 }
	at := map[where][]place{}
	for p := range known {
		at[where{p.asset, p.check}] = append(at[where{p.asset, p.check}], p)
	}
	rows := map[coverageRow][]int64{}
	for _, c := range looks {
		s := spots[c.Asset]
		check, err := b.term(c.Check)
		if err != nil {
			return err
		}
		mark, err := b.seenMark(s.ownerID)
		if err != nil {
			return err
		}
		t := b.time(us(c.At))
		constituent := b.whose(s).owner
		readers, err := b.readers(mark)
		if err != nil {
			return err
		}
		for _, p := range at[where{s.k, check}] {
			if p.constituent != constituent || p.readers != readers {
				continue
			}
			proto, err := b.text(b.tx, p.proto)
			if err != nil {
				return err
			}
			if covers(c.Ports, p.port, proto) && !saw[p][t] && closeAt(known[p], t) {
				changed[s.k] = true
				b.Changed++
			}
		}
		r := coverageRow{constituent, check, t, mark, c.Ports}
		rows[r] = append(rows[r], s.k)
	}
	if b.replayed {
		return nil // the coverage was kept
	}
	if err := b.noteLate(rows); err != nil {
		return err
	}
	return b.writeCoverage(rows)
}

// noteLate notes assets that a document with a later time has covered already:
// their intervals are computed again in the order of time.
func (b *batch) noteLate(rows map[coverageRow][]int64) error {
	type key struct{ constituent, check int64 }
	newer := map[key]bool{}
	for r, assets := range rows {
		k := key{r.constituent, r.check}
		is, asked := newer[k]
		if !asked {
			var n int64
			var err error
			if is, err = one(b, "select 1 from coverage v join intakes i on i.k = v.intake_k where v.constituent_k = ? and v.check_k = ? and i.time > ? and i.k <> ? and i.purged_at is null limit 1",
				[]any{r.constituent, r.check, us(b.in.Time), b.intakeK}, &n); err != nil {
				return err
			}
			newer[k] = is
		}
		if !is {
			continue
		}
		if b.lateLooks == nil {
			b.lateLooks = map[int64]bool{}
		}
		for _, a := range assets {
			b.lateLooks[a] = true
		}
	}
	return nil
}

// closeAt closes the interval that holds at a time.
func closeAt(ivs []*interval, t int64) bool {
	for _, iv := range ivs {
		if iv.from < t && iv.closed > t {
			iv.closed, iv.dirty = t, true
			return true
		}
	}
	return false
}

// covers says whether a port is within "tcp:1-1024,8080 udp:53"; "" covers all.
func covers(ports string, port int64, proto string) bool {
	if ports == "" || port == 0 {
		return true
	}
	for _, part := range strings.Fields(ports) {
		p, list, _ := strings.Cut(part, ":")
		if p != proto {
			continue
		}
		for _, r := range strings.Split(list, ",") {
			lo, hi, ranged := strings.Cut(r, "-")
			l, err := strconv.ParseInt(lo, 10, 64)
			h := l
			if ranged && err == nil {
				h, err = strconv.ParseInt(hi, 10, 64)
			}
			if err == nil && l <= port && port <= h {
				return true
			}
		}
	}
	return false
}

func (b *batch) writeIntervals(known map[place][]*interval) error {
	var fresh []place
	n := 0
	for p, ivs := range known {
		for _, iv := range ivs {
			if p.asset != 0 {
				before := boolInt(!iv.fresh && iv.was == open)
				b.tally(counted{p.constituent, countOpen, iv.mark}, boolInt(iv.closed == open)-before)
			}
			if iv.fresh {
				fresh, n = append(fresh, p), n+1
			} else if iv.dirty {
				if _, err := b.exec("update observations set from_t = ?, closed_t = ? where k = ?", iv.from, nullOpen(iv.closed), iv.k); err != nil {
					return err
				}
			}
		}
	}
	if n == 0 {
		return nil
	}
	slices.SortFunc(fresh, comparePlaces)
	k, err := b.reserve("observations", n)
	if err != nil {
		return err
	}
	w := b.bulk("observations", "k, asset_k, constituent_k, check_k, port, proto_k, place_k, fact_k, exposed, from_t, closed_t, mark_k, intake_k", "")
	for _, p := range slices.Compact(fresh) {
		for _, iv := range known[p] {
			if !iv.fresh {
				continue
			}
			if err := w.add(k, p.asset, p.constituent, p.check, p.port, p.proto, p.place, iv.fact, iv.exposed, iv.from, nullOpen(iv.closed), iv.mark, b.intakeK); err != nil {
				return err
			}
			k++
		}
	}
	return w.flush()
}

func comparePlaces(a, b place) int {
	return cmp.Or(cmp.Compare(a.asset, b.asset), cmp.Compare(a.constituent, b.constituent), cmp.Compare(a.check, b.check),
		cmp.Compare(a.port, b.port), cmp.Compare(a.proto, b.proto), cmp.Compare(a.place, b.place), cmp.Compare(a.readers, b.readers))
}

// coverageRow is one run's coverage of one kind; its assets are kept as ranges.
type coverageRow struct {
	constituent, check, at, mark int64
	ports                        string
}

func (b *batch) writeCoverage(rows map[coverageRow][]int64) error {
	if len(rows) == 0 {
		return nil
	}
	keys := make([]coverageRow, 0, len(rows))
	for r := range rows {
		keys = append(keys, r)
	}
	slices.SortFunc(keys, func(a, b coverageRow) int {
		return cmp.Or(cmp.Compare(a.constituent, b.constituent), cmp.Compare(a.check, b.check), cmp.Compare(a.at, b.at), cmp.Compare(a.mark, b.mark), cmp.Compare(a.ports, b.ports))
	})
	k, err := b.reserve("coverage", len(keys))
	if err != nil {
		return err
	}
	w := b.bulk("coverage", "k, intake_k, constituent_k, check_k, at, ports, mark_k, assets", "")
	for _, r := range keys {
		if err := w.add(k, b.intakeK, r.constituent, r.check, r.at, r.ports, r.mark, packRanges(rows[r])); err != nil {
			return err
		}
		k++
	}
	return w.flush()
}

// packRanges keeps a set of keys as varints: the gap to the next range and its length.
func packRanges(ks []int64) []byte {
	slices.Sort(ks)
	ks = slices.Compact(ks)
	out := []byte{}
	var end int64
	for i := 0; i < len(ks); {
		j := i
		for j+1 < len(ks) && ks[j+1] == ks[j]+1 {
			j++
		}
		out = binary.AppendUvarint(out, uint64(ks[i]-end))
		out = binary.AppendUvarint(out, uint64(j-i+1))
		end = ks[j] + 1
		i = j + 1
	}
	return out
}

// inRanges says whether a packed set holds a key.
func inRanges(packed []byte, k int64) bool {
	in := false
	eachRange(packed, func(lo, hi int64) bool {
		in = lo <= k && k < hi
		return hi <= k
	})
	return in
}

// eachRange calls f with the ranges of a packed set until it returns false.
func eachRange(packed []byte, f func(lo, hi int64) bool) {
	var end int64
	for len(packed) > 0 {
		gap, w := binary.Uvarint(packed)
		if w <= 0 {
			return
		}
		n, v := binary.Uvarint(packed[w:])
		if v <= 0 {
			return
		}
		lo := end + int64(gap)
		if end = lo + int64(n); !f(lo, end) {
			return
		}
		packed = packed[w+v:]
	}
}

// declared brings a constituent's declared software in line with its profile.
func (t *tx) declared(constituent int64, id string, at time.Time, seen []vedette.Observation) error {
	b := &batch{Taking: &Taking{in: vedette.Intake{Time: at}}, tx: t}
	ptrs := make([]*vedette.Observation, len(seen))
	for i := range seen {
		ptrs[i] = &seen[i]
	}
	facts, err := t.facts(ptrs)
	if err != nil {
		return err
	}
	mark, err := t.mark(vedette.Marking{TLP: vedette.TLPAmberStrict, Originator: vedette.HubOriginator, Audience: vedette.ToOrgs(id)})
	if err != nil {
		return err
	}
	check, err := t.term(CheckDeclared)
	if err != nil {
		return err
	}
	known, err := t.loadDeclared(constituent, check, mark)
	if err != nil {
		return err
	}
	saw := map[place]bool{}
	for _, o := range ptrs {
		p, err := t.place(o, &spot{owner: constituent})
		if err != nil {
			return err
		}
		if p.readers, err = t.readers(mark); err != nil {
			return err
		}
		saw[p] = true
		known[p], _ = see(known[p], sighting{o, p, facts[o], mark, us(at)})
	}
	for p, ivs := range known {
		if !saw[p] {
			closeAt(ivs, us(at))
		}
	}
	if err := b.writeIntervals(known); err != nil {
		return err
	}
	return t.todo(StageAsset, false, -constituent)
}

func (t *tx) loadDeclared(constituent, check, mark int64) (map[place][]*interval, error) {
	known := map[place][]*interval{}
	readers, err := t.readers(mark)
	if err != nil {
		return nil, err
	}
	err = t.each("select k, port, proto_k, place_k, fact_k, from_t, closed_t, mark_k, exposed from observations where asset_k = 0 and constituent_k = ? and check_k = ? order by from_t", []any{constituent, check}, func(scan func(...any) error) error {
		p := place{constituent: constituent, check: check, readers: readers}
		iv := &interval{closed: open}
		var closed *int64
		if err := scan(&iv.k, &p.port, &p.proto, &p.place, &iv.fact, &iv.from, &closed, &iv.mark, &iv.exposed); err != nil {
			return err
		}
		if closed != nil {
			iv.closed = *closed
		}
		iv.was = iv.closed
		known[p] = append(known[p], iv)
		return nil
	})
	return known, err
}
