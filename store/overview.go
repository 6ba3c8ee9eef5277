package store

import (
	"context"
	"time"

	"github.com/vedette-hub/vedette"
)

// Overview is a constituent with the numbers of its row in a list, as the
// reader sees them.
type Overview struct {
	vedette.Constituent
	Assets   int       `json:"assets"`   // that it owns
	Seen     int       `json:"seen"`     // observations on them that hold now
	Surveyed time.Time `json:"surveyed"` // when the last whole survey ended; zero when none did
	// Cases are those that are open, by state and ruling, the strictest ruling first.
	Cases []CaseCount `json:"cases,omitempty"`
}

// Open is how many cases are open.
func (o Overview) Open() (n int) {
	for _, c := range o.Cases {
		n += c.Cases
	}
	return n
}

// Late is how many cases have a deadline that is over.
func (o Overview) Late() (n int) {
	for _, c := range o.Cases {
		n += c.Late
	}
	return n
}

// Due is the nearest deadline, the zero time when no clock runs.
func (o Overview) Due() (t time.Time) {
	for _, c := range o.Cases {
		if !c.Due.IsZero() && (t.IsZero() || c.Due.Before(t)) {
			t = c.Due
		}
	}
	return t
}

// Overviews are the constituents within the wall with their numbers, by id, in
// a number of statements that does not grow with them; id "" is all.
func (sc *Scoped) Overviews(ctx context.Context, id string) ([]Overview, error) {
	q := sc.reader(ctx)
	cs, err := sc.Constituents(ctx)
	if err != nil {
		return nil, err
	}
	var out []Overview
	at := map[string]int{}
	for _, c := range cs {
		if id == "" || c.ID == id {
			at[c.ID] = len(out)
			out = append(out, Overview{Constituent: c})
		}
	}
	one := ""
	if id != "" {
		if len(out) == 0 {
			return nil, vedette.NotFound("constituent %s", id)
		}
		k, err := sc.constituentKey(q, id)
		if err != nil {
			return nil, err
		}
		one = " = " + itoa(k)
	}
	only := func(column string) string {
		if one == "" {
			return sc.own(column)
		}
		return column + one
	}
	cases, err := sc.CaseCounts(ctx, CaseFilter{Constituent: id})
	if err != nil {
		return nil, err
	}
	for _, c := range cases {
		if i, ok := at[c.Constituent]; ok {
			out[i].Cases = append(out[i].Cases, c)
		}
	}
	return out, sc.overview(q, only, func(id string) *Overview {
		if i, ok := at[id]; ok {
			return &out[i]
		}
		return nil
	})
}

// overview fills in the numbers; only is the wall, narrowed to one constituent
// when one is asked about.
func (sc *Scoped) overview(q querier, only func(column string) string, of func(id string) *Overview) error {
	for _, x := range []struct {
		query string
		set   func(*Overview, int64)
	}{
		{"select owner_k as c, count(*) as n from assets where " + only("owner_k") + " and " + sc.ownAsset("assets") + " group by owner_k", func(o *Overview, n int64) { o.Assets = int(n) }},
		{"select constituent_k as c, sum(n) as n from counters where kind_k = " + itoa(countOpen) + " and " + only("constituent_k") + " and " + sc.seen("mark_k") + " group by constituent_k", func(o *Overview, n int64) { o.Seen = int(n) }},
		{"select constituent_k as c, max(ended_at) as n from surveys where kind = 'survey' and state = 'done' and " + only("constituent_k") + " and " + sc.seen("mark_k") + " group by constituent_k", func(o *Overview, n int64) { o.Surveyed = at(n) }},
	} {
		if err := q.each("select c.id, x.n from ("+x.query+") x join constituents c on c.k = x.c where x.n is not null", nil, func(scan func(...any) error) error {
			var id string
			var n int64
			err := scan(&id, &n)
			if o := of(id); o != nil {
				x.set(o, n)
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}
