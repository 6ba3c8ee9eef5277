package store

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// FindingFilter narrows a list of findings; zero fields do not.
type FindingFilter struct {
	Constituent string
	Weakness    string
	Asset       string
	Verdict     vedette.Verdict
	Presence    vedette.Presence
	Exploited   bool
	After       int64 // the key of the last finding of the page before
	Limit       int   // 0 for 100
}

// findingRow is a finding with the keys that its details need.
type findingRow struct {
	vedette.Finding
	k, asset, constituent, object int64
}

const findingColumns = `f.k, f.object_k, o.id, f.constituent_k, coalesce(c.id, ''), f.asset_k, coalesce(a.id, ''), f.port, coalesce(p.text, ''), coalesce(l.text, ''), f.first_t
	from findings f join objects o on o.k = f.object_k left join constituents c on c.k = f.constituent_k left join assets a on a.k = f.asset_k
	left join terms p on p.k = f.proto_k left join terms l on l.k = f.place_k`

func scanFinding(scan func(...any) error) (r findingRow, err error) {
	var first int64
	var place string
	if err = scan(&r.k, &r.object, &r.Weakness, &r.constituent, &r.Constituent, &r.asset, &r.Asset, &r.Port, &r.Proto, &place, &first); err != nil {
		return r, err
	}
	r.ID, r.FirstSeen = vedette.FindingID(r.k), at(first)
	path, item, _ := strings.Cut(place, "\x1f")
	r.Path = strings.Trim(path+" "+item, " ")
	return r, nil
}

// Findings lists findings of which the principal may see evidence, in the
// order of their keys; next is the key to go on after, 0 at the end.
func (sc *Scoped) Findings(ctx context.Context, f FindingFilter) (out []vedette.Finding, next int64, err error) {
	return sc.list(ctx, f, false)
}

// FindingsInFull is Findings with the evidence of each.
func (sc *Scoped) FindingsInFull(ctx context.Context, f FindingFilter) (out []vedette.Finding, next int64, err error) {
	return sc.list(ctx, f, true)
}

func (sc *Scoped) list(ctx context.Context, f FindingFilter, full bool) (out []vedette.Finding, next int64, err error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	q := sc.reader(ctx)
	for {
		rows, err := sc.page(ctx, q, f)
		if err != nil {
			return nil, 0, err
		}
		if err := sc.detail(ctx, rows, full); err != nil {
			return nil, 0, err
		}
		for _, r := range rows {
			f.After = r.k
			if (f.Presence == "" || r.Presence == f.Presence) && (f.Verdict == "" || r.Verdict == f.Verdict) {
				if out = append(out, r.Finding); len(out) == f.Limit {
					return out, r.k, nil
				}
			}
		}
		if len(rows) < f.Limit {
			return out, 0, nil
		}
	}
}

func (sc *Scoped) page(ctx context.Context, q querier, f FindingFilter) ([]findingRow, error) {
	where := []string{"f.k > ?", sc.own("f.constituent_k"), "exists (select 1 from evidence e where e.finding_k = f.k and " + sc.seen("e.mark_k") + ")"}
	args := []any{f.After}
	if f.Constituent != "" {
		k, err := sc.constituentKey(q, f.Constituent)
		if err != nil {
			return nil, err
		}
		where, args = append(where, "f.constituent_k = ?"), append(args, k)
	}
	if f.Weakness != "" {
		k, _, err := sc.object(ctx, f.Weakness)
		if err != nil {
			return nil, err
		}
		where, args = append(where, "f.object_k = ?"), append(args, k)
	}
	if f.Asset != "" {
		k, whose, err := sc.stated(q, f.Asset)
		if err != nil {
			return nil, err
		}
		where, args = append(where, "f.constituent_k in "+ints(whose), "f.asset_k = ?"), append(args, k)
	}
	if f.Exploited {
		where = append(where, "exists (select 1 from exploited x where x.object_k = f.object_k and "+stands+" and "+sc.seen("x.mark_k")+")")
	}
	var rows []findingRow
	err := q.each("select "+findingColumns+" where "+strings.Join(where, " and ")+" order by f.k limit ?", append(args, f.Limit), func(scan func(...any) error) error {
		r, err := scanFinding(scan)
		rows = append(rows, r)
		return err
	})
	return rows, err
}

// constituentKey finds a constituent within the wall.
func (sc *Scoped) constituentKey(q querier, id string) (int64, error) {
	var k int64
	found, err := one(q, "select k from constituents where id = ? and removed_at is null and "+sc.own("k"), []any{id}, &k)
	if err == nil && !found {
		err = vedette.NotFound("constituent %s", id)
	}
	return k, err
}

// assetKey finds an asset within the wall.
func (sc *Scoped) assetKey(q querier, id string) (k, owner int64, err error) {
	a, err := vedette.ParseAsset(id)
	if err != nil {
		return 0, 0, err
	}
	found, err := one(q, "select k, owner_k from assets where id = ? and "+sc.ownAsset("assets"), []any{a.ID}, &k, &owner)
	if err == nil && !found {
		err = vedette.NotFound("asset %s", id)
	}
	return k, owner, err
}

// stated finds an asset of which something within the wall is told, and in
// whose rows: its owner's, and those of constituents that state it themselves.
func (sc *Scoped) stated(q querier, id string) (k int64, whose []int64, err error) {
	a, err := vedette.ParseAsset(id)
	if err != nil {
		return 0, nil, err
	}
	if err := q.each("select distinct a.k, o.constituent_k from assets a join observations o on o.asset_k = a.k where a.id = ? and "+sc.own("o.constituent_k")+" and "+sc.seen("o.mark_k"), []any{a.ID}, func(scan func(...any) error) error {
		var c int64
		err := scan(&k, &c)
		whose = append(whose, c)
		return err
	}); err != nil || len(whose) > 0 {
		return k, whose, err
	}
	k, owner, err := sc.assetKey(q, id)
	return k, []int64{owner}, err
}

// ownAsset: an asset without an owner belongs to the hub's analysts until a
// person decides whose it is. The owner himself knows an asset once something
// he may see was seen on it: another constituent's statement tells him nothing.
func (sc *Scoped) ownAsset(table string) string {
	if sc.all {
		return "1 = 1"
	}
	return table + ".owner_k in " + ints(sc.cons) + " and exists (select 1 from observations w where w.asset_k = " + table + ".k and w.constituent_k = " + table + ".owner_k and " + sc.seen("w.mark_k") + " and " + sc.own("w.constituent_k") + ")"
}

// Finding is one finding with its evidence.
func (sc *Scoped) Finding(ctx context.Context, id string) (vedette.Finding, error) {
	k, err := vedette.ParseFindingID(id)
	if err != nil {
		return vedette.Finding{}, err
	}
	q := sc.reader(ctx)
	var rows []findingRow
	err = q.each("select "+findingColumns+" where f.k = ? and "+sc.own("f.constituent_k")+" and exists (select 1 from evidence e where e.finding_k = f.k and "+sc.seen("e.mark_k")+")", []any{k}, func(scan func(...any) error) error {
		r, err := scanFinding(scan)
		rows = append(rows, r)
		return err
	})
	if err != nil {
		return vedette.Finding{}, err
	}
	if len(rows) == 0 {
		return vedette.Finding{}, vedette.NotFound("finding %s", id)
	}
	err = sc.detail(ctx, rows, true)
	return rows[0].Finding, err
}

// proofRow is a row of evidence with its observation.
type proofRow struct {
	finding, pair, mark, rank int64
	asset, constituent, check int64
	port, proto               int64
	from, closed, fact        int64
	follows                   bool // a look saw that it is no longer so
	exposed                   int64
}

// detail computes presence, verdict and times of findings from the evidence
// the principal may see, and fills the evidence in when asked.
func (sc *Scoped) detail(ctx context.Context, rows []findingRow, full bool) error {
	if len(rows) == 0 {
		return nil
	}
	q := sc.reader(ctx)
	at := map[int64]int{}
	ks := make([]int64, len(rows))
	for i, r := range rows {
		at[r.k], ks[i] = i, r.k
	}
	var proofs []proofRow
	for part := range slices.Chunk(ks, 400) {
		if err := q.each(`select e.finding_k, e.pair_k, e.mark_k, e.rank, o.asset_k, o.constituent_k, o.check_k, o.port, o.proto_k, o.from_t, coalesce(o.closed_t, 0), o.fact_k, o.exposed,
			`+provenGone(sc.seen("n.mark_k"))+`
			from evidence e join observations o on o.k = e.observation_k where e.finding_k in `+ints(part)+" and "+sc.seen("e.mark_k")+" order by e.finding_k, e.observation_k, e.pair_k", nil, func(scan func(...any) error) error {
			var p proofRow
			var follows int64
			err := scan(&p.finding, &p.pair, &p.mark, &p.rank, &p.asset, &p.constituent, &p.check, &p.port, &p.proto, &p.from, &p.closed, &p.fact, &p.exposed, &follows)
			p.follows = follows == 1
			proofs = append(proofs, p)
			return err
		}); err != nil {
			return err
		}
	}
	looks := sc.looks(ctx)
	by := map[int64][]proofRow{}
	for _, p := range proofs {
		by[p.finding] = append(by[p.finding], p)
	}
	for k, ps := range by {
		if err := sc.conclude(q, &rows[at[k]], ps, looks); err != nil {
			return err
		}
	}
	if !full {
		return nil
	}
	for i := range rows {
		if err := sc.evidence(q, &rows[i], by[rows[i].k], looks); err != nil {
			return err
		}
	}
	return nil
}

// conclude computes presence, verdict and times from the evidence: the row's
// are those of all evidence, not of what the reader sees.
func (sc *Scoped) conclude(q querier, r *findingRow, ps []proofRow, looks *looks) error {
	var c clue
	for _, p := range ps {
		check, err := sc.s.text(q, p.check)
		if err != nil {
			return err
		}
		last, err := looks.last(p)
		if err != nil {
			return err
		}
		if last.After(r.LastSeen) {
			r.LastSeen = last
		}
		c.add(presenceOf(p, check), p.rank, p.from, p.exposed)
	}
	r.Presence, r.Verdict, r.FirstSeen, r.Exposed = c.presence, vedette.Verdicts[c.rank], at(c.first), untri(c.exposed)
	return nil
}

// silentChecks show something only where something is wrong: a look of theirs
// that saw nothing says that it is right. Others show what is there, whatever it is.
const silentChecks = "('axfr', 'mta-sts', 'tls', 'http-git', 'http-listing', 'http-security-txt', 'http-server-status')"

// provenGone is, in SQL, 1 where an observation o ended because a look saw that
// it is no longer so: something else is seen at its place since, that says what
// it is; or a silent check looked at a service, or a name, that answered then. A
// port that accepts connections and says nothing may just not speak to us. seen
// is the wall of the observations n that are looked at.
func provenGone(seen string) string {
	same := " n.asset_k = o.asset_k and n.constituent_k = o.constituent_k and n.port = o.port and n.proto_k = o.proto_k and " + seen
	return `case when o.closed_t is null then 0
		when exists (select 1 from observations n join facts nf on nf.k = n.fact_k where` + same + ` and n.check_k = o.check_k and n.place_k = o.place_k and n.from_t >= o.closed_t and nf.body not in ('{}', '{"tls":true}')) then 1
		when o.check_k in (select k from terms where text in ` + silentChecks + `) and exists (select 1 from observations n join facts nf on nf.k = n.fact_k join terms nt on nt.k = n.check_k where` + same + ` and n.from_t <= o.closed_t and coalesce(n.closed_t, o.closed_t + 1) > o.closed_t
			and (o.port > 0 and nt.text = 'service' and nf.body like '%"service":"%' or o.port = 0 and nt.text = 'dns' and nf.body like '%"exists":"yes"%')) then 1 else 0 end`
}

// presenceOf is what one piece of evidence says of now.
func presenceOf(p proofRow, check string) vedette.Presence {
	switch {
	case check == CheckDeclared:
		return vedette.PresenceUndetermined
	case p.closed == 0:
		return vedette.Present
	case p.follows || check == CheckInventory:
		return vedette.Fixed
	}
	return vedette.NotObserved
}

// presenceRank: one look that still sees it outweighs those that do not.
func presenceRank(p vedette.Presence) int {
	return slices.Index(presences, p)
}

// evidence fills in the reasons, the strongest and newest first.
func (sc *Scoped) evidence(q querier, r *findingRow, ps []proofRow, looks *looks) error {
	var fs []int64
	for _, p := range ps {
		fs = append(fs, p.fact)
	}
	all, err := facts(q, fs)
	if err != nil {
		return err
	}
	for _, p := range ps {
		e := vedette.Evidence{Closed: at(p.closed), Fact: all[p.fact], Exposed: untri(p.exposed)}
		if e.Check, err = sc.s.text(q, p.check); err != nil {
			return err
		}
		if e.Seen, err = looks.last(p); err != nil {
			return err
		}
		if e.Marking, err = sc.s.marking(q, p.mark); err != nil {
			return err
		}
		var body string
		if _, err := one(q, "select body from pairs where k = ? and "+sc.seen("mark_k"), []any{p.pair}, &body); err != nil {
			return err
		}
		var m pairMatch
		if body != "" {
			if err := json.Unmarshal([]byte(body), &m); err != nil {
				return err
			}
		}
		e.Match = vedette.Match{Weakness: r.Weakness, Software: m.Software, Verdict: vedette.Verdicts[p.rank], Reasons: m.Reasons, Fixed: m.Fixed, Source: m.Source, Requires: m.Requires}
		r.Evidence = append(r.Evidence, e)
	}
	slices.SortStableFunc(r.Evidence, func(a, b vedette.Evidence) int {
		return cmp.Or(cmp.Compare(a.Match.Verdict.Rank(), b.Match.Verdict.Rank()), b.Seen.Compare(a.Seen))
	})
	return nil
}

// looks answers when an asset was last looked at, from the coverage.
type looks struct {
	sc  *Scoped
	q   querier
	has map[[2]int64][]lookRow
}

type lookRow struct {
	at     int64
	ports  string
	assets []byte
}

func (sc *Scoped) looks(ctx context.Context) *looks {
	return &looks{sc, sc.reader(ctx), map[[2]int64][]lookRow{}}
}

// last is the last look that saw the evidence: the newest coverage of its
// asset, before it was closed if it was.
func (l *looks) last(p proofRow) (time.Time, error) {
	key := [2]int64{p.constituent, p.check}
	rows, ok := l.has[key]
	if !ok {
		if err := l.q.each("select at, ports, assets from coverage where constituent_k = ? and check_k = ? and "+l.sc.seen("mark_k")+" order by at desc limit 400", []any{p.constituent, p.check}, func(scan func(...any) error) error {
			var r lookRow
			err := scan(&r.at, &r.ports, &r.assets)
			rows = append(rows, r)
			return err
		}); err != nil {
			return time.Time{}, err
		}
		l.has[key] = rows
	}
	for _, r := range rows {
		if p.closed != 0 && r.at >= p.closed || r.at < p.from || !inRanges(r.assets, p.asset) {
			continue
		}
		proto, err := l.sc.s.text(l.q, p.proto)
		if err != nil || covers(r.ports, p.port, proto) { // a look at another port saw nothing of this one
			return at(r.at), err
		}
	}
	return at(p.from), nil
}

// SharedFindings are the weaknesses of assets that the principal's
// constituents use without owning them: the fact, never the host data. Only
// what the hub saw itself is told, and only by knowledge the reader may see.
func (sc *Scoped) SharedFindings(ctx context.Context, weakness string) ([]vedette.Finding, error) {
	if sc.all || len(sc.cons) == 0 {
		return nil, nil
	}
	marks, err := sc.hubMarks(ctx)
	if err != nil {
		return nil, err
	}
	q := sc.reader(ctx)
	and := ""
	if weakness != "" {
		k, _, err := sc.object(ctx, weakness)
		if err != nil {
			return nil, err
		}
		and = " and f.object_k = " + itoa(k)
	}
	var out []vedette.Finding
	err = q.each(`select o.id, a.id, min(case when b.closed_t is null then 0 else 1 end) from asset_users u join assets a on a.k = u.asset_k
		join findings f on f.constituent_k = a.owner_k and f.asset_k = a.k join objects o on o.k = f.object_k
		join evidence e on e.finding_k = f.k join pairs p on p.k = e.pair_k join observations b on b.k = e.observation_k
		where u.constituent_k in `+ints(sc.cons)+" and a.owner_k not in "+ints(sc.cons)+" and "+sc.seen("p.mark_k")+" and b.mark_k in "+ints(marks)+and+
		" group by o.id, a.id order by o.id, a.id", nil, func(scan func(...any) error) error {
		f := vedette.Finding{Shared: true}
		var gone int64
		if err := scan(&f.Weakness, &f.Asset, &gone); err != nil {
			return err
		}
		if f.Presence = vedette.Present; gone == 1 {
			f.Presence = vedette.NotObserved
		}
		out = append(out, f)
		return nil
	})
	return out, err
}

// hubMarks are the markings of what the hub saw itself on a constituent's asset.
func (sc *Scoped) hubMarks(ctx context.Context) ([]int64, error) {
	all, err := sc.s.markings(ctx)
	if err != nil {
		return nil, err
	}
	var out []int64
	for k, m := range all {
		if m.TLP == vedette.TLPAmberStrict && m.Originator == vedette.HubOriginator && toOneOrg(m.Audience) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out, nil
}

// toOneOrg says whether an audience is exactly one organisation: what an owner
// alone is told. Whatever narrows it further is not passed on.
func toOneOrg(a vedette.Audience) bool {
	return strings.HasPrefix(string(a), "org:") && !strings.ContainsAny(string(a), "|&")
}

// Seen is one place that shows a software, for matches computed on demand.
type Seen struct {
	Constituent string
	Asset       string
	Port        int
	Proto       string
	Check       string
	Exposed     *bool
	Since       time.Time
	FactKey     int64
	AssetKey    int64
	Fact        vedette.Fact
	Marking     vedette.Marking // of the observation
}

// SoftwareNamed are the places that show any of the products now, within the
// principal's walls.
func (sc *Scoped) SoftwareNamed(ctx context.Context, names []int64) ([]Seen, error) {
	q := sc.reader(ctx)
	named, err := factsNamed(q, names)
	if err != nil {
		return nil, err
	}
	var fs []int64
	for _, f := range named {
		fs = append(fs, f...)
	}
	slices.Sort(fs)
	fs = slices.Compact(fs)
	all, err := facts(q, fs)
	if err != nil {
		return nil, err
	}
	var out []Seen
	var marks []int64
	for part := range slices.Chunk(fs, 400) {
		if err := q.each(`select coalesce(c.id, ''), coalesce(a.id, ''), o.port, coalesce(p.text, ''), t.text, o.exposed, o.from_t, o.fact_k, o.asset_k, o.mark_k from observations o
			left join constituents c on c.k = o.constituent_k left join assets a on a.k = o.asset_k left join terms p on p.k = o.proto_k join terms t on t.k = o.check_k
			where o.fact_k in `+ints(part)+" and o.closed_t is null and "+sc.seen("o.mark_k")+" and "+sc.own("o.constituent_k"), nil, func(scan func(...any) error) error {
			var s Seen
			var exposed, from, mark int64
			if err := scan(&s.Constituent, &s.Asset, &s.Port, &s.Proto, &s.Check, &exposed, &from, &s.FactKey, &s.AssetKey, &mark); err != nil {
				return err
			}
			s.Exposed, s.Since, s.Fact = untri(exposed), at(from), all[s.FactKey]
			out, marks = append(out, s), append(marks, mark)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	for i := range out {
		if out[i].Marking, err = sc.s.marking(q, marks[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Beside is all software seen now on assets, within the principal's walls.
func (sc *Scoped) Beside(ctx context.Context, assets map[int64]bool) (map[int64][]vedette.Software, error) {
	on, err := softwareOn(sc.reader(ctx), assets, " and "+sc.seen("mark_k")+" and "+sc.own("constituent_k"))
	out := map[int64][]vedette.Software{}
	for a, rows := range on {
		for _, r := range rows {
			out[a] = append(out[a], r.software...)
		}
	}
	return out, err
}

// ExposureCounts are how many assets, open observations and findings of a
// constituent the principal may see.
func (sc *Scoped) ExposureCounts(ctx context.Context, id string) (map[string]int, error) {
	q := sc.reader(ctx)
	k, err := sc.constituentKey(q, id)
	if err != nil {
		return nil, err
	}
	out := map[string]int{}
	for name, query := range map[string]string{
		"assets":       "select count(*) from assets where owner_k = ? and " + sc.ownAsset("assets"),
		"observations": "select coalesce(sum(n), 0) from counters where constituent_k = ? and kind_k = " + itoa(countOpen) + " and " + sc.own("constituent_k") + " and " + sc.seen("mark_k"),
		"findings":     "select count(*) from findings f where f.constituent_k = ? and " + sc.own("f.constituent_k") + " and exists (select 1 from evidence e where e.finding_k = f.k and " + sc.seen("e.mark_k") + ")",
	} {
		var n int
		if _, err := one(q, query, []any{k}, &n); err != nil {
			return nil, err
		}
		out[name] = n
	}
	return out, nil
}
