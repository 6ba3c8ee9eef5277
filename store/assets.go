package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// AssetRow is an asset in a list. A user of a shared asset learns that he uses
// it and nothing of the host.
type AssetRow struct {
	vedette.Asset
	FirstSeen time.Time `json:"first_seen,omitzero"`
	Places    int       `json:"places,omitempty"`   // open observations the reader may see
	Findings  int       `json:"findings,omitempty"` // of which the reader may see evidence
	Shared    bool      `json:"shared,omitempty"`
}

// AssetFilter narrows a list of assets; zero fields do not.
type AssetFilter struct {
	Constituent string            // that owns them
	Nobodys     bool              // only those without an owner: a person has to decide
	Kind        vedette.AssetKind // names or addresses
	Text        string            // somewhere in the name or the address
	After       string            // the id of the last asset of the page before
	Limit       int               // 0 for 100
}

// Assets lists assets by their ids. The last page of somebody who acts for a
// constituent ends with those that it uses without owning them.
func (sc *Scoped) Assets(ctx context.Context, f AssetFilter) ([]AssetRow, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	q := sc.reader(ctx)
	where, args := []string{sc.ownAsset("a"), "a.id > ?"}, []any{f.After}
	if f.Constituent != "" {
		k, err := sc.constituentKey(q, f.Constituent)
		if err != nil {
			return nil, err
		}
		where, args = append(where, "a.owner_k = ?"), append(args, k)
	}
	if f.Nobodys {
		where = append(where, "a.owner_k = 0")
	}
	if f.Kind != "" {
		k, err := sc.s.termKey(q, string(f.Kind))
		if err != nil {
			return nil, err
		}
		where, args = append(where, "a.kind_k = ?"), append(args, k)
	}
	if text := strings.ToLower(strings.TrimSpace(f.Text)); text != "" {
		where, args = append(where, `a.id like ? escape '\'`), append(args, "%"+strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(text)+"%")
	}
	var out []AssetRow
	err := q.each("select a.id, t.text, coalesce(c.id, ''), "+sc.firstSeen("a")+", (select count(*) from observations o where o.asset_k = a.k and o.closed_t is null and "+sc.seen("o.mark_k")+" and "+sc.own("o.constituent_k")+
		"), (select count(*) from findings f where f.constituent_k = a.owner_k and f.asset_k = a.k and "+sc.own("f.constituent_k")+" and exists (select 1 from evidence e where e.finding_k = f.k and "+sc.seen("e.mark_k")+
		")) from assets a join terms t on t.k = a.kind_k left join constituents c on c.k = a.owner_k where "+strings.Join(where, " and ")+" order by a.id limit ?", append(args, f.Limit), func(scan func(...any) error) error {
		var r AssetRow
		var kind string
		var first int64
		err := scan(&r.ID, &kind, &r.Owner, &first, &r.Places, &r.Findings)
		r.Kind, r.FirstSeen = vedette.AssetKind(kind), at(first)
		out = append(out, r)
		return err
	})
	if err != nil || sc.all || len(sc.cons) == 0 || len(out) >= f.Limit || f != (AssetFilter{After: f.After, Limit: f.Limit}) {
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
	Seen         []time.Time           `json:"seen"`   // of each observation, when a look last saw it
	Marking      vedette.Marking       `json:"marking,omitzero"`
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
	var ps []proofRow
	err = q.each(`select o.check_k, o.proto_k, o.mark_k, t.text, o.port, coalesce(p.text, ''), coalesce(l.text, ''), o.from_t, coalesce(o.closed_t, 0), o.exposed, f.body from observations o join terms t on t.k = o.check_k
		left join terms p on p.k = o.proto_k left join terms l on l.k = o.place_k join facts f on f.k = o.fact_k where o.asset_k = ? and o.constituent_k = ? and `+sc.own("o.constituent_k")+" and "+sc.seen("o.mark_k")+" order by o.port, p.text, l.text, o.from_t", []any{k, owner}, func(scan func(...any) error) error {
		o := vedette.Observation{Asset: v.ID}
		var place, body string
		var exposed int64
		p := proofRow{asset: k, constituent: owner}
		if err := scan(&p.check, &p.proto, &p.mark, &o.Check, &o.Port, &o.Proto, &place, &p.from, &p.closed, &exposed, &body); err != nil {
			return err
		}
		p.port = int64(o.Port)
		o.Path, o.Item, _ = strings.Cut(place, "\x1f")
		o.At, o.Exposed = at(p.from), untri(exposed)
		if p.closed == 0 {
			v.Places++
		}
		v.Observations, v.Closed, ps = append(v.Observations, o), append(v.Closed, at(p.closed)), append(ps, p)
		return json.Unmarshal([]byte(body), &v.Observations[len(v.Observations)-1].Fact)
	})
	if err != nil {
		return v, err
	}
	return v, v.looked(sc, ctx, q, ps)
}

// looked fills in when each place was last seen, and the marking of all of them.
func (v *AssetView) looked(sc *Scoped, ctx context.Context, q querier, ps []proofRow) error {
	looks := sc.looks(ctx)
	for _, p := range ps {
		last, err := looks.last(p)
		if err != nil {
			return err
		}
		m, err := sc.s.marking(q, p.mark)
		if err != nil {
			return err
		}
		if v.Seen = append(v.Seen, last); v.Marking.TLP == vedette.TLPNone {
			v.Marking = m
		}
		v.Marking = v.Marking.Join(m)
	}
	return nil
}
