package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/policy"
)

// Sessions keeps the sessions of the pages: the CtxStore and the Codec of
// alexedwards/scs/v2. A token is kept as a hash. A session that ended stays
// ended until it is swept out: a request that still runs does not bring it back.
type Sessions struct{ s *Store }

// Sessions gives the sessions of the pages.
func (s *Store) Sessions() *Sessions { return &Sessions{s} }

// sessionText is the text of a session: values are strings and booleans only.
type sessionText struct {
	Deadline time.Time      `json:"deadline"`
	Values   map[string]any `json:"values"`
}

// Encode writes a session. A value that is neither a string nor a boolean is
// ErrInvalid: nothing else comes back as it was.
func (Sessions) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	for k, v := range values {
		switch v.(type) {
		case string, bool:
		default:
			return nil, vedette.Invalid("the value %s of a session is a %T: strings and booleans only", k, v)
		}
	}
	return json.Marshal(sessionText{deadline, values})
}

// Decode reads what Encode wrote.
func (Sessions) Decode(b []byte) (deadline time.Time, values map[string]any, err error) {
	var k sessionText
	err = json.Unmarshal(b, &k)
	return k.Deadline, k.Values, err
}

// FindCtx gives the text of a session that has neither expired nor ended.
func (x Sessions) FindCtx(ctx context.Context, token string) (b []byte, found bool, err error) {
	hash := sha256.Sum256([]byte(token))
	found, err = one(reader{x.s, ctx}, "select data from sessions where hash = ? and ended_at is null and expires_at > ?", []any{hash[:], us(x.s.Now())}, &b)
	return b, found, err
}

// CommitCtx keeps a session. Its value vedette.SessionUser says whose it is.
func (x Sessions) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	var k sessionText
	if err := json.Unmarshal(b, &k); err != nil {
		return vedette.Invalid("a session that Sessions.Encode did not write: %w", err)
	}
	session, _ := k.Values[vedette.SessionUser].(string)
	address, _ := k.Values[vedette.SessionAddress].(string)
	user, _, _ := strings.Cut(session, "/")
	hash := sha256.Sum256([]byte(token))
	return x.s.update(ctx, func(t *tx) error {
		_, err := t.exec("insert into sessions(hash, user_name, address, data, created_at, expires_at) values (?,?,?,?,?,?) on conflict (hash) do update set user_name = excluded.user_name, address = excluded.address, data = excluded.data, expires_at = excluded.expires_at where sessions.ended_at is null",
			hash[:], user, clipText(address, 64), b, us(t.Now()), us(expiry))
		return err
	})
}

// DeleteCtx ends a session.
func (x Sessions) DeleteCtx(ctx context.Context, token string) error {
	hash := sha256.Sum256([]byte(token))
	return x.s.update(ctx, func(t *tx) error {
		_, err := t.exec("update sessions set ended_at = ?, data = ? where hash = ? and ended_at is null", us(t.Now()), []byte{}, hash[:])
		return err
	})
}

// Find is FindCtx for a caller without a context; scs asks for all six.
func (x Sessions) Find(token string) ([]byte, bool, error) {
	return x.FindCtx(context.Background(), token)
}

// Commit is CommitCtx for a caller without a context.
func (x Sessions) Commit(token string, b []byte, expiry time.Time) error {
	return x.CommitCtx(context.Background(), token, b, expiry)
}

// Delete is DeleteCtx for a caller without a context.
func (x Sessions) Delete(token string) error { return x.DeleteCtx(context.Background(), token) }

// endSessions ends all sessions of a user, the half ones and the links with
// them, and returns his new epoch: what a session kept of him before is nobody's.
func (t *tx) endSessions(k int64, name string) (epoch int64, err error) {
	if _, err := one(t, "update users set epoch = epoch + 1 where k = ? returning epoch", []any{k}, &epoch); err != nil {
		return 0, err
	}
	if _, err := t.exec("update sessions set ended_at = ?, data = ? where user_name = ? and ended_at is null", us(t.Now()), []byte{}, name); err != nil {
		return 0, err
	}
	_, err = t.exec("delete from links where user_k = ?", k)
	return epoch, err
}

// SessionsOf are the sessions of a user that go on: one's own, or anybody's
// for who manages users.
func (sc *Scoped) SessionsOf(ctx context.Context, user string) ([]vedette.Session, error) {
	if err := sc.mayFor("user sessions", user); err != nil {
		return nil, err
	}
	a, err := sc.s.account(sc.reader(ctx), user)
	if err != nil || a.k == 0 {
		return nil, orElse(err, vedette.NotFound("user %s", user))
	}
	var out []vedette.Session
	err = sc.reader(ctx).each("select user_name, created_at, address, expires_at from sessions where user_name = ? and ended_at is null and expires_at > ? order by created_at, expires_at", []any{user, us(sc.s.Now())}, func(scan func(...any) error) error {
		var x vedette.Session
		var created, expires int64
		err := scan(&x.User, &created, &x.Address, &expires)
		x.Created, x.Expires = at(created), at(expires)
		out = append(out, x)
		return err
	})
	return out, err
}

// EndSessions ends all sessions of a user at their next call.
func (sc *Scoped) EndSessions(ctx context.Context, user string) error {
	return sc.changeSignIn(ctx, "user sessions", user, func(t *tx, a account) (map[string]string, error) {
		_, err := t.endSessions(a.k, user)
		return map[string]string{"ended": "all"}, err
	})
}

// mayFor is may, or that it is about oneself: by a session, not by a token.
func (sc *Scoped) mayFor(act policy.Act, user string) error {
	if sc.p.Name == user && sc.p.Token == "" && user != "" {
		return nil
	}
	return sc.may(act)
}
