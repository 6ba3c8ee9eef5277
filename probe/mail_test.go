package probe

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/vedette-hub/vedette/lab"
)

func TestParseDMARC(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"v=DMARC1; p=reject", "{reject   100 false false}"},
		{"v=DMARC1;p=none;sp=quarantine;np=reject;pct=50;rua=mailto:a@x.example,mailto:b@y.example!10m;", "{none quarantine reject 50 false true}"},
		{" v = DMARC1 ; P=reject ", "!it has no policy"}, // names of tags have their case
		{"v=DMARC1; p=Reject; t=y; psd=n; fo=1; rf=afrf; ri=86400; adkim=s; aspf=r", "{reject   100 true false}"},
		{"v=DMARC1; rua=mailto:a@x.example", "{none   100 false true}"},
		{"v=DMARC1; unknown=1; p=none", "{none   100 false false}"},
		{"v=DMARC1", "!it has no policy"}, {"v=DMARC1; p=rejct", "!"}, {"v=DMARC1; p=", "!"}, {"v=DMARC1; p=none; pct=101", "!"}, {"v=DMARC1; p=none; pct=x", "!"},
		{"v=DMARC1; p=none; p=reject", "!p stands twice"}, {"v=DMARC1; p=none; rua=a@x.example", "!rua is no list of addresses"}, {"v=DMARC1; p=none; sp=some", "!"},
		{"v=DMARC1; p=none;; rua=mailto:a@x.example", "!it has an empty tag"}, {"v=DMARC1; p none", "!"}, {"v=DMARC1 p=none", "!no DMARC record"},
		{"v=dmarc1; p=none", "!no DMARC record"}, {"p=none; v=DMARC1", "!no DMARC record"}, {"v=DMARC12; p=none", "!no DMARC record"}, {"v=DMARC1; p=none; adkim=x", "!"}, {"", "!"},
	} {
		r, err := parseDMARC(c.text)
		got := fmt.Sprint(r)
		if err != nil {
			got = "!" + err.Error()
		}
		if got != c.want && !(c.want == "!" && err != nil) {
			t.Errorf("%q: %q, not %q", c.text, got, c.want)
		}
	}
}

// dkimText is a key record of a fresh RSA key.
func dkimText(t *testing.T, bits int, pkcs1 bool) string {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0") // weak keys are what is looked for
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	if pkcs1 {
		der = x509.MarshalPKCS1PublicKey(&k.PublicKey)
	}
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

func TestParseDKIM(t *testing.T) {
	edwards := base64.StdEncoding.EncodeToString(make([]byte, ed25519.PublicKeySize))
	for _, c := range []struct{ text, want string }{
		{"v=DKIM1; k=rsa; p=" + dkimText(t, 2048, false), "rsa 2048"},
		{"p=" + dkimText(t, 1024, true), "rsa 1024"},
		{"v=DKIM1; t=y:s; p=" + dkimText(t, 512, false), "rsa 512 (testing)"},
		{"v=DKIM1; k=ed25519; p=" + edwards, "ed25519 256"},
		{"v=DKIM1; p=", "revoked"}, {"v=DKIM1; t=y; p= ;", "revoked (testing)"},
		{"v=DKIM1; k=ed25519; p=AAAA", "!"}, {"v=DKIM1; k=rsa; p=" + edwards, "!"}, {"v=DKIM1; k=dsa; p=" + edwards, "!"}, {"v=DKIM1; p=%%%", "!"},
		{"v=DKIM2; p=", "!"}, {"v=DKIM1; k=rsa", "!it has no key"}, {"", "!it has no key"}, {"google-site-verification=x p=y", "!"},
	} {
		k, err := parseDKIM(c.text)
		got := k.String()
		if err != nil {
			got = "!" + err.Error()
		}
		if got != c.want && !(c.want == "!" && err != nil) {
			t.Errorf("%q: %q, not %q", c.text, got, c.want)
		}
	}
}

func FuzzDMARC(f *testing.F) {
	for _, s := range []string{"v=DMARC1; p=none; rua=mailto:a@x.example; pct=5", "v=DMARC1;p=reject;sp=;", "v=DMARC1;;", "=;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseDMARC(s)
		if err == nil && (!isDMARC(s) || r.policy == "" || r.ofSubdomains() == "" || r.percent < 0 || r.percent > 100) {
			t.Errorf("%q: %+v", s, r)
		}
	})
}

func FuzzDKIM(f *testing.F) {
	for _, s := range []string{"v=DKIM1; k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAA==", "k=ed25519;p=AAAA", "p=", "t=y:s;p=MA=="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := parseDKIM(s); err == nil && !k.revoked && k.bits <= 0 {
			t.Errorf("%q: %+v", s, k)
		}
	})
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{`a\;b`: "a;b", `\"q\"`: `"q"`, `\\`: `\`, `\009\200x`: "\t\xc8x", `\`: `\`, `\25`: "25", `\999`: "999", "": ""} {
		if got := unescape(in); got != want {
			t.Errorf("%q: %q, not %q", in, got, want)
		}
	}
}

// mailZone is a domain of a test.
func mailZone(domain string, records ...string) lab.Zone {
	return lab.Zone{Origin: domain, Records: records}
}

func TestMail(t *testing.T) {
	key, weak := dkimText(t, 2048, false), dkimText(t, 512, false)
	dkim := func(sel, p string) string {
		return fmt.Sprintf(`%s._domainkey IN TXT "v=DKIM1; p=%s" "%s"`, sel, p[:60], p[60:])
	}
	const spf, dmarc = `@ IN TXT "v=spf1 mx -all"`, `_dmarc IN TXT "v=DMARC1; p=reject; rua=mailto:d@north.example"`
	for _, c := range []struct {
		about, name string
		zone        lab.Zone
		want        string
	}{
		{"all", "all.example", mailZone("all.example", "@ IN MX 10 mx.all.example.", spf, dmarc, dkim("s1", key), `_mta-sts IN TXT "v=STSv1; id=1"`, `_smtp._tls IN TXT "v=TLSRPTv1; rua=mailto:t@all.example"`,
			"_25._tcp.mx IN TLSA 3 1 1 "+strings.Repeat("ab", 32)), ""},
		{"parked", "parked.example", mailZone("parked.example", `@ IN TXT "v=spf1 -all"`), ""},
		{"parked, no mail", "null.example", mailZone("null.example", "@ IN MX 0 .", `@ IN TXT "v=spf1 -all"`), ""},
		{"nothing", "bare.example", mailZone("bare.example"), "dmarc-missing confirmed, spf-missing confirmed"},
		{"several", "two.example", mailZone("two.example", "@ IN MX 1 a", spf, spf+` ""`, `@ IN TXT "v=spf1 ~all"`, dmarc, `_dmarc IN TXT "v=DMARC1; p=none"`), "dmarc-invalid confirmed, spf-invalid confirmed"},
		{"none", "none.example", mailZone("none.example", "@ IN MX 1 a", spf, `_dmarc IN TXT "v=DMARC1; p=none"`), "dmarc-none confirmed"},
		{"none below", "below.example", mailZone("below.example", "@ IN MX 1 a", spf, `_dmarc IN TXT "v=DMARC1; p=reject; sp=none; np=reject; pct=20; t=y"`), "dmarc-none confirmed"},
		{"nearly", "nearly.example", mailZone("nearly.example", "@ IN MX 1 a", spf, `_dmarc IN TXT "v=dmarc1; p=reject"`), "dmarc-invalid confirmed"},
		{"weak key", "weak.example", mailZone("weak.example", "@ IN MX 1 a", spf, dmarc, dkim("default", weak), dkim("s1", key), `s2._domainkey IN TXT "v=DKIM1; p="`, `k1._domainkey IN TXT "v=DKIM1; p=!"`), "dkim-weak-key confirmed"},
		{"below", "mail.org.example", mailZone("org.example", "mail IN MX 1 a", `mail IN TXT "v=spf1 mx -all"`, dmarc), ""},
		{"below, without", "www.org.example", mailZone("org.example", "www IN A 127.0.7.1", dmarc), "no mail domain"},
		{"below an org without", "mail.gro.example", mailZone("gro.example", "mail IN MX 1 a"), "dmarc-missing confirmed, spf-missing confirmed"},
		{"not there", "gone.org.example", mailZone("org.example"), "no mail domain"},
		{"alias", "al.org.example", mailZone("org.example", "al IN CNAME mail", "mail IN MX 1 a"), "no mail domain"},
	} {
		w := newDNSWorld(t, c.zone)
		seen := w.must(Mail, c.name)
		got := strings.Join(dnsReports(seen), ", ")
		if len(seen) == 0 {
			got = "no mail domain"
		}
		if got != c.want {
			t.Errorf("%s: %q, not %q", c.about, got, c.want)
		}
		if len(seen) > 0 {
			goldenDNS(t, "mail-"+c.name, seen)
		}
		if n := w.dialer.Sent().Of("scope"); n != 0 {
			t.Errorf("%s: %d connections of a passive check", c.about, n)
		}
	}
}

// TestMailSilence: where the domain's own records do not come, the look fails.
func TestMailSilence(t *testing.T) {
	w := newDNSWorld(t, mailZone("north.example", "@ IN MX 1 a", "@ IN TXT \"v=spf1 -all\""), lab.Zone{Origin: "_dmarc.north.example", Broken: lab.BrokenServer})
	if out, err := w.look(t.Context(), Mail, "north.example"); err == nil || len(out) != 0 {
		t.Errorf("%v, %v", out, err)
	}
}

func TestTextsAreWhole(t *testing.T) {
	long := strings.Repeat("x", 255)
	w := newDNSWorld(t, lab.Zone{Origin: "north.example", Records: []string{fmt.Sprintf("@ IN TXT %q %q %q", long, `y\`, "z"), `@ IN TXT "a\"b\;c"`}})
	a, err := w.env.Resolver.Ask(t.Context(), "north.example", dns.TypeTXT)
	if want := []string{`a"b;c`, long + `y\z`}; err != nil || !slices.Equal(a.texts(), want) {
		t.Errorf("%q, %v", a.texts(), err)
	}
}
