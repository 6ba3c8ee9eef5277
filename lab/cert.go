package lab

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/vedette-hub/vedette"
)

// The certificates a service can have.
const (
	certValid      = "valid"       // of the lab's authority
	certExpired    = "expired"     // of the lab's authority, ended a month ago
	certSelfSigned = "self-signed" // its own authority
	certWrongName  = "wrong-name"  // of the lab's authority, for another name
	certWeakKey    = "weak-key"    // of the lab's authority, RSA of 1024 bits
)

var tlsVersions = map[string]uint16{"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// authority signs the certificates of a lab. It lives as long as the lab.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	now  time.Time
	old  func() (*rsa.PrivateKey, error) // of services that do old TLS: one for all, it takes long
	weak func() (*rsa.PrivateKey, error)
}

func newAuthority(now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &authority{key: key, now: now,
		old:  sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }),
		weak: sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 1024) })}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Lab authority", Organization: []string{"Lab of no value"}},
		NotBefore: now.AddDate(-2, 0, 0), NotAfter: now.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	a.cert, err = x509.ParseCertificate(der)
	return a, err
}

// Roots is the certificate of the lab's authority in PEM: what a client that
// looks at the lab has to trust. It is there while the lab runs.
func (in *Internet) Roots() ([]byte, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ca == nil {
		return nil, vedette.Invalid("the lab does not run")
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: in.ca.cert.Raw}), nil
}

// config is the TLS of a service. A certificate that cannot be made is an error
// at the handshake.
func (a *authority) config(h *Host, t TLS) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}
	var vs []uint16
	for _, v := range t.Versions {
		if n := tlsVersions[v]; n != 0 {
			vs = append(vs, n)
		}
	}
	if len(vs) > 0 {
		c.MinVersion, c.MaxVersion = slices.Min(vs), slices.Max(vs)
	}
	old := c.MinVersion < tls.VersionTLS12
	if old { // what such servers spoke: RSA key exchange and CBC besides the rest
		for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
			c.CipherSuites = append(c.CipherSuites, s.ID)
		}
	}
	cert, err := a.leaf(h, t, old)
	c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, err }
	return c
}

// leaf makes the certificate of a service.
func (a *authority) leaf(h *Host, t TLS, old bool) (*tls.Certificate, error) {
	key, err := a.leafKey(t, old)
	if err != nil {
		return nil, err
	}
	names := slices.Concat(h.Names, t.Names)
	if t.Cert == certWrongName {
		names = []string{"another.example"}
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{SerialNumber: serial, DNSNames: names, NotBefore: a.now.AddDate(0, -6, 0), NotAfter: a.now.AddDate(0, 6, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true}
	c.Subject.CommonName = h.Address
	if len(names) > 0 {
		c.Subject.CommonName = names[0]
	}
	if t.Cert != certWrongName {
		c.IPAddresses = []net.IP{net.ParseIP(h.Address)}
	}
	if t.Cert == certExpired {
		c.NotBefore, c.NotAfter = a.now.AddDate(-1, 0, 0), a.now.AddDate(0, -1, 0)
	}
	parent, signer := a.cert, crypto.Signer(a.key)
	chain := [][]byte{nil, a.cert.Raw}
	if t.Cert == certSelfSigned {
		parent, signer, chain = c, key, chain[:1]
	}
	if chain[0], err = x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer); err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", h.Address, err)
	}
	return &tls.Certificate{Certificate: chain, PrivateKey: key}, nil
}

func (a *authority) leafKey(t TLS, old bool) (crypto.Signer, error) {
	switch {
	case t.Cert == certWeakKey:
		return a.weak()
	case old:
		return a.old()
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}
