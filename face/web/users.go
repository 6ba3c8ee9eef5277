package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/policy"
	"github.com/vedette-hub/vedette/store"
)

// userRoutes are the pages of persons and of the tokens of programs.
func (p *Pages) userRoutes() []face.Route {
	get, post := http.MethodGet, http.MethodPost
	users, tokens := userList(p), tokenList(p)
	return slices.Concat(users.routes(p), tokens.routes(p), []face.Route{
		{Method: post, Path: "/users", Act: "user add", Serve: addUser},
		{Method: get, Path: "/users/{name}", Act: "user list", Serve: p.user},
		{Method: post, Path: "/users/{name}", Act: "user add", Serve: setUser},
		{Method: post, Path: "/users/{name}/link", Act: "user link", Serve: p.userLink},
		{Method: post, Path: "/users/{name}/codes/remove", Act: "user totp", Serve: onUser("The code generator is gone; the next sign-in asks for none.", (*store.Scoped).RemoveCodes)},
		{Method: post, Path: "/tokens", Act: "token add", Serve: p.addToken},
	})
}

// personRoles are the roles that a person can have.
var personRoles = func() (out []string) {
	for _, r := range vedette.Roles {
		if r.Person() {
			out = append(out, string(r))
		}
	}
	return out
}()

// cut is a page of rows that are all at hand.
func cut[T any](all []T, id func(T) string, q query) ([]T, string) {
	if q.after != "" {
		i := slices.IndexFunc(all, func(x T) bool { return id(x) == q.after })
		all = all[i+1:]
	}
	if len(all) <= q.limit {
		return all, ""
	}
	return all[:q.limit], id(all[q.limit-1])
}

// userList is everybody who may sign in.
func userList(p *Pages) *list[store.User] {
	name := func(u store.User) string { return u.Name }
	return &list[store.User]{
		act: "user list", path: "/users", title: "Users", one: "user",
		empty: "No user yet. The first one is made on the machine: vedette user add NAME --role admin.",
		views: []savedView{{"All", ""}, {"Active", "state=active"}, {"Locked out", "state=locked"}, {"Disabled", "state=disabled"}},
		filters: []filter{{key: "q", label: "name"}, {key: "role", label: "role", values: personRoles},
			{key: "constituent", label: "constituent"}, {key: "state", label: "state", values: []string{"active", "locked", "disabled"}}},
		id: name,
		class: func(u store.User, _ time.Time) string {
			if !u.Disabled.IsZero() {
				return "closed"
			}
			return ""
		},
		columns: []column[store.User]{
			{key: "name", head: "Name", text: name, href: func(u store.User) string { return "/users/" + url.PathEscape(u.Name) }},
			{key: "roles", head: "Roles", text: func(u store.User) string { return rolesText(u.Roles) }},
			{key: "constituents", head: "Constituents", text: func(u store.User) string { return strings.Join(u.Constituents, " ") }},
			{key: "proofs", head: "Signs in by", text: proofs},
			{key: "state", head: "State", text: userState, cell: func(u store.User, _ time.Time) templ.Component { return userBadge(u) }},
			{key: "created", head: "Since", text: func(u store.User) string { return stamp(u.Created) }, cell: func(u store.User, _ time.Time) templ.Component { return when(u.Created) }},
			{key: "orgs", head: "Speaks for", hidden: true, text: func(u store.User) string { return strings.Join(u.Orgs, " ") }},
		},
		rows: func(ctx context.Context, d face.Desk, q query) ([]store.User, string, error) {
			us, err := d.Rows().Users(ctx)
			us = slices.DeleteFunc(us, func(u store.User) bool {
				return !strings.Contains(u.Name, strings.ToLower(q.get("q"))) || q.get("role") != "" && !slices.Contains(u.Roles, vedette.Role(q.get("role"))) ||
					q.get("constituent") != "" && !slices.Contains(u.Constituents, q.get("constituent")) || q.get("state") != "" && userState(u) != q.get("state")
			})
			rows, next := cut(us, name, q)
			return rows, next, err
		},
		so: func(us []store.User, q query, more bool) string {
			if more || len(q.values) > 0 || q.after != "" {
				return ""
			}
			bare := 0
			for _, u := range us {
				if u.Disabled.IsZero() && !u.Codes && u.Passkeys == 0 {
					bare++
				}
			}
			if bare == 0 {
				return title(count(len(us), "user")) + ". Everybody shows a second proof at sign-in."
			}
			return fmt.Sprintf("%s. %d of them show no second proof at sign-in.", title(count(len(us), "user")), bare)
		},
		actions: func(r *face.Request) templ.Component {
			return usersActions(policy.May(r.P, "token list"), policy.May(r.P, "user add"))
		},
		bulk: []bulk{
			{key: "sessions", text: "End sessions", hot: "e", act: "user sessions", do: onUsers("sessions ended", (*store.Scoped).EndSessions)},
			{key: "unlock", text: "Let try again", act: "user unlock", do: onUsers("let in again", func(sc *store.Scoped, ctx context.Context, name string) error { return sc.Unlock(ctx, name, "") })},
			{key: "disable", text: "Disable", act: "user disable", do: onUsers("disabled", (*store.Scoped).DisableUser)},
		},
	}
}

// hostOf is an address without the port that a session happened to come from.
func hostOf(address string) string {
	if a, err := netip.ParseAddrPort(address); err == nil {
		return a.Addr().Unmap().String()
	}
	return address
}

func rolesText(rs []vedette.Role) string {
	var out []string
	for _, r := range rs {
		out = append(out, string(r))
	}
	return strings.Join(out, " ")
}

// proofs says how a user signs in.
func proofs(u store.User) string {
	var out []string
	if u.Password {
		out = append(out, "password")
	}
	if u.Codes {
		out = append(out, "code")
	}
	if u.Passkeys > 0 {
		out = append(out, count(u.Passkeys, "passkey"))
	}
	if len(out) == 0 {
		return "link only"
	}
	return strings.Join(out, ", ")
}

func userState(u store.User) string {
	switch {
	case !u.Disabled.IsZero():
		return "disabled"
	case !u.Locked.IsZero():
		return "locked"
	}
	return "active"
}

// onUsers does one act on each of the chosen users.
func onUsers(what string, do func(*store.Scoped, context.Context, string) error) func(context.Context, face.Desk, []string, url.Values) (string, int64, error) {
	return func(ctx context.Context, d face.Desk, ids []string, _ url.Values) (string, int64, error) {
		done, not := 0, []string(nil)
		for _, id := range ids {
			if err := do(d.Rows(), ctx, id); err != nil {
				not = append(not, id+": "+err.Error())
				continue
			}
			done++
		}
		told := fmt.Sprintf("%s: %s.", title(count(done, "user")), what)
		if len(not) > 0 {
			told += fmt.Sprintf(" %d not: %s", len(not), not[0])
		}
		return told, 0, d.Drain(ctx)
	}
}

// onUser does one act on the user of the page.
func onUser(told string, do func(*store.Scoped, context.Context, string) error) func(*face.Request) error {
	return func(r *face.Request) error {
		name := r.PathValue("name")
		if err := do(r.Desk.Rows(), r.Context(), name); err != nil {
			return err
		}
		if err := r.Desk.Drain(r.Context()); err != nil {
			return err
		}
		r.Session.Tell(r.Context(), told, 0)
		return r.Go("/users/" + url.PathEscape(name))
	}
}

// rights reads the form of a user.
func rights(r *face.Request, name string) (u vedette.Principal, err error) {
	if err := r.ParseForm(); err != nil {
		return u, vedette.Invalid("the form: %w", err)
	}
	u = vedette.Principal{Name: name, Constituents: strings.Fields(r.PostForm.Get("constituents")), Orgs: strings.Fields(r.PostForm.Get("orgs"))}
	for _, role := range r.PostForm["role"] {
		u.Roles = append(u.Roles, vedette.Role(role))
	}
	return u, nil
}

// addUser adds somebody who is not here yet: a slip of the name must not change
// somebody else's rights.
func addUser(r *face.Request) error {
	u, err := rights(r, strings.TrimSpace(r.PostFormValue("name")))
	if err != nil {
		return err
	}
	us, err := r.Desk.Rows().Users(r.Context())
	if err != nil {
		return err
	}
	if slices.ContainsFunc(us, func(o store.User) bool { return o.Name == u.Name }) {
		return vedette.Conflict("a user %s exists: change the rights on the page of that user", u.Name)
	}
	return keepUser(r, u, u.Name+" is a user. A sign-in link lets in for the first time.")
}

// setUser gives a user other rights, and lets one in again who was disabled.
func setUser(r *face.Request) error {
	u, err := rights(r, r.PathValue("name"))
	if err != nil {
		return err
	}
	if _, err := oneUser(r, u.Name); err != nil {
		return err
	}
	return keepUser(r, u, "The rights of "+u.Name+" are kept. Sessions under other rights ended.")
}

func keepUser(r *face.Request, u vedette.Principal, told string) error {
	if err := r.Desk.Rows().AddUser(r.Context(), u); err != nil {
		return err
	}
	if err := r.Desk.Drain(r.Context()); err != nil {
		return err
	}
	r.Session.Tell(r.Context(), told, 0)
	return r.Go("/users/" + url.PathEscape(u.Name))
}

func oneUser(r *face.Request, name string) (store.User, error) {
	us, err := r.Desk.Rows().Users(r.Context())
	if err != nil {
		return store.User{}, err
	}
	i := slices.IndexFunc(us, func(u store.User) bool { return u.Name == name })
	if i < 0 {
		return store.User{}, vedette.NotFound("user %s", name)
	}
	return us[i], nil
}

// userView is one user as the page shows it.
type userView struct {
	store.User
	Sessions []vedette.Session
	Tokens   []store.Token // that act for the user
	Events   []vedette.Event
	May      map[policy.Act]bool
	All      bool // the reader reads everybody's record
	Now      time.Time
}

// user is the page of one user.
func (p *Pages) user(r *face.Request) error {
	ctx, rows := r.Context(), r.Desk.Rows()
	u, err := oneUser(r, r.PathValue("name"))
	if err != nil {
		return err
	}
	x := userView{User: u, May: map[policy.Act]bool{}, All: policy.AllAudit(r.P), Now: p.hub.Now()}
	for _, act := range []policy.Act{"user add", "user disable", "user link", "user totp", "user sessions", "user unlock", "token list"} {
		x.May[act] = policy.May(r.P, act)
	}
	if x.May["user sessions"] {
		if x.Sessions, err = rows.SessionsOf(ctx, u.Name); err != nil {
			return err
		}
	}
	if x.May["token list"] {
		ts, err := rows.Tokens(ctx)
		if err != nil {
			return err
		}
		x.Tokens = slices.DeleteFunc(ts, func(t store.Token) bool { return t.User != u.Name })
	}
	if x.All {
		if x.Events, err = rows.Events(ctx, store.EventFilter{Principal: u.Name, Limit: 10}); err != nil {
			return err
		}
	}
	return p.page(r, view{Title: u.Name, Sub: rolesText(u.Roles), At: "/users", Crumbs: []crumb{{"Users", "/users"}}, So: userSo(u), Actions: userActions(x)}, userPage(x))
}

func userSo(u store.User) string {
	whom := "everybody"
	if len(u.Constituents) > 0 {
		whom = strings.Join(u.Constituents, ", ")
	}
	switch userState(u) {
	case "disabled":
		return fmt.Sprintf("Disabled since %s: no sign-in, no session, no token.", stamp(u.Disabled))
	case "locked":
		return fmt.Sprintf("Too many failed tries: nobody is let in under this name before %s. A sign-in link works.", stamp(u.Locked))
	}
	return fmt.Sprintf("Works for %s. Signs in by %s.", whom, proofs(u))
}

// userLink makes a link that signs the user in once. The answer shows it and
// nothing keeps it, so there is no page to be sent to.
func (p *Pages) userLink(r *face.Request) error {
	name, reset := r.PathValue("name"), r.PostFormValue("reset") != ""
	token, err := r.Desk.Rows().AddLink(r.Context(), name, reset)
	if err != nil {
		return err
	}
	if err := r.Desk.Drain(r.Context()); err != nil {
		return err
	}
	x := secretView{Label: "Link", Secret: strings.TrimSuffix(p.hub.About().Base, "/") + vedette.LinkPath + token, Back: "/users/" + url.PathEscape(name), BackText: "Back to " + name,
		Why: fmt.Sprintf("Good once, until %s. Whoever has it is %s: hand it over on a way that nobody else reads.", stamp(p.hub.Now().Add(store.LinkTime)), name)}
	if reset {
		x.Why += " When it is used, the password that is set now is gone."
	}
	if p.hub.About().Base == "" {
		x.Why += " Put the address of this hub before it; with mail.base in the configuration it stands there."
	}
	return p.page(r, view{Title: "Sign-in link of " + name, At: "/users", Crumbs: []crumb{{"Users", "/users"}, {name, x.Back}}, So: "Shown this once."}, secretPage(x))
}

// secretView is something that is shown once.
type secretView struct {
	Label, Secret  string
	Why            string
	Back, BackText string
}

// tokenList is the credentials of programs.
func tokenList(p *Pages) *list[store.Token] {
	name := func(t store.Token) string { return t.Name }
	return &list[store.Token]{
		act: "token list", path: "/tokens", nav: "/users", title: "Tokens", one: "token",
		empty:   "No token yet. Programs use tokens: a SIEM that reads, a scanner that hands in, a worker that probes.",
		views:   []savedView{{"All", ""}, {"In force", "state=in+force"}, {"Expired", "state=expired"}, {"Revoked", "state=revoked"}},
		filters: []filter{{key: "q", label: "name"}, {key: "user", label: "user"}, {key: "role", label: "role", values: []string{"api", "ingest", "probe-worker"}}, {key: "state", label: "state", values: []string{"in force", "expired", "revoked"}}},
		id:      name,
		class: func(t store.Token, now time.Time) string {
			if tokenState(t, now) != "in force" {
				return "closed"
			}
			return ""
		},
		columns: []column[store.Token]{
			{key: "name", head: "Name", text: name},
			{key: "role", head: "Role", text: func(t store.Token) string { return string(t.Role) }},
			{key: "user", head: "Acts for", text: func(t store.Token) string { return t.User }, href: func(t store.Token) string { return "/users/" + url.PathEscape(t.User) }},
			{key: "constituents", head: "Constituents", text: func(t store.Token) string { return strings.Join(t.Constituents, " ") }},
			{key: "state", head: "State", text: func(t store.Token) string { return tokenState(t, p.hub.Now()) }, cell: func(t store.Token, now time.Time) templ.Component { return tokenBadge(tokenState(t, now)) }},
			{key: "expires", head: "Until", text: func(t store.Token) string { return stamp(t.Expires) }, cell: func(t store.Token, now time.Time) templ.Component {
				return due(t.Expires, now, tokenState(t, now) != "in force")
			}},
			{key: "used", head: "Last used", text: func(t store.Token) string { return stamp(t.Used) }, cell: func(t store.Token, _ time.Time) templ.Component { return used(t.Used) }},
			{key: "created", head: "Made", hidden: true, text: func(t store.Token) string { return stamp(t.Created) }},
		},
		rows: func(ctx context.Context, d face.Desk, q query) ([]store.Token, string, error) {
			ts, err := d.Rows().Tokens(ctx)
			ts = slices.DeleteFunc(ts, func(t store.Token) bool {
				return !strings.Contains(t.Name, strings.ToLower(q.get("q"))) || q.get("user") != "" && t.User != q.get("user") || q.get("role") != "" && string(t.Role) != q.get("role") ||
					q.get("state") != "" && tokenState(t, p.hub.Now()) != q.get("state")
			})
			rows, next := cut(ts, name, q)
			return rows, next, err
		},
		actions: func(r *face.Request) templ.Component { return tokensActions(policy.May(r.P, "token add")) },
		bulk: []bulk{{key: "revoke", text: "Revoke", hot: "e", act: "token revoke", do: func(ctx context.Context, d face.Desk, ids []string, form url.Values) (string, int64, error) {
			told, _, err := onUsers("", (*store.Scoped).RevokeToken)(ctx, d, ids, form)
			_, not, _ := strings.Cut(told, ".")
			return strings.TrimSpace("Revoked; the next call with a revoked secret is refused." + not), 0, err
		}}},
	}
}

func tokenState(t store.Token, now time.Time) string {
	switch {
	case !t.Revoked.IsZero():
		return "revoked"
	case !t.Expires.IsZero() && !now.Before(t.Expires):
		return "expired"
	}
	return "in force"
}

// addToken makes a token and shows its secret, which nothing keeps.
func (p *Pages) addToken(r *face.Request) error {
	days, err := strconv.Atoi(cmp.Or(r.PostFormValue("days"), "365"))
	if err != nil || days < 1 || days > 3650 {
		return vedette.Invalid("days: 1 to 3650")
	}
	t := store.Token{Name: strings.TrimSpace(r.PostFormValue("name")), Role: vedette.Role(r.PostFormValue("role")), User: strings.TrimSpace(r.PostFormValue("user")),
		Constituents: strings.Fields(r.PostFormValue("constituents")), Expires: p.hub.Now().AddDate(0, 0, days)}
	secret, err := r.Desk.Rows().AddToken(r.Context(), t)
	if err != nil {
		return err
	}
	if err := r.Desk.Drain(r.Context()); err != nil {
		return err
	}
	return p.page(r, view{Title: "Token " + t.Name, At: "/users", Crumbs: []crumb{{"Users", "/users"}, {"Tokens", "/tokens"}}, So: "Shown this once: the hub keeps a hash alone."},
		secretPage(secretView{Label: "Secret", Secret: secret, Back: "/tokens", BackText: "Back to tokens", Why: fmt.Sprintf("In force until %s. A program sends it as Authorization: Bearer SECRET; a command reads it from a file (--token-file).", stamp(t.Expires))}))
}
