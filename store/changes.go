package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
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

// ChangeFilter narrows a list of changes; zero fields do not.
type ChangeFilter struct {
	Constituent string
	Since       time.Time // compare with what was seen then
	What        string    // appeared, changed or vanished
	After       string    // where the page before ended
	Limit       int       // 0 for 100
}

// looked is a row of observations that began or ended since the time asked about.
type looked struct{ t, constituent, k, asset int64 }

// changesRead bounds how many rows one page of changes reads: one that finds too
// little of what was asked for ends early, and goes on where it ended.
const changesRead = 5_000

// Changes lists the places on constituents' own assets where something else is
// seen now than at a time, the newest change first. next is where to go on, ""
// at the end. A page may be short, or empty, before the end.
func (sc *Scoped) Changes(ctx context.Context, f ChangeFilter) (out []Changed, next string, err error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	q := sc.reader(ctx)
	at := looked{t: 1 << 62}
	if f.After != "" {
		if _, err := fmt.Sscanf(f.After, "%d.%d.%d", &at.t, &at.constituent, &at.k); err != nil {
			return nil, "", vedette.Invalid("no list of changes goes on at %q", f.After)
		}
	}
	only, one := sc.own("o.constituent_k"), f.Constituent != ""
	if one {
		k, err := sc.constituentKey(q, f.Constituent)
		if err != nil {
			return nil, "", err
		}
		only = "o.constituent_k = " + itoa(k)
	} else if !sc.all && len(sc.cons) == 1 {
		only, one = "o.constituent_k = "+itoa(sc.cons[0]), true
	}
	columns := []string{"from_t", "closed_t"}
	if f.What == "vanished" {
		columns = columns[1:] // the last that happened there is an end
	}
	batch := max(f.Limit, 200)
	for read := 0; read < changesRead; read += batch {
		rows, err := sc.looked(q, columns, only, one, us(f.Since), at, batch)
		if err != nil {
			return nil, "", err
		}
		places, err := sc.placesSince(q, only, us(f.Since), rows)
		if err != nil {
			return nil, "", err
		}
		for _, r := range rows {
			at = r
			c := places[r]
			if c == nil || c.What == "" || f.What != "" && c.What != f.What || sameFact(c.Before, c.After) {
				continue
			}
			if out = append(out, *c); len(out) == f.Limit {
				return out, at.cursor(), nil
			}
		}
		if len(rows) < batch {
			return out, "", nil
		}
	}
	return out, at.cursor(), nil
}

func (l looked) cursor() string { return fmt.Sprintf("%d.%d.%d", l.t, l.constituent, l.k) }

// looked reads what began or ended since a time, the newest first, behind a row.
// What is only of one constituent is read along its own index.
func (sc *Scoped) looked(q querier, columns []string, only string, one bool, since int64, behind looked, limit int) (rows []looked, err error) {
	var parts []string
	var args []any
	for _, column := range columns {
		t := "o." + column
		order, after := t+", o.constituent_k, o.k", []any{behind.t, behind.constituent, behind.k}
		if one {
			order, after = t+", o.k", []any{behind.t, behind.k}
		}
		parts = append(parts, "select * from (select "+t+" as t, o.constituent_k as c, o.k as k, o.asset_k as a from observations o where "+t+" >= ? and ("+order+") < (?"+strings.Repeat(", ?", len(after)-1)+") and o.asset_k > 0 and "+
			only+" and "+sc.seen("o.mark_k")+" order by "+strings.ReplaceAll(order, ",", " desc,")+" desc limit ?) "+column)
		args = append(append(append(args, since), after...), limit)
	}
	err = q.each(strings.Join(parts, " union all ")+" order by 1 desc, 2 desc, 3 desc limit ?", append(args, limit), func(scan func(...any) error) error {
		var r looked
		err := scan(&r.t, &r.constituent, &r.k, &r.asset)
		rows = append(rows, r)
		return err
	})
	return rows, err
}

// placesSince are the places of the rows with what is seen there now and was
// seen before, by the last row that changed each.
func (sc *Scoped) placesSince(q querier, only string, since int64, rows []looked) (map[looked]*Changed, error) {
	var assets []int64
	for _, r := range rows {
		assets = append(assets, r.asset)
	}
	out := map[looked]*Changed{}
	type spot struct{ asset, constituent, port, proto, check, place int64 }
	for part := range slices.Chunk(distinctKeys(assets), 400) {
		var last *Changed
		var here spot
		var newest looked
		flush := func() {
			if last != nil {
				last.At = at(newest.t)
				out[newest] = last
			}
		}
		if err := q.each(`select o.asset_k, o.constituent_k, o.port, o.proto_k, o.check_k, o.place_k, coalesce(c.id, ''), a.id, coalesce(p.text, ''), t.text, coalesce(l.text, ''), o.k, o.from_t, coalesce(o.closed_t, 0), f.body
			from observations o join assets a on a.k = o.asset_k join facts f on f.k = o.fact_k join terms t on t.k = o.check_k left join constituents c on c.k = o.constituent_k left join terms p on p.k = o.proto_k left join terms l on l.k = o.place_k
			where o.asset_k in `+ints(part)+" and a.owner_k = o.constituent_k and (+o.from_t >= ? or +o.closed_t >= ?) and "+only+" and "+sc.seen("o.mark_k")+" order by 1, 2, 3, 4, 5, 6, o.from_t", []any{since, since}, func(scan func(...any) error) error {
			var s spot
			var c Changed
			var k, from, closed int64
			var body string
			if err := scan(&s.asset, &s.constituent, &s.port, &s.proto, &s.check, &s.place, &c.Constituent, &c.Asset, &c.Proto, &c.Check, &c.Item, &k, &from, &closed, &body); err != nil {
				return err
			}
			f := &vedette.Fact{}
			if err := json.Unmarshal([]byte(body), f); err != nil {
				return err
			}
			if last == nil || s != here {
				flush()
				c.Port = int(s.port)
				last, here, newest = &c, s, looked{}
			}
			last.add(f, from < since, closed == 0)
			if t := max(from, closed); t > newest.t || t == newest.t && k > newest.k {
				newest = looked{t, s.constituent, k, s.asset}
			}
			return nil
		}); err != nil {
			return nil, err
		}
		flush()
	}
	return out, nil
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
