package scope

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/vedette-hub/vedette"
)

// File is a constituency file.
type File struct {
	Constituents []vedette.Constituent `yaml:"constituents" json:"constituents"`
}

// maxFile bounds a constituency file; 1,000 constituents take about 2 MB.
const maxFile = 32 << 20

// ReadFile reads and checks a constituency file. An unknown key, a bad value or
// a duplicate id is an error with its line or its field.
func ReadFile(r io.Reader) (File, error) {
	var f File
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return f, err
	}
	if len(text) > maxFile {
		return f, vedette.Invalid("the file is larger than %d bytes", maxFile)
	}
	if strings.Contains(string(text), "&") || strings.Contains(string(text), "*") {
		// an alias bomb needs both; a constituency needs neither outside quotes
		if err := refuseAliases(string(text)); err != nil {
			return f, err
		}
	}
	dec := yaml.NewDecoder(strings.NewReader(string(text)), yaml.Strict(), yaml.DisallowUnknownField())
	if err := dec.Decode(&f); err != nil {
		if errors.Is(err, io.EOF) {
			return f, vedette.Invalid("the file is empty")
		}
		return f, vedette.Invalid("%s", strings.TrimSpace(yaml.FormatError(err, false, false)))
	}
	if len(f.Constituents) == 0 {
		return f, vedette.Invalid("the file names no constituents: it begins with the key constituents")
	}
	return f, check(f.Constituents)
}

var anchor = regexp.MustCompile(`(?m)(^|[:\-\[,]\s+)[&*][A-Za-z0-9_]`)

func refuseAliases(text string) error {
	if at := anchor.FindStringIndex(text); at != nil {
		return vedette.Invalid("line %d: anchors and aliases are not read here", 1+strings.Count(text[:at[0]], "\n"))
	}
	return nil
}

var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

func check(cs []vedette.Constituent) error {
	seen := map[string]bool{}
	for i := range cs {
		c := &cs[i]
		at := fmt.Sprintf("constituents[%d]", i)
		if !idForm.MatchString(c.ID) {
			return vedette.Invalid("%s.id: %q is not lower-case letters, digits and -", at, c.ID)
		}
		if seen[c.ID] {
			return vedette.Invalid("%s.id: %q stands twice", at, c.ID)
		}
		seen[c.ID] = true
		if strings.TrimSpace(c.Name) == "" {
			return vedette.Invalid("%s (%s): name is missing", at, c.ID)
		}
		if err := checkOne(c); err != nil {
			return vedette.Invalid("%s (%s).%w", at, c.ID, err)
		}
	}
	return nil
}

func checkOne(c *vedette.Constituent) error {
	for i, p := range c.Countries {
		if len(p) != 2 || strings.ToUpper(p) != p {
			return fmt.Errorf("countries[%d]: %q is not an ISO 3166-1 code of two capitals", i, p)
		}
	}
	for i, s := range c.Software {
		if s.Product == "" && s.CPE == "" {
			return fmt.Errorf("software[%d]: product is missing", i)
		}
	}
	for i, s := range c.Systems {
		for j, a := range s.Assets {
			if _, err := vedette.ParseAsset(a); err != nil {
				return fmt.Errorf("systems[%d].assets[%d]: %w", i, j, err)
			}
		}
	}
	roles := []vedette.ContactRole{vedette.POC, vedette.LCO, vedette.Management, vedette.SOC, vedette.DFIR}
	for i, k := range c.Contacts {
		if !slices.Contains(roles, k.Role) {
			return fmt.Errorf("contacts[%d].role: %q is not POC, LCO, management, SOC or DFIR", i, k.Role)
		}
		if a, err := mail.ParseAddress(k.Email); err != nil || a.Address != k.Email {
			return fmt.Errorf("contacts[%d].email: %q is not an address", i, k.Email)
		}
		if strings.Contains(k.OpenPGP+k.SMIME, "PRIVATE KEY") {
			return fmt.Errorf("contacts[%d]: a private key: change it, and give the public one", i)
		}
	}
	for i, s := range c.Scope {
		if err := checkScope(s, false); err != nil {
			return fmt.Errorf("scope[%d].%w", i, err)
		}
	}
	for i, s := range c.Exclude {
		if err := checkScope(s, true); err != nil {
			return fmt.Errorf("exclude[%d].%w", i, err)
		}
	}
	return nil
}

func checkScope(s vedette.ScopeEntry, exclusion bool) error {
	n := 0
	for _, v := range []string{s.Domain, s.CIDR, s.URL} {
		if v != "" {
			n++
		}
	}
	if n != 1 {
		return errors.New("domain: exactly one of domain, cidr and url is needed")
	}
	if s.Domain != "" {
		if a, err := vedette.ParseAsset(s.Domain); err != nil || a.Kind != vedette.NameAsset {
			return fmt.Errorf("domain: %q is not a host name", s.Domain)
		}
	}
	if s.CIDR != "" {
		if _, ok := s.Prefix(); !ok {
			return fmt.Errorf("cidr: %q is not a network or an address", s.CIDR)
		}
		if p, err := netip.ParsePrefix(s.CIDR); err == nil && p.Masked() != p {
			return fmt.Errorf("cidr: %q has bits set behind its length; did you mean %s?", s.CIDR, p.Masked())
		}
	}
	if s.URL != "" {
		u, err := url.Parse(s.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
			return fmt.Errorf("url: %q is no URL of HTTP", s.URL)
		}
		a, err := vedette.ParseAsset(u.Hostname())
		switch {
		case err != nil:
			return fmt.Errorf("url: %q has no host", s.URL)
		case a.Kind != vedette.NameAsset:
			return fmt.Errorf("url: %q is of an address: name that by cidr", s.URL)
		case s.Host() != a.ID:
			return fmt.Errorf("url: write the host of %q as %s", s.URL, a.ID)
		}
	}
	if exclusion {
		return nil
	}
	if s.AuthorisedBy == "" || s.Document == "" {
		return errors.New("authorised_by: who authorised it and by which document has to be named")
	}
	if s.ValidUntil != "" {
		if _, err := time.Parse(time.DateOnly, s.ValidUntil); err != nil {
			return fmt.Errorf("valid_until: %q is not YYYY-MM-DD", s.ValidUntil)
		}
	}
	for i, c := range s.Classes {
		if !slices.Contains([]vedette.CheckClass{vedette.Passive, vedette.Active, vedette.Intrusive, vedette.Credentials}, c) {
			return fmt.Errorf("classes[%d]: %q is not passive, active, intrusive or credentials", i, c)
		}
	}
	return nil
}

// Change is one line of the difference between two constituencies.
type Change struct {
	Constituent string `json:"constituent"`
	What        string `json:"what"` // added, changed, removed
	Field       string `json:"field,omitempty"`
	From        string `json:"from,omitempty"`
	To          string `json:"to,omitempty"`
}

// Diff compares what is kept with what a file says. Constituents that the file
// does not name are removed only when whole is set.
func Diff(kept, said []vedette.Constituent, whole bool) []Change {
	old := map[string]vedette.Constituent{}
	for _, c := range kept {
		old[c.ID] = c
	}
	var out []Change
	for _, c := range said {
		was, known := old[c.ID]
		delete(old, c.ID)
		if !known {
			out = append(out, Change{Constituent: c.ID, What: "added", To: c.Name})
			continue
		}
		out = append(out, fields(was, c)...)
	}
	if whole {
		for _, c := range kept {
			if _, left := old[c.ID]; left {
				out = append(out, Change{Constituent: c.ID, What: "removed", From: c.Name})
			}
		}
	}
	return out
}

// fields compares two states of one constituent by the keys of the file.
func fields(a, b vedette.Constituent) []Change {
	var out []Change
	x, y := asMap(a), asMap(b)
	keys := make([]string, 0, len(x)+len(y))
	for k := range x {
		keys = append(keys, k)
	}
	for k := range y {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		if from, to := string(x[k]), string(y[k]); from != to {
			out = append(out, Change{a.ID, "changed", k, from, to})
		}
	}
	return out
}

func asMap(c vedette.Constituent) map[string]json.RawMessage {
	text, err := json.Marshal(c)
	if err != nil {
		return nil
	}
	m := map[string]json.RawMessage{}
	_ = json.Unmarshal(text, &m) // it was just written
	return m
}
