package vedette

import "time"

// The ways to fetch a feed.
const (
	FetchHTTP   = "http"   // a document at an address
	FetchFolder = "folder" // the files of a folder of this machine
)

// Feed is a source that is fetched by itself: what is configured, and how it fares.
type Feed struct {
	Name         string            `json:"name"`
	About        string            `json:"about,omitempty"`
	Source       string            `json:"source"` // who says it
	Format       string            `json:"format"`
	Fetch        string            `json:"fetch"`
	URL          string            `json:"url,omitempty"`
	Path         string            `json:"path,omitempty"`
	Every        time.Duration     `json:"every"`   // nanoseconds
	Marking      Marking           `json:"marking"` // of what it brings; a feed without one cannot be enabled
	Reliability  string            `json:"reliability,omitempty"`
	Licence      string            `json:"licence,omitempty"`
	Redistribute string            `json:"redistribute,omitempty"`
	Headers      map[string]string `json:"headers,omitempty"` // secrets stand in them as references
	Limit        int64             `json:"limit,omitempty"`   // megabytes of one download; 0 is 256
	Enabled      bool              `json:"enabled"`
	Health       FeedHealth        `json:"health,omitzero"`
}

// FeedHealth is what became of the tries to fetch a feed.
type FeedHealth struct {
	Next      time.Time `json:"next,omitzero"`      // when it is fetched again, not before
	Tried     time.Time `json:"tried,omitzero"`     // last time
	Succeeded time.Time `json:"succeeded,omitzero"` // last time, whether or not there was something new
	Changed   time.Time `json:"changed,omitzero"`   // when something new was taken in last
	Whole     time.Time `json:"whole,omitzero"`     // when it was last downloaded whatever its server said of changes
	Failed    time.Time `json:"failed,omitzero"`    // last time
	Failure   string    `json:"failure,omitempty"`  // the reason of the last failure, in words
	Failures  int       `json:"failures,omitempty"` // since the last success
	Bytes     int64     `json:"bytes,omitempty"`    // of the last download that was taken in
	Records   int       `json:"records,omitempty"`  // in it
	Refused   int       `json:"refused,omitempty"`  // records or members of it that were not taken
	Document  string    `json:"document,omitempty"` // its SHA-256, hex
	ETag      string    `json:"-"`                  // what the server said of it, to ask whether it changed (RFC 9110 §8.8)
	Modified  string    `json:"-"`
}

// FeedState is how a feed fares, in one word.
type FeedState string

// The states of a feed.
const (
	FeedOff     FeedState = "off"
	FeedWaiting FeedState = "waiting" // on, and never tried
	FeedFresh   FeedState = "fresh"
	FeedLate    FeedState = "late"   // the last try failed, or the last success is older than two periods
	FeedBroken  FeedState = "broken" // never succeeded, failed three times in a row, or silent for ten periods
)

// brokenAfter is how many failures in a row say that somebody has to look.
const brokenAfter = 3

// State is how the feed fares now. A feed whose first try fails is broken at once.
func (f Feed) State(now time.Time) FeedState {
	h := f.Health
	age := now.Sub(h.Succeeded)
	switch {
	case !f.Enabled:
		return FeedOff
	case h.Tried.IsZero():
		return FeedWaiting
	case h.Succeeded.IsZero(), h.Failures >= brokenAfter, age > 10*f.Every+time.Hour:
		return FeedBroken
	case h.Failures > 0, age > 2*f.Every+time.Minute:
		return FeedLate
	}
	return FeedFresh
}
