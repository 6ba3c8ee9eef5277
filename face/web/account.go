package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"rsc.io/qr"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/store"
)

// accountRoutes are what everybody does about oneself.
func (p *Pages) accountRoutes() []face.Route {
	get, post := http.MethodGet, http.MethodPost
	return []face.Route{
		{Method: get, Path: "/account", Act: "account", Serve: func(r *face.Request) error { return p.account(r, http.StatusOK, "", "") }},
		{Method: post, Path: "/account/password", Act: "account", Serve: p.changePassword},
		{Method: post, Path: "/account/codes", Act: "account", Serve: p.beginCodes},
		{Method: post, Path: "/account/codes/confirm", Act: "account", Serve: p.confirmCodes},
		{Method: post, Path: "/account/sessions/end", Act: "account", Serve: endSessions},
		{Method: post, Path: "/account/theme", Act: "account", Serve: p.setTheme},
		{Method: get, Path: "/help", Act: "help", Serve: p.help},
	}
}

// accountView is oneself.
type accountView struct {
	store.User
	Sessions []vedette.Session
	Theme    string
	Bad, Why string // the form that was not taken, and why
	View     view
}

// account is the page of oneself; why says what was wrong with a form of it.
func (p *Pages) account(r *face.Request, status int, bad, why string) error {
	u, err := r.Desk.Rows().Account(r.Context())
	if err != nil {
		return err
	}
	x := accountView{User: u, Theme: theme(r), Bad: bad, Why: why}
	if x.Sessions, err = r.Desk.Rows().SessionsOf(r.Context(), u.Name); err != nil {
		return err
	}
	v := view{Title: "Your account", Sub: u.Name, At: "/account", Status: status, So: accountSo(u), Actions: signOutButton()}
	return p.page(r, v, accountPage(x))
}

func accountSo(u store.User) string {
	switch {
	case !u.Password && u.Passkeys == 0:
		return "You have no password: set one, or the next sign-in needs another link."
	case !u.Codes && u.Passkeys == 0:
		return "A password alone lets you in. A code generator keeps out whoever learns it."
	case u.Codes && u.Recovery < 3:
		return fmt.Sprintf("%s left. Without one, a lost code generator keeps you out until an admin helps.", title(count(u.Recovery, "recovery code")))
	}
	return "You sign in by " + proofs(u) + "."
}

// changePassword sets another password; every other session ends.
func (p *Pages) changePassword(r *face.Request) error {
	if r.PostFormValue("new") != r.PostFormValue("again") {
		return p.account(r, http.StatusUnprocessableEntity, "password", "The two new passwords differ.")
	}
	in, err := r.Desk.Rows().ChangePassword(r.Context(), r.PostFormValue("old"), r.PostFormValue("new"), r.RemoteAddr)
	var many *vedette.TooMany
	switch {
	case errors.As(err, &many):
		return p.account(r, http.StatusUnprocessableEntity, "password", title(many.Error())+".")
	case errors.Is(err, vedette.ErrAuth):
		return p.account(r, http.StatusUnprocessableEntity, "password", "The password now in use is another one.")
	case errors.Is(err, vedette.ErrInvalid):
		return p.account(r, http.StatusUnprocessableEntity, "password", title(err.Error())+".")
	case err != nil:
		return err
	}
	if err := r.Desk.Drain(r.Context()); err != nil {
		return err
	}
	if err := r.Session.Begin(r.Context(), in, r.RemoteAddr); err != nil {
		return err
	}
	r.Session.Tell(r.Context(), "Your password is changed. Your other sessions ended.", 0)
	return r.Go("/account")
}

// beginCodes makes the secret of a code generator and shows it. Nothing keeps
// it in the open, so there is no page to be sent to.
func (p *Pages) beginCodes(r *face.Request) error {
	uri, err := r.Desk.Rows().BeginCodes(r.Context(), r.P.Name)
	if err != nil {
		return err
	}
	if err := r.Desk.Drain(r.Context()); err != nil {
		return err
	}
	return p.codesPage(r, http.StatusOK, uri, "")
}

func (p *Pages) codesPage(r *face.Request, status int, uri, why string) error {
	v := view{Title: "Code generator", At: "/account", Status: status, Crumbs: []crumb{{"Your account", "/account"}}, So: "Shown this once. It is asked for from the first right code on."}
	if uri == "" {
		v.So = "It is asked for from the first right code on."
	}
	return p.page(r, v, enrolPage(uri, secretOf(uri), why))
}

// secretOf is the secret of an otpauth:// URI for those who type it, in groups of four.
func secretOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	var groups []string
	for s := u.Query().Get("secret"); s != ""; s = s[min(4, len(s)):] {
		groups = append(groups, s[:min(4, len(s))])
	}
	return strings.Join(groups, " ")
}

// confirmCodes takes the first code, and shows the recovery codes.
func (p *Pages) confirmCodes(r *face.Request) error {
	recovery, err := r.Desk.Rows().ConfirmCodes(r.Context(), r.P.Name, strings.TrimSpace(r.PostFormValue("code")))
	if errors.Is(err, vedette.ErrInvalid) {
		return p.codesPage(r, http.StatusUnprocessableEntity, "", title(err.Error())+".")
	}
	if err != nil {
		return err
	}
	if err := r.Desk.Drain(r.Context()); err != nil {
		return err
	}
	return p.page(r, view{Title: "Recovery codes", At: "/account", Crumbs: []crumb{{"Your account", "/account"}}, So: "Your code generator is in use. These codes are shown this once; each lets you in once in place of a code."}, recoveryPage(recovery))
}

// endSessions signs oneself out everywhere.
func endSessions(r *face.Request) error {
	if err := r.Desk.Rows().EndSessions(r.Context(), r.P.Name); err != nil {
		return err
	}
	if err := r.Desk.Drain(r.Context()); err != nil {
		return err
	}
	if err := r.Session.End(r.Context()); err != nil {
		return err
	}
	return r.Go("/login")
}

const aYear = 365 * 24 * 60 * 60 // seconds

// setTheme keeps light, dark or as the system in a cookie.
func (p *Pages) setTheme(r *face.Request) error {
	c := &http.Cookie{Name: "theme", Value: r.PostFormValue("theme"), Path: "/", MaxAge: aYear, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(p.hub.About().Base, "https://")}
	if c.Value != "light" && c.Value != "dark" {
		c.Value, c.MaxAge = "", -1
	}
	http.SetCookie(r.ResponseWriter, c)
	return r.Go("/account")
}

// qrPath draws a text as a QR code (ISO/IEC 18004): the path of its dark
// modules, and how many there are on a side with the quiet zone of four.
func qrPath(text string) (path string, side int) {
	c, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", 0
	}
	var b strings.Builder
	for y := range c.Size {
		for x := range c.Size {
			if c.Black(x, y) {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x+4, y+4)
			}
		}
	}
	return b.String(), c.Size + 8
}

// key is a key and what it does.
type key struct{ Key, Does string }

// helpView is the keys that the reader has.
type helpView struct {
	Go    []key
	Lists []key
	Words []word
	Lab   bool
}

// word is a word of the field, as every page and command uses it.
type word struct{ Word, Means, Href string }

var glossary = []word{
	{"Constituent", "An organisation that the team protects.", "/constituents"},
	{"Scope", "What may be touched: a domain, a network or a URL, with who authorised it, by which document, how far, and until when. Exclusions win.", ""},
	{"Asset", "A name or an address that a constituent exposes, never both: that a name resolves to an address is an observation.", "/assets"},
	{"Survey", "One run of checks over what a constituent exposes, inside its scope.", "/surveys"},
	{"Finding", "One weakness on one asset of one constituent, with its evidence.", "/findings"},
	{"Presence", "Present: still there. Not observed: gone or unreachable, which is no proof. Fixed: a successful look did not find it. Undetermined: nobody could look.", ""},
	{"Confidence", "Confirmed: seen. Likely: the version says so. Possible: something is missing. Declared: nobody looked.", ""},
	{"Case", "One weakness at one constituent, with a deadline. It closes when all its findings are fixed, and comes back when one is back.", "/cases"},
	{"Decision", "Risk accepted, false positive or not affected: dated, with a reason, approved by somebody else.", ""},
	{"Exploitation", "That attackers use a weakness, as somebody says who can be named.", "/cves"},
	{"Publication", "An alert, with one edition for each constituent: only its own hosts, evidence and deadline.", "/publications"},
	{"Marking", "Who may read: TLP says how far, PAP what may be done with it. RED is for named persons, AMBER+STRICT for one organisation.", ""},
	{"Feed", "A source that is fetched by itself.", "/feeds"},
	{"Event", "Who did what to what, when and why. Sealed in a chain.", "/audit"},
}

// help is keys and words.
func (p *Pages) help(r *face.Request) error {
	var x helpView
	paths := map[string]bool{}
	for _, n := range navigation {
		if face.Has(r.P, n.Act) {
			paths[n.Href] = true
			if n.Key != "" {
				x.Go = append(x.Go, key{"g " + n.Key, n.Text})
			}
		}
	}
	for _, w := range glossary {
		if !paths[w.Href] {
			w.Href = ""
		}
		x.Words = append(x.Words, w)
	}
	return p.page(r, view{Title: "Keys and help", At: "/help", So: "Everything works with a mouse, with a keyboard, and without a script. Keys only make it quicker."}, helpPage(x))
}
