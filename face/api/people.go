package api

import (
	"slices"
	"strconv"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/store"
)

type eventQuery struct {
	Paging
	Principal   string `query:"principal" doc:"who did it"`
	Verb        string `query:"verb" doc:"what was done"`
	Subject     string `query:"subject" doc:"to what"`
	Constituent string `query:"constituent"`
}

func (a *API) listEvents(r *face.Request, in *eventQuery) (page[vedette.Event], error) {
	return listed(a, r, in.Paging, func(after string, limit int) ([]vedette.Event, string, error) {
		rows, err := r.Desk.Rows().Events(r.Context(), store.EventFilter{Principal: in.Principal, Verb: in.Verb, Subject: in.Subject, Constituent: in.Constituent, Below: number(after), Limit: limit})
		if err != nil || len(rows) < limit {
			return rows, "", err
		}
		return rows, strconv.FormatInt(rows[limit-1].ID, 10), nil
	})
}

func (a *API) listUsers(r *face.Request, in *Paging) (page[store.User], error) {
	us, err := r.Desk.Rows().Users(r.Context())
	if err != nil {
		return page[store.User]{}, err
	}
	return listed(a, r, *in, whole(us, func(u store.User) string { return u.Name }))
}

func (a *API) getUser(r *face.Request, in *ByName) (store.User, error) {
	us, err := r.Desk.Rows().Users(r.Context())
	i := slices.IndexFunc(us, func(u store.User) bool { return u.Name == in.Name })
	if err != nil || i < 0 {
		return store.User{}, orAbsent(err, "user", in.Name)
	}
	return us[i], nil
}

type addUserIn struct {
	Body struct {
		Name         string   `json:"name" maxLength:"64"`
		Roles        []string `json:"roles" minItems:"1" enum:"viewer,manager,partner,responder,analyst,assessor,lead,admin,auditor"`
		Constituents []string `json:"constituents,omitempty" doc:"that the person is bound to"`
		Orgs         []string `json:"orgs,omitempty" doc:"further organisations that the person speaks for"`
	}
}

func (a *API) addUser(r *face.Request, in *addUserIn) (store.User, error) {
	p := vedette.Principal{Name: in.Body.Name, Constituents: in.Body.Constituents, Orgs: in.Body.Orgs}
	for _, role := range in.Body.Roles {
		p.Roles = append(p.Roles, vedette.Role(role))
	}
	if _, err := finished(r, none{}, r.Desk.Rows().AddUser(r.Context(), p)); err != nil {
		return store.User{}, err
	}
	at(r, "users/"+p.Name)
	return a.getUser(r, &ByName{p.Name})
}

type changeByNameIn struct {
	ByName
	IfMatch
}

func (a *API) disableUser(r *face.Request, in *changeByNameIn) (store.User, error) {
	if in.Tag != "" {
		u, err := a.getUser(r, &in.ByName)
		if err == nil {
			err = unchanged(r, u)
		}
		if err != nil {
			return u, err
		}
	}
	if _, err := finished(r, none{}, r.Desk.Rows().DisableUser(r.Context(), in.Name)); err != nil {
		return store.User{}, err
	}
	return a.getUser(r, &in.ByName)
}

func (a *API) listTokens(r *face.Request, in *Paging) (page[store.Token], error) {
	ts, err := r.Desk.Rows().Tokens(r.Context())
	if err != nil {
		return page[store.Token]{}, err
	}
	return listed(a, r, *in, whole(ts, func(t store.Token) string { return t.Name }))
}

func (a *API) getToken(r *face.Request, in *ByName) (store.Token, error) {
	ts, err := r.Desk.Rows().Tokens(r.Context())
	i := slices.IndexFunc(ts, func(t store.Token) bool { return t.Name == in.Name })
	if err != nil || i < 0 {
		return store.Token{}, orAbsent(err, "token", in.Name)
	}
	return ts[i], nil
}

type addTokenIn struct {
	Body struct {
		Name         string    `json:"name" maxLength:"64"`
		Role         string    `json:"role" enum:"api,ingest,probe-worker"`
		User         string    `json:"user,omitempty" doc:"whose rights an api token has, narrowed"`
		Constituents []string  `json:"constituents,omitempty"`
		Expires      time.Time `json:"expires,omitzero"`
	}
}

// newToken is a token with its secret, which is shown this once.
type newToken struct {
	store.Token
	Secret string `json:"secret"`
}

func (a *API) addToken(r *face.Request, in *addTokenIn) (newToken, error) {
	b := in.Body
	secret, err := r.Desk.Rows().AddToken(r.Context(), store.Token{Name: b.Name, Role: vedette.Role(b.Role), User: b.User, Constituents: b.Constituents, Expires: b.Expires})
	if _, err = finished(r, none{}, err); err != nil {
		return newToken{}, err
	}
	at(r, "tokens/"+b.Name)
	t, err := a.getToken(r, &ByName{b.Name})
	return newToken{t, secret}, err
}

func (a *API) revokeToken(r *face.Request, in *changeByNameIn) (store.Token, error) {
	if in.Tag != "" {
		t, err := a.getToken(r, &in.ByName)
		if err == nil {
			err = unchanged(r, t)
		}
		if err != nil {
			return t, err
		}
	}
	if _, err := finished(r, none{}, r.Desk.Rows().RevokeToken(r.Context(), in.Name)); err != nil {
		return store.Token{}, err
	}
	return a.getToken(r, &in.ByName)
}
