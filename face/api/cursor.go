package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strconv"

	"github.com/vedette-hub/vedette/face"
)

// cursors sign where lists go on. A cursor is opaque: it holds for the list, the
// filters and the principal that it was given for, and for no other.
type cursors struct{ key []byte }

// Paging is what every list takes.
type Paging struct {
	Cursor string `query:"cursor" maxLength:"2000" doc:"where to go on, as the page before said it"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"how many, at most"`
}

// page is one page of a list.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"cursor of the next page, absent at the end; the header Link has its address"`
}

const macSize = 16

func (c cursors) mac(scope, at string) []byte {
	m := hmac.New(sha256.New, c.key)
	m.Write([]byte(strconv.Itoa(len(scope)) + ":" + scope + at))
	return m.Sum(nil)[:macSize]
}

// seal makes a cursor of a place.
func (c cursors) seal(scope, at string) string {
	return base64.RawURLEncoding.EncodeToString(append(c.mac(scope, at), at...))
}

// open is the place of a cursor; false when it is none of this scope.
func (c cursors) open(scope, cursor string) (string, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(b) <= macSize {
		return "", false
	}
	at := string(b[macSize:])
	return at, hmac.Equal(b[:macSize], c.mac(scope, at))
}

// scopeOf is what a cursor is for: who asks for which list with which filters.
func scopeOf(r *face.Request) string {
	q := r.URL.Query()
	q.Del("cursor")
	q.Del("limit")
	return r.P.Name + "\x00" + r.URL.Path + "?" + q.Encode()
}

// listed is a page of a list whose rows go on behind a place.
func listed[T any](a *API, r *face.Request, p Paging, rows func(after string, limit int) (items []T, next string, err error)) (page[T], error) {
	none := page[T]{Items: []T{}}
	scope, after := scopeOf(r), ""
	if p.Cursor != "" {
		var ok bool
		if after, ok = a.cursors.open(scope, p.Cursor); !ok {
			return none, badParameter("cursor", "it is none that this list gave: begin again without one")
		}
	}
	items, next, err := rows(after, p.Limit)
	if err != nil {
		return none, err
	}
	out := page[T]{Items: items}
	if items == nil {
		out.Items = []T{}
	}
	if next != "" {
		out.Next = a.cursors.seal(scope, next)
		q := r.URL.Query()
		q.Set("cursor", out.Next)
		to := url.URL{Path: r.URL.Path, RawQuery: q.Encode()}
		r.ResponseWriter.Header().Set("Link", "<"+to.RequestURI()+`>; rel="next"`) // RFC 8288 §3
	}
	return out, nil
}

// whole pages through rows that are read as a whole, in the order of the store.
func whole[T any](rows []T, id func(T) string) func(after string, limit int) ([]T, string, error) {
	return func(after string, limit int) ([]T, string, error) {
		if after != "" {
			i := 0
			for i < len(rows) && id(rows[i]) != after {
				i++
			}
			rows = rows[min(i+1, len(rows)):]
		}
		if len(rows) <= limit {
			return rows, "", nil
		}
		return rows[:limit], id(rows[limit-1]), nil
	}
}
