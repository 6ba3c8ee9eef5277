package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/store"
)

// maxKey is the longest Idempotency-Key.
const maxKey = 255

// once does a call that has a key of its caller at most once: the same call
// again gets the same answer, another call with the key is refused. What fails
// without having changed anything may be sent again under its key; after any
// other failure nobody knows, and the key stays taken.
func (a *API) once(o operation, c *call, key string, run func(*call) error) error {
	if len(key) > maxKey {
		return badParameter("Idempotency-Key", fmt.Sprintf("longer than %d bytes", maxKey))
	}
	caller, err := callerOf(c.Request)
	if err != nil {
		return err
	}
	request, done, err := hashed(c.Request)
	if err != nil {
		return err
	}
	defer done()
	// whoever hangs up does not stop what he began
	ctx := context.WithoutCancel(c.Context())
	c.Request.Request = c.Request.Request.WithContext(ctx)
	was, known, err := a.answers.Begin(ctx, caller, key, request)
	switch {
	case err != nil:
		return err
	case known && o.secret:
		return &face.Wrong{Status: http.StatusConflict, Detail: "it was done; its answer held a secret, which is shown once"}
	case known:
		return repeat(c, was)
	}
	if err := run(c); err != nil {
		if isClient(err) {
			err = errors.Join(err, a.answers.Drop(ctx, caller, key))
		}
		return err
	}
	keep := store.Answer{Status: c.status, Type: c.Header().Get("Content-Type"), Place: c.Header().Get("Location"), Body: c.body.Bytes()}
	if o.secret {
		keep.Body = []byte{}
	}
	if err := a.answers.Keep(ctx, caller, key, keep); err != nil {
		return err
	}
	return c.send()
}

// repeat sends a kept answer again.
func repeat(c *call, was store.Answer) error {
	for name, value := range map[string]string{"Content-Type": was.Type, "Location": was.Place} {
		if value != "" {
			c.Header().Set(name, value)
		}
	}
	return answer(c.Request, was.Status, was.Body)
}

// callerOf is whose key it is: the principal with the rights he has now, so
// that an answer does not outlive the right to read it.
func callerOf(r *face.Request) ([]byte, error) {
	b, err := json.Marshal(r.P)
	sum := sha256.Sum256(b)
	return sum[:], err
}

// hashed is the hash of a request; its body can be read again behind.
func hashed(r *face.Request) (sum []byte, done func(), err error) {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00", r.Method, r.URL.RequestURI())
	small := &bytes.Buffer{}
	n, err := io.Copy(io.MultiWriter(h, small), io.LimitReader(r.Body, 1<<20))
	if err != nil || n < 1<<20 {
		r.Body = io.NopCloser(small)
		return h.Sum(nil), func() {}, err
	}
	f, err := os.CreateTemp("", "vedette-*")
	if err != nil {
		return nil, nil, err
	}
	done = func() { f.Close() }
	if err := os.Remove(f.Name()); err == nil { // it lives as long as it is open
		_, err = io.Copy(io.MultiWriter(h, f), r.Body)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	r.Body = io.NopCloser(io.MultiReader(small, f))
	return h.Sum(nil), done, nil
}
