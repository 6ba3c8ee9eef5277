package deliver

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/vedette-hub/vedette"
)

const sealedText = "Threat alert TA-2026-001\n\nΑθήνα: update vpn.alpha.example to 9.1.4.\n.\nFrom here on, nothing.\n"

// armoured makes a key of days days, as its owner would; private when asked.
func armoured(t testing.TB, made time.Time, days int, private bool) string {
	t.Helper()
	e, err := openpgp.NewEntity("Alpha POC", "", "poc@alpha.example", &packet.Config{Time: func() time.Time { return made }, KeyLifetimeSecs: uint32(days * 86400)})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	kind, write := openpgp.PublicKeyType, e.Serialize
	if private {
		kind, write = openpgp.PrivateKeyType, func(w io.Writer) error { return e.SerializePrivate(w, nil) }
	}
	w, err := armor.Encode(&b, kind, nil)
	if err = errors.Join(err, write(w), w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// certificate makes a self-signed one; change bends it.
func certificate(t testing.TB, change func(*x509.Certificate)) (cert, key string) {
	t.Helper()
	k, err := rsaKey()
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "Alpha POC"}, NotBefore: day.AddDate(-1, 0, 0), NotAfter: day.AddDate(1, 0, 0), KeyUsage: x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, EmailAddresses: []string{"poc@alpha.example"}}
	if change != nil {
		change(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk}))
}

func sealedWire(t testing.TB, s *Sealed) []byte {
	t.Helper()
	wire, err := Message{To: "poc@alpha.example", Subject: "[TA-2026-001] Threat alert, level High", ID: "1234@hub.example", Date: day, Sealed: s, Text: "not this"}.wire("alerts@hub.example")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(wire), "\r\n") {
		if len(line) > 78 || strings.ContainsAny(line, "\r\n") || !ascii(line) {
			t.Errorf("a line of the mail: %q", line)
		}
	}
	for _, secret := range []string{"vpn.alpha", "9.1.4", "not this", "Αθήνα"} {
		if bytes.Contains(wire, []byte(secret)) {
			t.Errorf("a sealed mail tells %q", secret)
		}
	}
	return wire
}

// opened reads what was decrypted: a MIME entity.
func opened(t testing.TB, entity []byte) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(entity))
	if err != nil {
		t.Fatalf("%v\n%s", err, entity)
	}
	r := multipart.NewReader(strings.NewReader("--b\r\n"+string(entity)+"\r\n--b--\r\n"), "b")
	p, err := r.NextPart() // which undoes quoted-printable
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(p)
	if got := strings.ReplaceAll(string(text), "\r\n", "\n"); err != nil || got != sealedText || !strings.HasPrefix(m.Header.Get("Content-Type"), "text/plain; charset=utf-8") {
		t.Errorf("%v, %v: %q", err, m.Header, got)
	}
}

// encryptedPart takes a PGP/MIME mail apart (RFC 3156 §4).
func encryptedPart(t testing.TB, wire []byte) []byte {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(wire))
	if err != nil {
		t.Fatal(err)
	}
	typ, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || typ != "multipart/encrypted" || params["protocol"] != "application/pgp-encrypted" {
		t.Fatalf("%s %v %v", typ, params, err)
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	var parts [][]byte
	for _, want := range []string{"application/pgp-encrypted", "application/octet-stream"} {
		p, err := r.NextPart()
		if err != nil || !strings.HasPrefix(p.Header.Get("Content-Type"), want) {
			t.Fatalf("want %s: %v, %v", want, p, err)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, b)
	}
	if _, err := r.NextPart(); err != io.EOF || strings.TrimSpace(string(parts[0])) != "Version: 1" {
		t.Errorf("parts: %q, %v", parts[0], err)
	}
	return parts[1]
}

// TestGnuPG: what we seal, gpg opens, with a key that gpg made.
func TestGnuPG(t *testing.T) {
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip("gpg is not installed: OpenPGP is not held against it")
	}
	home, err := os.MkdirTemp("", "g") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	run := func(in []byte, args ...string) []byte {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, "gpg", append([]string{"--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""}, args...)...)
		c.Stdin = bytes.NewReader(in)
		var errs bytes.Buffer
		c.Stderr = &errs
		out, err := c.Output()
		if err != nil {
			t.Fatalf("gpg %v: %v\n%s", args, err, errs.String())
		}
		return out
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "gpg-agent").Run() // there may be none
		_ = os.RemoveAll(home)
	})
	for _, algo := range []string{"rsa2048", "future-default"} {
		user := algo + "@alpha.example"
		run(nil, "--quick-generate-key", user, algo, "default", "1d")
		if algo == "rsa2048" { // its first key signs: one to encrypt to beside it
			fields := strings.Split(string(run(nil, "--with-colons", "--list-keys", user)), "\n")
			for _, f := range fields {
				if fpr, ok := strings.CutPrefix(f, "fpr:::::::::"); ok {
					run(nil, "--quick-add-key", strings.TrimSuffix(fpr, ":"), algo, "encr", "1d")
					break
				}
			}
		}
		public := string(run(nil, "--armor", "--export", user))
		now := time.Now()
		s, err := SealOpenPGP(sealedText, public, now)
		if err != nil {
			t.Fatalf("%s: %v\n%s", algo, err, public)
		}
		opened(t, run(encryptedPart(t, sealedWire(t, s)), "--decrypt"))
		if _, err := SealOpenPGP(sealedText, public, now.AddDate(0, 0, 3)); !errors.Is(err, vedette.ErrInvalid) {
			t.Errorf("%s, expired: %v", algo, err)
		}
	}
}

// TestOpenSSL: what we seal, openssl opens, from the whole mail.
func TestOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed: S/MIME is not held against it")
	}
	cert, key := certificate(t, nil)
	s, err := SealSMIME(sealedText, cert, day)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{"mail.eml": sealedWire(t, s), "cert.pem": []byte(cert), "key.pem": []byte(key)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tool := range []string{"smime", "cms"} {
		c := exec.Command("openssl", tool, "-decrypt", "-in", "mail.eml", "-recip", "cert.pem", "-inkey", "key.pem")
		c.Dir = dir
		var errs bytes.Buffer
		c.Stderr = &errs
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", tool, err, errs.String())
		}
		opened(t, out)
	}
	c := exec.Command("openssl", "cms", "-cmsout", "-print", "-in", "mail.eml")
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("aes-256-cbc")) {
		t.Errorf("%v: %s", err, out)
	}
}

// TestUnusable: what cannot be encrypted to says why, and nothing is sealed.
func TestUnusable(t *testing.T) {
	good, _ := certificate(t, nil)
	public := armoured(t, day.AddDate(-1, 0, 0), 800, false)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: day.AddDate(-1, 0, 0), NotAfter: day.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &ec.PublicKey, ec)
	if err != nil {
		t.Fatal(err)
	}
	bent := func(change func(*x509.Certificate)) string { c, _ := certificate(t, change); return c }
	for _, c := range []struct {
		what      string
		pgp, cert string
		says      string // "" is that it works
	}{
		{"none", "", "", ""}, {"a key", public, "", ""}, {"a certificate", "", good, ""},
		{"an expired key beside a certificate", armoured(t, day.AddDate(-1, 0, 0), 30, false), good, ""},
		{"expired", armoured(t, day.AddDate(-1, 0, 0), 30, false), "", "expired"},
		{"of tomorrow", armoured(t, day.AddDate(0, 0, 1), 30, false), "", "not valid yet"},
		{"private", armoured(t, day.AddDate(-1, 0, 0), 800, true), "", "private key"},
		{"two keys", public + armoured(t, day.AddDate(-1, 0, 0), 800, false), "", ""}, // the first block counts
		{"no key", "hello", "", "OpenPGP key"}, {"large", strings.Repeat("x", maxKey+1), "", "bytes"},
		{"cut", public[:len(public)/2], "", "OpenPGP key"},
		{"no certificate", "", "hello", "PEM"}, {"a key as a certificate", "", public, "PEM"}, {"two certificates", "", good + good, "one PEM"},
		{"an elliptic certificate", "", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), "RSA"},
		{"an old certificate", "", bent(func(c *x509.Certificate) { c.NotAfter = day.AddDate(0, 0, -1) }), "valid from"},
		{"one of tomorrow", "", bent(func(c *x509.Certificate) { c.NotBefore = day.AddDate(0, 0, 1) }), "valid from"},
		{"one to sign", "", bent(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }), "encryption"},
		{"one of a server", "", bent(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), "mail"},
		{"one for anything", "", bent(func(c *x509.Certificate) { c.ExtKeyUsage, c.KeyUsage = nil, 0 }), ""},
		{"both bad", "hello", "hello", "PEM"},
	} {
		s, err := Seal("x", vedette.Contact{OpenPGP: c.pgp, SMIME: c.cert}, day)
		if c.says == "" && (err != nil || (s == nil) != (c.pgp+c.cert == "")) || c.says != "" && (s != nil || !errors.Is(err, vedette.ErrInvalid) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, %v, want a word of %q", c.what, s != nil, err, c.says)
		}
		if got := Usable(vedette.Contact{OpenPGP: c.pgp, SMIME: c.cert}, day); (got == nil) != (err == nil) {
			t.Errorf("%s: usable %v", c.what, got)
		}
	}
}

// TestWire: a header takes no line of somebody else's, and a text comes through as it is.
func TestWire(t *testing.T) {
	m := Message{To: "poc@alpha.example", Subject: "s", Text: "t\n", ID: "1@hub.example", Date: day}
	for _, bad := range []func(*Message){
		func(m *Message) { m.To = "poc@alpha.example\r\nBcc: x@evil.example" }, func(m *Message) { m.To = "a@b.example, c@d.example" }, func(m *Message) { m.To = "Alpha <poc@alpha.example>" }, func(m *Message) { m.To = "" },
		func(m *Message) { m.Subject = "s\r\nBcc: x@evil.example" }, func(m *Message) { m.Subject = "s\nx" }, func(m *Message) { m.ID = "1@hub.example>\r\nX: y" },
	} {
		x := m
		bad(&x)
		if wire, err := x.wire("alerts@hub.example"); err == nil {
			t.Errorf("%+v: %s", x, wire)
		}
	}
	m.Subject = "Αθήνα \u202e [TA]"
	for _, text := range []string{"plain\n", sealedText, strings.Repeat("long ", 400) + "\n", "https://hub.example/a/" + strings.Repeat("a", 40) + "\n"} {
		m.Text = text
		wire, err := m.wire("alerts@hub.example")
		if err != nil || !ascii(string(wire)) {
			t.Fatalf("%v: %q", err, wire)
		}
		got, err := mail.ReadMessage(bytes.NewReader(wire))
		if err != nil {
			t.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
		if err != nil || subject != m.Subject || got.Header.Get("Message-Id") != "<1@hub.example>" || got.Header.Get("Auto-Submitted") != "auto-generated" {
			t.Errorf("%v %v", got.Header, err)
		}
	}
}

func FuzzSeal(f *testing.F) {
	cert, _ := certificate(f, nil)
	f.Add(armoured(f, day, 10, false), cert)
	f.Add("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----\n", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n")
	f.Fuzz(func(t *testing.T, key, cert string) {
		s, err := Seal("x", vedette.Contact{OpenPGP: key, SMIME: cert}, day)
		if err != nil && (s != nil || !errors.Is(err, vedette.ErrInvalid)) {
			t.Errorf("%v, %v", s, err)
		}
	})
}
