package store

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
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

// AssetRow is an asset in a list. A user of a shared asset learns that he uses
// it and nothing of the host.
type AssetRow struct {
	vedette.Asset
	FirstSeen time.Time `json:"first_seen,omitzero"`
	Places    int       `json:"places,omitempty"` // open observations the reader may see
	Shared    bool      `json:"shared,omitempty"`
}

// Assets lists assets behind an id, those of one constituent when it is named.
func (sc *Scoped) Assets(ctx context.Context, constituent, after string, limit int) ([]AssetRow, error) {
	q := sc.reader(ctx)
	where, args := sc.ownAsset("a")+" and a.id > ?", []any{after}
	if constituent != "" {
		k, err := sc.constituentKey(q, constituent)
		if err != nil {
			return nil, err
		}
		where, args = where+" and a.owner_k = ?", append(args, k)
	}
	var out []AssetRow
	err := q.each("select a.id, t.text, coalesce(c.id, ''), "+sc.firstSeen("a")+", (select count(*) from observations o where o.asset_k = a.k and o.closed_t is null and "+sc.seen("o.mark_k")+" and "+sc.own("o.constituent_k")+
		") from assets a join terms t on t.k = a.kind_k left join constituents c on c.k = a.owner_k where "+where+" order by a.id limit ?", append(args, limit), func(scan func(...any) error) error {
		var r AssetRow
		var kind string
		var first int64
		err := scan(&r.ID, &kind, &r.Owner, &first, &r.Places)
		r.Kind, r.FirstSeen = vedette.AssetKind(kind), at(first)
		out = append(out, r)
		return err
	})
	if err != nil || sc.all || len(sc.cons) == 0 || constituent != "" || after != "" {
		return out, err
	}
	return sc.sharedAssets(ctx, q, out)
}

// firstSeen is when an asset was first seen, as far as the principal may know.
func (sc *Scoped) firstSeen(table string) string {
	if sc.all {
		return table + ".first_t"
	}
	return "(select min(w.from_t) from observations w where w.asset_k = " + table + ".k and w.constituent_k = " + table + ".owner_k and " + sc.seen("w.mark_k") + " and " + sc.own("w.constituent_k") + ")"
}

// sharedAssets are the assets that the principal's constituents use without
// owning them, of which the hub itself saw something.
func (sc *Scoped) sharedAssets(ctx context.Context, q querier, out []AssetRow) ([]AssetRow, error) {
	marks, err := sc.hubMarks(ctx)
	if err != nil {
		return nil, err
	}
	err = q.each("select distinct a.id, t.text from asset_users u join assets a on a.k = u.asset_k join terms t on t.k = a.kind_k where u.constituent_k in "+ints(sc.cons)+" and a.owner_k not in "+ints(sc.cons)+" and exists (select 1 from observations o where o.asset_k = a.k and o.constituent_k = a.owner_k and o.mark_k in "+ints(marks)+") order by a.id", nil, func(scan func(...any) error) error {
		r := AssetRow{Shared: true}
		var kind string
		err := scan(&r.ID, &kind)
		r.Kind = vedette.AssetKind(kind)
		out = append(out, r)
		return err
	})
	return out, err
}

// AssetView is what is seen on one asset.
type AssetView struct {
	AssetRow
	Users        []string              `json:"users,omitempty"`
	Observations []vedette.Observation `json:"observations"`
	Closed       []time.Time           `json:"closed"` // of each observation, zero while it holds
}

// Asset shows an asset of the principal's own with everything seen on it.
func (sc *Scoped) Asset(ctx context.Context, id string) (AssetView, error) {
	var v AssetView
	q := sc.reader(ctx)
	k, owner, err := sc.assetKey(q, id)
	if err != nil {
		return v, err
	}
	var kind string
	var first int64
	if _, err := one(q, "select a.id, t.text, coalesce(c.id, ''), "+sc.firstSeen("a")+" from assets a join terms t on t.k = a.kind_k left join constituents c on c.k = a.owner_k where a.k = ? and "+sc.ownAsset("a"), []any{k}, &v.ID, &kind, &v.Owner, &first); err != nil {
		return v, err
	}
	v.Kind, v.FirstSeen = vedette.AssetKind(kind), at(first)
	if err := q.each("select c.id from asset_users u join constituents c on c.k = u.constituent_k where u.asset_k = ? and "+sc.own("u.constituent_k")+" order by c.id", []any{k}, func(scan func(...any) error) error {
		var u string
		err := scan(&u)
		v.Users = append(v.Users, u)
		return err
	}); err != nil {
		return v, err
	}
	err = q.each(`select t.text, o.port, coalesce(p.text, ''), coalesce(l.text, ''), o.from_t, coalesce(o.closed_t, 0), o.exposed, f.body from observations o join terms t on t.k = o.check_k
		left join terms p on p.k = o.proto_k left join terms l on l.k = o.place_k join facts f on f.k = o.fact_k where o.asset_k = ? and o.constituent_k = ? and `+sc.own("o.constituent_k")+" and "+sc.seen("o.mark_k")+" order by o.port, p.text, l.text, o.from_t", []any{k, owner}, func(scan func(...any) error) error {
		o := vedette.Observation{Asset: v.ID}
		var place, body string
		var from, closed, exposed int64
		if err := scan(&o.Check, &o.Port, &o.Proto, &place, &from, &closed, &exposed, &body); err != nil {
			return err
		}
		o.Path, o.Item, _ = strings.Cut(place, "\x1f")
		o.At, o.Exposed = at(from), untri(exposed)
		if closed == 0 {
			v.Places++
		}
		v.Observations, v.Closed = append(v.Observations, o), append(v.Closed, at(closed))
		return json.Unmarshal([]byte(body), &v.Observations[len(v.Observations)-1].Fact)
	})
	return v, err
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
