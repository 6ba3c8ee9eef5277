package feed

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

var testNow = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func testHTTP() *HTTP {
	return &HTTP{Transport: safe.Client(safe.NewDialer(true).Public, 0, nil).Transport, Agent: "vedette (feeds; soc@hub.example)", Now: func() time.Time { return testNow },
		Answer: 300 * time.Millisecond, Idle: 300 * time.Millisecond, Total: 2 * time.Second}
}

// got fetches and returns what came.
func got(h *HTTP, url string, since Marks, headers map[string]string) (string, Marks, error) {
	var b bytes.Buffer
	m, err := h.Fetch(context.Background(), vedette.Feed{Name: "f", Fetch: vedette.FetchHTTP, URL: url, Limit: 1, Headers: headers}, since, func(d Document) error {
		_, err := io.Copy(&b, d.Body)
		return err
	})
	return b.String(), m, err
}

// drip writes a byte now and then, as long as it is read.
func drip(w http.ResponseWriter, r *http.Request, pause time.Duration) {
	for r.Context().Err() == nil {
		if _, err := w.Write([]byte(" ")); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		time.Sleep(pause)
	}
}

func raw(w http.ResponseWriter, text string) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	io.WriteString(c, text)
	c.Close()
}

// TestBadServers: whatever a server does, the fetch ends soon, with the reason
// in words, and nothing that did not come whole is taken for a document.
func TestBadServers(t *testing.T) {
	mux := http.NewServeMux()
	for path, h := range map[string]http.HandlerFunc{
		"/hang": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"/silent": func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte("{"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"/drip":     func(w http.ResponseWriter, r *http.Request) { drip(w, r, 50*time.Millisecond) },
		"/error":    func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", 500) },
		"/empty304": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(304) },
		"/loop":     func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", 302) },
		"/private":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://192.0.2.7/", 302) },
		"/file": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(302)
		},
		"/nowhere": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(302) },
		"/truncated": func(w http.ResponseWriter, r *http.Request) {
			raw(w, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"half\":")
		},
		"/chunked": func(w http.ResponseWriter, r *http.Request) {
			raw(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
		},
		"/huge": func(w http.ResponseWriter, r *http.Request) {
			io.CopyN(w, strings.NewReader(strings.Repeat("x", 3<<20)), 3<<20)
		},
		"/headers": func(w http.ResponseWriter, r *http.Request) {
			raw(w, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("a", 1<<20)+"\r\n\r\n")
		},
		"/nonsense": func(w http.ResponseWriter, r *http.Request) { raw(w, "SSH-2.0-OpenSSH_9.2\r\n") },
		"/nothing":  func(w http.ResponseWriter, r *http.Request) { raw(w, "") },
	} {
		mux.HandleFunc(path, h)
	}
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	for path, want := range map[string]string{
		"/hang": "did not answer within", "/silent": "was silent for", "/drip": "took longer than", "/error": "answered 500", "/empty304": "answered 304", "/loop": "redirected more than",
		"/private": "loopback only", "/file": "which is not HTTP", "/nowhere": "no place to go", "/truncated": "cut off", "/chunked": "cut off", "/huge": "larger than", "/headers": "header", "/nonsense": "malformed", "/nothing": "EOF",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			_, marks, err := got(testHTTP(), s.URL+path, Marks{}, nil)
			if err == nil || !strings.Contains(err.Error(), want) || marks != (Marks{}) {
				t.Errorf("%v, %+v; want %q", err, marks, want)
			}
			if d := time.Since(began); d > 20*time.Second {
				t.Errorf("took %s", d)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
		if _, _, err := got(testHTTP(), "http://"+ln.Addr().String(), Marks{}, nil); !errors.Is(err, vedette.ErrUnavailable) {
			t.Error(err)
		}
	})
}

// TestConditional: what is known is asked for as such, who asks is named, and
// what a server says of later is heard.
func TestConditional(t *testing.T) {
	retry := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.UserAgent(), "vedette") || !strings.Contains(r.UserAgent(), "soc@hub.example") {
			t.Errorf("the agent is %q", r.UserAgent())
		}
		if retry != "" {
			w.Header().Set("Retry-After", retry)
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Last-Modified", "Sun, 01 Mar 2026 08:00:00 GMT")
		if r.Header.Get("If-None-Match") == `"1"` && r.Header.Get("If-Modified-Since") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, "text")
	}))
	defer s.Close()
	text, marks, err := got(testHTTP(), s.URL, Marks{}, nil)
	if err != nil || text != "text" || marks.ETag != `"1"` || marks.Modified == "" {
		t.Fatalf("%q, %+v, %v", text, marks, err)
	}
	if text, again, err := got(testHTTP(), s.URL, marks, nil); err != nil || text != "" || again != marks {
		t.Errorf("not modified: %q, %+v, %v", text, again, err)
	}
	for value, want := range map[string]time.Duration{"120": 2 * time.Minute, "Sun, 01 Mar 2026 10:00:00 GMT": time.Hour, "99999999999": 24 * time.Hour, "Sun, 01 Mar 2046 10:00:00 GMT": 24 * time.Hour, "-5": 0, "soon": 0} {
		retry = value
		_, _, err := got(testHTTP(), s.URL, Marks{}, nil)
		l, ok := errors.AsType[*Later](err)
		if ok != (want > 0) || ok && l.Until.Sub(testNow) != want {
			t.Errorf("Retry-After %q: %v, %+v", value, err, l)
		}
	}
}

// hops answers the first request with a redirect and dials for the others.
type hops struct {
	to   string
	next http.RoundTripper
	n    int
}

func (h *hops) RoundTrip(r *http.Request) (*http.Response, error) {
	if h.n++; h.n > 1 {
		return h.next.RoundTrip(r)
	}
	return &http.Response{StatusCode: 302, Header: http.Header{"Location": {h.to}}, Body: http.NoBody, Request: r}, nil
}

// TestRedirectsAreDecidedOn: outside of a lab nothing sends us to this machine,
// to a private network or away from TLS, by whatever spelling or name.
func TestRedirectsAreDecidedOn(t *testing.T) {
	touched := false
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { touched = true }))
	defer s.Close()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"http://feed.example/", "https://127.0.0.1:" + port + "/", "https://localhost.example:" + port + "/", "https://[::1]:" + port + "/", "https://2130706433:" + port + "/", "https://0x7f000001:" + port + "/",
		"https://127.1:" + port + "/", "https://169.254.169.254/latest/", "https://10.0.0.1/", "https://user:pw@feed.example/", "ftp://feed.example/", "//192.168.0.1/", "https:///x"} {
		d := safe.NewDialer(false)
		d.Lookup = func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}, nil
		}
		h := testHTTP()
		h.Transport = &hops{to: to, next: safe.Client(d.Public, 0, nil).Transport}
		if _, _, err := got(h, "https://feed.example/kev.json", Marks{}, nil); err == nil || !errors.Is(err, vedette.ErrRefused) && !errors.Is(err, vedette.ErrUnavailable) {
			t.Errorf("redirected to %s: %v", to, err)
		}
		if d.Sent().Of(safe.ModePublic) != 0 {
			t.Errorf("redirected to %s: something was sent", to)
		}
	}
	if touched {
		t.Error("a server of this machine was reached")
	}
}

// TestSecrets: a secret goes to its own host and nowhere else, and no error says it.
func TestSecrets(t *testing.T) {
	var seen []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, "other:"+r.Header.Get("Authorization"))
	}))
	defer other.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization"))
		http.Redirect(w, r, other.URL, 302)
	}))
	defer s.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("CANARY-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := testHTTP()
	h.Secrets = Secrets{Dir: dir, Env: func(n string) (string, bool) { return "CANARY-2", n == SecretPrefix+"X" }}
	if _, _, err := got(h, s.URL, Marks{}, map[string]string{"Authorization": "Bearer ${file:token}"}); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(seen) != "[Bearer CANARY-1 other:]" {
		t.Errorf("%q", seen)
	}
	for _, value := range []string{"${file:none}", "${env:VEDETTE_SECRET_NONE}", "${env:HOME}"} {
		if _, _, err := got(h, s.URL, Marks{}, map[string]string{"Authorization": value}); err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", value, err)
		}
	}
	for value, ok := range map[string]bool{"${file:token}": true, "Bearer ${env:VEDETTE_SECRET_X}": true, "hunter2": false, "${env:HOME}": false, "${file:../x}": false, "${file:a} ${file:b}": false, "${file:a}\r\nX: y": false, "": false, "my long password in clear ${file:a}": false} {
		if err := CheckSecret(value); (err == nil) != ok {
			t.Errorf("CheckSecret(%q): %v", value, err)
		}
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, "link")); err == nil {
		if _, err := h.Secrets.Fill("${file:link}"); err == nil {
			t.Error("a link leads out of the folder of secrets")
		}
	}
}

// TestGzip: what is packed on the way stays packed, for the guard to unpack.
func TestGzip(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, strings.Repeat("0", 1<<20))
		z.Close()
	}))
	defer s.Close()
	text, _, err := got(testHTTP(), s.URL, Marks{}, nil)
	if err != nil || len(text) > 10<<10 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

// TestFolder: each new or changed file once, the oldest first; nothing else.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, at time.Time) {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(p, at, at); err != nil {
			t.Fatal(err)
		}
	}
	write("b.json", "first", testNow)
	write("a.json", "second", testNow.Add(time.Hour))
	write(".hidden", "x", testNow)
	write("half.part", "x", testNow)
	if err := os.Mkdir(filepath.Join(dir, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	os.Symlink("/etc/hostname", filepath.Join(dir, "link.json")) // where links exist
	d := &Folder{Allowed: []string{dir}}
	var seen []string
	fetch := func(path string) error {
		seen = nil
		_, err := d.Fetch(context.Background(), vedette.Feed{Name: "f", Fetch: vedette.FetchFolder, Path: path}, Marks{}, func(doc Document) error {
			b, err := io.ReadAll(doc.Body)
			seen = append(seen, doc.Name+"="+string(b))
			return err
		})
		return err
	}
	for i, want := range []string{"[b.json=first a.json=second]", "[]"} {
		if err := fetch(dir); err != nil || fmt.Sprint(seen) != want {
			t.Errorf("%d: %v, %v; want %s", i, seen, err, want)
		}
	}
	write("b.json", "third", testNow.Add(2*time.Hour))
	if err := fetch(dir); err != nil || fmt.Sprint(seen) != "[b.json=third]" {
		t.Errorf("%v, %v", seen, err)
	}
	for _, path := range []string{"/etc", filepath.Dir(dir), dir + "x"} {
		if err := fetch(path); err == nil {
			t.Errorf("%s is looked into", path)
		}
	}
}
