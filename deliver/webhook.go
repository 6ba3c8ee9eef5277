package deliver

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// Hook is a receiver of webhooks (Standard Webhooks).
type Hook struct {
	URL string
	// Secrets sign: the one in use first, then the one before it while it changes.
	Secrets []Secret
	// Client goes out through the public mode of the one dialer.
	Client interface {
		Do(*http.Request) (*http.Response, error)
	}
}

// Secret is the key of a webhook. It prints as nothing.
type Secret struct{ key []byte }

// String hides the key.
func (Secret) String() string { return "***" }

// GoString hides the key.
func (Secret) GoString() string { return "***" }

// ParseSecret reads whsec_ and 24 to 64 bytes in base64 (Standard Webhooks,
// "signature scheme").
func ParseSecret(text []byte) (Secret, error) {
	b64, ok := strings.CutPrefix(string(text), "whsec_")
	key, err := base64.StdEncoding.DecodeString(b64)
	if err != nil {
		key, err = base64.RawStdEncoding.DecodeString(b64)
	}
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return Secret{}, vedette.Invalid("a secret of a webhook is whsec_ and 24 to 64 bytes in base64")
	}
	return Secret{key}, nil
}

// Sign signs a message: "v1," and HMAC-SHA256 over id, time and body, in base64.
func (s Secret) Sign(id string, at time.Time, body []byte) string {
	m := hmac.New(sha256.New, s.key)
	fmt.Fprintf(m, "%s.%d.", id, at.Unix())
	m.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// Refusal is an answer of a receiver that is no yes.
type Refusal struct {
	Status int
	After  time.Duration // Retry-After (RFC 9110 §10.2.3), 0 for none
}

// Error names the status.
func (r *Refusal) Error() string {
	return strings.TrimSpace(fmt.Sprintf("answered %d %s", r.Status, http.StatusText(r.Status)))
}

// Send posts one message. id is the same for every try, so that the receiver
// knows a repeat; now goes into the signature. Only a status of 2xx is a yes.
func (h Hook) Send(ctx context.Context, id string, now time.Time, body []byte) error {
	wrote := false
	trace := &httptrace.ClientTrace{WroteHeaders: func() { wrote = true }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForGood, err)
	}
	var signatures []string
	for _, s := range h.Secrets {
		signatures = append(signatures, s.Sign(id, now, body))
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "User-Agent": {"vedette"}, "Webhook-Id": {id},
		"Webhook-Timestamp": {strconv.FormatInt(now.Unix(), 10)}, "Webhook-Signature": {strings.Join(signatures, " ")}}
	resp, err := h.Client.Do(req)
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err // without the address
	}
	switch {
	case errors.Is(err, vedette.ErrRefused):
		return fmt.Errorf("%w: %w", ErrForGood, err)
	case err != nil && wrote:
		return fmt.Errorf("%w: %w", ErrUnsure, err)
	case err != nil:
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // what it says is of no use; it gets to say it
	switch {
	case resp.StatusCode/100 == 2:
		return nil
	case resp.StatusCode == http.StatusGone:
		return fmt.Errorf("%w: %w", ErrForGood, &Refusal{Status: resp.StatusCode})
	}
	return &Refusal{resp.StatusCode, retryAfter(resp.Header.Get("Retry-After"), now)}
}

// retryAfter reads seconds or a date; what is neither is 0.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.ParseInt(text, 10, 32); err == nil {
		return max(0, time.Duration(n)*time.Second)
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
