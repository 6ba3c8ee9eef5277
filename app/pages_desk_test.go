package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// readers is a world with its pages, and readers of them by their tokens.
type readers struct {
	*world
	pages  http.Handler
	bearer map[string]http.Header
}

// readWorld is a small constituency with an exploited fault at both, a draft of
// its alert, and readers: a lead, a viewer of alpha, an auditor and an admin.
func readWorld(t *testing.T, place string) *readers {
	t.Helper()
	w := newWorld(t, place)
	w.do(&constituentApply{File: w.file("c.yaml", worldConstituency)})
	w.importText("inventory.csv", worldInventory)
	w.importText("cve.json", worldCVE("CVE-2026-1001", "2026-02-02T00:00:00Z", "9.1.4"))
	w.importText("kev.json", worldKEV("2026-02-20T00:00:00Z", "CVE-2026-1001"))
	h := &hub{store: w.store, sys: w.store.System(), line: NewLine(w.store), log: slog.New(slog.DiscardHandler)}
	pages, err := h.faces(config.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := &readers{w, pages, map[string]http.Header{}}
	sc := w.run(vedette.Local()).sc
	for name, p := range map[string]vedette.Principal{
		"lead":    {Roles: []vedette.Role{vedette.Lead, vedette.Analyst}},
		"viewer":  {Roles: []vedette.Role{vedette.Viewer}, Constituents: []string{"alpha"}},
		"auditor": {Roles: []vedette.Role{vedette.Auditor}},
		"admin":   {Roles: []vedette.Role{vedette.Admin}},
	} {
		p.Name = name
		if err := sc.AddUser(context.Background(), p); err != nil {
			t.Fatal(err)
		}
		secret, err := sc.AddToken(context.Background(), store.Token{Name: name, User: name, Role: vedette.API})
		if err != nil {
			t.Fatal(err)
		}
		r.bearer[name] = http.Header{"Authorization": {"Bearer " + secret}}
	}
	return r
}

// look is one page as somebody reads it.
type look struct {
	who, path string
	status    int
	has, not  string // words, parted by |
}

func (r *readers) all(looks []look) {
	r.t.Helper()
	before := r.hashes("tokens")
	for _, l := range looks {
		got := visit(r.pages, http.MethodGet, l.path, r.bearer[l.who])
		body := got.Body.String()
		if got.Code != l.status {
			r.t.Errorf("%s reads %s: %d, want %d\n%s", l.who, l.path, got.Code, l.status, body)
			continue
		}
		for part := range strings.SplitSeq(l.has, "|") {
			if !strings.Contains(body, part) {
				r.t.Errorf("%s reads %s without %q", l.who, l.path, part)
			}
		}
		for part := range strings.SplitSeq(l.not, "|") {
			if i := strings.Index(body, part); part != "" && i >= 0 {
				r.t.Errorf("%s reads %q in %s: ...%s...", l.who, part, l.path, body[max(0, i-80):min(len(body), i+80)])
			}
		}
	}
	sameHashes(r.t, r.hashes("tokens"), before, "reading pages changes nothing")
}

// TestPagesOfAssets: what is and was seen, narrowed to who reads.
func TestPagesOfAssets(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		r := readWorld(t, place)
		r.all([]look{
			{"lead", "/assets", 200, "vpn.alpha.example|192.0.2.70|href=\"/constituents/bravo\"", ""},
			{"lead", "/assets?q=192.0", 200, "192.0.2.10|192.0.2.71", "vpn.alpha.example"},
			{"lead", "/assets?q=_", 200, "No asset matches", "vpn.alpha.example"},
			{"lead", "/assets?kind=name&constituent=alpha", 200, "vpn.alpha.example", "192.0.2.10|www.shared.example"},
			{"lead", "/assets?limit=2", 200, "after=192.0.2.70", "vpn.alpha.example"},
			{"lead", "/assets?as=csv", 200, "vpn.alpha.example,name,alpha,1,1", ""},
			{"viewer", "/assets", 200, "vpn.alpha.example|www.shared.example|shared: you use it", "192.0.2.70|bravo|/assets/www.shared.example"},
			{"viewer", "/assets?owner=nobody", 200, "No asset matches", "alpha.example"},
			{"auditor", "/assets", 404, "not for you", "alpha.example"},
			{"lead", "/assets/vpn.alpha.example", 200, "access_gateway 9.1.3|CVE-2026-1001|TLP:AMBER+STRICT|/findings/bulk/retest", ""},
			{"viewer", "/assets/vpn.alpha.example", 200, "access_gateway 9.1.3|CVE-2026-1001", "/findings/bulk/retest|bravo"},
			{"viewer", "/assets/www.shared.example", 404, "not for you", "9.0.1"},
			{"viewer", "/assets/192.0.2.70", 404, "not for you", "9.0.2"},
			{"lead", "/assets/%3Cscript%3E", 422, "&lt;script&gt;", "<script>"},
			{"lead", "/constituents", 200, "Agency Alpha|Agency Bravo|/assets?constituent=alpha", ""},
			{"lead", "/constituents?q=bravo", 200, "Agency Bravo", "Agency Alpha"},
			{"viewer", "/constituents", 200, "Agency Alpha|1 organisation", "Agency Bravo"},
		})
	})
}

// TestPageOfTheSurface: what appeared, changed and vanished, page by page, and
// nobody else's.
func TestPageOfTheSurface(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		r := readWorld(t, place)
		r.clock = r.clock.Add(24 * time.Hour)
		r.importText("again.csv", strings.NewReplacer("9.1.3", "9.1.4", "2026-02-20T08", "2026-03-01T10", "192.0.2.71,bravo,22,tcp,otherware,shell_server,3.1,false,2026-02-20T08:00:00Z\n", "").Replace(worldInventory))
		r.all([]look{
			{"lead", "/surface", 200, "1 changed|vpn.alpha.example|access_gateway 9.1.3|access_gateway 9.1.4", "192.0.2.70"},
			{"lead", "/surface?since=2026-02-01", 200, "appeared|192.0.2.71|bravo", ""},
			{"lead", "/surface?since=2026-02-01&limit=2", 200, "Next page|newest 2 changes", ""},
			{"lead", "/surface?what=changed&as=csv", 200, "vpn.alpha.example:443,changed,alpha", "192.0.2"},
			{"lead", "/surface?constituent=bravo", 200, "0 appeared", "alpha.example"},
			{"lead", "/surface?since=survey", 200, "No change matches", "vpn.alpha"},
			{"lead", "/surface?since=soon", 422, "a day as", ""},
			{"viewer", "/surface?since=2026-02-01", 200, "vpn.alpha.example", "192.0.2.70|bravo"},
			{"viewer", "/surface?constituent=bravo", 404, "not for you", "192.0.2.70"},
			{"auditor", "/surface", 404, "not for you", ""},
		})
		var all []store.Changed
		sc := r.run(vedette.Local()).sc
		for f := (store.ChangeFilter{Limit: 1}); ; {
			cs, next, err := sc.Changes(context.Background(), f)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, cs...)
			if f.After = next; next == "" {
				break
			}
		}
		if len(all) != 5 { // one place for each row of the inventory
			t.Errorf("page by page there are %d changes: %+v", len(all), all)
		}
	})
}

// TestToday: the first page of everybody, and on it nothing but his own.
func TestToday(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		r := readWorld(t, place)
		r.clock = time.Date(2026, 3, 3, 9, 0, 0, 0, time.UTC)
		r.all([]look{
			{"lead", "/", 200, "Finish 2 editions|CVE-2026-1001|Deadline over at alpha, bravo|2 overdue|href=\"/cases?due=1d\"|opened 2 cases", ""},
			{"viewer", "/", 200, "touches you|CVE-2026-1001|Your organisation|Deadline over at alpha", "bravo|editions not out|192.0.2.70"},
			{"auditor", "/", 200, "What happened|opened 2 cases", "CVE-2026-1001|alpha.example"},
			{"admin", "/", 200, "feeds late or broken|What you look after", "CVE-2026-1001|alpha.example|Deadlines"},
			{"lead", "/cases?due=1d", 200, "2 cases shown", ""},
			{"lead", "/cases?due=now&assignee=nobody", 200, "2 cases shown", ""},
			{"lead", "/cases?assignee=lead", 200, "No case matches", ""},
			{"lead", "/cases?due=soon", 422, "days ahead", ""},
		})
		ctx := context.Background()
		ps, err := r.run(lea).sc.Publications(ctx, "", 10)
		if err != nil || len(ps) != 1 {
			t.Fatalf("%+v, %v", ps, err)
		}
		r.do(&publicationApprove{ID: ps[0].ID, Series: "TA"})
		r.all([]look{{"lead", "/", 200, "Approved, and not sent to anybody|Send 2 editions", "Finish 2 editions"}})
	})
}

// TestTodayAsksNoMoreForMore: the statements of Today do not grow with what
// there is.
func TestTodayAsksNoMoreForMore(t *testing.T) {
	r := readWorld(t, t.TempDir())
	asked := func() (n int) {
		r.hook = func(op, q string) error {
			if op == "query" {
				n++
			}
			return nil
		}
		defer func() { r.hook = nil }()
		if got := visit(r.pages, http.MethodGet, "/", r.bearer["lead"]); got.Code != 200 {
			t.Fatalf("%d %s", got.Code, got.Body)
		}
		return n
	}
	asked()
	before := asked()
	var more []string
	for i := range 30 {
		id := fmt.Sprintf("CVE-2026-2%03d", i)
		r.importText(id+".json", worldCVE(id, "2026-02-02T00:00:00Z", "9.1.4"))
		more = append(more, id)
	}
	r.importText("more.json", worldKEV("2026-02-27T00:00:00Z", append(more, "CVE-2026-1001")...))
	if after := asked(); before < 10 || after > before+5 {
		t.Errorf("Today asks %d statements of one vulnerability and %d of 31", before, after)
	}
}

// TestPageOfAConstituent: one organisation at a glance, for itself as for the hub.
func TestPageOfAConstituent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		r := readWorld(t, place)
		r.clock = time.Date(2026, 3, 3, 9, 0, 0, 0, time.UTC)
		r.all([]look{
			{"lead", "/constituents/alpha", 200, "Agency Alpha|Risk is high: 1 deadline is over|CVE-2026-1001|contract A|access_gateway 9.1.2|Nobody is named|Draft|/surveys/new?constituent=alpha", "192.0.2.70"},
			{"viewer", "/constituents/alpha", 200, "Agency Alpha|Risk is high|CVE-2026-1001", "bravo|/surveys/new|Draft"},
			{"viewer", "/constituents/bravo", 404, "not for you", "Bravo"},
			{"lead", "/constituents/nosuch", 404, "not for you", ""},
			{"auditor", "/constituents/alpha", 404, "not for you", "Alpha"},
			{"lead", "/constituents?late=yes", 200, "Agency Alpha|High", ""},
		})
	})
}

// TestSearch: what is known opens at once, from whatever was pasted; what is
// forbidden is as unknown as what is not there.
func TestSearch(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		r := readWorld(t, place)
		ctx := context.Background()
		cs, _, err := r.run(lea).sc.Cases(ctx, store.CaseFilter{Constituent: "bravo"})
		if err != nil || len(cs) != 1 {
			t.Fatalf("%+v, %v", cs, err)
		}
		bravos := cs[0].ID
		for _, x := range []struct{ who, asked, to string }{
			{"lead", "CVE-2026-1001", "/cves/CVE-2026-1001"}, {"viewer", " cve-2026-1001 ", "/cves/CVE-2026-1001"}, {"lead", "CVE-2026-9999", ""},
			{"lead", "vpn.alpha.example", "/assets/vpn.alpha.example"}, {"lead", "hxxps://vpn[.]alpha[.]example/login?x=1", "/assets/vpn.alpha.example"},
			{"lead", "192.0.2.70:8443", "/assets/192.0.2.70"}, {"viewer", "192.0.2.70", ""}, {"viewer", "vpn.alpha.example", "/assets/vpn.alpha.example"},
			{"lead", bravos, "/cases/" + bravos}, {"lead", strings.ToUpper(bravos), "/cases/" + bravos}, {"viewer", bravos, ""}, {"auditor", bravos, ""},
			{"auditor", "vpn.alpha.example", ""}, {"lead", "S-0000000000", ""}, {"lead", "TA-2026-001", ""}, {"lead", "F-0000000000000000", ""},
		} {
			got := visit(r.pages, http.MethodGet, "/search?q="+url.QueryEscape(x.asked), r.bearer[x.who])
			if to := got.Header().Get("Location"); to != x.to || got.Code != map[bool]int{true: 200, false: 303}[x.to == ""] {
				t.Errorf("%s asks for %q and is sent to %q (%d), want %q", x.who, x.asked, to, got.Code, x.to)
			}
		}
		r.all([]look{
			{"lead", "/search", 200, "Paste an address", ""},
			{"lead", "/search?q=192.0.2.99", 200, "192.0.2.99 is not known|in the scope of bravo", ""},
			{"viewer", "/search?q=192.0.2.99", 200, "nobody&#39;s scope", "bravo"},
			{"viewer", "/search?q=192.0.2.70", 200, "not known", "bravo"},
			{"lead", "/search?q=code+execution", 200, "CVE-2026-1001", ""},
			{"lead", "/search?q=agency", 200, "Agency Alpha|Agency Bravo", ""},
			{"viewer", "/search?q=agency", 200, "Agency Alpha", "Bravo"},
			{"lead", "/search?q=192.0.2", 200, "192.0.2.10|192.0.2.70", ""},
			{"lead", "/search?q=%3Cscript%3Ealert(1)%3C/script%3E", 200, "&lt;script&gt;", "<script>alert"},
			{"lead", "/search?q=nothing+of+this+sort", 200, "Nothing that you may see", ""},
			{"auditor", "/search?q=agency", 200, "Nothing that you may see", "Agency"},
			{"admin", "/search?q=agency", 404, "not for you", ""},
		})
	})
}
