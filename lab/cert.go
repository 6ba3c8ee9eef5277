package lab

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// The certificates a service can have.
const (
	certValid      = "valid"       // of the lab's authority
	certExpired    = "expired"     // of the lab's authority, ended at the last New Year
	certSelfSigned = "self-signed" // its own authority
	certWrongName  = "wrong-name"  // of the lab's authority, for another name
	certWeakKey    = "weak-key"    // of the lab's authority, RSA of 1024 bits
)

var tlsVersions = map[string]uint16{"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// authority signs the certificates of a lab. Its key is made from a text, so that
// a lab that starts again is the same and other processes know it: it is no
// secret, and only who reaches nothing but loopback may trust it.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	year int
	old  func() (*rsa.PrivateKey, error) // of services that do old TLS: one for all, it takes long
	weak func() (*rsa.PrivateKey, error)
}

// keyOf makes the same key of the same text.
func keyOf(text string) (*ecdsa.PrivateKey, error) {
	for i := 0; ; i++ { // one in 2^32 is no key of the curve
		h := sha256.Sum256([]byte(text + strconv.Itoa(i)))
		if k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), h[:]); err == nil || i == 8 {
			return k, err
		}
	}
}

// newYear is the first moment of a year: certificates change with the years only.
func newYear(year int) time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }

func newAuthority(now time.Time) (*authority, error) {
	key, err := keyOf("lab authority")
	if err != nil {
		return nil, err
	}
	a := &authority{key: key, year: now.UTC().Year(),
		old:  sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }),
		weak: sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 1024) })}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Lab authority", Organization: []string{"Lab of no value"}},
		NotBefore: newYear(a.year - 4), NotAfter: newYear(a.year + 10), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(nil, t, t, key.Public(), key) // without randomness it is RFC 6979
	if err != nil {
		return nil, err
	}
	a.cert, err = x509.ParseCertificate(der)
	return a, err
}

// Roots is the certificate of the authority of all labs in PEM: what has to be
// trusted to look at one, by a client that reaches nothing but loopback.
func Roots(now time.Time) ([]byte, error) {
	ca, err := newAuthority(now)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}), nil
}

// Roots is the certificate of the lab's authority at its time.
func (in *Internet) Roots() ([]byte, error) { return Roots(in.now()) }

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
	names := slices.Concat(h.Names, t.Names)
	if t.Cert == certWrongName {
		names = []string{"another.example"}
	}
	id := fmt.Sprint(h.Address, t.Cert, names)
	key, err := a.leafKey(id, t, old)
	if err != nil {
		return nil, err
	}
	serial := sha256.Sum256([]byte(id))
	c := &x509.Certificate{SerialNumber: new(big.Int).SetBytes(serial[:8]), DNSNames: names, NotBefore: newYear(a.year - 1), NotAfter: newYear(a.year + 2),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true}
	c.Subject.CommonName = h.Address
	if len(names) > 0 {
		c.Subject.CommonName = names[0]
	}
	if t.Cert != certWrongName {
		c.IPAddresses = []net.IP{net.ParseIP(h.Address)}
	}
	if t.Cert == certExpired {
		c.NotBefore, c.NotAfter = newYear(a.year-2), newYear(a.year)
	}
	parent, signer := a.cert, crypto.Signer(a.key)
	chain := [][]byte{nil, a.cert.Raw}
	if t.Cert == certSelfSigned {
		parent, signer, chain = c, key, chain[:1]
	}
	var random io.Reader // RFC 6979 without
	if _, ok := signer.(*rsa.PrivateKey); ok {
		random = rand.Reader
	}
	if chain[0], err = x509.CreateCertificate(random, c, parent, key.Public(), signer); err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", h.Address, err)
	}
	return &tls.Certificate{Certificate: chain, PrivateKey: key}, nil
}

func (a *authority) leafKey(id string, t TLS, old bool) (crypto.Signer, error) {
	switch {
	case t.Cert == certWeakKey:
		return a.weak()
	case old:
		return a.old()
	}
	return keyOf("lab leaf " + id)
}
