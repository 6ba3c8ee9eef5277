package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/vedette-hub/vedette"
)

// PasskeyHandle is the user handle of one's own passkeys (WebAuthn Level 3
// §5.4.3): 64 random bytes that say nothing of the person, made when first asked for.
func (sc *Scoped) PasskeyHandle(ctx context.Context) (handle []byte, err error) {
	if err := sc.self(); err != nil {
		return nil, err
	}
	err = sc.s.update(ctx, func(t *tx) error {
		fresh := make([]byte, 64)
		if _, err := rand.Read(fresh); err != nil {
			return err
		}
		found, err := one(t, "update users set handle = coalesce(handle, ?) where name = ? and disabled_at is null returning handle", []any{fresh, sc.p.Name}, &handle)
		if err == nil && !found {
			err = vedette.NotFound("user %s", sc.p.Name)
		}
		return err
	})
	return handle, err
}

// self refuses what only a person does to his own sign-in, by a session.
func (sc *Scoped) self() error {
	if sc.p.Name == "" || sc.p.Token != "" {
		return vedette.Refused("%s is no person who signed in", sc.p.Name)
	}
	return nil
}

// maxPasskeys is how many passkeys one person may have.
const maxPasskeys = 20

// AddPasskey keeps a new passkey of one's own that the caller has verified.
func (sc *Scoped) AddPasskey(ctx context.Context, k vedette.Passkey) error {
	if err := sc.self(); err != nil {
		return err
	}
	if len(k.ID) == 0 || len(k.ID) > 1023 || !json.Valid(k.Body) || k.Name == "" || len(k.Name) > 100 {
		return vedette.Invalid("a passkey needs an id, a record and a name of 100 bytes at most")
	}
	return sc.changeSignIn(ctx, "user passkeys", sc.p.Name, func(t *tx, a account) (map[string]string, error) {
		var have int
		if _, err := one(t, "select count(*) from passkeys where user_k = ?", []any{a.k}, &have); err != nil {
			return nil, err
		}
		if have >= maxPasskeys {
			return nil, vedette.Conflict("%s has %d passkeys: take one away first", sc.p.Name, have)
		}
		n, err := t.exec("insert into passkeys(id, user_k, name, sign_count, body, made_at) values (?,?,?,?,?,?) on conflict (id) do nothing", k.ID, a.k, k.Name, int64(k.SignCount), string(k.Body), us(t.Now()))
		if err == nil && n == 0 {
			err = vedette.Conflict("the passkey is known")
		}
		return map[string]string{"added": k.Name}, err
	})
}

// Passkeys are those of a user: one's own, or anybody's for who manages users.
func (sc *Scoped) Passkeys(ctx context.Context, user string) ([]vedette.Passkey, error) {
	if err := sc.mayFor("user passkeys", user); err != nil {
		return nil, err
	}
	return sc.s.passkeys(sc.reader(ctx), "u.name = ?", user)
}

func (s *Store) passkeys(q querier, where string, arg any) (out []vedette.Passkey, err error) {
	err = q.each("select p.id, u.name, p.name, p.sign_count, p.body, p.made_at, coalesce(p.used_at, 0) from passkeys p join users u on u.k = p.user_k where "+where+" order by p.made_at, p.id", []any{arg}, func(scan func(...any) error) error {
		var k vedette.Passkey
		var made, used, count int64
		var body string
		err := scan(&k.ID, &k.User, &k.Name, &count, &body, &made, &used)
		k.SignCount, k.Body, k.Created, k.Used = uint32(count), []byte(body), at(made), at(used)
		out = append(out, k)
		return err
	})
	return out, err
}

// RemovePasskeys takes the passkeys of a user away that have a name, all of
// them when it is "", and ends his sessions.
func (sc *Scoped) RemovePasskeys(ctx context.Context, user, name string) error {
	return sc.changeSignIn(ctx, "user passkeys", user, func(t *tx, a account) (map[string]string, error) {
		n, err := t.exec("delete from passkeys where user_k = ? and (name = ? or ? = '')", a.k, name, name)
		if err != nil || n == 0 {
			return nil, orElse(err, vedette.NotFound("%s has no such passkey", user))
		}
		_, err = t.endSessions(a.k, user)
		return map[string]string{"removed": name, "n": itoa(n)}, err
	})
}

// PasskeysOf are the passkeys of whoever a user handle is of, for a sign-in
// that begins without a name. An unknown handle and a disabled user have none.
func (s *Store) PasskeysOf(ctx context.Context, handle []byte) ([]vedette.Passkey, error) {
	if len(handle) == 0 {
		return nil, nil
	}
	return s.passkeys(reader{s, ctx}, "u.disabled_at is null and u.handle = ?", handle)
}

// SignInPasskey signs in whoever's passkey it is. The caller has verified the
// assertion, user verification included; k holds the id, the new count and the
// new record. A count that did not grow is a copy of the authenticator, and
// refused (WebAuthn Level 3 §6.1.1).
func (s *Store) SignInPasskey(ctx context.Context, k vedette.Passkey, address string) (in vedette.SignedIn, err error) {
	from, err := comesFrom(address)
	if err != nil {
		return in, err
	}
	copied := false
	err = s.update(ctx, func(t *tx) error {
		have, err := t.passkeys(t, "u.disabled_at is null and p.id = ?", k.ID)
		if err != nil || len(have) == 0 {
			return orElse(err, errSignIn)
		}
		n, err := t.exec("update passkeys set sign_count = ?, body = ?, used_at = ? where id = ? and (sign_count < ? or sign_count = 0 and ? = 0)", int64(k.SignCount), string(k.Body), us(t.Now()), k.ID, int64(k.SignCount), int64(k.SignCount))
		if err != nil {
			return err
		}
		if copied = n == 0; copied {
			return t.refusedIn(have[0].User, map[string]string{"why": "passkey copied", "passkey": have[0].Name, "address": from.String()})
		}
		a, err := t.account(t, have[0].User)
		if err != nil {
			return err
		}
		in = a.whole()
		return t.letIn(a, "passkey "+have[0].Name, from)
	})
	if err == nil && copied {
		err = errSignIn
	}
	return inUnless(in, err)
}

// MapSubject says who a user is at a provider of identities.
func (sc *Scoped) MapSubject(ctx context.Context, who vedette.Subject) error {
	if err := sc.may("user subject"); err != nil {
		return err
	}
	if err := checkSubject(who); err != nil {
		return err
	}
	return sc.changeSignIn(ctx, "user subject", who.User, func(t *tx, a account) (map[string]string, error) {
		if err := t.mapSubject(a.k, who); err != nil {
			return nil, err
		}
		return map[string]string{"issuer": who.Issuer, "subject": who.Subject}, nil
	})
}

func checkSubject(who vedette.Subject) error {
	if !strings.HasPrefix(who.Issuer, "https://") && !strings.HasPrefix(who.Issuer, "http://") || who.Subject == "" || len(who.Subject) > 255 || len(who.Issuer) > 1000 {
		return vedette.Invalid("%q at %q: a subject is a text of 255 bytes at most, at the URL of its issuer", who.Subject, who.Issuer)
	}
	return nil
}

// mapSubject maps a subject that is nobody's yet; the same again changes nothing.
func (t *tx) mapSubject(user int64, who vedette.Subject) error {
	if _, err := t.exec("insert into subjects(issuer, subject, user_k, made_at) values (?,?,?,?) on conflict (issuer, subject) do nothing", who.Issuer, who.Subject, user, us(t.Now())); err != nil {
		return err
	}
	var k int64
	_, err := one(t, "select user_k from subjects where issuer = ? and subject = ?", []any{who.Issuer, who.Subject}, &k)
	if err == nil && k != user {
		err = vedette.Conflict("the subject %s of %s is another user", who.Subject, who.Issuer)
	}
	return err
}

// UnmapSubjects forgets who a user is elsewhere, and ends his sessions.
func (sc *Scoped) UnmapSubjects(ctx context.Context, user string) error {
	if err := sc.may("user subject"); err != nil {
		return err
	}
	return sc.changeSignIn(ctx, "user subject", user, func(t *tx, a account) (map[string]string, error) {
		n, err := t.exec("delete from subjects where user_k = ?", a.k)
		if err != nil || n == 0 {
			return nil, orElse(err, vedette.NotFound("%s is known nowhere else", user))
		}
		_, err = t.endSessions(a.k, user)
		return map[string]string{"removed": itoa(n)}, err
	})
}

// Subjects are who a user is elsewhere.
func (sc *Scoped) Subjects(ctx context.Context, user string) (out []vedette.Subject, err error) {
	if err := sc.mayFor("user subject", user); err != nil {
		return nil, err
	}
	err = sc.reader(ctx).each("select s.issuer, s.subject, u.name from subjects s join users u on u.k = s.user_k where u.name = ? order by s.issuer, s.subject", []any{user}, func(scan func(...any) error) error {
		var w vedette.Subject
		err := scan(&w.Issuer, &w.Subject, &w.User)
		out = append(out, w)
		return err
	})
	return out, err
}

// SignInSubject signs in whom a provider vouches for; the caller has verified
// the token. With rights, those of the provider's groups, the user has just
// these from now on, and one who is not known yet is added under who.User (or
// what its subject gives when that is no user name); never under the name of
// somebody else, whom MapSubject has to map. Without rights the user keeps his
// own and has to be known. Rights without a role let nobody in.
func (s *Store) SignInSubject(ctx context.Context, who vedette.Subject, rights *vedette.Principal, address string) (in vedette.SignedIn, err error) {
	from, err := comesFrom(address)
	if err != nil {
		return in, err
	}
	if err := checkSubject(who); err != nil {
		return in, err
	}
	why := ""
	err = s.update(ctx, func(t *tx) (err error) {
		var a account
		if a, why, err = t.ofSubject(who, rights); err != nil {
			return err
		}
		if why != "" {
			return t.refusedIn(a.p.Name, map[string]string{"why": why, "address": from.String(), "issuer": who.Issuer, "subject": who.Subject})
		}
		in = a.whole()
		return t.letIn(a, "issuer "+who.Issuer, from)
	})
	if err == nil && why != "" {
		err = errSignIn
	}
	return inUnless(in, err)
}

// ofSubject is the user of a subject with the rights he has now; why says what
// keeps him out.
func (t *tx) ofSubject(who vedette.Subject, rights *vedette.Principal) (a account, why string, err error) {
	var name string
	known, err := one(t, "select u.name from subjects s join users u on u.k = s.user_k where s.issuer = ? and s.subject = ?", []any{who.Issuer, who.Subject}, &name)
	if err != nil {
		return a, "", err
	}
	if !known {
		name = subjectName(who)
	}
	if a, err = t.account(t, name); err != nil {
		return a, "", err
	}
	switch {
	case known && a.disabled:
		return a, "disabled", nil
	case rights == nil && !known:
		return account{}, "unknown", nil
	case rights == nil:
		return a, "", nil
	case len(rights.Roles) == 0:
		return a, "no group gives a role", nil
	case !known && a.k != 0:
		return a, "the name is another user's", nil
	}
	u := *rights
	u.Name = name
	if err := t.addUser(u); err != nil {
		return a, "", fmt.Errorf("the groups of %s: %w", name, err)
	}
	if a, err = t.account(t, name); err != nil {
		return a, "", err
	}
	return a, "", t.mapSubject(a.k, who)
}

// subjectName is the name of a user whom a provider brings: the local part of
// what it calls him, or else one made of the subject.
func subjectName(who vedette.Subject) string {
	name, _, _ := strings.Cut(strings.ToLower(who.User), "@")
	if userName.MatchString(name) && !slices.Contains(ours, name) {
		return name
	}
	sum := sha256.Sum256([]byte(who.Issuer + "\n" + who.Subject))
	return "user-" + hex.EncodeToString(sum[:5])
}
