package store

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/vedette-hub/vedette"
)

// constituentKey is the key of a constituent, 0 for none.
func (t *tx) constituentKey(id string) (int64, error) {
	if id == "" {
		return 0, nil
	}
	var k int64
	found, err := one(t, "select k from constituents where id = ? and removed_at is null", []any{id}, &k)
	if err == nil && !found {
		err = vedette.NotFound("constituent %s", id)
	}
	return k, err
}

// constituentKeys is constituentKey for many assets of few constituents.
func (t *tx) constituentKeys() func(id string) (int64, error) {
	known := map[string]int64{}
	return func(id string) (int64, error) {
		k, ok := known[id]
		if ok {
			return k, nil
		}
		k, err := t.constituentKey(id)
		if err == nil {
			known[id] = k
		}
		return k, err
	}
}

// Constituents are the constituents within the principal's wall, by id.
func (sc *Scoped) Constituents(ctx context.Context) ([]vedette.Constituent, error) {
	return constituents(sc.reader(ctx), " and "+sc.own("k"))
}

// Constituent is one constituent; absent and forbidden look the same.
func (sc *Scoped) Constituent(ctx context.Context, id string) (vedette.Constituent, error) {
	cs, err := sc.Constituents(ctx)
	if err != nil {
		return vedette.Constituent{}, err
	}
	i := slices.IndexFunc(cs, func(c vedette.Constituent) bool { return c.ID == id })
	if i < 0 {
		return vedette.Constituent{}, vedette.NotFound("constituent %s", id)
	}
	return cs[i], nil
}

// AllConstituents is for the owner look-up of the line.
func (y *System) AllConstituents(ctx context.Context) ([]vedette.Constituent, error) {
	return constituents(reader{y.s, ctx}, "")
}

func constituents(q querier, and string) ([]vedette.Constituent, error) {
	var out []vedette.Constituent
	err := q.each("select body from constituents where removed_at is null"+and, nil, func(scan func(...any) error) error {
		var body string
		if err := scan(&body); err != nil {
			return err
		}
		var c vedette.Constituent
		err := json.Unmarshal([]byte(body), &c)
		out = append(out, c)
		return err
	})
	slices.SortFunc(out, func(a, b vedette.Constituent) int { return cmp.Compare(a.ID, b.ID) })
	return out, err
}

// Owner finds the owner and the users of an asset among constituents.
type Owner func(asset string) (owner string, users []string, tie bool)

// ApplyConstituents makes the store hold the given constituents: changed ones
// are replaced, unnamed ones stay unless they are in removed. Owners and users
// of all assets follow.
func (sc *Scoped) ApplyConstituents(ctx context.Context, changed []vedette.Constituent, removed []string, own Owner, users map[string][]string, summary map[string]string) error {
	if err := sc.may("constituent apply"); err != nil {
		return err
	}
	return sc.s.update(ctx, func(t *tx) error {
		if err := t.alone(); err != nil {
			return err
		}
		for _, c := range changed {
			if err := t.putConstituent(c); err != nil {
				return err
			}
		}
		for _, id := range removed {
			k, err := t.constituentKey(id)
			if err != nil {
				return err
			}
			if _, err := t.exec("update constituents set removed_at = ? where k = ?", us(t.Now()), k); err != nil {
				return err
			}
			if err := t.declare(k, id, nil); err != nil {
				return err
			}
		}
		if err := t.reown(own); err != nil {
			return err
		}
		if err := t.setUsers(own, users); err != nil {
			return err
		}
		return t.event(vedette.Event{Principal: sc.p.Name, Token: sc.p.Token, Verb: "constituent apply", Subject: "constituency", Detail: summary})
	})
}

func (t *tx) putConstituent(c vedette.Constituent) error {
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	var k int64
	found, err := one(t, "select k from constituents where id = ?", []any{c.ID}, &k)
	if err != nil {
		return err
	}
	if found {
		_, err = t.exec("update constituents set body = ?, removed_at = null where k = ?", string(body), k)
	} else if k, err = t.reserve("constituents", 1); err == nil {
		_, err = t.exec("insert into constituents(k, id, body) values (?, ?, ?)", k, c.ID, string(body))
	}
	if err != nil {
		return err
	}
	return t.declare(k, c.ID, c.Software)
}

// declare keeps a constituent's declared software as observations without an asset.
func (t *tx) declare(k int64, id string, software []vedette.Declared) error {
	now := t.Now()
	seen := make([]vedette.Observation, 0, len(software))
	for _, d := range software {
		sw := vedette.Software{Vendor: d.Vendor, Product: d.Product, Version: d.Version, CPE: d.CPE}
		item := d.Product
		if d.Vendor != "" {
			item = d.Vendor + "/" + d.Product
		}
		seen = append(seen, vedette.Observation{Check: CheckDeclared, At: now, Item: item, Constituent: id, Exposed: d.InternetFacing,
			Fact: vedette.Fact{Software: []vedette.Software{sw}}})
	}
	return t.declared(k, id, now, seen)
}

// reown gives every asset the owner that the scopes name now. What was seen on
// an asset goes with it: its constituent and its audience.
func (t *tx) reown(own Owner) error {
	ids := map[string]int64{}
	if err := t.each("select id, k from constituents where removed_at is null", nil, func(scan func(...any) error) error {
		var id string
		var k int64
		err := scan(&id, &k)
		ids[id] = k
		return err
	}); err != nil {
		return err
	}
	type move struct{ asset, from, to int64 }
	var moves []move
	if err := t.each("select k, id, owner_k from assets", nil, func(scan func(...any) error) error {
		var k, owner int64
		var id string
		if err := scan(&k, &id, &owner); err != nil {
			return err
		}
		name, _, tie := own(id)
		to, known := ids[name]
		if tie {
			to = 0
		} else if !known {
			to = owner // no scope names it: whoever stated it keeps it
		}
		if to != owner {
			moves = append(moves, move{k, owner, to})
		}
		return nil
	}); err != nil {
		return err
	}
	moved := map[int64]bool{}
	for _, m := range moves {
		if _, err := t.exec("update assets set owner_k = ? where k = ?", m.to, m.asset); err != nil {
			return err
		}
		moved[m.asset] = true
	}
	if len(moved) == 0 {
		return nil
	}
	return t.replayAssets(moved, own, 0) // with the new owner's rows and audience; a constituent's own word stays its own
}

// setUsers keeps who uses which asset without owning it: by a shorter scope,
// or named in a system of the profile.
func (t *tx) setUsers(own Owner, named map[string][]string) error {
	if _, err := t.exec("delete from asset_users"); err != nil {
		return err
	}
	w := t.bulk("asset_users", "constituent_k, asset_k", " on conflict do nothing")
	type row struct {
		k  int64
		id string
	}
	var assets []row
	if err := t.each("select k, id from assets", nil, func(scan func(...any) error) error {
		var r row
		err := scan(&r.k, &r.id)
		assets = append(assets, r)
		return err
	}); err != nil {
		return err
	}
	for _, a := range assets {
		_, users, _ := own(a.id)
		for _, u := range append(users, named[a.id]...) {
			k, err := t.constituentKey(u)
			if err != nil {
				return err
			}
			if err := w.add(k, a.k); err != nil {
				return err
			}
		}
	}
	return w.flush()
}
