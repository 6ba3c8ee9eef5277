package web

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/store"
)

func constituentPath(id string) string { return "/constituents/" + url.PathEscape(id) }
func assetPagePath(id string) string   { return "/assets/" + url.PathEscape(id) }

// assetList is what constituents expose, by name.
var assetList = &list[store.AssetRow]{
	act: "asset list", path: "/assets", title: "Assets", one: "asset",
	empty: "No asset is known yet. Assets come from surveys, from imported scans and inventories.",
	views: []savedView{{"All", ""}, {"Names", "kind=name"}, {"Addresses", "kind=address"}, {"Nobody's", "owner=nobody"}},
	filters: []filter{{key: "constituent", label: "constituent"}, {key: "q", label: "name or address has"},
		{key: "kind", label: "kind", values: []string{string(vedette.NameAsset), string(vedette.AddressAsset)}}, {key: "owner", label: "owner", values: []string{"nobody"}}},
	so: func(rows []store.AssetRow, q query, _ bool) string {
		if q.on("owner") {
			return "Seen, and no scope says whose they are: a person decides, by the scope of a constituent."
		}
		return "Names and addresses that were seen. An asset belongs to whom the longest matching scope names."
	},
	id: func(a store.AssetRow) string { return a.ID },
	columns: []column[store.AssetRow]{
		{key: "asset", head: "Asset", text: func(a store.AssetRow) string { return a.ID }, href: func(a store.AssetRow) string {
			if a.Shared {
				return ""
			}
			return assetPagePath(a.ID)
		}},
		{key: "kind", head: "Kind", text: func(a store.AssetRow) string { return string(a.Kind) }},
		{key: "owner", head: "Owner", text: func(a store.AssetRow) string { return a.Owner }, cell: func(a store.AssetRow, _ time.Time) templ.Component { return owner(a) }},
		{key: "places", head: "Seen there now", num: true, text: func(a store.AssetRow) string { return number(a.Places) }},
		{key: "findings", head: "Findings", num: true, text: func(a store.AssetRow) string { return number(a.Findings) }, href: func(a store.AssetRow) string { return "/findings?asset=" + url.QueryEscape(a.ID) }},
		{key: "first", head: "First seen", text: func(a store.AssetRow) string { return stamp(a.FirstSeen) }, cell: func(a store.AssetRow, _ time.Time) templ.Component { return when(a.FirstSeen) }},
	},
	rows: func(ctx context.Context, d face.Desk, q query) ([]store.AssetRow, string, error) {
		rows, err := d.Rows().Assets(ctx, store.AssetFilter{Constituent: q.get("constituent"), Text: q.get("q"), Kind: vedette.AssetKind(q.get("kind")), Nobodys: q.on("owner"), After: q.after, Limit: q.limit})
		if err != nil || len(rows) < q.limit || rows[q.limit-1].Shared {
			return rows, "", err
		}
		return rows, rows[q.limit-1].ID, nil
	},
}

// number is a count for a cell; none is empty.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// seenPlace is one place of an asset as the page shows it.
type seenPlace struct {
	vedette.Observation
	Seen, Closed time.Time
}

// assetView is the page of one asset.
type assetView struct {
	store.AssetView
	Now, Gone []seenPlace
	Findings  []vedette.Finding
	More      bool // findings that the page leaves out
	At        time.Time
	Here      string
	May       map[string]bool
}

// asset is what is and was seen on one asset.
func (p *Pages) asset(r *face.Request) error {
	a, err := r.Desk.Rows().Asset(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	v := assetView{AssetView: a, At: p.hub.Now(), Here: assetPagePath(a.ID), May: map[string]bool{"retest": face.Has(r.P, "finding retest"), "constituent": face.Has(r.P, "constituent show")}}
	for i, o := range a.Observations {
		s := seenPlace{o, a.Seen[i], a.Closed[i]}
		if s.Closed.IsZero() {
			v.Now = append(v.Now, s)
		} else {
			v.Gone = append(v.Gone, s)
		}
	}
	slices.SortStableFunc(v.Gone, func(a, b seenPlace) int { return b.Closed.Compare(a.Closed) })
	fs, next, err := r.Desk.Rows().Findings(r.Context(), store.FindingFilter{Asset: a.ID, Limit: pageRows})
	if err != nil {
		return err
	}
	v.Findings, v.More = fs, next != 0
	slices.SortStableFunc(v.Findings, func(a, b vedette.Finding) int {
		return cmp.Or(cmp.Compare(rankPresence(a.Presence), rankPresence(b.Presence)), cmp.Compare(a.Verdict.Rank(), b.Verdict.Rank()))
	})
	head := view{Title: a.ID, Sub: string(a.Kind), At: assetList.path, Crumbs: []crumb{{assetList.title, assetList.path}}, So: v.so(), Meta: assetMeta(v)}
	if a.Marking.TLP != vedette.TLPNone {
		head.Marking = a.Marking.String()
	}
	if a.Owner != "" {
		head.Crumbs = append(head.Crumbs, crumb{a.Owner, constituentPath(a.Owner)})
	}
	return p.page(r, head, assetPage(v))
}

func rankPresence(p vedette.Presence) int {
	return slices.Index([]vedette.Presence{vedette.Present, vedette.PresenceUndetermined, vedette.NotObserved, vedette.Fixed}, p)
}

// so says what stands there and what is wrong with it.
func (v assetView) so() string {
	text := "Nothing is seen there now. "
	if n := len(v.Now); n > 0 {
		text = title(count(n, "thing")) + " seen there now"
		if ports := v.ports(); len(ports) > 0 {
			text += ", on " + strings.Join(ports, ", ")
		}
		text += ". "
	}
	n := 0
	for _, f := range v.Findings {
		if f.Presence == vedette.Present || f.Presence == vedette.PresenceUndetermined {
			n++
		}
	}
	if n == 0 {
		return text + "No weakness of it is known to be there."
	}
	return text + title(count(n, "weakness")) + " may be there now."
}

// ports are those where something stands now, the first few.
func (v assetView) ports() (out []string) {
	for _, o := range v.Now {
		if p := portText(o.Port, o.Proto); p != "" && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	if len(out) > 6 {
		out = append(out[:6], fmt.Sprintf("%d more", len(out)-6))
	}
	return out
}

// looked is the newest look that saw something there.
func (v assetView) looked() (t time.Time) {
	for _, s := range v.Seen {
		if s.After(t) {
			t = s
		}
	}
	return t
}

// present are the ids of findings that a retest can look at.
func (v assetView) present() (out []string) {
	for _, f := range v.Findings {
		if f.Presence != vedette.Fixed {
			out = append(out, f.ID)
		}
	}
	return out
}

// portText is a port with its protocol, "" for the asset itself.
func portText(port int, proto string) string {
	if port == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%s", port, cmp.Or(proto, "tcp"))
}

// factText is what a look saw, in one line.
func factText(f *vedette.Fact) string {
	if f == nil {
		return ""
	}
	var parts []string
	for _, s := range f.Software {
		parts = append(parts, software(s))
	}
	for _, x := range f.Reports {
		parts = append(parts, x.Weakness)
	}
	if len(parts) == 0 {
		parts = append(parts, cmp.Or(f.Address, f.Details["title"], f.Service, clipWords(f.Banner, 60), "open"))
	}
	text := strings.Join(parts, ", ")
	if f.Service != "" && len(f.Software) > 0 {
		text = f.Service + ", " + text
	}
	return text
}

// clipWords cuts a text that is too long for a line.
func clipWords(s string, most int) string {
	r := []rune(strings.Join(strings.Fields(s), " "))
	if len(r) > most {
		return string(r[:most]) + "…"
	}
	return string(r)
}

// proof is the evidence of a look: what it saw, name by name.
func proof(f *vedette.Fact) (out [][2]string) {
	add := func(k, v string) {
		if v != "" {
			out = append(out, [2]string{k, v})
		}
	}
	add("service", f.Service)
	if f.TLS {
		add("TLS", "yes")
	}
	add("address", f.Address)
	for _, s := range f.Software {
		add("software", software(s))
		add("CPE", s.CPE)
	}
	for _, x := range f.Reports {
		add(x.Weakness, strings.TrimSpace(string(x.Verdict)+". "+x.Note))
	}
	keys := make([]string, 0, len(f.Details))
	for k := range f.Details {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		add(strings.ReplaceAll(k, "_", " "), f.Details[k])
	}
	return out
}
