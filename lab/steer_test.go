package lab

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/scope"
)

var update = flag.Bool("update", false, "write the golden files")

// at is a clock that stands still.
func at(year int) func() time.Time {
	return func() time.Time { return time.Date(year, 11, 21, 0, 0, 0, 0, time.UTC) }
}

func TestTruth(t *testing.T) {
	in, err := Load(Default())
	if err != nil {
		t.Fatal(err)
	}
	in.Layout, in.Now = Real, at(2026)
	var got bytes.Buffer
	if err := in.WriteTruth(&got); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "truth.jsonl")
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the truth is not that of %s; go test ./lab -run TestTruth -update, and read what changed", golden)
	}
}

// weaknesses that the built-in internet has to have, each at one place at least.
var everyWeakness = strings.Fields(`telnet-open redis-no-auth memcached-open mongodb-no-auth vnc-no-auth mqtt-no-auth smb1 rdp-no-nla
	open-resolver ntp-amplifier tls-legacy-protocol tls-expired tls-untrusted tls-name-mismatch tls-weak-key exposed-git
	directory-listing apache-server-status security-txt-expired spf-missing spf-too-many-lookups spf-allows-all
	dmarc-missing dmarc-none dkim-weak-key zone-transfer dangling-cname`)

func TestTruthStaysInScope(t *testing.T) {
	in, err := Load(Default())
	if err != nil {
		t.Fatal(err)
	}
	in.Layout, in.Now = Real, at(2026)
	seen := map[string]bool{}
	wire := newTripwire(in.d.Tripwire)
	allowed := map[string]bool{}
	for _, a := range wire.allow {
		name, _, _ := strings.Cut(a, ":")
		allowed[name] = true
	}
	for _, r := range in.Truth() {
		for _, w := range r.Weaknesses {
			seen[strings.TrimPrefix(w, "check:")] = true
		}
		if wire.holds(r.Asset) {
			t.Errorf("%+v lies in the tripwire", r)
		}
		if a, err := vedette.ParseAsset(r.Asset); err != nil || a.Kind == vedette.NameAsset && r.Port > 0 && strings.HasPrefix(r.Asset, "former") {
			t.Errorf("%+v is not authorised any more", r)
		}
		delete(allowed, r.Asset)
	}
	for _, w := range everyWeakness {
		if !seen[w] {
			t.Errorf("nothing has check:%s", w)
		}
		delete(seen, w)
	}
	if len(seen) > 0 {
		t.Errorf("unexpected: %v", seen)
	}
	delete(allowed, "former.cedar.example") // who knocks is let in, and hears nothing
	if len(allowed) > 0 {
		t.Errorf("the tripwire allows what the truth does not name: %v", allowed)
	}
	in.Now = at(2040) // all has expired but what names no date
	for _, r := range in.Truth() {
		if r.Constituent == "alder" {
			t.Fatalf("%+v after its authorisation", r)
		}
	}
}

func TestConstituencyIsAFile(t *testing.T) {
	for _, l := range []Layout{Real, High, Single} {
		in, err := Load(Default())
		if err != nil {
			t.Fatal(err)
		}
		in.Layout = l
		file, err := in.ConstituencyFile()
		if err != nil {
			t.Fatal(err)
		}
		got, err := scope.ReadFile(bytes.NewReader(file))
		if err != nil || len(got.Constituents) != 4 {
			t.Errorf("%s: %d constituents, %v", l, len(got.Constituents), err)
		}
		if l != Real && !bytes.Contains(file, []byte("http://www.alder.example:")) {
			t.Errorf("%s: no URL says the port", l)
		}
	}
}

// TestTruthAgreesWithTheRules: what the truth expects, the scope rules allow.
func TestTruthAgreesWithTheRules(t *testing.T) {
	for _, l := range []Layout{Real, High} {
		in, err := Load(Default())
		if err != nil {
			t.Fatal(err)
		}
		in.Layout, in.Now = l, at(2026)
		cs, err := in.Constituency()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range in.Truth() {
			i := slices.IndexFunc(cs, func(c vedette.Constituent) bool { return c.ID == r.Constituent })
			rules := scope.NewRules(cs[i], nil, true, at(2026))
			a, err := netip.ParseAddr(r.Asset)
			if err != nil || r.Port == 0 {
				continue
			}
			if err := rules.Decide(vedette.Target{Network: r.Proto, Addr: netip.AddrPortFrom(a, uint16(r.Port)), Class: vedette.Active}); err != nil {
				t.Errorf("%s: %+v: %v", l, r, err)
			}
		}
	}
}

// TestTheSameEverywhere: a lab that starts again has the same places and the
// same certificates, so that a survey of it sees no change.
func TestTheSameEverywhere(t *testing.T) {
	var truths, certs [2]string
	for i := range truths {
		in, err := Load(Default())
		if err != nil {
			t.Fatal(err)
		}
		in.Layout, in.Now = Single, at(2026)
		var b bytes.Buffer
		if err := in.WriteTruth(&b); err != nil {
			t.Fatal(err)
		}
		ca, err := newAuthority(in.now())
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{certValid, certExpired, certSelfSigned, certWrongName} {
			c, err := ca.leaf(&in.d.Hosts[1], TLS{Cert: kind}, false)
			if err != nil {
				t.Fatal(err)
			}
			b := c.Certificate[0]
			certs[i] += string(b)
		}
		truths[i] = b.String()
	}
	if truths[0] != truths[1] {
		t.Error("the places differ")
	}
	if certs[0] != certs[1] {
		t.Error("the certificates differ")
	}
}

func TestLayouts(t *testing.T) {
	for _, l := range []Layout{High, Single} {
		in, err := Load(Moved(Default(), block()))
		if err != nil {
			t.Fatal(err)
		}
		in.Layout = l
		if l == Single { // the whole takes a thousand ports of an address that all share
			in.d.Hosts, in.d.Tripwire = in.d.Hosts[:3], wirePlan{}
		}
		serve(t, in)
		at := in.At(netip.MustParseAddr(fmt.Sprintf("127.%d.0.10", block())), 22, "tcp")
		if l == High && at.Port() != 20022 || l == Single && at.Addr().String() != "127.0.0.1" {
			t.Errorf("%s: %s", l, at)
		}
		if got := firstLine(t, call(t, in, "0.10", 22, "tcp")); !strings.HasPrefix(got, "SSH-2.0-OpenSSH") {
			t.Errorf("%s: %q", l, got)
		}
		if !slices.ContainsFunc(in.Truth(), func(r TruthRow) bool {
			return r.Asset == at.Addr().String() && r.Port == int(at.Port()) && r.Service == "ssh"
		}) {
			t.Errorf("%s: the truth has no %s", l, at)
		}
		in.Close()
	}
}

func TestWatch(t *testing.T) {
	file := Moved(Default(), block())
	path := filepath.Join(t.TempDir(), "lab.yaml")
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file)
	in := started(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	heard := make(chan error)
	over := make(chan bool)
	go func() {
		defer close(over)
		in.Watch(ctx, path, func(err error) {
			select {
			case heard <- err:
			case <-ctx.Done():
			}
		})
	}()
	time.Sleep(2 * poll) // it has read the file as it is
	hear := func() error {
		t.Helper()
		select {
		case err := <-heard:
			return err
		case <-time.After(20 * time.Second):
			t.Fatal("it did not see the change")
			return nil
		}
	}
	write([]byte("hosts: [{address: 192.0.2.1}]"))
	if hear() == nil {
		t.Error("it took a bad file")
	}
	changed := strings.Replace(string(file), "version: 8.4p1", "version: 9.9p1", 1)
	changed = strings.Replace(changed, "{port: 2222, kind: ssh,", "{port: 2222, kind: ssh, stopped: true,", 1)
	changed = strings.Replace(changed, "www IN A", "renamed IN A", 1)
	write([]byte(changed))
	if err := hear(); err != nil {
		t.Fatal(err)
	}
	if got := firstLine(t, call(t, in, "0.10", 22, "tcp")); got != "SSH-2.0-OpenSSH_9.9p1 Debian-5+deb11u3" {
		t.Errorf("upgraded by the file, it says %q", got)
	}
	if _, err := dial(t.Context(), in, fmt.Sprintf("127.%d.0.11", block()), 2222, "tcp"); err == nil {
		t.Error("stopped by the file, it answers")
	}
	write(file)
	if err := hear(); err != nil {
		t.Fatal(err)
	}
	call(t, in, "0.11", 2222, "tcp")
	cancel()
	<-over
}

func TestFlap(t *testing.T) {
	in := started(t)
	host := fmt.Sprintf("127.%d.0.11", block())
	up := func() bool {
		c, err := dial(t.Context(), in, host, 2222, "tcp")
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	if err := in.Set(host, 2222, Change{Flap: 20 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return !up() })
	until(t, up)
	if err := in.Set(host, 2222, Change{Start: true}); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if time.Sleep(20 * time.Millisecond); !up() {
			t.Fatal("it flaps on")
		}
	}
}

func TestDropWeakness(t *testing.T) {
	in := started(t)
	host := fmt.Sprintf("127.%d.0.15", block())
	if err := in.Set(host, 6379, Change{Drop: []string{"check:redis-no-auth"}}); err != nil {
		t.Fatal(err)
	}
	c := call(t, in, "0.15", 6379, "tcp")
	fmt.Fprint(c, "PING\r\n")
	if got := firstLine(t, c); !strings.HasPrefix(got, "-NOAUTH") {
		t.Errorf("it says %q", got)
	}
	for _, r := range in.Truth() {
		if r.Asset == host && r.Port == 6379 && len(r.Weaknesses) > 0 {
			t.Errorf("the truth is %+v", r)
		}
	}
}

func TestLoss(t *testing.T) {
	in, err := Load(Default())
	if err != nil {
		t.Fatal(err)
	}
	in.Layout = Real
	to := func(s string) vedette.Target {
		return vedette.Target{Network: "tcp", Addr: netip.MustParseAddrPort(s)}
	}
	none, some := in.Drop(0, 1), in.Drop(0.05, 1)
	if !none(to("127.20.1.20:80")) || none(to("127.20.1.20:22")) {
		t.Error("not the filtered port alone is lost")
	}
	lost := 0
	for range 10_000 {
		if some(to("127.20.0.10:22")) {
			lost++
		}
	}
	if lost < 400 || lost > 600 {
		t.Errorf("%d of 10,000 lost", lost)
	}
}

func TestThousand(t *testing.T) {
	in, err := ThousandAt(block()+50, 1000)
	if err != nil {
		t.Fatal(err)
	}
	in.Layout = High
	again, _ := ThousandAt(block()+50, 1000)
	again.Layout = High
	var a, b bytes.Buffer
	in.WriteTruth(&a)
	again.WriteTruth(&b)
	if a.String() != b.String() {
		t.Error("the same number makes another internet")
	}
	if n := bytes.Count(a.Bytes(), []byte("\n")); n < 2500 || n > 3000 {
		t.Errorf("%d services", n)
	}
	before := memory()
	start := time.Now()
	serve(t, in)
	used := memory() - before
	t.Logf("1,000 hosts: %d services in %v, %d KB", len(in.running), time.Since(start), used>>10)
	if used > 100<<20 {
		t.Errorf("%d MB for 1,000 hosts", used>>20)
	}
	c, err := dial(t.Context(), in, fmt.Sprintf("127.%d.3.232", block()+50), 22, "tcp")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := firstLine(t, c); !strings.HasPrefix(got, "SSH-2.0-OpenSSH_9.") {
		t.Errorf("it says %q", got)
	}
	if _, err := Thousand(MaxThousand + 1); err == nil {
		t.Error("more hosts than addresses")
	}
}

// memory is what the process holds of heap and stacks, in bytes.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
