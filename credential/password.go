// Package credential is the arithmetic of what proves who a person is: hashes
// of passwords, one-time codes, and secrets sealed with a key that lies beside
// the store. It keeps nothing and knows nothing of ours.
package credential

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// The parameters of a new hash: Argon2id (RFC 9106) with 19 MiB and two
// passes, the first choice of OWASP's Password Storage Cheat Sheet.
const (
	memory  = 19 * 1024 // KiB
	passes  = 2
	lanes   = 1
	saltLen = 16
	sumLen  = 32
)

// MinPassword is the least number of characters of a new password, and
// MaxPassword the most bytes of any that is tried.
const (
	MinPassword = 12
	MaxPassword = 1024
)

// hash is a password's hash with all that it takes to compute it again.
type hash struct {
	memory, passes uint32
	lanes          uint8
	salt, sum      []byte
}

// Hash makes the hash of a password, as a PHC string with a salt of its own.
func Hash(password string) (string, error) {
	h := hash{memory: memory, passes: passes, lanes: lanes, salt: make([]byte, saltLen)}
	if _, err := rand.Read(h.salt); err != nil {
		return "", err
	}
	h.sum = h.of(password, sumLen)
	return h.String(), nil
}

func (h hash) of(password string, n int) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.lanes, uint32(n))
}

// String is the PHC string format, as argon2's own tools write it.
func (h hash) String() string {
	b := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.lanes, b.EncodeToString(h.salt), b.EncodeToString(h.sum))
}

// dummy is what the password of somebody without one is held against: the
// answer takes as long, and is always no.
var dummy = hash{memory: memory, passes: passes, lanes: lanes, salt: make([]byte, saltLen), sum: make([]byte, sumLen)}

// Verify says whether a password is the one of a hash, and whether the hash is
// of other parameters than new ones have. An empty or unreadable hash is
// nobody's: it takes as long, and says no.
func Verify(password, phc string) (ok, old bool) {
	h, err := parse(phc)
	if err != nil {
		h = dummy
	}
	if len(password) > MaxPassword {
		password = ""
	}
	same := subtle.ConstantTimeCompare(h.of(password, len(h.sum)), h.sum) == 1
	return same && err == nil && password != "", h.memory != memory || h.passes != passes || h.lanes != lanes || len(h.salt) != saltLen || len(h.sum) != sumLen
}

// The most that a hash may ask for: a store written by somebody else must not
// take the machine's memory or hours.
const (
	maxMemory = 256 * 1024 // KiB
	maxPasses = 16
	maxLanes  = 16
	maxPHC    = 512
)

// parse reads a PHC string of Argon2id, and no other form of one.
func parse(phc string) (h hash, err error) {
	bad := func(what string) (hash, error) { return hash{}, fmt.Errorf("password hash: %s", what) }
	f := strings.Split(phc, "$")
	if len(phc) > maxPHC || len(f) != 6 || f[0] != "" || f[1] != "argon2id" {
		return bad("not a PHC string of argon2id")
	}
	if f[2] != "v="+strconv.Itoa(argon2.Version) {
		return bad("another version of argon2")
	}
	var m, t, p uint64
	for i, kv := range strings.Split(f[3], ",") {
		if i > 2 {
			return bad("more than three parameters")
		}
		name, into, most := []string{"m=", "t=", "p="}[i], []*uint64{&m, &t, &p}[i], []uint64{maxMemory, maxPasses, maxLanes}[i]
		digits, ok := strings.CutPrefix(kv, name)
		if *into, err = strconv.ParseUint(digits, 10, 32); err != nil || !ok || *into == 0 || *into > most || digits[0] == '0' || digits[0] == '+' {
			return bad("parameter " + strconv.Itoa(i+1))
		}
	}
	if p == 0 || m < 8*p {
		return bad("too few parameters, or too little memory for its lanes")
	}
	b := base64.RawStdEncoding.Strict()
	if h.salt, err = b.DecodeString(f[4]); err != nil || len(h.salt) < 8 || len(h.salt) > 64 {
		return bad("salt")
	}
	if h.sum, err = b.DecodeString(f[5]); err != nil || len(h.sum) < 16 || len(h.sum) > 64 {
		return bad("sum")
	}
	h.memory, h.passes, h.lanes = uint32(m), uint32(t), uint8(p)
	if h.String() != phc { // a line break within base64, for one
		return bad("not written as it would be")
	}
	return h, nil
}

// Fit says why a new password of a user is not good enough, "" when it is.
// Length is what counts (NIST SP 800-63B-4 §3.1.1.2): nothing is asked about
// kinds of characters.
func Fit(name, password string) string {
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return "the password is no text"
	case n < MinPassword:
		return fmt.Sprintf("the password has %d characters: %d are needed, and four words are easy to keep", n, MinPassword)
	case len(password) > MaxPassword:
		return fmt.Sprintf("the password has %d bytes: %d are the most", len(password), MaxPassword)
	case len(name) > 2 && strings.Contains(strings.ToLower(password), strings.ToLower(name)):
		return "the password contains the user's name"
	case strings.Count(password, password[:1]) == len(password):
		return "the password is one character again and again"
	}
	return ""
}
