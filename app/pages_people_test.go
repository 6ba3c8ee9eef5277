package app

import (
	"context"
	"encoding/base32"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/credential"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// signedIn is a browser in which somebody used a sign-in link.
func (r *readers) signedIn(name string) {
	r.t.Helper()
	token, err := r.run(vedette.Local()).sc.AddLink(context.Background(), name, false)
	if err != nil {
		r.t.Fatal(err)
	}
	got := r.post("", vedette.LinkPath+token, nil)
	if got.Code != 303 || got.Header().Get("Location") != "/" {
		r.t.Fatalf("the link answers %d %s", got.Code, got.Header())
	}
	r.keep(name, got)
}

// keep keeps the cookies of an answer in the browser of somebody.
func (r *readers) keep(name string, got *httptest.ResponseRecorder) {
	for _, c := range got.Result().Cookies() {
		r.bearer[name] = http.Header{"Cookie": {c.Name + "=" + c.Value}}
	}
}

// TestPagesOfUsers: an admin gives rights, links and tokens; a lead only looks.
func TestPagesOfUsers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		r := readWorld(t, place)
		r.all([]look{
			{"admin", "/users", 200, "viewer|/users/lead|link only|Add a user|/users/bulk/disable|4 users", ""},
			{"admin", "/users?role=viewer", 200, "/users/viewer", "/users/lead"},
			{"admin", "/users?limit=1&q=a", 200, "/users/admin|after=admin", "/users/auditor"},
			{"admin", "/users?limit=1&q=a&after=admin", 200, "/users/auditor", "/users/admin"},
			{"admin", "/users/viewer", 200, "Works for alpha|Make a sign-in link|Keep these rights|Nobody is signed in", ""},
			{"admin", "/users/nosuch", 404, "not for you", ""},
			{"admin", "/tokens", 200, "Add a token|/tokens/bulk/revoke|in force", "vedette_"},
			{"lead", "/users", 200, "/users/viewer|Tokens", "Add a user|/users/bulk"},
			{"lead", "/users/viewer", 200, "Works for alpha|What viewer did last", "Make a sign-in link|Keep these rights|Sessions"},
			{"auditor", "/tokens?user=viewer", 200, "viewer", "Add a token|/bulk/"},
			{"viewer", "/users", 404, "not for you", "auditor"},
			{"viewer", "/tokens", 404, "not for you", "auditor"},
		})
		for _, path := range []string{"/users", "/users/viewer", "/users/viewer/link", "/users/viewer/codes/remove", "/users/bulk/disable", "/tokens", "/tokens/bulk/revoke"} {
			for _, who := range []string{"lead", "viewer", "auditor"} {
				if got := r.post(who, path, url.Values{"id": {"viewer"}, "role": {"lead"}, "name": {"evil"}}); got.Code != 404 {
					t.Errorf("%s posts to %s: %d", who, path, got.Code)
				}
			}
		}
		add := url.Values{"name": {"ola"}, "role": {"viewer", "manager"}, "constituents": {"alpha bravo"}}
		if got := r.post("admin", "/users", add); got.Code != 303 || got.Header().Get("Location") != "/users/ola" {
			t.Errorf("add: %d %s", got.Code, got.Body)
		}
		if got := r.post("admin", "/users", add); got.Code != 409 {
			t.Errorf("add again: %d", got.Code)
		}
		if got := r.post("admin", "/users/ola", url.Values{"role": {"analyst"}}); got.Code != 303 {
			t.Errorf("other rights: %d %s", got.Code, got.Body)
		}
		if got := r.post("admin", "/users/nosuch", url.Values{"role": {"analyst"}}); got.Code != 404 {
			t.Errorf("rights of nobody: %d", got.Code)
		}
		r.signedIn("ola")
		r.all([]look{{"ola", "/findings", 200, "CVE-2026-1001", ""}, {"admin", "/users/ola", 200, "192.0.2.1", ""}})
		link := r.post("admin", "/users/ola/link", nil)
		path := regexp.MustCompile(vedette.LinkPath + `[A-Za-z0-9_-]{43}`).FindString(link.Body.String())
		if link.Code != 200 || path == "" || r.post("", path, nil).Code != 303 || r.post("", path, nil).Code != 401 {
			t.Errorf("a link: %d %q", link.Code, path)
		}
		token := r.post("admin", "/tokens", url.Values{"name": {"siem"}, "role": {"api"}, "user": {"ola"}, "constituents": {"alpha"}, "days": {"30"}})
		secret := regexp.MustCompile(store.TokenPrefix + `[A-Za-z0-9_-]{43}`).FindString(token.Body.String())
		if token.Code != 200 || secret == "" {
			t.Fatalf("a token: %d %s", token.Code, token.Body)
		}
		r.bearer["siem"] = http.Header{"Authorization": {"Bearer " + secret}}
		r.all([]look{{"siem", "/findings", 200, "CVE-2026-1001", "bravo"}, {"admin", "/users/ola", 200, "siem", secret}})
		if got := r.post("admin", "/tokens/bulk/revoke", url.Values{"id": {"siem"}}); got.Code != 303 {
			t.Errorf("revoke: %d", got.Code)
		}
		r.all([]look{{"siem", "/findings", 401, "Sign in", "CVE"}})
		if got := r.post("admin", "/users/bulk/disable", url.Values{"id": {"ola"}, "next": {"/users/ola"}}); got.Code != 303 || got.Header().Get("Location") != "/users/ola" {
			t.Errorf("disable: %d %s", got.Code, got.Header())
		}
		r.all([]look{{"ola", "/findings", 303, "", "CVE"}, {"admin", "/users/ola", 200, "Disabled since|Let in again", "Make a sign-in link"}})
	})
}

// TestPagesOfTheAccount: what a person does about his own sign-in.
func TestPagesOfTheAccount(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		r := readWorld(t, place)
		r.signedIn("viewer")
		r.bearer["elsewhere"] = r.bearer["viewer"]
		r.signedIn("viewer")
		r.all([]look{{"viewer", "/account", 200, "You have no password|Set a password|Begin with a code generator|192.0.2.1", "Password now"},
			{"admin", "/account", 403, "no person who signed in", ""}, {"viewer", "/help", 200, "Go to|g c|Constituent", "g u"}})
		const password, other = "four words are easy", "and four others are too"
		for why, form := range map[string]url.Values{"The two new passwords differ": {"new": {password}, "again": {other}}, "12": {"new": {"short"}, "again": {"short"}}} {
			if got := r.post("viewer", "/account/password", form); got.Code != 422 || !strings.Contains(got.Body.String(), why) {
				t.Errorf("%v: %d", form, got.Code)
			}
		}
		got := r.post("viewer", "/account/password", url.Values{"new": {password}, "again": {password}})
		if got.Code != 303 {
			t.Fatalf("a password: %d %s", got.Code, got.Body)
		}
		r.keep("viewer", got)
		r.all([]look{{"elsewhere", "/account", 303, "", ""}})
		if got := r.post("viewer", "/account/password", url.Values{"old": {"another one altogether"}, "new": {other}, "again": {other}}); got.Code != 422 || !strings.Contains(got.Body.String(), "now in use is another one") {
			t.Errorf("a wrong old password: %d", got.Code)
		}
		begun := r.post("viewer", "/account/codes", nil)
		secret := regexp.MustCompile(`secret=([A-Z2-7]+)`).FindStringSubmatch(begun.Body.String())
		if begun.Code != 200 || secret == nil || !strings.Contains(begun.Body.String(), `<svg class="qr"`) {
			t.Fatalf("a code generator: %d %s", begun.Code, begun.Body)
		}
		raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret[1])
		if err != nil {
			t.Fatal(err)
		}
		if got := r.post("viewer", "/account/codes/confirm", url.Values{"code": {"x"}}); got.Code != 422 || strings.Contains(got.Body.String(), secret[1]) {
			t.Errorf("a wrong code: %d", got.Code)
		}
		done := r.post("viewer", "/account/codes/confirm", url.Values{"code": {credential.Code(raw, r.clock.Unix()/30)}})
		if n := strings.Count(done.Body.String(), "<li>"); done.Code != 200 || n < credential.RecoveryCodes {
			t.Errorf("confirmed: %d, %d codes", done.Code, n)
		}
		r.all([]look{{"viewer", "/account", 200, "10 recovery codes left|In use|You sign in by password, code", "Begin with a code generator"}})
		if got := r.post("viewer", "/account/theme", url.Values{"theme": {"dark"}}); got.Code != 303 || !strings.Contains(got.Header().Get("Set-Cookie"), "theme=dark") {
			t.Errorf("a theme: %d %s", got.Code, got.Header())
		}
		if got := r.post("viewer", "/account/sessions/end", nil); got.Code != 303 || got.Header().Get("Location") != "/login" {
			t.Errorf("ends: %d", got.Code)
		}
		r.all([]look{{"viewer", "/account", 303, "", ""}})
	})
}

// TestOpenPages: who was looked at needs no name to learn by whom.
func TestOpenPages(t *testing.T) {
	r := readWorld(t, t.TempDir())
	r.all([]look{
		{"", "/explain", 200, "You saw us in your logs|http-security-txt|no contact yet|left alone", "alpha"},
		{"", "/accessibility", 200, "WCAG 2.2", "alpha"},
		{"", "/help", 303, "", "Constituent"},
		{"", "/account", 303, "", ""},
		{"viewer", "/explain", 200, "You saw us in your logs", ""},
	})
}
