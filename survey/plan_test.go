package survey_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/scope"
	"github.com/vedette-hub/vedette/survey"
)

var active = []vedette.CheckClass{vedette.Active}

var alpha = vedette.Constituent{ID: "alpha",
	Scope: []vedette.ScopeEntry{
		{CIDR: "192.0.2.0/25", AuthorisedBy: "a", Document: "d", Classes: active},
		{CIDR: "2001:db8::/64", AuthorisedBy: "a", Document: "d", Classes: active},
		{CIDR: "10.0.0.0/8", AuthorisedBy: "a", Document: "d", Classes: active},
		{Domain: "alpha.example", Subdomains: true, AuthorisedBy: "a", Document: "d", Classes: active},
		{Domain: "quiet.example", AuthorisedBy: "a", Document: "d"},
		{Domain: "hosted.example", AuthorisedBy: "a", Document: "d", ThirdParty: "letter", Classes: active},
		{URL: "https://portal.example:8443/", AuthorisedBy: "a", Document: "d", Classes: active},
	},
	Exclude: []vedette.ScopeEntry{{CIDR: "192.0.2.64/26"}, {Domain: "secret.alpha.example"}},
}

var bravo = vedette.Constituent{ID: "bravo", Scope: []vedette.ScopeEntry{{CIDR: "192.0.2.8/29", AuthorisedBy: "b", Document: "d", Classes: active}}}

func input(class vedette.CheckClass, assets ...string) survey.Input {
	now := func() time.Time { return time.Date(2026, 11, 9, 0, 0, 0, 0, time.UTC) }
	return survey.Input{Constituent: alpha, Class: class, Rules: scope.NewRules(alpha, nil, false, now), Owner: scope.NewMap([]vedette.Constituent{alpha, bravo}).Owner,
		Assets: assets, Open: []vedette.Place{{Asset: "192.0.2.1", Port: 22, Proto: "tcp"}, {Asset: "192.0.2.200", Port: 22, Proto: "tcp"}}, Ports: "tcp:22"}
}

// looked are the subjects of a plan, and the class of each name's part.
func looked(p survey.Plan) (names map[string]vedette.CheckClass, addrs map[string]bool) {
	names, addrs = map[string]vedette.CheckClass{}, map[string]bool{}
	for _, part := range p.Parts {
		for _, n := range part.Names {
			names[n] = part.Class
		}
		for _, a := range part.Addresses {
			addrs[a] = true
		}
	}
	return names, addrs
}

func TestMake(t *testing.T) {
	p := survey.Make(input(vedette.Active, "www.alpha.example", "secret.alpha.example", "2001:db8::1", "10.1.2.3", "192.0.2.100", "198.51.100.1", "www.bravo.example"))
	names, addrs := looked(p)
	want := map[string]vedette.CheckClass{"alpha.example": vedette.Active, "www.alpha.example": vedette.Active, "quiet.example": vedette.Passive, "hosted.example": vedette.Active, "portal.example": vedette.Active}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("names %v, want %v", names, want)
	}
	for a, yes := range map[string]bool{"192.0.2.0": true, "192.0.2.63": true, "192.0.2.64": false, "192.0.2.100": false, "192.0.2.9": false, "2001:db8::1": true, "2001:db8::2": false, "10.1.2.3": true, "10.1.2.4": false, "198.51.100.1": false} {
		if addrs[a] != yes {
			t.Errorf("%s is looked at: %t", a, addrs[a])
		}
	}
	if len(addrs) != 64-8+2 || p.Addresses != len(addrs) || p.Names != len(names) {
		t.Errorf("%d addresses, the plan says %d", len(addrs), p.Addresses)
	}
	for _, part := range p.Parts {
		if len(part.Names) > 32 || len(part.Addresses) > 64 || part.Furthest != vedette.Active || part.Ports != "tcp:22" {
			t.Errorf("part %+v", part)
		}
		if slices.Contains(part.Names, "hosted.example") != slices.Contains(part.Consented, "hosted.example") || slices.Contains(part.Consented, "alpha.example") {
			t.Errorf("consented are %v", part.Consented)
		}
		if len(part.Open) > 0 && (part.Open[0].Asset != "192.0.2.1" || len(part.Open) != 1) {
			t.Errorf("known to be open: %v", part.Open)
		}
	}
	for _, what := range []string{"2001:db8::/64", "10.0.0.0/8", "secret.alpha.example", "192.0.2.9"} {
		if !slices.ContainsFunc(p.Left, func(l survey.Left) bool { return l.What == what && l.Why != "" }) {
			t.Errorf("%s is left out and not told of: %v", what, p.Left)
		}
	}
}

func TestMakePassive(t *testing.T) {
	p := survey.Make(input(vedette.Passive, "192.0.2.1"))
	names, addrs := looked(p)
	if len(addrs) > 0 || len(names) != 4 {
		t.Errorf("%v, %v", names, addrs)
	}
	for n, class := range names {
		if class != vedette.Passive {
			t.Errorf("%s: %s", n, class)
		}
	}
}

func TestMore(t *testing.T) {
	parts := survey.More(input(vedette.Active), []string{"mail.alpha.example", "MAIL.alpha.example.", "old.alpha.example", "mx.provider.example", "secret.alpha.example", "192.0.2.1", "not a name"}, map[string]bool{"old.alpha.example": true})
	if len(parts) != 1 || !slices.Equal(parts[0].Names, []string{"mail.alpha.example"}) || parts[0].Class != vedette.Active {
		t.Errorf("%+v", parts)
	}
}

func TestRetest(t *testing.T) {
	a, b := vedette.Place{Asset: "192.0.2.1", Port: 22, Proto: "tcp"}, vedette.Place{Asset: "alpha.example"}
	parts := survey.Retest(input(vedette.Active), []vedette.Place{b, a, a})
	if len(parts) != 1 || !slices.Equal(parts[0].Places, []vedette.Place{a, b}) || len(parts[0].Names)+len(parts[0].Addresses) > 0 {
		t.Errorf("%+v", parts)
	}
}

func TestDefaultPorts(t *testing.T) {
	if !strings.Contains(survey.DefaultPorts, "tcp:") || !strings.Contains(survey.DefaultPorts, "udp:53") {
		t.Error(survey.DefaultPorts)
	}
}
