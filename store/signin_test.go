package store_test

import (
	"context"
	"encoding/base32"
	"errors"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/credential"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

const (
	good    = "four words are easy"
	wrong   = "four words are wrong"
	address = "192.0.2.7:4711"
)

// door is a store with people, and a clock that the test turns.
type door struct {
	t     *testing.T
	s     *store.Store
	sc    *store.Scoped // of local, who manages users
	mu    sync.Mutex
	clock time.Time
}

func (d *door) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clock
}

func (d *door) pass(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clock = d.clock.Add(by)
}

func newDoor(t *testing.T, place string) *door {
	d := &door{t: t, clock: time.Date(2026, 3, 1, 9, 0, 5, 0, time.UTC)}
	opt := store.Options{Now: d.now, Secret: t.TempDir() + "/secret.key"}
	d.s = storetest.Open(t, place, opt)
	d.sc = d.as(vedette.Local())
	for _, name := range []string{"analyst", "lead"} {
		d.ok(d.sc.AddUser(context.Background(), vedette.Principal{Name: name, Roles: []vedette.Role{vedette.Role(name)}}))
	}
	d.ok(d.sc.SetPassword(context.Background(), "analyst", good))
	return d
}

func (d *door) as(p vedette.Principal) *store.Scoped {
	d.t.Helper()
	sc, err := d.s.As(context.Background(), p)
	d.ok(err)
	return sc
}

func (d *door) ok(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// is fails the test unless the error is of a kind.
func (d *door) is(err, kind error) {
	d.t.Helper()
	if !errors.Is(err, kind) {
		d.t.Fatalf("the error is %v, not of the kind %v", err, kind)
	}
}

func (d *door) in(name, password, code string) (vedette.SignedIn, error) {
	return d.s.SignIn(context.Background(), vedette.Attempt{Name: name, Password: password, Code: code, Address: address})
}

// enrol gives the analyst a code generator and returns its secret and the recovery codes.
func (d *door) enrol() (secret []byte, recovery []string) {
	d.t.Helper()
	uri, err := d.sc.BeginCodes(context.Background(), "analyst")
	d.ok(err)
	u, err := url.Parse(uri)
	d.ok(err)
	secret, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(u.Query().Get("secret"))
	d.ok(err)
	recovery, err = d.sc.ConfirmCodes(context.Background(), "analyst", d.code(secret))
	d.ok(err)
	return secret, recovery
}

func (d *door) code(secret []byte) string { return credential.Code(secret, d.now().Unix()/30) }

// record is the text of all events.
func (d *door) record() string {
	d.t.Helper()
	es, err := d.sc.Events(context.Background(), store.EventFilter{Limit: 1000})
	d.ok(err)
	var b strings.Builder
	for _, e := range es {
		b.WriteString(e.Principal + "," + e.Verb + "," + e.Subject + "," + e.Reason)
		for _, k := range slices.Sorted(maps.Keys(e.Detail)) {
			b.WriteString("," + k + "=" + e.Detail[k])
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestSignIn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		d := newDoor(t, place)
		ctx := context.Background()
		in, err := d.in(" Analyst ", good, "")
		d.ok(err)
		if in.Second || in.Principal.Name != "analyst" || !in.Principal.Has(vedette.Analyst) {
			t.Fatalf("%+v", in)
		}
		p, err := d.s.PrincipalOf(ctx, in.Session)
		d.ok(err)
		if p.Name != "analyst" || !slices.Equal(p.Roles, []vedette.Role{vedette.Analyst}) {
			t.Fatalf("%+v", p)
		}
		d.ok(d.sc.AddUser(ctx, vedette.Principal{Name: "gone", Roles: []vedette.Role{vedette.Analyst}}))
		d.ok(d.sc.SetPassword(ctx, "gone", good))
		d.ok(d.sc.DisableUser(ctx, "gone"))
		said := ""
		for _, c := range []struct{ name, password string }{{"analyst", wrong}, {"analyst", ""}, {"nobody", good}, {"gone", good}, {"lead", ""}, {"local", good}, {"", ""}, {good, "analyst"}, {"analyst/0", good}, {"lead", strings.Repeat("x", 5000)}} {
			_, err := d.in(c.name, c.password, "")
			d.is(err, vedette.ErrAuth)
			if said == "" {
				said = err.Error()
			}
			if err.Error() != said {
				t.Errorf("%q, %q: %q, not %q", c.name, c.password, err, said)
			}
		}
		rec := d.record()
		for _, want := range []string{"analyst,sign in,analyst,,address=192.0.2.7,by=password\n", "sign-in,sign in failed,analyst,,address=192.0.2.7,why=password\n", "sign-in,sign in failed,gone,,address=192.0.2.7,why=disabled", "sign-in,sign in failed,,,address=192.0.2.7,why=unknown"} {
			if !strings.Contains(rec, want) {
				t.Errorf("the record lacks %q:\n%s", want, rec)
			}
		}
		if strings.Contains(rec, "four words") {
			t.Errorf("the record has a password:\n%s", rec)
		}
		if _, err := d.s.SignIn(ctx, vedette.Attempt{Name: "analyst", Password: good}); !errors.Is(err, vedette.ErrInvalid) {
			t.Errorf("without an address: %v", err)
		}
	})
}

// TestNobodyIsAnsweredAlike: whoever does not exist costs the store the same
// queries as whoever does.
func TestNobodyIsAnsweredAlike(t *testing.T) {
	var asked []string
	clock := time.Date(2026, 3, 1, 9, 0, 5, 0, time.UTC)
	s := storetest.Open(t, t.TempDir(), store.Options{Now: func() time.Time { return clock }, Hook: func(op, q string) error {
		asked = append(asked, op+" "+q)
		return nil
	}})
	d := &door{t: t, s: s, clock: clock}
	ctx := context.Background()
	sc := d.as(vedette.Local())
	for _, name := range []string{"analyst", "gone", "fresh"} {
		d.ok(sc.AddUser(ctx, vedette.Principal{Name: name, Roles: []vedette.Role{vedette.Analyst}}))
	}
	d.ok(sc.SetPassword(ctx, "analyst", good))
	d.ok(sc.SetPassword(ctx, "gone", good))
	d.ok(sc.DisableUser(ctx, "gone"))
	var want []string
	for _, name := range []string{"analyst", "gone", "fresh", "nobody"} {
		asked = nil
		_, err := d.in(name, wrong, "123456")
		d.is(err, vedette.ErrAuth)
		if want == nil {
			want = asked
		}
		if !slices.Equal(asked, want) {
			t.Errorf("%s:\n%s\nnot\n%s", name, strings.Join(asked, "\n"), strings.Join(want, "\n"))
		}
	}
}

// tooMany fails the test unless nobody is let in, and says for how long.
func (d *door) tooMany(err error) time.Duration {
	d.t.Helper()
	var tm *vedette.TooMany
	if !errors.As(err, &tm) || !errors.Is(err, vedette.ErrAuth) {
		d.t.Fatalf("%v, not too many tries", err)
	}
	return tm.Until.Sub(d.now())
}

// TestLockout: five tries, then a minute, two, four and so on to an hour, for a
// name that is somebody's and one that is not.
func TestLockout(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		d := newDoor(t, place)
		for _, name := range []string{"analyst", "nobody"} {
			from := 0
			try := func(password string) error { // from many networks, so that the name alone counts
				from++
				_, err := d.s.SignIn(context.Background(), vedette.Attempt{Name: name, Password: password, Address: netip.AddrFrom4([4]byte{198, 51, 100, byte(from)}).String()})
				return err
			}
			for range 5 {
				d.is(try(wrong), vedette.ErrAuth)
			}
			for _, minutes := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
				if got := d.tooMany(try(good)); got != minutes*time.Minute { // the right one as well
					t.Errorf("%s is locked for %v, not %d minutes", name, got, minutes)
				}
				d.pass(minutes * time.Minute)
				d.is(try(wrong), vedette.ErrAuth)
			}
			if name == "analyst" {
				us, err := d.sc.Users(context.Background())
				d.ok(err)
				if us[0].Name != name || us[0].Locked.IsZero() || !us[1].Locked.IsZero() {
					t.Errorf("%+v", us)
				}
				d.pass(time.Hour)
				d.ok(try(good)) // it passes by itself, and is forgotten
				for range 5 {
					d.is(try(wrong), vedette.ErrAuth)
				}
				d.tooMany(try(good))
				d.ok(d.sc.Unlock(context.Background(), name, "")) // or somebody forgets it
				d.ok(try(good))
			}
		}
		if rec := d.record(); strings.Count(rec, "sign in locked") != 9+1+9 || !strings.Contains(rec, "sign-in,sign in locked,analyst,,address=198.51.100.5,until=2026-03-01T09:01:05Z,what=name") || strings.Contains(rec, "nobody") {
			t.Errorf("the record:\n%s", rec)
		}
	})
}

// TestLockoutOfANetwork: many names from one address, or one /64.
func TestLockoutOfANetwork(t *testing.T) {
	d := newDoor(t, t.TempDir())
	ctx := context.Background()
	try := func(i int, address string) error {
		_, err := d.s.SignIn(ctx, vedette.Attempt{Name: "guess" + string(rune('a'+i)), Password: wrong, Address: address})
		return err
	}
	for i := range 20 {
		d.is(try(i, "[2001:db8::"+string(rune('1'+i%9))+"]:443"), vedette.ErrAuth)
	}
	d.tooMany(try(21, "2001:db8::ffff:1"))
	if got := d.tooMany(try(22, "2001:db8::2%eth0")); got != time.Minute {
		t.Errorf("locked for %v", got)
	}
	if err := try(23, "2001:db8:0:1::1"); errors.As(err, new(*vedette.TooMany)) {
		t.Error("another /64 is locked")
	}
	_, err := d.in("analyst", good, "")
	d.ok(err)
	d.ok(d.sc.Unlock(ctx, "analyst", "2001:db8::5"))
	d.is(try(24, "2001:db8::2"), vedette.ErrAuth)
	// what is right gives its try back: an office locks itself out by mistakes only
	for range 5 {
		if _, err := d.in("analyst", good, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// TestManyAtOnce: guesses side by side are as many guesses as one after another.
func TestManyAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		d := newDoor(t, place)
		var wg sync.WaitGroup
		var mu sync.Mutex
		judged, refused := 0, 0
		for i := range 24 {
			wg.Go(func() {
				_, err := d.s.SignIn(context.Background(), vedette.Attempt{Name: "analyst", Password: wrong, Address: netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}).String()})
				mu.Lock()
				defer mu.Unlock()
				if errors.As(err, new(*vedette.TooMany)) {
					refused++
				} else if errors.Is(err, vedette.ErrAuth) {
					judged++
				} else {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if judged != 5 || refused != 19 {
			t.Errorf("%d were judged, %d refused", judged, refused)
		}
	})
}

// TestLockoutSurvivesARestart, and the clock of the store alone opens it.
func TestLockoutSurvivesARestart(t *testing.T) {
	d := newDoor(t, t.TempDir())
	place := t.TempDir()
	open := func() *store.Store {
		s, err := store.Open(context.Background(), place, store.Options{Now: d.now})
		d.ok(err)
		return s
	}
	try := func(s *store.Store) error {
		defer s.Close()
		_, err := s.SignIn(context.Background(), vedette.Attempt{Name: "nobody", Password: wrong, Address: address})
		return err
	}
	for range 5 {
		d.is(try(open()), vedette.ErrAuth)
	}
	d.tooMany(try(open()))
	d.pass(time.Minute)
	if err := try(open()); errors.As(err, new(*vedette.TooMany)) {
		t.Error("still locked")
	}
}

// TestCodesOfAPerson: the second proof, each code once.
func TestCodesOfAPerson(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		d := newDoor(t, place)
		ctx := context.Background()
		if _, err := d.sc.ConfirmCodes(ctx, "analyst", "123456"); !errors.Is(err, vedette.ErrInvalid) {
			t.Errorf("nothing was begun: %v", err)
		}
		_, err := d.sc.BeginCodes(ctx, "analyst")
		d.ok(err)
		if _, err := d.sc.ConfirmCodes(ctx, "analyst", "000"); !errors.Is(err, vedette.ErrInvalid) {
			t.Errorf("a wrong first code: %v", err)
		}
		if in, err := d.in("analyst", good, ""); err != nil || in.Second {
			t.Errorf("a generator that was only begun is asked for: %+v, %v", in, err)
		}
		secret, recovery := d.enrol()
		if len(recovery) != 10 {
			t.Fatal(recovery)
		}
		if _, err := d.sc.BeginCodes(ctx, "analyst"); !errors.Is(err, vedette.ErrConflict) {
			t.Errorf("another generator: %v", err)
		}
		used := d.code(secret)
		half, err := d.in("analyst", good, "")
		d.ok(err)
		if !half.Second || len(half.Principal.Roles) > 0 {
			t.Fatalf("%+v", half)
		}
		_, err = d.s.PrincipalOf(ctx, half.Session)
		d.is(err, vedette.ErrAuth)
		_, err = d.s.Second(ctx, half.Session, used, address) // confirmed the generator
		d.is(err, vedette.ErrAuth)
		d.pass(30 * time.Second)
		in, err := d.s.Second(ctx, half.Session, d.code(secret), address)
		d.ok(err)
		_, err = d.s.PrincipalOf(ctx, in.Session)
		d.ok(err)
		_, err = d.s.Second(ctx, half.Session, d.code(secret), address) // replayed
		d.is(err, vedette.ErrAuth)
		_, err = d.in("analyst", good, recovery[3])
		d.ok(err)
		_, err = d.in("analyst", good, recovery[3])
		d.is(err, vedette.ErrAuth)
		_, err = d.in("analyst", good, strings.ToLower(recovery[4]))
		d.ok(err)
		// half of it holds for ten minutes, and not as a whole
		for _, bad := range []string{in.Session, "", "analyst/1/password", "analyst/1/password/x", "////", "nobody/0/password/" + strings.Split(half.Session, "/")[3]} {
			_, err = d.s.Second(ctx, bad, recovery[5], address)
			d.is(err, vedette.ErrAuth)
		}
		d.pass(10 * time.Minute)
		_, err = d.s.Second(ctx, half.Session, recovery[5], address)
		d.is(err, vedette.ErrAuth)
		us, err := d.sc.Users(ctx)
		d.ok(err)
		if u := us[0]; !u.Codes || u.Recovery != 8 || !u.Password {
			t.Errorf("%+v", u)
		}
		d.ok(d.sc.RemoveCodes(ctx, "analyst"))
		_, err = d.s.PrincipalOf(ctx, in.Session)
		d.is(err, vedette.ErrAuth)
		if in, err := d.in("analyst", good, ""); err != nil || in.Second {
			t.Errorf("%+v, %v", in, err)
		}
		rec := d.record()
		for _, c := range append(recovery, used, base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)) {
			if strings.Contains(rec, c) {
				t.Errorf("the record has %s:\n%s", c, rec)
			}
		}
		if !strings.Contains(rec, "by=password and recovery code") || !strings.Contains(rec, "why=code") {
			t.Errorf("the record:\n%s", rec)
		}
	})
}

// TestGuessingCodes: whoever has the password does not guess codes for ever.
func TestGuessingCodes(t *testing.T) {
	d := newDoor(t, t.TempDir())
	secret, _ := d.enrol()
	for range 5 {
		half, err := d.in("analyst", good, "")
		d.ok(err)
		_, err = d.s.Second(context.Background(), half.Session, "000000", address)
		d.is(err, vedette.ErrAuth)
	}
	_, err := d.in("analyst", good, "")
	d.tooMany(err)
	d.pass(time.Minute)
	half, err := d.in("analyst", good, "") // the try is given back with the lock it brought
	d.ok(err)
	_, err = d.s.Second(context.Background(), half.Session, d.code(secret), address)
	d.ok(err)
}

// TestTheKey: what is sealed opens with its key only, and nothing is made anew
// over it.
func TestTheKey(t *testing.T) {
	clock := time.Date(2026, 3, 1, 9, 0, 5, 0, time.UTC)
	storetest.Each(t, func(t *testing.T, place string) {
		file := filepath.Join(t.TempDir(), "key")
		d := &door{t: t, clock: clock}
		ctx := context.Background()
		open := func(file string) {
			d.s = storetest.Open(t, place, store.Options{Now: d.now, Secret: file})
			d.sc = d.as(vedette.Local())
		}
		open("")
		d.ok(d.sc.AddUser(ctx, vedette.Principal{Name: "analyst", Roles: []vedette.Role{vedette.Analyst}}))
		d.ok(d.sc.SetPassword(ctx, "analyst", good))
		if store.IsURL(place) {
			_, err := d.sc.BeginCodes(ctx, "analyst")
			if d.is(err, vedette.ErrInvalid); !strings.Contains(err.Error(), "VEDETTE_SECRET_FILE") {
				t.Error(err)
			}
			open(file)
		} else {
			file = filepath.Join(place, store.SecretFile)
		}
		secret, recovery := d.enrol()
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatal(info, err)
		}
		d.ok(os.Rename(file, file+".away"))
		d.pass(30 * time.Second)
		_, err := d.in("analyst", good, d.code(secret))
		if d.is(err, vedette.ErrUnavailable); !strings.Contains(err.Error(), "is missing") {
			t.Error(err)
		}
		_, err = d.in("analyst", good, recovery[0]) // needs no key
		d.ok(err)
		d.ok(d.sc.AddUser(ctx, vedette.Principal{Name: "lead", Roles: []vedette.Role{vedette.Lead}}))
		_, err = d.sc.BeginCodes(ctx, "lead")
		d.is(err, vedette.ErrUnavailable)
		if _, err := os.Stat(file); err == nil {
			t.Error("another key was made over what is sealed")
		}
		d.ok(os.WriteFile(file, []byte(strings.Repeat("ab", 32)), 0o600))
		_, err = d.in("analyst", good, d.code(secret))
		if d.is(err, vedette.ErrUnavailable); !strings.Contains(err.Error(), "another key") {
			t.Error(err)
		}
		d.ok(os.Rename(file+".away", file))
		_, err = d.in("analyst", good, d.code(secret))
		d.ok(err)
	})
}

// TestFaultsWhileSigningIn fails every call of the store in turn: nobody is let
// in, the error is the fault and no answer about the password, and the try
// that then works is let in.
func TestFaultsWhileSigningIn(t *testing.T) {
	fault := errors.New("injected fault")
	left := -1
	clock := time.Date(2026, 3, 1, 9, 0, 5, 0, time.UTC)
	s := storetest.Open(t, t.TempDir(), store.Options{Now: func() time.Time { return clock }, Hook: func(op, q string) error {
		if left--; left == 0 {
			return fault
		}
		return nil
	}})
	d := &door{t: t, s: s, clock: clock}
	ctx := context.Background()
	sc := d.as(vedette.Local())
	d.ok(sc.AddUser(ctx, vedette.Principal{Name: "analyst", Roles: []vedette.Role{vedette.Analyst}}))
	d.ok(sc.SetPassword(ctx, "analyst", good))
	link, err := sc.AddLink(ctx, "analyst", false)
	d.ok(err)
	for name, do := range map[string]func() (vedette.SignedIn, error){
		"password": func() (vedette.SignedIn, error) { return d.in("analyst", good, "") },
		"wrong":    func() (vedette.SignedIn, error) { return d.in("analyst", wrong, "") },
		"link":     func() (vedette.SignedIn, error) { return s.Redeem(ctx, link, address) },
	} {
		for n := 1; ; n++ {
			d.ok(sc.Unlock(ctx, "analyst", address)) // each fault leaves a try that was counted
			left = n
			in, err := do()
			done := left > 0
			left = -1
			if done {
				if name == "wrong" {
					d.is(err, vedette.ErrAuth)
				} else {
					d.ok(err)
				}
				break
			}
			if !errors.Is(err, fault) || errors.Is(err, vedette.ErrAuth) || in.Session != "" || in.Principal.Name != "" {
				t.Errorf("%s, fault %d: %+v, %v", name, n, in, err)
			}
		}
	}
}
