package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// User is a person who may act here.
type User struct {
	vedette.Principal
	Created  time.Time `json:"created"`
	Disabled time.Time `json:"disabled,omitzero"`
	// How he signs in: never what with.
	Password bool      `json:"password"`
	Codes    bool      `json:"codes"`              // a code generator is asked
	Recovery int       `json:"recovery,omitempty"` // recovery codes that are left
	Passkeys int       `json:"passkeys,omitempty"`
	Locked   time.Time `json:"locked,omitzero"` // until when nobody is let in under this name
}

// Token is a credential of a program. The secret itself is shown once and
// never kept: only its hash is.
type Token struct {
	Name         string       `json:"name"`
	User         string       `json:"user,omitempty"` // whose rights an api token has, narrowed
	Role         vedette.Role `json:"role"`
	Constituents []string     `json:"constituents,omitempty"`
	Created      time.Time    `json:"created"`
	Expires      time.Time    `json:"expires,omitzero"`
	Revoked      time.Time    `json:"revoked,omitzero"`
	Used         time.Time    `json:"used,omitzero"` // to the hour
}

// TokenPrefix begins every secret, so that scanners of repositories find a leaked one.
const TokenPrefix = "vedette_"

var userName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// ours are names under which the hub itself acts: a person of that name would
// read its record as his own.
var ours = []string{"local", "hub", "line", "link", "sign-in"}

// AddUser adds a person, or gives a known one other rights.
func (sc *Scoped) AddUser(ctx context.Context, u vedette.Principal) error {
	if err := sc.may("user add"); err != nil {
		return err
	}
	return sc.s.update(ctx, func(t *tx) error {
		if err := t.addUser(u); err != nil {
			return err
		}
		return t.event(sc.did("user add", u.Name, map[string]string{"roles": list(u.Roles), "constituents": list(u.Constituents)}))
	})
}

// addUser adds a person, or gives a known one other rights.
func (t *tx) addUser(u vedette.Principal) error {
	if !userName.MatchString(u.Name) || slices.Contains(ours, u.Name) {
		return vedette.Invalid("user name %q: lower-case letters, digits, and . _ - (none of %s)", u.Name, strings.Join(ours, ", "))
	}
	if len(u.Roles) == 0 {
		return vedette.Invalid("user %s needs a role", u.Name)
	}
	for _, r := range u.Roles {
		if !slices.Contains(vedette.Roles, r) || !r.Person() {
			return vedette.Invalid("%q is not a role of a person", r)
		}
	}
	if u.Has(vedette.Viewer, vedette.Manager, vedette.Assessor) && len(u.Constituents) == 0 {
		return vedette.Invalid("a viewer, manager or assessor needs a constituent")
	}
	for _, c := range u.Constituents {
		if _, err := t.constituentKey(c); err != nil {
			return err
		}
	}
	return t.setUser(u.Name, list(u.Roles), list(u.Constituents), list(u.Orgs))
}

// setUser adds a user or gives him these rights; other ones end his sessions.
func (t *tx) setUser(name, roles, cons, orgs string) error {
	var k int64
	var same bool
	found, err := one(t, "select k, roles = ? and constituents = ? and orgs = ? and disabled_at is null from users where name = ?", []any{roles, cons, orgs, name}, &k, &same)
	if err != nil || same {
		return err
	}
	if found {
		if _, err := t.exec("update users set roles = ?, constituents = ?, orgs = ?, disabled_at = null where k = ?", roles, cons, orgs, k); err != nil {
			return err
		}
		_, err = t.endSessions(k, name)
		return err
	}
	if k, err = t.reserve("users", 1); err != nil {
		return err
	}
	_, err = t.exec("insert into users(k, name, roles, constituents, orgs, created_at) values (?,?,?,?,?,?)", k, name, roles, cons, orgs, us(t.Now()))
	return err
}

func (sc *Scoped) did(verb, subject string, detail map[string]string) vedette.Event {
	return vedette.Event{Principal: sc.p.Name, Token: sc.p.Token, Verb: verb, Subject: subject, Detail: detail}
}

func list[T ~string](items []T) string {
	if items == nil {
		items = []T{}
	}
	b, _ := json.Marshal(items) // strings always marshal
	return string(b)
}

// DisableUser takes all rights away; the tokens that act for him and his
// sessions end with it.
func (sc *Scoped) DisableUser(ctx context.Context, name string) error {
	if err := sc.may("user disable"); err != nil {
		return err
	}
	return sc.s.update(ctx, func(t *tx) error {
		var k int64
		found, err := one(t, "update users set disabled_at = ? where name = ? and disabled_at is null returning k", []any{us(t.Now()), name}, &k)
		if err != nil || !found {
			return orElse(err, vedette.NotFound("user %s", name))
		}
		if _, err := t.endSessions(k, name); err != nil {
			return err
		}
		return t.event(sc.did("user disable", name, nil))
	})
}

// Users are all persons, by name.
func (sc *Scoped) Users(ctx context.Context) ([]User, error) {
	if err := sc.may("user list"); err != nil {
		return nil, err
	}
	return sc.users(ctx, "")
}

// Account is oneself, as whoever signed in.
func (sc *Scoped) Account(ctx context.Context) (User, error) {
	if err := sc.self(); err != nil {
		return User{}, err
	}
	us, err := sc.users(ctx, " where u.name = ?", sc.p.Name)
	if err == nil && len(us) != 1 {
		err = vedette.NotFound("user %s", sc.p.Name)
	}
	if err != nil {
		return User{}, err
	}
	return us[0], nil
}

func (sc *Scoped) users(ctx context.Context, where string, args ...any) ([]User, error) {
	locked, err := sc.s.locked(ctx)
	if err != nil {
		return nil, err
	}
	var out []User
	err = sc.s.each(ctx, "select (select count(*) from passwords p where p.user_k = u.k), (select count(*) from totps t where t.user_k = u.k and t.confirmed_at is not null), (select count(*) from recoveries r where r.user_k = u.k and r.used_at is null), (select count(*) from passkeys k where k.user_k = u.k), u.name, u.roles, u.constituents, u.orgs, u.created_at, u.disabled_at from users u"+where+" order by u.name", args, func(scan func(...any) error) error {
		var passwords, codes, recovery, passkeys int
		u, err := scanUser(func(dest ...any) error {
			return scan(append([]any{&passwords, &codes, &recovery, &passkeys}, dest...)...)
		})
		u.Password, u.Codes, u.Recovery, u.Passkeys, u.Locked = passwords > 0, codes > 0, recovery, passkeys, locked[tryName(u.Name)]
		out = append(out, u)
		return err
	})
	return out, err
}

func scanUser(scan func(...any) error) (u User, err error) {
	var roles, cons, orgs string
	var created int64
	var disabled *int64
	if err = scan(&u.Name, &roles, &cons, &orgs, &created, &disabled); err != nil {
		return u, err
	}
	u.Created = at(created)
	if disabled != nil {
		u.Disabled = at(*disabled)
	}
	for _, f := range []struct {
		text string
		into any
	}{{roles, &u.Roles}, {cons, &u.Constituents}, {orgs, &u.Orgs}} {
		if err := json.Unmarshal([]byte(f.text), f.into); err != nil {
			return u, err
		}
	}
	return u, nil
}

// AddToken makes a token and returns its secret, which is shown this once.
func (sc *Scoped) AddToken(ctx context.Context, tok Token) (secret string, err error) {
	if err := sc.may("token add"); err != nil {
		return "", err
	}
	if !userName.MatchString(tok.Name) {
		return "", vedette.Invalid("token name %q: lower-case letters, digits, and . _ -", tok.Name)
	}
	switch tok.Role {
	case vedette.API:
		if tok.User == "" {
			return "", vedette.Invalid("an api token acts for a user: name it with --user")
		}
	case vedette.Ingest:
		if len(tok.Constituents) != 1 {
			return "", vedette.Invalid("an ingest token is bound to one constituent")
		}
	case vedette.ProbeWorker:
	default:
		return "", vedette.Invalid("a token's role is api, ingest or probe-worker, not %q", tok.Role)
	}
	if !tok.Expires.IsZero() && !tok.Expires.After(sc.s.Now()) {
		return "", vedette.Invalid("the token would expire before it is made")
	}
	var raw [32]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return "", err
	}
	secret = TokenPrefix + base64.RawURLEncoding.EncodeToString(raw[:])
	err = sc.s.update(ctx, func(t *tx) error { return t.addToken(sc, tok, secret) })
	return secret, err
}

func (t *tx) addToken(sc *Scoped, tok Token, secret string) error {
	for _, c := range tok.Constituents {
		if _, err := t.constituentKey(c); err != nil {
			return err
		}
	}
	if tok.User != "" && tok.User != "local" {
		var k int64
		if ok, err := one(t, "select k from users where name = ? and disabled_at is null", []any{tok.User}, &k); err != nil || !ok {
			return orElse(err, vedette.NotFound("user %s", tok.User))
		}
	}
	var k int64
	if ok, err := one(t, "select k from tokens where name = ?", []any{tok.Name}, &k); err != nil || ok {
		return orElse(err, vedette.Conflict("a token %s exists", tok.Name))
	}
	k, err := t.reserve("tokens", 1)
	if err != nil {
		return err
	}
	hash := sha256.Sum256([]byte(secret))
	if _, err := t.exec("insert into tokens(k, name, hash, user_name, role, constituents, created_at, expires_at) values (?,?,?,?,?,?,?,?)",
		k, tok.Name, hash[:], tok.User, string(tok.Role), list(tok.Constituents), us(t.Now()), orNull(tok.Expires)); err != nil {
		return err
	}
	return t.event(sc.did("token add", tok.Name, map[string]string{"role": string(tok.Role), "user": tok.User, "constituents": strings.Join(tok.Constituents, ",")}))
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// RevokeToken ends a token at once.
func (sc *Scoped) RevokeToken(ctx context.Context, name string) error {
	if err := sc.may("token revoke"); err != nil {
		return err
	}
	return sc.s.update(ctx, func(t *tx) error {
		n, err := t.exec("update tokens set revoked_at = ? where name = ? and revoked_at is null", us(t.Now()), name)
		if err == nil && n == 0 {
			err = vedette.NotFound("token %s", name)
		}
		if err != nil {
			return err
		}
		return t.event(sc.did("token revoke", name, nil))
	})
}

// Tokens are all tokens, without their secrets.
func (sc *Scoped) Tokens(ctx context.Context) ([]Token, error) {
	if err := sc.may("token list"); err != nil {
		return nil, err
	}
	var out []Token
	err := sc.s.each(ctx, "select name, user_name, role, constituents, created_at, expires_at, revoked_at, used_at from tokens order by name", nil, func(scan func(...any) error) error {
		tok, err := scanToken(scan)
		out = append(out, tok)
		return err
	})
	return out, err
}

func scanToken(scan func(...any) error) (tok Token, err error) {
	var cons, role string
	var created int64
	var expires, revoked, used *int64
	if err = scan(&tok.Name, &tok.User, &role, &cons, &created, &expires, &revoked, &used); err != nil {
		return tok, err
	}
	tok.Role, tok.Created = vedette.Role(role), at(created)
	for _, f := range []struct {
		us   *int64
		into *time.Time
	}{{expires, &tok.Expires}, {revoked, &tok.Revoked}, {used, &tok.Used}} {
		if f.us != nil {
			*f.into = at(*f.us)
		}
	}
	return tok, json.Unmarshal([]byte(cons), &tok.Constituents)
}

// Authenticate finds the principal of a token's secret. An unknown, expired or
// revoked token and a disabled user look the same.
func (s *Store) Authenticate(ctx context.Context, secret string) (vedette.Principal, error) {
	none := vedette.Principal{}
	wrong := fmt.Errorf("%w: the token is not valid", vedette.ErrAuth)
	hash := sha256.Sum256([]byte(secret))
	r := reader{s, ctx}
	var tok Token
	found := false
	if err := r.each("select name, user_name, role, constituents, created_at, expires_at, revoked_at, used_at from tokens where hash = ?", []any{hash[:]}, func(scan func(...any) error) (err error) {
		found = true
		tok, err = scanToken(scan)
		return err
	}); err != nil {
		return none, err
	}
	now := s.Now()
	if !found || !tok.Revoked.IsZero() || (!tok.Expires.IsZero() && !now.Before(tok.Expires)) {
		return none, wrong
	}
	p := vedette.Principal{Name: "token:" + tok.Name, Roles: []vedette.Role{tok.Role}, Constituents: tok.Constituents, Token: tok.Name}
	if tok.Role == vedette.API {
		u, err := s.userOf(ctx, tok.User)
		if err != nil {
			return none, err
		}
		if u == nil {
			return none, wrong
		}
		p = narrow(*u, tok)
	}
	return p, s.used(ctx, tok, now)
}

// Unclaimed says whether nobody has a token here yet, nor ever did.
func (s *Store) Unclaimed(ctx context.Context) (bool, error) {
	var n int
	_, err := one(reader{s, ctx}, "select count(*) from tokens", nil, &n)
	return n == 0, err
}

// userOf is an enabled user, nil when there is none.
func (s *Store) userOf(ctx context.Context, name string) (*vedette.Principal, error) {
	if name == "local" {
		p := vedette.Local()
		return &p, nil
	}
	var out *vedette.Principal
	err := s.each(ctx, "select name, roles, constituents, orgs, created_at, disabled_at from users where name = ?", []any{name}, func(scan func(...any) error) error {
		u, err := scanUser(scan)
		if err == nil && u.Disabled.IsZero() {
			out = &u.Principal
		}
		return err
	})
	return out, err
}

// narrow gives a token its owner's rights, bound to the token's constituents
// when it names some: never to one that the owner is not bound to.
func narrow(u vedette.Principal, tok Token) vedette.Principal {
	u.Token = tok.Name
	if len(tok.Constituents) == 0 {
		return u
	}
	u.Orgs = nil // narrowed to constituents, it speaks for no other organisation
	if len(u.Constituents) == 0 {
		u.Constituents = tok.Constituents
		return u
	}
	u.Constituents = slices.DeleteFunc(slices.Clone(tok.Constituents), func(c string) bool { return !slices.Contains(u.Constituents, c) })
	if len(u.Constituents) == 0 {
		u.Roles = nil // nothing is left
	}
	return u
}

// used notes when a token was last used, to the hour, so that reading does not
// write each time.
func (s *Store) used(ctx context.Context, tok Token, now time.Time) error {
	if now.Sub(tok.Used) < time.Hour {
		return nil
	}
	return s.update(ctx, func(t *tx) error {
		_, err := t.exec("update tokens set used_at = ? where name = ?", us(now.Truncate(time.Hour)), tok.Name)
		return err
	})
}
