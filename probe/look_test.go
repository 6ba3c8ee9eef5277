package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/scope"
)

// lookAt works a part and gives the looks by asset.
func lookAt(t *testing.T, env *Env, part vedette.Part) map[string]vedette.Look {
	t.Helper()
	out := map[string]vedette.Look{}
	if err := Look(context.Background(), env, part, func(l vedette.Look) error { out[l.Asset] = l; return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

// covered are the ports that a look says a check looked at; ok is false when none.
func covered(l vedette.Look, check string) (ports string, ok bool) {
	for _, c := range l.Coverage {
		if c.Check == check {
			return c.Ports, true
		}
	}
	return "", false
}

// TestGoneAndWithheld: a name without an address leads nowhere; one whose
// answers do not validate may lead anywhere, and proves nothing of its services.
func TestGoneAndWithheld(t *testing.T) {
	w := newDNSWorld(t, lab.Zone{Origin: "north.example", Records: []string{"@ IN TXT here", "www IN A 127.0.7.1"}},
		lab.Zone{Origin: "bogus.north.example", Broken: lab.BrokenSignature, Records: []string{"@ IN A 127.0.7.4"}})
	var err error
	if w.env.Identify, err = NewRules(); err != nil {
		t.Fatal(err)
	}
	looks := lookAt(t, w.env, vedette.Part{Class: vedette.Active, Names: []string{"none.north.example", "bogus.north.example"}})
	if ports, ok := covered(looks["none.north.example"], ServiceCheck); !ok || ports != "" {
		t.Errorf("a name that does not exist: %+v", looks["none.north.example"])
	}
	if _, ok := covered(looks["bogus.north.example"], ServiceCheck); ok {
		t.Errorf("a name whose answers are held back: %+v", looks["bogus.north.example"])
	}
	if _, ok := covered(looks["bogus.north.example"], DNS.Name); !ok {
		t.Errorf("its look-ups: %+v", looks["bogus.north.example"])
	}
}

// TestClosedAtAll: a port of a name is closed when every address says so. One
// that is silent, refused by the scope or not asked leaves it open whether it is.
func TestClosedAtAll(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	for _, c := range []struct {
		name   string
		addrs  []string
		proves bool
	}{
		{"closed", []string{"127.0.0.1"}, true},
		{"closed at both", []string{"127.0.0.1", "127.0.0.2"}, true},
		{"one is silent", []string{"127.0.0.1", "127.0.0.9"}, false},
		{"the first is silent", []string{"127.0.0.0", "127.0.0.1"}, false},
		{"one is out of the scope", []string{"127.0.0.1", "127.9.0.1"}, false},
		{"more than are asked", []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := safe.NewDialer(true)
			d.Drop = func(to vedette.Target) bool {
				return slices.Contains([]string{"127.0.0.0", "127.0.0.9"}, to.Addr.Addr().String())
			}
			rules := scope.NewRules(vedette.Constituent{ID: "north", Scope: []vedette.ScopeEntry{{CIDR: "127.0.0.0/24", Document: "test", Classes: []vedette.CheckClass{vedette.Active}}}}, nil, true, time.Now)
			env := world(t)
			env.Timeout = 100 * time.Millisecond
			env.Net = d.Scope(rules.Decide, func(vedette.Target, error) {}, safe.NewBrakes(safe.Pace{Connects: 1e6, PerNetwork: 1e6, Constituent: 1e6}))
			for _, a := range c.addrs {
				env.Net.Resolved("www.north.example", netip.MustParseAddr(a))
			}
			k := looker{ctx: t.Context(), env: env, part: vedette.Part{Class: vedette.Active}, at: time.Now()}
			a := k.asset(vedette.Asset{ID: "www.north.example", Kind: vedette.NameAsset})
			a.session(port)
			look := a.done()
			if _, ok := covered(look, ServiceCheck); ok != c.proves || ok == (len(look.Missed) > 0) {
				t.Errorf("%+v", look)
			}
		})
	}
}

// TestNamesAreAskedFor: whether a name may still be looked up is asked when its
// turn comes, not only when the survey was planned.
func TestNamesAreAskedFor(t *testing.T) {
	w := newDNSWorld(t, lab.Zone{Origin: "north.example", Records: []string{"www IN A 127.0.7.1", "shut IN A 127.0.7.2"}})
	var err error
	if w.env.Identify, err = NewRules(); err != nil {
		t.Fatal(err)
	}
	w.env.LookUp = func(name string) error {
		if strings.HasPrefix(name, "shut.") {
			return errors.New("excluded since")
		}
		return nil
	}
	for _, class := range []vedette.CheckClass{vedette.Passive, vedette.Active} {
		looks := lookAt(t, w.env, vedette.Part{Class: class, Names: []string{"www.north.example", "shut.north.example"}, Domains: []string{"shut.north.example"}})
		if _, ok := looks["www.north.example"]; len(looks) != 1 || !ok {
			t.Errorf("%s: %+v", class, looks)
		}
		if got := w.env.Net.Addresses("shut.north.example"); len(got) > 0 {
			t.Errorf("%s: it was looked up: %v", class, got)
		}
	}
}
