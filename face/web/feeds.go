package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
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

// feedRoutes are the pages of what is fetched by itself.
func (p *Pages) feedRoutes() []face.Route {
	return append(feedList(p).routes(p), face.Route{Method: http.MethodGet, Path: "/feeds/{name}", Act: "feed show", Serve: p.feed})
}

var feedStates = []string{"broken", "late", "waiting", "fresh", "off"}

// feedList is where knowledge comes from, what is in trouble first.
func feedList(p *Pages) *list[vedette.Feed] {
	name := func(f vedette.Feed) string { return f.Name }
	return &list[vedette.Feed]{
		act: "feed list", path: "/feeds", title: "Feeds", one: "feed",
		empty: "No feed. Add some with a file: vedette feed apply FILE.",
		views: []savedView{{"All", ""}, {"Broken", "state=broken"}, {"Late", "state=late"}, {"Fresh", "state=fresh"}, {"Off", "state=off"}},
		filters: []filter{{key: "q", label: "name or source"}, {key: "format", label: "format"},
			{key: "state", label: "state", values: feedStates}},
		id: name,
		class: func(f vedette.Feed, now time.Time) string {
			return map[vedette.FeedState]string{vedette.FeedBroken: "failed", vedette.FeedOff: "closed"}[f.State(now)]
		},
		columns: []column[vedette.Feed]{
			{key: "name", head: "Feed", text: name, sub: func(f vedette.Feed) string { return f.Source + ", " + f.Format }, href: func(f vedette.Feed) string { return "/feeds/" + url.PathEscape(f.Name) }},
			{key: "state", head: "State", text: func(f vedette.Feed) string { return string(f.State(p.hub.Now())) }, cell: func(f vedette.Feed, now time.Time) templ.Component { return feedState(f.State(now)) }},
			{key: "success", head: "Last success", text: func(f vedette.Feed) string { return stamp(f.Health.Succeeded) }, cell: func(f vedette.Feed, _ time.Time) templ.Component { return used(f.Health.Succeeded) }},
			{key: "records", head: "Records", num: true, text: func(f vedette.Feed) string { return strconv.Itoa(f.Health.Records) }},
			{key: "next", head: "Next", text: func(f vedette.Feed) string { return stamp(f.Health.Next) }, cell: func(f vedette.Feed, now time.Time) templ.Component { return feedNext(f, now) }},
			{key: "every", head: "Every", text: func(f vedette.Feed) string { return every(f.Every) }},
			{key: "marking", head: "Marking", text: func(f vedette.Feed) string { return f.Marking.String() }, cell: func(f vedette.Feed, _ time.Time) templ.Component { return feedMarking(f) }},
			{key: "failure", head: "Last failure", full: true, text: feedTrouble},
			{key: "reliability", head: "Reliability", hidden: true, text: func(f vedette.Feed) string { return f.Reliability }},
			{key: "licence", head: "Licence", hidden: true, text: func(f vedette.Feed) string { return f.Licence }},
		},
		rows: func(ctx context.Context, d face.Desk, q query) ([]vedette.Feed, string, error) {
			fs, err := d.Rows().Feeds(ctx)
			now := p.hub.Now()
			fs = slices.DeleteFunc(fs, func(f vedette.Feed) bool {
				return !strings.Contains(f.Name+" "+f.Source, strings.ToLower(q.get("q"))) || q.get("format") != "" && f.Format != q.get("format") || q.get("state") != "" && string(f.State(now)) != q.get("state")
			})
			place := func(f vedette.Feed) int { return slices.Index(feedStates, string(f.State(now))) }
			slices.SortStableFunc(fs, func(a, b vedette.Feed) int { return place(a) - place(b) })
			rows, next := cut(fs, name, q)
			return rows, next, err
		},
		so: func(fs []vedette.Feed, q query, more bool) string {
			if len(q.values) > 0 || q.after != "" || more {
				return ""
			}
			n := map[vedette.FeedState]int{}
			for _, f := range fs {
				n[f.State(p.hub.Now())]++
			}
			on := len(fs) - n[vedette.FeedOff]
			switch {
			case on == 0:
				return "No feed is on: nothing is fetched until somebody enables one."
			case n[vedette.FeedBroken]+n[vedette.FeedLate] > 0:
				return fmt.Sprintf("%d of %d feeds that are on need somebody: %d broken, %d late.", n[vedette.FeedBroken]+n[vedette.FeedLate], on, n[vedette.FeedBroken], n[vedette.FeedLate])
			}
			return fmt.Sprintf("All %d feeds that are on arrive in time.", on)
		},
		live: func(fs []vedette.Feed) bool {
			return slices.ContainsFunc(fs, func(f vedette.Feed) bool { return fetching(f, p.hub.Now()) })
		},
		bulk: []bulk{
			{key: "run", text: "Fetch now", hot: "v", act: "feed run", do: onFeeds("asked for: fetched within seconds, when nothing else of the same host is", (*store.Scoped).AskFeed)},
			{key: "enable", text: "Enable", hot: "e", act: "feed enable", do: onFeeds("on", func(sc *store.Scoped, ctx context.Context, name string) error { return sc.EnableFeed(ctx, name, true) })},
			{key: "disable", text: "Disable", act: "feed disable", do: onFeeds("off; what was brought stays", func(sc *store.Scoped, ctx context.Context, name string) error { return sc.EnableFeed(ctx, name, false) })},
		},
	}
}

// fetching says whether a feed is due: then it is fetched, or about to be.
func fetching(f vedette.Feed, now time.Time) bool { return f.Enabled && !f.Health.Next.After(now) }

// feedTrouble is the last failure while it goes on.
func feedTrouble(f vedette.Feed) string {
	if f.Health.Failures == 0 {
		return ""
	}
	return fmt.Sprintf("%s (%d in a row)", f.Health.Failure, f.Health.Failures)
}

// onFeeds does one act on each of the chosen feeds.
func onFeeds(what string, do func(*store.Scoped, context.Context, string) error) func(context.Context, face.Desk, []string, url.Values) (string, int64, error) {
	return func(ctx context.Context, d face.Desk, ids []string, form url.Values) (string, int64, error) {
		done, not := 0, []string(nil)
		for _, id := range ids {
			if err := do(d.Rows(), ctx, id); err != nil {
				not = append(not, id+": "+err.Error())
				continue
			}
			done++
		}
		told := fmt.Sprintf("%s %s.", title(count(done, "feed")), what)
		if len(not) > 0 {
			told += fmt.Sprintf(" %d not: %s", len(not), not[0])
		}
		return told, 0, d.Drain(ctx)
	}
}

// feedView is one feed as its page shows it.
type feedView struct {
	vedette.Feed
	State                vedette.FeedState
	Events               []vedette.Event
	MayRun, MayOn, MayAs bool
	Now                  time.Time
}

// feed is the page of one feed.
func (p *Pages) feed(r *face.Request) error {
	fs, err := r.Desk.Rows().Feeds(r.Context())
	if err != nil {
		return err
	}
	i := slices.IndexFunc(fs, func(f vedette.Feed) bool { return f.Name == r.PathValue("name") })
	if i < 0 {
		return vedette.NotFound("feed %s", r.PathValue("name"))
	}
	x := feedView{Feed: fs[i], State: fs[i].State(p.hub.Now()), Now: p.hub.Now(), MayRun: policy.May(r.P, "feed run"), MayOn: policy.May(r.P, "feed enable"), MayAs: policy.AllAudit(r.P)}
	if x.MayAs {
		if x.Events, err = r.Desk.Rows().Events(r.Context(), store.EventFilter{Subject: x.Name, Limit: 10}); err != nil {
			return err
		}
	}
	return p.page(r, view{Title: x.Name, Sub: string(x.State), At: "/feeds", Crumbs: []crumb{{"Feeds", "/feeds"}}, So: x.so(), Actions: feedActions(x), Live: fetching(x.Feed, x.Now)}, feedPage(x))
}

func (x feedView) so() string {
	switch {
	case x.State == vedette.FeedOff && x.Marking.TLP == vedette.TLPNone:
		return "Off, and without a marking: it cannot be enabled until the file of feeds gives it one."
	case x.State == vedette.FeedOff:
		return "Off: nothing is fetched. What it brought stays."
	case fetching(x.Feed, x.Now):
		return "Being fetched, or about to be."
	case x.Health.Failures > 0:
		return fmt.Sprintf("Failed %s in a row; tried again %s. What it brought before stays.", times(x.Health.Failures), stamp(x.Health.Next))
	}
	return fmt.Sprintf("Arrived %s. Fetched again %s.", stamp(x.Health.Succeeded), stamp(x.Health.Next))
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return count(n, "time")
}
