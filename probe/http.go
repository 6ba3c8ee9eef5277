package probe

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/vedette-hub/vedette"
)

// listingCheck is under which a listing of the front page is observed.
const listingCheck = "http-listing"

// maxRedirects bounds the redirects that are followed.
const maxRedirects = 5

// HTTP looks at the front page of a web server and tells the software behind it
// by header, cookies, title, marks in the page and icon. Redirects are followed
// on the same port, to the same host or one that the scope lets us speak to at
// this address.
var HTTP = Check{
	Name:  "http",
	About: "what a web server shows: software, title, redirects, icon, listed folders",
	Spec:  "RFC 9110, RFC 9112",
	Class: vedette.Active,
	Also:  []string{listingCheck},
	For:   isWeb,
	Run:   runHTTP,
}

// isWeb says whether a subject speaks HTTP.
func isWeb(s Subject) bool { return s.Service == "http" && s.Port != 0 && s.Proto == "tcp" }

func runHTTP(ctx context.Context, env *Env, s Subject, emit Emit) error {
	w := newSite(env, s)
	defer w.close()
	v := visit{site: w, rules: env.Identify, fact: vedette.Fact{Service: "http", TLS: s.TLS, Details: map[string]string{}}}
	front, err := v.front(ctx)
	if err != nil {
		return err
	}
	if err := front.unfit(); err != nil {
		return err
	}
	v.page(front)
	v.certificate()
	if i, ok := w.favicon(ctx, front); ok {
		v.detail("favicon_md5", i.md5)
		v.detail("favicon_mmh3", i.mmh3)
		v.identify("favicon.md5", i.md5)
		v.identify("favicon.mmh3", i.mmh3)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	listed, err := w.listing(ctx, front)
	if err != nil {
		return err
	}
	emit(vedette.Observation{Fact: v.fact})
	if listed {
		emit(vedette.Observation{Check: listingCheck, Fact: vedette.Fact{Service: "http", TLS: s.TLS, Reports: []vedette.Report{{
			Weakness: "check:directory-listing", Verdict: vedette.Confirmed, Note: "the front page lists the files of a folder"}}}})
	}
	return nil
}

// visit gathers what one look at a site tells.
type visit struct {
	*site
	rules *Rules
	fact  vedette.Fact
}

// detail keeps what is the same at the next look.
func (v *visit) detail(name, value string) {
	if value != "" {
		v.fact.Details[name] = value
	}
}

func (v *visit) identify(key, text string) {
	for _, sw := range v.rules.Match(key, text) {
		v.fact.Software = addSoftware(v.fact.Software, sw)
	}
}

// front gets the front page, after redirects.
func (v *visit) front(ctx context.Context) (*page, error) {
	p, err := v.get(ctx, "/")
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{p.url.String(): true}
	for range maxRedirects {
		u := p.redirect()
		if u == nil {
			break
		}
		from, before := v.s, v.s.Asset.ID
		shown := shownURL(u, p.url)
		if !v.follow(u) {
			if sameHost(u, v.site) {
				v.detail("redirect", shown) // another port: it has its own look
			} else {
				v.detail("redirect_out", shown)
			}
			break
		}
		v.detail("redirect", shown)
		if seen[u.String()] && before == v.s.Asset.ID {
			break
		}
		seen[u.String()] = true
		next, err := v.get(ctx, u.RequestURI())
		if before != v.s.Asset.ID && (err != nil || next.status >= 400) && ctx.Err() == nil {
			// what is under that name does not live here, whatever the scope allows
			v.close()
			v.s = from
			delete(v.fact.Details, "redirect")
			v.detail("redirect_out", shown)
			break
		}
		if err != nil {
			return nil, err
		}
		v.headers(p)
		v.identify("http_path", u.Path)
		p = next
	}
	return p, nil
}

func sameHost(u *url.URL, w *site) bool {
	a, err := vedette.ParseAsset(u.Hostname())
	return err == nil && (a.ID == w.s.Asset.ID || a.ID == w.s.Addr.Unmap().String())
}

// shownURL is where a redirect goes, without what differs from look to look:
// query, path parameters and the host that stays.
func shownURL(u, from *url.URL) string {
	path, _, _ := strings.Cut(u.EscapedPath(), ";")
	if path == "" {
		path = "/"
	}
	if u.Host == from.Host && u.Scheme == from.Scheme {
		return Banner([]byte(path), 200)
	}
	return Banner([]byte(u.Scheme+"://"+u.Host+path), 200)
}

// headerKeys are keys of Recog for headers that it does not call by their names.
var headerKeys = map[string]string{"Www-Authenticate": "http_header.wwwauth", "Set-Cookie": "http_header.cookie"}

// headers identifies by the header of an answer.
func (v *visit) headers(p *page) {
	names := make([]string, 0, len(p.header))
	for name := range p.header {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { // the server itself first
		if (a == "Server") != (b == "Server") {
			return map[bool]int{true: -1, false: 1}[a == "Server"]
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		key, ok := headerKeys[name]
		if !ok {
			key = "http_header." + strings.ToLower(name)
		}
		for _, value := range p.header[name][:min(len(p.header[name]), 16)] {
			v.identify(key, value)
		}
	}
}

// page reads what the final page tells.
func (v *visit) page(p *page) {
	v.detail("status", strconv.Itoa(p.status))
	v.detail("server", Banner([]byte(p.header.Get("Server")), 200))
	v.headers(p)
	title := titleOf(p.body)
	v.detail("title", title)
	v.identify("html_title", title)
	for _, g := range generators(p.body) {
		v.identify("http_generator", g)
	}
	v.identify("http_body", string(p.body))
	if strings.HasPrefix(p.header.Get("Strict-Transport-Security"), "max-age=") {
		v.detail("hsts", "yes")
	}
}

// certificate identifies by the names in the server's certificate: appliances
// make their own. Whether it is valid is judged elsewhere.
func (v *visit) certificate() {
	if v.leaf == nil {
		return
	}
	v.identify("x509.subject", v.leaf.Subject.String())
	v.identify("x509.issuer", v.leaf.Issuer.String())
}

// controlPath is a path that no site has; an answer to it is one to any path.
// It is the same at every look, so that logs show who asks.
const controlPath = "/vedette-control-7b1f0c9e/"

var (
	listingTitle = regexp.MustCompile(`^(?:Index of|Directory listing for|Listing of|Directory:?) ?/|^\S+ - /$`)
	listingMark  = regexp.MustCompile(`(?is)<h1>\s*(?:Index of|Directory listing for|Directory:?|[^<>\s]+ -) ?/.*<a href="?[^">\s]+`)
)

// isListing says whether a page lists the files of a folder.
func isListing(p *page) bool {
	return p.status == http.StatusOK && listingTitle.MatchString(titleOf(p.body)) && listingMark.Match(p.body)
}

// listing says whether the front page lists a folder, and a path that does not
// exist does not give the same.
func (w *site) listing(ctx context.Context, front *page) (bool, error) {
	if !isListing(front) {
		return false, nil
	}
	control, err := w.get(ctx, controlPath)
	if err != nil {
		return false, err
	}
	return !isListing(control), nil
}
