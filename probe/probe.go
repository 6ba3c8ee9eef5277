// Package probe looks at assets over real protocols: one file per check. A
// check is a value in All; it reaches its subject through Env alone, whose
// dialer asks the scope before every packet and waits for the brakes.
package probe

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// Check is one check of an asset: data and two functions.
type Check struct {
	Name  string // "dns", "service", "tls", "http"; the check of its observations
	About string // one line
	Spec  string // what it speaks, "RFC 4253"
	Class vedette.CheckClass
	// Also are the names of other checks whose observations Run emits: a look
	// that succeeded covers them as well as Name. An emitted observation that
	// names no check is of Name.
	Also []string
	Time time.Duration // the longest that Run takes, a minute when 0
	// For says whether the check has something to look at.
	For func(Subject) bool
	// Run looks and emits what it saw. An error says that the look did not
	// succeed: then it proves nothing, neither presence nor absence.
	Run func(ctx context.Context, env *Env, s Subject, emit Emit) error
}

// Emit takes one observation; asset, port, protocol, check and time are filled in by the caller.
type Emit func(vedette.Observation)

// Subject is what a check looks at: a name (look-ups), or a port of an address,
// reached under a name or as the address itself.
type Subject struct {
	Asset vedette.Asset
	Addr  netip.Addr // zero in look-ups
	Port  uint16     // 0 in look-ups
	Proto string     // "tcp", "udp"; "" in look-ups
	// Open says that a connect to Port was just accepted.
	Open bool
	// Service and TLS are what the service check identified on the port.
	Service string
	TLS     bool
	// Unnamed says that no check found software there and that an nmap is to be asked.
	Unnamed bool
}

// Name is whom a session is opened to: the name asset, "" for an address.
func (s Subject) Name() string {
	if s.Asset.Kind == vedette.NameAsset {
		return s.Asset.ID
	}
	return ""
}

// Lookup says whether the subject is a name in the DNS and no port.
func (s Subject) Lookup() bool { return s.Port == 0 && s.Asset.Kind == vedette.NameAsset }

// Env is the world of one run as its checks see it.
type Env struct {
	Net      *safe.Bound
	Resolver *Resolver
	Identify *Rules // how banners become software; never nil
	Agent    string // User-Agent, with the address of who to ask
	Timeout  time.Duration
	Now      func() time.Time
	// Roots are the authorities that certificates are held against; nil are the system's.
	Roots *x509.CertPool
	// Outside says that the probe stands where everybody does: what it reaches is
	// reachable from public networks.
	Outside bool
	// Found hears of names met on the way: mail exchangers, names of a
	// certificate. The plan decides whether they are looked at: nothing a host
	// says widens the scope.
	Found func(name string)
	// LookUp says whether the scope still lets a name be looked up; nil is always.
	LookUp func(name string) error
	Nmap   string // path of an nmap to ask where our own checks find no software; "" for none
}

// mayLookUp says whether the scope lets a name be looked up now.
func (e *Env) mayLookUp(name string) bool { return e.LookUp == nil || e.LookUp(name) == nil }

// Dial opens a connection to the subject's port, with the time of one step to live.
func (e *Env) Dial(ctx context.Context, s Subject, class vedette.CheckClass) (net.Conn, error) {
	return e.DialPort(ctx, s, s.Port, class)
}

// DialPort is Dial to another port of the same subject; the scope decides on it.
func (e *Env) DialPort(ctx context.Context, s Subject, port uint16, class vedette.CheckClass) (net.Conn, error) {
	t := vedette.Target{Network: s.Proto, Addr: netip.AddrPortFrom(s.Addr, port), Name: s.Name(), Class: class}
	tries := 2
	if s.Open && port == s.Port {
		tries = 4 // silence is a loss, with which nobody may go
	}
	for {
		c, err := e.Net.DialWithin(ctx, t, e.Timeout)
		if err == nil {
			return c, c.SetDeadline(time.Now().Add(e.Timeout))
		}
		var lost net.Error
		if tries--; tries == 0 || ctx.Err() != nil || !errors.As(err, &lost) || !lost.Timeout() {
			return nil, err
		}
	}
}
