package deliver

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/smallstep/pkcs7"

	"github.com/vedette-hub/vedette"
)

// Sealed is content that the contact alone can read.
type Sealed struct {
	armoured string // PGP/MIME (RFC 3156 §4)
	cms      []byte // S/MIME enveloped data (RFC 8551 §3.3), DER
}

// maxKey bounds a key or certificate, in bytes.
const maxKey = 256 << 10

// SealOpenPGP encrypts a text to an armoured OpenPGP public key (RFC 9580) that
// is valid at a time.
func SealOpenPGP(text, key string, now time.Time) (*Sealed, error) {
	to, err := openPGP(key, now)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	a, err := armor.Encode(&b, "PGP MESSAGE", nil)
	if err != nil {
		return nil, err
	}
	w, err := openpgp.Encrypt(a, []*openpgp.Entity{to}, nil, &openpgp.FileHints{IsBinary: true}, pgpConfig(now))
	if err != nil {
		return nil, vedette.Invalid("OpenPGP key: %w", err)
	}
	for _, step := range []func() error{func() error { _, err := w.Write(entity(text)); return err }, w.Close, a.Close} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return &Sealed{armoured: strings.ReplaceAll(b.String(), "\r\n", "\n")}, nil
}

func pgpConfig(now time.Time) *packet.Config {
	return &packet.Config{DefaultCipher: packet.CipherAES256, Time: func() time.Time { return now }}
}

// openPGP reads the one public key of an armoured block, and says why it cannot
// be encrypted to.
func openPGP(key string, now time.Time) (*openpgp.Entity, error) {
	if len(key) > maxKey {
		return nil, vedette.Invalid("OpenPGP key: %d bytes", len(key))
	}
	ring, err := openpgp.ReadArmoredKeyRing(strings.NewReader(key))
	if err != nil || len(ring) != 1 {
		return nil, vedette.Invalid("OpenPGP key: one armoured public key is needed, not %d (%v)", len(ring), err)
	}
	e := ring[0]
	if e.PrivateKey != nil {
		return nil, vedette.Invalid("OpenPGP key: this is a private key; change it, and give the public one")
	}
	if e.Revoked(now) {
		return nil, vedette.Invalid("OpenPGP key: revoked")
	}
	if _, ok := e.EncryptionKey(now); !ok {
		return nil, vedette.Invalid("OpenPGP key: expired, not valid yet, or not made for encryption")
	}
	return e, nil
}

// cipher is set once: the library keeps it in a variable, and its own is DES.
var cipher sync.Once

// SealSMIME encrypts a text to a PEM certificate that is valid at a time: RSA,
// and AES-256 in CBC mode, which RFC 8551 §2.7 has for all receivers.
func SealSMIME(text, certificate string, now time.Time) (*Sealed, error) {
	to, err := smime(certificate, now)
	if err != nil {
		return nil, err
	}
	cipher.Do(func() { pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmAES256CBC })
	der, err := pkcs7.Encrypt(entity(text), []*x509.Certificate{to})
	if err != nil {
		return nil, vedette.Invalid("S/MIME certificate: %w", err)
	}
	return &Sealed{cms: der}, nil
}

// smime reads a certificate and says why it cannot be encrypted to (RFC 8550 §4.4).
func smime(certificate string, now time.Time) (*x509.Certificate, error) {
	if len(certificate) > maxKey {
		return nil, vedette.Invalid("S/MIME certificate: %d bytes", len(certificate))
	}
	block, rest := pem.Decode([]byte(certificate))
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil, vedette.Invalid("S/MIME certificate: one PEM certificate is needed")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, vedette.Invalid("S/MIME certificate: %w", err)
	}
	key, isRSA := c.PublicKey.(*rsa.PublicKey)
	switch {
	case now.Before(c.NotBefore) || now.After(c.NotAfter):
		return nil, vedette.Invalid("S/MIME certificate: valid from %s to %s", c.NotBefore.Format(time.DateOnly), c.NotAfter.Format(time.DateOnly))
	case !isRSA || key.N.BitLen() < 2048:
		return nil, vedette.Invalid("S/MIME certificate: its key is not RSA of 2048 bits or more")
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageKeyEncipherment == 0:
		return nil, vedette.Invalid("S/MIME certificate: not made for encryption")
	case len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0 && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageEmailProtection) && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny):
		return nil, vedette.Invalid("S/MIME certificate: not made for mail")
	}
	return c, nil
}

// Usable says why a mail to a contact would hold the link alone although it has
// a key; nil when one of its keys works, or when it has none.
func Usable(c vedette.Contact, now time.Time) error {
	_, err := Seal("", c, now)
	return err
}

// Seal encrypts a text to a contact, by OpenPGP when its key works and else by
// S/MIME; nil when it has neither.
func Seal(text string, c vedette.Contact, now time.Time) (s *Sealed, err error) {
	if c.OpenPGP != "" {
		if s, err = SealOpenPGP(text, c.OpenPGP, now); err == nil {
			return s, nil
		}
	}
	if c.SMIME != "" {
		s, err2 := SealSMIME(text, c.SMIME, now)
		if err2 == nil || err == nil {
			return s, err2
		}
		return nil, vedette.Invalid("%w; %w", err, err2)
	}
	return nil, err
}

// write writes the headers of the content and the content.
func (s *Sealed) write(w io.Writer, id string) {
	if s.cms != nil {
		fmt.Fprint(w, "Content-Type: application/pkcs7-mime; smime-type=enveloped-data;\r\n name=\"smime.p7m\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7m\"\r\n\r\n")
		for part := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(s.cms)), 76) {
			fmt.Fprintf(w, "%s\r\n", part)
		}
		return
	}
	boundary := fmt.Sprintf("=_%x", sha256.Sum256([]byte(id)))[:34]
	fmt.Fprintf(w, "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\";\r\n boundary=\"%[1]s\"\r\n\r\n--%[1]s\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--%[1]s\r\nContent-Type: application/octet-stream; name=\"encrypted.asc\"\r\nContent-Disposition: inline; filename=\"encrypted.asc\"\r\n\r\n%[2]s\r\n--%[1]s--\r\n",
		boundary, strings.ReplaceAll(strings.TrimSpace(s.armoured), "\n", "\r\n")+"\r\n")
}
