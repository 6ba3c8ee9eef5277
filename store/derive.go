package store

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/vedette-hub/vedette"
)

// headKey is an object at one marking.
type headKey struct{ object, mark int64 }

// key is the head's row: the marking's key fits the low bits.
func (h headKey) key() int64 { return h.object<<16 | h.mark }

// current is the latest claim of one holder, decoded.
type current struct {
	*claim
	source int64
	st     *vedette.Statement
}

// tombstoned: its source said it and left it out later.
func (c current) tombstoned() bool { return c.closed != open }

// derive refreshes what the touched holders' objects derive: the head of each
// marking and the rows of the claims that hold now.
func (b *batch) derive(objects *objectSet, claims map[holder][]*claim, touched map[holder]bool) error {
	heads := map[headKey]bool{}
	var old []int64
	for h := range touched {
		heads[headKey{h.object, h.mark}] = true
		if objects.old[h.object] {
			old = append(old, h.object)
		}
	}
	all, err := b.loadClaims(old, "")
	if err != nil {
		return err
	}
	for h, cs := range all { // rows just written have no statement: the batch has it
		copySaid(cs, claims[h])
	}
	by := map[headKey][]holder{}
	for h := range all {
		by[headKey{h.object, h.mark}] = append(by[headKey{h.object, h.mark}], h)
	}
	for h := range touched {
		if _, loaded := all[h]; !loaded {
			all[h] = claims[h]
			k := headKey{h.object, h.mark}
			by[k] = append(by[k], h)
		}
	}
	d := b.tx.deriver(objects)
	for _, k := range sortedHeads(heads) {
		if err := d.refresh(k, by[k], all); err != nil {
			return err
		}
	}
	return d.flush()
}

func copySaid(into, from []*claim) {
	for _, c := range into {
		for _, f := range from {
			if f.k == c.k {
				c.said, c.fresh = f.said, f.fresh
			}
		}
	}
}

func sortedHeads(set map[headKey]bool) []headKey {
	out := make([]headKey, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b headKey) int { return cmp.Compare(a.key(), b.key()) })
	return out
}

// rederive refreshes everything the objects derive from their claims as they
// are in the store now.
func (t *tx) rederive(objects []int64) error {
	for part := range slices.Chunk(objects, 5000) {
		all, err := t.loadClaims(slices.Clone(part), "")
		if err != nil {
			return err
		}
		by, heads := map[headKey][]holder{}, map[headKey]bool{}
		for h := range all {
			k := headKey{h.object, h.mark}
			by[k], heads[k] = append(by[k], h), true
		}
		if err := t.each("select object_k, mark_k from heads where k between "+itoa(slices.Min(part)<<16)+" and "+itoa((slices.Max(part)+1)<<16-1)+" and object_k in "+ints(part), nil, func(scan func(...any) error) error {
			var k headKey
			err := scan(&k.object, &k.mark)
			heads[k] = true
			return err
		}); err != nil {
			return err
		}
		d := t.deriver(nil)
		for _, k := range sortedHeads(heads) {
			if err := d.refresh(k, by[k], all); err != nil {
				return err
			}
		}
		if err := d.flush(); err != nil {
			return err
		}
	}
	return nil
}

// deriver writes derived rows in bulk.
type deriver struct {
	*tx
	objects                                                       *objectSet // nil: look links up
	bodies                                                        *bodies
	valRows                                                       []valRow
	edgeRows                                                      []edgeRow
	heads, texts, vals, edges, affected, exploited, aliases, todo *bulk
}

func (t *tx) deriver(objects *objectSet) *deriver {
	return &deriver{tx: t, objects: objects, bodies: newBodies(t),
		heads: t.bulk("heads", "k, object_k, mark_k, type_k, name, modified, fields",
			" on conflict (k) do update set name = excluded.name, modified = excluded.modified, fields = excluded.fields"),
		texts:     t.bulk("texts", "rowid, body", "", "?", t.d.textValue()),
		vals:      t.bulk("vals", "h, object_k, mark_k", " on conflict do nothing"),
		edges:     t.bulk("edges", "src, rel, dst, claim_k, mark_k", " on conflict do nothing"),
		affected:  t.bulk("affected", "claim_k, n, object_k, name_k, mark_k, body", ""),
		exploited: t.bulk("exploited", "object_k, claim_k, n, mark_k, since, ended, status", ""),
		aliases:   t.bulk("aliases", "from_k, to_k, claim_k, mark_k, state, reason", " on conflict do nothing"),
		todo:      t.bulk("todo", "stage, key, urgent", ""),
	}
}

// valRow and edgeRow are rows that wait for the order of their keys: written
// as they come, each would touch another page.
type valRow struct {
	h int64
	headKey
}

type edgeRow struct {
	edge
	claim, mark int64
}

// sorted writes the rows that waited.
func (d *deriver) sorted() error {
	slices.SortFunc(d.valRows, func(a, b valRow) int {
		return cmp.Or(cmp.Compare(a.h, b.h), cmp.Compare(a.object, b.object), cmp.Compare(a.mark, b.mark))
	})
	for _, v := range d.valRows {
		if err := d.vals.add(v.h, v.object, v.mark); err != nil {
			return err
		}
	}
	slices.SortFunc(d.edgeRows, func(a, b edgeRow) int {
		return cmp.Or(cmp.Compare(a.src, b.src), cmp.Compare(a.rel, b.rel), cmp.Compare(a.dst, b.dst), cmp.Compare(a.claim, b.claim))
	})
	for _, e := range d.edgeRows {
		if err := d.edges.add(e.src, e.rel, e.dst, e.claim, e.mark); err != nil {
			return err
		}
	}
	d.valRows, d.edgeRows = nil, nil
	return nil
}

func (d *deriver) flush() error {
	if err := d.sorted(); err != nil {
		return err
	}
	for _, b := range []*bulk{d.heads, d.texts, d.vals, d.edges, d.affected, d.exploited, d.aliases, d.todo} {
		if err := b.flush(); err != nil {
			return err
		}
	}
	return nil
}

// refresh brings one head and the rows of its claims up to date.
func (d *deriver) refresh(k headKey, holders []holder, all map[holder][]*claim) error {
	var now []current
	isNew := true
	for _, h := range holders {
		cs := all[h]
		for i, c := range cs {
			if last := i == len(cs)-1; !last && !c.fresh {
				isNew = false
				if c.dirty || cs[i+1].fresh { // it held until now
					if err := d.drop(k, c); err != nil {
						return err
					}
				}
			} else if last {
				isNew = isNew && c.fresh
				st, err := d.statement(c)
				if err != nil {
					return err
				}
				now = append(now, current{c, h.source, st})
			}
		}
	}
	if !isNew || len(now) == 0 {
		if err := d.clear(k, now); err != nil {
			return err
		}
	}
	if len(now) == 0 {
		return nil
	}
	for _, c := range now {
		if err := d.rows(k, c); err != nil {
			return err
		}
	}
	return d.head(k, now)
}

// statement decodes a claim's body unless the batch brought it decoded.
func (d *deriver) statement(c *claim) (*vedette.Statement, error) {
	if c.said != nil {
		return c.said, nil
	}
	format, body, n, err := d.bodies.read(c.k)
	if err != nil {
		return nil, err
	}
	said, err := d.opt.Say(format, body)
	if err != nil {
		return nil, err
	}
	if n >= int64(len(said.Statements)) {
		return nil, vedette.Invalid("a kept %s record says less than when it was taken in", format)
	}
	c.said = &said.Statements[n]
	return c.said, nil
}

// clear takes the derived rows of the head away before they are written anew.
func (d *deriver) clear(k headKey, now []current) error {
	for _, c := range now {
		if !c.fresh {
			if err := d.drop(k, c.claim); err != nil {
				return err
			}
		}
	}
	if _, err := d.exec("delete from texts where rowid = ?", k.key()); err != nil {
		return err
	}
	if len(now) > 0 {
		return nil
	}
	_, err := d.exec("delete from heads where k = ?", k.key())
	return err
}

// drop removes the rows that one claim derived.
func (d *deriver) drop(k headKey, c *claim) error {
	if _, err := d.exec("delete from affected where claim_k = ?", c.k); err != nil {
		return err
	}
	if err := d.unalias(c.k); err != nil {
		return err
	}
	if _, err := d.exec("delete from exploited where object_k = ? and claim_k = ?", k.object, c.k); err != nil {
		return err
	}
	st, err := d.statement(c)
	if err != nil {
		return err
	}
	for _, v := range valuesOf(st) {
		if _, err := d.exec("delete from vals where h = ? and object_k = ? and mark_k = ?", hash64(v), k.object, k.mark); err != nil {
			return err
		}
	}
	for _, l := range st.Links {
		e, err := d.edge(k, l)
		if err != nil {
			return err
		}
		if _, err := d.exec("delete from edges where src = ? and rel = ? and dst = ? and claim_k = ?", e.src, e.rel, e.dst, c.k); err != nil {
			return err
		}
	}
	return nil
}

type edge struct{ src, rel, dst int64 }

func (d *deriver) edge(k headKey, l vedette.Link) (e edge, err error) {
	end := func(id, typ string) (int64, error) {
		if id == "" {
			return k.object, nil
		}
		if d.objects != nil && d.objects.keys[id] != 0 {
			return d.objects.keys[id], nil
		}
		return d.objectKey(id, typ)
	}
	if e.src, err = end(l.From, l.FromType); err != nil {
		return e, err
	}
	if e.dst, err = end(l.To, l.ToType); err != nil {
		return e, err
	}
	e.rel, err = d.term(l.Relation)
	return e, err
}

// objectKey finds or makes one object.
func (t *tx) objectKey(id, typ string) (int64, error) {
	set := &objectSet{keys: map[string]int64{id: 0}, old: map[int64]bool{}}
	b := &batch{tx: t}
	if err := b.lookup(set); err != nil {
		return 0, err
	}
	err := b.create(set, []ref{{id, typ}})
	return set.keys[id], err
}

// rows writes what one claim derives while it is current. Of a tombstoned one
// only the exploitation stays, with its end.
func (d *deriver) rows(k headKey, c current) error {
	for _, v := range valuesOf(c.st) {
		d.valRows = append(d.valRows, valRow{hash64(v), k})
	}
	if v := c.st.Vulnerability; v != nil {
		if err := d.vulnerability(k, c, v); err != nil {
			return err
		}
	}
	if c.tombstoned() {
		return nil
	}
	for _, l := range c.st.Links {
		e, err := d.edge(k, l)
		if err != nil {
			return err
		}
		d.edgeRows = append(d.edgeRows, edgeRow{e, c.k, k.mark})
	}
	for _, a := range c.st.Products {
		if err := d.alias(k, c, a); err != nil {
			return err
		}
	}
	return nil
}

func (d *deriver) vulnerability(k headKey, c current, v *vedette.Vulnerability) error {
	for n, e := range v.Exploited {
		var ended any
		if c.tombstoned() {
			ended = c.closed
		}
		if err := d.exploited.add(k.object, c.k, n, k.mark, cmp.Or(us(e.Since), us(e.Asserted)), ended, e.Status); err != nil {
			return err
		}
	}
	if err := d.todo.add(StageVulnerability.k, k.object, boolInt(len(v.Exploited) > 0)); err != nil {
		return err
	}
	if c.tombstoned() || v.Withdrawn {
		return nil
	}
	for i, a := range v.Affected {
		if err := d.ranges(k, c, i, a); err != nil {
			return err
		}
	}
	return nil
}

// affectedNames is how many names one range is found under at most.
const affectedNames = 16

// ranges writes one range under each name of its product: the CNA's own, and
// the CPE names stated beside it.
func (d *deriver) ranges(k headKey, c current, i int, a vedette.Affected) error {
	names := d.opt.Affected(a)
	if len(names) == 0 {
		return nil
	}
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	for j, n := range names[:min(len(names), affectedNames)] {
		name, err := d.name(n)
		if err != nil {
			return err
		}
		if err := d.affected.add(c.k, i*affectedNames+j, k.object, name, k.mark, string(body)); err != nil {
			return err
		}
	}
	return nil
}

// The states of an alias.
const (
	aliasProposed = 0
	aliasStated   = 1
	aliasAccepted = 2
	aliasRejected = 3
)

func (d *deriver) alias(k headKey, c current, a vedette.Alias) error {
	from, err := d.name(a.From)
	if err != nil {
		return err
	}
	to, err := d.name(a.To)
	if err != nil || from == to {
		return err
	}
	state := aliasStated
	switch {
	case a.Rejected:
		state = aliasRejected
	case a.Accepted:
		state = aliasAccepted
	case a.Proposed:
		state = aliasProposed
	}
	if err := d.aliases.add(from, to, c.k, k.mark, state, a.Reason); err != nil {
		return err
	}
	switch {
	case a.Proposed:
		return nil
	case a.Rejected:
		for _, k := range []int64{from, to} {
			if err := d.todo.add(StageName.k, k, 0); err != nil {
				return err
			}
		}
		return nil
	}
	pair := aliasPair{from, to}
	if _, known := d.local[pair]; known {
		return nil
	}
	var one1 int64
	known, err := one(d, "select 1 from aliases where from_k = ? and to_k = ? and state in (1, 2) limit 1", []any{from, to}, &one1)
	if err != nil {
		return err
	}
	d.local[pair] = 1
	if known {
		return nil
	}
	return d.todo.add(StageName.k, from, 0)
}

// aliasPair is the key under which a transaction remembers an alias.
type aliasPair struct{ from, to int64 }

// unalias has the products matched again that an alias of this claim joined.
func (d *deriver) unalias(claim int64) error {
	var ks []int64
	if err := d.each("select from_k, to_k from aliases where claim_k = ? and state in (1, 2, 3)", []any{claim}, func(scan func(...any) error) error {
		var a aliasPair
		err := scan(&a.from, &a.to)
		ks = append(ks, a.from, a.to)
		return err
	}); err != nil || len(ks) == 0 {
		return err
	}
	if _, err := d.exec("delete from aliases where claim_k = ?", claim); err != nil {
		return err
	}
	return d.tx.todo(StageName, false, ks...)
}

// head writes the fold of the statements at one marking.
func (d *deriver) head(k headKey, now []current) error {
	sts := ordered(now)
	h := d.opt.Fold(sts)
	fields := "{}"
	if len(h.Fields) > 0 {
		b, err := json.Marshal(h.Fields)
		if err != nil {
			return err
		}
		fields = string(b)
	}
	typ, err := d.term(sts[0].Type)
	if err != nil {
		return err
	}
	name := clean(h.Name)
	if err := d.heads.add(k.key(), k.object, k.mark, typ, name, us(h.Modified), fields); err != nil {
		return err
	}
	return d.texts.add(k.key(), headText(sts, h))
}

// ordered are the statements in an order that no arrival and no engine changes.
func ordered(now []current) []vedette.Statement {
	slices.SortFunc(now, func(a, b current) int {
		return cmp.Or(cmp.Compare(a.source, b.source), cmp.Compare(a.from, b.from), cmp.Compare(a.hash, b.hash))
	})
	sts := make([]vedette.Statement, len(now))
	for i, c := range now {
		sts[i] = *c.st
		if sts[i].Since.IsZero() { // it is as old as the document that first said it
			sts[i].Since = at(c.from)
		}
	}
	return sts
}

// headText is what full text search reads of a head.
func headText(sts []vedette.Statement, h vedette.Head) string {
	return clean(sts[0].Object + " " + h.Name + " " + h.Text)
}

// clean makes a text fit for both engines: PostgreSQL refuses NUL.
func clean(s string) string {
	if strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(s, "\x00", "\uFFFD")
}

// valuesOf are the folded values by which a statement's object is found.
func valuesOf(st *vedette.Statement) []string {
	out := make([]string, 0, len(st.Values)+2)
	out = append(out, foldValue(st.Object))
	if st.Name != "" && st.Name != st.Object {
		out = append(out, foldValue(st.Name))
	}
	for _, v := range st.Values {
		out = append(out, foldValue(v))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func foldValue(v string) string { return strings.ToLower(strings.TrimSpace(v)) }
