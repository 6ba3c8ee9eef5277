package probe

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/lab"
)

// labNames are the kinds of the lab whose IANA name is another.
var labNames = map[string]string{"dns": "domain", "rdp": "ms-wbt-server", "smb": "microsoft-ds", "vnc": "rfb", "memcached": "memcache", "https": "http", "raw": "", "tarpit": ""}

// unnamed are products of the lab that stay unknown: the first two are in no
// rule on purpose, the third tells its kernel to those with a community alone.
var unnamed = []string{"sshd", "mail_relay", "linux_kernel"}

// TestLabTruth: each service of the lab that an address shows is identified as
// what the lab is told to be, with its product, and with those weaknesses of it
// that the checks of services and of TLS look for, and no other.
func TestLabTruth(t *testing.T) {
	t.Parallel()
	in, err := lab.Load(lab.Moved(lab.Default(), 160+os.Getpid()%40))
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Serve(t.Context()); err != nil {
		t.Skipf("the lab does not start here: %v", err)
	}
	pem, err := in.Roots()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	var g together
	var mu sync.Mutex
	looked, right := 0, 0
	for _, row := range in.Truth() {
		a, err := netip.ParseAddr(row.Asset)
		if err != nil || row.Port == 0 || !row.Reachable || row.Service == "any" {
			continue
		}
		g.run(func() {
			env := world(t)
			env.Roots = roots
			ap := in.At(a, row.Port, row.Proto)
			s := Subject{Asset: vedette.Asset{ID: row.Asset, Kind: vedette.AddressAsset}, Addr: ap.Addr(), Port: ap.Port(), Proto: row.Proto}
			got, faults := lookAsLab(t, env, s, row)
			mu.Lock()
			defer mu.Unlock()
			looked++
			if len(faults) == 0 {
				right++
				return
			}
			t.Errorf("%s:%d/%s %s %s %s: %s\n\t%+v", row.Asset, row.Port, row.Proto, row.Service, row.Product, row.Version, strings.Join(faults, "; "), got)
		})
	}
	g.wg.Wait()
	t.Logf("%d services, %d right", looked, right)
}

// lookAsLab looks with both checks and compares with a row of the truth.
func lookAsLab(t *testing.T, env *Env, s Subject, row lab.TruthRow) (vedette.Fact, []string) {
	var faults []string
	f, err := Identify(t.Context(), env, s)
	if err != nil {
		return f, []string{err.Error()}
	}
	want, ok := labNames[row.Service]
	if !ok {
		want = row.Service
	}
	if f.Service != want || f.TLS != row.TLS {
		faults = append(faults, fmt.Sprintf("identified as %q, TLS %v", f.Service, f.TLS))
	}
	s.Service, s.TLS = f.Service, f.TLS
	reports := f.Reports
	if TLS.For(s) {
		err := TLS.Run(t.Context(), env, s, func(o vedette.Observation) { reports = append(reports, o.Fact.Reports...) })
		if err != nil {
			faults = append(faults, "tls: "+err.Error())
		}
	}
	var told []string
	for _, r := range reports {
		told = append(told, r.Weakness)
	}
	for _, w := range row.Weaknesses {
		if ours(w) && !slices.Contains(told, w) {
			faults = append(faults, "missed "+w)
		}
	}
	for _, w := range told {
		if !slices.Contains(row.Weaknesses, w) {
			faults = append(faults, "invented "+w)
		}
	}
	if want != "http" && row.Product != "" && row.Version != "" && !slices.Contains(unnamed, row.Product) && !slices.ContainsFunc(f.Software, func(sw vedette.Software) bool {
		return strings.HasPrefix(sw.Product, row.Product) && strings.HasPrefix(row.Version, sw.Version)
	}) {
		faults = append(faults, fmt.Sprintf("software %v", f.Software))
	}
	return f, faults
}

// ours says whether the checks of services and of TLS look for a weakness.
func ours(w string) bool {
	return strings.HasPrefix(w, "check:tls-") || slices.Contains([]string{"check:telnet-open", "check:redis-no-auth", "check:memcached-open", "check:mongodb-no-auth", "check:vnc-no-auth",
		"check:mqtt-no-auth", "check:smb1", "check:rdp-no-nla", "check:open-resolver", "check:ntp-amplifier"}, w)
}
