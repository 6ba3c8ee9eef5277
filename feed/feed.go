// Package feed holds the few ways to fetch documents: http and folder. A source
// in a known format is configuration only; a fetcher neither looks into what it
// fetches nor keeps it, which is collect's.
package feed

import (
	"context"
	"io"
	"net/url"
	"time"

	"github.com/vedette-hub/vedette"
)

// Fetcher is a way to fetch the documents of a feed.
type Fetcher interface {
	// Fetch gives keep each document that is new since the marks of an earlier
	// fetch; none is no error. An error of keep ends it and is returned. The
	// errors are sentences for whoever looks after the feed; a Later says when
	// the server wants to be asked again.
	Fetch(ctx context.Context, f vedette.Feed, since Marks, keep func(Document) error) (Marks, error)
}

// Marks tell a server which version is known (RFC 9110 §13.1). Zero is none.
type Marks struct {
	ETag     string
	Modified string
}

// Document is one document on its way in.
type Document struct {
	Name string    // fit for output: a file name, or the address without its query
	Body io.Reader // until keep returns; its errors are those of the way
}

// Later is a failure whose server said when to come back.
type Later struct {
	Until time.Time
	Err   error
}

// Error is that of the failure.
func (l *Later) Error() string { return l.Err.Error() }

// Unwrap is the failure.
func (l *Later) Unwrap() error { return l.Err }

// Host is whom a fetch of the feed asks: feeds of one host take turns. A folder
// is its own host.
func Host(f vedette.Feed) string {
	if u, err := url.Parse(f.URL); f.Fetch == vedette.FetchHTTP && err == nil {
		return u.Hostname()
	}
	return f.Fetch + ":" + f.Name
}

// MaxDownload is how many megabytes of a document are downloaded unless the
// feed says otherwise.
const MaxDownload = 256

func limitOf(f vedette.Feed) int64 {
	if f.Limit > 0 {
		return f.Limit << 20
	}
	return MaxDownload << 20
}
