package face

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/policy"
)

// Route is one thing that the hub answers over HTTP. The table of all routes is
// the source of the mux, of the policy's check and of the walker's test.
type Route struct {
	Method string     // GET, which answers HEAD too, or POST, PUT, PATCH, DELETE
	Path   string     // a pattern of http.ServeMux
	Act    policy.Act // its row in the policy; a row without roles answers everybody
	// Serve answers. An error becomes an answer of the face, with the kind's status.
	Serve func(*Request) error
	// API routes answer errors as RFC 9457 problems and know no sign-in page.
	API bool
	// MaxBody is the most that a request may carry, in bytes; 0 is what a form may.
	MaxBody int64
}

// Request is one request of a known principal.
type Request struct {
	http.ResponseWriter
	*http.Request
	ID string // names the request in answers and in the log
	P  vedette.Principal
	// Desk is where the principal works; nil for those who are not signed in.
	Desk    Desk
	Session *Sessions
	// Again finds out anew who asks, for answers that go on.
	Again func() (vedette.Principal, error)
}

// Context is that of the HTTP request.
func (r *Request) Context() context.Context { return r.Request.Context() }

// Go sends the browser elsewhere after a POST (RFC 9110 §15.4.4).
func (r *Request) Go(to string) error {
	http.Redirect(r.ResponseWriter, r.Request, to, http.StatusSeeOther)
	return nil
}

// Server answers the routes.
type Server struct {
	Hub      Hub
	Sessions *Sessions
	Routes   []Route
	Log      *slog.Logger
	// Fail answers with an error of a page; problems of the API are the server's own.
	Fail func(r *Request, status int, err error)
}

// Handler checks the table and builds the mux.
func (s *Server) Handler() (http.Handler, error) {
	mux := http.NewServeMux()
	for _, rt := range s.Routes {
		row, ok := policy.Find(rt.Act)
		if !ok {
			return nil, fmt.Errorf("the route %s %s has no row %q in the policy", rt.Method, rt.Path, rt.Act)
		}
		mux.Handle(rt.Method+" "+rt.Path, s.answer(rt, row.Roles == nil))
	}
	mux.Handle("/", http.HandlerFunc(s.absent))
	h := http.NewCrossOriginProtection().Handler(mux)
	return s.outermost(s.Sessions.scs.LoadAndSave(h)), nil
}

// policyOfPages: nothing runs or loads but our own files, nothing frames a page,
// no form goes elsewhere. Reports tell us of injections that the escaping missed.
const policyOfPages = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; report-uri /csp"

// maxBody is the most that a form or a call may carry.
const maxBody = 8 << 20

// outermost gives every answer the same headers.
func (s *Server) outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policyOfPages)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
		next.ServeHTTP(w, r)
	})
}

// answer finds out who asks, asks the policy, and lets the route answer.
func (s *Server) answer(rt Route, open bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
		r := &Request{ResponseWriter: w, Request: hr, ID: requestID(), Session: s.Sessions}
		w.Header().Set("Request-Id", r.ID)
		hr.Body = http.MaxBytesReader(w, hr.Body, cmp.Or(rt.MaxBody, maxBody))
		known, err := s.identify(r)
		if err == nil && known {
			r.Desk, err = s.Hub.Desk(r.Context(), r.P)
		}
		r.Again = func() (vedette.Principal, error) { return s.again(hr) }
		switch {
		case err != nil:
		case !known && !open:
			err = fmt.Errorf("%w: sign in, or send a token", vedette.ErrAuth)
		case !policy.May(r.P, rt.Act):
			err = vedette.NotFound("nothing here") // as absent as what does not exist
		default:
			err = caught(rt.Serve, r)
		}
		if err != nil {
			s.fail(r, rt, err)
		}
	})
}

// caught makes an error of a panic: one page that breaks takes no other with it.
func caught(serve func(*Request) error, r *Request) (err error) {
	defer func() {
		x := recover()
		if x == http.ErrAbortHandler {
			panic(x)
		}
		if x != nil {
			err = fmt.Errorf("panic: %v\n%s", x, debug.Stack())
		}
	}()
	return serve(r)
}

// absent answers what no route knows, in the same words as what is forbidden.
func (s *Server) absent(w http.ResponseWriter, hr *http.Request) {
	r := &Request{ResponseWriter: w, Request: hr, ID: requestID(), Session: s.Sessions}
	w.Header().Set("Request-Id", r.ID)
	known, err := s.identify(r)
	api := strings.HasPrefix(hr.URL.Path, "/api/")
	if err == nil && !known {
		err = fmt.Errorf("%w: sign in, or send a token", vedette.ErrAuth)
	}
	if err == nil {
		r.Desk, err = s.Hub.Desk(r.Context(), r.P)
	}
	if err == nil {
		err = vedette.NotFound("nothing here")
	}
	s.fail(r, Route{API: api}, err)
}

// identify finds the principal: of the token in the header, else of the session.
// A wrong token is an error even where a session would do.
func (s *Server) identify(r *Request) (known bool, err error) {
	if h := r.Request.Header.Get("Authorization"); h != "" {
		secret, ok := strings.CutPrefix(h, "Bearer ")
		if !ok {
			return false, fmt.Errorf("%w: Authorization: Bearer TOKEN", vedette.ErrAuth)
		}
		r.P, err = s.Hub.Token(r.Context(), strings.TrimSpace(secret))
		return err == nil, err
	}
	r.P, known, err = s.Sessions.principal(r.Context())
	return known, err
}

// again is who asks, as he is now; ErrAuth when he is not let in any more.
func (s *Server) again(hr *http.Request) (vedette.Principal, error) {
	r := &Request{Request: hr}
	known, err := s.identify(r)
	if err == nil && !known {
		err = fmt.Errorf("%w: the session has ended", vedette.ErrAuth)
	}
	return r.P, err
}

// Status is the HTTP status of an error's kind.
func Status(err error) int {
	if w, ok := errors.AsType[*Wrong](err); ok {
		return w.Status
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	for _, c := range []struct {
		kind   error
		status int
	}{{vedette.ErrAuth, http.StatusUnauthorized}, {vedette.ErrNotFound, http.StatusNotFound}, {vedette.ErrRefused, http.StatusForbidden},
		{vedette.ErrConflict, http.StatusConflict}, {vedette.ErrInvalid, http.StatusUnprocessableEntity}, {vedette.ErrUnavailable, http.StatusServiceUnavailable},
		{context.DeadlineExceeded, http.StatusServiceUnavailable}} {
		if errors.Is(err, c.kind) {
			return c.status
		}
	}
	return http.StatusInternalServerError
}

// fail answers with an error. What is not one of our kinds is logged, and the
// answer says its number alone.
func (s *Server) fail(r *Request, rt Route, err error) {
	status := Status(err)
	if status == http.StatusInternalServerError {
		if errors.Is(err, context.Canceled) {
			return // nobody listens any more
		}
		s.Log.Error("request", "id", r.ID, "method", r.Method, "path", r.URL.Path, "error", err)
		err = errors.New("something failed inside the hub; nothing half-written is kept")
	}
	if rt.API {
		if status == http.StatusUnauthorized {
			r.ResponseWriter.Header().Set("WWW-Authenticate", `Bearer realm="vedette"`)
		}
		var fields []Field
		if w, ok := errors.AsType[*Wrong](err); ok {
			fields = w.Fields
		}
		Problem(r, status, err.Error(), fields...)
		return
	}
	if status == http.StatusUnauthorized && (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.Request.Header.Get("Authorization") == "" {
		to := "/login"
		if p := r.URL.RequestURI(); p != "/" {
			to += "?next=" + escapeQuery(p)
		}
		_ = r.Go(to)
		return
	}
	s.Fail(r, status, err)
}

func requestID() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails: crypto/rand.Read ends the program instead
	return hex.EncodeToString(b)
}

// Local says whether a path leads to this hub and nowhere else, so that a form
// or a link cannot send anybody away.
func Local(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") && !strings.ContainsAny(path, "\\\r\n\t")
}

// Has says whether one of the acts is for the principal.
func Has(p vedette.Principal, acts ...policy.Act) bool {
	return slices.ContainsFunc(acts, func(a policy.Act) bool { return policy.May(p, a) })
}
