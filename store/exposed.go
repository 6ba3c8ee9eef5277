package store

import (
	"context"
	"slices"
	"time"

	"github.com/vedette-hub/vedette"
)

// KnownExploited is an open case of an exploited weakness, with who says so.
type KnownExploited struct {
	vedette.Case
	Exploited []vedette.Exploitation // that stand
	Marking   vedette.Marking        // of what is said of the weakness
}

// KnownExploited are the open cases of a constituent whose weakness somebody
// says is exploited, as the reader sees them, the nearest deadline first.
func (sc *Scoped) KnownExploited(ctx context.Context, constituent string) (out []KnownExploited, err error) {
	l, err := sc.caseList(ctx, CaseFilter{Constituent: constituent})
	if err != nil {
		return nil, err
	}
	const page = 500
	for after, more := "", true; more; {
		rows, err := l.page(after, page)
		if err != nil {
			return nil, err
		}
		if more = len(rows) > page; more {
			rows = rows[:page]
			after = cursorOf(rows[page-1])
		}
		objects := make([]int64, len(rows))
		for i, r := range rows {
			objects[i] = r.object
		}
		abouts, err := sc.s.aboutObjects(l.q, objects, sc.seen)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			a := abouts[r.object]
			if a == nil {
				continue
			}
			standing := slices.DeleteFunc(slices.Clone(a.vulnerability.Exploited), func(e vedette.Exploitation) bool {
				return !e.Ended.IsZero() || !slices.Contains(standing, e.Status)
			})
			if len(standing) == 0 {
				continue
			}
			r.Title = a.title
			m, err := sc.s.joined(l.q, a.marks)
			if err != nil {
				return nil, err
			}
			out = append(out, KnownExploited{r.Case, standing, m})
		}
	}
	return out, nil
}

// joined is the marking of what is made of all.
func (s *Store) joined(q querier, marks []int64) (m vedette.Marking, err error) {
	for i, k := range marks {
		o, err := s.marking(q, k)
		if err != nil {
			return m, err
		}
		if m = m.Join(o); i == 0 {
			m = o
		}
	}
	return m, nil
}

// standing are the statuses of assertions that stand, as in stands.
var standing = []string{"confirmed", "suspected", "historical"}

// ExposureDue is a constituent whose cases changed.
type ExposureDue struct {
	Constituent string
	Drafted     time.Time // its last edition of the kind; zero when there is none
	ids         []int64   // of the to-do table
}

// ExposuresDue are the constituents whose cases changed since their edition of
// the kind was looked at.
func (y *System) ExposuresDue(ctx context.Context, kind string) (out []ExposureDue, err error) {
	err = reader{y.s, ctx}.each("select w.id, c.id, coalesce((select max(e.drafted_at) from editions e join publications p on p.k = e.publication_k where p.kind = ? and e.constituent_k = c.k), 0) from todo w left join constituents c on c.k = w.key and c.removed_at is null where w.stage = ? order by c.id, w.id", []any{kind, StageExposure.k}, func(scan func(...any) error) error {
		var row, drafted int64
		var id *string
		if err := scan(&row, &id, &drafted); err != nil {
			return err
		}
		name := "" // it left
		if id != nil {
			name = *id
		}
		if n := len(out); n == 0 || out[n-1].Constituent != name {
			out = append(out, ExposureDue{Constituent: name, Drafted: at(drafted)})
		}
		last := &out[len(out)-1]
		last.ids = append(last.ids, row)
		return nil
	})
	return out, err
}

// ExposureDone takes a constituent off the list, or, while it has to wait, what
// says of it more than once.
func (y *System) ExposureDone(ctx context.Context, d ExposureDue, wait bool) error {
	if wait {
		d.ids = d.ids[:len(d.ids)-1]
	}
	if len(d.ids) == 0 {
		return nil
	}
	return y.Done(ctx, d.ids)
}

// Drafted are the constituents that have a draft of the kind, by the ids of the
// objects' weaknesses.
func (y *System) Drafted(ctx context.Context, kind string, objects []int64) (map[string][]string, error) {
	out := map[string][]string{}
	err := reader{y.s, ctx}.each("select distinct o.id, c.id from editions e join publications p on p.k = e.publication_k join objects o on o.k = p.object_k join constituents c on c.k = e.constituent_k where p.kind = ? and e.state = 'draft' and p.object_k in "+ints(objects)+" order by 1, 2", []any{kind}, func(scan func(...any) error) error {
		var weakness, constituent string
		err := scan(&weakness, &constituent)
		out[weakness] = append(out[weakness], constituent)
		return err
	})
	return out, err
}

// DropDrafts takes the drafts of constituents back that have nothing to tell any
// more. A publication that nobody approved goes with its last edition.
func (y *System) DropDrafts(ctx context.Context, kind, weakness string, constituents []string, why string) error {
	return y.s.update(ctx, func(t *tx) error {
		var k int64
		var id string
		if found, err := one(t, "select p.k, p.id from publications p left join objects o on o.k = p.object_k where p.kind = ? and coalesce(o.id, '') = ?", []any{kind, weakness}, &k, &id); err != nil || !found {
			return err
		}
		dropped := int64(0)
		for _, c := range constituents {
			n, err := t.exec("delete from editions where publication_k = ? and state = 'draft' and constituent_k = (select k from constituents where id = ?)", k, c)
			if err != nil {
				return err
			}
			dropped += n
		}
		if dropped == 0 {
			return nil
		}
		if _, err := t.exec("delete from publications where k = ? and number = '' and not exists (select 1 from editions e where e.publication_k = publications.k)", k); err != nil {
			return err
		}
		return t.event(vedette.Event{Principal: "line", Verb: "publication draft", Subject: id, Reason: why, Detail: map[string]string{"dropped": itoa(dropped)}})
	})
}

// EndExpired ends the decisions whose time is over, so that what they covered is
// looked at again. It returns how many there were.
func (y *System) EndExpired(ctx context.Context) (n int, err error) {
	const due = "until_t is not null and until_t <= ? and ended_at is null"
	now := us(y.s.Now())
	if _, err := one(reader{y.s, ctx}, "select count(*) from decisions where "+due, []any{now}, &n); err != nil || n == 0 {
		return n, err
	}
	return n, y.s.update(ctx, func(t *tx) error {
		var objects []int64
		if err := t.each("select distinct object_k from decisions where "+due, []any{now}, collect(&objects)); err != nil {
			return err
		}
		if _, err := t.exec("update decisions set ended_at = until_t where "+due, now); err != nil {
			return err
		}
		return t.redraft(objects)
	})
}

// redraft has what is drafted about weaknesses looked at again.
func (t *tx) redraft(objects []int64) error {
	if err := t.todo(StageDraft, true, objects...); err != nil {
		return err
	}
	var cons []int64
	for part := range slices.Chunk(objects, 400) {
		if err := t.each("select distinct constituent_k from cases where object_k in "+ints(part), nil, collect(&cons)); err != nil {
			return err
		}
	}
	return t.todo(StageExposure, false, distinctKeys(cons)...)
}
