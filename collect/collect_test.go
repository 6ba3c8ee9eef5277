package collect

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/feed"
	"github.com/vedette-hub/vedette/read"
)

var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// script is a fetcher that does what a test tells.
type script struct {
	asked []feed.Marks
	do    func(keep func(feed.Document) error) (feed.Marks, error)
}

func (s *script) Fetch(_ context.Context, _ vedette.Feed, since feed.Marks, keep func(feed.Document) error) (feed.Marks, error) {
	s.asked = append(s.asked, since)
	return s.do(keep)
}

// tray takes everything and remembers the documents.
type tray struct{ known map[string]bool }

func (d *tray) Take(_ context.Context, in vedette.Intake, _ vedette.Source, _ read.Format, _ bool) (Taking, error) {
	t := &trayed{known: d.known[in.Document]}
	d.known[in.Document] = true
	return t, nil
}

type trayed struct {
	known bool
	n     int
}

func (t *trayed) Known() bool                    { return t.known }
func (t *trayed) Add([]byte, vedette.Said) error { t.n++; return nil }
func (t *trayed) Finish(int64, time.Time) error  { return nil }
func (t *trayed) Taken() vedette.Counts          { return vedette.Counts{Read: t.n, New: t.n} }

// bench is a collector of one feed with a clock.
type bench struct {
	t     *testing.T
	f     vedette.Feed
	s     *script
	c     *Collector
	clock time.Time
}

func newBench(t *testing.T, every time.Duration) *bench {
	b := &bench{t: t, s: &script{}, clock: start}
	b.f = vedette.Feed{Name: "scores", Source: "scores", Format: "epss", Fetch: "script", Every: every, Enabled: true, Marking: vedette.Marking{TLP: vedette.TLPClear}}
	b.c = &Collector{Fetchers: map[string]feed.Fetcher{"script": b.s}, Desk: &tray{map[string]bool{}}, Now: func() time.Time { return b.clock },
		Keep: func(context.Context, vedette.Feed) error { return nil }}
	return b
}

func (b *bench) run() []Result {
	b.t.Helper()
	f, results, err := b.c.Run(context.Background(), b.f)
	if err != nil {
		b.t.Fatal(err)
	}
	b.f = f
	return results
}

const scores = "#model_version:v2025.03.14,score_date:2026-03-01T00:00:00+0000\ncve,epss,percentile\nCVE-2026-1001,0.5,0.9\n"

func brings(text string, marks feed.Marks) func(func(feed.Document) error) (feed.Marks, error) {
	return func(keep func(feed.Document) error) (feed.Marks, error) {
		return marks, keep(feed.Document{Name: "scores.csv", Body: strings.NewReader(text)})
	}
}

func fails(err error) func(func(feed.Document) error) (feed.Marks, error) {
	return func(func(feed.Document) error) (feed.Marks, error) { return feed.Marks{}, err }
}

// TestCircuit: failures are tried again soon, then later and later, then in
// hours; Retry-After is heard; one success closes the circuit.
func TestCircuit(t *testing.T) {
	for _, every := range []time.Duration{2 * time.Second, time.Hour, 24 * time.Hour} {
		b := newBench(t, every)
		b.s.do = fails(vedette.Unavailable("answered 503"))
		var rests []time.Duration
		for n := 1; n <= 12; n++ {
			b.run()
			rest := b.f.Health.Next.Sub(b.clock)
			if n > 1 && rest+time.Second < rests[n-2]*10/11 {
				t.Errorf("every %s: after %d failures it rests %s, after one less %s", every, n, rest, rests[n-2])
			}
			rests = append(rests, rest)
			want := vedette.FeedBroken // it never succeeded
			if got := b.f.State(b.clock); got != want || b.f.Health.Failures != n || b.f.Health.Failure != "answered 503" {
				t.Errorf("every %s, failure %d: %s, %+v", every, n, got, b.f.Health)
			}
			b.clock = b.f.Health.Next
		}
		if rests[0] > 2*time.Minute || rests[7] < time.Hour || rests[11] < 2*time.Hour || slices.Max(rests) > 7*time.Hour {
			t.Errorf("every %s: rests %v", every, rests)
		}
		b.s.do = fails(&feed.Later{Until: b.clock.Add(20 * time.Hour), Err: vedette.Unavailable("answered 429")})
		if b.run(); b.f.Health.Next.Before(b.clock.Add(20 * time.Hour)) {
			t.Errorf("Retry-After is not honoured: %+v", b.f.Health)
		}
		b.s.do = brings(scores, feed.Marks{ETag: "e"})
		b.run()
		if h := b.f.Health; h.Failures != 0 || b.f.State(b.clock) != vedette.FeedFresh || h.Next.After(b.clock.Add(every+every/10+time.Second)) || h.Failure == "" || h.Records != 1 || !h.Changed.Equal(b.clock) {
			t.Errorf("every %s: closed: %+v", every, h)
		}
		if late := b.clock.Add(3*every + time.Minute); b.f.State(late) != vedette.FeedLate || b.f.State(late.Add(12*every+time.Hour)) != vedette.FeedBroken {
			t.Errorf("every %s: it grows old: %s, %s", every, b.f.State(late), b.f.State(late.Add(12*every+time.Hour)))
		}
	}
}

// TestServersAreNotBelievedForEver: marks are given back, and after a day the
// whole is asked for, whatever the server says.
func TestServersAreNotBelievedForEver(t *testing.T) {
	b := newBench(t, time.Hour)
	b.s.do = brings(scores, feed.Marks{ETag: `"1"`})
	b.run()
	changed := b.f.Health.Changed
	b.s.do = func(func(feed.Document) error) (feed.Marks, error) { return feed.Marks{ETag: `"1"`}, nil } // not modified
	for range 30 {
		b.clock = b.clock.Add(time.Hour)
		if b.s.asked[len(b.s.asked)-1] == (feed.Marks{}) && len(b.s.asked) > 1 {
			break
		}
		b.run()
	}
	if n := len(b.s.asked); n < 20 || n > 27 || b.s.asked[1].ETag != `"1"` || b.s.asked[n-1] != (feed.Marks{}) {
		t.Errorf("asked %d times, the last with %+v", n, b.s.asked[n-1])
	}
	if !b.f.Health.Changed.Equal(changed) || b.f.Health.Records != 1 {
		t.Errorf("%+v", b.f.Health)
	}
	b.s.do = brings(strings.Replace(scores, "0.5", "0.7", 1), feed.Marks{ETag: `"1"`}) // other content, the same ETag
	if results := b.run(); len(results) != 1 || !b.f.Health.Changed.Equal(b.clock) {
		t.Errorf("%+v, %+v", results, b.f.Health)
	}
}

// TestEndIsNoFailure: who is told to end keeps nothing, and blames nobody.
func TestEndIsNoFailure(t *testing.T) {
	b := newBench(t, time.Hour)
	ctx, cancel := context.WithCancel(context.Background())
	b.s.do = func(func(feed.Document) error) (feed.Marks, error) {
		cancel()
		return feed.Marks{}, io.ErrUnexpectedEOF
	}
	b.c.Keep = func(context.Context, vedette.Feed) error { t.Error("something was kept"); return nil }
	if f, _, err := b.c.Run(ctx, b.f); !errors.Is(err, context.Canceled) || f.Health != b.f.Health {
		t.Errorf("%+v, %v", f.Health, err)
	}
}

func TestPublicFeeds(t *testing.T) {
	fs, err := Public()
	if err != nil || len(fs) < 10 {
		t.Fatalf("%d feeds, %v", len(fs), err)
	}
	for _, f := range fs {
		if f.Enabled || f.Marking.TLP != vedette.TLPClear || f.Licence == "" || f.Redistribute == "" || f.Reliability == "" || f.About == "" || !strings.HasPrefix(f.URL, "https://") {
			t.Errorf("%+v", f)
		}
	}
}

// TestReadFile: what is wrong is said with its line or its field.
func TestReadFile(t *testing.T) {
	const good = "feeds:\n  - name: x\n    format: kev\n    fetch: http\n    url: https://feeds.example/kev.json\n    every: 1h\n"
	es, err := ReadFile(strings.NewReader(good))
	if err != nil || len(es) != 1 || es[0].Feed.Source != "x" || es[0].Enabled != nil {
		t.Fatalf("%+v, %v", es, err)
	}
	with := func(line string) string { return good + "    " + line + "\n" }
	swap := func(from, to string) string { return strings.Replace(good, from, to, 1) }
	for text, want := range map[string]string{
		"":                          "names no feeds",
		"feeds: []\n":               "names no feeds",
		with("colour: red"):         "[7:5]",
		with("marking: purple"):     "marking",
		with("audience: org:x"):     "audience",
		with("reliability: Z"):      "reliability",
		with("redistribute: maybe"): "redistribute",
		with("limit: -1"):           "limit",
		with("path: /x"):            "path",
		with("source: cisa-kev\n    about: x") + "  - {name: x, format: kev, fetch: http, url: https://feeds.example/, every: 1h}\n": "twice",
		with("source: debian"):                                     "does not publish",
		with("source: vedette"):                                    "does not publish",
		with("source: person:lead"):                                "source",
		with("headers: {Authorization: hunter2}"):                  "headers.Authorization",
		with("headers: {Host: \"${file:a}\"}"):                     "headers.Host",
		with("headers: {If-None-Match: \"${file:a}\"}"):            "headers.If-None-Match",
		with("headers: {X-Key: \"${env:HOME}\"}"):                  "headers.X-Key",
		with("name: y"):                                            "7:5",
		swap("format: kev", "format: person"):                      "format",
		swap("format: kev", "format: survey"):                      "format",
		swap("format: kev", "format: nosuch"):                      "format",
		swap("fetch: http", "fetch: gopher"):                       "fetch",
		swap("fetch: http", "fetch: folder"):                       "url",
		swap("every: 1h", "every: 5s"):                             "every",
		swap("every: 1h", "every: 0s"):                             "every",
		swap("every: 1h", "every: often"):                          "every",
		swap("https://feeds.example", "ftp://feeds.example"):       "url",
		swap("https://feeds.example", "https://u:p@feeds.example"): "url",
		swap("name: x", "name: X Y"):                               "name",
		swap("https://feeds.example", "http://feeds.example") + "    headers: {X-Key: \"${file:k}\"}\n": "https alone",
		"feeds: &a [*a]\n": "line 1",
	} {
		if _, err := ReadFile(strings.NewReader(text)); !errors.Is(err, vedette.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q of\n%s", err, want, text)
		}
	}
}

func FuzzReadFile(f *testing.F) {
	f.Add(string(public))
	f.Add("feeds:\n  - {name: x, format: kev, fetch: folder, path: /srv/x, every: 2s, marking: amber, audience: org:x, enabled: true}\n")
	f.Fuzz(func(t *testing.T, text string) {
		es, err := ReadFile(strings.NewReader(text))
		if err != nil && !errors.Is(err, vedette.ErrInvalid) {
			t.Errorf("%v", err)
		}
		for _, e := range es {
			if e.Feed.Every < time.Second || e.Feed.Name == "" {
				t.Errorf("%+v", e)
			}
		}
	})
}
