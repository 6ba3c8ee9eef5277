package api

import (
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/vedette-hub/vedette/face"
)

// limiter is a bucket of calls for each principal: full, it holds those of a
// minute, and it fills as time passes. It lives in the process.
type limiter struct {
	calls int // a minute
	now   func() time.Time

	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	left float64
	at   time.Time
}

func newLimiter(calls int, now func() time.Time) *limiter {
	return &limiter{calls: calls, now: now, buckets: map[string]*bucket{}}
}

// maxBuckets is how many are kept before those that are full again are let go.
const maxBuckets = 10_000

// take takes a call out of the principal's bucket and says in the headers how
// many are left (draft-ietf-httpapi-ratelimit-headers §3 and §4).
func (l *limiter) take(r *face.Request) error {
	left, wait := l.one(r.P.Name + "\x00" + r.P.Token)
	h := r.ResponseWriter.Header()
	h.Set("RateLimit-Policy", fmt.Sprintf(`"principal";q=%d;w=60`, l.calls))
	h.Set("RateLimit", fmt.Sprintf(`"principal";r=%d;t=%d`, left, seconds(wait)))
	if wait == 0 {
		return nil
	}
	h.Set("Retry-After", fmt.Sprint(seconds(wait)))
	return &face.Wrong{Status: http.StatusTooManyRequests, Detail: fmt.Sprintf("more than %d calls a minute: wait %d s", l.calls, seconds(wait))}
}

func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// one takes a call of somebody; wait is how long until there is another when
// none was left.
func (l *limiter) one(who string) (left int, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, rate := l.now(), float64(l.calls)/60
	b := l.buckets[who]
	if b == nil {
		if len(l.buckets) >= maxBuckets {
			l.sweep(now)
		}
		b = &bucket{float64(l.calls), now}
		l.buckets[who] = b
	}
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.left, b.at = min(float64(l.calls), b.left+passed*rate), now
	}
	if b.left < 1 {
		return 0, time.Duration((1 - b.left) / rate * float64(time.Second))
	}
	b.left--
	return int(b.left), 0
}

// sweep lets go of buckets that are full by now.
func (l *limiter) sweep(now time.Time) {
	for who, b := range l.buckets {
		if now.Sub(b.at) > time.Minute {
			delete(l.buckets, who)
		}
	}
}
