package probe

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
)

// checkTLS runs the check and gives what it emitted.
func checkTLS(t *testing.T, env *Env, s Subject) (vedette.Fact, error) {
	t.Helper()
	var got []vedette.Observation
	if !TLS.For(s) {
		t.Fatalf("the check is not for %+v", s)
	}
	err := TLS.Run(t.Context(), env, s, func(o vedette.Observation) { got = append(got, o) })
	if err != nil || len(got) == 0 {
		return vedette.Fact{}, err
	}
	return got[0].Fact, nil
}

func reported(f vedette.Fact) string {
	var out []string
	for _, r := range f.Reports {
		out = append(out, strings.TrimPrefix(r.Weakness, "check:")+": "+r.Note)
	}
	return strings.Join(out, " | ")
}

// finish makes the handshake and waits for the end.
func finish(c net.Conn) {
	if t, ok := c.(*tls.Conn); !ok || t.Handshake() == nil {
		io.Copy(io.Discard, c)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	leaf := ca.issue(t, certificate{names: []string{"host.example"}, key: key})
	for _, c := range []struct {
		min, max uint16
		suites   []uint16
		want     string
		reports  string
	}{
		{tls.VersionTLS13, tls.VersionTLS13, nil, "TLS 1.3", ""},
		{tls.VersionTLS12, tls.VersionTLS13, nil, "TLS 1.3, TLS 1.2", ""},
		{tls.VersionTLS12, tls.VersionTLS12, nil, "TLS 1.2", ""},
		{tls.VersionTLS11, tls.VersionTLS13, nil, "TLS 1.3, TLS 1.2, TLS 1.1", "tls-legacy-protocol: The server accepts TLS 1.1."},
		{tls.VersionTLS10, tls.VersionTLS12, nil, "TLS 1.2, TLS 1.1, TLS 1.0", "tls-legacy-protocol: The server accepts TLS 1.1 and TLS 1.0."},
		{tls.VersionTLS10, tls.VersionTLS10, nil, "TLS 1.0", "tls-legacy-protocol: The server accepts TLS 1.0."},
		{tls.VersionTLS10, tls.VersionTLS11, []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}, "TLS 1.1, TLS 1.0", "tls-legacy-protocol: The server accepts TLS 1.1 and TLS 1.0."},
	} {
		t.Run(c.want, func(t *testing.T) {
			env := world(t)
			env.Roots = x509.NewCertPool()
			env.Roots.AddCert(ca.cert)
			s := at(serveTLS(t, &tls.Config{Certificates: []tls.Certificate{leaf}, MinVersion: c.min, MaxVersion: c.max, CipherSuites: c.suites}, finish))
			s.TLS, s.Service = true, "http"
			f, err := checkTLS(t, env, s)
			if err != nil {
				t.Fatal(err)
			}
			if f.Details["versions"] != c.want || reported(f) != c.reports || !f.TLS || f.Service != "http" {
				t.Errorf("%s, %q", f.Details["versions"], reported(f))
			}
			if f.Details["key"] != "RSA 2048" || f.Details["sha256"] != fingerprint(leaf.Certificate[0]) {
				t.Errorf("the certificate: %v", f.Details)
			}
			if n := env.Net.Sent(); n > 5 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// speakSSL3 is a server of SSL 3.0 and nothing newer: it answers hellos of any
// version by its own (RFC 6101 §5.6.1.3), and stays with the hello when strict.
func speakSSL3(chain []byte) func(net.Conn) {
	return func(c net.Conn) {
		h := make([]byte, 5)
		if _, err := io.ReadFull(c, h); err != nil || h[0] != 22 {
			return
		}
		b := make([]byte, int(h[3])<<8|int(h[4]))
		if _, err := io.ReadFull(c, b); err != nil || b[0] != 1 || b[4] != 3 {
			return
		}
		hello := append([]byte{2, 0, 0, 38, 3, 0}, make([]byte, 33)...)
		hello = append(hello, 0, 0x0a, 0)
		n := len(chain)
		cert := append([]byte{11, 0, byte((n + 6) >> 8), byte(n + 6), 0, byte((n + 3) >> 8), byte(n + 3), 0, byte(n >> 8), byte(n)}, chain...)
		both := append(hello, cert...)
		// two records, cut in the middle of a message
		cut := len(hello) + 7
		c.Write(append([]byte{22, 3, 0, byte(cut >> 8), byte(cut)}, both[:cut]...))
		c.Write(append([]byte{22, 3, 0, byte((len(both) - cut) >> 8), byte(len(both) - cut)}, both[cut:]...))
		io.Copy(io.Discard, c)
	}
}

func TestSSL3(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	leaf := ca.issue(t, certificate{names: []string{"host.example"}})
	env := world(t)
	env.Roots = x509.NewCertPool()
	env.Roots.AddCert(ca.cert)
	s := at(serve(t, speakSSL3(leaf.Certificate[0])))
	if f, err := Identify(t.Context(), env, s); err != nil || !f.TLS || f.Service != "" {
		t.Errorf("identified as %+v, %v", f, err)
	}
	s.TLS = true
	f, err := checkTLS(t, env, s)
	if err != nil {
		t.Fatal(err)
	}
	if f.Details["versions"] != "SSL 3.0" || reported(f) != "tls-legacy-protocol: The server accepts SSL 3.0." || f.Details["key"] != "ECDSA 256" {
		t.Errorf("%v %s", f.Details, reported(f))
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var many []string
	for i := range 30 {
		many = append(many, fmt.Sprintf("h%d.host.example", i))
	}
	expired := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	for _, c := range []struct {
		name  string
		cert  certificate
		trust bool
		want  string
	}{
		{"right", certificate{names: []string{"host.example", "*.host.example"}}, true, ""},
		{"untrusted", certificate{names: []string{"host.example"}}, false, "tls-untrusted: The chain of the certificate leads to no authority that is trusted."},
		{"expired", certificate{names: []string{"host.example"}, until: expired}, true, "tls-expired: The certificate was valid until 2026-02-03."},
		{"other name", certificate{names: []string{"other.example"}}, true, "tls-name-mismatch: The certificate does not hold the name host.example."},
		{"weak", certificate{names: []string{"host.example"}, key: weak}, true, "tls-weak-key: The key is RSA of 1024 bits."},
		{"sha1", certificate{names: []string{"host.example"}, key: own, signed: x509.ECDSAWithSHA1}, true,
			"tls-untrusted: The chain of the certificate leads to no authority that is trusted. | tls-weak-key: The certificate is signed with ECDSA-SHA1."},
		{"many", certificate{names: append(many, "host.example")}, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := world(t)
			env.Roots = x509.NewCertPool()
			if c.trust {
				env.Roots.AddCert(ca.cert)
			}
			var mu sync.Mutex
			found := map[string]bool{}
			env.Found = func(n string) { mu.Lock(); found[n] = true; mu.Unlock() }
			leaf := ca.issue(t, c.cert)
			if !c.cert.until.IsZero() {
				// the authority was valid then as well
				env.Roots = x509.NewCertPool()
				old := newAuthorityAt(t, expired.Add(-48*time.Hour))
				env.Roots.AddCert(old.cert)
				leaf = old.issue(t, c.cert)
			}
			s := at(serveTLS(t, &tls.Config{Certificates: []tls.Certificate{leaf}}, finish))
			env.Net.Resolved("host.example", s.Addr)
			s.Asset, s.TLS = vedette.Asset{ID: "host.example", Kind: vedette.NameAsset}, true
			f, err := checkTLS(t, env, s)
			if err != nil {
				t.Fatal(err)
			}
			if got := reported(f); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
			var want []string
			for _, n := range c.cert.names {
				want = append(want, strings.TrimPrefix(n, "*."))
			}
			slices.Sort(want)
			if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, slices.Compact(want)) {
				t.Errorf("found %v", got)
			}
			if strings.Count(f.Details["names"], ",") > 20 {
				t.Errorf("names: %s", f.Details["names"])
			}
		})
	}
}

// TestClientCertificate: a server that wants one shows its own all the same.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	leaf := ca.issue(t, certificate{names: []string{"host.example"}})
	for _, top := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s := at(serveTLS(t, &tls.Config{Certificates: []tls.Certificate{leaf}, ClientAuth: tls.RequireAnyClientCert, MaxVersion: top}, finish))
		f, err := Identify(t.Context(), world(t), s)
		if err != nil || !f.TLS || f.Service != "" {
			t.Errorf("identified as %+v, %v", f, err)
		}
		s.TLS = true
		f, err = checkTLS(t, world(t), s)
		if err != nil || f.Details["sha256"] == "" || !strings.Contains(f.Details["versions"], "TLS 1.2") {
			t.Errorf("%+v, %v", f, err)
		}
	}
}

// upgrades begin TLS in the words of their protocol.
func upgrades(config *tls.Config) map[string]func(net.Conn) {
	words := func(greeting, command, yes string) func(net.Conn) {
		return func(c net.Conn) {
			io.WriteString(c, greeting)
			r := bufio.NewReader(c)
			for {
				l, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if strings.TrimSpace(l) == command {
					io.WriteString(c, yes)
					finish(tls.Server(c, config))
					return
				}
				io.WriteString(c, "250 ok\r\n")
			}
		}
	}
	bytesThen := func(greeting string, n int, yes string) func(net.Conn) {
		return func(c net.Conn) {
			io.WriteString(c, greeting)
			if _, err := io.ReadFull(c, make([]byte, n)); err == nil {
				io.WriteString(c, yes)
				finish(tls.Server(c, config))
			}
		}
	}
	return map[string]func(net.Conn){
		"smtp":          words("220 mail.example ESMTP\r\n", "STARTTLS", "220 go\r\n"),
		"ftp":           words("220 files\r\n", "AUTH TLS", "234 go\r\n"),
		"imap":          words("* OK ready\r\n", "a1 STARTTLS", "a1 OK go\r\n"),
		"pop3":          words("+OK ready\r\n", "STLS", "+OK go\r\n"),
		"mysql":         bytesThen(mysqlFrame(0, "\x0a8.0.36\x00"+"\x2a\x00\x00\x00salt8888\x00\xff\xff\x2d\x02\x00\xff\x81\x15"), 36, ""),
		"postgresql":    bytesThen("", 8, "S"),
		"ms-wbt-server": bytesThen("", 19, "\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02\x1f\x08\x00\x02\x00\x00\x00"),
		"ldap":          bytesThen("", 31, string(ber(0x30, []byte{2, 1, 1}, ber(0x78, []byte{0x0a, 1, 0}, berText(""), berText(""))))),
	}
}

func TestSTARTTLS(t *testing.T) {
	t.Parallel()
	leaf := newAuthority(t).issue(t, certificate{names: []string{"host.example"}})
	for name, speak := range upgrades(&tls.Config{Certificates: []tls.Certificate{leaf}, MinVersion: tls.VersionTLS10}) {
		s := at(serve(t, speak))
		s.Service = name
		f, err := checkTLS(t, world(t), s)
		if err != nil || f.Details["versions"] != "TLS 1.3, TLS 1.2, TLS 1.1, TLS 1.0" || f.Service != name {
			t.Errorf("%s: %v %v", name, f.Details, err)
		}
	}
	// One that does not offer it is nothing of the check's; one that says nothing proves nothing.
	s := at(serve(t, dialogue("220 mail.example ESMTP\r\n", func(string) string { return "502 no\r\n" })))
	s.Service = "smtp"
	if f, err := checkTLS(t, world(t), s); err != nil || f.TLS {
		t.Errorf("%+v, %v", f, err)
	}
	s = at(serve(t, dialogue("421 too busy\r\n", func(string) string { return "" })))
	s.Service = "smtp"
	if f, err := checkTLS(t, world(t), s); !errors.Is(err, ErrSilent) || f.TLS {
		t.Errorf("%+v, %v", f, err)
	}
}
