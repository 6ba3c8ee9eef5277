// Package web has the pages. A page is a function of a request; web.go has the
// shell around it, list.go the one component of all lists, routes.go the table.
package web

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/policy"
)

// Pages are the pages of a hub.
type Pages struct {
	hub  face.Hub
	sign face.SignIn
	log  *slog.Logger
	demo bool // a demo has a page of the world around it
}

// New makes the pages of a hub.
func New(hub face.Hub, sign face.SignIn, log *slog.Logger) *Pages {
	return &Pages{hub: hub, sign: sign, log: log}
}

//go:embed static
var files embed.FS

// scripted says that the build has htmx; without it every page works plain.
var scripted = func() bool { _, err := fs.Stat(files, "static/htmx.min.js"); return err == nil }()

// version is in the path of an asset, so that it may be kept for ever.
var version = func() string {
	h := sha256.New()
	_ = fs.WalkDir(files, "static", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := files.ReadFile(p)
		h.Write(b)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:6])
}()

func assetPath(name string) string { return "/static/" + version + "/" + name }

// asset serves a file of the build.
func asset(r *face.Request) error {
	name := path.Clean(r.PathValue("file"))
	if r.PathValue("version") == version {
		r.ResponseWriter.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if strings.HasSuffix(name, ".svg") {
		r.ResponseWriter.Header().Set("Content-Type", "image/svg+xml")
	}
	if _, err := fs.Stat(files, "static/"+name); err != nil {
		return vedette.NotFound("nothing here")
	}
	http.ServeFileFS(r.ResponseWriter, r.Request, files, "static/"+name)
	return nil
}

// view is what the shell shows around a page.
type view struct {
	Title, Sub, So string
	At             string // the path of the navigation that is current
	Crumbs         []crumb
	Actions, Meta  templ.Component
	Marking        string // of all that the page shows, "" when nothing carries one
	Status         int    // of the answer; 0 is 200
	Live           bool   // the page fetches itself again while work goes on
	Every          int    // seconds between two fetches of a live page; 0 is 2

	// what the shell fills in
	P     vedette.Principal
	Lab   bool
	Nav   []navItem
	May   map[policy.Act]bool
	Now   time.Time
	Told  string
	Undo  int64
	Here  string // path and query of this page
	Theme string
	Asked string
}

type crumb struct{ Text, Href string }

type navItem struct {
	Text, Href, Icon, Key string
	Act                   policy.Act
	End                   bool // at the foot
	demo                  bool // of a demo alone
	Count                 int
	Hot                   bool
}

// navigation is in the order of the work; what the principal may not do is absent.
var navigation = []navItem{
	{Text: "Today", Href: "/", Icon: "home", Key: "t", Act: "today"},
	{Text: "Exploited CVEs", Href: "/cves", Icon: "bolt", Key: "e", Act: "cve list"},
	{Text: "Cases", Href: "/cases", Icon: "aim", Key: "c", Act: "case list"},
	{Text: "Findings", Href: "/findings", Icon: "list", Key: "f", Act: "finding list"},
	{Text: "Surface", Href: "/surface", Icon: "globe", Key: "s", Act: "survey diff"},
	{Text: "Assets", Href: "/assets", Icon: "node", Key: "a", Act: "asset list"},
	{Text: "Constituents", Href: "/constituents", Icon: "org", Key: "o", Act: "constituent list"},
	{Text: "Publications", Href: "/publications", Icon: "doc", Key: "p", Act: "publication list"},
	{Text: "Surveys", Href: "/surveys", Icon: "ops", Key: "v", Act: "survey list"},
	{Text: "Feeds", Href: "/feeds", Icon: "today", Key: "d", Act: "feed list"},
	{Text: "Jobs", Href: "/jobs", Icon: "cols", Key: "j", Act: "job list"},
	{Text: "Events", Href: "/audit", Icon: "undo", Key: "l", Act: "audit list"},
	{Text: "Users and tokens", Href: "/users", Icon: "user", Key: "u", Act: "user list"},
	{Text: "Lab", Href: "/demo", Icon: "bolt", Key: "b", Act: "demo page", End: true, demo: true},
	{Text: "Keys and help", Href: "/help", Icon: "info", Act: "help", End: true},
}

// page shows a page inside the shell.
func (p *Pages) page(r *face.Request, v view, content templ.Component) error {
	v.P, v.Lab, v.Now, v.Here = r.P, p.hub.Lab(), p.hub.Now(), r.URL.RequestURI()
	v.May = map[policy.Act]bool{}
	for _, row := range policy.Table {
		v.May[row.Act] = policy.May(r.P, row.Act)
	}
	for _, n := range navigation {
		if v.May[n.Act] && (!n.demo || p.demo) {
			v.Nav = append(v.Nav, n)
		}
	}
	v.Told, v.Undo = r.Session.Told(r.Context())
	v.Theme = theme(r)
	v.Asked = cmp.Or(v.Asked, "")
	return write(r, cmp.Or(v.Status, http.StatusOK), shell(v), content)
}

// write renders into memory first, so that what fails is an error and no half page.
func write(r *face.Request, status int, around, content templ.Component) error {
	var b bytes.Buffer
	if err := around.Render(templ.WithChildren(r.Context(), content), &b); err != nil {
		return err
	}
	r.ResponseWriter.Header().Set("Content-Type", "text/html; charset=utf-8")
	r.WriteHeader(status)
	_, _ = b.WriteTo(r.ResponseWriter)
	return nil
}

// Fail answers with an error as a page.
func (p *Pages) Fail(r *face.Request, status int, err error) {
	text := title(err.Error()) + "."
	heading := map[int]string{http.StatusNotFound: "Nothing here", http.StatusForbidden: "Refused", http.StatusConflict: "In the way of a newer state",
		http.StatusUnprocessableEntity: "Not taken", http.StatusUnauthorized: "Sign in", http.StatusServiceUnavailable: "Not now"}[status]
	heading = cmp.Or(heading, "Failed")
	if status == http.StatusNotFound {
		text = "What you asked for is not here, or not for you."
	}
	content := failure(status, text, r.ID)
	if r.Desk == nil {
		_ = write(r, status, plainPage(heading, p.hub.Lab()), content)
		return
	}
	v := view{Title: heading, P: r.P, Lab: p.hub.Lab(), Now: p.hub.Now(), Here: "/", Theme: theme(r), May: map[policy.Act]bool{"search": policy.May(r.P, "search")}}
	for _, n := range navigation {
		if policy.May(r.P, n.Act) && (!n.demo || p.demo) {
			v.Nav = append(v.Nav, n)
		}
	}
	_ = write(r, status, shell(v), content)
}

// live are the attributes that have a part of the page fetched again.
func live(v view) templ.Attributes {
	if !v.Live {
		return nil
	}
	return templ.Attributes{"hx-get": v.Here, "hx-trigger": fmt.Sprintf("every %ds", cmp.Or(v.Every, 2)), "hx-select": "#live", "hx-target": "#live", "hx-swap": "outerMorph", "data-live": true}
}

// refresh is after how many seconds a live page is loaded again where nothing
// is scripted, 0 for never: whoever reads is not to lose his place too often.
func refresh(v view) int {
	if !v.Live {
		return 0
	}
	return max(5, 6*v.Every)
}

// theme is what the reader chose; "" follows the system.
func theme(r *face.Request) string {
	c, err := r.Cookie("theme")
	if err != nil || !slices.Contains([]string{"light", "dark"}, c.Value) {
		return ""
	}
	return c.Value
}
