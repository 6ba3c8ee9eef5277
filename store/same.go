package store

import (
	"slices"

	"github.com/vedette-hub/vedette"
)

// joinIDs makes one object of a CVE and the other ids that public statements
// give it: the old id redirects, its claims move, its findings re-key. A CVE is
// never an alias, and the first CVE that names an alias keeps it.
func (b *batch) joinIDs(sts []stated, objects *objectSet) error {
	want, public := map[string]int64{}, map[int64]bool{}
	for _, s := range sts {
		v := s.st.Vulnerability
		if v == nil || len(v.Aliases) == 0 {
			continue
		}
		if _, cve := vedette.CVENumber(s.st.Object); !cve {
			continue
		}
		seen, asked := public[s.mark]
		if !asked {
			m, err := b.marking(b.tx, s.mark)
			if err != nil {
				return err
			}
			seen = m.TLP <= vedette.TLPGreen && m.Audience == ""
			public[s.mark] = seen
		}
		if !seen {
			continue // a redirect would tell of it
		}
		for _, a := range v.Aliases {
			if _, cve := vedette.CVENumber(a); !cve && a != "" && want[a] == 0 {
				want[a] = objects.of(s.st.Object)
			}
		}
	}
	if len(want) == 0 {
		return nil
	}
	return b.redirect(want, objects)
}

func (b *batch) redirect(want map[string]int64, objects *objectSet) error {
	known := map[string]int64{}
	redirected := map[string]bool{}
	hs := make([]int64, 0, len(want))
	ids := make([]string, 0, len(want))
	for id := range want {
		hs, ids = append(hs, hash64(id)), append(ids, id)
	}
	slices.Sort(hs)
	slices.Sort(ids)
	for part := range slices.Chunk(hs, 256) {
		if err := b.each("select k, id, same_k from objects where h in "+ints(part), nil, func(scan func(...any) error) error {
			var k, same int64
			var id string
			err := scan(&k, &id, &same)
			known[id], redirected[id] = k, same != 0
			return err
		}); err != nil {
			return err
		}
	}
	typ, err := b.term(vedette.TypeVulnerability)
	if err != nil {
		return err
	}
	var fresh []string
	for _, id := range ids {
		switch k := known[id]; {
		case k == 0:
			fresh = append(fresh, id)
		case !redirected[id] && k != want[id]:
			if err := b.moveObject(k, want[id]); err != nil {
				return err
			}
			for key, o := range objects.keys { // what this batch says of it is said of the CVE
				if o == k {
					objects.keys[key] = want[id]
				}
			}
			objects.old[want[id]] = true
		}
	}
	k, err := b.reserve("objects", len(fresh))
	if err != nil {
		return err
	}
	w := b.bulk("objects", "k, h, id, type_k, same_k", "")
	for i, id := range fresh {
		if err := w.add(k+int64(i), hash64(id), id, typ, want[id]); err != nil {
			return err
		}
	}
	return w.flush()
}

// moveObject moves what is said of one object to another.
func (t *tx) moveObject(from, to int64) error {
	all, err := t.loadClaims([]int64{from}, "")
	if err != nil {
		return err
	}
	d := t.deriver(nil)
	for h, cs := range all {
		if err := d.drop(headKey{from, h.mark}, cs[len(cs)-1]); err != nil {
			return err
		}
	}
	if err := d.flush(); err != nil {
		return err
	}
	lo, hi := from<<16, from<<16|(maxMarkings-1)
	for _, q := range []string{"delete from texts where rowid between ? and ?", "delete from heads where k between ? and ?"} {
		if _, err := t.exec(q, lo, hi); err != nil {
			return err
		}
	}
	for _, q := range []string{"update edges set src = ? where src = ?", "update edges set dst = ? where dst = ?", "update claims set object_k = ? where object_k = ?", "update objects set same_k = ? where k = ?"} {
		if _, err := t.exec(q, to, from); err != nil {
			return err
		}
	}
	if err := t.rederive([]int64{to}); err != nil {
		return err
	}
	if err := t.rekey(from, to); err != nil {
		return err
	}
	return t.todo(StageVulnerability, false, from, to) // the old one has no ranges left: its findings go
}
