package probe

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vedette-hub/vedette/safe"
)

// dkimSelectors are tried: the selectors of a domain cannot be listed, so that
// finding none proves nothing.
var dkimSelectors = []string{"default", "dkim", "google", "k1", "mail", "s1", "s2", "selector1", "selector2"}

// weakRSA is the size below which receivers must not trust a signature
// (RFC 8301 §3.2), in bits.
const weakRSA = 1024

// dkimKey is a DKIM key record (RFC 6376 §3.6.1, RFC 8463).
type dkimKey struct {
	kind    string // "rsa", "ed25519"
	bits    int
	testing bool // t=y: signers are testing
	revoked bool // p is empty
}

// parseDKIM reads a key record. A text without p is none.
func parseDKIM(text string) (dkimKey, error) {
	tags, err := tagList(text)
	if err != nil {
		return dkimKey{}, err
	}
	if v, ok := tags["v"]; ok && v != "DKIM1" {
		return dkimKey{}, fmt.Errorf("v=%s is no version", safe.Quote(v))
	}
	p, ok := tags["p"]
	if !ok {
		return dkimKey{}, errors.New("it has no key")
	}
	k := dkimKey{kind: "rsa"}
	if v, ok := tags["k"]; ok {
		k.kind = v
	}
	for flag := range strings.SplitSeq(tags["t"], ":") {
		k.testing = k.testing || strings.Trim(flag, " \t") == "y"
	}
	p = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n", r) {
			return -1
		}
		return r
	}, p)
	if p == "" {
		k.revoked = true
		return k, nil
	}
	der, err := base64.StdEncoding.DecodeString(p)
	if err != nil {
		return k, errors.New("its key is no base64")
	}
	k.bits, err = keyBits(k.kind, der)
	return k, err
}

// keyBits is the size of a public key. RSA keys come as SubjectPublicKeyInfo
// and, from some signers, as RSAPublicKey.
func keyBits(kind string, der []byte) (int, error) {
	switch kind {
	case "rsa":
		if key, err := x509.ParsePKIXPublicKey(der); err == nil {
			if pub, ok := key.(*rsa.PublicKey); ok {
				return pub.N.BitLen(), nil
			}
		} else if pub, err := x509.ParsePKCS1PublicKey(der); err == nil {
			return pub.N.BitLen(), nil
		}
		return 0, errors.New("its key is no RSA key")
	case "ed25519":
		if len(der) != ed25519.PublicKeySize {
			return 0, errors.New("its key is no Ed25519 key")
		}
		return 8 * len(der), nil
	}
	return 0, fmt.Errorf("its key is of an unknown kind, %s", safe.Quote(kind))
}

// String is the key as a detail shows it.
func (k dkimKey) String() string {
	s := fmt.Sprintf("%s %d", k.kind, k.bits)
	if k.revoked {
		s = "revoked"
	}
	if k.testing {
		s += " (testing)"
	}
	return s
}

// weak says whether receivers must not trust what the key signs.
func (k dkimKey) weak() bool { return k.kind == "rsa" && !k.revoked && k.bits < weakRSA }

// weakKeys names the selectors of weak keys, "" none.
func weakKeys(keys map[string]dkimKey) string {
	var out []string
	for _, sel := range dkimSelectors {
		if k, ok := keys[sel]; ok && k.weak() {
			out = append(out, fmt.Sprintf("%s (%d bits)", sel, k.bits))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
