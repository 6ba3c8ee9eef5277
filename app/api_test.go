package app

import (
	"context"
	"encoding/json"
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

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/face"
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
