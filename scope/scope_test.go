package scope

import (
	"slices"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette"
)

func domain(d string, sub bool) vedette.ScopeEntry {
	return vedette.ScopeEntry{Domain: d, Subdomains: sub}
}

func TestOwner(t *testing.T) {
	m := NewMap([]vedette.Constituent{
		{ID: "alder", Scope: []vedette.ScopeEntry{domain("alder.example", true), {CIDR: "192.0.2.0/24"}, {CIDR: "2001:db8::/32"}},
			Exclude: []vedette.ScopeEntry{domain("lent.alder.example", true)},
			Systems: []vedette.System{{Name: "own", Assets: []string{"www.alder.example"}}}},
		{ID: "birch", Scope: []vedette.ScopeEntry{domain("clinic.alder.example", true), {CIDR: "192.0.2.64/26"}, {URL: "https://shop.birch.example:8443/x"}}},
		{ID: "cedar", Scope: []vedette.ScopeEntry{{CIDR: "192.0.2.64/26"}},
			Systems: []vedette.System{{Name: "portal", Assets: []string{"Portal.Alder.example.", "192.0.2.1"}}}},
	})
	for _, c := range []struct {
		asset, owner, users string
		tie                 bool
	}{
		{"www.alder.example", "alder", "", false},
		{"alder.example", "alder", "", false},
		{"notalder.example", "", "", false},
		{"a.clinic.alder.example", "birch", "alder", false},
		{"x.lent.alder.example", "", "", false},
		{"portal.alder.example", "alder", "cedar", false},
		{"192.0.2.1", "alder", "cedar", false},
		{"192.0.2.65", "", "alder birch cedar", true},
		{"::ffff:192.0.2.2", "alder", "", false},
		{"2001:db8::9", "alder", "", false},
		{"shop.birch.example", "birch", "", false},
		{"a.shop.birch.example", "", "", false},
	} {
		owner, users, tie := m.Owner(c.asset)
		if owner != c.owner || strings.Join(users, " ") != c.users || tie != c.tie {
			t.Errorf("%s: owner %q, users %v, tie %v; want %q, %q, %v", c.asset, owner, users, tie, c.owner, c.users, c.tie)
		}
	}
}

func TestReadFile(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "empty"},
		{"no constituents", "constituents: []", "names no constituents"},
		{"unknown key", "constituents:\n  - id: a\n    name: A\n    colour: red\n", "4:5"},
		{"twice", "constituents: [{id: a, name: A}, {id: a, name: B}]", "stands twice"},
		{"an id of a path", "constituents: [{id: ../a, name: A}]", "constituents[0].id"},
		{"no name", "constituents: [{id: a}]", "name is missing"},
		{"alias bomb", "constituents: [&x {id: a, name: A}, *x]", "anchors"},
		{"two scopes in one", "constituents: [{id: a, name: A, scope: [{domain: a.example, cidr: 192.0.2.0/24, authorised_by: x, document: y}]}]", "exactly one"},
		{"nobody authorised", "constituents: [{id: a, name: A, scope: [{domain: a.example}]}]", "authorised_by"},
		{"a day that is none", "constituents: [{id: a, name: A, scope: [{domain: a.example, authorised_by: x, document: y, valid_until: 2030-02-31}]}]", "YYYY-MM-DD"},
		{"an exclusion that excludes nothing", "constituents: [{id: a, name: A, exclude: [{url: 'https://192.0.2.7/admin'}]}]", "cidr"},
		{"a host that runs on", "constituents: [{id: a, name: A, exclude: [{url: 'https://a.example?x/y'}]}]", "a.example"},
		{"no HTTP", "constituents: [{id: a, name: A, exclude: [{url: 'a.example/admin'}]}]", "URL of HTTP"},
		{"a password", "constituents: [{id: a, name: A, exclude: [{url: 'https://u:p@a.example/'}]}]", "URL of HTTP"},
		{"contact", "constituents: [{id: a, name: A, contacts: [{role: boss, name: X, email: x@a.example}]}]", "contacts[0].role"},
	} {
		_, err := ReadFile(strings.NewReader(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want it to say %q", c.name, err, c.want)
		}
	}
}

func TestDiff(t *testing.T) {
	a := vedette.Constituent{ID: "a", Name: "A", Sectors: []string{"water"}}
	b := vedette.Constituent{ID: "b", Name: "B"}
	changed := a
	changed.Name = "A2"
	if d := Diff([]vedette.Constituent{a, b}, []vedette.Constituent{a}, false); d != nil {
		t.Errorf("what the file leaves out stays: %v", d)
	}
	got := Diff([]vedette.Constituent{a, b}, []vedette.Constituent{changed}, true)
	want := []Change{{"a", "changed", "name", `"A"`, `"A2"`}, {"b", "removed", "", "B", ""}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
