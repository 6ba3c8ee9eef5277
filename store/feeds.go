package store

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/policy"
)

// Feeds are all feeds by name, those that are shipped included, each with its health.
func (sc *Scoped) Feeds(ctx context.Context) ([]vedette.Feed, error) {
	if err := sc.may("feed list"); err != nil {
		return nil, err
	}
	return feeds(sc.reader(ctx), sc.s.opt.Feeds, "f.name <> ''")
}

func feeds(q querier, shipped []vedette.Feed, where string, args ...any) ([]vedette.Feed, error) {
	var out []vedette.Feed
	kept := map[string]bool{}
	err := q.each(`select f.body, f.enabled, coalesce(h.next_at, 0), coalesce(h.tried_at, 0), coalesce(h.succeeded_at, 0), coalesce(h.changed_at, 0), coalesce(h.whole_at, 0), coalesce(h.failed_at, 0),
		coalesce(h.failure, ''), coalesce(h.failures, 0), coalesce(h.bytes, 0), coalesce(h.records, 0), coalesce(h.refused, 0), coalesce(h.document, ''), coalesce(h.etag, ''), coalesce(h.modified, '')
		from feeds f left join fetches h on h.name = f.name where `+where+" order by f.name", args, func(scan func(...any) error) error {
		var body string
		var enabled, next, tried, succeeded, changed, whole, failed int64
		var h vedette.FeedHealth
		if err := scan(&body, &enabled, &next, &tried, &succeeded, &changed, &whole, &failed, &h.Failure, &h.Failures, &h.Bytes, &h.Records, &h.Refused, &h.Document, &h.ETag, &h.Modified); err != nil {
			return err
		}
		var f vedette.Feed
		if err := json.Unmarshal([]byte(body), &f); err != nil {
			return err
		}
		h.Next, h.Tried, h.Succeeded, h.Changed, h.Whole, h.Failed = at(next), at(tried), at(succeeded), at(changed), at(whole), at(failed)
		f.Enabled, f.Health = enabled == 1, h
		kept[f.Name] = true
		out = append(out, f)
		return nil
	})
	for _, f := range shipped {
		if !kept[f.Name] {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b vedette.Feed) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

// feedBody is what is configured, without what changes by itself.
func feedBody(f vedette.Feed) (string, error) {
	f.Enabled, f.Health = false, vedette.FeedHealth{}
	b, err := json.Marshal(f)
	return string(b), err
}

// ApplyFeeds keeps feeds as they are given, and forgets those that are removed;
// what they brought stays. A feed that is fetched from elsewhere now begins anew.
func (sc *Scoped) ApplyFeeds(ctx context.Context, changed []vedette.Feed, removed []string) error {
	if err := sc.may("feed apply"); err != nil {
		return err
	}
	return sc.s.update(ctx, func(t *tx) error {
		for _, f := range changed {
			if err := t.setFeed(f); err != nil {
				return err
			}
			if err := t.event(sc.did("feed apply", f.Name, feedDetail(f))); err != nil {
				return err
			}
		}
		for _, name := range removed {
			n, err := t.exec("delete from feeds where name = ?", name)
			if err == nil && n == 0 {
				err = vedette.NotFound("feed %s", name)
			}
			if err != nil {
				return err
			}
			if _, err := t.exec("delete from fetches where name = ?", name); err != nil {
				return err
			}
			if err := t.event(sc.did("feed apply", name, map[string]string{"removed": "yes"})); err != nil {
				return err
			}
		}
		return nil
	})
}

// feedDetail is what the record says of a feed: where it comes from, who says
// it and under which marking.
func feedDetail(f vedette.Feed) map[string]string {
	return map[string]string{"from": f.URL + f.Path, "source": f.Source, "format": f.Format, "marking": f.Marking.String(), "every": f.Every.String(), "enabled": map[bool]string{true: "yes", false: "no"}[f.Enabled]}
}

func (t *tx) setFeed(f vedette.Feed) error {
	if f.Enabled && f.Marking.TLP == vedette.TLPNone {
		return vedette.Refused("the feed %s has no marking: what it brings would have none", f.Name)
	}
	body, err := feedBody(f)
	if err != nil {
		return err
	}
	var was string
	known, err := one(t, "select body from feeds where name = ?", []any{f.Name}, &was)
	if err != nil {
		return err
	}
	if known && was != body {
		// what the old place said of changes is nothing to the new one
		if _, err := t.exec("update fetches set next_at = 0, failures = 0, document = '', etag = '', modified = '' where name = ?", f.Name); err != nil {
			return err
		}
	}
	_, err = t.exec("insert into feeds(name, body, enabled) values (?,?,?) on conflict (name) do update set body = excluded.body, enabled = excluded.enabled", f.Name, body, boolInt(f.Enabled))
	return err
}

// EnableFeed lets a feed be fetched from now on, or no longer. Enabling begins
// with a try at once, whatever failed before.
func (sc *Scoped) EnableFeed(ctx context.Context, name string, on bool) error {
	verb := policy.Act("feed enable")
	if !on {
		verb = "feed disable"
	}
	if err := sc.may(verb); err != nil {
		return err
	}
	return sc.s.update(ctx, func(t *tx) error {
		fs, err := feeds(t, sc.s.opt.Feeds, "f.name = ?", name)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(fs, func(f vedette.Feed) bool { return f.Name == name })
		if i < 0 {
			return vedette.NotFound("feed %s", name)
		}
		f := fs[i]
		if f.Enabled == on {
			return nil
		}
		f.Enabled = on
		if err := t.setFeed(f); err != nil {
			return err
		}
		if _, err := t.exec("update fetches set next_at = 0, failures = 0 where name = ?", name); err != nil {
			return err
		}
		return t.event(sc.did(string(verb), name, feedDetail(f)))
	})
}

// AskFeed makes a feed that is on due at once: whoever fetches takes it next.
func (sc *Scoped) AskFeed(ctx context.Context, name string) error {
	if err := sc.may("feed run"); err != nil {
		return err
	}
	return sc.s.update(ctx, func(t *tx) error {
		fs, err := feeds(t, sc.s.opt.Feeds, "f.name = ?", name)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(fs, func(f vedette.Feed) bool { return f.Name == name })
		if i < 0 {
			return vedette.NotFound("feed %s", name)
		}
		if !fs[i].Enabled {
			return vedette.Refused("the feed %s is off: enable it", name)
		}
		if _, err := t.exec("update fetches set next_at = 0 where name = ?", name); err != nil {
			return err
		}
		return t.event(sc.did("feed run", name, nil))
	})
}

// DueFeeds are the feeds that are to be fetched now.
func (y *System) DueFeeds(ctx context.Context, now time.Time) ([]vedette.Feed, error) {
	return feeds(reader{y.s, ctx}, nil, "f.enabled = 1 and coalesce(h.next_at, 0) <= ?", us(now))
}

// KeepFetch keeps how a fetch went, unless the feed was changed or removed
// meanwhile: then it says nothing of the feed as it is now.
func (y *System) KeepFetch(ctx context.Context, f vedette.Feed) error {
	body, err := feedBody(f)
	if err != nil {
		return err
	}
	return y.s.update(ctx, func(t *tx) error {
		var is string
		if known, err := one(t, "select body from feeds where name = ?", []any{f.Name}, &is); err != nil || !known || is != body {
			return err
		}
		h := f.Health
		if _, err := t.exec("delete from fetches where name = ?", f.Name); err != nil {
			return err
		}
		_, err := t.exec("insert into fetches(name, next_at, tried_at, succeeded_at, changed_at, whole_at, failed_at, failure, failures, bytes, records, refused, document, etag, modified) values (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
			f.Name, us(h.Next), us(h.Tried), us(h.Succeeded), us(h.Changed), us(h.Whole), us(h.Failed), h.Failure, h.Failures, h.Bytes, h.Records, h.Refused, h.Document, h.ETag, h.Modified)
		return err
	})
}
