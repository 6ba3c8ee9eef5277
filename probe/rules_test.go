package probe

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/match"
)

func newRules(t *testing.T) *Rules {
	t.Helper()
	r, err := NewRules()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRuleExamples runs the examples that stand in the rule files.
func TestRuleExamples(t *testing.T) {
	rules := newRules(t)
	own, _ := ownRules()
	for _, r := range own {
		used := make([]bool, len(r.See))
		for _, e := range r.Yes {
			var got *vedette.Software
			for _, sw := range rules.Match(e.On, e.Text) {
				if sw.Vendor == r.vendor && (sw.Product == r.name || strings.Contains(r.name, "{")) {
					got = &sw
				}
			}
			if got == nil {
				t.Errorf("%s: %s: %s %q is not seen", r.file, r.Product, e.On, e.Text)
				continue
			}
			if got.Version != e.Version || got.Distro != e.Distro || got.PackageVersion != e.Package {
				t.Errorf("%s: %s: %q gives %+v", r.file, r.Product, e.Text, *got)
			}
			for i := range r.See {
				if _, ok := r.See[i].match(e.Text); ok && r.See[i].On == e.On {
					used[i] = true
				}
			}
		}
		for i, ok := range used {
			if !ok {
				t.Errorf("%s: %s: no example for %s %s", r.file, r.Product, r.See[i].On, r.See[i].Pattern)
			}
		}
		for _, e := range r.No {
			for i := range r.See {
				if _, ok := r.See[i].match(e.Text); ok && r.See[i].On == e.On {
					t.Errorf("%s: %s: %s %q is taken for it", r.file, r.Product, e.On, e.Text)
				}
			}
		}
		if len(r.No) == 0 || r.Title == "" {
			t.Errorf("%s: %s: no counter-example or no title", r.file, r.Product)
		}
	}
	t.Logf("%d own rules, %d keys", len(own), len(rules.Keys()))
}

// TestPackaging: what the rules read of a package is what the matcher reads of
// the raw version text.
func TestPackaging(t *testing.T) {
	rules := newRules(t)
	tests := []struct{ key, text, raw string }{
		{"ssh.banner", "OpenSSH_8.4p1 Debian-5+deb11u3", "8.4p1 Debian 5+deb11u3"},
		{"ssh.banner", "OpenSSH_8.9p1 Ubuntu-3ubuntu0.6", "8.9p1 Ubuntu 3ubuntu0.6"},
		{"http_header.server", "Apache/2.4.62 (Debian)", "2.4.62 (Debian)"},
		{"http_header.server", "Apache/2.4.37 (Red Hat Enterprise Linux)", "2.4.37 (Red Hat Enterprise Linux)"},
		{"http_header.server", "nginx/1.18.0 (Ubuntu)", "1.18.0 (Ubuntu)"},
		{"mysql.banner", "8.0.36-0ubuntu0.22.04.1", "8.0.36-0ubuntu0.22.04.1"},
		{"mysql.banner", "5.5.5-10.5.23-MariaDB-0+deb11u1", "10.5.23-0+deb11u1"},
		{"dns.versionbind", "9.16.50-1~deb11u2-Debian", "9.16.50-1~deb11u2-Debian"},
	}
	for _, x := range tests {
		list := rules.Match(x.key, x.text)
		if len(list) == 0 {
			t.Errorf("%s %q: nothing", x.key, x.text)
			continue
		}
		got, want := list[0], match.Unpack(vedette.Software{Version: x.raw})
		if got.Version != want.Version || got.Distro != want.Distro || got.PackageVersion != want.PackageVersion {
			t.Errorf("%q: %q %q %q, the matcher reads %q %q %q", x.text, got.Version, got.Distro, got.PackageVersion, want.Version, want.Distro, want.PackageVersion)
		}
		if again := match.Unpack(got); again != got {
			t.Errorf("%q: the matcher reads more: %+v", x.text, again)
		}
	}
}

func TestMatchExactly(t *testing.T) {
	rules := newRules(t)
	tests := []struct {
		key, text string
		want      []vedette.Software
	}{
		{"ssh.banner", "OpenSSH_8.4p1 Debian-5+deb11u3", []vedette.Software{{Vendor: "openbsd", Product: "openssh", Version: "8.4p1",
			CPE: "cpe:2.3:a:openbsd:openssh:8.4:p1:*:*:*:*:*:*", Distro: "debian:11", PackageVersion: "8.4p1-5+deb11u3"}}},
		{"http_header.server", "Apache/2.4.6 (CentOS) OpenSSL/1.0.2k-fips PHP/5.4.16", []vedette.Software{
			{Vendor: "apache", Product: "http_server", Version: "2.4.6", CPE: "cpe:2.3:a:apache:http_server:2.4.6:*:*:*:*:*:*:*", Distro: "centos"},
			{Vendor: "openssl", Product: "openssl", Version: "1.0.2k", CPE: "cpe:2.3:a:openssl:openssl:1.0.2k:*:*:*:*:*:*:*", Distro: "centos"},
			{Vendor: "php", Product: "php", Version: "5.4.16", CPE: "cpe:2.3:a:php:php:5.4.16:*:*:*:*:*:*:*", Distro: "centos"}}},
		{"http_header.server", "nginx", []vedette.Software{{Vendor: "f5", Product: "nginx"}}},
		{"ssh.banner", "no such thing", nil},
		{"no.such.key", "OpenSSH_8.4p1", nil},
	}
	for _, x := range tests {
		if got := rules.Match(x.key, x.text); !slices.Equal(got, x.want) {
			t.Errorf("%s %q:\n got %+v\nwant %+v", x.key, x.text, got, x.want)
		}
	}
	var none *Rules
	if none.Match("ssh.banner", "OpenSSH_8.4p1") != nil || new(Rules).Match("ssh.banner", "OpenSSH_8.4p1") != nil || none.Keys() != nil {
		t.Error("rules from nothing")
	}
}

const packXML = `<?xml version="1.0"?>
<fingerprints matches="ssh.banner">
  <fingerprint pattern="^OpenSSH_([\d.]+)">
    <param pos="0" name="service.vendor" value="OpenBSD"/><param pos="0" name="service.product" value="OpenSSH"/>
    <param pos="1" name="service.version"/><param pos="0" name="service.cpe23" value="cpe:/a:openbsd:openssh:{service.version}"/>
    <param pos="0" name="os.vendor" value="Debian"/><param pos="0" name="os.product" value="Linux"/><param pos="0" name="os.version" value="12"/>
    <param pos="0" name="os.cpe23" value="cpe:/o:debian:debian_linux:12"/>
  </fingerprint>
  <fingerprint pattern="^Acme (\d+)">
    <param pos="0" name="service.vendor" value="Acme"/><param pos="0" name="service.product" value="Shell"/>
    <param pos="0" name="service.cpe23" value="cpe:/a:acme:acme_shell:-"/>
    <param pos="0" name="os.vendor" value="Acme"/><param pos="0" name="os.product" value="Box OS"/><param pos="1" name="os.version"/>
    <param pos="0" name="hw.vendor" value="Acme"/><param pos="0" name="hw.product" value="Box"/>
  </fingerprint>
  <fingerprint pattern="^login:"><param pos="0" name="service.certainty" value="0.0"/><param pos="0" name="service.product" value="x"/></fingerprint>
</fingerprints>`

func TestPacks(t *testing.T) {
	rules, err := NewRules(fstest.MapFS{"xml/ssh_banners.xml": {Data: []byte(packXML)}, "xml/telnet_banners.xml": {Data: []byte("<fingerprints/>")}, "README.md": {Data: []byte("<")}})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(rules.Keys(), "telnet.banner") {
		t.Errorf("%v", rules.Keys())
	}
	tests := []struct {
		text string
		want []vedette.Software
	}{
		{"OpenSSH_9.2", []vedette.Software{{Vendor: "openbsd", Product: "openssh", Version: "9.2", CPE: "cpe:2.3:a:openbsd:openssh:9.2:*:*:*:*:*:*:*", Distro: "debian:12"}}},
		{"Acme 7", []vedette.Software{{Vendor: "acme", Product: "acme_shell"}, {Vendor: "Acme", Product: "Box OS", Version: "7"}, {Vendor: "Acme", Product: "Box"}}},
		{"login:", nil},
	}
	for _, x := range tests {
		if got := rules.Match("ssh.banner", x.text); !slices.Equal(got, x.want) {
			t.Errorf("%q:\n got %+v\nwant %+v", x.text, got, x.want)
		}
	}
	if _, err := NewRules(fstest.MapFS{"bad.xml": {Data: []byte("<!DOCTYPE a [<!ENTITY b 'c'>]><fingerprints/>")}}); err == nil {
		t.Error("a document type with entities is read")
	}
}

// FuzzMatch: whatever a host says, what becomes software of it is short, can be
// shown, and stands once.
func FuzzMatch(f *testing.F) {
	rules, err := NewRules(fstest.MapFS{"ssh_banners.xml": {Data: []byte(packXML)}})
	if err != nil {
		f.Fatal(err)
	}
	own, _ := ownRules()
	for _, r := range own {
		for _, e := range r.Yes {
			f.Add(e.On, e.Text)
		}
	}
	f.Add("ssh.banner", "OpenSSH_8.4p1 Debian-5\x1b[2J")
	f.Add("ssh.banner", "Acme "+strings.Repeat("7", 500))
	f.Fuzz(func(t *testing.T, key, text string) {
		list := rules.Match(key, text)
		for i, sw := range list {
			for _, s := range []string{sw.Vendor, sw.Product, sw.Version, sw.Distro, sw.PackageVersion, sw.CPE} {
				if len(s) > 512 || !showable(s) {
					t.Fatalf("%q", s)
				}
			}
			if sw.Product == "" {
				t.Fatalf("%+v", sw)
			}
			for _, other := range list[:i] {
				if sameProduct(sw, other) {
					t.Fatalf("%+v twice", sw)
				}
			}
		}
	})
}
