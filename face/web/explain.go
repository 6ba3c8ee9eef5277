package web

import (
	"net/http"

	"github.com/vedette-hub/vedette/face"
)

// openRoutes are the pages for everybody, signed in or not.
func (p *Pages) openRoutes() []face.Route {
	get := http.MethodGet
	return []face.Route{
		{Method: get, Path: "/explain", Act: "explain", Serve: func(r *face.Request) error {
			return write(r, http.StatusOK, openPage("What this hub does", p.hub.Lab(), theme(r)), explainPage(p.hub.About()))
		}},
		{Method: get, Path: "/accessibility", Act: "explain", Serve: func(r *face.Request) error {
			return write(r, http.StatusOK, openPage("Accessibility", p.hub.Lab(), theme(r)), accessibilityPage(p.hub.About()))
		}},
	}
}
