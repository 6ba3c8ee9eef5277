package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/vedette-hub/vedette"
)

// CaseChange is what a person changes of cases; nil leaves as it is.
type CaseChange struct {
	State    *vedette.CaseState
	Assignee *string
	Note     *string
	Reason   string
	// Was is what the person saw: a case that is otherwise now is refused. nil
	// changes it as it is.
	Was *vedette.Case
}

// NotDone is a case that was left as it is, and why.
type NotDone struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}

// String is a line for a person.
func (n NotDone) String() string { return n.ID + ": " + n.Why }

// caseFields are the fields of a case that people change; what did not change is nil.
type caseFields struct {
	State    *vedette.CaseState `json:"state,omitempty"`
	Closed   int64              `json:"closed,omitempty"` // with the state
	Assignee *string            `json:"assignee,omitempty"`
	Note     *string            `json:"note,omitempty"`
}

// changedCase is one case of a batch, before and after.
type changedCase struct {
	caseAt
	was, is caseFields
}

// SetCases changes cases for a person, as one event: what can be changed is,
// and the others are refused, each with the reason; those that are so already
// are neither. undo is the event that Undo takes back, 0 when nothing was
// changed. A case whose weakness is still there is not closed
// without a reason.
func (sc *Scoped) SetCases(ctx context.Context, ids []string, ch CaseChange) (done int, refused []NotDone, undo int64, err error) {
	if err := sc.may("case set"); err != nil {
		return 0, nil, 0, err
	}
	if ch.State != nil && !slices.Contains(vedette.CaseStates, *ch.State) {
		return 0, nil, 0, vedette.Invalid("no state %q; the states are %q", *ch.State, vedette.CaseStates)
	}
	rows, refused, err := sc.casesNamed(ctx, ids)
	if err != nil {
		return 0, nil, 0, err
	}
	var changes []changedCase
	for _, c := range rows {
		if ch.State != nil && *ch.State == vedette.CaseClosed && c.State != vedette.CaseClosed && c.Presence != vedette.Fixed && ch.Reason == "" {
			refused = append(refused, NotDone{c.ID, fmt.Sprintf("it is %s: closing it takes a reason", c.Presence)})
			continue
		}
		if w := ch.Was; w != nil && (w.State != c.State || w.Assignee != c.Assignee || w.Note != c.Note) {
			refused = append(refused, NotDone{c.ID, "it was changed meanwhile: look again"})
			continue
		}
		if x, ok := ch.of(c, us(sc.s.Now())); ok {
			changes = append(changes, x)
		}
	}
	e := sc.did("case set", "", map[string]string{})
	e.Reason = ch.Reason
	if ch.State != nil {
		e.Detail["state"] = string(*ch.State)
	}
	for what, set := range map[string]bool{"assignee": ch.Assignee != nil, "note": ch.Note != nil} {
		if set {
			e.Detail[what] = "changed"
		}
	}
	done, undo, err = sc.changeCases(ctx, changes, &refused, e)
	return done, refused, undo, err
}

// SetCase changes one case as SetCases does.
func (sc *Scoped) SetCase(ctx context.Context, id string, ch CaseChange) (vedette.Case, error) {
	if err := sc.may("case set"); err != nil {
		return vedette.Case{}, err
	}
	c, err := sc.Case(ctx, id)
	if err != nil {
		return c, err
	}
	_, refused, _, err := sc.SetCases(ctx, []string{id}, ch)
	if err == nil && len(refused) > 0 {
		err = vedette.Refused("%s: %s", id, refused[0].Why)
	}
	if err != nil {
		return c, err
	}
	return sc.Case(ctx, id)
}

// casesNamed are the cases of ids, each once; one that is absent or forbidden is refused.
func (sc *Scoped) casesNamed(ctx context.Context, ids []string) (rows []caseAt, refused []NotDone, err error) {
	if ids, err = sc.currentIDs(ctx, ids); err != nil {
		return nil, nil, err
	}
	if rows, err = sc.caseRows(ctx, ids); err != nil {
		return nil, nil, err
	}
	has := map[string]bool{}
	for _, r := range rows {
		has[r.ID] = true
	}
	for _, id := range ids {
		if !has[id] {
			refused = append(refused, NotDone{id, "there is no such case"})
		}
	}
	return rows, refused, nil
}

// of is what a change does to a case; false when it is so already.
func (ch CaseChange) of(c caseAt, now int64) (x changedCase, ok bool) {
	x.caseAt = c
	if ch.State != nil && *ch.State != c.State {
		was, closed := c.State, int64(0)
		if *ch.State == vedette.CaseClosed {
			closed = now
		}
		x.was.State, x.was.Closed, x.is.State, x.is.Closed, ok = &was, us(c.Closed), ch.State, closed, true
	}
	if was := c.Assignee; ch.Assignee != nil && *ch.Assignee != was {
		x.was.Assignee, x.is.Assignee, ok = &was, ch.Assignee, true
	}
	if was := c.Note; ch.Note != nil && *ch.Note != was {
		x.was.Note, x.is.Note, ok = &was, ch.Note, true
	}
	return x, ok
}

// changeCases writes a batch of changes with its event. A case that was changed
// meanwhile is refused.
func (sc *Scoped) changeCases(ctx context.Context, changes []changedCase, refused *[]NotDone, e vedette.Event) (done int, undo int64, err error) {
	if len(changes) == 0 {
		return 0, 0, nil
	}
	missed := len(*refused)
	err = sc.s.update(ctx, func(t *tx) error {
		*refused, done = (*refused)[:missed], 0
		var kept []changedCase
		for _, x := range changes {
			ok, err := t.changeCase(x, sc.p.Name)
			if err != nil {
				return err
			}
			if !ok {
				*refused = append(*refused, NotDone{x.ID, "it was changed meanwhile: look again"})
				continue
			}
			kept = append(kept, x)
		}
		if done = len(kept); done == 0 {
			return nil
		}
		e.Subject = kept[0].ID
		if done > 1 {
			e.Subject, e.Detail["cases"] = itoa(int64(done))+" cases", idsOf(kept)
		}
		if e.Constituent = kept[0].Constituent; slices.ContainsFunc(kept, func(x changedCase) bool { return x.Constituent != e.Constituent }) {
			e.Constituent = ""
		}
		k, err := t.recorded(e)
		if err != nil {
			return err
		}
		undo = k
		w := t.bulk("case_changes", "event_k, case_k, was, now_is", "")
		for _, x := range kept {
			was, err := json.Marshal(x.was)
			if err != nil {
				return err
			}
			is, err := json.Marshal(x.is)
			if err != nil {
				return err
			}
			if err := w.add(k, x.k, string(was), string(is)); err != nil {
				return err
			}
		}
		return w.flush()
	})
	return done, undo, err
}

func idsOf(xs []changedCase) string {
	ids := make([]string, len(xs))
	for i, x := range xs {
		ids[i] = x.ID
	}
	return strings.Join(ids, " ")
}

// changeCase writes one change, if the case is still what it was read as.
func (t *tx) changeCase(x changedCase, by string) (bool, error) {
	state, closed, assignee, note := x.State, us(x.Closed), x.Assignee, x.Note
	if x.is.State != nil {
		state, closed = *x.is.State, x.is.Closed
	}
	if x.is.Assignee != nil {
		assignee = *x.is.Assignee
	}
	if x.is.Note != nil {
		note = *x.is.Note
	}
	n, err := t.exec("update cases set state = ?, assignee = ?, note = ?, closed_at = ?, changed_at = ?, principal = ? where k = ? and state = ? and assignee = ? and note = ?",
		string(state), assignee, note, orNull(at(closed)), us(t.Now()), by, x.k, string(x.State), x.Assignee, x.Note)
	return n == 1, err
}

// Undo sets back what a batch of SetCases, or an Undo, changed, where nothing
// changed it since; the rest is refused, each with the reason. Only who did it,
// or a lead, undoes it. again is the event that undoes the undoing.
func (sc *Scoped) Undo(ctx context.Context, event int64) (done int, refused []NotDone, again int64, err error) {
	if err := sc.may("case undo"); err != nil {
		return 0, nil, 0, err
	}
	was, err := sc.batchOf(ctx, event)
	if err != nil {
		return 0, nil, 0, err
	}
	ids := make([]string, 0, len(was))
	for id := range was {
		ids = append(ids, id)
	}
	rows, _, err := sc.casesNamed(ctx, ids)
	if err != nil {
		return 0, nil, 0, err
	}
	if len(rows) == 0 {
		return 0, nil, 0, vedette.NotFound("nothing to undo in event %d", event)
	}
	var changes []changedCase
	for _, c := range rows {
		x := was[c.ID]
		if x.is.State != nil && *x.is.State != c.State || x.is.Assignee != nil && *x.is.Assignee != c.Assignee || x.is.Note != nil && *x.is.Note != c.Note {
			refused = append(refused, NotDone{c.ID, "it was changed since, by " + c.By})
			continue
		}
		x.caseAt, x.was, x.is = c, x.is, x.was
		changes = append(changes, x)
	}
	done, again, err = sc.changeCases(ctx, changes, &refused, sc.did("case undo", "", map[string]string{"of": itoa(event)}))
	return done, refused, again, err
}

// batchOf are the changes of an event by the ids of their cases, when the
// principal may undo them.
func (sc *Scoped) batchOf(ctx context.Context, event int64) (map[string]changedCase, error) {
	out := map[string]changedCase{}
	query, args := "select s.id, h.was, h.now_is from case_changes h join cases s on s.k = h.case_k join events v on v.k = h.event_k where h.event_k = ?", []any{event}
	if !sc.p.Has(vedette.Lead) {
		query, args = query+" and v.principal = ?", append(args, sc.p.Name)
	}
	err := sc.reader(ctx).each(query, args, func(scan func(...any) error) error {
		var id, was, is string
		if err := scan(&id, &was, &is); err != nil {
			return err
		}
		var x changedCase
		if err := json.Unmarshal([]byte(was), &x.was); err != nil {
			return err
		}
		err := json.Unmarshal([]byte(is), &x.is)
		out[id] = x
		return err
	})
	return out, err
}
