package vedette

import (
	"fmt"
	"time"
)

// Attempt is one try of a person to sign in.
type Attempt struct {
	Name     string
	Password string
	Code     string // of a code generator, or a recovery code; "" when none was asked for yet
	Address  string // where the try comes from: an IP address, with or without a port
}

// SignedIn is what came of a try that was not refused.
type SignedIn struct {
	// Principal is who it is; only the name when a second proof is wanted.
	Principal Principal
	// Session is what a session keeps of it: it names the person, and holds
	// until his sessions are ended. It is no secret, and nothing for a cookie.
	Session string
	// Second says that the password was right and a code is wanted now. Such a
	// Session is nobody's until the code came, within HalfTime.
	Second bool
}

// HalfTime is how long the second proof may take.
const HalfTime = 10 * time.Minute

// LinkPath is where a sign-in link leads, before its token. The page behind it
// has a button: a program that only follows the link signs nobody in.
const LinkPath = "/in/"

// The values of a session that the store knows: SessionUser is SignedIn.Session,
// and SessionAddress where the person signed in from, for the list of sessions.
const (
	SessionUser    = "user"
	SessionAddress = "address"
)

// TooMany is an ErrAuth: nobody is let in under this name, or from this
// address, before a time. It is said of names that are nobody's as well.
type TooMany struct{ Until time.Time }

// Error says until when.
func (e *TooMany) Error() string {
	return fmt.Sprintf("too many failed tries: again after %s", e.Until.UTC().Format("15:04:05Z"))
}

// Unwrap gives the kind.
func (e *TooMany) Unwrap() error { return ErrAuth }

// Session is one session of a person, without what would let anybody in.
type Session struct {
	User    string    `json:"user"`
	Created time.Time `json:"created"`
	Address string    `json:"address,omitempty"`
	Expires time.Time `json:"expires"`
}

// Passkey is a WebAuthn credential of a person (WebAuthn Level 3 §4, credential record).
type Passkey struct {
	ID        []byte    `json:"id"`
	User      string    `json:"user"`
	Name      string    `json:"name"`       // what the person calls it
	SignCount uint32    `json:"sign_count"` // 0 where the authenticator does not count
	Body      []byte    `json:"-"`          // the record as JSON, in the form of the library that checks it
	Created   time.Time `json:"created"`
	Used      time.Time `json:"used,omitzero"`
}

// Subject is who somebody is at a provider of identities (OpenID Connect Core 1.0 §2).
type Subject struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"` // never changes at the issuer, unlike names and addresses
	User    string `json:"user"`
}
