package probe

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vedette-hub/vedette/safe"
)

// dmarcRecord is a DMARC policy (RFC 7489 §6.3, with np of RFC 9091 and t and
// psd of DMARCbis).
type dmarcRecord struct {
	policy     string // "none", "quarantine", "reject"
	subdomains string // sp; "" as policy
	missing    string // np, of subdomains that do not exist; "" as subdomains
	percent    int    // 100 without pct
	testing    bool   // t=y
	reports    bool   // rua is there
}

// isDMARC says whether a text is a DMARC record, well-formed or not: others at
// the same name are passed over (RFC 7489 §6.6.3).
func isDMARC(text string) bool {
	tag, _, _ := strings.Cut(text, ";")
	name, value, ok := strings.Cut(tag, "=")
	return ok && strings.Trim(name, " \t") == "v" && strings.Trim(value, " \t") == "DMARC1"
}

// parseDMARC reads a record.
func parseDMARC(text string) (dmarcRecord, error) {
	r := dmarcRecord{percent: 100}
	if !isDMARC(text) {
		return r, errors.New("no DMARC record")
	}
	tags, err := tagList(text)
	if err != nil {
		return r, err
	}
	for _, t := range []struct {
		tag string
		to  *string
	}{{"p", &r.policy}, {"sp", &r.subdomains}, {"np", &r.missing}} {
		v, ok := tags[t.tag]
		if *t.to = strings.ToLower(v); ok && !slices.Contains([]string{"none", "quarantine", "reject"}, *t.to) {
			return r, fmt.Errorf("%s=%s is no policy", t.tag, safe.Quote(v))
		}
	}
	r.reports = tags["rua"] != ""
	for uri := range strings.SplitSeq(tags["rua"], ",") {
		if scheme, to, ok := strings.Cut(strings.Trim(uri, " \t"), ":"); r.reports && (!ok || scheme == "" || to == "") {
			return r, errors.New("rua is no list of addresses")
		}
	}
	if v, ok := tags["pct"]; ok {
		if r.percent, err = strconv.Atoi(v); err != nil || r.percent < 0 || r.percent > 100 {
			return r, fmt.Errorf("pct=%s is no percentage", safe.Quote(v))
		}
	}
	for _, tag := range []string{"adkim", "aspf"} {
		if v, ok := tags[tag]; ok && !strings.EqualFold(v, "r") && !strings.EqualFold(v, "s") {
			return r, fmt.Errorf("%s=%s is neither r nor s", tag, safe.Quote(v))
		}
	}
	r.testing = strings.EqualFold(tags["t"], "y")
	if r.policy == "" {
		if !r.reports {
			return r, errors.New("it has no policy")
		}
		r.policy = "none" // RFC 7489 §6.6.3
	}
	return r, nil
}

// ofSubdomains is the policy for the names below that have no record of their own.
func (r dmarcRecord) ofSubdomains() string {
	if r.subdomains != "" {
		return r.subdomains
	}
	return r.policy
}

// tagList reads "a=b; c=d" (RFC 6376 §3.2); names keep their case and stand once.
func tagList(text string) (map[string]string, error) {
	tags := map[string]string{}
	parts := strings.Split(text, ";")
	for i, part := range parts {
		part = strings.Trim(part, " \t\r\n")
		if part == "" {
			if i == len(parts)-1 {
				break // the last may be followed by ";"
			}
			return nil, errors.New("it has an empty tag")
		}
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimRight(name, " \t\r\n")
		if !ok || !tagName(name) {
			return nil, fmt.Errorf("%s is no tag", safe.Quote(part))
		}
		if _, twice := tags[name]; twice {
			return nil, fmt.Errorf("%s stands twice", name)
		}
		tags[name] = strings.TrimLeft(value, " \t\r\n")
	}
	return tags, nil
}

func tagName(s string) bool {
	if s == "" || len(s) > 32 || !isLetter(s[0]) {
		return false
	}
	return !slices.ContainsFunc([]byte(s), func(c byte) bool { return !isLetter(c) && (c < '0' || c > '9') && c != '_' })
}
