package face

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"

	"github.com/vedette-hub/vedette"
)

// Keeper keeps sessions.
type Keeper interface {
	scs.CtxStore
	scs.Codec // of strings and booleans
}

// SignIn knows who somebody is.
type SignIn interface {
	// PrincipalOf is the principal of a session as he is now; ErrAuth when it has ended.
	PrincipalOf(ctx context.Context, session string) (vedette.Principal, error)
	// SignIn tries a name and a password, Second the code that was asked for,
	// Redeem the token of a link.
	SignIn(ctx context.Context, at vedette.Attempt) (vedette.SignedIn, error)
	Second(ctx context.Context, session, code, address string) (vedette.SignedIn, error)
	Redeem(ctx context.Context, token, address string) (vedette.SignedIn, error)
}

// Sessions are those of browsers. A session holds the name of a user and no
// right: what the user may do is asked at every request.
type Sessions struct {
	scs  *scs.SessionManager
	sign SignIn
	now  func() time.Time
}

const (
	sessionHalf  = "half" // the password was right, a code is wanted
	sessionTold  = "told"
	sessionUndo  = "undo"
	sessionStays = 12 * time.Hour
	sessionIdles = time.Hour
	sessionSeen  = "seen"
	sessionNotes = 5 * time.Minute // how often the last sight is written: a page is no write
)

// NewSessions keeps sessions with a keeper. Secure cookies go over TLS alone
// and cannot be set by another host (RFC 6265bis §4.1.3.2).
func NewSessions(k Keeper, sign SignIn, secure bool, now func() time.Time) *Sessions {
	m := scs.New()
	if inMemory, ok := m.Store.(*memstore.MemStore); ok {
		inMemory.StopCleanup() // it is not used, and its goroutine would never end
	}
	m.Store, m.Lifetime, m.Codec = k, sessionStays, k
	m.Cookie.Name, m.Cookie.HttpOnly, m.Cookie.SameSite, m.Cookie.Path = "vedette", true, http.SameSiteLaxMode, "/"
	if secure {
		m.Cookie.Name, m.Cookie.Secure = "__Host-vedette", true
	}
	return &Sessions{m, sign, now}
}

// Begin signs in whoever came out of an attempt, all the way or half. The token
// changes, so that one that was known before is worth nothing.
func (s *Sessions) Begin(ctx context.Context, in vedette.SignedIn, address string) error {
	if err := s.scs.RenewToken(ctx); err != nil {
		return err
	}
	if in.Second {
		s.scs.Put(ctx, sessionHalf, in.Session)
		return nil
	}
	s.scs.Remove(ctx, sessionHalf)
	s.scs.Put(ctx, vedette.SessionUser, in.Session)
	s.scs.Put(ctx, vedette.SessionAddress, address)
	s.scs.Put(ctx, sessionSeen, s.second())
	return nil
}

// Half is the session of whoever has to show a code yet, "" when nobody has.
func (s *Sessions) Half(ctx context.Context) string { return s.scs.GetString(ctx, sessionHalf) }

// End signs out.
func (s *Sessions) End(ctx context.Context) error { return s.scs.Destroy(ctx) }

// Put keeps a word between two requests, Take gets it once.
func (s *Sessions) Put(ctx context.Context, key, value string) { s.scs.Put(ctx, "step:"+key, value) }

// Take is what Put kept, once.
func (s *Sessions) Take(ctx context.Context, key string) string {
	if !s.scs.Exists(ctx, "step:"+key) {
		return ""
	}
	return s.scs.PopString(ctx, "step:"+key)
}

func (s *Sessions) second() string { return strconv.FormatInt(s.now().Unix(), 10) }

// Tell keeps a sentence for the next page, with the event that Undo takes back.
func (s *Sessions) Tell(ctx context.Context, text string, undo int64) {
	s.scs.Put(ctx, sessionTold, text)
	s.scs.Put(ctx, sessionUndo, strconv.FormatInt(undo, 10))
}

// Told takes the sentence that was kept.
func (s *Sessions) Told(ctx context.Context) (text string, undo int64) {
	if !s.scs.Exists(ctx, sessionTold) {
		return "", 0
	}
	text = s.scs.PopString(ctx, sessionTold)
	undo, _ = strconv.ParseInt(s.scs.PopString(ctx, sessionUndo), 10, 64)
	return text, undo
}

// principal is who the session's user is now.
func (s *Sessions) principal(ctx context.Context) (vedette.Principal, bool, error) {
	session := s.scs.GetString(ctx, vedette.SessionUser)
	if session == "" {
		return vedette.Principal{}, false, nil
	}
	seen, _ := strconv.ParseInt(s.scs.GetString(ctx, sessionSeen), 10, 64)
	switch idle := s.now().Sub(time.Unix(seen, 0)); {
	case idle > sessionIdles:
		return vedette.Principal{}, false, s.End(ctx)
	case idle > sessionNotes:
		s.scs.Put(ctx, sessionSeen, s.second())
	}
	p, err := s.sign.PrincipalOf(ctx, session)
	if errors.Is(err, vedette.ErrAuth) {
		return vedette.Principal{}, false, s.End(ctx)
	}
	return p, err == nil, err
}
