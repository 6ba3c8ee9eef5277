package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/policy"
	"github.com/vedette-hub/vedette/store"
)

// surveyRoutes are the pages of surveys.
func (p *Pages) surveyRoutes() []face.Route {
	get, post := http.MethodGet, http.MethodPost
	return slices.Concat(surveyList.routes(p), scheduleList.routes(p), optOutList.routes(p), []face.Route{
		{Method: post, Path: "/surveys", Act: "survey run", Serve: startSurvey},
		{Method: get, Path: "/surveys/new", Act: "survey run", Serve: p.newSurvey},
		{Method: get, Path: "/surveys/{id}", Act: "survey show", Serve: p.survey},
		{Method: post, Path: "/surveys/{id}/stop", Act: "survey stop", Serve: stopSurvey},
		{Method: post, Path: "/surveys/stop", Act: "survey stop", Serve: stopSurvey},
		{Method: post, Path: "/surveys/resume", Act: "survey resume", Serve: resumeSurveys},
		{Method: post, Path: "/surveys/schedules", Act: "survey schedule set", Serve: setSchedule},
		{Method: post, Path: "/surveys/opt-outs", Act: "survey optout add", Serve: addOptOut},
	})
}

// surveyList is every look at what constituents expose.
var surveyList = &list[vedette.Survey]{
	act: "survey list", path: "/surveys", title: "Surveys", one: "survey",
	empty: "No survey yet. A survey looks at what a constituent exposes, inside the scope that it signed.",
	views: []savedView{{"All", ""}, {"Going on", "state=running"}, {"Stopped", "state=stopped"}, {"Retests", "kind=retest"}},
	filters: []filter{{key: "constituent", label: "constituent"}, {key: "state", label: "state", values: []string{"running", "done", "stopped"}},
		{key: "kind", label: "kind", values: []string{"survey", "retest", "confirm"}}},
	id: func(s vedette.Survey) string { return s.ID },
	columns: []column[vedette.Survey]{
		{key: "survey", head: "Survey", text: func(s vedette.Survey) string { return s.ID }, sub: surveySub, href: func(s vedette.Survey) string { return "/surveys/" + s.ID }},
		{key: "constituent", head: "Constituent", text: func(s vedette.Survey) string { return s.Constituent }, href: func(s vedette.Survey) string { return "/constituents/" + s.Constituent }},
		{key: "state", head: "State", text: func(s vedette.Survey) string { return string(s.State) }, cell: func(s vedette.Survey, _ time.Time) templ.Component { return surveyState(s.State) }},
		{key: "parts", head: "Parts done", full: true, text: func(s vedette.Survey) string { return fmt.Sprintf("%d of %d", s.Done, s.Parts) }, cell: func(s vedette.Survey, _ time.Time) templ.Component { return partsDone(s) }},
		{key: "asked", head: "Asked", text: func(s vedette.Survey) string { return stamp(s.Asked) }, cell: func(s vedette.Survey, _ time.Time) templ.Component { return moment(s.Asked) }},
		{key: "took", head: "Took", text: func(s vedette.Survey) string { return took(s.Asked, s.Ended) }},
		{key: "by", head: "By", text: func(s vedette.Survey) string { return s.By }},
		{key: "kind", head: "Kind", hidden: true, text: func(s vedette.Survey) string { return string(s.Kind) }},
		{key: "ended", head: "Ended", hidden: true, text: func(s vedette.Survey) string { return stamp(s.Ended) }},
		{key: "note", head: "Note", hidden: true, text: func(s vedette.Survey) string { return s.Note }},
	},
	rows: func(ctx context.Context, d face.Desk, q query) ([]vedette.Survey, string, error) {
		return d.Rows().Surveys(ctx, store.SurveyFilter{Constituent: q.get("constituent"), Kind: vedette.SurveyKind(q.get("kind")), State: vedette.SurveyState(q.get("state")), After: q.after, Limit: q.limit})
	},
	so: surveysSo,
	live: func(ss []vedette.Survey) bool {
		return slices.ContainsFunc(ss, func(s vedette.Survey) bool { return s.Ended.IsZero() })
	},
	actions: func(r *face.Request) templ.Component { return surveysActions(r.P) },
	above:   surveysAbove,
}

// surveySub is what a survey is for, where it is not for everything.
func surveySub(s vedette.Survey) string {
	what := map[vedette.SurveyKind]string{vedette.FullSurvey: "", vedette.RetestSurvey: "retest of ", vedette.ConfirmSurvey: "after a new exploitation "}[s.Kind]
	return strings.TrimSpace(what + s.Note)
}

func surveysSo(ss []vedette.Survey, q query, more bool) string {
	running, done, parts := 0, 0, 0
	for _, s := range ss {
		if s.Ended.IsZero() {
			running, done, parts = running+1, done+s.Done, parts+s.Parts
		}
	}
	switch {
	case running == 1:
		return fmt.Sprintf("1 survey is going on. %d of %s are done.", done, count(parts, "part"))
	case running > 1:
		return fmt.Sprintf("%d surveys are going on. %d of %s are done.", running, done, count(parts, "part"))
	case len(ss) > 0 && q.after == "":
		return fmt.Sprintf("No survey is going on. The last one, of %s, ended %s.", ss[0].Constituent, stamp(ss[0].Ended))
	}
	return ""
}

// surveysAbove says whether anything may be surveyed at all, and has the stop of all.
func surveysAbove(r *face.Request) (templ.Component, error) {
	if !policy.May(r.P, "survey stop") {
		return nil, nil
	}
	stop, err := r.Desk.Rows().Stopped(r.Context())
	if err != nil {
		return nil, err
	}
	if stop != nil {
		return stoppedNote(*stop, policy.May(r.P, "survey resume")), nil
	}
	if policy.Bound(r.P) { // stops his own, one by one
		return nil, nil
	}
	running, next, err := r.Desk.Rows().Surveys(r.Context(), store.SurveyFilter{State: vedette.SurveyRunning, Limit: maxRows})
	if err != nil {
		return nil, err
	}
	return stopAll(len(running), next != ""), nil
}

// took is how long something lasted, in two units.
func took(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return ""
	}
	d := to.Sub(from)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d/time.Minute), int(d%time.Minute/time.Second))
	}
	return fmt.Sprintf("%d h %02d min", int(d/time.Hour), int(d%time.Hour/time.Minute))
}

// surveyView is one survey as its page shows it.
type surveyView struct {
	store.SurveyView
	Parts   []store.PartView
	Scope   vedette.Constituent
	Changes []store.Changed
	More    bool // changes than are shown
	Refused int  // packets that the scope did not allow
	Now     time.Time
	MayStop bool
	MayRun  bool
	MayDiff bool
}

const (
	partsShown   = 50
	changesShown = 8
	changesRead  = 200
)

// survey is the page of one survey.
func (p *Pages) survey(r *face.Request) error {
	ctx, rows := r.Context(), r.Desk.Rows()
	s, err := rows.Survey(ctx, r.PathValue("id"))
	if err != nil {
		return err
	}
	x := surveyView{SurveyView: s, Now: p.hub.Now(), MayStop: policy.May(r.P, "survey stop"), MayRun: policy.May(r.P, "survey run"), MayDiff: policy.May(r.P, "survey diff")}
	if x.Parts, err = rows.Parts(ctx, s.ID, partsShown); err != nil {
		return err
	}
	if x.Scope, err = rows.Constituent(ctx, s.Constituent); err != nil {
		return err
	}
	var more string
	if x.Changes, more, err = rows.Changes(ctx, store.ChangeFilter{Constituent: s.Constituent, Since: s.Asked, Limit: changesRead}); err != nil {
		return err
	}
	x.More = more != ""
	if !s.Ended.IsZero() { // what came after is not of this survey
		x.Changes = slices.DeleteFunc(x.Changes, func(c store.Changed) bool { return c.At.After(s.Ended) })
	}
	for _, f := range s.Refusals {
		x.Refused += max(1, f.Count)
	}
	marking := vedette.Marking{TLP: vedette.TLPAmberStrict, Audience: vedette.ToOrgs(s.Constituent)}
	return p.page(r, view{Title: map[vedette.SurveyKind]string{vedette.FullSurvey: "Survey of ", vedette.RetestSurvey: "Retest at ", vedette.ConfirmSurvey: "Second look at "}[s.Kind] + x.Scope.Name,
		Sub: s.ID + ", " + string(s.State), At: "/surveys", Crumbs: []crumb{{"Surveys", "/surveys"}, {s.Constituent, "/surveys?constituent=" + url.QueryEscape(s.Constituent)}},
		So: x.so(), Marking: marking.String(), Live: s.Ended.IsZero(), Actions: surveyActions(x), Meta: surveyMeta(x)}, surveyPage(x))
}

func (x surveyView) so() string {
	var out string
	switch {
	case x.State == vedette.SurveyStopped && len(x.Trouble) > 0:
		out = fmt.Sprintf("Stopped with %d of %s done. What was seen until then is kept.", x.Done, count(x.SurveyView.Parts, "part"))
	case x.State == vedette.SurveyStopped:
		out = "Stopped. What was seen until then is kept."
	case !x.SurveyView.Ended.IsZero():
		out = fmt.Sprintf("Done in %s: %s looked at.", took(x.Asked, x.SurveyView.Ended), count(x.Looks, "asset"))
	default:
		out = fmt.Sprintf("%d %% done: %d of %s.", x.percent(), x.Done, count(x.SurveyView.Parts, "part"))
	}
	if x.Refused > 0 {
		return out + fmt.Sprintf(" The scope refused %s before anything was sent.", count(x.Refused, "connection"))
	}
	return out + " Every packet stayed inside the authorised scope."
}

func (x surveyView) percent() int { return 100 * x.Done / max(1, x.SurveyView.Parts) }

// changed counts changes by what happened.
func (x surveyView) changed() string {
	n := map[string]int{}
	for _, c := range x.Changes {
		n[c.What]++
	}
	var out []string
	for _, what := range []string{"appeared", "changed", "vanished"} {
		if n[what] > 0 {
			out = append(out, fmt.Sprintf("%d %s", n[what], what))
		}
	}
	return strings.Join(out, ", ")
}

func (x surveyView) diff() string {
	return "/surface?constituent=" + url.QueryEscape(x.Constituent) + "&since=" + url.QueryEscape(rfc(x.Asked))
}

// what says what a part looks at, in a few words.
func partWhat(p store.PartView) string {
	var out []string
	for _, k := range []struct {
		n    int
		what string
	}{{len(p.Names), "name"}, {len(p.Addresses), "address"}, {len(p.Places), "place"}, {len(p.Domains), "domain"}} {
		switch {
		case k.n == 1 || k.n > 1 && k.what != "address":
			out = append(out, count(k.n, k.what))
		case k.n > 1:
			out = append(out, fmt.Sprintf("%d addresses", k.n))
		}
	}
	return strings.Join(out, ", ")
}

// scopeText is one entry of a scope.
func scopeText(e vedette.ScopeEntry) string {
	out := cmp.Or(e.Domain, e.CIDR, e.URL)
	if e.Subdomains {
		out += " and below"
	}
	return out
}

// scopeBasis is who allowed an entry, by which document, until when and how far.
func scopeBasis(e vedette.ScopeEntry) string {
	out := "By " + strings.Join(slices.DeleteFunc([]string{e.AuthorisedBy, e.Document}, func(s string) bool { return s == "" }), ", ")
	if e.ValidUntil != "" {
		out += ", until " + e.ValidUntil
	}
	out += ". " + title(classesText(e.Classes)) + " checks."
	if e.ThirdParty != "" {
		out += " Consent of " + e.ThirdParty + "."
	}
	return out
}

func classesText(cs []vedette.CheckClass) string {
	if len(cs) == 0 {
		return string(vedette.Passive)
	}
	var out []string
	for _, c := range cs {
		out = append(out, string(c))
	}
	return strings.Join(out, ", ")
}

// newSurveyView asks for a survey.
type newSurveyView struct {
	Constituents []vedette.Constituent // to choose from
	Of           vedette.Constituent   // chosen
	Class        vedette.CheckClass
	Plan         face.Plan
	Before       bool   // somebody surveyed it before
	Why          string // the button is off, and why
	About        face.About
	Now          time.Time
}

// newSurvey is the dialog before a survey: whom, what authorises it, what it will touch.
func (p *Pages) newSurvey(r *face.Request) error {
	ctx, rows := r.Context(), r.Desk.Rows()
	x := newSurveyView{Class: vedette.CheckClass(cmp.Or(r.URL.Query().Get("class"), string(vedette.Active))), About: p.hub.About(), Now: p.hub.Now()}
	v := view{Title: "Start a survey", At: "/surveys", Crumbs: []crumb{{"Surveys", "/surveys"}}}
	var err error
	id := r.URL.Query().Get("constituent")
	if id == "" {
		if x.Constituents, err = rows.Constituents(ctx); err != nil {
			return err
		}
		v.So = "Whom to look at. The next step shows what authorises it; nothing is sent before."
		return p.page(r, v, chooseConstituent(x))
	}
	if x.Of, err = rows.Constituent(ctx, id); err != nil {
		return err
	}
	if x.Before, err = rows.Surveyed(ctx, id); err != nil {
		return err
	}
	if x.Plan, err = r.Desk.Plan(ctx, id, x.Class); err != nil {
		return err
	}
	stop, err := rows.Stopped(ctx)
	switch {
	case err != nil:
		return err
	case stop != nil:
		x.Why = fmt.Sprintf("%s stopped all surveys at %s.", stop.By, stamp(stop.At))
	case x.Plan.Parts == 0:
		x.Why = "The scope authorises nothing to look at."
	case x.About.Scanner == "" && !p.hub.Lab():
		x.Why = "survey.contact is missing in the configuration: those we look at must be able to ask who we are."
	}
	v.Title, v.Sub = "Survey of "+x.Of.Name, "not begun"
	v.So = fmt.Sprintf("It will look at %s and %s, and at nothing else. It can be stopped at any time.", count(x.Plan.Names, "name"), addresses(x.Plan.Addresses))
	return p.page(r, v, confirmSurvey(x))
}

func addresses(n int) string {
	if n == 1 {
		return "1 address"
	}
	return fmt.Sprintf("%d addresses", n)
}

// startSurvey begins the survey that the dialog showed.
func startSurvey(r *face.Request) error {
	s, err := r.Desk.Survey(r.Context(), r.PostFormValue("constituent"), vedette.CheckClass(r.PostFormValue("class")))
	if err != nil {
		return err
	}
	return r.Go("/surveys/" + url.PathEscape(s.ID))
}

// stopSurvey stops one survey, or all, at once.
func stopSurvey(r *face.Request) error {
	id := r.PathValue("id")
	if err := r.Desk.Rows().StopSurvey(r.Context(), id, cmp.Or(strings.TrimSpace(r.PostFormValue("reason")), "by hand")); err != nil {
		return err
	}
	if err := r.Desk.Drain(r.Context()); err != nil {
		return err
	}
	if id == "" {
		r.Session.Tell(r.Context(), "All surveys are stopped; none begins until they are resumed.", 0)
		return r.Go("/surveys")
	}
	r.Session.Tell(r.Context(), "Stopped. Open connections close within seconds.", 0)
	return r.Go("/surveys/" + url.PathEscape(id))
}

// resumeSurveys lets surveys begin again.
func resumeSurveys(r *face.Request) error {
	if err := r.Desk.Rows().ResumeSurveys(r.Context(), cmp.Or(strings.TrimSpace(r.PostFormValue("reason")), "by hand")); err != nil {
		return err
	}
	if err := r.Desk.Drain(r.Context()); err != nil {
		return err
	}
	r.Session.Tell(r.Context(), "Surveys may begin again. Those that were stopped stay so.", 0)
	return r.Go("/surveys")
}

// scheduleList is what begins by itself.
var scheduleList = &list[vedette.Schedule]{
	act: "survey schedule list", path: "/surveys/schedules", nav: "/surveys", title: "Schedules of surveys", one: "schedule",
	empty:   "No survey begins by itself. A constituent can have a schedule once somebody began its first survey by hand.",
	filters: []filter{{key: "constituent", label: "constituent"}},
	id:      func(s vedette.Schedule) string { return s.Constituent + " " + string(s.Class) },
	columns: []column[vedette.Schedule]{
		{key: "constituent", head: "Constituent", text: func(s vedette.Schedule) string { return s.Constituent }, sub: func(s vedette.Schedule) string { return string(s.Class) + " checks" }, href: func(s vedette.Schedule) string {
			return "/surveys?constituent=" + url.QueryEscape(s.Constituent)
		}},
		{key: "every", head: "Every", text: func(s vedette.Schedule) string { return every(s.Every) }},
		{key: "hours", head: "Hours, UTC", text: func(s vedette.Schedule) string { return cmp.Or(s.Hours, "at any time") }},
		{key: "next", head: "Next", text: func(s vedette.Schedule) string { return stamp(s.Next) }, cell: func(s vedette.Schedule, _ time.Time) templ.Component { return moment(s.Next) }},
		{key: "by", head: "By", text: func(s vedette.Schedule) string { return s.By }},
	},
	rows: func(ctx context.Context, d face.Desk, q query) ([]vedette.Schedule, string, error) {
		ss, err := d.Rows().Schedules(ctx)
		return slices.DeleteFunc(ss, func(s vedette.Schedule) bool { c := q.get("constituent"); return c != "" && c != s.Constituent }), "", err
	},
	so: func(ss []vedette.Schedule, q query, _ bool) string {
		if len(ss) == 0 {
			return ""
		}
		first := slices.MinFunc(ss, func(a, b vedette.Schedule) int { return a.Next.Compare(b.Next) })
		return fmt.Sprintf("The next survey, of %s, begins by itself %s.", first.Constituent, stamp(first.Next))
	},
	actions: func(r *face.Request) templ.Component {
		if policy.May(r.P, "survey schedule set") {
			return scheduleForm()
		}
		return nil
	},
	bulk: []bulk{{key: "end", text: "End", hot: "e", act: "survey schedule set", do: func(ctx context.Context, d face.Desk, ids []string, _ url.Values) (string, int64, error) {
		for _, id := range ids {
			c, class, _ := strings.Cut(id, " ")
			if err := d.SetSchedule(ctx, vedette.Schedule{Constituent: c, Class: vedette.CheckClass(class)}); err != nil {
				return "", 0, err
			}
		}
		return title(count(len(ids), "schedule")) + " ended.", 0, nil
	}}},
}

// every is a period for people.
func every(d time.Duration) string {
	switch {
	case d >= 48*time.Hour && d%(24*time.Hour) == 0:
		return count(int(d/(24*time.Hour)), "day")
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d h", int(d/time.Hour))
	case d%time.Minute == 0:
		return fmt.Sprintf("%d min", int(d/time.Minute))
	}
	return d.String()
}

// setSchedule keeps a schedule.
func setSchedule(r *face.Request) error {
	hours, err := strconv.Atoi(r.PostFormValue("every"))
	if err != nil || hours < 1 || hours > 24*366 {
		return vedette.Invalid("every: a number of hours, as 24")
	}
	s := vedette.Schedule{Constituent: r.PostFormValue("constituent"), Class: vedette.CheckClass(r.PostFormValue("class")), Every: time.Duration(hours) * time.Hour, Hours: strings.TrimSpace(r.PostFormValue("hours"))}
	if err := r.Desk.SetSchedule(r.Context(), s); err != nil {
		return err
	}
	r.Session.Tell(r.Context(), fmt.Sprintf("%s is surveyed every %s.", s.Constituent, every(s.Every)), 0)
	return r.Go("/surveys/schedules")
}

// optOutList is what owners asked us not to touch.
var optOutList = &list[vedette.OptOut]{
	act: "survey optout list", path: "/surveys/opt-outs", nav: "/surveys", title: "Never touched", one: "opt-out",
	empty:   "Nobody asked to be left alone. What is here is never touched, whatever a scope says.",
	filters: []filter{{key: "q", label: "what"}},
	id:      func(o vedette.OptOut) string { return o.What },
	columns: []column[vedette.OptOut]{
		{key: "what", head: "What", text: func(o vedette.OptOut) string { return o.What }},
		{key: "until", head: "Until", text: func(o vedette.OptOut) string { return cmp.Or(o.Until, "for ever") }},
		{key: "reason", head: "Reason", full: true, text: func(o vedette.OptOut) string { return o.Reason }},
		{key: "by", head: "By", text: func(o vedette.OptOut) string { return o.By }},
	},
	rows: func(ctx context.Context, d face.Desk, q query) ([]vedette.OptOut, string, error) {
		os, err := d.Rows().OptOuts(ctx)
		return slices.DeleteFunc(os, func(o vedette.OptOut) bool { return !strings.Contains(o.What, q.get("q")) }), "", err
	},
	actions: func(r *face.Request) templ.Component {
		if policy.May(r.P, "survey optout add") {
			return optOutForm()
		}
		return nil
	},
	bulk: []bulk{{key: "remove", text: "Remove", act: "survey optout remove", do: func(ctx context.Context, d face.Desk, ids []string, _ url.Values) (string, int64, error) {
		for _, id := range ids {
			if err := d.Rows().SetOptOut(ctx, vedette.OptOut{What: id}); err != nil {
				return "", 0, err
			}
		}
		return title(count(len(ids), "opt-out")) + " removed: the scope decides again.", 0, d.Drain(ctx)
	}}},
}

// addOptOut keeps something from being touched.
func addOptOut(r *face.Request) error {
	o := vedette.OptOut{What: strings.TrimSpace(r.PostFormValue("what")), Until: r.PostFormValue("until"), Reason: strings.TrimSpace(r.PostFormValue("reason"))}
	if err := r.Desk.OptOut(r.Context(), o); err != nil {
		return err
	}
	r.Session.Tell(r.Context(), o.What+" is not touched any more.", 0)
	return r.Go("/surveys/opt-outs")
}
