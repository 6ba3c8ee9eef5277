package store

import (
	"context"
	"encoding/json"
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

// Changes lists the places of a constituent ("" is all within the wall) where
// something else is seen now than at a time, by asset and port.
func (sc *Scoped) Changes(ctx context.Context, constituent string, since time.Time, limit int) ([]Changed, error) {
	q := sc.reader(ctx)
	where, args := sc.own("o.constituent_k")+" and "+sc.seen("o.mark_k"), []any{us(since), us(since)}
	if constituent != "" {
		k, err := sc.constituentKey(q, constituent)
		if err != nil {
			return nil, err
		}
		where += " and o.constituent_k = " + itoa(k)
	}
	var out []Changed
	var last *Changed
	flush := func() {
		if last != nil && last.What != "" && len(out) < limit && !sameFact(last.Before, last.After) {
			out = append(out, *last)
		}
	}
	err := q.each(`select coalesce(c.id, ''), coalesce(a.id, ''), o.port, coalesce(p.text, ''), t.text, coalesce(l.text, ''), o.from_t, coalesce(o.closed_t, 0), f.body
		from observations o join facts f on f.k = o.fact_k join terms t on t.k = o.check_k left join assets a on a.k = o.asset_k left join constituents c on c.k = o.constituent_k left join terms p on p.k = o.proto_k left join terms l on l.k = o.place_k
		where (o.from_t >= ? or o.closed_t >= ?) and `+where+" order by 1, 2, 3, 4, 5, 6, 7", args, func(scan func(...any) error) error {
		var r Changed
		var from, closed int64
		var body string
		if err := scan(&r.Constituent, &r.Asset, &r.Port, &r.Proto, &r.Check, &r.Item, &from, &closed, &body); err != nil {
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
	var out []Unknown
	err := sc.reader(ctx).each(`select f.body, count(*), min(coalesce(a.id, '')) from observations o join facts f on f.k = o.fact_k join terms t on t.k = o.check_k left join assets a on a.k = o.asset_k
		where o.closed_t is null and t.text in ('service', 'http') and `+sc.seen("o.mark_k")+" and "+sc.own("o.constituent_k")+" group by f.k, f.body order by 2 desc, 1", nil, func(scan func(...any) error) error {
		var body string
		var u Unknown
		if err := scan(&body, &u.Seen, &u.Example); err != nil || len(out) >= limit {
			return err
		}
		var f vedette.Fact
		if err := json.Unmarshal([]byte(body), &f); err != nil {
			return err
		}
		if u.Service, u.Banner = f.Service, f.Banner; u.Banner == "" {
			u.Banner = f.Details["title"]
		}
		if len(f.Software) == 0 && u.Banner != "" {
			out = append(out, u)
		}
		return nil
	})
	return out, err
}
