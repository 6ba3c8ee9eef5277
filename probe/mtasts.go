package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// MTASTS fetches the policy that a mail domain announces. It is a check of its
// own because it opens a session, which a look-up does not.
var MTASTS = mtaSTS(443, nil)

// mtaSTS is the check over a port and with authorities, nil those of the system.
func mtaSTS(port uint16, roots *x509.CertPool) Check {
	return Check{
		Name:  "mta-sts",
		About: "the policy of a mail domain that its mail is to come over TLS",
		Spec:  "RFC 8461",
		Class: vedette.Active,
		For:   Subject.Lookup,
		Run: func(ctx context.Context, env *Env, s Subject, emit Emit) error {
			return (&policyLook{env, s.Asset.ID, port, roots}).run(ctx, emit)
		},
	}
}

// policyLook looks at the policy of one domain.
type policyLook struct {
	env    *Env
	domain string
	port   uint16
	roots  *x509.CertPool
}

// stsPolicy is a policy file (RFC 8461 §3.2).
type stsPolicy struct {
	mode   string // "enforce", "testing", "none"
	maxAge int    // seconds
	mx     []string
}

// maxPolicy is how much of a policy file is read (RFC 8461 §3.3 asks for a
// limit, 64 KiB is its example).
const maxPolicy = 64 << 10

// parseSTSPolicy reads a policy file: lines "key: value", ended by LF or CRLF.
func parseSTSPolicy(text string) (stsPolicy, error) {
	p := stsPolicy{maxAge: -1}
	version := ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, "\r \t")
		if line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if !ok || !stsKey(key) {
			return p, fmt.Errorf("line %d is no key and value", i+1)
		}
		switch key {
		case "version":
			version = value
		case "mode":
			p.mode = value
		case "max_age":
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 || n > 31557600 {
				return p, errors.New("max_age is no number of seconds up to a year")
			}
			p.maxAge = n
		case "mx":
			if _, ok := dns.IsDomainName(strings.TrimPrefix(value, "*.")); !ok || value == "" || len(p.mx) == 1000 {
				return p, fmt.Errorf("mx %s is no name", safe.Quote(value))
			}
			p.mx = append(p.mx, plain(value))
		}
	}
	switch {
	case version != "STSv1":
		return p, errors.New("version is not STSv1")
	case p.mode != "enforce" && p.mode != "testing" && p.mode != "none":
		return p, errors.New("mode is none of enforce, testing and none")
	case p.maxAge < 0:
		return p, errors.New("max_age is missing")
	case len(p.mx) == 0 && p.mode != "none":
		return p, errors.New("it names no mx")
	}
	return p, nil
}

func stsKey(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	return !slices.ContainsFunc([]byte(s), func(c byte) bool {
		return !isLetter(c) && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.'
	})
}

// holds says whether a mail exchanger matches the policy (RFC 8461 §4.1): a
// wildcard stands for one label.
func (p stsPolicy) holds(mx string) bool {
	return slices.ContainsFunc(p.mx, func(pattern string) bool {
		if rest, ok := strings.CutPrefix(pattern, "*."); ok {
			_, below, _ := strings.Cut(mx, ".")
			return below == rest
		}
		return pattern == mx
	})
}

// announced are the MTA-STS records among texts, and whether they are one
// well-formed (RFC 8461 §3.1).
func announced(texts []string) (count int, ok bool) {
	for _, s := range texts {
		if strings.HasPrefix(s, "v=STSv1") && (len(s) == 7 || strings.ContainsRune("; \t", rune(s[7]))) {
			tags, err := tagList(s)
			id := tags["id"]
			ok = err == nil && id != "" && len(id) <= 32 && !slices.ContainsFunc([]byte(id), func(c byte) bool { return !isLetter(c) && (c < '0' || c > '9') })
			count++
		}
	}
	return count, ok && count == 1
}

// run looks at the policy of a domain that announces one.
func (l *policyLook) run(ctx context.Context, emit Emit) error {
	txt, err := l.env.Resolver.Ask(ctx, "_mta-sts."+l.domain, dns.TypeTXT)
	if err != nil {
		return err
	}
	n, ok := announced(txt.texts())
	if n == 0 {
		return nil
	}
	f := vedette.Fact{Details: map[string]string{"mta_sts": "announced"}}
	wrong := ""
	if !ok {
		wrong = fmt.Sprintf("the domain announces a policy by %d records, and not by one that is well-formed", n)
	} else if wrong, err = l.check(ctx, f.Details); err != nil {
		return err
	}
	if wrong != "" {
		f.Reports = []vedette.Report{{Weakness: "check:mta-sts-invalid", Verdict: vedette.Confirmed, Note: strings.ToUpper(wrong[:1]) + wrong[1:] + "."}}
	}
	emit(vedette.Observation{Fact: f})
	return nil
}

// check fetches and judges the policy. The error is a look that did not
// succeed or that the scope refused; what senders would stumble over is wrong.
func (l *policyLook) check(ctx context.Context, details map[string]string) (wrong string, err error) {
	mx, err := l.env.Resolver.Ask(ctx, l.domain, dns.TypeMX)
	if err != nil {
		return "", err
	}
	host := "mta-sts." + l.domain
	addrs, err := l.env.Resolver.Addresses(ctx, host)
	if err != nil {
		return "", err
	}
	if len(addrs) == 0 {
		return safe.Label(host) + ", which has to serve the policy, has no address", nil
	}
	addrs = addrs[:min(len(addrs), 4)]
	l.env.Net.Resolved(host, addrs...)
	l.env.Net.Service(host, l.port)
	text, wrong, err := l.fetch(ctx, host, addrs)
	if err != nil || wrong != "" {
		return wrong, err
	}
	p, err := parseSTSPolicy(text)
	if err != nil {
		return "the policy is no policy: " + safe.Label(err.Error()), nil
	}
	details["mode"], details["max_age"], details["mx"] = p.mode, strconv.Itoa(p.maxAge), listed(slices.Clone(p.mx))
	for _, rr := range mx.Records {
		if name := plain(rr.(*dns.MX).Mx); name != "" && p.mode != "none" && !p.holds(name) {
			return fmt.Sprintf("the mail exchanger %s is not in the policy, whose mode is %s", safe.Label(name), p.mode), nil
		}
	}
	return "", nil
}

// fetch gets the policy file from the first address that answers. No
// redirect is followed, and the certificate has to hold (RFC 8461 §3.3).
func (l *policyLook) fetch(ctx context.Context, host string, addrs []netip.Addr) (text, wrong string, err error) {
	for _, a := range addrs {
		t := vedette.Target{Network: "tcp", Addr: netip.AddrPortFrom(a, l.port), Name: host, Class: vedette.Active}
		if text, wrong, err = l.from(ctx, t); err == nil {
			return text, wrong, nil
		}
	}
	return "", "", err
}

func (l *policyLook) from(ctx context.Context, t vedette.Target) (text, wrong string, err error) {
	if err := l.env.Net.Request(ctx, t.Addr.Addr()); err != nil {
		return "", "", err
	}
	c, err := l.env.Net.DialWithin(ctx, t, l.env.Timeout)
	if err != nil {
		return "", "", err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, l.env.Timeout)
	defer cancel()
	if err := c.SetDeadline(time.Now().Add(l.env.Timeout)); err != nil {
		return "", "", err
	}
	s := tls.Client(c, &tls.Config{ServerName: t.Name, MinVersion: tls.VersionTLS12, RootCAs: l.roots})
	if err := s.HandshakeContext(ctx); err != nil {
		var bad *tls.CertificateVerificationError
		if errors.As(err, &bad) {
			return "", "the certificate of " + safe.Label(t.Name) + " does not hold: " + safe.Reason(bad.Err), nil
		}
		return "", "", err
	}
	return askPolicy(s, t.Name, l.env.Agent)
}

// askPolicy asks for the policy file over a connection.
func askPolicy(c io.ReadWriter, host, agent string) (text, wrong string, err error) {
	r, err := http.NewRequest(http.MethodGet, "https://"+host+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return "", "", err
	}
	r.Header.Set("User-Agent", agent)
	r.Close = true
	if err := r.Write(c); err != nil {
		return "", "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(io.LimitReader(c, 2*maxPolicy)), r)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Sprintf("the policy is not there: %s answers %d", safe.Label(host), resp.StatusCode), nil
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != "text/plain" {
		return "", "the policy is not text/plain", nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPolicy))
	return string(body), "", err
}
