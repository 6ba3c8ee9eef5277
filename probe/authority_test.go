package probe

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// authority is a CA that a test makes.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// certificate is what a test wants; zero fields are what is right.
type certificate struct {
	names  []string
	until  time.Time
	key    crypto.Signer
	signed x509.SignatureAlgorithm
}

func newAuthority(t testing.TB) authority { return newAuthorityAt(t, time.Now().Add(-time.Hour)) }

// newAuthorityAt is one that was made at a time.
func newAuthorityAt(t testing.TB, made time.Time) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Authority"}, NotBefore: made, NotAfter: made.Add(72 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return authority{c, key}
}

// issue makes a leaf.
func (a authority) issue(t testing.TB, c certificate) tls.Certificate {
	t.Helper()
	if c.key == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c.key = key
	}
	if c.until.IsZero() {
		c.until = time.Now().Add(12 * time.Hour)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, NotBefore: c.until.Add(-24 * time.Hour), NotAfter: c.until,
		DNSNames: c.names, SignatureAlgorithm: c.signed, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, c.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: c.key}
}
