package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// anybody is a hub whose tokens are the names of people.
type anybody struct {
	face.Hub
	people map[string]vedette.Principal
}

// Token is the person of that name.
func (h anybody) Token(_ context.Context, secret string) (vedette.Principal, error) {
	p, ok := h.people[secret]
	if !ok {
		return p, fmt.Errorf("%w: no token", vedette.ErrAuth)
	}
	return p, nil
}

// rest is a world with its REST interface, called as somebody.
type rest struct {
	*world
	h      http.Handler
	hub    *hub
	routes []face.Route
	who    string
}

var restPeople = map[string]vedette.Principal{
	"lead":    {Name: "lead", Roles: []vedette.Role{vedette.Lead, vedette.Analyst}},
	"lead2":   {Name: "lead2", Roles: []vedette.Role{vedette.Lead}},
	"analyst": {Name: "analyst", Roles: []vedette.Role{vedette.Analyst}},
	"admin":   {Name: "admin", Roles: []vedette.Role{vedette.Admin}},
	"viewer":  {Name: "viewer", Roles: []vedette.Role{vedette.Viewer}, Constituents: []string{"alpha"}},
	"manager": {Name: "manager", Roles: []vedette.Role{vedette.Manager}, Constituents: []string{"alpha"}},
}

func newRest(t *testing.T, place string, conf config.Config) *rest {
	t.Helper()
	w := newWorld(t, place)
	w.fill()
	h, err := newHub(context.Background(), w.store, config.Survey{}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	c := anybody{h.counter(conf), restPeople}
	api, err := h.rest(c, conf)
	if err != nil {
		t.Fatal(err)
	}
	s := &face.Server{Hub: c, Sessions: face.NewSessions(w.store.Sessions(), w.store, false, w.store.Now), Routes: api.Routes(), Log: h.log}
	handler, err := s.Handler()
	if err != nil {
		t.Fatal(err)
	}
	return &rest{w, handler, h, s.Routes, "lead"}
}

// as is the same as somebody else.
func (r *rest) as(who string) *rest {
	x := *r
	x.who = who
	return &x
}

// call sends a request; headers are pairs.
func (r *rest) call(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	hr := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		hr.Header.Set("Content-Type", "application/json")
	}
	if r.who != "" {
		hr.Header.Set("Authorization", "Bearer "+r.who)
	}
	for i := 0; i < len(headers); i += 2 {
		hr.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	r.h.ServeHTTP(rec, hr)
	return rec
}

// do is call with the status that is wanted; the answer is read into v.
func (r *rest) do(want int, v any, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	rec := r.call(method, path, body, headers...)
	if rec.Code != want {
		r.t.Fatalf("%s as %s %s: %d, want %d: %s", method, r.who, path, rec.Code, want, rec.Body)
	}
	if v != nil {
		if err := json.Unmarshal(rec.Body.Bytes(), v); err != nil {
			r.t.Fatalf("%s %s: %v: %s", method, path, err, rec.Body)
		}
	}
	return rec
}

// TestAPIOperations keeps the list of operations: a change of it is a change of
// what programs of others rely on.
func TestAPIOperations(t *testing.T) {
	r := newRest(t, t.TempDir(), config.Config{})
	var doc struct {
		OpenAPI string `json:"openapi"`
		Info    struct{ Title, Version string }
		Paths   map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Summary     string
			Responses   map[string]json.RawMessage
			Parameters  []struct{ Name, In string }
		}
		Components struct {
			Schemas         map[string]json.RawMessage
			SecuritySchemes map[string]json.RawMessage
		}
	}
	r.as("").do(200, &doc, "GET", "/api/openapi.json", "")
	r.as("").do(200, nil, "GET", "/api/openapi.yaml", "")
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") || doc.Info.Title == "" || doc.Info.Version == "" || len(doc.Components.SecuritySchemes) != 2 {
		t.Errorf("the document begins with %+v", doc.Info)
	}
	var lines, routes []string
	ids := map[string]bool{}
	for path, item := range doc.Paths {
		for method, op := range item {
			lines = append(lines, fmt.Sprintf("%s %s %s", strings.ToUpper(method), path, op.OperationID))
			routes = append(routes, strings.ToUpper(method)+" "+path)
			if op.Summary == "" || op.OperationID == "" || ids[op.OperationID] || len(op.Responses) < 2 {
				t.Errorf("%s %s: summary, responses and an id of its own: %+v", method, path, op)
			}
			ids[op.OperationID] = true
			for _, name := range pathNames(path) {
				if !slices.ContainsFunc(op.Parameters, func(p struct{ Name, In string }) bool { return p.Name == name && p.In == "path" }) {
					t.Errorf("%s %s: {%s} is not described", method, path, name)
				}
			}
		}
	}
	for _, ref := range refs(r.as("").call("GET", "/api/openapi.json", "").Body.String()) {
		if doc.Components.Schemas[ref] == nil {
			t.Errorf("the schema %s is not there", ref)
		}
	}
	for _, rt := range r.routes {
		if !slices.Contains(routes, rt.Method+" "+rt.Path) && !strings.HasPrefix(rt.Path, "/api/openapi.") {
			t.Errorf("%s %s is not described", rt.Method, rt.Path)
		}
	}
	slices.Sort(lines)
	golden(t, filepath.Join("testdata", "operations.txt"), strings.Join(lines, "\n")+"\n")
}

func pathNames(path string) (out []string) {
	for _, part := range strings.Split(path, "/") {
		if n, ok := strings.CutPrefix(part, "{"); ok {
			out = append(out, strings.TrimSuffix(n, "}"))
		}
	}
	return out
}

// refs are the schemas that a document refers to.
func refs(doc string) (out []string) {
	for _, part := range strings.Split(doc, `"#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		out = append(out, name)
	}
	return out
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != got {
		t.Errorf("%s differs (%v):\n%s", file, err, diffOf(string(want), got))
	}
}

func TestAPIReads(t *testing.T) {
	r := newRest(t, t.TempDir(), config.Config{})
	for _, path := range []string{"constituents", "assets", "findings", "cases", "decisions", "cves", "sources", "publications", "surveys", "feeds", "jobs", "events", "users", "tokens", "search?q=gateway", "surveys/diff?since=2026-01-01T00:00:00Z",
		"constituents/alpha", "assets/vpn.alpha.example", "cves/CVE-2026-1001", "feeds/cisa-kev"} {
		var v map[string]any
		rec := r.do(200, &v, "GET", "/api/v1/"+path, "")
		t.Logf("%s %.300s", path, rec.Body)
		if rec.Header().Get("ETag") == "" || rec.Header().Get("RateLimit") == "" || rec.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: headers %v", path, rec.Header())
		}
		r.do(304, nil, "GET", "/api/v1/"+path, "", "If-None-Match", rec.Header().Get("ETag"))
	}
}

// pages walks a list from page to page and gives the ids it met.
func (r *rest) pages(path, key string, limit int) (ids []string) {
	r.t.Helper()
	sep := map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")]
	next := fmt.Sprintf("%s%slimit=%d", path, sep, limit)
	for n := 0; next != ""; n++ {
		var p struct {
			Items []map[string]any
			Next  string
		}
		rec := r.do(200, &p, "GET", next, "")
		if len(p.Items) > limit {
			r.t.Errorf("%s: %d items, more than %d", next, len(p.Items), limit)
		}
		for _, x := range p.Items {
			ids = append(ids, fmt.Sprint(x[key]))
		}
		next = ""
		if link := rec.Header().Get("Link"); (link != "") != (p.Next != "") {
			r.t.Errorf("%s: Link %q and next %q", path, link, p.Next)
		} else if link != "" {
			next = strings.TrimSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
		}
		if n > 500 {
			r.t.Fatalf("%s does not end", path)
		}
	}
	return ids
}

// TestAPIPages: a list in pages of any size is the list as a whole, each row once.
func TestAPIPages(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		r := newRest(t, place, config.Config{})
		for i := range 7 {
			r.importText(fmt.Sprintf("cve%d.json", i), worldCVE(fmt.Sprintf("CVE-2026-2%03d", i), "2026-02-02T00:00:00Z", "9.1.4"))
		}
		for path, key := range map[string]string{"/api/v1/constituents": "id", "/api/v1/assets": "id", "/api/v1/findings": "id", "/api/v1/cases?closed=true": "id", "/api/v1/cves": "id", "/api/v1/events": "id", "/api/v1/feeds": "name", "/api/v1/sources": "name"} {
			for _, who := range []string{"lead", "viewer"} {
				if who == "viewer" && slices.Contains([]string{"/api/v1/feeds", "/api/v1/sources"}, path) {
					continue
				}
				x := r.as(who)
				whole := x.pages(path, key, 1000)
				if who == "lead" && len(whole) < 2 {
					t.Errorf("%s: only %v", path, whole)
				}
				for _, limit := range []int{1, 2, 3} {
					if got := x.pages(path, key, limit); !slices.Equal(got, whole) {
						t.Errorf("%s as %s by %d: %v, as a whole %v", path, who, limit, got, whole)
					}
				}
			}
		}
	})
}

// TestAPIRefuses: what is wrong with a request is said with its place.
func TestAPIRefuses(t *testing.T) {
	r := newRest(t, t.TempDir(), config.Config{})
	var first struct{ Next string }
	r.do(200, &first, "GET", "/api/v1/findings?limit=1", "")
	var c struct{ Items []struct{ ID string } }
	r.do(200, &c, "GET", "/api/v1/cases", "")
	id := c.Items[0].ID
	for _, x := range []struct {
		who, method, path, body string
		status                  int
		pointer, parameter      string
	}{
		{"lead", "GET", "/api/v1/findings?limit=0", "", 422, "", "limit"},
		{"lead", "GET", "/api/v1/findings?limit=1001", "", 422, "", "limit"},
		{"lead", "GET", "/api/v1/findings?limit=x", "", 422, "", "limit"},
		{"lead", "GET", "/api/v1/findings?cursor=AAAA", "", 422, "", "cursor"},
		{"lead", "GET", "/api/v1/assets?cursor=" + first.Next, "", 422, "", "cursor"},
		{"lead", "GET", "/api/v1/findings?weakness=CVE-2026-1001&cursor=" + first.Next, "", 422, "", "cursor"},
		{"viewer", "GET", "/api/v1/findings?cursor=" + first.Next, "", 422, "", "cursor"},
		{"lead", "GET", "/api/v1/findings?verdict=sure", "", 422, "", "verdict"},
		{"lead", "GET", "/api/v1/findings?nosuch=1", "", 422, "", "nosuch"},
		{"lead", "GET", "/api/v1/search", "", 422, "", "q"},
		{"lead", "POST", "/api/v1/decisions", `{"kind":"sure","weakness":"CVE-2026-1001","reason":"r"}`, 422, "#/kind", ""},
		{"lead", "POST", "/api/v1/decisions", `{"kind":"false positive","weakness":"CVE-2026-1001","reason":"r","until":"2020-01-01"}`, 422, "#/until", ""},
		{"lead", "POST", "/api/v1/decisions", `{"kind":"false positive","weakness":"CVE-2026-1001"}`, 422, "#", ""},
		{"lead", "POST", "/api/v1/decisions", `{"kind":"false positive","weakness":"CVE-2026-1001","reason":"r","evil":1}`, 422, "#/evil", ""},
		{"lead", "POST", "/api/v1/decisions", `{"kind":"false positive","weakness":"a","weakness":"b","reason":"r"}`, 400, "#", ""},
		{"lead", "POST", "/api/v1/decisions", `{`, 400, "#", ""},
		{"lead", "POST", "/api/v1/cases/bulk", `{"ids":["` + id + `",7],"state":"triaged"}`, 422, "#/ids/1", ""},
		{"lead", "PATCH", "/api/v1/cases/" + id, `{"state":"gone"}`, 422, "#/state", ""},
		{"lead", "PATCH", "/api/v1/cases/" + id, `{}`, 422, "#", ""},
		{"lead", "POST", "/api/v1/surveys", `{"constituent":"alpha"}`, 422, "#/yes", ""},
		{"lead", "POST", "/api/v1/import?marking=PINK", "x", 422, "", "marking"},
		{"lead", "GET", "/api/v1/cases/C-000000000000", "", 404, "", ""},
		{"viewer", "GET", "/api/v1/users", "", 404, "", ""},
		{"viewer", "GET", "/api/v1/constituents/bravo", "", 404, "", ""},
		{"lead", "GET", "/api/v1/nosuch", "", 404, "", ""},
		{"nobody", "GET", "/api/v1/cases", "", 401, "", ""},
		{"", "GET", "/api/v1/cases", "", 401, "", ""},
		{"lead", "GET", "/events", "", 406, "", "Accept"},
	} {
		var p face.Details
		rec := r.as(x.who).do(x.status, &p, x.method, x.path, x.body)
		if rec.Header().Get("Content-Type") != "application/problem+json" || p.Status != x.status || p.Title == "" || p.Instance != "urn:vedette:request:"+rec.Header().Get("Request-Id") {
			t.Errorf("%s %s: %v %+v", x.method, x.path, rec.Header(), p)
		}
		if x.pointer+x.parameter == "" {
			continue
		}
		if len(p.Errors) == 0 || !slices.ContainsFunc(p.Errors, func(f face.Field) bool { return f.Pointer == x.pointer && f.Parameter == x.parameter }) {
			t.Errorf("%s %s %s: %+v, want %q %q", x.method, x.path, x.body, p.Errors, x.pointer, x.parameter)
		}
	}
}

// TestAPIConditions: a write of what was changed since is refused, a merge patch
// empties with null, and an undo takes it back.
func TestAPIConditions(t *testing.T) {
	r := newRest(t, t.TempDir(), config.Config{})
	var c struct{ Items []struct{ ID string } }
	r.do(200, &c, "GET", "/api/v1/cases?constituent=alpha", "")
	path := "/api/v1/cases/" + c.Items[0].ID
	tag := r.do(200, nil, "GET", path, "").Header().Get("ETag")
	var got struct{ State, Assignee, Note string }
	patch := func(want int, body string, headers ...string) {
		t.Helper()
		got = struct{ State, Assignee, Note string }{}
		r.do(want, &got, "PATCH", path, body, append(headers, "Content-Type", "application/merge-patch+json")...)
	}
	patch(200, `{"state":"triaged","assignee":"lead","note":"looked"}`, "If-Match", tag)
	if got.State != "triaged" || got.Assignee != "lead" {
		t.Errorf("changed to %+v", got)
	}
	patch(412, `{"note":"other"}`, "If-Match", tag)
	patch(200, `{"assignee":null}`)
	if got.Assignee != "" || got.Note != "looked" {
		t.Errorf("changed to %+v", got)
	}
	var out struct {
		Items []struct{ ID, Status, Why string }
		Done  int
		Undo  int64
	}
	r.do(200, &out, "POST", "/api/v1/cases/bulk", `{"ids":["`+c.Items[0].ID+`","C-000000000000"],"state":"acknowledged"}`)
	if out.Done != 1 || len(out.Items) != 2 || out.Items[0].Status != "ok" || out.Items[1].Status != "refused" || out.Items[1].Why == "" {
		t.Errorf("many: %+v", out)
	}
	r.do(200, nil, "POST", "/api/v1/cases/undo", fmt.Sprintf(`{"event":%d}`, out.Undo))
	if r.do(200, &got, "GET", path, ""); got.State != "triaged" {
		t.Errorf("undone to %+v", got)
	}
}

// TestAPIOnce: a call that is sent twice under a key is done once, on both engines.
func TestAPIOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		r := newRest(t, place, config.Config{})
		body := `{"kind":"false positive","weakness":"CVE-2026-1001","constituent":"alpha","reason":"the banner lies"}`
		send := func(x *rest, want int, key, body string) *httptest.ResponseRecorder {
			t.Helper()
			return x.do(want, nil, "POST", "/api/v1/decisions", body, "Idempotency-Key", key)
		}
		count := func() int { return len(r.pages("/api/v1/decisions", "id", 100)) }
		one, two := send(r, 201, "k1", body), send(r, 201, "k1", body)
		if one.Body.String() != two.Body.String() || one.Header().Get("Location") == "" || one.Header().Get("Location") != two.Header().Get("Location") || count() != 1 {
			t.Errorf("twice: %s and %s", one.Body, two.Body)
		}
		r.do(200, nil, "GET", one.Header().Get("Location"), "")
		send(r, 422, "k1", strings.Replace(body, "lies", "errs", 1))
		send(r, 422, "k2", `{"kind":"sure"}`) // changes nothing, and leaves the key free
		send(r, 201, "k2", body)
		send(r.as("analyst"), 201, "k1", body) // another's key is his own
		if n := count(); n != 3 {
			t.Errorf("%d decisions", n)
		}
		r.later.Add(int64(25 * time.Hour))
		send(r, 201, "k1", body)
		if n := count(); n != 4 {
			t.Errorf("%d decisions after a day", n)
		}
		token := `{"name":"bot","role":"api","user":"local"}`
		secret := r.as("admin").do(201, nil, "POST", "/api/v1/tokens", token, "Idempotency-Key", "t1")
		if !strings.Contains(secret.Body.String(), store.TokenPrefix) {
			t.Errorf("no secret: %s", secret.Body)
		}
		r.as("admin").do(409, nil, "POST", "/api/v1/tokens", token, "Idempotency-Key", "t1")
		r.unfinished()
	})
}

// unfinished: a call that was cut off keeps its key, and is not done again.
func (r *rest) unfinished() {
	t := r.t
	t.Helper()
	ctx, a := context.Background(), r.store.Answers()
	if _, done, err := a.Begin(ctx, []byte("c"), "k", []byte("r")); done || err != nil {
		t.Fatal(done, err)
	}
	if _, _, err := a.Begin(ctx, []byte("c"), "k", []byte("r")); !errors.Is(err, vedette.ErrConflict) {
		t.Errorf("a call that still runs: %v", err)
	}
	if err := a.Drop(ctx, []byte("c"), "k"); err != nil {
		t.Fatal(err)
	}
	if _, done, err := a.Begin(ctx, []byte("c"), "k", []byte("r")); done || err != nil {
		t.Errorf("a call that changed nothing: %v %v", done, err)
	}
}

func TestAPIRate(t *testing.T) {
	r := newRest(t, t.TempDir(), config.Config{API: config.API{Calls: 60}})
	for range 60 {
		r.do(200, nil, "GET", "/api/v1/decisions", "")
	}
	rec := r.do(429, nil, "GET", "/api/v1/decisions", "")
	if rec.Header().Get("Retry-After") != "1" || rec.Header().Get("RateLimit") == "" {
		t.Errorf("headers %v", rec.Header())
	}
	r.as("viewer").do(200, nil, "GET", "/api/v1/decisions", "")
	r.later.Add(int64(2 * time.Second))
	r.do(200, nil, "GET", "/api/v1/decisions", "")
}

func TestAPIImport(t *testing.T) {
	r := newRest(t, t.TempDir(), config.Config{})
	var out struct{ Items []face.Imported }
	doc := worldCVE("CVE-2026-3001", "2026-02-02T00:00:00Z", "9.1.4")
	r.do(200, &out, "POST", "/api/v1/import?name=new.json", doc, "Idempotency-Key", "i1")
	if len(out.Items) != 1 || out.Items[0].New == 0 || out.Items[0].File != "new.json" || out.Items[0].Format != "cve" {
		t.Errorf("imported %+v", out)
	}
	r.do(422, nil, "POST", "/api/v1/import?name=new.json", doc+"\n", "Idempotency-Key", "i1")
	r.do(200, &out, "POST", "/api/v1/import?name=new.json", doc)
	if !out.Items[0].Known {
		t.Errorf("again %+v", out)
	}
	r.do(200, nil, "GET", "/api/v1/cves/CVE-2026-3001", "")
	r.do(200, &out, "POST", "/api/v1/import", "\x00\x01 nothing we know")
	if len(out.Items) != 1 || len(out.Items[0].Refused) != 1 {
		t.Errorf("rubbish %+v", out)
	}
	r.as("viewer").do(404, nil, "POST", "/api/v1/import", doc)
}

func TestAPIPublications(t *testing.T) {
	r := newRest(t, t.TempDir(), config.Config{})
	var ps struct{ Items []struct{ ID string } }
	r.do(200, &ps, "GET", "/api/v1/publications", "")
	path := "/api/v1/publications/" + ps.Items[0].ID
	for form, head := range map[string]string{"md": "", "html": "<", "json": "{", "pdf": "%PDF"} {
		rec := r.do(200, nil, "GET", path+"/editions/alpha?form="+form, "")
		if !strings.HasPrefix(rec.Body.String(), head) || rec.Body.Len() == 0 || rec.Header().Get("ETag") == "" || rec.Header().Get("Content-Type") == "" {
			t.Errorf("%s: %v %.80s", form, rec.Header(), rec.Body)
		}
	}
	r.do(200, nil, "GET", path+"/lint", "")
	tag := r.do(200, nil, "GET", path, "").Header().Get("ETag")
	r.do(412, nil, "POST", path+"/approve", "", "If-Match", `"other"`)
	r.do(200, nil, "POST", path+"/approve", "", "If-Match", tag)
	r.do(412, nil, "POST", path+"/publish", "", "If-Match", tag)
	rec := r.do(202, nil, "POST", path+"/publish", "")
	r.do(200, nil, "GET", rec.Header().Get("Location"), "")
	r.do(422, nil, "POST", path+"/withdraw", `{}`)
	r.do(200, nil, "POST", path+"/withdraw", `{"reason":"wrong product"}`)
	r.do(201, nil, "POST", "/api/v1/publications", `{"cve":"CVE-2026-1001"}`)
}

// TestAPIStream: events come as they are written, behind the one that was last
// received, and the stream ends with the rights to read it and with the hub.
func TestAPIStream(t *testing.T) {
	r := newRest(t, t.TempDir(), config.Config{})
	open := func(who, last string) (*bufio.Reader, func()) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		pr, pw := io.Pipe()
		hr := httptest.NewRequestWithContext(ctx, "GET", "/events", nil)
		hr.Header.Set("Accept", "text/event-stream")
		hr.Header.Set("Authorization", "Bearer "+who)
		if last != "" {
			hr.Header.Set("Last-Event-ID", last)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.h.ServeHTTP(&piped{header: http.Header{}, w: pw}, hr)
			pw.Close()
		}()
		return bufio.NewReader(pr), func() { cancel(); pr.Close(); <-done }
	}
	next := func(b *bufio.Reader, prefix string) string {
		t.Helper()
		for {
			line, err := b.ReadString('\n')
			if err != nil {
				t.Fatalf("waiting for %s: %v", prefix, err)
			}
			if strings.HasPrefix(line, prefix) {
				return strings.TrimSpace(strings.TrimPrefix(line, prefix))
			}
		}
	}
	b, stop := open("lead", "0")
	if id := next(b, "id: "); id != "1" {
		t.Errorf("the first event is %s", id)
	}
	stop()
	b, stop = open("lead", "")
	next(b, "retry: ")
	r.do(201, nil, "POST", "/api/v1/decisions", `{"kind":"false positive","weakness":"CVE-2026-1001","reason":"r"}`)
	if verb := next(b, "event: "); verb != "case-decide" {
		t.Errorf("the next event is %s", verb)
	}
	var e vedette.Event
	if err := json.Unmarshal([]byte(next(b, "data: ")), &e); err != nil || e.Principal != "lead" {
		t.Errorf("%+v %v", e, err)
	}
	close(r.hub.quit)
	if _, err := io.ReadAll(b); err != nil {
		t.Error(err)
	}
	stop()
	rec := r.call("GET", "/events", "", "Accept", "text/event-stream", "Last-Event-ID", "x")
	if rec.Code != 422 {
		t.Errorf("a bad id: %d", rec.Code)
	}
}

// piped is a response writer whose body is read while it is written.
type piped struct {
	header http.Header
	w      io.Writer
}

// Header implements http.ResponseWriter.
func (p *piped) Header() http.Header { return p.header }

// WriteHeader implements http.ResponseWriter.
func (p *piped) WriteHeader(int) {}

// Write implements http.ResponseWriter.
func (p *piped) Write(b []byte) (int, error) { return p.w.Write(b) }

// Flush implements http.Flusher.
func (p *piped) Flush() {}

// TestAPIDocument: the examples of the document call operations that there are.
func TestAPIDocument(t *testing.T) {
	r := newRest(t, t.TempDir(), config.Config{})
	mux := http.NewServeMux()
	for _, rt := range r.routes {
		mux.Handle(rt.Method+" "+rt.Path, http.NotFoundHandler())
	}
	text, err := os.ReadFile(filepath.Join("..", "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		_, path, ok := strings.Cut(line, "$B")
		if !ok || !strings.HasPrefix(line, "curl ") {
			continue
		}
		method := "GET"
		if strings.Contains(line, " -d ") || strings.Contains(line, "--data-binary") {
			method = "POST"
		}
		if strings.Contains(line, "-X PATCH") {
			method = "PATCH"
		}
		if _, pattern := mux.Handler(httptest.NewRequest(method, strings.Trim(path, `"`), nil)); pattern == "" {
			t.Errorf("no operation answers %s", line)
		}
		found++
	}
	if found < 8 {
		t.Errorf("only %d examples", found)
	}
}
