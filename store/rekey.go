package store

import (
	"slices"

	"github.com/vedette-hub/vedette"
)

// rekey moves what people did about one object to the one that it turned out to
// be: cases, which keep their history and are found by their old ids as well,
// decisions and publications. Findings follow by themselves.
func (t *tx) rekey(from, to int64) error {
	var weakness string
	if _, err := one(t, "select id from objects where k = ?", []any{to}, &weakness); err != nil {
		return err
	}
	rows, err := scanCases(t, "s.object_k in "+ints([]int64{from, to})+" order by s.k", nil)
	if err != nil {
		return err
	}
	at := map[int64]caseAt{}
	for _, r := range rows {
		if r.object == to {
			at[r.constituent] = r
		}
	}
	for _, r := range rows {
		if r.object != from {
			continue
		}
		id := vedette.CaseID(r.Constituent, weakness)
		if into, both := at[r.constituent]; both {
			err = t.mergeCase(r, into)
		} else {
			_, err = t.exec("update cases set object_k = ?, id = ? where k = ?", to, id, r.k)
			if err == nil {
				_, err = t.exec("insert into case_ids(id, case_k) values (?, ?) on conflict (id) do update set case_k = excluded.case_k", r.ID, r.k)
			}
		}
		if err != nil {
			return err
		}
		e := vedette.Event{Principal: "line", Verb: "case rename", Subject: id, Constituent: r.Constituent, Reason: r.Weakness + " is " + weakness, Detail: map[string]string{"was": r.ID}}
		if err := t.event(e); err != nil {
			return err
		}
	}
	if _, err := t.exec("update decisions set object_k = ? where object_k = ?", to, from); err != nil {
		return err
	}
	for _, q := range []string{"update confirmed set object_k = ? where object_k = ? and not exists (select 1 from confirmed c where c.object_k = ?)", "update publications set object_k = ? where object_k = ? and not exists (select 1 from publications p where p.object_k = ? and p.kind = publications.kind)"} {
		if _, err := t.exec(q, to, from, to); err != nil {
			return err
		}
	}
	return t.redraft([]int64{to})
}

// mergeCase makes one case of two at one constituent: open when either is, as far
// as either came, since the first was opened.
func (t *tx) mergeCase(from, into caseAt) error {
	state, closed := into.State, us(into.Closed)
	step := func(s vedette.CaseState) int {
		if s == vedette.CaseClosed {
			return -1
		}
		return slices.Index(vedette.CaseStates, s)
	}
	if step(from.State) > step(state) {
		state, closed = from.State, 0
	}
	assignee, note := into.Assignee, into.Note
	if assignee == "" {
		assignee = from.Assignee
	}
	if note == "" {
		note = from.Note
	}
	opened := into.Opened
	if from.Opened.Before(opened) {
		opened = from.Opened
	}
	if _, err := t.exec("update cases set state = ?, closed_at = ?, opened_at = ?, assignee = ?, note = ?, reopened = reopened + ? where k = ?",
		string(state), orNull(at(closed)), us(opened), assignee, note, from.Reopened, into.k); err != nil {
		return err
	}
	// an act on both was an act on one
	if _, err := t.exec("delete from case_changes where case_k = ? and event_k in (select h.event_k from case_changes h where h.case_k = ?)", from.k, into.k); err != nil {
		return err
	}
	for _, table := range []string{"case_changes", "case_ids"} {
		if _, err := t.exec("update "+table+" set case_k = ? where case_k = ?", into.k, from.k); err != nil {
			return err
		}
	}
	if _, err := t.exec("insert into case_ids(id, case_k) values (?, ?) on conflict (id) do update set case_k = excluded.case_k", from.ID, into.k); err != nil {
		return err
	}
	_, err := t.exec("delete from cases where k = ?", from.k)
	return err
}
