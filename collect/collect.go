package collect

import (
	"context"
	"errors"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/feed"
	"github.com/vedette-hub/vedette/read"
	"github.com/vedette-hub/vedette/safe"
)

// Collector fetches feeds and takes in what is new.
type Collector struct {
	Fetchers map[string]feed.Fetcher // by vedette.Feed.Fetch
	Desk     Desk
	// Keep keeps the health of a feed.
	Keep     func(context.Context, vedette.Feed) error
	Now      func() time.Time
	Progress func(format string, a ...any) // nil is silence

	Afresh bool // ask whatever is known already
	Shrink bool // let a full list leave out more than it should
}

// Run fetches a feed once, takes in what is new and keeps how it went. Faults
// of the feed are its health, which is returned with it; an error is of the
// store, or the end of ctx, and then nothing is kept: the next run does it all
// again, and what was taken in already is known by its hash.
func (c *Collector) Run(ctx context.Context, f vedette.Feed) (vedette.Feed, []Result, error) {
	got, err := c.fetch(ctx, f)
	if ctx.Err() != nil {
		return f, got.results, ctx.Err()
	}
	now := c.Now()
	f.Health = after(f, got, err, now)
	return f, got.results, c.Keep(ctx, f)
}

// fetched is what one fetch brought.
type fetched struct {
	marks    feed.Marks
	asked    feed.Marks // what the server was told
	document string
	bytes    int64
	results  []Result
}

// refused is why nothing of what came was taken, "" when something was.
func (g fetched) refused() string {
	for _, r := range g.results {
		if !r.Nothing() {
			return ""
		}
	}
	for _, r := range g.results {
		return r.Refused[0].Why
	}
	return ""
}

func (c *Collector) fetch(ctx context.Context, f vedette.Feed) (fetched, error) {
	var got fetched
	fetcher := c.Fetchers[f.Fetch]
	if fetcher == nil {
		return got, vedette.Invalid("nobody fetches by %s", safe.Label(f.Fetch))
	}
	if !c.Afresh && !stale(f, c.Now()) {
		got.asked = feed.Marks{ETag: f.Health.ETag, Modified: f.Health.Modified}
	}
	order := Order{Desk: c.Desk, Format: f.Format, Sure: true, Source: sourceOf(f), Marking: f.Marking, Shrink: c.Shrink, Now: c.Now, Progress: c.Progress}
	var err error
	got.marks, err = fetcher.Fetch(ctx, f, got.asked, func(d feed.Document) error {
		doc, err := Spool(d.Body)
		if err != nil {
			return err
		}
		defer doc.Close()
		got.document, got.bytes = doc.Hash, got.bytes+doc.Size
		if doc.Hash == f.Health.Document && !c.Afresh && !c.Shrink {
			return nil
		}
		return order.each(ctx, d.Name, func(r Result) { got.results = append(got.results, r) }, func(visit func(safe.Member) error) error {
			return doc.members(d.Name, visit)
		})
	})
	if why := got.refused(); err == nil && why != "" {
		err = vedette.Invalid("%s", why)
	}
	return got, err
}

// A server that says "not modified" for ever, whatever changes, is believed for
// a day; for a week where a download is large.
const (
	believed      = 24 * time.Hour
	believedLarge = 7 * 24 * time.Hour
	large         = 16 << 20
)

func stale(f vedette.Feed, now time.Time) bool {
	most := believed
	if f.Health.Bytes > large {
		most = believedLarge
	}
	return now.Sub(f.Health.Whole) > most
}

// sourceOf is who says what a feed brings; a source that is known already stays as it is.
func sourceOf(f vedette.Feed) func(read.Format) vedette.Source {
	return func(format read.Format) vedette.Source {
		return vedette.Source{Name: f.Source, About: f.About, Licence: f.Licence, Redistribute: f.Redistribute, Marking: f.Marking,
			Reliability: f.Reliability, Purpose: format.Source.Purpose, Full: format.Source.Full}
	}
}

// after is the health after a fetch.
func after(f vedette.Feed, got fetched, err error, now time.Time) vedette.FeedHealth {
	h := f.Health
	h.Tried = now
	if err != nil {
		h.Failed, h.Failure = now, words(err)
		h.Failures++
		h.Next = now.Add(jitter(f.Name, now, pause(f.Every, h.Failures)))
		if l, ok := errors.AsType[*feed.Later](err); ok && l.Until.After(h.Next) {
			h.Next = l.Until.Add(jitter(f.Name, now, 0))
		}
		return h
	}
	h.Succeeded, h.Failures, h.Next = now, 0, now.Add(jitter(f.Name, now, f.Every))
	h.ETag, h.Modified = got.marks.ETag, got.marks.Modified
	if got.document != "" {
		h.Document, h.Bytes, h.Whole = got.document, got.bytes, now
	}
	if len(got.results) > 0 {
		h.Records, h.Refused = 0, 0
	}
	for _, r := range got.results {
		h.Records += r.Read
		h.Refused += max(r.lost, len(r.Refused))
		if !r.Known && r.New+r.Changed+r.Closed > 0 {
			h.Changed = now
		}
	}
	return h
}

// words are the reason of a failure in a line.
func words(err error) string { return safe.Label(err.Error()) }

// The circuit breaker: from this many failures in a row on a feed rests for
// hours. A success closes it.
const (
	breakAfter = 8
	firstRest  = time.Hour
	longest    = 6 * time.Hour
)

// pause is how long a feed rests after n failures in a row: soon at first, then
// twice as long each time.
func pause(every time.Duration, n int) time.Duration {
	rest := min(every, time.Minute) << min(n-1, breakAfter)
	if n >= breakAfter {
		rest = max(rest, firstRest<<min(n-breakAfter, 4))
	}
	return min(rest, longest)
}

// jitter adds up to a tenth, at most five minutes, so that hubs do not all come
// at once. It is the same for the same feed and time.
func jitter(name string, now time.Time, d time.Duration) time.Duration {
	most := max(time.Second, min(d/10, 5*time.Minute))
	h := fnv.New64a()
	h.Write([]byte(name + strconv.FormatInt(now.UnixMicro(), 10)))
	return d + time.Duration(h.Sum64()%uint64(most))
}
