package web

import (
	"net/http"
	"slices"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
)

// Routes is the table of all pages.
func (p *Pages) Routes() []face.Route {
	get, post := http.MethodGet, http.MethodPost
	return slices.Concat([]face.Route{
		{Method: get, Path: "/static/{version}/{file...}", Act: "page assets", Serve: asset},
		{Method: get, Path: "/healthz", Act: "health", Serve: health},
		{Method: get, Path: "/readyz", Act: "health", Serve: p.ready},
		{Method: post, Path: "/csp", Act: "page assets", Serve: p.violation},
		{Method: get, Path: "/a/{token}", Act: "link", Serve: p.receipt},
		{Method: post, Path: "/a/{token}", Act: "link", Serve: p.acknowledge},
		{Method: get, Path: "/login", Act: "sign in", Serve: p.loginPage},
		{Method: post, Path: "/login", Act: "sign in", Serve: p.signIn},
		{Method: get, Path: "/login/code", Act: "sign in", Serve: p.codePage},
		{Method: post, Path: "/login/code", Act: "sign in", Serve: p.code},
		{Method: get, Path: vedette.LinkPath + "{token}", Act: "sign in", Serve: p.linkPage},
		{Method: post, Path: vedette.LinkPath + "{token}", Act: "sign in", Serve: p.redeem},
		{Method: post, Path: "/logout", Act: "sign in", Serve: p.signOut},
		{Method: post, Path: "/undo", Act: "case undo", Serve: p.undo},
		{Method: get, Path: "/{$}", Act: "today", Serve: p.todayPage},
		{Method: get, Path: "/search", Act: "search", Serve: p.search},
		{Method: get, Path: "/constituents/{id}", Act: "constituent show", Serve: p.constituent},
		{Method: get, Path: "/assets/{id}", Act: "asset show", Serve: p.asset},
	},
		p.alertRoutes(),
		p.surveyRoutes(),
		jobList.routes(p),
		p.auditRoutes(),
		p.userRoutes(),
		p.accountRoutes(),
		p.openRoutes(),
		p.feedRoutes(),
		caseList.routes(p),
		findingList.routes(p),
		assetList.routes(p),
		constituentList.routes(p),
		surfaceList.routes(p),
	)
}
