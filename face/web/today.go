package web

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/policy"
	"github.com/vedette-hub/vedette/store"
)

// How much of each Today shows; the lists behind have the rest.
const (
	todayExploited = 10
	todayCases     = 30
	todayDue       = 8
	todayNext      = 8
	todayEvents    = 60
	todayNews      = 12
	todaySurveys   = 10
)

// today is what the page shows. Every part of it is read with a number of
// statements that does not grow with what there is.
type today struct {
	now       time.Time
	own       string // the constituent of who acts for one, "" for the hub
	bound     bool   // acts for constituents alone
	Figures   []figureView
	Next      []nextStep
	Exploited []exploitedRow
	Touching  int
	Due       []vedette.Case // in 24 hours, or late
	Ahead     *vedette.Case  // the first that is due later
	News      []news
	Surveys   []vedette.Survey
	Feeds     []vedette.Feed // late or broken
	AllFeeds  int
	May       map[string]bool

	cases     []vedette.Case // the most urgent
	due, late number2
	nobodys   number2
	check     number2
	waiting   []store.Waiting
	unsent    []vedette.Delivery
	told      []store.Told
	ending    []endingScope
	decisions []vedette.Decision
}

// number2 is a count that may have stopped counting.
type number2 struct {
	n    int
	more bool
}

func (n number2) text() string {
	if n.more {
		return fmt.Sprintf("%d+", n.n)
	}
	return fmt.Sprint(n.n)
}

// exploitedRow is an exploited vulnerability with what was told of it.
type exploitedRow struct {
	store.Touched
	Drafts, Sent, Acked, Failed int
	Publication                 string
}

// New says that it was said in the last days.
func (e exploitedRow) New(now time.Time) bool { return now.Sub(e.Since) < 7*24*time.Hour }

// editions is what became of the alert, in a few words.
func (e exploitedRow) editions() string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{e.Sent, "sent"}, {e.Acked, "acknowledged"}, {e.Drafts, "not out"}, {e.Failed, "not delivered"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	if parts == nil {
		return "no alert"
	}
	return strings.Join(parts, ", ")
}

// nextStep is one thing to do, with the one way to do it.
type nextStep struct {
	weakness         string
	Title, Href, Why string
	Tag              string
	Ruling           *vedette.Ruling
	Due              time.Time
	Since            time.Time // how long it waits, when it has no deadline
	Do, To           string
}

// endingScope is an authorisation that ends soon.
type endingScope struct {
	constituent, name, what string
	last                    time.Time
}

// todayPage is the first page of everybody: what happened, to whom, by when.
func (p *Pages) todayPage(r *face.Request) error {
	t := &today{now: p.hub.Now(), May: map[string]bool{}, bound: len(r.P.Constituents) > 0}
	if len(r.P.Constituents) == 1 {
		t.own = r.P.Constituents[0]
	}
	for what, act := range map[string]string{"cases": "case list", "cves": "cve list", "feeds": "feed list", "surveys": "survey list", "publications": "publication list", "approve": "publication approve", "survey": "survey run", "audit": "audit list", "decide": "case approve", "constituents": "constituent list", "jobs": "job list", "users": "user list"} {
		t.May[what] = face.Has(r.P, policy.Act(act))
	}
	if err := t.gather(r.Context(), r.Desk.Rows(), r.P); err != nil {
		return err
	}
	t.figures()
	t.steps(r.P)
	v := view{Title: "Today", Sub: t.now.UTC().Format("Monday 2 January 2006"), At: "/", So: t.so(), Live: true, Every: 10, Actions: todayActions(t)}
	return p.page(r, v, todayShown(t))
}

// gather reads what the reader may read.
func (t *today) gather(ctx context.Context, sc *store.Scoped, p vedette.Principal) (err error) {
	if t.May["cases"] {
		if err := t.gatherCases(ctx, sc); err != nil {
			return err
		}
	}
	if t.May["publications"] {
		if t.waiting, err = sc.Waiting(ctx, 100); err != nil {
			return err
		}
		if t.unsent, err = sc.Unsent(ctx, 20); err != nil {
			return err
		}
	}
	if t.May["surveys"] {
		if t.Surveys, _, err = sc.Surveys(ctx, store.SurveyFilter{State: vedette.SurveyRunning, Limit: 100}); err != nil {
			return err
		}
	}
	if t.May["feeds"] {
		all, err := sc.Feeds(ctx)
		if err != nil {
			return err
		}
		for _, f := range all {
			if f.Enabled {
				t.AllFeeds++
			}
			if s := f.State(t.now); s == vedette.FeedLate || s == vedette.FeedBroken {
				t.Feeds = append(t.Feeds, f)
			}
		}
	}
	if t.May["constituents"] {
		cs, err := sc.Constituents(ctx)
		if err != nil {
			return err
		}
		t.ending = endingScopes(cs, t.now)
	}
	if t.May["decide"] {
		ds, err := sc.Decisions(ctx, "", 50)
		if err != nil {
			return err
		}
		for _, d := range ds {
			if d.Approver == "" && d.Ended.IsZero() && d.By != p.Name {
				t.decisions = append(t.decisions, d)
			}
		}
	}
	es, err := sc.Events(ctx, store.EventFilter{Limit: todayEvents})
	t.News = newsOf(es, todayNews)
	return err
}

// gatherCases reads the most urgent cases, the counts, and what is exploited.
func (t *today) gatherCases(ctx context.Context, sc *store.Scoped) (err error) {
	if t.cases, _, err = sc.Cases(ctx, store.CaseFilter{Limit: todayCases}); err != nil {
		return err
	}
	nobody, soon := "", t.now.Add(24*time.Hour)
	for _, c := range []struct {
		into *number2
		f    store.CaseFilter
	}{{&t.due, store.CaseFilter{Due: soon}}, {&t.late, store.CaseFilter{Due: t.now}}, {&t.nobodys, store.CaseFilter{Assignee: &nobody}}, {&t.check, store.CaseFilter{ToCheck: true}}} {
		if c.into.n, c.into.more, err = sc.CountCases(ctx, c.f); err != nil {
			return err
		}
	}
	for i, c := range t.cases {
		if !c.Deadline.IsZero() && c.Deadline.Before(soon) {
			t.Due = append(t.Due, c)
		} else if !c.Deadline.IsZero() {
			t.Ahead = &t.cases[i]
			break
		}
	}
	touched, total, err := sc.Touched(ctx, "", todayExploited)
	if err != nil {
		return err
	}
	t.Touching = total
	ids := []string{}
	for _, x := range touched {
		ids = append(ids, x.Weakness)
	}
	if t.told, err = sc.Told(ctx, "", ids, 5000); err != nil {
		return err
	}
	for _, x := range touched {
		t.Exploited = append(t.Exploited, exploitedRow{Touched: x}.with(t.told))
	}
	return nil
}

// with counts what was told of the vulnerability.
func (e exploitedRow) with(told []store.Told) exploitedRow {
	for _, d := range told {
		if d.Weakness != e.Weakness || d.State == vedette.PublicationWithdrawn {
			continue
		}
		e.Publication = d.Publication
		if d.Draft || d.Sent.IsZero() {
			e.Drafts++
		}
		if !d.Sent.IsZero() {
			e.Sent++
		}
		if !d.Acked.IsZero() {
			e.Acked++
		}
		if d.Failed {
			e.Failed++
		}
	}
	return e
}

// shownDue are the deadlines that the page has room for.
func shownDue(t *today) []vedette.Case { return t.Due[:min(len(t.Due), todayDue)] }

// endingScopes are the authorisations that end within 30 days, and those that
// ended within the last, the first to end first.
func endingScopes(cs []vedette.Constituent, now time.Time) (out []endingScope) {
	for _, c := range cs {
		for _, s := range c.Scope {
			last, err := time.Parse(time.DateOnly, s.ValidUntil)
			if err != nil || last.After(now.AddDate(0, 0, 30)) || last.Before(now.AddDate(0, 0, -30)) {
				continue
			}
			out = append(out, endingScope{c.ID, c.Name, s.Domain + s.CIDR + s.URL, last.AddDate(0, 0, 1)})
		}
	}
	slices.SortStableFunc(out, func(a, b endingScope) int { return a.last.Compare(b.last) })
	return out
}

// editionsOut are how many editions are not out, and since when the oldest waits.
func (t *today) editionsOut() (n int, since time.Time) {
	for _, w := range t.waiting {
		n += w.Drafts + w.Unsent
		if since.IsZero() || w.Drafted.Before(since) {
			since = w.Drafted
		}
	}
	return n, since
}

// figures are the numbers, each with its rows behind it.
func (t *today) figures() {
	add := func(may bool, f figureView) {
		if may {
			t.Figures = append(t.Figures, f)
		}
	}
	fresh := 0
	for _, e := range t.Exploited {
		if e.New(t.now) {
			fresh++
		}
	}
	touch := figureView{N: t.Touching, Label: "exploited CVEs", Href: "/cves?touching=yes", Detail: "touch " + t.us() + "; none said new in 7 days"}
	if t.Touching > 0 {
		touch.Class = "t-crit"
	}
	if fresh > 0 {
		touch.Detail = fmt.Sprintf("touch %s; %d said new in 7 days", t.us(), fresh)
	}
	add(t.May["cases"] && t.May["cves"], touch)
	due := figureView{Text: t.due.text(), Label: "deadlines in 24 h", Href: "/cases?due=1d", Detail: "none overdue"}
	if t.late.n > 0 {
		due.Detail, due.DetailClass = t.late.text()+" overdue", "t-crit"
		if t.Due[0].Deadline.Before(t.now) {
			due.Detail += ", " + dueText(t.Due[0].Deadline, t.now, false)
		}
	}
	add(t.May["cases"], due)
	add(t.May["cases"] && !t.bound, figureView{Text: t.nobodys.text(), Label: "cases nobody owns", Href: "/cases?assignee=nobody", Detail: "open, and nobody works on them"})
	add(t.May["cases"] && t.check.n > 0, figureView{Text: t.check.text(), Label: "cases to check", Href: "/cases?check=yes", Detail: "nothing confirmed or likely yet"})
	if n, since := t.editionsOut(); !t.bound && t.May["publications"] {
		f := figureView{N: n, Label: "editions not out", Href: "/publications", Detail: "everything is out"}
		if n > 0 {
			f.Detail = "the oldest since " + strings.TrimSuffix(ago(since, t.now), " ago")
		}
		add(true, f)
	}
	if t.May["feeds"] {
		f := figureView{N: len(t.Feeds), Of: fmt.Sprintf("of %d", t.AllFeeds), Label: "feeds late or broken", Href: "/feeds", Detail: "all are fresh"}
		if t.AllFeeds == 0 {
			f.Of, f.Detail = "", "none is enabled"
		}
		if len(t.Feeds) > 0 {
			f.Detail, f.DetailClass = t.Feeds[0].Name, "t-high"
		}
		add(true, f)
	}
	run := figureView{N: len(t.Surveys), Label: "surveys running", Href: "/surveys", Detail: "nothing is looked at now"}
	if len(t.Surveys) > 0 {
		run.Detail = "the oldest since " + strings.TrimSuffix(ago(t.Surveys[len(t.Surveys)-1].Asked, t.now), " ago")
	}
	add(t.May["surveys"], run)
}

// us are those whom the page is about.
func (t *today) us() string {
	if t.bound {
		return "you"
	}
	return "us"
}

// so is what happened, to whom, by when.
func (t *today) so() string {
	if !t.May["cases"] {
		if t.May["feeds"] {
			return fmt.Sprintf("%s enabled, %d late or broken.", title(count(t.AllFeeds, "feed")), len(t.Feeds))
		}
		return "What you did, and what you may look at."
	}
	var out []string
	switch {
	case len(t.Exploited) == 0:
		out = append(out, "Nothing that is exploited is known to touch "+t.us()+".")
	case t.Exploited[0].New(t.now):
		e := t.Exploited[0]
		out = append(out, fmt.Sprintf("%s, said to be exploited since %s, touches %s.", e.Weakness, e.Since.UTC().Format("2 January"), t.whom(e.Constituents)))
	default:
		out = append(out, title(verbed(t.Touching, "exploited vulnerability touches ", "exploited vulnerabilities touch "))+t.us()+", none said this week.")
	}
	switch ahead := t.due.n - t.late.n; {
	case t.due.n == 0 && t.Ahead != nil:
		out = append(out, fmt.Sprintf("Nothing is due in 24 hours; the next deadline is %s.", t.Ahead.Deadline.UTC().Format("Mon 2 Jan 15:04Z")))
	case t.due.n == 0:
		out = append(out, "No deadline runs.")
	case t.late.n == 0:
		out = append(out, fmt.Sprintf("%s before %s.", title(verbed(ahead, "deadline falls", "deadlines fall")), t.now.Add(24*time.Hour).UTC().Format("Mon 15:04Z")))
	default:
		text := title(t.late.text() + map[bool]string{true: " deadline is over", false: " deadlines are over"}[t.late.n == 1])
		if ahead > 0 {
			text += ", " + fmt.Sprint(ahead) + " more before " + t.now.Add(24*time.Hour).UTC().Format("Mon 15:04Z")
		}
		out = append(out, text+".")
	}
	if n, _ := t.editionsOut(); n > 0 {
		out = append(out, title(verbed(n, "edition is", "editions are"))+" not out yet.")
	}
	return strings.Join(out, " ")
}

// whom names the constituents when they are few.
func (t *today) whom(ids []string) string {
	if t.bound && len(ids) <= 1 {
		return "you"
	}
	return few(ids, "constituent")
}

// few names up to three, and counts more.
func few(ids []string, one string) string {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	switch {
	case len(ids) == 0:
		return "nobody"
	case len(ids) <= 3:
		return strings.Join(ids, ", ")
	}
	return count(len(ids), one)
}

// verbed is a count with a verb that agrees with it.
func verbed(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// steps are what to do next: what is late or soon first, then the rest, each by
// its decision and the time that is left.
func (t *today) steps(p vedette.Principal) {
	t.stepsOfAlerts(p)
	t.stepsOfCases()
	t.stepsOfTheRest()
	urgent := func(s nextStep) int {
		if !s.Due.IsZero() && s.Due.Sub(t.now) < 24*time.Hour {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(t.Next, func(a, b nextStep) int {
		if a.Due.IsZero() != b.Due.IsZero() && urgent(a) == urgent(b) {
			return cmp.Compare(boolRank(a.Due.IsZero()), boolRank(b.Due.IsZero()))
		}
		return cmp.Or(cmp.Compare(urgent(a), urgent(b)), cmp.Compare(rulingRank(a.Ruling), rulingRank(b.Ruling)), a.Due.Compare(b.Due), a.Since.Compare(b.Since))
	})
	t.Next = t.Next[:min(len(t.Next), todayNext)]
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// rulingRank orders rulings by how fast they want something fixed; none is last.
func rulingRank(r *vedette.Ruling) int {
	switch {
	case r == nil:
		return 1 << 30
	case r.Days == 0:
		return 1 << 29
	case r.Forensic:
		return 2 * r.Days
	}
	return 2*r.Days + 1
}

// stepsOfAlerts: drafts to finish, messages that did not arrive, and for who was
// told what to acknowledge.
func (t *today) stepsOfAlerts(p vedette.Principal) {
	exploited := map[string]exploitedRow{}
	for _, e := range t.Exploited {
		exploited[e.Weakness] = e
	}
	for _, w := range t.waiting {
		e := exploited[w.Weakness]
		s := nextStep{weakness: w.Weakness, Title: strings.TrimSpace(w.Weakness + " " + w.Number), Href: publicationPath(w.Publication), Ruling: e.Ruling, Due: w.Due, Since: w.Drafted}
		if e.Title != "" {
			s.Title = w.Weakness + ": " + e.Title
		}
		s.Tag = w.Number
		switch {
		case w.Drafts > 0 && w.Author == p.Name:
			s.Why, s.Do = title(verbed(w.Drafts, "edition waits", "editions wait"))+" for another lead: you wrote them.", "Open the draft"
		case w.Drafts > 0:
			s.Why, s.Do = title(verbed(w.Drafts, "edition", "editions"))+" drafted "+ago(w.Drafted, t.now)+", not approved yet.", "Finish "+count(w.Drafts, "edition")
		default:
			s.Why, s.Do = "Approved, and not sent to anybody.", "Send "+count(w.Unsent, "edition")
		}
		if s.To = s.Href; !e.Since.IsZero() {
			s.Why = "Exploited since " + e.Since.UTC().Format("2 Jan") + ", at " + t.whom(e.Constituents) + ". " + s.Why
		}
		t.Next = append(t.Next, s)
	}
	for _, d := range t.unsent {
		if d.State == vedette.DeliveryFailed {
			t.Next = append(t.Next, nextStep{Title: d.Constituent + ": a message did not arrive", Href: publicationPath(d.Publication), Tag: d.Publication,
				Why: fmt.Sprintf("%s %s: %s", d.Role, d.Contact, clipWords(cmp.Or(d.Error, "no reason given"), 120)), Since: d.Due, Due: d.Due, Do: "See who was told", To: publicationPath(d.Publication)})
		}
	}
	if !t.bound {
		return
	}
	for _, d := range t.told {
		if !d.Sent.IsZero() && d.Acked.IsZero() && d.State == vedette.PublicationApproved {
			e := exploited[d.Weakness]
			t.Next = append(t.Next, nextStep{Title: d.Number + ": " + cmp.Or(e.Title, d.Weakness), Href: publicationPath(d.Publication), Ruling: e.Ruling, Due: d.Deadline, Since: d.Sent,
				Why: "Sent to you " + ago(d.Sent, t.now) + ". Nobody has acknowledged it.", Do: "Read and acknowledge", To: publicationPath(d.Publication)})
		}
	}
}

// stepsOfCases: what is late or due in a day, one step for each weakness.
func (t *today) stepsOfCases() {
	type group struct {
		step                 nextStep
		whom                 []string
		late, nobody, claims int
	}
	by := map[string]*group{}
	var order []string
	for _, c := range t.Due {
		g := by[c.Weakness]
		if g == nil {
			g = &group{step: nextStep{Title: caseTitle(c), Href: casePath(c.ID), Ruling: c.Ruling, Due: c.Deadline, Do: "Open the case", To: casePath(c.ID)}}
			by[c.Weakness], order = g, append(order, c.Weakness)
		}
		g.whom = append(g.whom, c.Constituent)
		g.late += boolRank(c.Deadline.Before(t.now))
		g.nobody += boolRank(c.Assignee == "")
		g.claims += boolRank(c.State == vedette.CaseReportedFixed)
	}
	for _, w := range order {
		g := by[w]
		why := "Due at "
		if g.late == len(g.whom) {
			why = "Deadline over at "
		}
		g.step.Why = why + few(g.whom, "constituent") + "."
		if g.claims > 0 {
			g.step.Why += " " + title(verbed(g.claims, "case is", "cases are")) + " reported fixed and still seen: retest."
		}
		if g.nobody > 0 && !t.bound {
			g.step.Why += " " + title(verbed(g.nobody, "case has", "cases have")) + " nobody."
		}
		if i := slices.IndexFunc(t.Next, func(s nextStep) bool { return s.weakness == w && s.weakness != "" }); i >= 0 { // its alert is the way on
			s := &t.Next[i]
			s.Why, s.Ruling = s.Why+" "+g.step.Why, cmp.Or(s.Ruling, g.step.Ruling)
			if s.Due.IsZero() || g.step.Due.Before(s.Due) {
				s.Due = g.step.Due
			}
			continue
		}
		if len(g.whom) > 1 {
			g.step.To = "/cases?due=1d&weakness=" + url.QueryEscape(w)
			g.step.Href, g.step.Do = g.step.To, "Open "+count(len(g.whom), "case")
		}
		t.Next = append(t.Next, g.step)
	}
}

// stepsOfTheRest: what has no clock of a weakness.
func (t *today) stepsOfTheRest() {
	if t.check.n > 0 {
		t.Next = append(t.Next, nextStep{Title: t.check.text() + map[bool]string{true: " case", false: " cases"}[t.check.n == 1] + " to check", Href: "/cases?check=yes", Why: "Nothing about them is confirmed or likely: a person looks first.", Do: "Check", To: "/cases?check=yes"})
	}
	for _, f := range t.Feeds {
		to := "/feeds/" + url.PathEscape(f.Name)
		t.Next = append(t.Next, nextStep{Title: "Feed " + f.Name + " is " + string(f.State(t.now)), Href: to, Why: clipWords(cmp.Or(f.Health.Failure, "It was last fetched "+ago(f.Health.Succeeded, t.now)+"."), 160), Since: f.Health.Failed, Do: "Look", To: to})
	}
	for _, d := range t.decisions {
		to := "/cases?covered=yes&weakness=" + url.QueryEscape(d.Weakness)
		t.Next = append(t.Next, nextStep{Title: title(string(d.Kind)) + ": " + d.Weakness, Href: to, Tag: d.Constituent, Why: d.By + " asks: " + clipWords(d.Reason, 120) + ". It covers nothing until it is approved.", Since: d.From, Do: "Look", To: to})
	}
	for i, s := range t.ending {
		if i == 3 {
			break
		}
		why := "Surveys of it stop by themselves then."
		if s.last.Before(t.now) {
			why = "Nothing of it is surveyed any more."
		}
		t.Next = append(t.Next, nextStep{Title: cmp.Or(s.name, s.constituent) + ": the authorisation ends", Href: constituentPath(s.constituent), Tag: s.what, Due: s.last, Why: why, Do: "See the scope", To: constituentPath(s.constituent)})
	}
}
