package probe

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/scope"
)

var updateDNS = flag.Bool("update-dns", false, "write the golden files of testdata/dns")

// dnsWorld is a lab's DNS with the world of a run over it.
type dnsWorld struct {
	t       *testing.T
	dns     *lab.DNS
	dialer  *safe.Dialer
	env     *Env
	found   []string
	refused []string
	allowed []vedette.Target
	asked   vedette.Target // the last, as the rules saw it
}

// dnsScope is what the test's constituent may be asked: names of north.example
// and the addresses 127.0.7.0/24.
var dnsScope = vedette.Constituent{ID: "north", Scope: []vedette.ScopeEntry{
	{Domain: "north.example", Subdomains: true, Classes: []vedette.CheckClass{vedette.Active}},
	{CIDR: "127.0.7.0/24", Classes: []vedette.CheckClass{vedette.Active}},
}}

func newDNSWorld(t *testing.T, zones ...lab.Zone) *dnsWorld {
	t.Helper()
	d, err := lab.ServeDNS(t.Context(), "127.0.0.1:0", zones...)
	if err != nil {
		t.Fatal(err)
	}
	w := &dnsWorld{t: t, dns: d, dialer: safe.NewDialer(true, d.Addr())}
	w.renew()
	return w
}

// renew begins another run: nothing is remembered.
func (w *dnsWorld) renew() {
	w.found, w.refused, w.allowed = nil, nil, nil
	rules := scope.NewRules(dnsScope, nil, true, time.Now)
	decide := func(t vedette.Target) error {
		w.asked = t
		err := rules.Decide(t)
		if err == nil {
			w.allowed = append(w.allowed, t)
		}
		return err
	}
	record := func(t vedette.Target, err error) { w.refused = append(w.refused, fmt.Sprintf("%s %v", t.Name, t.Addr)) }
	fast := safe.Pace{Connects: 1000, Requests: 1000, PerNetwork: 1000, Constituent: 1000}
	w.env = &Env{Net: w.dialer.Scope(decide, record, safe.NewBrakes(fast)), Resolver: NewResolver(w.dialer, []string{w.dns.Addr()}, 2*time.Second),
		Timeout: 2 * time.Second, Now: time.Now, Found: func(n string) { w.found = append(w.found, n) }}
}

// look runs a check on a name.
func (w *dnsWorld) look(ctx context.Context, c Check, name string) ([]vedette.Observation, error) {
	w.t.Helper()
	a, err := vedette.ParseAsset(name)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []vedette.Observation
	s := Subject{Asset: a}
	if !c.For(s) {
		w.t.Fatalf("%s is not for %s", c.Name, name)
	}
	err = c.Run(ctx, w.env, s, func(o vedette.Observation) {
		if o.Check == "" {
			o.Check = c.Name
		}
		if o.Check != c.Name && !slices.Contains(c.Also, o.Check) {
			w.t.Errorf("%s emits for %s, which it does not cover", c.Name, o.Check)
		}
		out = append(out, o)
	})
	return out, err
}

// must is look without an error.
func (w *dnsWorld) must(c Check, name string) []vedette.Observation {
	w.t.Helper()
	out, err := w.look(w.t.Context(), c, name)
	if err != nil {
		w.t.Fatalf("%s of %s: %v", c.Name, name, err)
	}
	return out
}

// dnsReports are those reported, sorted.
func dnsReports(list []vedette.Observation) []string {
	var out []string
	for _, o := range list {
		for _, r := range o.Fact.Reports {
			out = append(out, strings.TrimPrefix(r.Weakness, "check:")+" "+string(r.Verdict))
			if r.Note == "" || r.Note[:1] != strings.ToUpper(r.Note[:1]) || !strings.HasSuffix(r.Note, ".") || len(r.Note) > maxDetail {
				out = append(out, "note?")
			}
		}
	}
	slices.Sort(out)
	return out
}

// goldenDNS compares what looks saw with a file.
func goldenDNS(t *testing.T, name string, got any) {
	t.Helper()
	b, err := json.MarshalIndent(got, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, '\n')
	path := filepath.Join("testdata", "dns", name+".json")
	if *updateDNS {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != string(want) {
		t.Errorf("%s:\n%s\nnot\n%s", path, b, want)
	}
}

var northZone = lab.Zone{Origin: "north.example", Records: []string{
	"@ IN A 127.0.7.1", "@ IN AAAA ::1", "@ IN MX 20 mx2.south.example.", "@ IN MX 10 mail",
	"@ IN TXT one", "@ IN TXT two", `@ IN CAA 0 issue "ca.example"`, "_submissions._tcp IN SRV 0 1 465 mail", "_imap._tcp IN SRV 0 0 0 .",
	"@ IN HTTPS 1 . alpn=h2 port=8443", "www IN CNAME web", "web IN A 127.0.7.2", "web IN A 127.0.7.1", "mail IN A 127.0.7.25",
	"old IN CNAME gone.provider.example.", "older IN CNAME shop.unregistered.example.", "odd IN CNAME dead.provider.example.",
}}

var otherZones = []lab.Zone{
	{Origin: "provider.example", Records: []string{"live IN A 127.0.9.9", "dead IN TXT nothing"}},
	{Origin: "signed.example", Signed: true, Records: []string{"@ IN A 127.0.7.3"}},
	{Origin: "bogus.example", Broken: lab.BrokenSignature, Records: []string{"@ IN A 127.0.7.4"}},
	{Origin: "down.example", Broken: lab.BrokenServer},
}

func TestDNS(t *testing.T) {
	w := newDNSWorld(t, append(otherZones, northZone)...)
	for _, name := range []string{"north.example", "www.north.example", "old.north.example", "older.north.example", "odd.north.example", "none.north.example", "signed.example", "bogus.example"} {
		w.renew()
		seen := w.must(DNS, name)
		slices.Sort(w.found)
		goldenDNS(t, "dns-"+name, struct {
			Seen  []vedette.Observation
			Found []string
		}{seen, w.found})
	}
	w.renew()
	if out, err := w.look(t.Context(), DNS, "down.example"); err == nil || len(out) != 0 {
		t.Errorf("servers that are out of order: %v, %v", out, err)
	}
}

// TestDNSTellsTheDialer: the ports and addresses of the records, and no others.
func TestDNSTellsTheDialer(t *testing.T) {
	w := newDNSWorld(t, append(otherZones, northZone)...)
	for _, name := range []string{"north.example", "www.north.example", "mail.north.example", "bogus.example"} {
		w.must(DNS, name)
	}
	for _, c := range []struct {
		name, addr string
		want       bool
	}{
		{"north.example", "127.0.7.1:443", true}, {"north.example", "127.0.7.1:8443", true}, {"north.example", "127.0.7.1:25", false},
		{"north.example", "127.0.7.2:443", false}, {"www.north.example", "127.0.7.2:80", true}, {"mail.north.example", "127.0.7.25:25", true},
		{"mail.north.example", "127.0.7.25:465", true}, {"mail.north.example", "127.0.7.25:143", false}, {"mail.north.example", "127.0.7.25:0", false},
		{"bogus.example", "127.0.7.4:443", false},
	} {
		w.asked = vedette.Target{}
		_ = w.env.Net.May(vedette.Target{Network: "tcp", Addr: netip.MustParseAddrPort(c.addr), Name: c.name, Class: vedette.Active})
		if got := w.asked.Resolved && w.asked.Service; got != c.want {
			t.Errorf("%s at %s: %v (%+v)", c.name, c.addr, got, w.asked)
		}
	}
}

// TestDNSIsStable: the order of records and repeated looks change nothing.
func TestDNSIsStable(t *testing.T) {
	w := newDNSWorld(t, otherZones...)
	var first string
	for i := range 4 {
		z := northZone
		z.Records = slices.Clone(z.Records)
		if i%2 == 1 {
			slices.Reverse(z.Records)
		}
		if err := w.dns.Set(z); err != nil {
			t.Fatal(err)
		}
		w.renew()
		b, _ := json.Marshal(w.must(DNS, "north.example"))
		if first == "" {
			first = string(b)
		}
		if string(b) != first {
			t.Errorf("look %d:\n%s\n%s", i, b, first)
		}
	}
}
