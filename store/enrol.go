package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/credential"
	"github.com/vedette-hub/vedette/policy"
)

// changeSignIn does what somebody does to the sign-in of a user, his own or as
// whoever manages users, and records it; change gives the detail.
func (sc *Scoped) changeSignIn(ctx context.Context, act policy.Act, user string, change func(*tx, account) (map[string]string, error)) error {
	if err := sc.mayFor(act, user); err != nil {
		return err
	}
	return sc.s.update(ctx, func(t *tx) error {
		a, err := t.account(t, user)
		if err != nil || a.k == 0 {
			return orElse(err, vedette.NotFound("user %s", user))
		}
		detail, err := change(t, a)
		if err != nil {
			return err
		}
		return t.event(sc.did(string(act), user, detail))
	})
}

// SetPassword gives a user another password and ends his sessions. It is for
// whoever manages users; a person changes his own with ChangePassword.
func (sc *Scoped) SetPassword(ctx context.Context, user, password string) error {
	if err := sc.may("user password"); err != nil {
		return err
	}
	return sc.setPassword(ctx, user, password, nil)
}

// ChangePassword changes one's own password and ends one's sessions; the one
// it returns goes on. The old password counts as a try to sign in; who has
// none, as after a link that took it away, needs none.
func (sc *Scoped) ChangePassword(ctx context.Context, old, password, address string) (in vedette.SignedIn, err error) {
	a, err := sc.s.account(sc.reader(ctx), sc.p.Name)
	if err != nil {
		return in, err
	}
	if a.k == 0 || a.disabled || sc.p.Token != "" {
		return in, vedette.Refused("%s has no password to change", sc.p.Name)
	}
	if a.hash != "" {
		if _, err := sc.s.proof(ctx, sc.p.Name, address, func(a account) (vedette.SignedIn, string, error) {
			ok, _, err := sc.s.holds(ctx, old, a.hash)
			if err != nil || !ok {
				return in, "password", err
			}
			return a.half(sc.s.Now(), "password"), "", nil // gives the try back, and lets nobody in
		}); err != nil {
			return in, err
		}
	}
	if err := sc.setPassword(ctx, sc.p.Name, password, &a.epoch); err != nil {
		return in, err
	}
	a.epoch++
	return a.whole(), nil
}

// setPassword keeps a password, where epoch is given only while it is the user's.
func (sc *Scoped) setPassword(ctx context.Context, user, password string, epoch *int64) error {
	if why := credential.Fit(user, password); why != "" {
		return vedette.Invalid("%s", why)
	}
	hash, err := credential.Hash(password)
	if err != nil {
		return err
	}
	return sc.changeSignIn(ctx, "user password", user, func(t *tx, a account) (map[string]string, error) {
		if epoch != nil && *epoch != a.epoch {
			return nil, vedette.Conflict("the sign-in of %s was changed meanwhile", user)
		}
		if _, err := t.exec("insert into passwords(user_k, hash, set_at) values (?,?,?) on conflict (user_k) do update set hash = excluded.hash, set_at = excluded.set_at", a.k, hash, us(t.Now())); err != nil {
			return nil, err
		}
		_, err := t.endSessions(a.k, user)
		return nil, err
	})
}

// Issuer is what code generators call the hub.
const Issuer = "vedette"

// BeginCodes makes the secret of a code generator and returns the otpauth:// URI
// that shows it, this once. It is asked for when ConfirmCodes has had a first
// code. A generator in use has to be taken away before.
func (sc *Scoped) BeginCodes(ctx context.Context, user string) (uri string, err error) {
	secret, err := credential.NewSecret()
	if err != nil {
		return "", err
	}
	err = sc.changeSignIn(ctx, "user totp", user, func(t *tx, a account) (map[string]string, error) {
		if a.codes {
			return nil, vedette.Conflict("%s has a code generator: take it away first", user)
		}
		key, err := t.sealer(t, true)
		if err != nil {
			return nil, err
		}
		sealed, err := key.Seal(sealPlace(user), secret)
		if err != nil {
			return nil, err
		}
		_, err = t.exec("insert into totps(user_k, sealed, made_at, step) values (?,?,?,0) on conflict (user_k) do update set sealed = excluded.sealed, made_at = excluded.made_at, step = 0", a.k, sealed, us(t.Now()))
		return map[string]string{"state": "begun"}, err
	})
	if err != nil {
		return "", err
	}
	return credential.Enrolment(Issuer, user, secret), nil
}

// sealPlace binds a sealed secret to its user: it opens in no other row.
func sealPlace(user string) string { return "totp " + user }

// ConfirmCodes takes the first code of a new generator. From then on a code is
// asked for; the recovery codes it returns are shown this once.
func (sc *Scoped) ConfirmCodes(ctx context.Context, user, code string) (recovery []string, err error) {
	hashes := make([][]byte, credential.RecoveryCodes)
	recovery = make([]string, len(hashes))
	for i := range recovery {
		if recovery[i], err = credential.NewRecovery(); err != nil {
			return nil, err
		}
		hashes[i], _ = credential.RecoveryHash(recovery[i])
	}
	err = sc.changeSignIn(ctx, "user totp", user, func(t *tx, a account) (map[string]string, error) {
		if a.codes {
			return nil, vedette.Conflict("the code generator of %s is confirmed", user)
		}
		ok, err := t.useTOTP(a, code)
		if err != nil || !ok {
			return nil, orElse(err, vedette.Invalid("the code is not the one of the new generator now: is the clock right?"))
		}
		if _, err := t.exec("update totps set confirmed_at = ? where user_k = ?", us(t.Now()), a.k); err != nil {
			return nil, err
		}
		if _, err := t.exec("delete from recoveries where user_k = ?", a.k); err != nil {
			return nil, err
		}
		first, err := t.reserve("recoveries", len(hashes))
		for i := 0; err == nil && i < len(hashes); i++ {
			_, err = t.exec("insert into recoveries(k, user_k, hash) values (?,?,?)", first+int64(i), a.k, hashes[i])
		}
		return map[string]string{"state": "confirmed"}, err
	})
	if err != nil {
		return nil, err
	}
	return recovery, nil
}

// RemoveCodes takes the code generator and the recovery codes of a user away
// and ends his sessions. It is for whoever manages users: a stolen session must
// not do it.
func (sc *Scoped) RemoveCodes(ctx context.Context, user string) error {
	if err := sc.may("user totp"); err != nil {
		return err
	}
	return sc.changeSignIn(ctx, "user totp", user, func(t *tx, a account) (map[string]string, error) {
		n, err := t.exec("delete from totps where user_k = ?", a.k)
		if err != nil || n == 0 {
			return nil, orElse(err, vedette.NotFound("%s has no code generator", user))
		}
		if _, err := t.exec("delete from recoveries where user_k = ?", a.k); err != nil {
			return nil, err
		}
		_, err = t.endSessions(a.k, user)
		return map[string]string{"state": "removed"}, err
	})
}

// Unlock lets a user try again at once, and an address when one is given.
func (sc *Scoped) Unlock(ctx context.Context, user, address string) error {
	if err := sc.may("user unlock"); err != nil {
		return err
	}
	return sc.changeSignIn(ctx, "user unlock", user, func(t *tx, a account) (map[string]string, error) {
		if _, err := t.exec("delete from tries where what = ?", tryName(user)); err != nil || address == "" {
			return nil, err
		}
		from, err := comesFrom(address)
		if err != nil {
			return nil, err
		}
		_, err = t.exec("delete from tries where what = ?", tryFrom(from))
		return map[string]string{"address": address}, err
	})
}

// useCode takes a code of the generator, or a recovery code, of a user: each
// once. kind says which it was, "" when it is neither.
func (s *Store) useCode(ctx context.Context, a account, code string) (kind string, err error) {
	err = s.update(ctx, func(t *tx) error {
		if hash, ok := credential.RecoveryHash(code); ok {
			n, err := t.exec("update recoveries set used_at = ? where user_k = ? and hash = ? and used_at is null", us(t.Now()), a.k, hash)
			if n == 1 {
				kind = "recovery code"
			}
			return err
		}
		ok, err := t.useTOTP(a, code)
		if ok {
			kind = "code"
		}
		return err
	})
	return kind, err
}

// useTOTP takes a code of the generator, whose step is later than the last.
func (t *tx) useTOTP(a account, code string) (ok bool, err error) {
	var sealed []byte
	var last int64
	found, err := one(t, "select sealed, step from totps where user_k = ?", []any{a.k}, &sealed, &last)
	if err != nil || !found {
		return false, err
	}
	key, err := t.sealer(t, false)
	if err != nil {
		return false, err
	}
	secret, err := key.Open(sealPlace(a.p.Name), sealed)
	if err != nil {
		return false, fmt.Errorf("%w: the code generator of %s: %w (%s is not the key it was sealed with)", vedette.ErrUnavailable, a.p.Name, err, t.secretFile())
	}
	step := credential.Step(secret, code, t.Now(), last)
	if step == 0 {
		return false, nil
	}
	n, err := t.exec("update totps set step = ? where user_k = ? and step < ?", step, a.k, step)
	return n == 1, err
}

// secretFile is where the key is, "" when nobody said.
func (s *Store) secretFile() string {
	if s.opt.Secret != "" || s.path == "" {
		return s.opt.Secret
	}
	return filepath.Join(filepath.Dir(s.path), SecretFile)
}

// SecretFile is the name of the key in an embedded data folder. A backup does
// not hold it.
const SecretFile = "secret.key"

// sealer is the key of the store. A new one is made only while nothing is sealed: another
// key would open nothing.
func (s *Store) sealer(q querier, begin bool) (*credential.Key, error) {
	file := s.secretFile()
	if file == "" {
		return nil, vedette.Invalid("code generators need a key outside of the database: name its file in VEDETTE_SECRET_FILE")
	}
	k, err := credential.LoadKey(file)
	if !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			err = fmt.Errorf("%w: the key of the store: %w", vedette.ErrUnavailable, err)
		}
		return k, err
	}
	var sealed int
	if _, err := one(q, "select count(*) from totps", nil, &sealed); err != nil {
		return nil, err
	}
	if !begin || sealed > 0 {
		return nil, fmt.Errorf("%w: the key %s is missing, and %d code generators are sealed with it: bring it back, or take them away (vedette user totp NAME --remove)", vedette.ErrUnavailable, file, sealed)
	}
	return credential.MakeKey(file)
}
