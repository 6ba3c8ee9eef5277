// Package api is the REST interface: the nouns of commands and pages under
// /api/v1, described by OpenAPI 3.1. table.go has every operation once; a row is
// an act of the policy, how it is called, and the function that answers.
// huma reads and checks what comes in and writes the description; routes,
// policy and errors are those of package face.
package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/policy"
	"github.com/vedette-hub/vedette/store"
)

// Keeper keeps answers, so that a call that is sent twice is done once.
type Keeper interface {
	Begin(ctx context.Context, caller []byte, key string, request []byte) (store.Answer, bool, error)
	Keep(ctx context.Context, caller []byte, key string, was store.Answer) error
	Drop(ctx context.Context, caller []byte, key string) error
}

// API is the REST interface of a hub.
type API struct {
	hub     face.Hub
	answers Keeper
	cursors cursors
	rate    *limiter
	closing <-chan struct{}
	streams *streams

	huma     huma.API
	problem  *huma.Response // how every error looks
	handlers map[*huma.Operation]func(huma.Context)
	routes   []face.Route
}

// Config is what an API needs beside the hub.
type Config struct {
	Version   string          // of the program, for the description
	Answers   Keeper          // keeps what calls with an Idempotency-Key were answered
	CursorKey []byte          // signs where lists go on
	Calls     int             // a minute for each principal; 0 is 6,000
	Closing   <-chan struct{} // closed when the hub ends: streams end with it; nil is never
}

const callsByDefault = 6000

// New makes the interface with all its operations.
func New(hub face.Hub, c Config) (*API, error) {
	if c.Calls <= 0 {
		c.Calls = callsByDefault
	}
	a := &API{hub: hub, answers: c.Answers, cursors: cursors{c.CursorKey}, rate: newLimiter(c.Calls, hub.Now), closing: c.Closing, streams: newStreams(),
		handlers: map[*huma.Operation]func(huma.Context){}}
	format := huma.Format{Marshal: write, Unmarshal: read}
	a.huma = huma.NewAPI(huma.Config{OpenAPI: description(c.Version), DefaultFormat: "application/json",
		Formats: map[string]huma.Format{"application/json": format, "json": format}, RejectUnknownQueryParameters: true,
		Transformers: []huma.Transformer{wrong}}, a)
	schemas := a.huma.OpenAPI().Components.Schemas
	schemas.RegisterTypeAlias(reflect.TypeFor[vedette.Marking](), reflect.TypeFor[string]())
	a.problem = problemOf(schemas)
	for _, o := range a.table() {
		a.add(o)
	}
	return a, a.describe()
}

// Routes are all operations, for the table of the hub.
func (a *API) Routes() []face.Route { return a.routes }

// Handle implements huma.Adapter: a route of the hub hands over to it.
func (a *API) Handle(op *huma.Operation, h func(huma.Context)) { a.handlers[op] = h }

// ServeHTTP implements huma.Adapter; requests come by the routes.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }

// operation is one row of the table.
type operation struct {
	act      policy.Act
	doc      huma.Operation
	register func(huma.API, huma.Operation)
	raw      func(*face.Request) error // answers by itself, and is described by doc alone
	maxBody  int64
	// once is false for what an answer of must not be kept: it shows a secret.
	secret bool
}

// none is the answer of an operation that has nothing to say.
type none struct{}

// op makes a row. The function gets the request as the hub knows it and what
// huma read of it; what it returns is written as JSON.
func op[I, O any](act policy.Act, method, path, id, summary string, f func(*face.Request, *I) (O, error)) operation {
	doc := huma.Operation{Method: method, Path: "/api/v1" + path, OperationID: id, Summary: summary, MaxBodyBytes: 1 << 20}
	return operation{act: act, doc: doc, register: func(api huma.API, doc huma.Operation) {
		if reflect.TypeFor[O]() == reflect.TypeFor[none]() {
			huma.Register(api, doc, func(ctx context.Context, in *I) (*struct{}, error) {
				_, err := f(callOf(ctx).Request, in)
				return &struct{}{}, callOf(ctx).note(err)
			})
			return
		}
		huma.Register(api, doc, func(ctx context.Context, in *I) (*struct{ Body O }, error) {
			out, err := f(callOf(ctx).Request, in)
			return &struct{ Body O }{out}, callOf(ctx).note(err)
		})
	}}
}

// made is an operation that makes something and says where it is: 201, or 202
// when it goes on after the answer.
func (o operation) status(code int) operation {
	o.doc.DefaultStatus = code
	return o
}

// add registers a row and makes its route.
func (a *API) add(o operation) {
	row, _ := policy.Find(o.act)
	who := "everybody"
	if row.Roles != nil {
		names := make([]string, len(row.Roles))
		for i, r := range row.Roles {
			names[i] = string(r)
		}
		who = strings.Join(names, ", ")
	}
	o.doc.Description = strings.TrimSpace(strings.TrimSuffix(o.doc.Description+"\n\nFor: "+who+". "+row.Why, " "))
	o.doc.Tags = []string{strings.Split(strings.TrimPrefix(o.doc.Path, "/api/v1/"), "/")[0]}
	if o.doc.Responses == nil {
		o.doc.Responses = map[string]*huma.Response{}
	}
	o.doc.Responses["default"] = a.problem
	if o.doc.Method == http.MethodPost {
		o.doc.Parameters = append(o.doc.Parameters, idempotencyKey)
	}
	rt := face.Route{Method: o.doc.Method, Path: o.doc.Path, Act: o.act, API: true, MaxBody: o.maxBody}
	if o.raw != nil {
		a.huma.OpenAPI().AddOperation(&o.doc)
		rt.Serve = o.raw
		a.routes = append(a.routes, rt)
		return
	}
	known := len(a.handlers)
	o.register(a.huma, o.doc)
	if len(a.handlers) != known+1 {
		panic("operation " + o.doc.OperationID + " was not registered")
	}
	for doc, h := range a.handlers {
		if doc.OperationID == o.doc.OperationID {
			rt.Serve = a.serve(o, doc, h)
		}
	}
	a.routes = append(a.routes, rt)
}

// form is how answers are written: as commands write them, but a marking is what
// a person reads, and a list without items is empty.
var form = jsonv2.JoinOptions(jsonv1.OmitEmptyWithLegacySemantics(true), jsonv2.Deterministic(true), jsonv2.WithMarshalers(jsonv2.JoinMarshalers(
	jsonv2.MarshalToFunc(func(e *jsontext.Encoder, m vedette.Marking) error { return e.WriteToken(jsontext.String(m.String())) }),
	jsonv2.MarshalToFunc(func(e *jsontext.Encoder, d time.Duration) error { return e.WriteToken(jsontext.Int(int64(d))) }))))

// write writes JSON as all answers are written.
func write(w io.Writer, v any) error {
	b, err := jsonv2.Marshal(v, form)
	if err == nil {
		_, err = w.Write(append(b, '\n'))
	}
	return err
}

// read reads a body: one JSON text, in UTF-8, no name twice (RFC 8259 §4).
func read(data []byte, v any) error {
	return jsonv2.Unmarshal(data, v, jsonv2.MatchCaseInsensitiveNames(true))
}

// describe writes the description once and adds the routes that show it.
func (a *API) describe() error {
	doc := a.huma.OpenAPI()
	delete(doc.Components.Schemas.Map(), "ErrorModel") // huma's own; ours is Details
	for _, x := range doc.Components.Schemas.Map() {
		for _, p := range x.Properties {
			p.Nullable = p.Nullable && p.Type != huma.TypeArray
		}
	}
	asJSON, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return fmt.Errorf("the description of the interface: %w", err)
	}
	asYAML, err := doc.YAML()
	if err != nil {
		return fmt.Errorf("the description of the interface: %w", err)
	}
	for path, f := range map[string]struct {
		kind string
		body []byte
	}{"/api/openapi.json": {"application/openapi+json", asJSON}, "/api/openapi.yaml": {"application/openapi+yaml", asYAML}} {
		a.routes = append(a.routes, face.Route{Method: http.MethodGet, Path: path, Act: "api description", API: true, Serve: func(r *face.Request) error {
			r.ResponseWriter.Header().Set("Content-Type", f.kind)
			return answer(r, http.StatusOK, f.body)
		}})
	}
	return nil
}
