package app

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// publisher is a server whose one document the test changes.
type publisher struct {
	mu     sync.Mutex
	text   string
	etag   string
	answer func(w http.ResponseWriter, r *http.Request) bool // true when it answered
	asked  int
	most   int // requests at the same time
	now    int
	url    string
}

func newPublisher(t *testing.T) *publisher {
	t.Helper()
	p := &publisher{}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	p.url = s.URL
	return p
}

func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked++
	p.now++
	p.most = max(p.most, p.now)
	text, etag, answer := p.text, p.etag, p.answer
	p.mu.Unlock()
	defer func() { p.mu.Lock(); p.now--; p.mu.Unlock() }()
	if answer != nil && answer(w, r) {
		return
	}
	if etag != "" {
		w.Header().Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	io.WriteString(w, text)
}

func (p *publisher) set(text, etag string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text, p.etag, p.answer = text, etag, nil
}

func (p *publisher) does(f func(w http.ResponseWriter, r *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = f
}

// feedWorld is a lab store with a feed of the publisher's.
func feedWorld(t *testing.T, place string, more string) (*world, *publisher) {
	t.Helper()
	w := newWorld(t, place)
	if err := w.store.System().StampLab(context.Background()); err != nil {
		t.Fatal(err)
	}
	p := newPublisher(t)
	w.feeds("  - {name: kev, format: kev, fetch: http, url: \"" + p.url + "/kev.json?key=CANARY\", every: 1h, marking: clear, enabled: true}\n" + more)
	return w, p
}

func (w *world) feeds(text string) { w.do(&feedApply{File: w.file("feeds.yaml", "feeds:\n"+text)}) }

// fetch runs a feed by hand and returns what it prints, its status and its health.
func (w *world) fetch(c feedRun) (out string, status int, f vedette.Feed) {
	w.t.Helper()
	r := w.run(vedette.Local())
	if err := c.Run(r); err != nil {
		w.t.Fatalf("%v\n%s", err, r.errs)
	}
	f, err := r.feed(c.Name)
	if err != nil {
		w.t.Fatal(err)
	}
	return r.out.(*bytes.Buffer).String() + r.errs.(*bytes.Buffer).String(), r.status, f
}

func kevOf(released string, n int) string {
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("CVE-2026-%d", 1001+i))
	}
	return worldKEV(released, ids...)
}

// TestFeed: what is new is taken in, what is not changes no row but the health,
// and what is not whole changes nothing.
func TestFeed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w, p := feedWorld(t, place, "")
		p.set(kevOf("2026-02-20T00:00:00Z", 40), `"1"`)
		out, status, f := w.fetch(feedRun{Name: "kev"})
		if status != exitOK || f.Health.Records != 40 || f.State(w.store.Now()) != vedette.FeedFresh || !f.Health.Changed.Equal(w.store.Now()) || strings.Contains(out, "CANARY") {
			t.Fatalf("first: %d, %+v\n%s", status, f, out)
		}
		taken := w.hashes("fetches", "events", "seals")
		for name, again := range map[string]func(){
			"not modified":                func() {},
			"the same without an ETag":    func() { p.set(kevOf("2026-02-20T00:00:00Z", 40), "") },
			"the same under another ETag": func() { p.set(kevOf("2026-02-20T00:00:00Z", 40), `"2"`) },
		} {
			w.clock = w.clock.Add(time.Hour)
			again()
			if _, status, f = w.fetch(feedRun{Name: "kev"}); status != exitOK || f.Health.Failures != 0 || !f.Health.Succeeded.Equal(w.store.Now()) || f.Health.Records != 40 {
				t.Errorf("%s: %d, %+v", name, status, f)
			}
			sameHashes(t, w.hashes("fetches", "events", "seals"), taken, name)
		}
		for name, bad := range badDocuments() {
			w.clock = w.clock.Add(time.Hour)
			p.does(bad)
			out, status, f := w.fetch(feedRun{Name: "kev"})
			if status != exitNo || f.Health.Failures != 1 || f.Health.Failure == "" || f.State(w.store.Now()) != vedette.FeedLate || strings.Contains(out, "CANARY") {
				t.Errorf("%s: %d, %+v\n%s", name, status, f.Health, out)
			}
			t.Logf("%s: %s", name, f.Health.Failure)
			sameHashes(t, w.hashes("fetches", "events", "seals"), taken, name)
			p.set(kevOf("2026-02-20T00:00:00Z", 40), `"2"`)
			if _, _, f = w.fetch(feedRun{Name: "kev"}); f.Health.Failures != 0 {
				t.Errorf("after %s: %+v", name, f)
			}
		}
		p.set(kevOf("2026-02-28T00:00:00Z", 20), `"3"`)
		if _, status, _ := w.fetch(feedRun{Name: "kev", AllowShrink: true}); status != exitOK {
			t.Errorf("a list that may shrink: %d", status)
		}
		if cves, err := w.run(vedette.Local()).sc.Feeds(context.Background()); err != nil || len(cves) < 10 {
			t.Errorf("the shipped feeds are not listed: %d, %v", len(cves), err)
		}
	})
}

// badDocuments are answers that nothing may be taken of.
func badDocuments() map[string]func(http.ResponseWriter, *http.Request) bool {
	write := func(text string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool { io.WriteString(w, text); return true }
	}
	whole := kevOf("2026-02-28T00:00:00Z", 40)
	return map[string]func(http.ResponseWriter, *http.Request) bool{
		"lost half":    write(kevOf("2026-02-28T00:00:00Z", 20)),
		"empty":        write(""),
		"empty list":   write(worldKEV("2026-02-28T00:00:00Z")),
		"cut off":      write(whole[:len(whole)/2]),
		"a login page": write("<!DOCTYPE html><html><title>Sign in</title></html>"),
		"other format": write("cve,epss,percentile\nCVE-2026-1001,0.9,0.9\n"),
		"server error": func(w http.ResponseWriter, r *http.Request) bool { http.Error(w, "no", 503); return true },
		"too long said": func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Length", "99999999")
			io.WriteString(w, whole)
			return true
		},
		"too short said": func(w http.ResponseWriter, r *http.Request) bool {
			c, b, err := w.(http.Hijacker).Hijack()
			if err == nil {
				fmt.Fprintf(b, "HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n%s", whole)
				b.Flush()
				c.Close()
			}
			return true
		},
		"a bomb": func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			zeros := make([]byte, 1<<20)
			for range 64 {
				z.Write(zeros)
			}
			z.Close()
			return true
		},
		"redirect away": func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "http://192.0.2.9/kev.json", 302)
			return true
		},
	}
}

// TestFeedMarking: a feed without a marking is not heard.
func TestFeedMarking(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.feeds("  - {name: partner, format: kev, fetch: http, url: \"https://feeds.partner.example/kev.json\", every: 1h}\n")
	r := w.run(vedette.Local())
	for name, err := range map[string]error{
		"enable": r.enableFeed("partner", true), "run": (&feedRun{Name: "partner"}).Run(r),
		"apply": (&feedApply{File: w.file("f.yaml", "feeds:\n  - {name: partner, format: kev, fetch: http, url: \"https://feeds.partner.example/kev.json\", every: 1h, enabled: true}\n")}).Run(r),
	} {
		if exitCode(context.Background(), err) != exitRefused {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (&feedApply{File: w.file("g.yaml", "feeds:\n  - {name: other, source: cisa-kev, format: kev, fetch: http, url: \"https://kev.example/\", every: 1h, marking: clear}\n")}).Run(r); err == nil || !strings.Contains(err.Error(), "cisa-kev") {
		t.Errorf("two feeds of one full source: %v", err)
	}
	before := w.hashes("events", "seals")
	w.feeds("  - {name: partner, format: kev, fetch: http, url: \"https://feeds.partner.example/kev.json\", every: 1h}\n")
	sameHashes(t, w.hashes("events", "seals"), before, "applying the same file again")
}

// TestFeedFolder: each file of a folder once.
func TestFeedFolder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		dir := t.TempDir()
		conf := w.file("vedette.yaml", "feeds: {folders: ["+dir+"]}\n")
		w.feeds("  - {name: drop, format: cve, fetch: folder, path: " + dir + ", every: 10s, marking: clear}\n")
		put := func(name, text string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		fetch := func() vedette.Feed {
			t.Helper()
			r := w.run(vedette.Local())
			r.Config = conf
			if err := (&feedRun{Name: "drop"}).Run(r); err != nil {
				t.Fatal(err)
			}
			f, err := r.feed("drop")
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		put("one.json", worldCVE("CVE-2026-1001", "2026-02-02T00:00:00Z", "9.1.4"))
		put("two.json", worldCVE("CVE-2026-1002", "2026-02-02T00:00:00Z", "9.1.4"))
		if f := fetch(); f.Health.Records != 2 || f.Health.Failures != 0 {
			t.Errorf("%+v", f.Health)
		}
		before := w.hashes("fetches", "events", "seals")
		fetch()
		sameHashes(t, w.hashes("fetches", "events", "seals"), before, "the same files")
		put("bad.json", "{\"no\":")
		put("three.json", worldCVE("CVE-2026-1003", "2026-02-02T00:00:00Z", "9.1.4"))
		if f := fetch(); f.Health.Failures != 0 || f.Health.Refused != 1 {
			t.Errorf("one bad file beside a good one: %+v", f.Health)
		}
		if rows, err := w.run(vedette.Local()).sc.Search(context.Background(), "CVE-2026-1003", 10); err != nil || len(rows) != 1 {
			t.Errorf("%v, %v", rows, err)
		}
	})
}

// TestFeedIsKilled: between the fetch and the store, and between the store and
// the health, nothing is lost and nothing is doubled.
func TestFeedIsKilled(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w, p := feedWorld(t, place, "")
		p.set(kevOf("2026-02-20T00:00:00Z", 40), `"1"`)
		for _, at := range []string{"insert into intakes", "insert into blocks", "insert into claims", "update intakes set done", "insert into fetches"} {
			w.hook = func(op, q string) error {
				if strings.Contains(q, at) {
					return vedette.Unavailable("the machine dies")
				}
				return nil
			}
			r := w.run(vedette.Local())
			if err := (&feedRun{Name: "kev"}).Run(r); err == nil && r.status == exitOK {
				t.Errorf("%s: it went well", at)
			}
			w.hook = nil
		}
		if _, status, f := w.fetch(feedRun{Name: "kev"}); status != exitOK || f.Health.Failures != 0 {
			t.Errorf("%d, %+v", status, f)
		}
		got := w.hashes("fetches", "events", "seals", "feeds", "intakes")
		other := t.TempDir()
		if store.IsURL(place) {
			other = storetest.Postgres(t)
		}
		clean, q := feedWorld(t, other, "")
		q.set(kevOf("2026-02-20T00:00:00Z", 40), `"1"`)
		clean.fetch(feedRun{Name: "kev"})
		sameHashes(t, got, clean.hashes("fetches", "events", "seals", "feeds", "intakes"), "after the deaths")
	})
}

// TestFeedsUnderServe: a hub fetches by itself, one request per host at a time,
// and what is newly exploited is matched at once.
func TestFeedsUnderServe(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w, p := feedWorld(t, place, "")
		w.do(&constituentApply{File: w.file("constituency.yaml", worldConstituency)})
		w.importText("inventory.csv", worldInventory)
		w.importText("cve.json", worldCVE("CVE-2026-1001", "2026-02-02T00:00:00Z", "9.1.4")+worldCVE("CVE-2026-1002", "2026-02-02T00:00:00Z", "9.1.4"))
		p.set(worldKEV("2026-02-20T00:00:00Z", "CVE-2026-1001"), `"1"`)
		w.feeds(fmt.Sprintf("  - {name: kev, format: kev, fetch: http, url: \"%s/\", every: 2s, marking: clear, enabled: true}\n  - {name: slow, format: epss, fetch: http, url: \"%s/slow\", every: 1s, marking: clear, enabled: true}\n", p.url, p.url))
		stop := w.clocked()
		defer stop()
		r := w.run(vedette.Local())
		r.Globals.Data = place
		if store.IsURL(place) {
			r.Globals.DB = place
		}
		h, err := r.startHub(r.log(), map[string]int{queueHub: 1, queueFeed: feedsAtOnce})
		if err != nil {
			t.Fatal(err)
		}
		defer h.stop(context.Background())
		exploited := func(id string) func() bool {
			return func() bool {
				fs, _, err := w.run(vedette.Local()).sc.Findings(context.Background(), store.FindingFilter{Exploited: true, Weakness: id})
				return err == nil && len(fs) > 0
			}
		}
		within(t, time.Minute, "the first list", exploited("CVE-2026-1001"))
		began := time.Now()
		p.set(worldKEV("2026-03-01T00:00:00Z", "CVE-2026-1001", "CVE-2026-1002"), `"2"`)
		within(t, time.Minute, "the second list", exploited("CVE-2026-1002"))
		t.Logf("from publishing to the finding: %s", time.Since(began))
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.most > 1 {
			t.Errorf("%d requests at the same time", p.most)
		}
	})
}

// clocked lets the world's clock run as the wall's.
func (w *world) clocked() (stop func()) {
	done := make(chan struct{})
	go func() {
		for began := time.Now(); ; {
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
				w.later.Store(int64(time.Since(began)))
			}
		}
	}()
	return func() { close(done) }
}

// within waits until something is so.
func within(t *testing.T, most time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(most); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, most)
		}
	}
}
