package web

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/store"
)

var caseStates = func() (out []string) {
	for _, s := range vedette.CaseStates {
		out = append(out, string(s))
	}
	return out
}()

// caseList is what there is to do, the nearest deadline first.
var caseList = &list[vedette.Case]{
	act: "case list", path: "/cases", title: "Cases", one: "case",
	empty: "No case is open. A case opens when an exploited vulnerability, or what a check reports, is found at a constituent.",
	views: []savedView{{"Open", ""}, {"Due in 24 hours", "due=1d"}, {"Overdue", "due=now"}, {"Nobody's", "assignee=nobody"}, {"To check", "check=yes"}, {"Reported fixed", "state=reported+fixed"}, {"Closed too", "closed=yes"}},
	filters: []filter{{key: "constituent", label: "constituent"}, {key: "weakness", label: "weakness"}, {key: "state", label: "state", values: caseStates},
		{key: "due", label: "due before, as 2026-12-01, 1d or now"}, {key: "assignee", label: "assignee, or nobody"}, {key: "q", label: "words, or a host"}, {key: "product", label: "product"},
		{key: "closed", label: "closed too", flag: true}, {key: "check", label: "to check", flag: true}, {key: "covered", label: "covered by a decision too", flag: true}},
	id: func(c vedette.Case) string { return c.ID },
	class: func(c vedette.Case, _ time.Time) string {
		switch {
		case c.State == vedette.CaseClosed:
			return "closed"
		case c.State == vedette.CaseNew:
			return "unseen"
		}
		return ""
	},
	columns: []column[vedette.Case]{
		{key: "case", head: "Case", text: caseTitle, sub: func(c vedette.Case) string { return c.ID + " · " + c.Weakness }, href: func(c vedette.Case) string { return "/cases/" + c.ID }},
		{key: "constituent", head: "Constituent", text: func(c vedette.Case) string { return c.Constituent }, href: func(c vedette.Case) string { return "/constituents/" + c.Constituent }},
		{key: "ruling", head: "Decision", text: func(c vedette.Case) string {
			if c.Ruling == nil {
				return ""
			}
			return c.Ruling.Outcome
		}, cell: func(c vedette.Case, _ time.Time) templ.Component { return ruling(c.Ruling) }},
		{key: "due", head: "Due", text: func(c vedette.Case) string { return stamp(c.Deadline) }, cell: func(c vedette.Case, now time.Time) templ.Component {
			return due(c.Deadline, now, c.State == vedette.CaseClosed)
		}},
		{key: "verdict", head: "Confidence", text: func(c vedette.Case) string { return string(c.Verdict) }, cell: func(c vedette.Case, _ time.Time) templ.Component { return verdict(c.Verdict) }},
		{key: "state", head: "State", text: func(c vedette.Case) string { return string(c.State) }, cell: func(c vedette.Case, _ time.Time) templ.Component { return caseState(c) }},
		{key: "places", head: "Places", num: true, text: func(c vedette.Case) string { return strconv.Itoa(c.Findings) }, href: func(c vedette.Case) string {
			return "/findings?weakness=" + url.QueryEscape(c.Weakness) + "&constituent=" + url.QueryEscape(c.Constituent)
		}},
		{key: "presence", head: "Presence", hidden: true, text: func(c vedette.Case) string { return string(c.Presence) }, cell: func(c vedette.Case, _ time.Time) templ.Component { return presence(c.Presence) }},
		{key: "opened", head: "Opened", hidden: true, text: func(c vedette.Case) string { return stamp(c.Opened) }},
		{key: "reopened", head: "Came back", hidden: true, num: true, text: func(c vedette.Case) string { return strconv.Itoa(c.Reopened) }},
		{key: "assignee", head: "Assignee", text: func(c vedette.Case) string { return c.Assignee }},
	},
	rows: func(ctx context.Context, d face.Desk, q query) ([]vedette.Case, string, error) {
		f := store.CaseFilter{Constituent: q.get("constituent"), Weakness: q.get("weakness"), State: vedette.CaseState(q.get("state")), Text: q.get("q"), Product: q.get("product"),
			Closed: q.on("closed"), ToCheck: q.on("check"), Covered: q.on("covered"), After: q.after, Limit: q.limit}
		if who := q.get("assignee"); who != "" {
			if who == "nobody" {
				who = ""
			}
			f.Assignee = &who
		}
		var err error
		if f.Due, err = dueBefore(q.get("due"), d.Rows().Now()); err != nil {
			return nil, "", err
		}
		return d.Cases(ctx, f)
	},
	bulk: []bulk{
		{key: "state", text: "Set state", hot: "e", act: "case set", form: stateForm, do: setOnly("state", "reason")},
		{key: "assign", text: "Assign", hot: "a", act: "case set", form: assignForm, do: setOnly("assignee")},
		{key: "close", text: "Close", hot: "c", act: "case set", form: closeForm, do: closeCases},
	},
}

// dueBefore reads until when something is due: a day, days ahead, or now for
// what is overdue; nothing is no limit.
func dueBefore(text string, now time.Time) (time.Time, error) {
	if text == "" || text == "now" {
		return map[bool]time.Time{true: now}[text == "now"], nil
	}
	if n, err := strconv.Atoi(strings.TrimSuffix(text, "d")); err == nil && n > 0 && n <= 36500 {
		return now.AddDate(0, 0, n), nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, vedette.Invalid("due %q: a day as 2026-12-01, days ahead as 1d, or now", text)
	}
	return t, nil
}

// caseTitle is what a case is about, in words when somebody has some.
func caseTitle(c vedette.Case) string {
	if c.Title == "" {
		return c.Weakness
	}
	return c.Title
}

// setOnly changes cases by some fields of the form: the acts of a list share one
// form, and none may do what another asks.
func setOnly(fields ...string) func(context.Context, face.Desk, []string, url.Values) (string, int64, error) {
	return func(ctx context.Context, d face.Desk, ids []string, form url.Values) (string, int64, error) {
		own := url.Values{}
		for _, f := range fields {
			if v, ok := form[f]; ok {
				own[f] = v
			}
		}
		return setCases(ctx, d, ids, own)
	}
}

// closeCases closes cases for a reason.
func closeCases(ctx context.Context, d face.Desk, ids []string, form url.Values) (string, int64, error) {
	return setCases(ctx, d, ids, url.Values{"state": {string(vedette.CaseClosed)}, "reason": {form.Get("closing")}})
}

// setCases changes the state, the assignee or the note of cases.
func setCases(ctx context.Context, d face.Desk, ids []string, form url.Values) (string, int64, error) {
	ch := store.CaseChange{Reason: strings.TrimSpace(form.Get("reason"))}
	var what string
	if s := vedette.CaseState(form.Get("state")); s != "" {
		ch.State, what = &s, "set to "+string(s)
	}
	if form.Has("assignee") {
		who := strings.TrimSpace(form.Get("assignee"))
		ch.Assignee, what = &who, "given to "+who
		if who == "" {
			what = "given to nobody"
		}
	}
	if form.Has("note") {
		note := strings.TrimSpace(form.Get("note"))
		ch.Note, what = &note, "noted"
	}
	if what == "" {
		return "", 0, vedette.Invalid("nothing to change")
	}
	out, err := d.SetCases(ctx, ids, ch)
	if err != nil {
		return "", 0, err
	}
	told := fmt.Sprintf("%s %s.", title(count(out.Done, "case")), what)
	if n := len(out.Refused); n > 0 {
		told += fmt.Sprintf(" %d not: %s", n, out.Refused[0])
	}
	return told, out.Undo, nil
}

// undo takes an act back.
func (p *Pages) undo(r *face.Request) error {
	event, err := strconv.ParseInt(r.PostFormValue("event"), 10, 64)
	if err != nil {
		return vedette.Invalid("event: a number")
	}
	out, err := r.Desk.Undo(r.Context(), event)
	if err != nil {
		return err
	}
	told := fmt.Sprintf("Undone for %s.", count(out.Done, "case"))
	if n := len(out.Refused); n > 0 {
		told += fmt.Sprintf(" %d changed since and stay: %s", n, out.Refused[0])
	}
	r.Session.Tell(r.Context(), told, 0)
	next := r.PostFormValue("next")
	if !face.Local(next) {
		next = "/"
	}
	return r.Go(next)
}
