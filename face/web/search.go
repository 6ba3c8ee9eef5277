package web

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/policy"
	"github.com/vedette-hub/vedette/store"
)

// How much of each kind an answer shows.
const (
	foundObjects = 30
	foundFew     = 8
	longestAsked = 300
)

// answer is what a question found, as far as who asks may know.
type answer struct {
	Asked        string
	Asset        string // the name or address that was asked about
	Owner        string // whose scope names it, "" when none does
	Users        []string
	Objects      []store.ObjectRow
	Constituents []vedette.Constituent
	Assets       []store.AssetRow
	More         bool // assets that the page leaves out
	May          map[string]bool
}

// search is the one box: what is known goes to its page at once, words find
// what is alike.
func (p *Pages) search(r *face.Request) error {
	asked := strings.TrimSpace(r.URL.Query().Get("q"))
	if rs := []rune(asked); len(rs) > longestAsked {
		asked = string(rs[:longestAsked])
	}
	a := &answer{Asked: asked, May: map[string]bool{}}
	for what, act := range map[string]policy.Act{"assets": "asset show", "cves": "cve show", "constituents": "constituent show"} {
		a.May[what] = face.Has(r.P, act)
	}
	v := view{Title: "Search", Asked: asked, So: "A CVE, an address, a name, a number, or words: one box for all."}
	if asked != "" {
		to, err := a.exactly(r)
		if err != nil {
			return err
		}
		if to != "" {
			return r.Go(to)
		}
		if err := a.alike(r.Context(), r.Desk); err != nil {
			return err
		}
		v.Sub, v.So = "for "+clipWords(asked, 80), a.so()
	}
	return p.page(r, v, searchPage(a))
}

// numbers are those of cases, findings, publications and surveys.
var numbers = regexp.MustCompile(`^(?i:(C-[0-9a-f]{12})|(F-[0-9a-f]{16})|(P-[0-9a-f]{10}|[A-Z]{1,8}-[0-9]{4}-[0-9]{3,6})|(S-[0-9a-f]{10}))$`)

// exactly is the page of the one thing that was asked for by its name, ""
// when there is none that the reader may know.
func (a *answer) exactly(r *face.Request) (string, error) {
	ctx, sc := r.Context(), r.Desk.Rows()
	known := func(to string, err error) (string, error) {
		if errors.Is(err, vedette.ErrNotFound) || errors.Is(err, vedette.ErrInvalid) {
			return "", nil
		}
		return to, err
	}
	if cve, err := vedette.ParseCVE(a.Asked); err == nil && a.May["cves"] {
		_, _, err := sc.Statements(ctx, cve)
		return known(cvePath(cve), err)
	}
	if m := numbers.FindStringSubmatch(a.Asked); m != nil {
		upper, lower := strings.ToUpper(a.Asked[:1]), strings.ToLower(a.Asked[1:])
		switch id := upper + lower; {
		case m[1] != "" && face.Has(r.P, "case show"):
			_, err := sc.Case(ctx, id)
			return known(casePath(id), err)
		case m[2] != "" && face.Has(r.P, "finding show"):
			_, err := sc.Finding(ctx, id)
			return known(findingPath(id), err)
		case m[3] != "" && face.Has(r.P, "publication show"):
			if !strings.HasPrefix(id, "P-") {
				id = strings.ToUpper(a.Asked)
			}
			x, err := sc.Publication(ctx, id)
			return known(publicationPath(x.ID), err)
		case m[4] != "" && face.Has(r.P, "survey show"):
			_, err := sc.Survey(ctx, id)
			return known("/surveys/"+url.PathEscape(id), err)
		}
		return "", nil
	}
	host := hostAsked(a.Asked)
	if host == "" || !a.May["assets"] {
		return "", nil
	}
	x, err := sc.Asset(ctx, host)
	if to, err := known(assetPagePath(x.ID), err); to != "" || err != nil {
		return to, err
	}
	a.Asset = host
	a.Owner, a.Users, err = r.Desk.Whose(ctx, host)
	return "", err
}

// hostAsked is the name or address in what people paste: defanged, with a port,
// as a URL. A single word is no name.
func hostAsked(s string) string {
	s = strings.NewReplacer("[.]", ".", "(.)", ".", "[:]", ":").Replace(s)
	if scheme, rest, ok := strings.Cut(s, "://"); ok && len(scheme) < 10 {
		s, _, _ = strings.Cut(rest, "/")
		s, _, _ = strings.Cut(s, "?")
		s = s[strings.LastIndexByte(s, '@')+1:]
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		s = ap.Addr().String()
	} else if name, port, ok := strings.Cut(s, ":"); ok && strings.Trim(port, "0123456789") == "" && strings.Contains(name, ".") {
		s = name
	}
	x, err := vedette.ParseAsset(strings.Trim(s, "[]"))
	if err != nil || x.Kind == vedette.NameAsset && !strings.Contains(x.ID, ".") {
		return ""
	}
	return x.ID
}

// alike finds what has the words.
func (a *answer) alike(ctx context.Context, d face.Desk) (err error) {
	sc := d.Rows()
	if a.Objects, err = sc.Search(ctx, a.Asked, foundObjects); err != nil {
		return err
	}
	if a.May["constituents"] {
		cs, err := sc.Constituents(ctx)
		if err != nil {
			return err
		}
		for _, c := range cs {
			if has(c.Name+" "+c.ID, a.Asked) && len(a.Constituents) < foundFew {
				a.Constituents = append(a.Constituents, c)
			}
		}
	}
	if text := strings.ToLower(a.Asked); a.May["assets"] && !strings.ContainsAny(text, " \t") {
		if a.Asset != "" {
			text = a.Asset
		}
		if a.Assets, err = sc.Assets(ctx, store.AssetFilter{Text: text, Limit: foundFew + 1}); err != nil {
			return err
		}
		if a.More = len(a.Assets) > foundFew; a.More {
			a.Assets = a.Assets[:foundFew]
		}
	}
	return nil
}

// so answers the question in a sentence.
func (a *answer) so() string {
	n := len(a.Objects) + len(a.Constituents) + len(a.Assets)
	switch {
	case a.Asset != "" && a.Owner != "":
		return a.Asset + " is not known: nothing was ever seen there. It lies in the scope of " + a.Owner + "."
	case a.Asset != "":
		return a.Asset + " is not known, and it lies in nobody's scope that you may see."
	case n == 0:
		return "Nothing that you may see is called so or has these words."
	}
	return "Found " + verbed(n, "thing", "things") + " that you may see."
}

// objectPath is the page of an object, "" when it has none.
func (a *answer) objectPath(o store.ObjectRow) string {
	if o.Type == vedette.TypeVulnerability && a.May["cves"] {
		return cvePath(o.ID)
	}
	return ""
}
