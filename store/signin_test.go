package store_test

import (
	"context"
	"encoding/base32"
	"errors"
	"maps"
	"net/url"
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
	es, err := d.sc.Events(context.Background(), 0, 1000)
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
