package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette"
)

const provider = `oidc:
  - issuer: https://id.example/realms/hub
    client: vedette
    secret_file: /run/secrets/oidc
    rights:
      - {group: csirt-analysts, roles: [analyst]}
      - {group: csirt-leads, roles: [lead, analyst]}
      - {group: alpha, roles: [viewer], constituents: [alpha]}
      - {group: alpha-bosses, roles: [manager], constituents: [alpha, bravo]}
      - {group: partners, roles: [partner], orgs: [partner]}
`

func TestRightsOf(t *testing.T) {
	c, err := Read(strings.NewReader(provider))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		groups []string
		want   vedette.Principal
	}{
		{nil, vedette.Principal{}},
		{[]string{"staff", "CSIRT-Leads", "csirt-leads "}, vedette.Principal{}},
		{[]string{"csirt-analysts", "csirt-leads", "csirt-leads"}, vedette.Principal{Roles: []vedette.Role{vedette.Analyst, vedette.Lead}}},
		// bound by one group, bound in all roles
		{[]string{"alpha", "csirt-analysts", "alpha-bosses"}, vedette.Principal{Roles: []vedette.Role{vedette.Analyst, vedette.Manager, vedette.Viewer}, Constituents: []string{"alpha", "bravo"}}},
		{[]string{"partners"}, vedette.Principal{Roles: []vedette.Role{vedette.Partner}, Orgs: []string{"partner"}}},
	} {
		if got := c.OIDC[0].RightsOf(x.groups); got == nil || !reflect.DeepEqual(*got, x.want) {
			t.Errorf("%q: %+v, not %+v", x.groups, got, x.want)
		}
	}
	if got := (OIDC{}).RightsOf([]string{"csirt-leads"}); got != nil {
		t.Errorf("a provider that gives no rights gives %+v", got)
	}
}

func TestOIDCRefuses(t *testing.T) {
	for change, want := range map[[2]string]string{
		{"https://id", "http://id"}:                           "oidc[0].issuer",
		{"https://id.example/realms/hub", "hub"}:              "oidc[0].issuer",
		{"realms/hub", "realms?hub"}:                          "oidc[0].issuer",
		{"client: vedette", "scopes: openid"}:                 "oidc[0].client",
		{"client: vedette", "client: v\n    scopes: profile"}: "oidc[0].scopes",
		{"[analyst]", "[root]"}:                               "oidc[0].rights[0]",
		{"[analyst]", "[ingest]"}:                             "oidc[0].rights[0]",
		{"[analyst]", "[]"}:                                   "oidc[0].rights[0]",
		{"group: alpha,", "group: \"\","}:                     "oidc[0].rights[2]",
		{"secret_file", "secret"}:                             "secret",
		{"  - issuer", "  - {issuer: \"https://id.example/realms/hub\", client: v}\n  - issuer"}: "twice",
	} {
		text := strings.Replace(provider, change[0], change[1], 1)
		if _, err := Read(strings.NewReader(text)); text == provider || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want a word of %q", change, err, want)
		}
	}
	if _, err := Read(strings.NewReader("oidc: [{issuer: \"http://127.0.0.1:5556\", client: v}]")); err != nil {
		t.Errorf("a provider on this machine: %v", err)
	}
}

func TestKeysOfLists(t *testing.T) {
	c, err := Read(strings.NewReader(provider))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, k := range c.Keys() {
		values[k.Key] = k.Value
	}
	if values["oidc"] != "1" || values["oidc[0].client"] != "vedette" || values["oidc[0].rights[2].constituents"] != "[alpha]" {
		t.Errorf("%v", values)
	}
	found := false
	for _, k := range (Config{}).Keys() {
		found = found || k.Key == "oidc[].rights[].group"
	}
	if !found {
		t.Error("what a provider holds is not described")
	}
}
