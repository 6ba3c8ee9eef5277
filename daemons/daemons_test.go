//go:build linux

package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette"
)

func TestUpstream(t *testing.T) {
	for pkg, want := range map[string]string{
		"1:9.2p1-2+deb12u10": "9.2p1", "2.4.71-1~deb12u1": "2.4.71", "1:2.3.19.1+dfsg1-2.1+deb12u7": "2.3.19.1", "5:7.0.15-1~deb12u10": "7.0.15",
		"2:4.17.12+dfsg-0+deb12u4": "4.17.12", "2022.83-1+deb12u3": "2022.83", "4.96~rc1-1": "4.96", "1.0": "1.0", "": "",
	} {
		if got := upstream(pkg); got != want {
			t.Errorf("%q: %q, want %q", pkg, got, want)
		}
	}
}

func TestJudge(t *testing.T) {
	const pkg = "1:9.2p1-2+deb12u10"
	ssh := func(version, revision string) vedette.Software {
		return vedette.Software{Vendor: "openbsd", Product: "openssh", Version: version, PackageVersion: revision}
	}
	other := vedette.Software{Vendor: "example", Product: "exampled", Version: "9.2p1"}
	for _, c := range []struct {
		name string
		said []vedette.Software
		want grade
	}{
		{"nothing", nil, nothing},
		{"another product", []vedette.Software{other}, wrong},
		{"the product", []vedette.Software{ssh("", "")}, named},
		{"a bound", []vedette.Software{ssh("9.0 or later", "")}, named},
		{"another version", []vedette.Software{ssh("9.2p2", "")}, wrong},
		{"less of the version", []vedette.Software{ssh("9.2", "")}, wrong},
		{"the version", []vedette.Software{ssh("9.2p1", "")}, exact},
		{"the package", []vedette.Software{ssh("9.2p1", "9.2p1-2+deb12u10")}, sharp},
		{"with its epoch", []vedette.Software{ssh("9.2p1", pkg)}, sharp},
		{"another package", []vedette.Software{ssh("9.2p1", "9.2p1-2+deb12u9")}, wrong},
		{"the best of two", []vedette.Software{ssh("", ""), other, ssh("9.2p1", "")}, exact},
		{"one of two is wrong", []vedette.Software{ssh("9.2p1", ""), ssh("1.0", "")}, wrong},
	} {
		if got, _ := judge(c.said, []string{"openbsd/openssh"}, pkg); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestList: each daemon has an address of the loopback to itself, and says so
// wherever it listens.
func TestList(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range list {
		a, err := netip.ParseAddr(d.addr)
		if err != nil || !a.IsLoopback() || seen[d.addr] || seen[d.name] {
			t.Errorf("%s: %s", d.name, d.addr)
		}
		seen[d.addr], seen[d.name] = true, true
		text := strings.Join(d.run, " ")
		for _, f := range d.files {
			text += f
		}
		if !strings.Contains(text, "{addr}") && d.name != "" {
			t.Errorf("%s does not say where to listen", d.name)
		}
		if len(d.tcp)+len(d.udp) == 0 || len(d.product) == 0 || d.pkg == "" || len(d.run) == 0 || d.run[0][0] != '/' {
			t.Errorf("%s is not whole", d.name)
		}
	}
	if len(list) < 10 {
		t.Errorf("%d daemons", len(list))
	}
}

func TestReadNmap(t *testing.T) {
	got := inName(vedette.Fact{Service: "mosquitto version 2.0.11"})
	if len(got.Software) != 1 || got.Software[0].Version != "2.0.11" {
		t.Errorf("%+v", got)
	}
	out := map[place][]vedette.Fact{}
	if err := readNmap([]byte("<nmaprun>"), out); err == nil || len(out) > 0 {
		t.Errorf("half an answer was read: %v", out)
	}
}
