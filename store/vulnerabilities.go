package store

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/vedette-hub/vedette"
)

// VulnerabilityRow is one vulnerability in a list, and whom it touches as far as
// the reader sees.
type VulnerabilityRow struct {
	ObjectRow
	Exploited bool      `json:"exploited"`      // somebody says so
	Since     time.Time `json:"since,omitzero"` // the first day of that; zero when nobody knows it
	Cases     int       `json:"cases"`          // that are open, one for each constituent
	Findings  int       `json:"findings"`       // that their constituents have
	touching  int64
}

// VulnerabilityFilter narrows a list of vulnerabilities; zero fields do not.
type VulnerabilityFilter struct {
	Exploited bool // somebody says so, and did not take it back
	Touching  bool // exploited, and a case of it is open
	Words     string
	After     VulnerabilityCursor
	Limit     int // 0 for 100
}

// VulnerabilityCursor is where a page of the list ended.
type VulnerabilityCursor struct {
	Rest     bool // behind those that are exploited
	Touching int64
	Since, K int64
}

// Vulnerabilities lists those that are exploited and touch somebody, then those
// that are exploited, the latest first, then all others by their last change.
// Words give what matches them, newest first, and no second page.
func (sc *Scoped) Vulnerabilities(ctx context.Context, f VulnerabilityFilter) (out []VulnerabilityRow, next VulnerabilityCursor, more bool, err error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	q := sc.reader(ctx)
	if f.Words != "" {
		out, err = sc.vulnerabilitiesNamed(ctx, q, f)
		return out, next, false, err
	}
	next = f.After
	if !f.After.Rest {
		if out, err = sc.exploitedFirst(q, f); err != nil {
			return nil, next, false, err
		}
		if n := len(out); n > 0 {
			last := out[n-1]
			next = VulnerabilityCursor{Touching: last.touching, Since: us(last.Since), K: last.key}
		}
		if len(out) == f.Limit {
			return out, next, true, sc.touched(q, out)
		}
		next = VulnerabilityCursor{Rest: true}
	}
	if f.Exploited || f.Touching {
		return out, next, false, sc.touched(q, out)
	}
	rest, at, err := sc.Objects(ctx, vedette.TypeVulnerability, Cursor{next.Since, next.K}, f.Limit-len(out))
	if err != nil {
		return nil, next, false, err
	}
	more = len(rest) == f.Limit-len(out)
	known, err := sc.exploitedAmong(q, rest)
	if err != nil {
		return nil, next, false, err
	}
	for _, r := range rest {
		if _, ok := known[r.key]; !ok {
			out = append(out, VulnerabilityRow{ObjectRow: r})
		}
	}
	return out, VulnerabilityCursor{Rest: true, Since: at.T, K: at.K}, more, sc.touched(q, out)
}

// Titles are what the weaknesses are called, by their ids, as far as the reader
// may know; one without a title is left out.
func (sc *Scoped) Titles(ctx context.Context, ids []string) (map[string]string, error) {
	out := map[string]string{}
	q := sc.reader(ctx)
	var hashes, keys []int64
	for _, id := range ids {
		hashes = append(hashes, hash64(id))
	}
	if len(hashes) == 0 {
		return out, nil
	}
	if err := q.each("select k from objects where h in "+ints(hashes), nil, collect(&keys)); err != nil || len(keys) == 0 {
		return out, err
	}
	rows, err := sc.newestHeads(q, keys)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if t := cmp.Or(r.Fields["title"], r.Name); slices.Contains(ids, r.ID) && t != "" && t != r.ID {
			out[r.ID] = t
		}
	}
	return out, nil
}

// touches is, in SQL, 1 for an object with an open case of which the reader sees
// evidence.
func (sc *Scoped) touches(object string) string {
	return "case when exists (select 1 from cases s where s.object_k = " + object + " and s.state <> 'closed' and " + sc.seenFindings() + ") then 1 else 0 end"
}

// seenFindings: a case s of whose findings the reader sees evidence.
func (sc *Scoped) seenFindings() string {
	return sc.own("s.constituent_k") + " and exists (select 1 from findings f join evidence e on e.finding_k = f.k where f.object_k = s.object_k and f.constituent_k = s.constituent_k and " + sc.seen("e.mark_k") + ")"
}

func (sc *Scoped) exploitedFirst(q querier, f VulnerabilityFilter) ([]VulnerabilityRow, error) {
	where, args := "1 = 1", []any{}
	if f.Touching {
		where = "x.t = 1"
	}
	if f.After != (VulnerabilityCursor{}) {
		where, args = where+" and (x.t, x.since, x.k) < (?, ?, ?)", append(args, f.After.Touching, f.After.Since, f.After.K)
	}
	var out []VulnerabilityRow
	var keys []int64
	if err := q.each("select x.k, x.since, x.t from (select object_k as k, min(since) as since, "+sc.touches("exploited.object_k")+" as t from exploited where ended is null and "+sc.seen("mark_k")+
		" group by object_k) x where "+where+" order by x.t desc, x.since desc, x.k desc limit ?", append(args, f.Limit), func(scan func(...any) error) error {
		var r VulnerabilityRow
		var since int64
		err := scan(&r.key, &since, &r.touching)
		r.Exploited, r.Since = true, at(since)
		out, keys = append(out, r), append(keys, r.key)
		return err
	}); err != nil || len(keys) == 0 {
		return nil, err
	}
	rows, err := sc.newestHeads(q, keys)
	if err != nil {
		return nil, err
	}
	for i := range out {
		k := out[i].key
		out[i].ObjectRow, out[i].key = rows[k], k
	}
	return slices.DeleteFunc(out, func(r VulnerabilityRow) bool { return r.ID == "" }), nil
}

// newestHeads are objects by their keys, each at the newest head the reader sees
// and with the join of them all.
func (sc *Scoped) newestHeads(q querier, keys []int64) (map[int64]ObjectRow, error) {
	var rows []ObjectRow
	if err := q.each("select h.k, o.k, o.id, t.text, h.name, h.modified, h.fields from objects o join heads h on h.k between o.k * 65536 and o.k * 65536 + 65535 join terms t on t.k = h.type_k where o.k in "+ints(keys)+" and "+sc.seen("h.mark_k")+
		" order by h.modified desc, h.k desc", nil, func(scan func(...any) error) error {
		var r ObjectRow
		var modified int64
		var fields string
		if err := scan(&r.head, &r.key, &r.ID, &r.Type, &r.Name, &modified, &fields); err != nil {
			return err
		}
		if slices.ContainsFunc(rows, func(o ObjectRow) bool { return o.key == r.key }) {
			return nil
		}
		r.Modified = at(modified)
		rows = append(rows, r)
		return json.Unmarshal([]byte(fields), &rows[len(rows)-1].Fields)
	}); err != nil {
		return nil, err
	}
	if err := sc.joinHeads(q, rows); err != nil {
		return nil, err
	}
	out := map[int64]ObjectRow{}
	for _, r := range rows {
		out[r.key] = r
	}
	return out, nil
}

// exploitedAmong says since when those of the objects are exploited that are.
func (sc *Scoped) exploitedAmong(q querier, rows []ObjectRow) (map[int64]int64, error) {
	out := map[int64]int64{}
	var keys []int64
	for _, r := range rows {
		keys = append(keys, r.key)
	}
	if len(keys) == 0 {
		return out, nil
	}
	return out, q.each("select object_k, min(since) from exploited where ended is null and object_k in "+ints(keys)+" and "+sc.seen("mark_k")+" group by object_k", nil, func(scan func(...any) error) error {
		var k, since int64
		err := scan(&k, &since)
		out[k] = since
		return err
	})
}

func (sc *Scoped) vulnerabilitiesNamed(ctx context.Context, q querier, f VulnerabilityFilter) ([]VulnerabilityRow, error) {
	found, err := sc.Search(ctx, f.Words, 10*f.Limit)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(r ObjectRow) bool { return r.Type != vedette.TypeVulnerability })
	since, err := sc.exploitedAmong(q, found)
	if err != nil {
		return nil, err
	}
	var out []VulnerabilityRow
	for _, r := range found {
		row := VulnerabilityRow{ObjectRow: r}
		if s, ok := since[r.key]; ok {
			row.Exploited, row.Since = true, at(s)
		}
		if row.Exploited || !f.Exploited {
			out = append(out, row)
		}
	}
	if err := sc.touched(q, out); err != nil {
		return nil, err
	}
	if f.Touching {
		out = slices.DeleteFunc(out, func(r VulnerabilityRow) bool { return r.Cases == 0 || !r.Exploited })
	}
	return out[:min(len(out), f.Limit)], nil
}

// touched fills in how many cases are open and how many findings there are.
func (sc *Scoped) touched(q querier, rows []VulnerabilityRow) error {
	var keys []int64
	by := map[int64]int{}
	for i, r := range rows {
		by[r.key], keys = i, append(keys, r.key)
	}
	if len(keys) == 0 {
		return nil
	}
	if err := q.each("select s.object_k, count(*) from cases s where s.object_k in "+ints(keys)+" and s.state <> 'closed' and "+sc.seenFindings()+" group by s.object_k", nil, func(scan func(...any) error) error {
		var k int64
		var n int
		err := scan(&k, &n)
		rows[by[k]].Cases = n
		return err
	}); err != nil {
		return err
	}
	return q.each("select f.object_k, count(*) from findings f where f.object_k in "+ints(keys)+" and "+sc.own("f.constituent_k")+" and exists (select 1 from evidence e where e.finding_k = f.k and "+sc.seen("e.mark_k")+") group by f.object_k", nil, func(scan func(...any) error) error {
		var k int64
		var n int
		err := scan(&k, &n)
		rows[by[k]].Findings = n
		return err
	})
}
