package probe

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/lab"
)

const goodPolicy = "version: STSv1\r\nmode: enforce\r\nmx: mail.north.example\r\nmx: *.south.example\r\nmax_age: 604800\r\n"

func TestParseSTSPolicy(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{goodPolicy, "{enforce 604800 [mail.north.example *.south.example]}"},
		{strings.ReplaceAll(goodPolicy, "\r", ""), "{enforce 604800 [mail.north.example *.south.example]}"},
		{"max_age: 0\nmode: none\nunknown-key: x\n\nversion: STSv1", "{none 0 []}"},
		{"", "!version is not STSv1"}, {"version: STSv2\nmode: none\nmax_age: 1", "!version is not STSv1"}, {"version: STSv1\nmax_age: 1\nmx: a.example", "!"},
		{"version: STSv1\nmode: on\nmax_age: 1\nmx: a.example", "!"}, {"version: STSv1\nmode: enforce\nmax_age: 1", "!it names no mx"}, {"version: STSv1\nmode: enforce\nmx: a.example", "!max_age is missing"},
		{"version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 31557601", "!"}, {"version: STSv1\nmode: enforce\nmx: a.example\nmax_age: -1", "!"}, {"version: STSv1\nmode: enforce\nmx:\nmax_age: 1", "!"},
		{"version: STSv1\nmode: enforce\nmx: a..b\nmax_age: 1", "!"}, {"<html>", "!line 1 is no key and value"}, {"version: STSv1\nmo de: enforce", "!"},
	} {
		p, err := parseSTSPolicy(c.text)
		got := fmt.Sprint(p)
		if err != nil {
			got = "!" + err.Error()
		}
		if got != c.want && !(c.want == "!" && err != nil) {
			t.Errorf("%q: %q, not %q", c.text, got, c.want)
		}
	}
	p, _ := parseSTSPolicy(goodPolicy)
	for mx, want := range map[string]bool{"mail.north.example": true, "a.south.example": true, "south.example": false, "a.b.south.example": false, "x.example": false, "": false} {
		if p.holds(mx) != want {
			t.Errorf("%s: %v", mx, !want)
		}
	}
}

func TestAnnounced(t *testing.T) {
	for _, c := range []struct {
		texts []string
		n     int
		ok    bool
	}{
		{[]string{"v=STSv1; id=20260101;"}, 1, true}, {[]string{"v=STSv1;id=1", "other"}, 1, true}, {[]string{"v=STSv1; id=1", "v=STSv1; id=2"}, 2, false},
		{[]string{"v=STSv1"}, 1, false}, {[]string{"v=STSv1; id=a-b"}, 1, false}, {[]string{"v=STSv1; id=" + strings.Repeat("1", 33)}, 1, false}, {[]string{"v=STSv12; id=1", "V=STSV1; id=1"}, 0, false}, {nil, 0, false},
	} {
		if n, ok := announced(c.texts); n != c.n || ok != c.ok {
			t.Errorf("%q: %d, %v", c.texts, n, ok)
		}
	}
}

func FuzzSTSPolicy(f *testing.F) {
	f.Add(goodPolicy)
	f.Add("version: STSv1\nmode: none\nmax_age: 1\nmx: *.")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseSTSPolicy(s)
		if err == nil && (p.maxAge < 0 || p.mode == "" || p.mode != "none" && len(p.mx) == 0) {
			t.Errorf("%q: %+v", s, p)
		}
		for _, mx := range p.mx {
			p.holds(mx)
		}
		announced([]string{s})
	})
}

// policyServer serves answers over TLS on an address; it returns port and authority.
func policyServer(t *testing.T, addr, name, answer string) (uint16, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skipf("this machine has no %s: %v", addr, err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				s := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
				if r, err := http.ReadRequest(bufio.NewReader(s)); err == nil && r.URL.Path == "/.well-known/mta-sts.txt" {
					io.WriteString(s, answer)
					s.CloseWrite()
				}
			}()
		}
	}()
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return netip.MustParseAddrPort(l.Addr().String()).Port(), roots
}

func TestMTASTS(t *testing.T) {
	ok := "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
	zone := lab.Zone{Origin: "north.example", Records: []string{"@ IN MX 1 mail", `_mta-sts IN TXT "v=STSv1; id=1"`, "mta-sts IN A 127.0.7.43"}}
	with := func(more ...string) lab.Zone {
		z := zone
		z.Records = append(slices.Clone(z.Records), more...)
		return z
	}
	for _, c := range []struct {
		about, cert, answer string
		zone                lab.Zone
		want                string // a piece of the note
	}{
		{"right", "mta-sts.north.example", ok + goodPolicy, zone, ""},
		{"other mail exchanger", "mta-sts.north.example", ok + goodPolicy, with("@ IN MX 2 other"), "other.north.example is not in the policy"},
		{"other name", "www.north.example", ok + goodPolicy, zone, "certificate"},
		{"redirect", "mta-sts.north.example", "HTTP/1.1 302 Found\r\nLocation: https://127.0.9.1/\r\n\r\n", zone, "answers 302"},
		{"a page", "mta-sts.north.example", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + goodPolicy, zone, "text/plain"},
		{"no policy", "mta-sts.north.example", ok + "hello", zone, "no policy"},
		{"huge", "mta-sts.north.example", ok + goodPolicy + strings.Repeat("x: y\n", 1<<16), zone, ""},
		{"two records", "mta-sts.north.example", "", with(`_mta-sts IN TXT "v=STSv1; id=2"`), "2 records"},
		{"nothing announced", "", "", lab.Zone{Origin: "north.example"}, "-"},
		{"no host", "", "", lab.Zone{Origin: "north.example", Records: []string{`_mta-sts IN TXT "v=STSv1; id=1"`}}, "has no address"},
	} {
		port, roots := policyServer(t, "127.0.7.43:0", c.cert, c.answer)
		w := newDNSWorld(t, c.zone)
		seen := w.must(mtaSTS(port, roots), "north.example")
		got := "-"
		if len(seen) > 0 {
			if got = ""; len(seen[0].Fact.Reports) > 0 {
				got = seen[0].Fact.Reports[0].Note
			}
		}
		if !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s: %q, not %q", c.about, got, c.want)
		}
		if c.about == "right" {
			goldenDNS(t, "mta-sts-north.example", seen)
		}
	}
}

// TestMTASTSStaysInside: a domain outside of the scope is not fetched from, and
// that is no proof of anything.
func TestMTASTSStaysInside(t *testing.T) {
	zone := lab.Zone{Origin: "south.example", Records: []string{"@ IN MX 1 mail", `_mta-sts IN TXT "v=STSv1; id=1"`, "mta-sts IN A 127.0.9.43"}}
	w := newDNSWorld(t, zone)
	seen, err := w.look(t.Context(), MTASTS, "south.example")
	if !errors.Is(err, vedette.ErrRefused) || len(seen) != 0 || w.dialer.Sent().Of("scope") != 0 {
		t.Errorf("%v, %v", seen, err)
	}
}
