package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
	"golang.org/x/net/publicsuffix"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// Mail looks at what a domain says of its mail in the DNS: who may send as it,
// what becomes of the rest, and how it is to be delivered.
var Mail = Check{
	Name:  "mail",
	About: "who may send mail as a domain: SPF, DMARC, DKIM; how it is delivered: MTA-STS, TLS-RPT, DANE",
	Spec:  "RFC 7208, RFC 7489, RFC 6376, RFC 8461, RFC 8460, RFC 7672",
	Class: vedette.Passive,
	For:   Subject.Lookup,
	Run:   runMail,
}

// texts are the strings of TXT records, each record as one (RFC 7208 §3.3),
// as bytes: the library shows them escaped.
func (a Answer) texts() []string {
	var out []string
	for _, rr := range a.Records {
		if t, ok := rr.(*dns.TXT); ok {
			out = append(out, unescape(strings.Join(t.Txt, "")))
		}
	}
	slices.Sort(out)
	return out
}

// unescape undoes \X and \DDD of RFC 1035 §5.1.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		if n, err := strconv.ParseUint(s[i+1:min(i+4, len(s))], 10, 8); err == nil && i+3 < len(s) {
			b = append(b, byte(n))
			i += 3
			continue
		}
		i++
		b = append(b, s[i])
	}
	return string(b)
}

// mailLook is what one domain was found to say.
type mailLook struct {
	r        *Resolver
	domain   string
	org      string // the organisational domain
	mx       []string
	null     bool     // it says that it takes no mail (RFC 7505)
	texts    []string // of the domain
	spf      []string
	dmarc    []string
	fallback []string // DMARC of the organisational domain, when the domain has none
	details  map[string]string
	reports  []vedette.Report
}

func runMail(ctx context.Context, env *Env, s Subject, emit Emit) error {
	l := &mailLook{r: env.Resolver, domain: s.Asset.ID, details: map[string]string{}}
	l.org, _ = publicsuffix.EffectiveTLDPlusOne(l.domain)
	there, err := l.ask(ctx)
	if err != nil || !there {
		return err
	}
	for _, part := range []func(context.Context) error{l.lookSPF, l.lookDMARC, l.lookDKIM, l.lookDelivery} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	emit(vedette.Observation{Fact: vedette.Fact{Details: l.details, Reports: l.reports}})
	return nil
}

// ask looks up what makes a name a mail domain: it has MX, SPF or DMARC
// records, or it is the domain that an organisation registered.
func (l *mailLook) ask(ctx context.Context) (bool, error) {
	mx, err := l.r.Ask(ctx, l.domain, dns.TypeMX)
	if err != nil || !mx.Exists || len(mx.Aliases) > 0 { // an alias is judged where it leads
		return false, err
	}
	for _, rr := range mx.Records {
		if m, ok := rr.(*dns.MX); ok && m.Mx != "." {
			l.mx = append(l.mx, plain(m.Mx))
		}
	}
	slices.Sort(l.mx)
	l.mx = slices.Compact(l.mx)
	l.null = len(mx.Records) > 0 && len(l.mx) == 0
	txt, err := l.r.Ask(ctx, l.domain, dns.TypeTXT)
	if err != nil {
		return false, err
	}
	l.texts = txt.texts()
	l.spf = slices.DeleteFunc(slices.Clone(l.texts), func(s string) bool { return !isSPF(s) })
	if l.dmarc, err = l.policies(ctx, l.domain); err != nil {
		return false, err
	}
	return len(l.mx)+len(l.spf)+len(l.dmarc) > 0 || l.null || l.domain == l.org, nil
}

// policies are the texts of a domain that are DMARC records or mean to be.
func (l *mailLook) policies(ctx context.Context, domain string) ([]string, error) {
	a, err := l.r.Ask(ctx, "_dmarc."+domain, dns.TypeTXT)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(a.texts(), func(s string) bool { return !strings.Contains(strings.ToLower(s), "dmarc1") }), nil
}

func (l *mailLook) report(weakness, format string, a ...any) {
	l.reports = append(l.reports, vedette.Report{Weakness: weakness, Verdict: vedette.Confirmed, Note: fmt.Sprintf(format, a...)})
}

func (l *mailLook) lookSPF(ctx context.Context) error {
	l.details["spf_records"] = strconv.Itoa(len(l.spf))
	switch {
	case len(l.spf) == 0:
		if len(l.mx) > 0 || l.null || l.domain == l.org {
			l.report("check:spf-missing", "The domain has no SPF record: any host may send mail as it.")
		}
		return nil
	case len(l.spf) > 1:
		l.report("check:spf-invalid", "The domain has %d SPF records, which receivers take for an error.", len(l.spf))
		return nil
	}
	l.details["spf"] = clipText(l.spf[0])
	r, err := parseSPF(l.spf[0])
	if err != nil {
		l.report("check:spf-invalid", "The SPF record cannot be read: %v.", err)
		return nil
	}
	w := &spfWalk{ctx: ctx, r: l.r}
	if w.all, err = w.walk(l.domain, r, nil); err != nil {
		return err
	}
	l.judgeSPF(w)
	return nil
}

func (l *mailLook) judgeSPF(w *spfWalk) {
	l.details["spf_all"] = w.all
	if w.all == "" {
		l.details["spf_all"] = "none"
	}
	l.details["spf_lookups"] = strconv.Itoa(w.lookups)
	if w.lookups > spfCount {
		l.details["spf_lookups"] = fmt.Sprintf("more than %d", spfCount)
	}
	if w.macros {
		l.details["spf_macros"] = "counted, not followed"
	}
	if w.opens != "" {
		l.report("check:spf-allows-all", "The SPF record lets any host send as the domain: %s.", w.opens)
	}
	if w.lookups > spfLookups {
		l.report("check:spf-too-many-lookups", "Receivers need %s lookups for the SPF record and stop with an error after %d.", l.details["spf_lookups"], spfLookups)
	}
	switch {
	case w.wrong != "":
		l.report("check:spf-invalid", "Receivers stop with an error: %s.", w.wrong)
	case w.void > spfVoid:
		l.report("check:spf-invalid", "Receivers stop with an error: %d lookups of the SPF record find nothing, more than %d.", w.void, spfVoid)
	case w.silent != "":
		l.report("check:spf-invalid", "Receivers put mail off: the SPF record needs %s, whose servers fail.", w.silent)
		l.reports[len(l.reports)-1].Verdict = vedette.Likely // they may be back soon
	}
}

// parked says whether the domain says that it neither sends nor takes mail.
func (l *mailLook) parked() bool {
	return len(l.mx) == 0 && len(l.spf) == 1 && strings.EqualFold(strings.Join(strings.Fields(l.spf[0]), " "), "v=spf1 -all")
}

func (l *mailLook) lookDMARC(ctx context.Context) error {
	at, texts := l.domain, l.dmarc
	if len(texts) == 0 && l.org != "" && l.org != l.domain {
		var err error
		if texts, err = l.policies(ctx, l.org); err != nil {
			return err
		}
		at = l.org
	}
	records := slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return !isDMARC(s) })
	own := at == l.domain
	if len(texts) == 0 {
		l.details["dmarc"] = "none"
		if !l.parked() {
			l.report("check:dmarc-missing", "Neither the domain nor the organisation's has a DMARC record: mail that claims to come from it is delivered.")
		}
		return nil
	}
	l.details["dmarc"] = "of " + at
	var r dmarcRecord
	err := errors.New("it does not begin with v=DMARC1")
	switch {
	case len(records) == 1:
		r, err = parseDMARC(records[0])
	case len(records) > 1:
		err = fmt.Errorf("there are %d, and receivers use none", len(records))
	}
	if err != nil {
		l.details["dmarc"] += ", invalid"
		if own { // else it is told of the organisation's domain
			l.report("check:dmarc-invalid", "The DMARC record is not valid: %v.", err)
		}
		return nil
	}
	l.judgeDMARC(r, own)
	return nil
}

func (l *mailLook) judgeDMARC(r dmarcRecord, own bool) {
	policy := r.policy
	if !own {
		policy = r.ofSubdomains()
	}
	l.details["dmarc_policy"], l.details["dmarc_reports"] = policy, yesNo(r.reports)
	if own {
		l.details["dmarc_subdomains"] = r.ofSubdomains()
	}
	if r.missing != "" {
		l.details["dmarc_nonexistent"] = r.missing
	}
	if r.percent != 100 {
		l.details["dmarc_percent"] = strconv.Itoa(r.percent)
	}
	if r.testing {
		l.details["dmarc_testing"] = "yes"
	}
	switch {
	case !own: // it is told of the organisation's domain
	case r.policy == "none":
		l.report("check:dmarc-none", "The DMARC policy is none: mail that claims to come from the domain is delivered, and only reported.")
	case r.ofSubdomains() == "none":
		l.report("check:dmarc-none", "The DMARC policy is none for subdomains: mail that claims to come from one is delivered.")
	}
}

func (l *mailLook) lookDKIM(ctx context.Context) error {
	if l.parked() {
		return nil
	}
	keys, bad := map[string]dkimKey{}, []string{}
	var shown []string
	for _, sel := range dkimSelectors {
		a, err := l.r.Ask(ctx, sel+"._domainkey."+l.domain, dns.TypeTXT)
		var fail *LookupError
		if err != nil {
			if ctx.Err() == nil && errors.As(err, &fail) && fail.Rcode != "" {
				continue // a delegated selector whose servers fail is none to receivers either
			}
			return err
		}
		for _, text := range a.texts() {
			if !strings.Contains(text, "p=") {
				continue
			}
			k, err := parseDKIM(text)
			if err != nil {
				bad = append(bad, sel)
				continue
			}
			keys[sel] = k
			shown = append(shown, sel+" "+k.String())
		}
	}
	l.details["dkim"] = "none of the selectors that were tried"
	if len(shown) > 0 {
		l.details["dkim"] = listed(shown)
	}
	if len(bad) > 0 {
		l.details["dkim_unreadable"] = listed(bad)
	}
	if weak := weakKeys(keys); weak != "" {
		l.report("check:dkim-weak-key", "Receivers must not trust signatures of RSA keys below %d bits: selector %s.", weakRSA, weak)
	}
	return nil
}

// lookDelivery looks up how mail to the domain is to be delivered: MTA-STS,
// TLS-RPT and DANE. The policy file of MTA-STS is for the check of that name.
func (l *mailLook) lookDelivery(ctx context.Context) error {
	l.details["mx"] = "none"
	if l.null {
		l.details["mx"] = "takes no mail (RFC 7505)"
	}
	if len(l.mx) == 0 {
		return nil
	}
	l.details["mx"] = listed(slices.Clone(l.mx))
	sts, err := l.r.Ask(ctx, "_mta-sts."+l.domain, dns.TypeTXT)
	if err != nil {
		return err
	}
	l.details["mta_sts"] = "none"
	if n, ok := announced(sts.texts()); n > 0 {
		l.details["mta_sts"] = map[bool]string{true: "announced, policy not fetched by this check", false: "announced, invalid"}[ok]
	}
	rpt, err := l.r.Ask(ctx, "_smtp._tls."+l.domain, dns.TypeTXT)
	if err != nil {
		return err
	}
	reports := slices.ContainsFunc(rpt.texts(), func(s string) bool { // RFC 8460 §3
		tags, err := tagList(s)
		return err == nil && strings.HasPrefix(s, "v=TLSRPTv1") && tags["rua"] != ""
	})
	l.details["tls_rpt"] = yesNo(reports)
	return l.lookDANE(ctx)
}

// lookDANE looks for TLSA records of the mail exchangers. They count only where
// the answer is authenticated (RFC 7672 §2.1).
func (l *mailLook) lookDANE(ctx context.Context) error {
	var have []string
	for _, mx := range l.mx[:min(len(l.mx), 10)] {
		a, err := l.r.Ask(ctx, "_25._tcp."+mx, dns.TypeTLSA)
		var fail *LookupError
		switch {
		case err != nil && ctx.Err() == nil && errors.As(err, &fail) && fail.Rcode != "":
			have = append(have, safe.Label(mx)+" fails")
		case err != nil:
			return err
		case len(a.Records) > 0 && a.Authenticated:
			have = append(have, safe.Label(mx))
		case len(a.Records) > 0:
			have = append(have, safe.Label(mx)+" without authentication")
		}
	}
	l.details["dane"] = "none"
	if len(have) > 0 {
		l.details["dane"] = listed(have)
	}
	return nil
}

// clipText cleans a text of a stranger and cuts it to the length of a detail.
func clipText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '?'
		}
		return r
	}, s)
	if len(s) > maxDetail {
		return s[:maxDetail-3] + "..."
	}
	return s
}
