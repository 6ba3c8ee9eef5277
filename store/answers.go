package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/vedette-hub/vedette"
)

// Answers keep what calls were answered, so that a call that is sent twice is
// done once (draft-ietf-httpapi-idempotency-key-header §2).
type Answers struct{ s *Store }

// Answers are the kept answers of the store.
func (s *Store) Answers() Answers { return Answers{s} }

// Answer is what a call was answered.
type Answer struct {
	Status      int
	Type, Place string // Content-Type and Location
	Body        []byte
}

// answersStay is how long an answer is kept.
const answersStay = 24 * time.Hour

// Begin claims a key of a caller for a request, both as hashes of the caller's
// face. known is the answer when the same request was answered before; false
// lets the caller do it, and he ends with Keep or Drop. ErrInvalid when the key
// was another request's, ErrConflict when the first call has not been answered:
// it still runs, or it was cut off and nobody knows how far it came.
func (a Answers) Begin(ctx context.Context, caller []byte, key string, request []byte) (known Answer, done bool, err error) {
	err = a.s.update(ctx, func(t *tx) error {
		now := t.Now()
		if _, err := t.exec("delete from answers where at < ?", us(now.Add(-answersStay))); err != nil {
			return err
		}
		n, err := t.exec("insert into answers(caller, name, request, at, status, kind, place, body) values (?,?,?,?,0,'','',?) on conflict (caller, name) do nothing", caller, key, request, us(now), []byte{})
		if err != nil || n == 1 {
			return err
		}
		var was []byte
		if _, err := one(t, "select request, status, kind, place, body from answers where caller = ? and name = ?", []any{caller, key}, &was, &known.Status, &known.Type, &known.Place, &known.Body); err != nil {
			return err
		}
		switch {
		case !bytes.Equal(was, request):
			return vedette.Invalid("the Idempotency-Key was another request's: a new request takes a new key")
		case known.Status == 0:
			return vedette.Conflict("the first call with this Idempotency-Key has no answer yet: look what it did, and take a new key when it ended")
		}
		done = true
		return nil
	})
	return known, done, err
}

// Keep keeps the answer of a call that Begin let through.
func (a Answers) Keep(ctx context.Context, caller []byte, key string, was Answer) error {
	return a.s.update(ctx, func(t *tx) error {
		_, err := t.exec("update answers set status = ?, kind = ?, place = ?, body = ? where caller = ? and name = ?", was.Status, was.Type, was.Place, was.Body, caller, key)
		return err
	})
}

// Drop forgets a call that changed nothing.
func (a Answers) Drop(ctx context.Context, caller []byte, key string) error {
	return a.s.update(ctx, func(t *tx) error {
		_, err := t.exec("delete from answers where caller = ? and name = ? and status = 0", caller, key)
		return err
	})
}

// CursorKey is the secret that signs where lists go on, the same for all
// processes of a store. It guards no content: that is what walls are for.
func (s *Store) CursorKey(ctx context.Context) ([]byte, error) {
	var text string
	err := s.update(ctx, func(t *tx) error {
		b := make([]byte, 32)
		if _, err := rand.Read(b); err != nil {
			return err
		}
		if _, err := t.exec("insert into meta(name, value) values ('cursor key', ?) on conflict (name) do nothing", hex.EncodeToString(b)); err != nil {
			return err
		}
		_, err := one(t, "select value from meta where name = 'cursor key'", nil, &text)
		return err
	})
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(text)
}
