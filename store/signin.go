package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/credential"
)

// errSignIn is the one answer to whoever is not let in, whatever the reason.
var errSignIn = fmt.Errorf("%w: the name, the password or the code is wrong", vedette.ErrAuth)

// account is what signing in needs to know of a user; k is 0 when there is none.
type account struct {
	k        int64
	p        vedette.Principal
	epoch    int64
	disabled bool
	hash     string // of the password, "" without one
	codes    bool   // a code generator is enrolled
}

// account reads a user. It is one query whether he exists or not.
func (s *Store) account(q querier, name string) (a account, err error) {
	err = q.each("select u.k, u.epoch, coalesce(p.hash, ''), coalesce(t.confirmed_at, 0), u.name, u.roles, u.constituents, u.orgs, u.created_at, u.disabled_at from users u left join passwords p on p.user_k = u.k left join totps t on t.user_k = u.k where u.name = ?", []any{name}, func(scan func(...any) error) error {
		var confirmed int64
		u, err := scanUser(func(dest ...any) error { return scan(append([]any{&a.k, &a.epoch, &a.hash, &confirmed}, dest...)...) })
		a.p, a.disabled, a.codes = u.Principal, !u.Disabled.IsZero(), confirmed != 0
		return err
	})
	return a, err
}

// SignIn tries a name and a password, and a code when one is given. Whoever
// does not exist, has no password, gave a wrong one or is disabled gets the same
// ErrAuth after the same work; a *vedette.TooMany tells that nobody is let in
// for a while, whether the name is somebody's or not.
func (s *Store) SignIn(ctx context.Context, at vedette.Attempt) (vedette.SignedIn, error) {
	return s.proof(ctx, strings.ToLower(strings.TrimSpace(at.Name)), at.Address, func(a account) (vedette.SignedIn, string, error) {
		ok, old, err := s.holds(ctx, at.Password, a.hash)
		switch {
		case err != nil:
			return vedette.SignedIn{}, "", err
		case a.k == 0:
			return vedette.SignedIn{}, "unknown", nil
		case a.disabled:
			return vedette.SignedIn{}, "disabled", nil
		case !ok:
			return vedette.SignedIn{}, "password", nil
		}
		if old {
			if err := s.rehash(ctx, a, at.Password); err != nil {
				return vedette.SignedIn{}, "", err
			}
		}
		if a.codes && at.Code == "" {
			return a.half(s.Now(), "password"), "", nil
		}
		return s.secondOf(ctx, a, "password", at.Code)
	})
}

// Second tries the code that SignIn or Redeem asked for: session is the one
// that they gave.
func (s *Store) Second(ctx context.Context, session, code, address string) (vedette.SignedIn, error) {
	name, by, epoch, ok := fromHalf(session, s.Now())
	if !ok {
		return vedette.SignedIn{}, errSignIn
	}
	return s.proof(ctx, name, address, func(a account) (vedette.SignedIn, string, error) {
		switch {
		case a.k == 0 || a.disabled || a.epoch != epoch:
			return vedette.SignedIn{}, "ended", nil
		case !a.codes:
			return vedette.SignedIn{}, "code", nil
		}
		return s.secondOf(ctx, a, by, code)
	})
}

// secondOf takes the code where the user has a generator, and lets him in.
func (s *Store) secondOf(ctx context.Context, a account, by, code string) (vedette.SignedIn, string, error) {
	if a.codes {
		kind, err := s.useCode(ctx, a, code)
		if err != nil || kind == "" {
			return vedette.SignedIn{}, "code", err
		}
		by += " and " + kind
	}
	return a.whole(), by, nil
}

// proof counts a try, lets check judge it, and keeps what came of it. check
// answers who is let in and by what, or nobody and what was wrong; both are
// words of ours for the record.
func (s *Store) proof(ctx context.Context, name, address string, check func(account) (vedette.SignedIn, string, error)) (vedette.SignedIn, error) {
	none := vedette.SignedIn{}
	from, err := comesFrom(address)
	if err != nil {
		return none, err
	}
	c, err := s.count(ctx, name, from)
	if err != nil {
		return none, err
	}
	a, err := s.account(reader{s, ctx}, name)
	if err != nil {
		return none, err
	}
	in, word, err := check(a)
	if err != nil {
		return none, err
	}
	if in.Session == "" {
		return none, orElse(s.failed(ctx, a, c, word), errSignIn)
	}
	return inUnless(in, s.passed(ctx, a, c, in, word))
}

// passed gives the try back, forgets the failures of whoever is let in, and
// sweeps out what is over.
func (s *Store) passed(ctx context.Context, a account, c attempted, in vedette.SignedIn, by string) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.giveBack(tryFrom(c.from), c.fromUntil); err != nil {
			return err
		}
		if in.Second { // a half proof does not clear the way for guessing the other half
			return t.giveBack(tryName(c.name), c.nameUntil)
		}
		return t.letIn(a, by, c.from)
	})
}

// letIn forgets the failures of a name and records that its user is in.
func (t *tx) letIn(a account, by string, from netip.Addr) error {
	if _, err := t.exec("delete from tries where what = ?", tryName(a.p.Name)); err != nil {
		return err
	}
	if err := t.sweepSignIn(); err != nil {
		return err
	}
	return t.event(vedette.Event{Principal: a.p.Name, Verb: "sign in", Subject: a.p.Name, Detail: map[string]string{"by": by, "address": from.String()}})
}

// failed records a failure, and that it was one too many. What was typed as a
// name is recorded only when it is one: people type passwords there.
func (s *Store) failed(ctx context.Context, a account, c attempted, why string) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.refusedIn(a.p.Name, map[string]string{"why": why, "address": c.from.String()}); err != nil {
			return err
		}
		for _, l := range []struct {
			what  string
			until time.Time
		}{{"name", c.nameUntil}, {"address", c.fromUntil}} {
			if l.until.IsZero() {
				continue
			}
			if err := t.event(vedette.Event{Principal: "sign-in", Verb: "sign in locked", Subject: a.p.Name, Detail: map[string]string{"what": l.what, "until": l.until.Format(time.RFC3339), "address": c.from.String()}}); err != nil {
				return err
			}
		}
		return nil
	})
}

// refusedIn records that somebody was not let in.
func (t *tx) refusedIn(user string, detail map[string]string) error {
	return t.event(vedette.Event{Principal: "sign-in", Verb: "sign in failed", Subject: user, Detail: detail})
}

// hashing bounds how many passwords are hashed at once: each takes 19 MiB.
const hashing = 4

// holds says whether a password is the one of a hash; without a hash it says no
// after the same work.
func (s *Store) holds(ctx context.Context, password, hash string) (ok, old bool, err error) {
	select {
	case s.hashers <- struct{}{}:
	case <-ctx.Done():
		return false, false, ctx.Err()
	}
	defer func() { <-s.hashers }()
	ok, old = credential.Verify(password, hash)
	return ok, old, nil
}

// rehash keeps a password under the parameters of today.
func (s *Store) rehash(ctx context.Context, a account, password string) error {
	hash, err := credential.Hash(password)
	if err != nil {
		return err
	}
	return s.update(ctx, func(t *tx) error {
		_, err := t.exec("update passwords set hash = ? where user_k = ? and hash = ?", hash, a.k, a.hash)
		return err
	})
}

// whole is the answer to whoever is let in.
func (a account) whole() vedette.SignedIn {
	return vedette.SignedIn{Principal: a.p, Session: a.p.Name + "/" + itoa(a.epoch)}
}

// half is the answer to whoever has to show a code yet.
func (a account) half(now time.Time, by string) vedette.SignedIn {
	return vedette.SignedIn{Principal: vedette.Principal{Name: a.p.Name}, Second: true,
		Session: strings.Join([]string{a.p.Name, itoa(a.epoch), by, itoa(now.Unix())}, "/")}
}

// fromHalf reads what half wrote, while it holds.
func fromHalf(session string, now time.Time) (name, by string, epoch int64, ok bool) {
	f := strings.Split(session, "/")
	if len(f) != 4 {
		return "", "", 0, false
	}
	epoch, err1 := strconv.ParseInt(f[1], 10, 64)
	since, err2 := strconv.ParseInt(f[3], 10, 64)
	return f[0], f[2], epoch, err1 == nil && err2 == nil && now.Sub(time.Unix(since, 0)) < vedette.HalfTime
}

// PrincipalOf is the principal of a session as he is now: what SignedIn.Session
// held. Disabled, unknown, half signed in, or ended since: ErrAuth.
func (s *Store) PrincipalOf(ctx context.Context, session string) (vedette.Principal, error) {
	none, ended := vedette.Principal{}, fmt.Errorf("%w: the session has ended", vedette.ErrAuth)
	name, rest, _ := strings.Cut(session, "/")
	epoch, err := strconv.ParseInt(rest, 10, 64)
	if err != nil {
		return none, ended
	}
	a, err := s.account(reader{s, ctx}, name)
	if err != nil {
		return none, err
	}
	if a.k == 0 || a.disabled || a.epoch != epoch {
		return none, ended
	}
	return a.p, nil
}

// How often somebody may be wrong, and what it costs. Behind one address there
// may be an office, behind one name there is one person.
const (
	triesOfName    = 5
	triesOfNetwork = 20
	lockedFirst    = time.Minute
	lockedMost     = time.Hour
	triesKept      = 24 * time.Hour // after the last failure
)

// tryName is under what the failures of a name are counted: not the name,
// which may be a password in the wrong field.
func tryName(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "name:" + hex.EncodeToString(sum[:16])
}

// comesFrom reads the address of a try, with or without a port.
func comesFrom(address string) (netip.Addr, error) {
	a, err := netip.ParseAddr(address)
	if p, perr := netip.ParseAddrPort(address); perr == nil {
		a, err = p.Addr(), nil
	}
	if err != nil {
		return a, vedette.Invalid("%q is no address that somebody signs in from", clipText(address, 60))
	}
	return a.Unmap().WithZone(""), nil
}

// tryFrom is under what the failures from an address are counted: by what an
// attacker there has at hand, the address itself or the /64 of an IPv6 one.
func tryFrom(a netip.Addr) string {
	if a.Is6() {
		return "net:" + netip.PrefixFrom(a, 64).Masked().String()
	}
	return "net:" + a.String()
}

// attempted is a try that was counted. The times are until when the next one is
// refused, where this one was one too many.
type attempted struct {
	name      string
	from      netip.Addr
	nameUntil time.Time
	fromUntil time.Time
}

// count counts a try before it is judged, so that a hundred at once are a
// hundred.
func (s *Store) count(ctx context.Context, name string, from netip.Addr) (c attempted, err error) {
	c = attempted{name: name, from: from}
	err = s.update(ctx, func(t *tx) (err error) {
		if c.nameUntil, err = t.try(tryName(name), triesOfName); err == nil {
			c.fromUntil, err = t.try(tryFrom(from), triesOfNetwork)
		}
		return err
	})
	return c, err
}

// try counts one try. While nobody is let in it counts nothing.
func (t *tx) try(what string, limit int64) (locked time.Time, err error) {
	now := t.Now()
	if _, err := t.exec("insert into tries(what, fails, last_at, until_at) values (?, 0, ?, 0) on conflict (what) do nothing", what, us(now)); err != nil {
		return locked, err
	}
	var fails int64
	counted, err := one(t, "update tries set fails = case when last_at < ? then 1 else fails + 1 end, last_at = ? where what = ? and until_at <= ? returning fails",
		[]any{us(now.Add(-triesKept)), us(now), what, us(now)}, &fails)
	if err != nil {
		return locked, err
	}
	if !counted {
		var until int64
		if _, err := one(t, "select until_at from tries where what = ?", []any{what}, &until); err != nil {
			return locked, err
		}
		return locked, &vedette.TooMany{Until: at(until)}
	}
	if fails < limit {
		return locked, nil
	}
	locked = now.Add(min(lockedFirst<<min(fails-limit, 6), lockedMost))
	_, err = t.exec("update tries set until_at = ? where what = ?", us(locked), what)
	return locked, err
}

// giveBack takes back one try that was not wrong, with the lock that it brought.
func (t *tx) giveBack(what string, until time.Time) error {
	_, err := t.exec("update tries set fails = fails - 1, until_at = case when until_at = ? then 0 else until_at end where what = ? and fails > 0", us(until), what)
	return err
}

// locked are the names and networks that nobody is let in under now, with the end of it.
func (s *Store) locked(ctx context.Context) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	err := s.each(ctx, "select what, until_at from tries where until_at > ?", []any{us(s.Now())}, func(scan func(...any) error) error {
		var what string
		var until int64
		err := scan(&what, &until)
		out[what] = at(until)
		return err
	})
	return out, err
}

// sweepSignIn forgets what is over.
func (t *tx) sweepSignIn() error {
	now := t.Now()
	if _, err := t.exec("delete from tries where last_at < ?", us(now.Add(-triesKept))); err != nil {
		return err
	}
	if _, err := t.exec("delete from links where expires_at <= ?", us(now)); err != nil {
		return err
	}
	_, err := t.exec("delete from sessions where expires_at <= ?", us(now))
	return err
}

// LinkTime is how long a sign-in link is good for.
const LinkTime = 15 * time.Minute

// AddLink makes a link that signs a user in once, within LinkTime, and returns
// its token. With reset the link takes the password away that he has, so that
// he can set another.
func (sc *Scoped) AddLink(ctx context.Context, user string, reset bool) (token string, err error) {
	if err := sc.may("user link"); err != nil {
		return "", err
	}
	return sc.s.addLink(ctx, sc.did("user link", user, map[string]string{"reset": strconv.FormatBool(reset)}), reset)
}

// AddLink makes a sign-in link, as Scoped.AddLink does, for the demo.
func (y *System) AddLink(ctx context.Context, user string) (token string, err error) {
	return y.s.addLink(ctx, vedette.Event{Principal: "hub", Verb: "user link", Subject: user}, false)
}

func (s *Store) addLink(ctx context.Context, e vedette.Event, reset bool) (token string, err error) {
	var raw [32]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return "", err
	}
	token = base64.RawURLEncoding.EncodeToString(raw[:])
	hash := sha256.Sum256([]byte(token))
	err = s.update(ctx, func(t *tx) error {
		a, err := t.account(t, e.Subject)
		if err != nil {
			return err
		}
		if a.k == 0 || a.disabled {
			return vedette.NotFound("user %s", e.Subject)
		}
		if err := t.sweepSignIn(); err != nil {
			return err
		}
		if _, err := t.exec("insert into links(hash, user_k, epoch, reset, expires_at) values (?,?,?,?,?)", hash[:], a.k, a.epoch, boolInt(reset), us(t.Now().Add(LinkTime))); err != nil {
			return err
		}
		return t.event(e)
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

// Redeem signs in whoever has the token of a link, once. Whoever has a code
// generator shows a code yet: the link stands for the password only.
func (s *Store) Redeem(ctx context.Context, token, address string) (in vedette.SignedIn, err error) {
	wrong := fmt.Errorf("%w: the link is not valid, or not any more", vedette.ErrAuth)
	from, err := comesFrom(address)
	if err != nil {
		return in, err
	}
	hash := sha256.Sum256([]byte(token))
	err = s.update(ctx, func(t *tx) error {
		var epoch, reset int64
		var name string
		found, err := one(t, "delete from links where hash = ? and expires_at > ? returning epoch, reset, (select name from users where k = user_k)", []any{hash[:], us(t.Now())}, &epoch, &reset, &name)
		if err != nil || !found {
			return orElse(err, wrong)
		}
		a, err := t.account(t, name)
		if err != nil {
			return err
		}
		if a.disabled || a.epoch != epoch {
			return wrong
		}
		if reset == 1 {
			if _, err := t.exec("delete from passwords where user_k = ?", a.k); err != nil {
				return err
			}
			if a.epoch, err = t.endSessions(a.k, name); err != nil {
				return err
			}
		}
		if a.codes {
			in = a.half(t.Now(), "link")
			return nil
		}
		in = a.whole()
		return t.letIn(a, "link", from)
	})
	return inUnless(in, err)
}

// inUnless lets nobody in whom the store could not keep.
func inUnless(in vedette.SignedIn, err error) (vedette.SignedIn, error) {
	if err != nil {
		return vedette.SignedIn{}, err
	}
	return in, nil
}
