package store

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/vedette-hub/vedette"
)

// Stated is one claim with what it says.
type Stated struct {
	Claim     vedette.Claim
	Source    vedette.Source
	Statement vedette.Statement
	Intake    time.Time // when the document was taken in
}

// object finds the key of an object of which the principal may see something:
// one that exists only above his markings is absent to him.
func (sc *Scoped) object(ctx context.Context, id string) (k int64, canonical string, err error) {
	q := sc.reader(ctx)
	found := false
	if err := q.each("select k, id, same_k from objects where h = "+itoa(hash64(id)), nil, func(scan func(...any) error) error {
		var ok, same int64
		var text string
		if err := scan(&ok, &text, &same); err != nil {
			return err
		}
		if text == id {
			k, canonical, found = cmp.Or(same, ok), text, true
		}
		return nil
	}); err != nil {
		return 0, "", err
	}
	var visible int64
	if found {
		if found, err = one(q, "select 1 from heads where k between ? and ? and "+sc.seen("mark_k")+" limit 1", []any{k << 16, k<<16 | (maxMarkings - 1)}, &visible); err != nil {
			return 0, "", err
		}
	}
	if !found {
		return 0, "", vedette.NotFound("%s", id)
	}
	_, err = one(q, "select id from objects where k = ?", []any{k}, &canonical)
	return k, canonical, err
}

// Statements are what the principal may see of what sources say of an object,
// the latest of each source, in order of the source's name. The id may be an alias.
func (sc *Scoped) Statements(ctx context.Context, id string) (canonical string, out []Stated, err error) {
	k, canonical, err := sc.object(ctx, id)
	if err != nil {
		return "", nil, err
	}
	type row struct {
		k, source, mark, own, from, closed, at int64
		body                                   string
	}
	var rows []row
	q := sc.reader(ctx)
	if err := q.each("select c.k, c.source_k, c.mark_k, c.own, c.from_t, coalesce(c.closed_t, 0), s.body, i.at from claims c join sources s on s.k = c.source_k join intakes i on i.k = c.k >> 32 where c.object_k = ? and "+sc.seen("c.mark_k")+" order by s.name, c.mark_k, c.own, c.from_t, c.hash", []any{k}, func(scan func(...any) error) error {
		var r row
		err := scan(&r.k, &r.source, &r.mark, &r.own, &r.from, &r.closed, &r.body, &r.at)
		rows = append(rows, r)
		return err
	}); err != nil {
		return "", nil, err
	}
	b := newBodies(q)
	for i, r := range rows {
		if i+1 < len(rows) && rows[i+1].source == r.source && rows[i+1].mark == r.mark && rows[i+1].own == r.own {
			continue // a later claim of the same holder follows
		}
		st := Stated{Intake: at(r.at)}
		if err := json.Unmarshal([]byte(r.body), &st.Source); err != nil {
			return "", nil, err
		}
		if st.Claim.Marking, err = sc.s.marking(q, r.mark); err != nil {
			return "", nil, err
		}
		format, body, n, err := b.read(r.k)
		if err != nil {
			return "", nil, err
		}
		said, err := sc.s.opt.Say(format, body)
		if err != nil {
			return "", nil, err
		}
		if n < int64(len(said.Statements)) {
			st.Statement = said.Statements[n]
		}
		st.Claim.Source, st.Claim.Object, st.Claim.Format = st.Source.Name, canonical, format
		if len(said.Statements) == 1 { // what else a record states may be marked otherwise
			st.Claim.Body = slices.Clone(body)
		}
		st.Claim.From, st.Claim.Closed = at(r.from), at(r.closed)
		out = append(out, st)
	}
	return canonical, out, nil
}

// ObjectRow is one object in a list.
type ObjectRow struct {
	ID       string            `json:"id"`
	Type     string            `json:"type"`
	Name     string            `json:"name"`
	Modified time.Time         `json:"modified"`
	Fields   map[string]string `json:"fields,omitempty"`
	key      int64
	head     int64
}

// Objects lists objects of a type, newest first, below a cursor. An object with
// several heads shows once, at the newest of those the principal may see, with
// the join of them.
func (sc *Scoped) Objects(ctx context.Context, typ string, before Cursor, limit int) ([]ObjectRow, Cursor, error) {
	q := sc.reader(ctx)
	t, err := sc.s.termKey(q, typ)
	if err != nil {
		return nil, before, err
	}
	if before == (Cursor{}) {
		before = Cursor{1 << 62, 1 << 62}
	}
	var out []ObjectRow
	next := before
	err = q.each("select h.k, h.object_k, o.id, h.name, h.modified, h.fields from heads h join objects o on o.k = h.object_k where h.type_k = ? and "+sc.seen("h.mark_k")+` and (h.modified, h.k) < (?, ?)
		and not exists (select 1 from heads b where b.k between h.object_k * 65536 and h.object_k * 65536 + 65535 and b.k <> h.k and `+sc.seen("b.mark_k")+` and (b.modified, b.k) > (h.modified, h.k))
		order by h.modified desc, h.k desc limit ?`, []any{t, before.T, before.K, limit}, func(scan func(...any) error) error {
		var r ObjectRow
		var modified int64
		var fields string
		if err := scan(&r.head, &r.key, &r.ID, &r.Name, &modified, &fields); err != nil {
			return err
		}
		r.Type, r.Modified, next = typ, at(modified), Cursor{modified, r.head}
		err := json.Unmarshal([]byte(fields), &r.Fields)
		out = append(out, r)
		return err
	})
	if err != nil {
		return nil, before, err
	}
	return out, next, sc.joinHeads(q, out)
}

// joinHeads puts the join of all heads the principal may see of each object
// into its row.
func (sc *Scoped) joinHeads(q querier, rows []ObjectRow) error {
	if sc.s.opt.Join == nil {
		return nil
	}
	all := map[int64][]vedette.Head{}
	for part := range slices.Chunk(rows, 400) {
		heads := make([]int64, len(part))
		for i, r := range part {
			heads[i] = r.head
		}
		if err := q.each("select b.object_k, b.name, b.modified, b.fields from heads h join heads b on b.k between h.object_k * 65536 and h.object_k * 65536 + 65535 where h.k in "+ints(heads)+
			" and "+sc.seen("h.mark_k")+" and "+sc.seen("b.mark_k")+" order by b.modified desc, b.k desc", nil, func(scan func(...any) error) error {
			var k, modified int64
			var h vedette.Head
			var fields string
			if err := scan(&k, &h.Name, &modified, &fields); err != nil {
				return err
			}
			h.Modified = at(modified)
			err := json.Unmarshal([]byte(fields), &h.Fields)
			all[k] = append(all[k], h)
			return err
		}); err != nil {
			return err
		}
	}
	for i := range rows {
		if heads := all[rows[i].key]; len(heads) > 1 {
			h := sc.s.opt.Join(heads)
			rows[i].Name, rows[i].Modified, rows[i].Fields = h.Name, h.Modified, h.Fields
		}
	}
	return nil
}

// Cursor is where a list goes on.
type Cursor struct{ T, K int64 }

// Search finds objects by words in their text, or by an exact value: an id, an
// alias. Only heads the principal may see are searched.
func (sc *Scoped) Search(ctx context.Context, words string, limit int) ([]ObjectRow, error) {
	q := sc.reader(ctx)
	out, err := sc.heads(q, "join vals v on h.k = v.object_k * 65536 + v.mark_k where v.h = ? and "+sc.seen("v.mark_k"), []any{hash64(foldValue(words))}, limit)
	if err != nil || len(out) >= limit {
		return out, err
	}
	if sc.s.d.textQuery(words) == "" {
		return out, nil
	}
	more, err := sc.heads(q, "join texts on texts.rowid = h.k where "+sc.s.d.textMatch(), []any{sc.s.d.textQuery(words)}, limit)
	for _, r := range more {
		if len(out) < limit && !slices.ContainsFunc(out, func(o ObjectRow) bool { return o.ID == r.ID }) {
			out = append(out, r)
		}
	}
	return out, err
}

func (sc *Scoped) heads(q querier, where string, args []any, limit int) ([]ObjectRow, error) {
	var out []ObjectRow
	err := q.each("select h.k, h.object_k, o.id, t.text, h.name, h.modified, h.fields from heads h join objects o on o.k = h.object_k join terms t on t.k = h.type_k "+where+" and "+sc.seen("h.mark_k")+" order by h.modified desc, h.k limit ?", append(args, limit), func(scan func(...any) error) error {
		var r ObjectRow
		var modified int64
		var fields string
		if err := scan(&r.head, &r.key, &r.ID, &r.Type, &r.Name, &modified, &fields); err != nil {
			return err
		}
		r.Modified = at(modified)
		if slices.ContainsFunc(out, func(o ObjectRow) bool { return o.key == r.key }) {
			return nil
		}
		err := json.Unmarshal([]byte(fields), &r.Fields)
		out = append(out, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, sc.joinHeads(q, out)
}

// Neighbour is an object that a visible claim relates to another.
type Neighbour struct {
	Relation string `json:"relation"`
	Out      bool   `json:"out"` // from the object asked about
	ID       string `json:"id"`
	Name     string `json:"name"`
	Type     string `json:"type"`
	Source   string `json:"source"`
}

// Neighbours are the objects related to one, in both directions.
func (sc *Scoped) Neighbours(ctx context.Context, id string, limit int) ([]Neighbour, error) {
	k, _, err := sc.object(ctx, id)
	if err != nil {
		return nil, err
	}
	var out []Neighbour
	var keys []int64
	q := sc.reader(ctx)
	for _, d := range []struct {
		here, there string
		out         bool
	}{{"src", "dst", true}, {"dst", "src", false}} {
		if err := q.each("select distinct r.text, o.id, o.k, t.text, s.name from edges e join objects o on o.k = e."+d.there+" join terms r on r.k = e.rel join terms t on t.k = o.type_k join claims c on c.k = e.claim_k join sources s on s.k = c.source_k where e."+d.here+" = ? and "+sc.seen("e.mark_k")+" order by o.id, r.text, s.name limit ?", []any{k, limit}, func(scan func(...any) error) error {
			n := Neighbour{Out: d.out}
			var nk int64
			err := scan(&n.Relation, &n.ID, &nk, &n.Type, &n.Source)
			out, keys = append(out, n), append(keys, nk)
			return err
		}); err != nil {
			return nil, err
		}
	}
	for i := range out {
		rows, err := sc.heads(q, "where h.k between ? and ?", []any{keys[i] << 16, keys[i]<<16 | (maxMarkings - 1)}, 1)
		if err != nil {
			return nil, err
		}
		if out[i].Name = out[i].ID; len(rows) > 0 {
			out[i].Name = rows[0].Name
		}
	}
	return out, nil
}
