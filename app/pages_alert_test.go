package app

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// desks are the pages of a world with a token for each of its people.
type desks struct {
	*world
	faces  http.Handler
	tokens map[string]string
}

// desks opens the pages for people.
func (w *world) desks(people ...vedette.Principal) *desks {
	w.t.Helper()
	h := &hub{store: w.store, sys: w.store.System(), line: NewLine(w.store), log: slog.New(slog.DiscardHandler)}
	faces, err := h.faces(config.Config{})
	if err != nil {
		w.t.Fatal(err)
	}
	d := &desks{w, faces, map[string]string{}}
	admin := w.run(vedette.Principal{Name: "admin", Roles: []vedette.Role{vedette.Admin}}).sc
	for _, p := range people {
		if err := admin.AddUser(context.Background(), p); err != nil {
			w.t.Fatal(err)
		}
		secret, err := admin.AddToken(context.Background(), store.Token{Name: p.Name + ".pages", User: p.Name, Role: vedette.API, Expires: w.clock.Add(24 * time.Hour)})
		if err != nil {
			w.t.Fatal(err)
		}
		d.tokens[p.Name] = secret
	}
	return d
}

func (d *desks) ask(who, method, path string, form url.Values) *httptest.ResponseRecorder {
	d.t.Helper()
	var body string
	if form != nil {
		body = form.Encode()
	}
	r := httptest.NewRequest(method, "http://hub.example"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+d.tokens[who])
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	d.faces.ServeHTTP(w, r)
	return w
}

// get shows a page, and fails the test when its status is another.
func (d *desks) get(who, path string, status int) string {
	d.t.Helper()
	w := d.ask(who, http.MethodGet, path, nil)
	if w.Code != status {
		d.t.Fatalf("%s: GET %s is %d, not %d: %s", who, path, w.Code, status, w.Body)
	}
	return w.Body.String()
}

// post does an act, and gives where it leads.
func (d *desks) post(who, path string, form url.Values, status int) string {
	d.t.Helper()
	w := d.ask(who, http.MethodPost, path, form)
	if w.Code != status {
		d.t.Fatalf("%s: POST %s is %d, not %d: %s", who, path, w.Code, status, w.Body)
	}
	return w.Header().Get("Location")
}

// shows fails the test for each text that a page lacks, lacks for each that it has.
func (d *desks) shows(page string, texts ...string) {
	d.t.Helper()
	for _, s := range texts {
		if !strings.Contains(page, s) {
			d.t.Errorf("the page lacks %q", s)
		}
	}
}

func (d *desks) lacks(page string, texts ...string) {
	d.t.Helper()
	low := strings.ToLower(page)
	for _, s := range texts {
		if i := strings.Index(low, strings.ToLower(s)); i >= 0 {
			d.t.Errorf("the page shows %q: ...%s...", s, page[max(0, i-100):min(len(page), i+100)])
		}
	}
}

var (
	pagesLead    = vedette.Principal{Name: "lead", Roles: []vedette.Role{vedette.Lead, vedette.Analyst}}
	pagesAnalyst = vedette.Principal{Name: "analyst", Roles: []vedette.Role{vedette.Analyst}}
	pagesViewer  = vedette.Principal{Name: "viewer", Roles: []vedette.Role{vedette.Viewer}, Constituents: []string{"alpha"}}
	pagesManager = vedette.Principal{Name: "manager", Roles: []vedette.Role{vedette.Manager}, Constituents: []string{"alpha"}}
	ofBravo      = []string{"bravo.example", "Agency Bravo", "192.0.2.70", "shared.example:"}
)

func alertDesks(t *testing.T, place string) *desks {
	w := newWorld(t, place)
	w.fill()
	return w.desks(pagesLead, pagesAnalyst, pagesViewer, pagesManager)
}

func TestPagesOfVulnerabilities(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		d := alertDesks(t, place)
		before := d.hashes()
		list := d.get("lead", "/cves", 200)
		d.shows(list, "/cves/CVE-2026-1001", "Exploited since", "Wed 18 Feb 2026")
		d.shows(d.get("lead", "/cves?exploited=yes&limit=1", 200), "CVE-2026-1001")
		d.shows(d.get("lead", "/cves?q=login", 200), "CVE-2026-1001")
		d.shows(d.get("viewer", "/cves?touching=yes", 200), "CVE-2026-1001")
		page := d.get("lead", "/cves/cve-2026-1001", 200)
		d.shows(page, "Agency Alpha", "Agency Bravo", "vpn.alpha.example:443", "www.shared.example:443", "Due", "assumed", "cisa-kev", "Open the draft", "Looked at and left out")
		mine := d.get("viewer", "/cves/CVE-2026-1001", 200)
		d.shows(mine, "vpn.alpha.example:443", "It touches you at")
		d.lacks(mine, append(ofBravo, "draft")...)
		d.get("viewer", "/cves/CVE-2026-9999", 404)
		d.get("lead", "/cves?after=x", 422)
		sameHashes(t, d.hashes(), before, "after looking")
		d.post("viewer", "/cves/CVE-2026-1001/draft", nil, 404)
	})
}

// TestPagesOfPublications: from the draft to the answer of the constituent, with
// the buttons of the pages alone.
func TestPagesOfPublications(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		d := alertDesks(t, place)
		d.do(&constituentApply{File: d.file("c.yaml", strings.Replace(worldConstituency, "    countries: [BE]\n", "    countries: [BE]\n    contacts: [{role: POC, name: Alpha POC, email: poc@alpha.example}]\n", 1))})
		ps, err := d.run(vedette.Local()).sc.Publications(context.Background(), "", 10)
		if err != nil || len(ps) != 1 {
			t.Fatalf("%+v, %v", ps, err)
		}
		id := "/publications/" + ps[0].ID
		before := d.hashes()
		d.shows(d.get("lead", "/publications", 200), "Draft, CVE-2026-1001", "Examplesoft Access Gateway Code Execution", "1 publication with drafts")
		draft := d.get("lead", id, 200)
		d.shows(draft, "Approve and send 1 message", "poc@alpha.example", "No contact is known at Agency Bravo", "Marking budget", "As its reader sees it", "<h3>What to do</h3>")
		d.shows(d.get("lead", id+"?for=bravo", 200), "www.shared.example:443")
		d.lacks(d.get("analyst", id, 200), "Approve and send", "popovertarget=\"withdraw\"")
		d.get("viewer", id, 404)
		d.lacks(d.get("viewer", "/publications", 200), ps[0].ID)
		sameHashes(t, d.hashes(), before, "after looking")

		d.post("analyst", id+"/approve", url.Values{"send": {"yes"}}, 404)
		if to := d.post("lead", id+"/approve", url.Values{"send": {"yes"}}, 303); to != id {
			t.Errorf("approving leads to %s", to)
		}
		sent := d.get("lead", id, 200)
		d.shows(sent, "TA-2026-001", "1 queued", "waiting to be sent")
		d.lacks(sent, "Send 1 message")

		mine := d.get("manager", "/publications/TA-2026-001", 200)
		d.shows(mine, "Your answer", "Acknowledge, with the day", "vpn.alpha.example:443/tcp", "poc@alpha.example")
		d.lacks(mine, append(ofBravo, "Marking budget", "Approve and", "Withdraw")...)
		d.lacks(d.get("viewer", id, 200), append(ofBravo, "Your answer", "/answer")...)
		d.get("viewer", id+"?for=bravo", 404)
		d.get("viewer", id+"/editions/bravo", 404)
		for form, begin := range map[string]string{"html": "<!doctype html>", "md": "**TLP", "json": "{", "pdf": "%PDF"} {
			got := d.get("viewer", id+"/editions/alpha?form="+form, 200)
			if !strings.HasPrefix(got, begin) {
				t.Errorf("%s begins with %q", form, got[:min(20, len(got))])
			}
			d.lacks(got, ofBravo...)
		}
		d.get("viewer", id+"/editions/alpha?form=exe", 422)

		d.post("viewer", id+"/answer", url.Values{"for": {"alpha"}, "state": {"acknowledged"}}, 404)
		d.post("manager", id+"/answer", url.Values{"for": {"bravo"}, "state": {"acknowledged"}}, 404)
		d.post("manager", id+"/answer", url.Values{"for": {"alpha"}, "state": {"closed"}}, 422)
		d.post("manager", id+"/answer", url.Values{"for": {"alpha"}, "state": {"acknowledged"}, "date": {"soon"}}, 422)
		d.post("manager", id+"/answer", url.Values{"for": {"alpha"}, "state": {"acknowledged"}, "date": {"2026-03-05"}, "note": {"window at night"}}, 303)
		c, err := d.run(vedette.Local()).sc.Case(context.Background(), vedette.CaseID("alpha", "CVE-2026-1001"))
		if err != nil || c.State != vedette.CaseAcknowledged || c.Note != "fix by 2026-03-05: window at night" || c.By != "manager" {
			t.Errorf("%+v, %v", c, err)
		}
		d.shows(d.get("manager", id, 200), "You acknowledged it", "fix by 2026-03-05", "It is fixed")

		d.post("lead", id+"/withdraw", url.Values{"reason": {" "}}, 403)
		d.post("lead", id+"/withdraw", url.Values{"reason": {"another product"}}, 303)
		d.shows(d.get("viewer", id, 200), "Withdrawn: another product")
	})
}

// TestPagesOfCases: what people do about a case, with the buttons of its page.
func TestPagesOfCases(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		d := alertDesks(t, place)
		ctx := context.Background()
		id := vedette.CaseID("alpha", "CVE-2026-1001")
		path, others := "/cases/"+id, "/cases/"+vedette.CaseID("bravo", "CVE-2026-1001")
		sc := func() *store.Scoped { return d.run(vedette.Local()).sc }
		before := d.hashes()
		d.shows(d.get("lead", path, 200), "vpn.alpha.example:443", "Why this deadline", "Opened by the line", "every constituent, the next ones too", "Set the state", "Assignee")
		mine := d.get("manager", path, 200)
		d.shows(mine, "Your answer", "Ask for acceptance", "vpn.alpha.example:443")
		d.lacks(mine, append(ofBravo, "every constituent", "Set the state")...)
		d.lacks(d.get("viewer", path, 200), append(ofBravo, "Your answer", "<form method=\"post\" action=\"/cases")...)
		for _, who := range []string{"viewer", "manager"} {
			d.get(who, others, 404)
		}
		d.get("lead", "/cases/C-000000000000", 404)
		sameHashes(t, d.hashes(), before, "after looking")

		d.post("lead", path+"/set", url.Values{"state": {"triaged"}, "reason": {"as at bravo.example"}}, 303)
		d.post("lead", path+"/set", url.Values{"assignee": {"analyst"}}, 303)
		d.post("viewer", path+"/set", url.Values{"state": {"closed"}}, 404)
		d.post("manager", others+"/set", url.Values{"state": {"triaged"}}, 404)
		d.post("manager", path+"/answer", url.Values{"state": {"reported fixed"}, "date": {"2026-03-01"}}, 303)
		c, err := sc().Case(ctx, id)
		if err != nil || c.State != vedette.CaseReportedFixed || c.Note != "fixed on 2026-03-01" || c.Assignee != "analyst" {
			t.Errorf("%+v, %v", c, err)
		}
		d.shows(d.get("lead", path, 200), "as at bravo.example", "State triaged", "State reported fixed")
		mine = d.get("manager", path, 200)
		d.shows(mine, "State triaged")
		d.lacks(mine, ofBravo...)

		decide := url.Values{"kind": {"risk accepted"}, "reason": {"replaced in May"}, "until": {"2026-05-31"}}
		d.post("viewer", path+"/decide", decide, 404)
		d.post("manager", others+"/decide", decide, 404)
		d.post("manager", path+"/decide", url.Values{"kind": {"risk accepted"}, "reason": {"r"}, "until": {"2020-01-01"}}, 422)
		d.post("manager", path+"/decide", url.Values{"kind": {"false positive"}, "reason": {"r"}, "where": {"everywhere"}}, 403)
		d.post("manager", path+"/decide", decide, 303)
		ds, err := sc().Decisions(ctx, "", 10)
		if err != nil || len(ds) != 1 || ds[0].Constituent != "alpha" || ds[0].By != "manager" || !ds[0].Until.Equal(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)) {
			t.Fatalf("%+v, %v", ds, err)
		}
		d.shows(d.get("lead", "/decisions?state=waiting", 200), "replaced in May", "Waiting for approval")
		d.shows(d.get("lead", path, 200), "Waiting for approval", ">Approve<")
		d.lacks(d.get("manager", path, 200), ">Approve<")
		d.post("manager", "/decisions/"+ds[0].ID+"/approve", nil, 404)
		d.post("lead", "/decisions/"+ds[0].ID+"/approve", url.Values{"case": {id}}, 303)
		d.shows(d.get("viewer", path, 200), "Risk accepted, until Sun 31 May 2026", "In force")
		d.post("lead", "/decisions/"+ds[0].ID+"/end", url.Values{"case": {id}}, 403)
		d.post("lead", "/decisions/"+ds[0].ID+"/end", url.Values{"case": {id}, "reason": {"it is used"}}, 303)
		d.shows(d.get("viewer", "/decisions?state=ended", 200), "replaced in May", "Ended")
	})
}

// TestPagesOfFindings: the evidence of one finding, byte for byte.
func TestPagesOfFindings(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		d := alertDesks(t, place)
		fs, _, err := d.run(vedette.Local()).sc.Findings(context.Background(), store.FindingFilter{Weakness: "CVE-2026-1001"})
		if err != nil {
			t.Fatal(err)
		}
		before := d.hashes()
		for _, f := range fs {
			page := d.get("lead", "/findings/"+f.ID, 200)
			d.shows(page, f.Weakness, "Evidence", "Is it there now?", vedette.CaseID(f.Constituent, f.Weakness))
			if f.Constituent == "bravo" {
				d.get("viewer", "/findings/"+f.ID, 404)
				d.post("manager", "/findings/"+f.ID+"/retest", nil, 404)
				continue
			}
			d.shows(page, "At other constituents")
			mine := d.get("viewer", "/findings/"+f.ID, 200)
			d.lacks(mine, append(ofBravo, "At other constituents", "Retest this place")...)
		}
		d.get("lead", "/findings/F-x", 422)
		sameHashes(t, d.hashes(), before, "after looking")
	})
}
