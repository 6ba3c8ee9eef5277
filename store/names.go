package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/policy"
)

// NamesSeen are the keys of product names that software within the principal's
// walls shows now, with how many places show each.
func (sc *Scoped) NamesSeen(ctx context.Context) (map[int64]int, error) {
	out := map[int64]int{}
	err := sc.s.each(ctx, "select n.name_k, sum(o.places) from (select fact_k, count(*) as places from observations where closed_t is null and "+sc.seen("mark_k")+" and "+sc.own("constituent_k")+" group by fact_k) o join fact_names n on n.fact_k = o.fact_k group by n.name_k", nil, func(scan func(...any) error) error {
		var k int64
		var n int
		err := scan(&k, &n)
		out[k] = n
		return err
	})
	return out, err
}

// NamesSpoken says of which names some visible source states ranges.
func (sc *Scoped) NamesSpoken(ctx context.Context, names []int64) (map[int64]bool, error) {
	out := map[int64]bool{}
	for part := range slices.Chunk(names, 400) {
		if err := sc.s.each(ctx, "select distinct name_k from affected where name_k in "+ints(part)+" and "+sc.seen("mark_k"), nil, func(scan func(...any) error) error {
			var k int64
			err := scan(&k)
			out[k] = true
			return err
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// NamesWithWeaknesses are up to 20 vulnerabilities for each name that visible
// sources speak of.
func (sc *Scoped) NamesWithWeaknesses(ctx context.Context) (map[int64][]string, error) {
	out := map[int64][]string{}
	err := sc.s.each(ctx, "select a.name_k, o.id from affected a join objects o on o.k = a.object_k where "+sc.seen("a.mark_k")+" order by a.name_k, o.id", nil, func(scan func(...any) error) error {
		var k int64
		var id string
		err := scan(&k, &id)
		if len(out[k]) < 20 {
			out[k] = append(out[k], id)
		}
		return err
	})
	return out, err
}

// SourceRow is a source with how much it said.
type SourceRow struct {
	vedette.Source
	Documents int       `json:"documents"`
	Newest    time.Time `json:"newest,omitzero"` // the time of its newest document
}

// Sources are the sources, by name: who says things, not what. Who runs or
// answers for the whole hub knows all of them; everybody else those that handed
// in something he may see. Documents are counted as far as he may see them.
func (sc *Scoped) Sources(ctx context.Context) ([]SourceRow, error) {
	if err := sc.may("source list"); err != nil {
		return nil, err
	}
	having := " having count(i.k) > 0"
	if !policy.Bound(sc.p) && sc.p.Has(vedette.Lead, vedette.Auditor, vedette.Admin) {
		having = ""
	}
	var out []SourceRow
	err := sc.s.each(ctx, "select s.body, count(i.k), coalesce(max(i.time), 0) from sources s left join intakes i on i.source_k = s.k and i.purged_at is null and "+sc.seen("i.mark_k")+" and "+sc.own("i.constituent_k")+" group by s.k, s.name, s.body"+having+" order by s.name", nil, func(scan func(...any) error) error {
		var r SourceRow
		var body string
		var newest int64
		if err := scan(&body, &r.Documents, &newest); err != nil {
			return err
		}
		r.Newest = at(newest)
		err := json.Unmarshal([]byte(body), &r.Source)
		out = append(out, r)
		return err
	})
	return out, err
}
