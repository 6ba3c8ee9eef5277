package probe

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// TLS looks at the versions and the certificate that a server offers, at once
// or after the command that begins TLS.
var TLS = Check{
	Name:  "tls",
	About: "versions of TLS down to SSL 3.0, and the certificate: names, dates, key, trust",
	Spec:  "RFC 8446, RFC 5246, RFC 6101, RFC 5280, RFC 6125",
	Class: vedette.Active,
	For: func(s Subject) bool {
		if s.Port == 0 || s.Proto != "tcp" {
			return false
		}
		p := protocolNamed(s.Service)
		return s.TLS || p != nil && p.upgrade != nil
	},
	Run: runTLS,
}

// anyTLS opens a session with whatever server there is, for a name ("" none):
// the look reads, it trusts nothing.
func anyTLS(name string) *tls.Config {
	c := &tls.Config{ServerName: name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}
	for _, list := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
		for _, s := range list {
			c.CipherSuites = append(c.CipherSuites, s.ID)
		}
	}
	return c
}

// isTLS says whether bytes begin an alert or a handshake record (RFC 8446 §5.1).
func isTLS(head []byte) bool {
	return len(head) >= 3 && (head[0] == 21 || head[0] == 22) && head[1] == 3 && head[2] <= 4
}

// session is what one look at TLS gathers, over at most six connections.
type session struct {
	l        *look
	upgrade  func(*peer) (bool, error) // nil: TLS from the first byte
	versions []helloVersion            // offered, the newest first
	chain    [][]byte                  // DER, the leaf first
}

func runTLS(ctx context.Context, env *Env, s Subject, emit Emit) error {
	t := &session{l: &look{ctx: ctx, env: env, s: s, opened: new(int)}}
	if !s.TLS {
		t.upgrade = protocolNamed(s.Service).upgrade
	}
	offered, err := t.newest()
	if err != nil || !offered {
		return err // a server that offers no TLS is none of this check's
	}
	if err := t.older(); err != nil {
		return err
	}
	if len(t.versions) == 0 {
		return fmt.Errorf("%w: no version of TLS is agreed on", ErrSilent)
	}
	emit(vedette.Observation{Fact: t.fact(env, s)})
	return nil
}

// begin makes a connection on which a TLS handshake begins.
func (t *session) begin() (*peer, bool, error) {
	p, err := t.l.dial()
	if err != nil || t.upgrade == nil {
		return p, true, err
	}
	ok, err := t.upgrade(p)
	if err == nil && ok {
		p.in = nil // what was said in the clear is not of the session (CVE-2011-0411)
		return p, true, nil
	}
	p.close()
	return nil, ok, err
}

// newest makes a whole handshake and keeps the version that the server chose:
// it chooses the newest that both know. A handshake that fails, for want of a
// common cipher suite or of a client certificate, leaves it to older.
func (t *session) newest() (offered bool, err error) {
	p, ok, err := t.begin()
	if err != nil || !ok {
		return false, err
	}
	defer p.close()
	config := anyTLS(t.l.s.Name())
	config.VerifyPeerCertificate = func(chain [][]byte, _ [][]*x509.Certificate) error {
		t.chain = chain
		return nil
	}
	c := tls.Client(under{p}, config)
	p.conn.SetDeadline(time.Now().Add(t.l.answerWait()))
	if err := c.HandshakeContext(t.l.ctx); err != nil {
		if t.l.ctx.Err() != nil {
			return false, t.l.ctx.Err()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) || t.upgrade == nil && !isTLS(p.head) {
			return false, fmt.Errorf("%w: its TLS handshake broke off", ErrSilent)
		}
		return true, nil
	}
	t.versions = []helloVersion{helloVersion(c.ConnectionState().Version)}
	return true, nil
}

// older asks for each version before the newest by itself.
func (t *session) older() error {
	for _, v := range []helloVersion{tls12, tls11, tls10, ssl30} {
		if len(t.versions) > 0 && v >= t.versions[0] {
			continue
		}
		if v == ssl30 && t.l.s.Name() != "" {
			continue // SSL 3.0 has no way to name whom it is for (RFC 6101 has no extensions): a session to a name always says so
		}
		hello, err := t.ask(v)
		if errors.Is(err, errNoHello) {
			hello, err = t.ask(v) // a packet got lost, or something on the way swallows the version
		}
		switch {
		case t.l.ctx.Err() != nil:
			return t.l.ctx.Err()
		case errors.Is(err, errNoHello) || errors.Is(err, errDeclined) || errors.Is(err, errNotTLS):
			continue
		case err != nil:
			return err
		case hello.version == v:
			t.versions = append(t.versions, v)
		}
		if len(t.chain) == 0 {
			t.chain = hello.chain
		}
	}
	return nil
}

// ask offers one version.
func (t *session) ask(v helloVersion) (serverHello, error) {
	p, ok, err := t.begin()
	if err != nil {
		return serverHello{}, err
	}
	if !ok {
		return serverHello{}, errUpgrade // it did before
	}
	defer p.close()
	if !p.send(clientHello(v, t.l.s.Name())) {
		return serverHello{}, errDeclined
	}
	return p.readServerHello(len(t.chain) == 0)
}

// fact is what was seen, with what is wrong in it.
func (t *session) fact(env *Env, s Subject) vedette.Fact {
	f := vedette.Fact{Service: s.Service, TLS: true, Details: map[string]string{}}
	var all, legacy []string
	for _, v := range t.versions {
		all = append(all, v.String())
		if v < tls12 {
			legacy = append(legacy, v.String())
		}
	}
	f.Details["versions"] = strings.Join(all, ", ")
	if len(legacy) > 0 {
		f.Reports = append(f.Reports, report("check:tls-legacy-protocol", "The server accepts "+strings.Join(legacy, " and ")+"."))
	}
	if len(t.chain) == 0 {
		return f
	}
	f.Details["sha256"] = fingerprint(t.chain[0])
	leaf, err := x509.ParseCertificate(t.chain[0])
	if err != nil {
		return f
	}
	describe(leaf, f.Details)
	for _, n := range leaf.DNSNames[:min(len(leaf.DNSNames), 1000)] {
		if a, err := vedette.ParseAsset(strings.TrimPrefix(n, "*.")); err == nil && a.Kind == vedette.NameAsset {
			env.Found(a.ID)
		}
	}
	f.Reports = append(f.Reports, judge(leaf, t.chain[1:], env, s)...)
	return f
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// describe tells what stands in a certificate.
func describe(c *x509.Certificate, into map[string]string) {
	const names = 20
	list := slices.Clone(c.DNSNames)
	for _, a := range c.IPAddresses {
		list = append(list, a.String())
	}
	if len(list) > names {
		list = append(list[:names], fmt.Sprintf("and %d more", len(list)-names))
	}
	into["subject"] = Banner([]byte(c.Subject.String()), 256)
	into["issuer"] = Banner([]byte(c.Issuer.String()), 256)
	into["names"] = Banner([]byte(strings.Join(list, ", ")), 2048)
	into["not_before"] = c.NotBefore.UTC().Format(time.RFC3339)
	into["not_after"] = c.NotAfter.UTC().Format(time.RFC3339)
	into["key"] = keyOf(c)
	into["signature"] = c.SignatureAlgorithm.String()
}

// keyOf is the kind and size of a key, "RSA 2048".
func keyOf(c *x509.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return fmt.Sprintf("ECDSA %d", k.Curve.Params().BitSize)
	}
	return c.PublicKeyAlgorithm.String()
}

// judge says what is wrong with a certificate for a subject at a time. Dates
// are a report of their own: trust is judged at a time when it was valid.
func judge(leaf *x509.Certificate, others [][]byte, env *Env, s Subject) []vedette.Report {
	var out []vedette.Report
	at := env.Now()
	switch {
	case at.After(leaf.NotAfter):
		out = append(out, report("check:tls-expired", "The certificate was valid until "+leaf.NotAfter.UTC().Format(time.DateOnly)+"."))
		at = leaf.NotAfter
	case at.Before(leaf.NotBefore):
		out = append(out, report("check:tls-expired", "The certificate is valid from "+leaf.NotBefore.UTC().Format(time.DateOnly)+" on."))
		at = leaf.NotBefore
	}
	if why := untrusted(leaf, others, env.Roots, at); why != "" {
		out = append(out, report("check:tls-untrusted", why))
	}
	if name := s.Name(); name != "" && leaf.VerifyHostname(name) != nil {
		out = append(out, report("check:tls-name-mismatch", "The certificate does not hold the name "+name+"."))
	}
	if why := weakness(leaf); why != "" {
		out = append(out, report("check:tls-weak-key", why))
	}
	return out
}

// untrusted says why a chain leads to no authority, "" when it does, or when
// this machine knows none to ask.
func untrusted(leaf *x509.Certificate, others [][]byte, roots *x509.CertPool, at time.Time) string {
	if roots == nil {
		system, err := x509.SystemCertPool()
		if err != nil || system.Equal(x509.NewCertPool()) {
			return ""
		}
		roots = system
	}
	between := x509.NewCertPool()
	for _, der := range others {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	switch {
	case err == nil:
		return ""
	case selfSigned(leaf):
		return "The certificate is signed by itself."
	case errors.As(err, new(x509.CertificateInvalidError)):
		return "The chain of the certificate is not valid."
	}
	return "The chain of the certificate leads to no authority that is trusted."
}

func selfSigned(c *x509.Certificate) bool {
	return string(c.RawSubject) == string(c.RawIssuer)
}

// weakness says what is weak in the key of a certificate, or in the signature under it.
func weakness(c *x509.Certificate) string {
	if k, ok := c.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() < 2048 {
		return fmt.Sprintf("The key is RSA of %d bits.", k.N.BitLen())
	}
	switch c.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		if !selfSigned(c) { // nobody trusts a signature that proves nothing
			return "The certificate is signed with " + c.SignatureAlgorithm.String() + "."
		}
	}
	return ""
}
