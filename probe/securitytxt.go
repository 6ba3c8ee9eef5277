package probe

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// HTTPSecurityTxt reads the security.txt of a site (RFC 9116): where to report
// what is found there.
var HTTPSecurityTxt = Check{
	Name:  "http-security-txt",
	About: "security.txt: present, valid, expired",
	Spec:  "RFC 9116",
	Class: vedette.Active,
	For:   isWeb,
	Run:   runSecurityTxt,
}

func runSecurityTxt(ctx context.Context, env *Env, s Subject, emit Emit) error {
	w := newSite(env, s)
	defer w.close()
	p, err := w.get(ctx, "/.well-known/security.txt") // RFC 9116 §3
	if err != nil {
		return err
	}
	if err := p.unfit(); err != nil {
		return err
	}
	t, ok := readSecurityTxt(p)
	if !ok {
		return nil
	}
	f := vedette.Fact{Service: "http", TLS: s.TLS, Details: map[string]string{"security_txt": "valid", "security_txt_contact": t.contact}}
	if t.fault != "" {
		f.Details["security_txt"] = "invalid: " + t.fault
	}
	if !t.expires.IsZero() {
		f.Details["security_txt_expires"] = t.expires.UTC().Format(time.RFC3339)
		if t.expires.Before(env.Now()) {
			f.Details["security_txt"] = "expired"
			f.Reports = []vedette.Report{{Weakness: "check:security-txt-expired", Verdict: vedette.Confirmed,
				Note: "security.txt expired on " + t.expires.UTC().Format(time.DateOnly)}}
		}
	}
	emit(vedette.Observation{Path: "/.well-known/security.txt", Fact: f})
	return nil
}

// securityTxt is what a file says.
type securityTxt struct {
	contact string    // the first, most preferred (RFC 9116 §2.5.3)
	expires time.Time // zero when it does not say
	fault   string    // why the file is not valid
}

// readSecurityTxt reads a file; ok is false where there is none: another status,
// or a page that a site gives for every path.
func readSecurityTxt(p *page) (t securityTxt, ok bool) {
	media, _, _ := strings.Cut(p.header.Get("Content-Type"), ";")
	body := bytes.TrimPrefix(p.body, []byte("\xef\xbb\xbf"))
	if p.status != http.StatusOK || strings.Contains(media, "html") || bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) {
		return t, false
	}
	dates := 0
	for line := range strings.Lines(string(body[:min(len(body), 32<<10)])) { // RFC 9116 §5.5 warns of larger ones
		if strings.HasPrefix(line, "-----BEGIN PGP SIGNATURE-----") {
			break
		}
		name, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if !found || strings.HasPrefix(name, "#") {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "contact":
			if t.contact == "" {
				t.contact = Banner([]byte(value), 200)
			}
		case "expires":
			dates++
			at, err := time.Parse(time.RFC3339, strings.ToUpper(value))
			if err != nil {
				t.fault = "Expires is no date of RFC 3339"
			} else {
				t.expires = at
			}
		}
	}
	switch {
	case t.contact == "" && dates == 0:
		return t, false
	case t.contact == "":
		t.fault = "no Contact"
	case dates == 0:
		t.fault = "no Expires"
	case dates > 1:
		t.fault = "Expires stands twice"
	case media != "text/plain":
		t.fault = "the media type is not text/plain"
	}
	return t, true
}
