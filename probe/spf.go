package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/vedette-hub/vedette/safe"
)

// spfRecord is a Sender Policy Framework record (RFC 7208 §4.6.1).
type spfRecord struct {
	directives []spfDirective
	redirect   string // a domain-spec, "" none
}

// spfDirective is a mechanism with its qualifier (RFC 7208 §4.6.2).
type spfDirective struct {
	qualifier byte   // '+', '-', '~' or '?'
	mechanism string // "all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"
	domain    string // a domain-spec, "" the domain itself
	network   netip.Prefix
}

// isSPF says whether a text is an SPF record, well-formed or not (RFC 7208 §4.5).
func isSPF(text string) bool {
	return len(text) >= 6 && strings.EqualFold(text[:6], "v=spf1") && (len(text) == 6 || text[6] == ' ')
}

// parseSPF reads a record. The error says which term is wrong: one wrong term
// makes the whole record a permanent error (RFC 7208 §4.6).
func parseSPF(text string) (spfRecord, error) {
	var r spfRecord
	if !isSPF(text) {
		return r, errors.New("no SPF record")
	}
	seen := map[string]bool{}
	for term := range strings.SplitSeq(text[6:], " ") {
		if term == "" {
			continue
		}
		if name, value, ok := spfModifier(term); ok {
			if !macroString(value) {
				return r, fmt.Errorf("%s is no macro string", safe.Quote(term))
			}
			if name == "redirect" || name == "exp" {
				if seen[name] || !domainSpec(value) {
					return r, fmt.Errorf("%s: a domain, and only once", safe.Quote(term))
				}
				seen[name] = true
			}
			if name == "redirect" {
				r.redirect = value
			}
			continue
		}
		d, err := spfTerm(term)
		if err != nil {
			return r, fmt.Errorf("%s: %w", safe.Quote(term), err)
		}
		r.directives = append(r.directives, d)
	}
	return r, nil
}

// spfModifier splits "name=value" (RFC 7208 §12); a name begins with a letter.
func spfModifier(term string) (name, value string, ok bool) {
	i := strings.IndexAny(term, "=:/")
	if i <= 0 || term[i] != '=' || !isLetter(term[0]) {
		return "", "", false
	}
	for _, c := range []byte(term[:i]) {
		if !isLetter(c) && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return "", "", false
		}
	}
	return strings.ToLower(term[:i]), term[i+1:], true
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func spfTerm(term string) (spfDirective, error) {
	d := spfDirective{qualifier: '+'}
	if strings.IndexByte("+-~?", term[0]) >= 0 {
		d.qualifier, term = term[0], term[1:]
	}
	end := strings.IndexAny(term, ":/")
	if end < 0 {
		end = len(term)
	}
	d.mechanism = strings.ToLower(term[:end])
	rest := term[end:]
	switch d.mechanism {
	case "all":
		if rest != "" {
			return d, errors.New("takes no value")
		}
	case "include", "exists":
		if len(rest) < 2 || rest[0] != ':' || !domainSpec(rest[1:]) {
			return d, errors.New("needs a domain")
		}
		d.domain = rest[1:]
	case "ptr":
		if d.domain = strings.TrimPrefix(rest, ":"); rest != "" && !domainSpec(d.domain) {
			return d, errors.New("is followed by no domain")
		}
	case "a", "mx":
		return d, d.hosts(rest)
	case "ip4", "ip6":
		p, err := spfNetwork(strings.TrimPrefix(rest, ":"), d.mechanism == "ip6")
		if err != nil || !strings.HasPrefix(rest, ":") {
			return d, errors.New("needs a network")
		}
		d.network = p
	default:
		return d, errors.New("no such mechanism")
	}
	return d, nil
}

// hosts reads what follows "a" and "mx": [":" domain-spec] ["/" bits] ["//" bits].
func (d *spfDirective) hosts(rest string) error {
	if rest != "" && rest[0] == ':' {
		end := len(rest)
		macros := strings.LastIndexByte(rest, '}') + 1 // in which "/" is a delimiter
		if i := strings.IndexByte(rest[macros:], '/'); i >= 0 {
			end = macros + i
		}
		if d.domain = rest[1:end]; !domainSpec(d.domain) {
			return errors.New("is followed by no domain")
		}
		rest = rest[end:]
	}
	four, six, dual := strings.Cut(rest, "//")
	if dual && !spfBits(six, 128) {
		return errors.New("the length of its IPv6 network is none")
	}
	if four != "" && (four[0] != '/' || !spfBits(four[1:], 32)) {
		return errors.New("the length of its IPv4 network is none")
	}
	return nil
}

// spfBits says whether a text is a prefix length without leading zeros.
func spfBits(s string, most int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 0 && n <= most && s == strconv.Itoa(n)
}

func spfNetwork(s string, six bool) (netip.Prefix, error) {
	addr, bits, cut := strings.Cut(s, "/")
	a, err := netip.ParseAddr(addr)
	if err != nil || a.Zone() != "" || a.Is4() == six {
		return netip.Prefix{}, errors.New("no address")
	}
	if !cut {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	if !spfBits(bits, a.BitLen()) {
		return netip.Prefix{}, errors.New("no length")
	}
	n, _ := strconv.Atoi(bits)
	return netip.PrefixFrom(a, n).Masked(), nil
}

// macroString says whether a text is printable and its macros are whole
// (RFC 7208 §7.1).
func macroString(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < 0x21 || c > 0x7e:
			return false
		case c == '%':
			n := macroAt(s[i:])
			if n == 0 {
				return false
			}
			i += n - 1
		}
	}
	return true
}

// macroAt is the length of the macro at the beginning of s, 0 for none.
func macroAt(s string) int {
	if len(s) < 2 {
		return 0
	}
	if strings.IndexByte("%_-", s[1]) >= 0 {
		return 2
	}
	end := strings.IndexByte(s, '}')
	if s[1] != '{' || end < 3 || strings.IndexByte("slodiphcrtvSLODIPHCRTV", s[2]) < 0 {
		return 0
	}
	rest := strings.TrimLeft(s[3:end], "0123456789")
	if len(rest) > 0 && (rest[0] == 'r' || rest[0] == 'R') {
		rest = rest[1:]
	}
	if strings.Trim(rest, ".-+,/_=") != "" {
		return 0
	}
	return end + 1
}

// domainSpec says whether a text can be expanded to a domain: it ends in a
// macro or in a label that is not all digits (RFC 7208 §7.1).
func domainSpec(s string) bool {
	if s == "" || !macroString(s) {
		return false
	}
	if strings.HasSuffix(s, "}") {
		return true
	}
	s = strings.TrimSuffix(s, ".")
	dot := strings.LastIndexByte(s, '.')
	if dot < 0 {
		return false
	}
	last := s[dot+1:]
	if last == "" || last[0] == '-' || last[len(last)-1] == '-' || strings.Trim(last, "0123456789") == "" {
		return false
	}
	return !slices.ContainsFunc([]byte(last), func(c byte) bool { return !isLetter(c) && (c < '0' || c > '9') && c != '-' })
}

// The limits of RFC 7208 §4.6.4, and how far we count to say by how much a
// record is over them.
const (
	spfLookups  = 10
	spfVoid     = 2
	spfExchange = 10 // names of one mx mechanism
	spfCount    = 40
)

// spfWalk expands a domain's record as a receiver does for a sender that
// nothing matches: every mechanism is evaluated.
type spfWalk struct {
	ctx     context.Context
	r       *Resolver
	lookups int
	void    int
	macros  bool   // some depend on the sender and were counted, not followed
	all     string // the last word: "-all", "~all", "?all", "+all", "" none
	opens   string // what lets everybody send, "" nothing
	wrong   string // a permanent error, in words
	silent  string // a name that the resolver has no answer for
}

// walk expands the record of a domain; path are the domains above it. The error
// is a look that did not succeed.
func (w *spfWalk) walk(domain string, r spfRecord, path []string) (all string, err error) {
	path = append(slices.Clip(path), domain)
	for _, d := range r.directives {
		if d.mechanism == "all" {
			if d.qualifier == '+' {
				w.open("+all", path)
			}
			return string(d.qualifier) + "all", nil // what follows is never reached
		}
		if d.network.IsValid() && d.network.Bits() == 0 && d.qualifier == '+' {
			w.open(d.mechanism+":"+d.network.String(), path)
		}
		if err := w.directive(domain, d, path); err != nil || w.lookups > spfCount {
			return "", err
		}
	}
	if r.redirect == "" {
		return "", nil
	}
	w.lookups++
	return w.follow(r.redirect, "redirect", path)
}

func (w *spfWalk) open(term string, path []string) {
	if w.opens == "" {
		if w.opens = term; len(path) > 1 {
			w.opens += " of " + safe.Label(path[len(path)-1])
		}
	}
}

// directive counts a mechanism and asks what it asks.
func (w *spfWalk) directive(domain string, d spfDirective, path []string) error {
	name := d.domain
	if name == "" {
		name = domain
	}
	switch d.mechanism {
	case "include":
		w.lookups++
		opens := w.opens
		_, err := w.follow(name, "include", path)
		if d.qualifier != '+' {
			w.opens = opens // whom it lets in does not pass
		}
		return err
	case "a", "exists":
		w.lookups++
		return w.hosts(name, d.mechanism == "a")
	case "mx":
		w.lookups++
		return w.exchangers(name)
	case "ptr": // asks for the sender's address
		w.lookups++
	}
	return nil
}

// hosts asks for the addresses of a name.
func (w *spfWalk) hosts(name string, six bool) error {
	a, ok, err := w.ask(name, dns.TypeA)
	if err != nil || !ok || len(a.Records) > 0 {
		return err
	}
	if six {
		if a, ok, err = w.ask(name, dns.TypeAAAA); err != nil || !ok || len(a.Records) > 0 {
			return err
		}
	}
	w.void++
	return nil
}

func (w *spfWalk) exchangers(name string) error {
	a, ok, err := w.ask(name, dns.TypeMX)
	if err != nil || !ok {
		return err
	}
	if len(a.Records) == 0 {
		w.void++
	}
	if len(a.Records) > spfExchange {
		w.fault("mx of %s has %d names, more than %d", name, len(a.Records), spfExchange)
	}
	return nil
}

// follow goes on in the record of another domain. One without exactly one
// record is a permanent error (RFC 7208 §5.2, §6.1).
func (w *spfWalk) follow(name, how string, path []string) (string, error) {
	if slices.Contains(path, plain(name)) {
		w.fault("%s of %s leads back to itself", how, name)
		return "", nil
	}
	a, ok, err := w.ask(name, dns.TypeTXT)
	if err != nil || !ok {
		return "", err
	}
	if len(a.Records) == 0 {
		w.void++
	}
	texts := slices.DeleteFunc(a.texts(), func(s string) bool { return !isSPF(s) })
	if len(texts) != 1 {
		w.fault("%s of %s, which has %d records", how, name, len(texts))
		return "", nil
	}
	r, err := parseSPF(texts[0])
	if err != nil {
		w.fault("%s of %s: %v", how, name, err)
		return "", nil
	}
	return w.walk(plain(name), r, path)
}

func (w *spfWalk) fault(format string, a ...any) {
	if w.wrong == "" {
		w.wrong = safe.Label(fmt.Sprintf(format, a...))
	}
}

// ask asks the resolver, unless the name depends on the sender. Where a
// resolver answers that it has none, receivers have none either: that is a
// state of the record. Silence is a failed look.
func (w *spfWalk) ask(name string, typ uint16) (Answer, bool, error) {
	if strings.Contains(name, "%") {
		w.macros = true
		return Answer{}, false, nil
	}
	a, err := w.r.Ask(w.ctx, name, typ)
	var fail *LookupError
	if err != nil && w.ctx.Err() == nil && errors.As(err, &fail) && fail.Rcode != "" {
		if w.silent == "" {
			w.silent = safe.Label(plain(name))
		}
		return Answer{}, false, nil
	}
	return a, err == nil, err
}
