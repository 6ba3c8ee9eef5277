package store

import (
	"context"
	"time"

	"github.com/vedette-hub/vedette"
)

// Exploited is a vulnerability that somebody began to exploit.
type Exploited struct {
	Object int64
	ID     string
}

// NewlyExploited are the vulnerabilities that are exploited since a time by
// claims of the given markings, and whose places were not queued yet.
func (y *System) NewlyExploited(ctx context.Context, since time.Time, marks []int64) ([]Exploited, error) {
	var out []Exploited
	err := reader{y.s, ctx}.each("select distinct o.k, o.id from exploited x join objects o on o.k = x.object_k where "+stands+" and x.since >= ? and x.mark_k in "+ints(marks)+
		" and not exists (select 1 from confirmed c where c.object_k = x.object_k) order by o.k", []any{us(since)}, func(scan func(...any) error) error {
		var e Exploited
		err := scan(&e.Object, &e.ID)
		out = append(out, e)
		return err
	})
	return out, err
}

// PlacesHit are the ports where a vulnerability is seen now over the network,
// by constituent. A constituent that no person ever had surveyed is left out:
// nobody read what authorises it.
func (y *System) PlacesHit(ctx context.Context, object int64) (map[string][]vedette.Place, error) {
	out := map[string][]vedette.Place{}
	err := reader{y.s, ctx}.each(`select distinct c.id, a.id, f.port, coalesce(p.text, '') from findings f join constituents c on c.k = f.constituent_k join assets a on a.k = f.asset_k left join terms p on p.k = f.proto_k
		where f.object_k = ? and f.port > 0 and c.removed_at is null and a.owner_k = c.k and exists (select 1 from surveys s where s.constituent_k = c.k and s.kind = 'survey')
		and exists (select 1 from evidence e join observations o on o.k = e.observation_k where e.finding_k = f.k and o.closed_t is null) order by 1, 2, 3`, []any{object}, func(scan func(...any) error) error {
		var id string
		var p vedette.Place
		err := scan(&id, &p.Asset, &p.Port, &p.Proto)
		out[id] = append(out[id], p)
		return err
	})
	return out, err
}

// Confirm keeps the surveys that look again at the places of an exploited
// vulnerability, and that they were queued; surveys are by constituent. While
// all surveys are stopped none is queued, and it is false.
func (y *System) Confirm(ctx context.Context, e Exploited, surveys map[string][]vedette.Part) (ok bool, err error) {
	err = y.s.update(ctx, func(t *tx) error {
		n, err := t.exec("insert into confirmed(object_k, at) values (?, ?) on conflict (object_k) do nothing", e.Object, us(t.Now()))
		if ok = n == 1; err != nil || !ok {
			return err
		}
		for id, parts := range surveys {
			k, err := t.constituentKey(id)
			if err != nil {
				return err
			}
			s, err := t.addSurvey(vedette.Survey{Constituent: id, Kind: vedette.ConfirmSurvey, By: "hub", Note: e.ID}, k, parts)
			if err != nil {
				return err
			}
			if err := t.event(vedette.Event{Principal: "hub", Verb: "survey run", Subject: s.ID, Constituent: id, Reason: "newly exploited: " + e.ID}); err != nil {
				return err
			}
		}
		return nil
	})
	return ok, err
}
