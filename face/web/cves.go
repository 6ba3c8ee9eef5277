package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/policy"
	"github.com/vedette-hub/vedette/store"
)

// cveList is what attackers use first, and of that what touches us.
var cveList = &list[store.VulnerabilityRow]{
	act: "cve list", path: "/cves", title: "Exploited CVEs", one: "vulnerability",
	empty:   "No vulnerability is known yet. Feeds and imports bring them; those that are exploited and touch a constituent stand first here.",
	views:   []savedView{{"Exploited, touching us first", "exploited=yes"}, {"Touching us", "touching=yes"}, {"All", ""}},
	filters: []filter{{key: "q", label: "words"}, {key: "exploited", label: "exploited", flag: true}, {key: "touching", label: "touching us", flag: true}},
	id:      func(r store.VulnerabilityRow) string { return r.ID },
	class: func(r store.VulnerabilityRow, _ time.Time) string {
		if r.Exploited && r.Cases > 0 {
			return "unseen"
		}
		return ""
	},
	so: func(rows []store.VulnerabilityRow, q query, more bool) string {
		touching := 0
		for _, r := range rows {
			if r.Exploited && r.Cases > 0 {
				touching++
			}
		}
		switch {
		case len(rows) == 0 || q.after != "" || q.on("q"):
			return ""
		case touching == 0:
			return "None of what is exploited touches anybody you may see."
		case touching == len(rows) && more:
			return fmt.Sprintf("More than %d exploited vulnerabilities touch your constituents.", touching)
		case touching == 1:
			return "One exploited vulnerability touches your constituents."
		}
		return fmt.Sprintf("%d exploited vulnerabilities touch your constituents.", touching)
	},
	columns: []column[store.VulnerabilityRow]{
		{key: "id", head: "Vulnerability", text: func(r store.VulnerabilityRow) string { return r.ID }, sub: func(r store.VulnerabilityRow) string { return r.Fields["title"] }, href: func(r store.VulnerabilityRow) string { return cvePath(r.ID) }},
		{key: "since", head: "Exploited since", text: func(r store.VulnerabilityRow) string {
			if r.Exploited && r.Since.IsZero() {
				return "yes"
			}
			return day(r.Since)
		}},
		{key: "cases", head: "Open cases", num: true, text: func(r store.VulnerabilityRow) string { return number(r.Cases) }, href: func(r store.VulnerabilityRow) string {
			return "/cases?weakness=" + url.QueryEscape(r.ID)
		}},
		{key: "findings", head: "Findings", num: true, text: func(r store.VulnerabilityRow) string { return number(r.Findings) }, href: func(r store.VulnerabilityRow) string {
			return "/findings?weakness=" + url.QueryEscape(r.ID)
		}},
		{key: "cvss", head: "CVSS", num: true, text: func(r store.VulnerabilityRow) string { return r.Fields["cvss"] }},
		{key: "modified", head: "Changed", text: func(r store.VulnerabilityRow) string { return stamp(r.Modified) }, cell: func(r store.VulnerabilityRow, _ time.Time) templ.Component { return when(r.Modified) }},
	},
	rows: func(ctx context.Context, d face.Desk, q query) ([]store.VulnerabilityRow, string, error) {
		at, err := parseCVECursor(q.after)
		if err != nil {
			return nil, "", err
		}
		rows, next, more, err := d.Rows().Vulnerabilities(ctx, store.VulnerabilityFilter{Exploited: q.on("exploited"), Touching: q.on("touching"), Words: q.get("q"), After: at, Limit: q.limit})
		if err != nil || !more {
			return rows, "", err
		}
		return rows, cveCursor(next), nil
	},
}

func cvePath(id string) string { return "/cves/" + url.PathEscape(id) }

func cveCursor(c store.VulnerabilityCursor) string {
	rest := 0
	if c.Rest {
		rest = 1
	}
	return fmt.Sprintf("%d.%d.%d.%d", rest, c.Touching, c.Since, c.K)
}

func parseCVECursor(s string) (c store.VulnerabilityCursor, err error) {
	if s == "" {
		return c, nil
	}
	var rest int
	if n, err := fmt.Sscanf(s, "%d.%d.%d.%d", &rest, &c.Touching, &c.Since, &c.K); err != nil || n != 4 || rest < 0 || rest > 1 {
		return c, vedette.Invalid("after %q: go on from a link of the list", s)
	}
	c.Rest = rest == 1
	return c, nil
}

// cveView is the join of one vulnerability as a page.
type cveView struct {
	J        *vedette.Join
	Groups   []cveGroup
	LeftOut  []leftOut
	Alerts   []vedette.Publication
	History  []milestone
	Now      time.Time
	Staff    bool
	Places   int // that are there now
	Retests  bool
	Exploits int // assertions that stand
}

// cveGroup is one constituent that is touched.
type cveGroup struct {
	vedette.JoinConstituent
	Case    *vedette.Case
	Edition progress
	Alert   string // the path of its edition, "" without one
	There   int    // places that are there now
	More    int    // places that the page leaves to the list
}

// leftOut are places that were looked at and are no finding, by the verdict.
type leftOut struct {
	Verdict vedette.Verdict
	Hosts   []vedette.JoinHost
	More    int
}

// milestone is one line of a history.
type milestone struct {
	At    time.Time
	Text  string
	Href  string
	Class string // "hot", "ok", "me"
}

const (
	groupHosts   = 20
	leftOutHosts = 50
)

// cve is the page of one vulnerability: the join.
func (p *Pages) cve(r *face.Request) error {
	j, err := r.Desk.Join(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	c := cveView{J: j, Now: p.hub.Now(), Staff: !policy.Bound(r.P), Retests: policy.May(r.P, "finding retest")}
	if err := c.gather(r); err != nil {
		return err
	}
	for _, x := range j.Exploited {
		if x.Ended.IsZero() {
			c.Exploits++
		}
	}
	c.LeftOut = leftOuts(j.LeftOut)
	c.History = cveHistory(c)
	v := view{Title: j.ID, Sub: j.Title, So: c.so(), At: "/cves", Crumbs: []crumb{{"Exploited CVEs", "/cves?exploited=yes"}}, Marking: j.Marking, Meta: cveMeta(c)}
	v.Actions = cveActions(c, policy.May(r.P, "publication draft"))
	return p.page(r, v, cvePage(c))
}

// gather puts cases and editions beside the constituents.
func (c *cveView) gather(r *face.Request) error {
	rows := r.Desk.Rows()
	cs, _, err := rows.Cases(r.Context(), store.CaseFilter{Weakness: c.J.ID, Closed: true, Covered: true, Limit: 1000})
	if err != nil {
		return err
	}
	if c.Alerts, err = rows.PublicationsOf(r.Context(), c.J.ID); err != nil {
		return err
	}
	var es []vedette.Edition
	var ds []vedette.Delivery
	for _, a := range c.Alerts {
		of, err := rows.Editions(r.Context(), a.ID)
		if err != nil {
			return err
		}
		sent, err := rows.Deliveries(r.Context(), a.ID)
		if err != nil {
			return err
		}
		es, ds = append(es, of...), append(ds, sent...)
	}
	for _, x := range c.J.Constituents {
		g := cveGroup{JoinConstituent: x, Edition: progressOf(x.ID, es, ds)}
		if i := slices.IndexFunc(cs, func(k vedette.Case) bool { return k.Constituent == x.ID }); i >= 0 {
			g.Case = &cs[i]
		}
		if i := slices.IndexFunc(es, func(e vedette.Edition) bool { return e.Constituent == x.ID }); i >= 0 {
			g.Alert = editionPage(es[i].Publication, x.ID)
		}
		for _, h := range x.Hosts {
			if there(h.Presence) {
				g.There++
			}
		}
		c.Places += g.There
		if n := len(x.Hosts); n > groupHosts {
			g.Hosts, g.More = x.Hosts[:groupHosts], n-groupHosts
		}
		c.Groups = append(c.Groups, g)
	}
	slices.SortStableFunc(c.Groups, func(a, b cveGroup) int {
		if a.Deadline.IsZero() != b.Deadline.IsZero() {
			if a.Deadline.IsZero() {
				return 1
			}
			return -1
		}
		return cmp.Or(a.Deadline.Compare(b.Deadline), cmp.Compare(b.There, a.There), cmp.Compare(a.Name, b.Name))
	})
	return nil
}

func there(p vedette.Presence) bool { return p != vedette.Fixed && p != vedette.NotObserved }

// so says what happened, to whom, by when.
func (c cveView) so() string {
	var out []string
	since := exploitedSince(c.J.Exploited)
	switch {
	case c.J.Withdrawn:
		out = append(out, "Withdrawn: whoever gave the number took it back.")
	case c.Exploits == 0:
		out = append(out, "No source says that it is exploited.")
	case since.IsZero():
		out = append(out, "It is exploited; nobody says since when.")
	default:
		out = append(out, "Exploited since "+since.UTC().Format("2 January 2006")+".")
	}
	touched, by := 0, map[vedette.Verdict]int{}
	var first time.Time
	for _, g := range c.Groups {
		if g.There == 0 {
			continue
		}
		touched++
		if !g.Deadline.IsZero() && (first.IsZero() || g.Deadline.Before(first)) {
			first = g.Deadline
		}
	}
	for _, x := range c.J.Constituents {
		for _, h := range x.Hosts {
			if there(h.Presence) {
				by[h.Verdict]++
			}
		}
	}
	if touched == 0 {
		if n := len(c.J.Shared); n > 0 {
			return strings.Join(append(out, "None of your own hosts is touched, but "+count(n, "system")+" you use."), " ")
		}
		return strings.Join(append(out, "Nobody you may see has an affected host now."), " ")
	}
	var kinds []string
	for _, v := range vedette.Verdicts {
		if by[v] > 0 {
			kinds = append(kinds, fmt.Sprintf("%d %s", by[v], v))
		}
	}
	whom := count(touched, "constituent")
	if !c.Staff && touched == 1 {
		whom = "you"
	}
	out = append(out, fmt.Sprintf("It touches %s at %s: %s.", whom, count(c.Places, "place"), strings.Join(kinds, ", ")))
	if !first.IsZero() {
		out = append(out, "The first deadline is "+moments(first)+".")
	}
	return strings.Join(append(out, c.told()...), " ")
}

// told is how far the constituents know.
func (c cveView) told() []string {
	n := map[string]int{}
	for _, g := range c.Groups {
		n[g.Edition.Stage]++
	}
	var parts []string
	for _, s := range stages {
		if n[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[s], s))
		}
	}
	if len(parts) == 0 || !c.Staff {
		return nil
	}
	return []string{"Editions: " + strings.Join(parts, ", ") + "."}
}

// moments is a time in a sentence.
func moments(t time.Time) string { return t.UTC().Format("Mon 2 Jan 15:04Z") }

// exploitedSince is the first assertion that stands.
func exploitedSince(xs []vedette.Exploitation) (first time.Time) {
	for _, x := range xs {
		if x.Ended.IsZero() && x.Status != "disputed" && !x.Since.IsZero() && (first.IsZero() || x.Since.Before(first)) {
			first = x.Since
		}
	}
	return first
}

func leftOuts(hs []vedette.JoinHost) (out []leftOut) {
	for _, v := range vedette.Verdicts {
		l := leftOut{Verdict: v}
		for _, h := range hs {
			if h.Verdict != v {
				continue
			}
			if len(l.Hosts) == leftOutHosts {
				l.More++
				continue
			}
			l.Hosts = append(l.Hosts, h)
		}
		if len(l.Hosts) > 0 {
			out = append(out, l)
		}
	}
	return out
}

// cveHistory is what happened to the vulnerability and to us, newest first.
func cveHistory(c cveView) (out []milestone) {
	j := c.J
	add := func(at time.Time, text, href, class string) {
		if !at.IsZero() {
			out = append(out, milestone{at, text, href, class})
		}
	}
	add(j.Published, "Published", "", "")
	for _, x := range j.Exploited {
		add(x.Since, x.Source+" says that it is exploited", "#sources", "hot")
		add(x.Ended, x.Source+" took that back", "#sources", "")
	}
	for i, e := range j.EPSS {
		if i > 0 && j.EPSS[i-1].Model == e.Model && (e.Score-j.EPSS[i-1].Score > 0.1 || j.EPSS[i-1].Score-e.Score > 0.1) {
			add(e.Day, fmt.Sprintf("EPSS %.2f, was %.2f", e.Score, j.EPSS[i-1].Score), "", "")
		}
	}
	for _, g := range c.Groups {
		add(g.Observed, "First seen at "+g.Name, "#at-"+g.ID, "")
	}
	for _, a := range c.Alerts {
		add(a.Drafted, "Drafted by "+a.Author, publicationPath(a.ID), "")
		add(a.Approved, "Approved as "+a.Number+" by "+a.Approver, publicationPath(a.ID), "me")
	}
	slices.SortStableFunc(out, func(a, b milestone) int { return b.At.Compare(a.At) })
	return out
}

// draftAlert writes the alert for all that the vulnerability touches.
func (p *Pages) draftAlert(r *face.Request) error {
	a, err := r.Desk.Draft(r.Context(), r.PathValue("id"), nil)
	if err != nil {
		return err
	}
	r.Session.Tell(r.Context(), fmt.Sprintf("%s drafted.", title(count(a.Editions, "edition"))), 0)
	return r.Go(publicationPath(a.ID))
}

// retestCVE looks again at the places of a vulnerability that are there.
func (p *Pages) retestCVE(r *face.Request) error {
	j, err := r.Desk.Join(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	var ids []string
	for _, c := range j.Constituents {
		for _, h := range c.Hosts {
			if h.Asset != "" && h.Finding != "" && there(h.Presence) {
				ids = append(ids, h.Finding)
			}
		}
	}
	return retestAll(r, ids, cvePath(j.ID))
}

// retestAll looks again at the places of findings and goes back.
func retestAll(r *face.Request, ids []string, back string) error {
	if len(ids) == 0 {
		return vedette.Refused("there is no place to look at")
	}
	told, _, err := retest(r.Context(), r.Desk, ids, nil)
	if err != nil {
		return err
	}
	r.Session.Tell(r.Context(), told, 0)
	return r.Go(back)
}

// alertRoutes are the pages from a vulnerability to the answer of a constituent.
func (p *Pages) alertRoutes() []face.Route {
	get, post := http.MethodGet, http.MethodPost
	return slices.Concat(cveList.routes(p), p.publicationRoutes(), p.caseRoutes(), p.decisionRoutes(), p.findingRoutes(), []face.Route{
		{Method: get, Path: "/cves/{id}", Act: "cve show", Serve: p.cve},
		{Method: post, Path: "/cves/{id}/draft", Act: "publication draft", Serve: p.draftAlert},
		{Method: post, Path: "/cves/{id}/retest", Act: "finding retest", Serve: p.retestCVE},
	})
}
