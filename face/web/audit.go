package web

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/policy"
	"github.com/vedette-hub/vedette/store"
)

// auditRoutes are the pages of the record.
func (p *Pages) auditRoutes() []face.Route {
	return append(eventList.routes(p), face.Route{Method: http.MethodGet, Path: "/audit/verify", Act: "audit verify", Serve: p.verifyAudit})
}

// eventList is who did what to what, when and why.
var eventList = &list[vedette.Event]{
	act: "audit list", path: "/audit", title: "Events", one: "event",
	empty: "No event yet. Everything that somebody changes, signs in to or sends is written here, in the transaction of the change.",
	filters: []filter{{key: "subject", label: "subject"}, {key: "principal", label: "by"}, {key: "verb", label: "what was done"},
		{key: "constituent", label: "constituent"}},
	id: func(e vedette.Event) string { return strconv.FormatInt(e.ID, 10) },
	class: func(e vedette.Event, _ time.Time) string {
		if e.Verb == "sign in failed" {
			return "failed"
		}
		return ""
	},
	columns: []column[vedette.Event]{
		{key: "verb", head: "What", text: func(e vedette.Event) string { return title(e.Verb) }, sub: func(e vedette.Event) string { return "event " + strconv.FormatInt(e.ID, 10) }},
		{key: "subject", head: "To what", text: func(e vedette.Event) string { return e.Subject }, cell: func(e vedette.Event, _ time.Time) templ.Component { return eventSubject(e) }},
		{key: "principal", head: "By", text: who, href: func(e vedette.Event) string { return "/audit?principal=" + url.QueryEscape(e.Principal) }},
		{key: "at", head: "At", text: func(e vedette.Event) string { return e.At.UTC().Format(time.RFC3339Nano) }, cell: func(e vedette.Event, _ time.Time) templ.Component { return exact(e.At) }},
		{key: "constituent", head: "Constituent", text: func(e vedette.Event) string { return e.Constituent }, href: func(e vedette.Event) string { return "/constituents/" + url.PathEscape(e.Constituent) }},
		{key: "reason", head: "Reason", full: true, text: func(e vedette.Event) string { return e.Reason }},
		{key: "detail", head: "Detail", full: true, text: eventDetail},
		{key: "hash", head: "Sealed", text: func(e vedette.Event) string { return e.Hash }, cell: func(e vedette.Event, _ time.Time) templ.Component { return sealed(e.Hash) }},
	},
	rows: func(ctx context.Context, d face.Desk, q query) (es []vedette.Event, next string, err error) {
		f := store.EventFilter{Principal: q.get("principal"), Verb: strings.ToLower(q.get("verb")), Subject: q.get("subject"), Constituent: q.get("constituent"), Limit: q.limit + 1}
		if f.Below, err = below(q.after); err != nil {
			return nil, "", err
		}
		if es, err = d.Rows().Events(ctx, f); err == nil && len(es) > q.limit {
			es = es[:q.limit]
			next = strconv.FormatInt(es[q.limit-1].ID, 10)
		}
		return es, next, err
	},
	so: func(es []vedette.Event, q query, _ bool) string {
		if len(es) == 0 || q.after != "" {
			return ""
		}
		return fmt.Sprintf("The last: %s of %s by %s, %s.", es[0].Verb, es[0].Subject, who(es[0]), es[0].At.UTC().Format("2 Jan 15:04:05Z"))
	},
	actions: func(r *face.Request) templ.Component {
		if policy.May(r.P, "audit verify") {
			return buttonLink("/audit/verify", "Verify the chain")
		}
		return nil
	},
	above: func(r *face.Request) (templ.Component, error) {
		if policy.AllAudit(r.P) {
			return nil, nil
		}
		return subline("These are your own acts. The record of all is for the lead and the auditor."), nil
	},
}

// who is the principal of an event, with the token when one was used.
func who(e vedette.Event) string {
	if e.Token == "" || "token:"+e.Token == e.Principal {
		return e.Principal
	}
	return e.Principal + " by token " + e.Token
}

// eventDetail says what counts: neither zeros nor the hash of the document.
func eventDetail(e vedette.Event) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(e.Detail)) {
		if v := e.Detail[k]; v != "" && v != "0" && k != "document" {
			parts = append(parts, k+" "+v)
		}
	}
	return strings.Join(parts, ", ")
}

// subjects are the pages of what events are about, by how its name looks.
var subjects = []struct {
	form *regexp.Regexp
	path string
}{
	{regexp.MustCompile(`^(?:survey:)?(S-[0-9a-f]{10})(?:/[0-9]+)?$`), "/surveys/"},
	{regexp.MustCompile(`^(C-[0-9a-f]{12})$`), "/cases/"},
	{regexp.MustCompile(`^(F-[0-9a-f]{16})$`), "/findings/"},
	{regexp.MustCompile(`^(P-[0-9a-f]{10})$`), "/publications/"},
	{regexp.MustCompile(`^(CVE-[0-9]{4}-[0-9]{4,19})$`), "/cves/"},
}

// subjectHref is the page of what an event is about, "" when it has none.
func subjectHref(e vedette.Event) string {
	for _, s := range subjects {
		if m := s.form.FindStringSubmatch(e.Subject); m != nil {
			return s.path + url.PathEscape(m[1])
		}
	}
	return ""
}

// verifyAudit recomputes the chain of the record.
func (p *Pages) verifyAudit(r *face.Request) error {
	n, fault, err := r.Desk.Rows().VerifyAudit(r.Context())
	if err != nil {
		return err
	}
	v := view{Title: "The chain of events", At: "/audit", Crumbs: []crumb{{"Events", "/audit"}}, So: "It holds: no sealed event was changed, taken out or put in."}
	if fault != nil {
		v.So = "It breaks: somebody changed the record outside of the hub, or a disk did."
	}
	return p.page(r, v, chain(n, fault))
}
