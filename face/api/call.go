package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
)

// call is one request on its way through huma. Its answer is held until it is
// whole: then it has an ETag, may be kept, and an error leaves nothing half-written.
type call struct {
	*face.Request
	err    error // what the operation or the reading of the request ended with
	status int
	body   bytes.Buffer
}

type callKey struct{}

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// note keeps the error of an operation for the hub, which answers it in its own words.
func (c *call) note(err error) error {
	if err == nil {
		return nil
	}
	c.err = err
	return failed
}

// failed tells huma that the operation failed; what it writes then is not sent.
var failed = huma.NewError(http.StatusInternalServerError, "see the call")

// Header implements http.ResponseWriter.
func (c *call) Header() http.Header { return c.ResponseWriter.Header() }

// Write implements http.ResponseWriter.
func (c *call) Write(b []byte) (int, error) {
	if c.err != nil {
		return len(b), nil
	}
	return c.body.Write(b)
}

// WriteHeader implements http.ResponseWriter.
func (c *call) WriteHeader(status int) { c.status = status }

// wrong is a huma.Transformer: it takes what huma found wrong with a request
// out of its answer, for the hub to answer.
func wrong(ctx huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	c := callOf(ctx.Context())
	if !ok || c.err != nil {
		return v, nil
	}
	w := &face.Wrong{Status: e.Status, Detail: e.Detail}
	for _, x := range e.Errors {
		w.Fields = append(w.Fields, field(x))
	}
	if w.Detail == "validation failed" {
		w.Detail = "the request is not as the operation takes it"
	}
	c.err = w
	return v, nil
}

// item is an index in a location, as in "body.items[3]".
var item = regexp.MustCompile(`\[(\d+)\]`)

// field turns a location of huma's, "body.items[3].id" or "query.limit", into
// a pointer into the body or the name of a parameter. What was sent is not echoed.
func field(e *huma.ErrorDetail) face.Field {
	f := face.Field{Detail: e.Message}
	in, rest, _ := strings.Cut(e.Location, ".")
	if in, index, ok := strings.Cut(in, "["); ok && in == "body" {
		rest = strings.TrimSuffix("["+index+"."+rest, ".")
	}
	switch {
	case strings.HasPrefix(in, "body"):
		rest = strings.ReplaceAll(strings.ReplaceAll(item.ReplaceAllString(rest, ".$1"), "~", "~0"), "/", "~1")
		rest = strings.Trim(rest, ".")
		f.Pointer = "#"
		if rest != "" {
			f.Pointer += "/" + strings.ReplaceAll(rest, ".", "/")
		}
	default:
		f.Parameter = rest
	}
	return f
}

// badParameter is a parameter that is wrong.
func badParameter(name, detail string) error {
	return &face.Wrong{Status: http.StatusUnprocessableEntity, Detail: name + ": " + detail, Fields: []face.Field{{Detail: detail, Parameter: name}}}
}

// badField is a member of the body that is wrong.
func badField(pointer, detail string) error {
	return &face.Wrong{Status: http.StatusUnprocessableEntity, Detail: strings.TrimPrefix(pointer, "#/") + ": " + detail, Fields: []face.Field{{Detail: detail, Pointer: pointer}}}
}

// serve answers an operation.
func (a *API) serve(o operation, doc *huma.Operation, h func(huma.Context)) func(*face.Request) error {
	run := func(c *call) error {
		hr := c.Request.Request
		h(humago.NewContext(doc, hr.WithContext(context.WithValue(hr.Context(), callKey{}, c)), c))
		return c.err
	}
	return func(r *face.Request) error {
		if err := a.rate.take(r); err != nil {
			return err
		}
		c := &call{Request: r}
		if key := r.Request.Header.Get("Idempotency-Key"); key != "" && r.Method == http.MethodPost {
			return a.once(o, c, key, run)
		}
		if err := run(c); err != nil {
			return err
		}
		return c.send()
	}
}

// send sends what was held.
func (c *call) send() error { return answer(c.Request, c.status, c.body.Bytes()) }

// answer sends a whole answer; a read that the reader has already is 304 (RFC 9110 §13.1.2).
func answer(r *face.Request, status int, body []byte) error {
	if status == 0 {
		status = http.StatusOK
	}
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && status == http.StatusOK {
		tag := tagOf(body)
		r.ResponseWriter.Header().Set("ETag", tag)
		if matches(r.Request.Header.Values("If-None-Match"), tag, true) {
			r.ResponseWriter.Header().Del("Content-Type")
			r.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	r.WriteHeader(status)
	_, _ = r.ResponseWriter.Write(body) // nobody listens any more
	return nil
}

// tagOf is the strong entity tag of an answer (RFC 9110 §8.8.3).
func tagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// matches says whether one of the tags of a header is the tag, or "*". A weak
// tag is equal to a strong one for reads alone (RFC 9110 §8.8.3.2).
func matches(header []string, tag string, weak bool) bool {
	for _, line := range header {
		for part := range strings.SplitSeq(line, ",") {
			part = strings.TrimSpace(part)
			if weak {
				part = strings.TrimPrefix(part, "W/")
			}
			if part == tag || part == "*" {
				return true
			}
		}
	}
	return false
}

// unchanged refuses a write whose If-Match is not the tag of what the reader
// gets now: somebody changed it since (RFC 9110 §13.1.1).
func unchanged(r *face.Request, now any) error {
	asked := r.Request.Header.Values("If-Match")
	if len(asked) == 0 {
		return nil
	}
	var b bytes.Buffer
	if err := write(&b, now); err != nil {
		return err
	}
	if !matches(asked, tagOf(b.Bytes()), false) {
		return &face.Wrong{Status: http.StatusPreconditionFailed, Detail: "it was changed since: read it again"}
	}
	return nil
}

// found makes an answer of what a person may act on.
func isClient(err error) bool {
	w, ok := errors.AsType[*face.Wrong](err)
	return ok && w.Status < 500 || errors.Is(err, vedette.ErrInvalid) || errors.Is(err, vedette.ErrNotFound) || errors.Is(err, vedette.ErrRefused) || errors.Is(err, vedette.ErrConflict) || errors.Is(err, vedette.ErrAuth)
}
