package config

import (
	"net/url"
	"slices"
	"strings"

	"github.com/vedette-hub/vedette"
)

// OIDC is one provider of identities (OpenID Connect Core 1.0).
type OIDC struct {
	Name       string  `yaml:"name" json:"name" about:"what the button says; the host of the issuer when empty"`
	Issuer     string  `yaml:"issuer" json:"issuer" about:"URL of the provider, just as its tokens state it"`
	Client     string  `yaml:"client" json:"client" about:"our id at the provider"`
	SecretFile string  `yaml:"secret_file" json:"secret_file" about:"file with our secret at the provider; a client without one uses PKCE alone"`
	SecretEnv  string  `yaml:"secret_env" json:"secret_env" about:"or the environment variable with it"`
	Scopes     string  `yaml:"scopes" json:"scopes" about:"what is asked for; openid profile when empty"`
	User       string  `yaml:"user" json:"user" about:"claim that names a new user; preferred_username when empty"`
	Groups     string  `yaml:"groups" json:"groups" about:"claim with the groups of a person; groups when empty"`
	Rights     []Group `yaml:"rights" json:"rights" about:"what groups give; without any, users and their rights are given here"`
}

// Group is what membership in a group of a provider gives.
type Group struct {
	Group        string   `yaml:"group" json:"group" about:"the group as the provider calls it"`
	Roles        []string `yaml:"roles" json:"roles" about:"roles of its members"`
	Constituents []string `yaml:"constituents" json:"constituents" about:"constituents that its members are bound to"`
	Orgs         []string `yaml:"orgs" json:"orgs" about:"further organisations that its members speak for"`
}

// RightsOf are the rights that groups give: everything of all groups that are
// listed, so that whoever is bound to a constituent by one is bound in all his
// roles. It is nil when the provider gives no rights at all, and without a role
// when none of the groups is listed. Groups are compared byte by byte.
func (o OIDC) RightsOf(groups []string) *vedette.Principal {
	if len(o.Rights) == 0 {
		return nil
	}
	p := &vedette.Principal{}
	for _, g := range o.Rights {
		if !slices.Contains(groups, g.Group) {
			continue
		}
		for _, r := range g.Roles {
			p.Roles = append(p.Roles, vedette.Role(r))
		}
		p.Constituents = append(p.Constituents, g.Constituents...)
		p.Orgs = append(p.Orgs, g.Orgs...)
	}
	slices.Sort(p.Roles)
	slices.Sort(p.Constituents)
	slices.Sort(p.Orgs)
	p.Roles, p.Constituents, p.Orgs = slices.Compact(p.Roles), slices.Compact(p.Constituents), slices.Compact(p.Orgs)
	return p
}

func checkOIDC(os []OIDC) error {
	for i, o := range os {
		u, err := url.Parse(o.Issuer)
		if err != nil || u.Scheme != "https" && !loopback(u) || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return vedette.Invalid("oidc[%d].issuer: %q is not the https URL of a provider", i, o.Issuer)
		}
		if slices.ContainsFunc(os[:i], func(p OIDC) bool { return p.Issuer == o.Issuer }) {
			return vedette.Invalid("oidc[%d].issuer: %s is there twice", i, o.Issuer)
		}
		if o.Client == "" {
			return vedette.Invalid("oidc[%d].client: our id at the provider is missing", i)
		}
		if o.SecretFile != "" && o.SecretEnv != "" {
			return vedette.Invalid("oidc[%d]: one of secret_file and secret_env", i)
		}
		if o.Scopes != "" && !slices.Contains(strings.Fields(o.Scopes), "openid") {
			return vedette.Invalid("oidc[%d].scopes: openid is missing", i)
		}
		for j, g := range o.Rights {
			if g.Group == "" || len(g.Roles) == 0 {
				return vedette.Invalid("oidc[%d].rights[%d]: a group and its roles are needed", i, j)
			}
			for _, r := range g.Roles {
				if role := vedette.Role(r); !slices.Contains(vedette.Roles, role) || !role.Person() {
					return vedette.Invalid("oidc[%d].rights[%d]: %q is not a role of a person", i, j, r)
				}
			}
		}
	}
	return nil
}

// loopback lets a provider on this machine do without TLS, to try it.
func loopback(u *url.URL) bool {
	h := u.Hostname()
	return u.Scheme == "http" && (h == "127.0.0.1" || h == "::1" || h == "localhost")
}
