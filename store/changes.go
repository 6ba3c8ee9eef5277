package store

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/vedette-hub/vedette"
)

// Changed is one place where something else is seen than at an earlier time.
type Changed struct {
	Constituent string        `json:"constituent"`
	Asset       string        `json:"asset"`
	Port        int           `json:"port,omitempty"`
	Proto       string        `json:"proto,omitempty"`
	Check       string        `json:"check"`
	Item        string        `json:"item,omitempty"`
	What        string        `json:"what"` // appeared, changed, vanished
	At          time.Time     `json:"at"`
	Before      *vedette.Fact `json:"before,omitempty"`
	After       *vedette.Fact `json:"after,omitempty"`
}

// Changes lists the places on a constituent's own assets ("" is all within the
// wall) where something else is seen now than at a time, by asset and port.
func (sc *Scoped) Changes(ctx context.Context, constituent string, since time.Time, limit int) ([]Changed, error) {
	q := sc.reader(ctx)
	ids := []string{constituent}
	if constituent == "" {
		cs, err := sc.Constituents(ctx)
		if err != nil {
			return nil, err
		}
		ids = ids[:0]
		for _, c := range cs {
			ids = append(ids, c.ID)
		}
	}
	var out []Changed
	for _, id := range ids {
		k, err := sc.constituentKey(q, id)
		if err != nil {
			return nil, err
		}
		if out, err = sc.changesOf(q, out, k, id, since, limit); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// changesOf goes along the assets of one constituent.
func (sc *Scoped) changesOf(q querier, out []Changed, k int64, id string, since time.Time, limit int) ([]Changed, error) {
	var last *Changed
	flush := func() {
		if last != nil && last.What != "" && len(out) < limit && !sameFact(last.Before, last.After) {
			out = append(out, *last)
		}
	}
	err := q.each(`select a.id, o.port, coalesce(p.text, ''), t.text, coalesce(l.text, ''), o.from_t, coalesce(o.closed_t, 0), f.body
		from assets a join observations o on o.asset_k = a.k join facts f on f.k = o.fact_k join terms t on t.k = o.check_k left join terms p on p.k = o.proto_k left join terms l on l.k = o.place_k
		where a.owner_k = ? and (o.from_t >= ? or o.closed_t >= ?) and `+sc.own("o.constituent_k")+" and "+sc.seen("o.mark_k")+" order by 1, 2, 3, 4, 5, 6", []any{k, us(since), us(since)}, func(scan func(...any) error) error {
		r := Changed{Constituent: id}
		var from, closed int64
		var body string
		if err := scan(&r.Asset, &r.Port, &r.Proto, &r.Check, &r.Item, &from, &closed, &body); err != nil {
			return err
		}
		f := &vedette.Fact{}
		if err := json.Unmarshal([]byte(body), f); err != nil {
			return err
		}
		if last == nil || !last.samePlace(r) {
			flush()
			last = &r
		}
		last.add(f, from < us(since), closed == 0)
		last.At = at(max(from, closed))
		return nil
	})
	flush()
	return out, err
}

func (c Changed) samePlace(o Changed) bool {
	return c.Constituent == o.Constituent && c.Asset == o.Asset && c.Port == o.Port && c.Proto == o.Proto && c.Check == o.Check && c.Item == o.Item
}

// add is the next interval of the place, in the order of time.
func (c *Changed) add(f *vedette.Fact, before, now bool) {
	if before {
		c.Before = f
	}
	if c.After = nil; now {
		c.After = f
	}
	c.What = map[[2]bool]string{{false, true}: "appeared", {true, true}: "changed", {true, false}: "vanished"}[[2]bool{c.Before != nil, c.After != nil}]
}

// sameFact: what went and came back did not change.
func sameFact(a, b *vedette.Fact) bool {
	if a == nil || b == nil {
		return false
	}
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// Unknown is an answer that no rule recognises.
type Unknown struct {
	Service string `json:"service,omitempty"`
	Banner  string `json:"banner"`
	Seen    int    `json:"seen"`    // places where it stands now
	Example string `json:"example"` // one of them
}

// Unknowns lists what services say that no software was recognised in, by the
// number of places within the wall: where a rule would help most.
func (sc *Scoped) Unknowns(ctx context.Context, limit int) ([]Unknown, error) {
	q := sc.reader(ctx)
	facts := map[int64]Unknown{} // thousands of places share one
	if err := q.each("select k, body from facts order by k", nil, func(scan func(...any) error) error {
		var k int64
		var body string
		if err := scan(&k, &body); err != nil {
			return err
		}
		var f vedette.Fact
		if err := json.Unmarshal([]byte(body), &f); err != nil {
			return err
		}
		if u := (Unknown{Service: f.Service, Banner: cmp.Or(f.Banner, f.Details["title"])}); len(f.Software)+len(f.Reports) == 0 && u.Banner != "" {
			facts[k] = u
		}
		return nil
	}); err != nil {
		return nil, err
	}
	var out []Unknown
	for part := range slices.Chunk(slices.Sorted(maps.Keys(facts)), 400) {
		if err := q.each("select o.fact_k, count(*), min(a.id) from observations o join assets a on a.k = o.asset_k where o.fact_k in "+ints(part)+" and o.closed_t is null and "+sc.seen("o.mark_k")+" and "+sc.own("o.constituent_k")+" and "+sc.ownAsset("a")+" group by o.fact_k", nil, func(scan func(...any) error) error {
			var k int64
			var n int
			var example string
			err := scan(&k, &n, &example)
			u := facts[k]
			u.Seen, u.Example = n, example
			out = append(out, u)
			return err
		}); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b Unknown) int {
		return cmp.Or(cmp.Compare(b.Seen, a.Seen), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Banner, b.Banner))
	})
	return out[:min(len(out), limit)], nil
}
