package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
)

const (
	streamEvery = time.Second      // how often the record is read on
	streamBeat  = 15 * time.Second // a comment, so that nobody in between takes silence for the end
	streamWrite = 10 * time.Second // for a receiver that does not read
	streamBatch = 500
	streamMost  = 8 // streams of one principal at a time
)

// streams counts the open streams of each principal.
type streams struct {
	mu   sync.Mutex
	open map[string]int
}

func newStreams() *streams { return &streams{open: map[string]int{}} }

// enter is false when somebody has as many streams as he may.
func (s *streams) enter(who string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[who] >= streamMost {
		return false
	}
	s.open[who]++
	return true
}

func (s *streams) leave(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[who]--; s.open[who] == 0 {
		delete(s.open, who)
	}
}

// stream sends the events that the principal may read as they come
// (text/event-stream, HTML §9.2), behind the one that Last-Event-ID names, or
// from now on. It ends when the caller or the hub goes, and when his rights do.
func (a *API) stream(r *face.Request) error {
	if err := a.rate.take(r); err != nil {
		return err
	}
	if !strings.Contains(r.Request.Header.Get("Accept"), "text/event-stream") {
		return &face.Wrong{Status: http.StatusNotAcceptable, Detail: "events are text/event-stream: say so in Accept; /api/v1/events is the list", Fields: []face.Field{{Detail: "text/event-stream", Parameter: "Accept"}}}
	}
	last, err := streamFrom(r)
	if err != nil {
		return err
	}
	if !a.streams.enter(r.P.Name) {
		return &face.Wrong{Status: http.StatusTooManyRequests, Detail: fmt.Sprintf("%d streams are open already", streamMost)}
	}
	defer a.streams.leave(r.P.Name)
	s := &streaming{Request: r, control: http.NewResponseController(r.ResponseWriter), last: last}
	h := r.ResponseWriter.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	if err := s.send(fmt.Sprintf("retry: %d\n\n", streamEvery.Milliseconds())); err != nil {
		return nil
	}
	a.follow(s)
	return nil
}

// streamFrom is the event behind which a stream begins.
func streamFrom(r *face.Request) (int64, error) {
	if id := r.Request.Header.Get("Last-Event-ID"); id != "" {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil || n < 0 {
			return 0, badParameter("Last-Event-ID", "not the number of an event")
		}
		return n, nil
	}
	return r.Desk.Rows().LastEvent(r.Context())
}

// streaming is one open stream.
type streaming struct {
	*face.Request
	control *http.ResponseController
	last    int64
	beat    time.Time
}

// follow sends what comes until somebody goes.
func (a *API) follow(s *streaming) {
	tick := time.NewTicker(streamEvery)
	defer tick.Stop()
	for {
		if s.more(a) != nil {
			return // there is nobody left to tell, or he is told by the end
		}
		select {
		case <-s.Context().Done():
			return
		case <-a.closing:
			return
		case <-tick.C:
		}
		p, err := s.Again()
		if err == nil {
			s.P = p
			s.Desk, err = a.hub.Desk(s.Context(), p)
		}
		if err != nil || !face.Has(p, "audit list") {
			return
		}
	}
}

// more sends the events that came since, or a comment now and then.
func (s *streaming) more(a *API) error {
	for {
		es, err := s.Desk.Rows().EventsAfter(s.Context(), s.last, streamBatch)
		if errors.Is(err, vedette.ErrUnavailable) {
			return nil // the next turn asks again
		}
		if err != nil {
			return err
		}
		var b bytes.Buffer
		for _, e := range es {
			fmt.Fprintf(&b, "id: %d\nevent: %s\ndata: ", e.ID, strings.ReplaceAll(e.Verb, " ", "-"))
			if err := write(&b, e); err != nil { // one line: JSON escapes line ends
				return err
			}
			b.WriteByte('\n')
			s.last = e.ID
		}
		if b.Len() == 0 && time.Since(s.beat) >= streamBeat {
			b.WriteString(": still here\n\n")
		}
		if b.Len() > 0 {
			if err := s.send(b.String()); err != nil {
				return err
			}
		}
		if len(es) < streamBatch {
			return nil
		}
	}
}

// send writes a part of the stream at once.
func (s *streaming) send(text string) error {
	s.beat = time.Now()
	if err := s.control.SetWriteDeadline(s.beat.Add(streamWrite)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := io.WriteString(s.ResponseWriter, text); err != nil {
		return err
	}
	return s.control.Flush()
}
