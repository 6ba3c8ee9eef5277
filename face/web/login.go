package web

import (
	"errors"
	"net/http"

	"github.com/a-h/templ"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
)

// loginPage is the form; whoever is signed in goes on.
func (p *Pages) loginPage(r *face.Request) error {
	if r.Desk != nil {
		return r.Go(onward(r.URL.Query().Get("next")))
	}
	return p.login(r, http.StatusOK, loginForm(r.URL.Query().Get("next"), "", ""))
}

func (p *Pages) login(r *face.Request, status int, content templ.Component) error {
	return write(r, status, plainPage("Sign in", p.hub.Lab()), content)
}

// signIn tries a name and a password.
func (p *Pages) signIn(r *face.Request) error {
	name, next := r.PostFormValue("username"), r.PostFormValue("next")
	in, err := p.sign.SignIn(r.Context(), vedette.Attempt{Name: name, Password: r.PostFormValue("password"), Address: r.RemoteAddr})
	if err != nil {
		return p.refuse(r, err, func(why string) templ.Component { return loginForm(next, name, why) })
	}
	return p.in(r, in, next)
}

// in begins the session, or asks for the code first.
func (p *Pages) in(r *face.Request, in vedette.SignedIn, next string) error {
	if err := r.Session.Begin(r.Context(), in, r.RemoteAddr); err != nil {
		return err
	}
	if in.Second {
		r.Session.Put(r.Context(), "next", next)
		return r.Go("/login/code")
	}
	return r.Go(onward(next))
}

// codePage asks for the second proof.
func (p *Pages) codePage(r *face.Request) error {
	if r.Session.Half(r.Context()) == "" {
		return r.Go("/login")
	}
	return p.login(r, http.StatusOK, codeForm(""))
}

// code tries the second proof.
func (p *Pages) code(r *face.Request) error {
	in, err := p.sign.Second(r.Context(), r.Session.Half(r.Context()), r.PostFormValue("code"), r.RemoteAddr)
	if err != nil {
		return p.refuse(r, err, codeForm)
	}
	return p.in(r, in, r.Session.Take(r.Context(), "next"))
}

// refuse shows the form again, with what went wrong.
func (p *Pages) refuse(r *face.Request, err error, form func(why string) templ.Component) error {
	if !errors.Is(err, vedette.ErrAuth) {
		return err
	}
	why := "That name, password or code does not match. Check them and try again."
	var many *vedette.TooMany
	if errors.As(err, &many) {
		why = title(many.Error()) + "."
	}
	return p.login(r, http.StatusUnauthorized, form(why))
}

// linkPage is behind a sign-in link: a button, for programs follow links too.
func (p *Pages) linkPage(r *face.Request) error {
	return p.login(r, http.StatusOK, linkForm())
}

// redeem signs in whoever has the link, once.
func (p *Pages) redeem(r *face.Request) error {
	in, err := p.sign.Redeem(r.Context(), r.PathValue("token"), r.RemoteAddr)
	if errors.Is(err, vedette.ErrAuth) {
		return p.login(r, http.StatusUnauthorized, loginForm("", "", "This link was used, or is too old. Ask for another, or sign in with your password."))
	}
	if err != nil {
		return err
	}
	return p.in(r, in, "/")
}

// signOut ends the session.
func (p *Pages) signOut(r *face.Request) error {
	if err := r.Session.End(r.Context()); err != nil {
		return err
	}
	return r.Go("/login")
}

// onward is where to go after signing in: on this hub, and nowhere else.
func onward(next string) string {
	if face.Local(next) && next != "/login" {
		return next
	}
	return "/"
}
