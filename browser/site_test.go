//go:build long

package browser

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette/face/web"
)

// site is the table of routes as a browser meets it: every page that links lead to.
type site struct {
	mux     *http.ServeMux
	pages   map[string]bool // the patterns that answer GET
	most    int             // how many addresses of one pattern and one form of query are opened
	fetched int             // how many more are fetched, and their elements looked at
	seen    map[string]bool
	count   map[string]int // per pattern and form
	queue   []stop
	dead    map[string]string // links that lead nowhere, and where they stand
}

// stop is an address to look at.
type stop struct {
	at   string
	open bool // in the browser; otherwise it is read and parsed alone
}

// notPages are answered without a page around them, or need what only a mail says.
var notPages = []string{"/static/{version}/{file...}", "/healthz", "/readyz", "/a/{token}", "/in/{token}"}

func newSite(most int, demo bool) *site {
	s := &site{mux: http.NewServeMux(), pages: map[string]bool{}, most: most, seen: map[string]bool{}, count: map[string]int{}, dead: map[string]string{}}
	p := web.New(nil, nil, nil)
	routes := p.Routes()
	if demo {
		routes = append(routes, p.DemoRoutes(nil)...)
	}
	for _, r := range routes {
		if r.API {
			continue
		}
		s.mux.HandleFunc(r.Method+" "+r.Path, func(http.ResponseWriter, *http.Request) {})
		if r.Method == http.MethodGet && !slices.Contains(notPages, r.Path) {
			s.pages[r.Path] = true
		}
	}
	return s
}

// pattern is the route of an address, "" without one.
func (s *site) pattern(at string) string {
	u, err := url.Parse(at)
	if err != nil {
		return ""
	}
	_, pattern := s.mux.Handler(&http.Request{Method: http.MethodGet, URL: u})
	return strings.TrimPrefix(pattern, "GET ")
}

// add queues an address unless enough of its kind were opened.
func (s *site) add(at, from string) {
	at, _, _ = strings.Cut(at, "#")
	if s.seen[at] {
		return
	}
	s.seen[at] = true
	u, err := url.Parse(at)
	if err != nil {
		s.dead[at] = from
		return
	}
	form, fetched := s.pattern(at), s.fetched
	if form == "" {
		form = "none for /" + strings.SplitN(u.Path, "/", 3)[1]
	}
	for _, k := range slices.Sorted(maps.Keys(u.Query())) {
		form, fetched = form+" "+k, 0 // the same rows, filtered
	}
	if s.count[form]++; s.count[form] <= s.most+fetched {
		s.queue = append(s.queue, stop{at, s.count[form] <= s.most})
		if s.pattern(at) == "" {
			s.dead[at] = from
		}
	}
}

// kindOf asks for an address as the page does: its status and media type.
const kindOf = `async (at) => { const r = await fetch(at, {headers: {Accept: "text/html"}}); return {status: r.status, kind: /^attachment/.test(r.headers.get("Content-Disposition")) ? "" : r.headers.get("Content-Type") ?? "", at: r.redirected ? new URL(r.url).pathname : ""}; }`

// parse reads a page without opening it; what is no page is left alone.
const parse = `(async (at, look) => {
	const r = await fetch(at);
	const page = (r.headers.get("Content-Type") ?? "").startsWith("text/html") && !/^attachment/.test(r.headers.get("Content-Disposition"));
	return {status: r.status, found: page ? look(new DOMParser().parseFromString(await r.text(), "text/html")) : []};
})`

const linksHere = `[...document.querySelectorAll("a[href], form[method=get]")].map((e) => e.getAttribute("href") ?? e.getAttribute("action")).filter((h) => h && !/^[a-z+.-]+:|^\/\//i.test(h)).map((h) => { const u = new URL(h, location.href); return u.pathname + u.search; })`

// walk opens every page that links lead to from an address, and has each looked
// at. What is no page is fetched alone.
func (s *site) walk(b *tab, from []string, look func(at, pattern string)) (parsed int) {
	b.t.Helper()
	for _, at := range from {
		s.add(at, "")
	}
	if b.at() == "about:blank" {
		b.open("/login")
	}
	for len(s.queue) > 0 {
		at, open := s.queue[0].at, s.queue[0].open
		s.queue = s.queue[1:]
		if !open {
			parsed++
			got := eval[struct {
				Status int
				Found  []string
			}](b, parse+"("+strconv.Quote(at)+","+injected+")")
			if got.Status != http.StatusOK {
				s.dead[at] = http.StatusText(got.Status)
			}
			for _, found := range got.Found {
				b.t.Errorf("%s: %s", at, found)
			}
			continue
		}
		got := eval[struct {
			Status   int
			Kind, At string
		}](b, kindOf, at)
		if got.Status != http.StatusOK {
			s.dead[at] = http.StatusText(got.Status)
			continue
		}
		delete(s.dead, at)
		if !strings.HasPrefix(got.Kind, "text/html") {
			continue
		}
		b.open(at)
		for _, l := range eval[[]string](b, linksHere) {
			s.add(l, at)
		}
		look(at, s.pattern(at))
	}
	return parsed
}

// unreached are the pages to which no link led.
func (s *site) unreached() (out []string) {
	for p := range s.pages {
		found := false
		for form, n := range s.count {
			at, _, _ := strings.Cut(form, " ")
			found = found || n > 0 && at == p
		}
		if !found {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

// built says that every page is there; until then what is missing is told.
const built = false

// complete fails for links that lead nowhere and for pages nobody finds.
func (s *site) complete(t *testing.T, but ...string) {
	t.Helper()
	tell := t.Errorf
	if !built {
		tell = t.Logf
	}
	for at, why := range s.dead {
		tell("a link to %s leads nowhere: %s", at, why)
	}
	for _, p := range s.unreached() {
		if !slices.Contains(but, p) {
			tell("no link leads to %s", p)
		}
	}
}
