package credential

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" // RFC 6238 as every authenticator has it
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// One-time codes by time: TOTP with SHA-1, six digits, 30 seconds (RFC 6238).
const (
	stepTime = 30 * time.Second
	window   = 1 // steps that a clock may be off, either way (RFC 6238 §5.2)
	digits   = 6
)

var b32 = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewSecret makes the secret of a code generator: 160 bits (RFC 4226 §4).
func NewSecret() ([]byte, error) {
	b := make([]byte, 20)
	_, err := rand.Read(b)
	return b, err
}

// Enrolment is the otpauth:// URI by which a code generator takes a secret in.
func Enrolment(issuer, user string, secret []byte) string {
	q := url.Values{"secret": {b32.EncodeToString(secret)}, "issuer": {issuer}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}}
	label := url.PathEscape(issuer) + ":" + url.PathEscape(user)
	return "otpauth://totp/" + label + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}

// Step is the time step in which a code is the one of a secret at a time,
// later than the last step whose code was used; 0 when it is of none.
func Step(secret []byte, code string, now time.Time, last int64) (step int64) {
	code = strings.ReplaceAll(code, " ", "")
	t := now.Unix() / int64(stepTime/time.Second)
	for s := t - window; s <= t+window; s++ {
		same := subtle.ConstantTimeCompare([]byte(Code(secret, s)), []byte(code))
		if same == 1 && s > last {
			step = s
		}
	}
	return step
}

// Code is the code of a step (RFC 4226 §5.3).
func Code(secret []byte, step int64) string {
	m := hmac.New(sha1.New, secret)
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(step))
	m.Write(b[:])
	sum := m.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[len(sum)-1]&15:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", digits, n%1_000_000)
}

// RecoveryCodes is how many of them a person gets.
const RecoveryCodes = 10

// NewRecovery makes a recovery code: 80 bits in four groups, such as
// ABCD-EF23-GHIJ-KL45. It is too long to be guessed from its plain hash.
func NewRecovery() (string, error) {
	b := make([]byte, 10)
	if _, err := rand.Read(b); err != nil {
		return "", err
	}
	s := b32.EncodeToString(b)
	return s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:], nil
}

// RecoveryHash is what is kept of a recovery code; false when the text is none.
// Case, spaces and hyphens are as the person likes.
func RecoveryHash(code string) ([]byte, bool) {
	plain := strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(code))
	if raw, err := b32.DecodeString(plain); err != nil || len(raw) != 10 || len(plain) != 16 {
		return nil, false
	}
	sum := sha256.Sum256([]byte(plain))
	return sum[:], true
}
