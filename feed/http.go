package feed

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// HTTP fetches the document at an address, when it changed.
type HTTP struct {
	// Transport does one exchange over safe's dialer (safe.Client), which decides on
	// every hop. It unpacks nothing: what comes is behind safe.Members.
	Transport http.RoundTripper
	Agent     string // who we are, with whom to write to
	Secrets   Secrets
	Now       func() time.Time // the hub's clock: what Retry-After counts from

	// Answer is how long a server may take to begin, Idle how long it may be
	// silent in the middle, Total how long all of it may take. Zero is a
	// minute, a minute and twenty.
	Answer, Idle, Total time.Duration
}

const (
	maxRedirects = 5
	maxMark      = 1 << 10      // bytes of an ETag or a date that we give back
	maxLater     = 24 * 60 * 60 // seconds that a server may send us away for
)

// Fetch asks for the document, following redirects (RFC 9110 §15.4), each of
// which is decided on as if it had been configured.
func (h *HTTP) Fetch(ctx context.Context, f vedette.Feed, since Marks, keep func(Document) error) (Marks, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := after(h.Total, 20*time.Minute, cancel, "took longer than")
	defer stop.Stop()
	u, err := url.Parse(f.URL)
	if err != nil {
		return since, vedette.Invalid("%s is no address", safe.Label(f.URL))
	}
	for range maxRedirects + 1 {
		resp, err := h.ask(ctx, cancel, f, u, since)
		if err != nil {
			return since, err
		}
		if next, err := redirected(u, resp); err != nil || next != nil {
			resp.Body.Close()
			if err != nil {
				return since, err
			}
			u = next
			continue
		}
		defer resp.Body.Close()
		return h.take(ctx, cancel, f, u, since, resp, keep)
	}
	return since, vedette.Unavailable("redirected more than %d times", maxRedirects)
}

// after cancels a while from now, with the reason.
func after(d, otherwise time.Duration, cancel context.CancelCauseFunc, what string) *time.Timer {
	if d == 0 {
		d = otherwise
	}
	return time.AfterFunc(d, func() { cancel(vedette.Unavailable("the server %s %s", what, d)) })
}

// ask sends one request and waits for the head of its answer.
func (h *HTTP) ask(ctx context.Context, cancel context.CancelCauseFunc, f vedette.Feed, u *url.URL, since Marks) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, vedette.Invalid("%s is no address", safe.Label(u.Redacted()))
	}
	req.Header.Set("User-Agent", h.Agent)
	req.Header.Set("Accept-Encoding", "gzip")
	if since.ETag != "" {
		req.Header.Set("If-None-Match", since.ETag)
	}
	if since.Modified != "" {
		req.Header.Set("If-Modified-Since", since.Modified)
	}
	if own, err := url.Parse(f.URL); err == nil && own.Scheme == u.Scheme && own.Host == u.Host { // another host gets none of our secrets
		for name, value := range f.Headers {
			text, err := h.Secrets.Fill(value)
			if err != nil {
				return nil, vedette.Invalid("headers.%s: %w", name, err)
			}
			req.Header.Set(name, text)
		}
	}
	stop := after(h.Answer, time.Minute, cancel, "did not answer within")
	defer stop.Stop()
	resp, err := h.Transport.RoundTrip(req)
	return resp, reason(ctx, err)
}

// redirected is where an answer sends us, nil when it does not.
func redirected(from *url.URL, resp *http.Response) (*url.URL, error) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	to, err := from.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" {
		return nil, vedette.Unavailable("answered %s with no place to go to", status(resp))
	}
	switch {
	case to.Scheme != "http" && to.Scheme != "https":
		return nil, vedette.Refused("redirected to %s, which is not HTTP", safe.Label(to.Scheme))
	case to.Host == "":
		return nil, vedette.Unavailable("answered %s with no place to go to", status(resp))
	case from.Scheme == "https" && to.Scheme == "http":
		return nil, vedette.Refused("redirected from https to http")
	case to.User != nil:
		return nil, vedette.Refused("redirected to an address with a user in it")
	}
	to.Fragment = ""
	return to, nil
}

func status(resp *http.Response) string {
	return strings.TrimSpace(strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode))
}

// take hands the document of an answer over.
func (h *HTTP) take(ctx context.Context, cancel context.CancelCauseFunc, f vedette.Feed, u *url.URL, since Marks, resp *http.Response, keep func(Document) error) (Marks, error) {
	switch {
	case resp.StatusCode == http.StatusNotModified && since != Marks{}:
		return since, nil
	case resp.StatusCode != http.StatusOK:
		err := vedette.Unavailable("answered %s", status(resp))
		if until, ok := h.later(resp); ok {
			return since, &Later{until, err}
		}
		return since, err
	}
	idle := h.Idle
	if idle == 0 {
		idle = time.Minute
	}
	quiet := after(idle, idle, cancel, "was silent for")
	defer quiet.Stop()
	body := &body{ctx: ctx, r: resp.Body, left: limitOf(f), moved: func() { quiet.Reset(idle) }}
	if err := keep(Document{Name: nameOf(u), Body: body}); err != nil {
		return since, err
	}
	return Marks{mark(resp.Header.Get("ETag")), mark(resp.Header.Get("Last-Modified"))}, nil
}

// later reads Retry-After (RFC 9110 §10.2.3): seconds, or a date.
func (h *HTTP) later(resp *http.Response) (time.Time, bool) {
	text := resp.Header.Get("Retry-After")
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		return h.Now().Add(time.Duration(min(n, maxLater)) * time.Second), true
	}
	t, err := http.ParseTime(text)
	if most := h.Now().Add(maxLater * time.Second); err == nil && t.After(most) {
		t = most
	}
	return t, err == nil
}

func mark(s string) string {
	if len(s) > maxMark {
		return ""
	}
	return s
}

// nameOf is an address without what may be a secret in it.
func nameOf(u *url.URL) string {
	return safe.Label((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String())
}

// body is what an answer brings, within its bounds.
type body struct {
	ctx   context.Context
	r     io.Reader
	left  int64
	moved func()
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, vedette.Invalid("larger than the feed's limit")
	}
	if n > 0 {
		b.moved()
	}
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return n, vedette.Unavailable("the answer was cut off before its end")
	}
	return n, reason(b.ctx, err)
}

// reason is why an exchange ended: what ended it from our side, if it was that.
func reason(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, vedette.ErrRefused) {
		return err
	}
	return vedette.Unavailable("%w", err)
}
