package web

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/policy"
	"github.com/vedette-hub/vedette/store"
)

// caseView is one case as a page.
type caseView struct {
	C         vedette.Case
	Places    []vedette.Finding
	More      int // places that the page leaves to the list
	Observed  time.Time
	Asserted  time.Time // zero when that was before it was seen, or never
	Decisions []vedette.Decision
	Alerts    []caseAlert
	History   []milestone
	Now       time.Time
	Me        string
	Staff     bool
	May       func(policy.Act) bool
}

// caseAlert is a publication about the case's weakness, with its messages.
type caseAlert struct {
	vedette.Publication
	Progress progress
	Messages []vedette.Delivery
}

const casePlaces = 100

// caseShow is the page of one case.
func (p *Pages) caseShow(r *face.Request) error {
	c, places, err := r.Desk.Case(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	v := caseView{C: c, Places: places, Now: p.hub.Now(), Me: r.P.Name, Staff: !policy.Bound(r.P), May: func(a policy.Act) bool { return policy.May(r.P, a) }}
	if err := v.gather(r); err != nil {
		return err
	}
	var m vedette.Marking
	for i, f := range places {
		for j, e := range f.Evidence {
			if i == 0 && j == 0 {
				m = e.Marking
			}
			m = m.Join(e.Marking)
		}
	}
	page := view{Title: caseTitle(c), Sub: c.Constituent, So: v.so(), At: "/cases", Crumbs: []crumb{{"Cases", "/cases"}}, Meta: caseMeta(v), Actions: caseActions(v)}
	if len(places) > 0 {
		page.Marking = m.String()
	}
	return p.page(r, page, casePage(v))
}

func (v *caseView) gather(r *face.Request) error {
	rows := r.Desk.Rows()
	for _, f := range v.Places {
		if there(f.Presence) && (v.Observed.IsZero() || f.FirstSeen.Before(v.Observed)) {
			v.Observed = f.FirstSeen
		}
	}
	if v.C.ClockStart.After(v.Observed) {
		v.Asserted = v.C.ClockStart
	}
	slices.SortStableFunc(v.Places, func(a, b vedette.Finding) int {
		return cmp.Or(cmp.Compare(presenceOrder(a.Presence), presenceOrder(b.Presence)), cmp.Compare(a.Verdict.Rank(), b.Verdict.Rank()), cmp.Compare(a.Asset, b.Asset), cmp.Compare(a.Port, b.Port))
	})
	if n := len(v.Places); n > casePlaces {
		v.Places, v.More = v.Places[:casePlaces], n-casePlaces
	}
	if v.May("case decisions") {
		ds, err := rows.Decisions(r.Context(), v.C.Weakness, 1000)
		if err != nil {
			return err
		}
		for _, d := range ds {
			if d.Constituent == "" || d.Constituent == v.C.Constituent {
				v.Decisions = append(v.Decisions, d)
			}
		}
	}
	if v.May("publication list") {
		if err := v.told(r); err != nil {
			return err
		}
	}
	es, err := rows.CaseHistory(r.Context(), v.C.ID)
	if err != nil {
		return err
	}
	v.History = caseHistory(es, v.Alerts)
	return nil
}

// told gathers what was told about the case.
func (v *caseView) told(r *face.Request) error {
	ps, err := r.Desk.Rows().PublicationsOf(r.Context(), v.C.Weakness)
	if err != nil {
		return err
	}
	for _, p := range ps {
		es, err := r.Desk.Rows().Editions(r.Context(), p.ID)
		if err != nil {
			return err
		}
		ds, err := r.Desk.Rows().Deliveries(r.Context(), p.ID)
		if err != nil {
			return err
		}
		a := caseAlert{Publication: p, Progress: progressOf(v.C.Constituent, es, ds)}
		if a.Progress.Stage == "" {
			continue
		}
		for _, d := range ds {
			if d.Constituent == v.C.Constituent {
				a.Messages = append(a.Messages, d)
			}
		}
		v.Alerts = append(v.Alerts, a)
	}
	return nil
}

func presenceOrder(p vedette.Presence) int {
	return slices.Index([]vedette.Presence{vedette.Present, vedette.PresenceUndetermined, vedette.NotObserved, vedette.Fixed}, p)
}

// so says what is so, where, by when.
func (v caseView) so() string {
	c := v.C
	var out []string
	switch {
	case c.State == vedette.CaseClosed:
		out = append(out, "Closed on "+day(c.Closed)+".")
	case c.Covered != nil:
		out = append(out, title(string(c.Covered.Kind))+", "+untilWords(c.Covered.Until)+".")
	case c.Findings == 0:
		out = append(out, "No place of it is left; a look has to prove the last.")
	default:
		out = append(out, fmt.Sprintf("It is %s at %s of %s.", c.Presence, count(c.Findings, "place"), c.Constituent))
	}
	if c.State != vedette.CaseClosed && c.Covered == nil && !c.Deadline.IsZero() {
		when := "Fix by " + moments(c.Deadline)
		if v.Now.After(c.Deadline) {
			when = "It was due " + moments(c.Deadline) + ", " + dueText(c.Deadline, v.Now, false)
		}
		out = append(out, when+".")
	}
	if c.ToCheck && c.State != vedette.CaseClosed {
		out = append(out, "Somebody has to check: nothing is confirmed or likely.")
	}
	if c.Reopened > 0 {
		out = append(out, "It came back "+count(c.Reopened, "time")+".")
	}
	return strings.Join(out, " ")
}

func untilWords(t time.Time) string {
	if t.IsZero() {
		return "for ever"
	}
	return "until " + t.AddDate(0, 0, -1).UTC().Format("Mon 2 Jan 2006")
}

// caseHistory puts acts and messages in one line.
func caseHistory(es []vedette.Event, as []caseAlert) (out []milestone) {
	for _, e := range es {
		out = append(out, milestone{At: e.At, Text: eventText(e), Class: map[string]string{"case close": "ok", "case reopen": "hot", "acknowledge": "ok"}[e.Verb]})
	}
	for _, a := range as {
		for _, d := range a.Messages {
			if !d.Sent.IsZero() {
				out = append(out, milestone{d.Sent, fmt.Sprintf("%s of %s sent to %s", title(d.Reason), a.Number, d.Contact), publicationPath(a.ID) + "#receipts", "me"})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b milestone) int { return b.At.Compare(a.At) })
	return out
}

// eventText is an act in a sentence.
func eventText(e vedette.Event) string {
	who := authorName(e.Principal)
	var what string
	switch e.Verb {
	case "case open":
		what = "Opened by " + who
	case "case close":
		what = "Closed by " + who
	case "case reopen":
		what = "Opened again by " + who
	case "case undo":
		what = "Undone by " + who
	case "acknowledge":
		what = e.Subject + " acknowledged by its link"
	case "case decide":
		what = title(e.Detail["kind"]) + " asked for by " + who
	case "case approve":
		what = "Decision approved by " + who
	case "case revoke":
		what = "Decision ended by " + who
	default:
		var parts []string
		if s := e.Detail["state"]; s != "" {
			parts = append(parts, "state "+s)
		}
		for _, k := range []string{"assignee", "note"} {
			if e.Detail[k] != "" {
				parts = append(parts, k+" changed")
			}
		}
		what = title(cmp.Or(strings.Join(parts, ", "), e.Verb)) + ", by " + who
	}
	if e.Reason != "" {
		what += ": " + e.Reason
	}
	return what
}

// setCase changes one case as the list changes many.
func (p *Pages) setCase(r *face.Request) error {
	if err := r.ParseForm(); err != nil {
		return vedette.Invalid("the form: %w", err)
	}
	id := r.PathValue("id")
	if _, err := r.Desk.Rows().Case(r.Context(), id); err != nil {
		return err
	}
	told, undo, err := setCases(r.Context(), r.Desk, []string{id}, r.PostForm)
	if err != nil {
		return err
	}
	r.Session.Tell(r.Context(), told, undo)
	return r.Go(casePath(id))
}

// answerOne is the answer of a constituent from the page of the case.
func (p *Pages) answerOne(r *face.Request) error {
	if err := answerCase(r, r.PathValue("id")); err != nil {
		return err
	}
	return r.Go(casePath(r.PathValue("id")))
}

// retestCase looks again at the places of a case that are not fixed.
func (p *Pages) retestCase(r *face.Request) error {
	c, places, err := r.Desk.Case(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	var ids []string
	for _, f := range places {
		if f.Asset != "" && f.Presence != vedette.Fixed {
			ids = append(ids, f.ID)
		}
	}
	return retestAll(r, ids, casePath(c.ID))
}

// decideCase keeps a decision about a case, which another person approves.
func (p *Pages) decideCase(r *face.Request) error {
	c, err := r.Desk.Rows().Case(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	d := vedette.Decision{Kind: vedette.DecisionKind(r.PostFormValue("kind")), Weakness: c.Weakness, Constituent: c.Constituent, Reason: strings.TrimSpace(r.PostFormValue("reason"))}
	if !slices.Contains(vedette.DecisionKinds, d.Kind) {
		return vedette.Invalid("kind %q: it is one of %q", string(d.Kind), vedette.DecisionKinds)
	}
	switch where := r.PostFormValue("where"); where {
	case "":
	case "everywhere":
		d.Constituent = ""
	default:
		a, err := vedette.ParseAsset(where)
		if err != nil {
			return err
		}
		d.Asset = a.ID
	}
	if until := r.PostFormValue("until"); until != "" {
		last, err := time.Parse(time.DateOnly, until)
		if err != nil || !last.After(p.hub.Now()) {
			return vedette.Invalid("until %q is not a day to come, YYYY-MM-DD", until)
		}
		d.Until = last.AddDate(0, 0, 1)
	}
	if d, err = r.Desk.Rows().Decide(r.Context(), d); err != nil {
		return err
	}
	if err := r.Desk.Drain(r.Context()); err != nil {
		return err
	}
	r.Session.Tell(r.Context(), d.ID+" waits for another person to approve it; it covers nothing until then.", 0)
	return r.Go(casePath(c.ID) + "#decisions")
}

// caseRoutes are those of one case; its list has its own.
func (p *Pages) caseRoutes() []face.Route {
	get, post := http.MethodGet, http.MethodPost
	return []face.Route{
		{Method: get, Path: "/cases/{id}", Act: "case show", Serve: p.caseShow},
		{Method: post, Path: "/cases/{id}/set", Act: "case set", Serve: p.setCase},
		{Method: post, Path: "/cases/{id}/answer", Act: "case set", Serve: p.answerOne},
		{Method: post, Path: "/cases/{id}/retest", Act: "finding retest", Serve: p.retestCase},
		{Method: post, Path: "/cases/{id}/decide", Act: "case decide", Serve: p.decideCase},
	}
}

// answerCase sets what a constituent answers: "acknowledged" or "reported fixed",
// with a day, which goes into the note before what stands there.
func answerCase(r *face.Request, id string) error {
	c, err := r.Desk.Rows().Case(r.Context(), id)
	if err != nil {
		return err
	}
	state := vedette.CaseState(r.PostFormValue("state"))
	if state != vedette.CaseAcknowledged && state != vedette.CaseReportedFixed {
		return vedette.Invalid("state: acknowledged or reported fixed")
	}
	note, err := answerNote(state, r.PostFormValue("date"), r.PostFormValue("note"))
	if err != nil {
		return err
	}
	ch := store.CaseChange{State: &state}
	if note != "" {
		if c.Note != "" {
			note += "; " + c.Note
		}
		ch.Note = &note
	}
	out, err := r.Desk.SetCases(r.Context(), []string{id}, ch)
	if err != nil {
		return err
	}
	if out.Done == 0 && len(out.Refused) > 0 {
		return vedette.Conflict("%s", out.Refused[0])
	}
	told := "Acknowledged: the team knows that you have it."
	if state == vedette.CaseReportedFixed {
		told = "Reported fixed: a look will prove it."
	}
	r.Session.Tell(r.Context(), told, out.Undo)
	return nil
}

// answerNote is the day and the words of an answer in one line.
func answerNote(state vedette.CaseState, date, words string) (string, error) {
	var parts []string
	if date = strings.TrimSpace(date); date != "" {
		if _, err := time.Parse(time.DateOnly, date); err != nil {
			return "", vedette.Invalid("the day %q: YYYY-MM-DD", date)
		}
		if state == vedette.CaseReportedFixed {
			parts = append(parts, "fixed on "+date)
		} else {
			parts = append(parts, "fix by "+date)
		}
	}
	if words = strings.Join(strings.Fields(words), " "); words != "" {
		if len(words) > 1000 {
			return "", vedette.Invalid("the note is longer than 1000 bytes")
		}
		parts = append(parts, words)
	}
	return strings.Join(parts, ": "), nil
}
