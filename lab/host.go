package lab

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Host is a machine of the lab: an address, the names it calls itself, and the
// services that listen there.
type Host struct {
	Address string    `yaml:"address"` // within 127.0.0.0/8
	Names   []string  `yaml:"names,omitempty"`
	About   string    `yaml:"about,omitempty"` // what it is there for
	Stopped bool      `yaml:"stopped,omitempty"`
	Service []Service `yaml:"services"`
	// Middlebox are ports, "1-1024,8080", on all of which it accepts and says nothing.
	Middlebox string `yaml:"middlebox,omitempty"`
}

// Service is one listener of a host. It is replaced as a whole when it changes.
type Service struct {
	Port  int    `yaml:"port"`
	Proto string `yaml:"proto,omitempty"` // "tcp" or "udp"; "" is that of its kind
	Kind  string `yaml:"kind"`            // a name of Kinds
	TLS   *TLS   `yaml:"tls,omitempty"`
	// Software is what the service shows of itself; nothing when it shows nothing.
	Software  Software `yaml:"software,omitempty"`
	Weak      []string `yaml:"weak,omitempty"` // "check:redis-no-auth"
	Pages     []Page   `yaml:"pages,omitempty"`
	Redirect  string   `yaml:"redirect,omitempty"`  // of every path of http without a page
	CatchAll  bool     `yaml:"catch_all,omitempty"` // every path of http is the first page
	Zones     []string `yaml:"zones,omitempty"`     // origins of which dns is a name server
	Greeting  string   `yaml:"greeting,omitempty"`  // raw: what it says first; smtp: the host it claims to be; ldap: its vendor
	Community string   `yaml:"community,omitempty"` // snmp: to whom it answers in versions 1 and 2c
	// Delay passes before the service says anything.
	Delay    time.Duration `yaml:"delay,omitempty"`
	Stopped  bool          `yaml:"stopped,omitempty"`
	Filtered bool          `yaml:"filtered,omitempty"` // nothing listens and packets are lost: see Internet.Drop
}

// Software is what a service shows of its software.
type Software struct {
	Vendor  string `yaml:"vendor,omitempty"`  // as CPE names it
	Product string `yaml:"product,omitempty"` // as CPE names it
	Version string `yaml:"version,omitempty"` // "" when the protocol does not show it
	// Banner is the form in which it shows, with {version} where that stands:
	// "OpenSSH_{version} Debian-5+deb11u3".
	Banner string `yaml:"banner,omitempty"`
	// CVEs are those that a look at the version must find with the sample data.
	CVEs []string `yaml:"cves,omitempty"`
}

// Shown is the banner with its version.
func (s Software) Shown() string { return strings.ReplaceAll(s.Banner, "{version}", s.Version) }

// TLS is how a service does TLS.
type TLS struct {
	Versions []string `yaml:"versions,omitempty"` // "ssl3", "1.0" to "1.3"; 1.2 and 1.3 when empty
	Cert     string   `yaml:"cert,omitempty"`     // "valid" (also ""), "expired", "self-signed", "wrong-name", "weak-key"
	StartTLS bool     `yaml:"starttls,omitempty"` // begins in clear
	Names    []string `yaml:"names,omitempty"`    // the certificate names besides those of the host
}

// Page is what http answers at a path.
type Page struct {
	Path    string            `yaml:"path"`
	Status  int               `yaml:"status,omitempty"` // 200 when 0
	Headers map[string]string `yaml:"headers,omitempty"`
	Body    string            `yaml:"body,omitempty"`
}

// has says whether a service has a weakness.
func (s *Service) has(weakness string) bool { return slices.Contains(s.Weak, weakness) }

// addr is the parsed address; load checked it.
func (h *Host) addr() netip.Addr { return netip.MustParseAddr(h.Address) }

// name is what the host calls itself: its first name, or "localhost".
func (h *Host) name() string {
	if len(h.Names) > 0 {
		return h.Names[0]
	}
	return "localhost"
}

// check completes a host and says what is wrong with it.
func (h *Host) check() error {
	a, err := netip.ParseAddr(h.Address)
	if err != nil || !loopback(a) {
		return fmt.Errorf("address: %q is not within 127.0.0.0/8: a lab touches loopback only", h.Address)
	}
	seen := map[string]bool{}
	for i := range h.Service {
		s := &h.Service[i]
		if err := s.check(); err != nil {
			return fmt.Errorf("services[%d].%w", i, err)
		}
		at := fmt.Sprintf("%d/%s", s.Port, s.Proto)
		if seen[at] {
			return fmt.Errorf("services[%d].port: %s stands twice", i, at)
		}
		seen[at] = true
	}
	if _, err := ports(h.Middlebox); err != nil {
		return fmt.Errorf("middlebox: %w", err)
	}
	return nil
}

func (s *Service) check() error {
	k, ok := kindOf(s.Kind)
	if !ok {
		return fmt.Errorf("kind: %q is none of %s", s.Kind, strings.Join(kindNames(), ", "))
	}
	if s.Proto == "" {
		s.Proto = "tcp"
		if k.tcp == nil {
			s.Proto = "udp"
		}
	}
	if s.Proto == "tcp" && k.tcp == nil || s.Proto == "udp" && k.udp == nil || s.Proto != "tcp" && s.Proto != "udp" {
		return fmt.Errorf("proto: %s is not spoken over %q", s.Kind, s.Proto)
	}
	if s.Port < 1 || s.Port > 65535 {
		return fmt.Errorf("port: %d is not a port", s.Port)
	}
	for _, w := range s.Weak {
		if !strings.HasPrefix(w, "check:") {
			return fmt.Errorf("weak: %q does not begin with check:", w)
		}
	}
	for i := range s.Pages {
		if s.Pages[i].Status == 0 {
			s.Pages[i].Status = 200
		}
	}
	if s.TLS != nil {
		return s.TLS.check()
	}
	return nil
}

func (t *TLS) check() error {
	for _, v := range t.Versions {
		if v != "ssl3" && tlsVersions[v] == 0 {
			return fmt.Errorf("tls.versions: %q is not ssl3, 1.0, 1.1, 1.2 or 1.3", v)
		}
	}
	if !slices.Contains([]string{"", certValid, certExpired, certSelfSigned, certWrongName, certWeakKey}, t.Cert) {
		return fmt.Errorf("tls.cert: %q is not known", t.Cert)
	}
	return nil
}

// loopback says whether an address is one the lab may use: within 127.0.0.0/8.
func loopback(a netip.Addr) bool { return a.Is4() && a.As4()[0] == 127 }

// ports reads "1-1024,8080".
func ports(list string) ([]int, error) {
	var out []int
	for part := range strings.SplitSeq(list, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		var from, to int
		if n, _ := fmt.Sscanf(part, "%d-%d", &from, &to); n == 1 {
			to = from
		} else if n != 2 {
			return nil, fmt.Errorf("%q is not a list of ports", list)
		}
		if from < 1 || to > 65535 || from > to {
			return nil, fmt.Errorf("%q is not a range of ports", part)
		}
		for p := from; p <= to; p++ {
			out = append(out, p)
		}
	}
	return out, nil
}
