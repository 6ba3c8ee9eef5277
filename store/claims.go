package store

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"
	"github.com/vedette-hub/vedette"
)

// hash64 finds rows by text; the text is compared after it.
func hash64(s string) int64 { return int64(xxhash.Sum64String(s)) }

// ownKey tells apart the records that one source states of one object.
func ownKey(st *vedette.Statement) int64 {
	if st.Own == "" {
		return 0
	}
	return hash64(st.Own)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// holder is whose statement of what at which marking: of one holder the latest claim holds.
type holder struct{ object, source, mark, own int64 }

// claim is a claim's row, with its statement when this batch brought it.
type claim struct {
	k, hash, from int64
	closed        int64 // math.MaxInt64 while it holds
	said          *vedette.Statement
	fresh, dirty  bool
}

const open = math.MaxInt64

// statements turns the batch's statements into claims, closes what they
// replace and refreshes what is derived from them.
func (b *batch) statements() error {
	var sts []stated
	for i := range b.buf {
		e := &b.buf[i]
		for j := range e.said.Statements {
			st := &e.said.Statements[j]
			m, err := b.markOf(st)
			if err != nil {
				return err
			}
			sts = append(sts, stated{st: st, hash: e.hash, k: claimKey(b.intakeK, e.block, e.slot+int64(j)), mark: m})
		}
	}
	if len(sts) == 0 {
		return nil
	}
	objects, err := b.identify(sts)
	if err != nil {
		return err
	}
	if err := b.joinIDs(sts, objects); err != nil {
		return err
	}
	for i := range sts {
		sts[i].object = objects.of(sts[i].st.Object)
		if b.src.Full {
			b.seen[sts[i].object] = true
		}
	}
	claims, err := b.claimsOf(sts, objects)
	if err != nil {
		return err
	}
	touched := b.absorb(sts, claims)
	if err := b.writeClaims(claims, touched); err != nil {
		return err
	}
	return b.derive(objects, claims, touched)
}

// stated is a statement of the batch with its keys.
type stated struct {
	st                    *vedette.Statement
	k, object, mark, hash int64
}

// markOf is the marking of a statement: its own, or the intake's. A marking
// that cannot be read is RED, and nobody's until a person decides.
func (b *batch) markOf(st *vedette.Statement) (int64, error) {
	m := b.in.Marking
	switch {
	case st.MarkingErr != nil:
		m = m.Join(vedette.Marking{TLP: vedette.TLPRed})
	case st.Marking != nil && st.Marking.TLP != vedette.TLPNone:
		m = *st.Marking
		if m.Originator == "" {
			m.Originator = b.in.Marking.Originator
		}
		m.Audience = m.Audience.And(b.in.Marking.Audience)
		if b.bound { // nobody lowers what his constituent hands in
			m = m.Join(b.in.Marking)
		}
	default:
		return b.markK, nil
	}
	return b.mark(m)
}

// objectSet are the objects of a batch.
type objectSet struct {
	keys map[string]int64
	old  map[int64]bool // existed before the batch
}

func (o *objectSet) of(id string) int64 { return o.keys[id] }

// ref is an object as a batch names it.
type ref struct{ id, typ string }

// identify finds the objects of the statements and of their links, and makes those that are new.
func (b *batch) identify(sts []stated) (*objectSet, error) {
	set := &objectSet{keys: make(map[string]int64, len(sts)), old: map[int64]bool{}}
	var refs []ref
	add := func(id, typ string) {
		if id == "" {
			return
		}
		if _, ok := set.keys[id]; !ok {
			set.keys[id] = 0
			refs = append(refs, ref{id, typ})
		}
	}
	for _, s := range sts {
		add(s.st.Object, s.st.Type)
		for _, l := range s.st.Links {
			add(l.From, l.FromType)
			add(l.To, l.ToType)
		}
	}
	if err := b.lookup(set); err != nil {
		return nil, err
	}
	return set, b.create(set, refs)
}

// lookup finds known objects by the hash of their id, then compares the id.
func (b *batch) lookup(set *objectSet) error {
	hs := make([]int64, 0, len(set.keys))
	for id := range set.keys {
		hs = append(hs, hash64(id))
	}
	slices.Sort(hs)
	for part := range slices.Chunk(hs, 256) {
		if err := b.each("select k, id, same_k from objects where h in "+ints(part), nil, func(scan func(...any) error) error {
			var k, same int64
			var id string
			if err := scan(&k, &id, &same); err != nil {
				return err
			}
			if _, asked := set.keys[id]; asked {
				if same != 0 { // an alias: what is said of it is said of the object it names
					k = same
				}
				set.keys[id], set.old[k] = k, true
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) create(set *objectSet, refs []ref) error {
	fresh := slices.DeleteFunc(refs, func(r ref) bool { return set.keys[r.id] != 0 })
	if len(fresh) == 0 {
		return nil
	}
	k, err := b.reserve("objects", len(fresh))
	if err != nil {
		return err
	}
	w := b.bulk("objects", "k, h, id, type_k, same_k", "")
	for _, r := range fresh {
		typ, err := b.term(r.typ)
		if err != nil {
			return err
		}
		set.keys[r.id] = k
		if err := w.add(k, hash64(r.id), r.id, typ, 0); err != nil {
			return err
		}
		k++
	}
	return w.flush()
}

// claimsOf loads the claims of the known objects among the holders.
func (b *batch) claimsOf(sts []stated, objects *objectSet) (map[holder][]*claim, error) {
	var ks []int64
	for _, s := range sts {
		if objects.old[s.object] {
			ks = append(ks, s.object)
		}
	}
	return b.loadClaims(ks, " and source_k = "+itoa(b.sourceK))
}

// loadClaims reads claims of objects in order of time.
func (t *tx) loadClaims(objects []int64, and string) (map[holder][]*claim, error) {
	out := map[holder][]*claim{}
	slices.Sort(objects)
	for part := range slices.Chunk(slices.Compact(objects), 256) {
		if err := t.each("select k, object_k, source_k, mark_k, own, hash, from_t, closed_t from claims where object_k in "+ints(part)+and, nil, func(scan func(...any) error) error {
			c, h := &claim{}, holder{}
			var closed *int64
			if err := scan(&c.k, &h.object, &h.source, &h.mark, &h.own, &c.hash, &c.from, &closed); err != nil {
				return err
			}
			c.closed = open
			if closed != nil {
				c.closed = *closed
			}
			out[h] = append(out[h], c)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	for _, cs := range out {
		sortClaims(cs)
	}
	return out, nil
}

func sortClaims(cs []*claim) {
	slices.SortFunc(cs, func(a, b *claim) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.hash, b.hash))
	})
}

// absorb adds the statements to their holders' claims and returns the holders that changed.
func (b *batch) absorb(sts []stated, claims map[holder][]*claim) map[holder]bool {
	touched := map[holder]bool{}
	for _, s := range sts {
		h := holder{s.object, b.sourceK, s.mark, ownKey(s.st)}
		from := us(s.st.Since)
		if from == 0 {
			from = us(b.in.Time)
		}
		had := len(claims[h]) > 0
		switch cs, changed := assert(claims[h], s, from, b.late); {
		case !changed:
			b.Unchanged++
		default:
			claims[h], touched[h] = cs, true
			if had {
				b.Changed++
			} else {
				b.New++
			}
		}
	}
	return touched
}

// assert adds one statement to the claims of its holder: a repeat changes
// nothing, and the order of arrival does not matter.
func assert(cs []*claim, s stated, from, late int64) ([]*claim, bool) {
	hash := s.hash
	i := slices.IndexFunc(cs, func(c *claim) bool { return c.from > from || (c.from == from && c.hash >= hash) })
	if i < 0 {
		i = len(cs)
	}
	switch {
	case i < len(cs) && cs[i].from == from && cs[i].hash == hash:
		return cs, false
	case i > 0 && cs[i-1].hash == hash && cs[i-1].closed >= from: // still said
		return cs, false
	case i < len(cs) && cs[i].hash == hash: // said earlier than we knew
		cs[i].from, cs[i].dirty = from, true
		return cs, true
	}
	c := &claim{k: s.k, hash: hash, from: from, closed: open, said: s.st, fresh: true}
	if late != 0 && i == len(cs) {
		c.closed = late // a newer document of a full source did not say it
	}
	cs = slices.Insert(cs, i, c)
	for j := max(i-1, 0); j < len(cs)-1; j++ {
		if cs[j].closed > cs[j+1].from {
			cs[j].closed, cs[j].dirty = cs[j+1].from, true
		}
	}
	return cs, true
}

func (b *batch) writeClaims(claims map[holder][]*claim, touched map[holder]bool) error {
	w := b.bulk("claims", "k, object_k, source_k, mark_k, own, hash, from_t, closed_t", "")
	type row struct {
		h holder
		c *claim
	}
	var rows []row
	for h := range touched {
		for _, c := range claims[h] {
			if c.fresh {
				rows = append(rows, row{h, c})
			} else if c.dirty {
				if _, err := b.exec("update claims set from_t = ?, closed_t = ? where k = ?", c.from, nullOpen(c.closed), c.k); err != nil {
					return err
				}
			}
		}
	}
	slices.SortFunc(rows, func(x, y row) int { return cmp.Compare(x.c.k, y.c.k) })
	for _, r := range rows {
		if err := w.add(r.c.k, r.h.object, r.h.source, r.h.mark, r.h.own, r.c.hash, r.c.from, nullOpen(r.c.closed)); err != nil {
			return err
		}
	}
	return w.flush()
}

func nullOpen(t int64) any {
	if t == open {
		return nil
	}
	return t
}

// closeAbsent closes what a full source left out of its newest document.
func (t *Taking) closeAbsent(x *tx) error {
	var gone, kept []int64
	if err := x.each("select c.object_k from claims c where c.source_k = ? and c.mark_k = ? and c.closed_t is null and c.from_t <= ?",
		[]any{t.sourceK, t.markK, us(t.in.Time)}, func(scan func(...any) error) error {
			var k int64
			err := scan(&k)
			if t.seen[k] {
				kept = append(kept, k)
			} else {
				gone = append(gone, k)
			}
			return err
		}); err != nil {
		return err
	}
	if n := len(gone); !t.way.Shrink && n > 10 && n*10 > len(kept)+n {
		return vedette.Conflict("the document leaves out %d of %d entries that %s stated before; nothing was changed (--allow-shrink takes it all the same)", n, len(kept)+n, t.src.Name)
	}
	t.Closed = len(gone)
	return x.tombstone(gone, t.sourceK, t.markK, us(t.in.Time))
}

// tombstone ends the claims of a holder that holds no longer, and what they derived.
func (x *tx) tombstone(objects []int64, source, mark, at int64) error {
	for _, k := range objects {
		if _, err := x.exec("update claims set closed_t = ? where object_k = ? and source_k = ? and mark_k = ? and closed_t is null", at, k, source, mark); err != nil {
			return err
		}
	}
	return x.rederive(objects)
}
