package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/policy"
	"github.com/vedette-hub/vedette/store/storetest"
)

// walkHub lets a walk be anybody: the token is the name of a person of the walls.
type walkHub struct{ face.Hub }

// Token is the person of that name.
func (walkHub) Token(_ context.Context, secret string) (vedette.Principal, error) {
	p, ok := wallsPeople[secret]
	if !ok {
		return p, fmt.Errorf("%w: %s", vedette.ErrAuth, secret)
	}
	return p, nil
}

// walk is the server of a world with its table of routes.
type walk struct {
	*world
	routes []face.Route
	h      http.Handler
	x      targets
}

func newWalk(t *testing.T, place string) *walk {
	t.Helper()
	w := wallsWorld(t, place, true)
	w.share()
	h, err := newHub(context.Background(), w.store, config.Survey{}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.server(walkHub{h.counter(config.Config{})}, config.Config{API: config.API{Calls: 1 << 30}})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := s.Handler()
	if err != nil {
		t.Fatal(err)
	}
	return &walk{w, s.Routes, handler, w.targets()}
}

// ask sends one request as somebody; "" is nobody.
func (w *walk) ask(who, method, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if who != "" {
		r.Header.Set("Authorization", "Bearer "+who)
	}
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	return rec
}

var wildcard = regexp.MustCompile(`\{(\w+)(\.\.\.)?\}`)

// paths fills a route's wildcards with what others hold, what is one's own, and
// what does not exist. What a wildcard is, follows from the word before it.
func (w *walk) paths(pattern string) (out []string) {
	m := wildcard.FindStringSubmatchIndex(pattern)
	if m == nil {
		return []string{pattern}
	}
	before, name := pattern[:m[0]], pattern[m[2]:m[3]]
	values := []string{"nosuch", "1"}
	switch noun := pathNoun(before); {
	case noun == "findings":
		values = append(slices.Clone(w.x.findings[:min(4, len(w.x.findings))]), append(w.x.mine[:1:1], "F-0000000000000001", "F-x")...)
	case noun == "cases":
		values = append(slices.Clone(w.x.cases), append(w.x.ours, "C-000000000000")...)
	case noun == "publications":
		values = append(slices.Clone(w.x.publications), "P-0000000000")
	case noun == "surveys":
		values = append(slices.Clone(w.x.surveys), "S-0000000000")
	case noun == "assets":
		values = append(slices.Clone(w.x.assets), "vpn.alpha.example", "nosuch.example")
	case noun == "constituents" || noun == "editions" || name == "constituent":
		values = []string{"alpha", "canaryb", "nosuch"}
	case noun == "cves":
		values = []string{"CVE-2026-1001", "CVE-2026-1002", "CVE-2026-6666", "CVE-2026-9999", "GHSA-2222-3333-4444"}
	case noun == "users":
		values = []string{"canaryb.user", "nosuch"}
	case noun == "tokens":
		values = []string{"canaryb.token", "nosuch"}
	case noun == "feeds":
		values = []string{"cisa-kev", "nosuch"}
	}
	for _, v := range values {
		out = append(out, w.paths(before+url.PathEscape(v)+pattern[m[1]:])...)
	}
	return out
}

// pathNoun is the last word of a path before a wildcard.
func pathNoun(before string) string {
	parts := strings.Split(strings.Trim(before, "/"), "/")
	return parts[len(parts)-1]
}

// queries narrow, export and search in the address.
func (w *walk) queries() []string {
	return []string{"", "?as=csv", "?as=json", "?limit=1", "?constituent=canaryb", "?constituent=canaryb&as=jsonl", "?weakness=CVE-2026-6666", "?asset=www.canaryb.example", "?q=canaryb", "?q=canaryred+actor&as=csv", "?q=CVE-2026-6666", "?since=2026-01-01",
		"?form=json", "?after=F-0000000000000001", "?nosuch=1", "?as=nosuch", "?version=1&form=pdf", "?for=canaryb", "?for=alpha"}
}

// TestWallsOfTheRoutes asks for every path of every route as everybody, also
// with filters that name what others hold: nobody reads a canary, what is not
// for somebody is as absent as what does not exist, and GET changes nothing.
func TestWallsOfTheRoutes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWalk(t, place)
		before := w.hashes()
		asked := 0
		for _, who := range append([]string{""}, walkers(place)...) {
			nothing := w.ask(who, http.MethodGet, "/nosuch", nil)
			noAPI := w.ask(who, http.MethodGet, "/api/nosuch", nil)
			for _, rt := range w.routes {
				row, _ := policy.Find(rt.Act)
				may := policy.May(wallsPeople[who], rt.Act) && (who != "" || row.Roles == nil)
				for _, path := range w.paths(rt.Path) {
					if rt.Method != http.MethodGet {
						if !may {
							w.absent(t, who, rt, path, nothing, noAPI)
						}
						continue
					}
					for _, q := range w.queries() {
						got := w.ask(who, rt.Method, path+q, nil)
						asked++
						if !may {
							w.same(t, who, rt, path+q, got, nothing, noAPI)
							break
						}
						if got.Code >= 500 {
							t.Errorf("%s GET %s%s: %d %s", who, path, q, got.Code, got.Body)
						}
						w.silent(t, who, rt, path+q, got)
					}
				}
			}
		}
		if asked < 500 {
			t.Errorf("only %d requests", asked)
		}
		t.Logf("%d requests of %d routes", asked, len(w.routes))
		sameHashes(t, w.hashes(), before, "after reading")
	})
}

// absent: an act that is not for somebody is answered like what does not exist.
func (w *walk) absent(t *testing.T, who string, rt face.Route, path string, nothing, noAPI *httptest.ResponseRecorder) {
	t.Helper()
	got := w.ask(who, rt.Method, path, url.Values{"id": w.x.findings[:1], "constituent": {"canaryb"}, "reason": {"r"}})
	if who == "" && got.Code == http.StatusUnauthorized {
		return
	}
	w.same(t, who, rt, path, got, nothing, noAPI)
}

var volatile = regexp.MustCompile(`[0-9a-f]{16}|\d\d:\d\d:\d\dZ|next=[^"&]*|/nosuch\b`)

func (w *walk) same(t *testing.T, who string, rt face.Route, path string, got, nothing, noAPI *httptest.ResponseRecorder) {
	t.Helper()
	want := nothing
	if rt.API {
		want = noAPI
	}
	plainText := func(r *httptest.ResponseRecorder) string {
		return volatile.ReplaceAllString(strings.ReplaceAll(r.Body.String(), path, "/nosuch"), "")
	}
	if who == "" && got.Code == http.StatusSeeOther && want.Code == http.StatusSeeOther {
		return
	}
	if got.Code != want.Code || plainText(got) != plainText(want) {
		t.Errorf("%s, who may not %q, at %s %s: %d %.300s\nabsent: %d %.300s", who, rt.Act, rt.Method, path, got.Code, got.Body, want.Code, want.Body)
	}
}

// silent: no answer holds a canary, not in its text, not in its headers. What
// somebody asked for may come back as an echo.
func (w *walk) silent(t *testing.T, who string, rt face.Route, path string, got *httptest.ResponseRecorder) {
	t.Helper()
	if (slices.Contains([]policy.Act{"user list", "token list", "audit list", "source list", "audit verify"}, rt.Act) && slices.Contains([]string{"auditor", "admin", "lead"}, who)) || (rt.Act == "source list" && who == "responder") {
		return // names of people, tokens and sources, by the policy
	}
	text := strings.ToLower(got.Body.String() + fmt.Sprint(got.Header()))
	if id := got.Header().Get("Request-Id"); id != "" { // by chance it has the digits of a port
		text = strings.ReplaceAll(text, id, "request")
	}
	u, err := url.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	echoes := []string{u.RequestURI(), u.RawQuery, u.Path, u.EscapedPath()}
	for _, vs := range u.Query() {
		echoes = append(echoes, vs...)
	}
	for _, seg := range strings.Split(u.Path, "/") {
		if seg != "" {
			echoes = append(echoes, seg)
		}
	}
	for _, e := range echoes {
		if len(e) > 3 {
			e = strings.ToLower(e)
			text = strings.ReplaceAll(strings.ReplaceAll(text, e, "arg"), strings.ReplaceAll(url.QueryEscape(e), "%2F", "/"), "arg")
			text = strings.ReplaceAll(text, strings.ToLower(url.QueryEscape(e)), "arg")
			text = strings.ReplaceAll(text, strings.ReplaceAll(e, "&", "&amp;"), "arg")
		}
	}
	for _, c := range mustNot(who) {
		if i := strings.Index(text, c); i >= 0 {
			t.Errorf("%s reads %q at %s: ...%s...", who, c, path, text[max(0, i-120):min(len(text), i+80)])
		}
	}
}

// TestWallsAgainstForms: whatever Alpha's people press about Bravo's rows is
// refused as if they were not there, and Bravo's people see no change.
func TestWallsAgainstForms(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWalk(t, place)
		before, hub := w.viewOf("manager B"), w.viewOf("analyst of B")
		cases := func() string {
			out, _, _ := w.call(wallsPeople["manager B"], "case list", "--closed --covered", "json")
			return out
		}
		theirs := cases()
		form := url.Values{"constituent": {"canaryb"}, "state": {"closed"}, "reason": {"r"}, "assignee": {"max"}, "note": {"n"}, "event": {"1"}, "kind": {"risk accepted"}, "until": {"2030-01-01"}, "name": {"evil"}, "roles": {"lead"}, "class": {"active"}, "next": {"/"}}
		form["id"] = slices.Concat(w.x.cases, w.x.findings, w.x.surveys)
		posted := 0
		for _, who := range []string{"viewer A", "manager A", "analyst, narrowed", "lead, narrowed", "assessor A", "partner bound"} {
			for _, rt := range w.routes {
				if rt.Method == http.MethodGet || !policy.May(wallsPeople[who], rt.Act) || slices.Contains([]policy.Act{"sign in", "page assets", "link", "account", "demo page"}, rt.Act) {
					continue
				}
				for _, path := range w.paths(rt.Path) {
					if strings.Contains(path, "alpha") || slices.ContainsFunc(slices.Concat(w.x.ours, w.x.mine), func(id string) bool { return strings.Contains(path, id) }) {
						continue // one's own
					}
					got := w.ask(who, rt.Method, path, form)
					posted++
					if got.Code >= 500 {
						t.Errorf("%s %s %s: %d %s", who, rt.Method, path, got.Code, got.Body)
					}
					w.silent(t, who, rt, path+"?"+form.Encode(), got)
				}
			}
		}
		t.Logf("%d forms", posted)
		if posted == 0 {
			t.Error("no form was sent")
		}
		sameView(t, "manager B", before, w.viewOf("manager B"))
		sameView(t, "analyst of B", hub, w.viewOf("analyst of B"))
		if got := cases(); got != theirs {
			t.Errorf("Bravo's cases changed:\n%s", diffOf(theirs, got))
		}
	})
}
