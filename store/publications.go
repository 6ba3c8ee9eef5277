package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/vedette-hub/vedette"
)

// SaveDraft keeps a draft of a publication with its editions: a draft of the
// same vulnerability ("" for a kind that is about none in particular) that nobody approved yet is replaced, an approved one gets
// a next version. It returns the publication, and false when nothing differs
// from what is kept.
func (sc *Scoped) SaveDraft(ctx context.Context, kind, weakness string, editions []vedette.Edition) (p vedette.Publication, changed bool, err error) {
	if err := sc.may("publication draft"); err != nil {
		return p, false, err
	}
	var object int64
	canonical, id := "", ""
	if weakness != "" {
		if object, canonical, err = sc.object(ctx, weakness); err != nil {
			return p, false, err
		}
	}
	err = sc.s.update(ctx, func(t *tx) error {
		id, changed, err = t.saveDraft(kind, canonical, object, sc.p.Name, editions)
		if err != nil || !changed {
			return err
		}
		return t.event(sc.did("publication draft", id, map[string]string{"editions": itoa(int64(len(editions)))}))
	})
	if err != nil {
		return p, false, err
	}
	again, err := sc.s.As(ctx, sc.p) // an edition may bring a marking that was not there before
	if err != nil {
		return p, changed, err
	}
	p, err = again.Publication(ctx, id)
	return p, changed, err
}

func publicationID(kind, weakness string) string {
	return fmt.Sprintf("P-%010x", uint64(hash64(kind+" "+weakness))>>24)
}

func (t *tx) saveDraft(kind, weakness string, object int64, author string, editions []vedette.Edition) (id string, changed bool, err error) {
	var k, version int64
	var state string
	found, err := one(t, "select k, id, version, state from publications where object_k = ? and kind = ?", []any{object, kind}, &k, &id, &version, &state)
	if err != nil {
		return id, false, err
	}
	now := us(t.Now())
	if !found {
		if k, err = t.reserve("publications", 1); err != nil {
			return id, false, err
		}
		id, version = publicationID(kind, weakness), 1
		if _, err := t.exec("insert into publications(k, id, kind, object_k, number, version, state, author, drafted_at, approver, reason) values (?,?,?,?,'',1,'draft',?,?,'','')",
			k, id, kind, object, author, now); err != nil {
			return id, false, err
		}
	} else if state != string(vedette.PublicationDraft) {
		version++
	}
	for _, e := range editions {
		same, err := t.saveEdition(k, version, e, now)
		if err != nil {
			return id, false, err
		}
		changed = changed || !same
	}
	if changed && found && state == string(vedette.PublicationDraft) {
		_, err = t.exec("update publications set author = ?, drafted_at = ? where k = ?", author, now, k)
	}
	return id, changed, err
}

// saveEdition keeps the draft of one constituent, unless it says what its draft
// or its last approved version says already: who has that gets no other mail. A
// draft that came back to what is approved goes.
func (t *tx) saveEdition(publication, version int64, e vedette.Edition, now int64) (same bool, err error) {
	c, err := t.constituentKey(e.Constituent)
	if err != nil {
		return false, err
	}
	mark, err := t.mark(e.Marking)
	if err != nil {
		return false, err
	}
	draft, approved := "", ""
	const said = "select case when says = '' then body else says end from editions where publication_k = ? and constituent_k = ? and "
	drafted, err := one(t, said+"state = 'draft' and version = ?", []any{publication, c, version}, &draft)
	if err != nil {
		return false, err
	}
	known, err := one(t, said+"state <> 'draft' order by version desc limit 1", []any{publication, c}, &approved)
	if err != nil {
		return false, err
	}
	says := e.Says
	if says == "" {
		says = string(e.Body)
	}
	back := known && approved == says
	if drafted && draft == says || !drafted && back {
		return true, nil
	}
	if _, err := t.exec("delete from editions where publication_k = ? and constituent_k = ? and version = ? and state = 'draft'", publication, c, version); err != nil || back {
		return false, err
	}
	k, err := t.reserve("editions", 1)
	if err != nil {
		return false, err
	}
	_, err = t.exec("insert into editions(k, publication_k, constituent_k, version, state, level, mark_k, drafted_at, body, says, deadline_at) values (?,?,?,?,'draft',?,?,?,?,?,?)",
		k, publication, c, version, e.Level, mark, now, string(e.Body), e.Says, orNull(e.Deadline))
	return false, err
}

// seenEdition: staff read drafts, a constituent what was approved for it. An
// edition above the reader's markings is not there.
func (sc *Scoped) seenEdition() string {
	where := sc.own("e.constituent_k") + " and +e.constituent_k > 0 and " + sc.seen("e.mark_k")
	if !sc.p.Has(vedette.Analyst, vedette.Lead) {
		where += " and e.state <> 'draft'"
	}
	return where
}

const publicationColumns = `p.k, p.id, p.kind, coalesce(o.id, ''), p.number, p.version, p.state, p.author, p.drafted_at, p.approver, coalesce(p.approved_at, 0), p.reason`

func (sc *Scoped) publications(q querier, where string, args []any, limit int) (out []vedette.Publication, keys []int64, err error) {
	err = q.each("select "+publicationColumns+", (select count(*) from editions e where e.publication_k = p.k and "+sc.seenEdition()+") from publications p left join objects o on o.k = p.object_k where exists (select 1 from editions e where e.publication_k = p.k and "+
		sc.seenEdition()+")"+where+" order by p.drafted_at desc, p.k desc limit ?", append(args, limit), func(scan func(...any) error) error {
		var p vedette.Publication
		var k, drafted, approved int64
		err := scan(&k, &p.ID, &p.Kind, &p.Weakness, &p.Number, &p.Version, &p.State, &p.Author, &drafted, &p.Approver, &approved, &p.Reason, &p.Editions)
		p.Drafted, p.Approved = at(drafted), at(approved)
		out, keys = append(out, p), append(keys, k)
		return err
	})
	return out, keys, err
}

// Publications lists publications of which the reader sees an edition, newest first.
func (sc *Scoped) Publications(ctx context.Context, state vedette.PublicationState, limit int) ([]vedette.Publication, error) {
	where, args := "", []any{}
	if state != "" {
		where, args = " and p.state = ?", append(args, string(state))
	}
	out, _, err := sc.publications(sc.reader(ctx), where, args, limit)
	return out, err
}

// PublicationsOf are those about a weakness of which the reader sees an edition,
// newest first.
func (sc *Scoped) PublicationsOf(ctx context.Context, weakness string) ([]vedette.Publication, error) {
	k, _, err := sc.object(ctx, weakness)
	if err != nil {
		return nil, err
	}
	out, _, err := sc.publications(sc.reader(ctx), " and p.object_k = ?", []any{k}, 100)
	return out, err
}

// Publication is one publication, by its id or its number; absent and forbidden look the same.
func (sc *Scoped) Publication(ctx context.Context, id string) (vedette.Publication, error) {
	p, _, err := sc.publication(ctx, id)
	return p, err
}

func (sc *Scoped) publication(ctx context.Context, id string) (p vedette.Publication, k int64, err error) {
	ps, ks, err := sc.publications(sc.reader(ctx), " and (p.id = ? or p.number = ?)", []any{id, id}, 1)
	if err != nil {
		return p, 0, err
	}
	if len(ps) == 0 || id == "" {
		return p, 0, vedette.NotFound("publication %s", id)
	}
	return ps[0], ks[0], nil
}

// Editions are the editions of a publication that the reader sees, all versions,
// by constituent and version.
func (sc *Scoped) Editions(ctx context.Context, id string) ([]vedette.Edition, error) {
	p, k, err := sc.publication(ctx, id)
	if err != nil {
		return nil, err
	}
	type row struct {
		vedette.Edition
		mark int64
	}
	var rows []row
	q := sc.reader(ctx)
	if err := q.each("select c.id, e.version, e.state, e.level, e.mark_k, e.drafted_at, coalesce(e.deadline_at, 0), e.body from editions e join constituents c on c.k = e.constituent_k where e.publication_k = ? and "+sc.seenEdition()+" order by c.id, e.version", []any{k}, func(scan func(...any) error) error {
		var r row
		var drafted, deadline int64
		var body string
		err := scan(&r.Constituent, &r.Version, &r.State, &r.Level, &r.mark, &drafted, &deadline, &body)
		r.Publication, r.Drafted, r.Deadline, r.Body = p.ID, at(drafted), at(deadline), []byte(body)
		rows = append(rows, r)
		return err
	}); err != nil {
		return nil, err
	}
	out := make([]vedette.Edition, len(rows))
	for i, r := range rows {
		if r.Marking, err = sc.s.marking(q, r.mark); err != nil {
			return nil, err
		}
		out[i] = r.Edition
	}
	return out, nil
}

// Approve gives a draft its number and makes its editions what constituents may
// read. Nobody approves what he wrote; what the line drafted, one lead approves.
func (sc *Scoped) Approve(ctx context.Context, id, series string) (vedette.Publication, error) {
	if err := sc.may("publication approve"); err != nil {
		return vedette.Publication{}, err
	}
	p, k, err := sc.publication(ctx, id)
	if err != nil {
		return p, err
	}
	if p.Author == sc.p.Name {
		return p, vedette.Refused("%s wrote %s: another lead approves it", sc.p.Name, id)
	}
	err = sc.s.update(ctx, func(t *tx) error {
		var waiting, version int64
		if _, err := one(t, "select count(*), coalesce(max(version), 0) from editions where publication_k = ? and state = 'draft'", []any{k}, &waiting, &version); err != nil {
			return err
		}
		if waiting == 0 {
			return vedette.Conflict("%s has no draft to approve", id)
		}
		now := t.Now()
		if p.Number == "" {
			n, err := t.reserve("number "+series+now.Format("-2006"), 1)
			if err != nil {
				return err
			}
			p.Number = fmt.Sprintf("%s-%s-%03d", series, now.Format("2006"), n)
		}
		if _, err := t.exec("update publications set state = 'approved', number = ?, version = ?, approver = ?, approved_at = ? where k = ?", p.Number, version, sc.p.Name, us(now), k); err != nil {
			return err
		}
		if _, err := t.exec("update editions set state = 'approved' where publication_k = ? and state = 'draft'", k); err != nil {
			return err
		}
		return t.event(sc.did("publication approve", p.ID, map[string]string{"number": p.Number, "version": itoa(version), "editions": itoa(waiting)}))
	})
	if err != nil {
		return p, err
	}
	return sc.Publication(ctx, p.ID)
}

// Withdraw takes a publication back, with the reason. Who got an edition of it
// is owed the withdrawal.
func (sc *Scoped) Withdraw(ctx context.Context, id, reason string) error {
	if err := sc.may("publication withdraw"); err != nil {
		return err
	}
	if strings.TrimSpace(reason) == "" {
		return vedette.Refused("withdrawing takes a reason")
	}
	p, k, err := sc.publication(ctx, id)
	if err != nil {
		return err
	}
	return sc.s.update(ctx, func(t *tx) error {
		n, err := t.exec("update publications set state = 'withdrawn', reason = ? where k = ? and state <> 'withdrawn'", reason, k)
		if err != nil {
			return err
		}
		if n == 0 {
			return vedette.Conflict("%s is withdrawn already", id)
		}
		if _, err := t.exec("update editions set state = 'withdrawn' where publication_k = ?", k); err != nil {
			return err
		}
		if err := t.takeBack(k); err != nil {
			return err
		}
		e := sc.did("publication withdraw", p.ID, nil)
		e.Reason = reason
		return t.event(e)
	})
}
