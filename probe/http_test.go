package probe

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/scope"
)

// web is the subject of a test server.
func web(t testing.TB, h http.Handler) Subject {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return webAt(s.Listener.Addr(), false)
}

func webAt(a net.Addr, secure bool) Subject {
	s := at(a)
	s.Service, s.TLS = "http", secure
	return s
}

// looked runs one check.
func looked(t testing.TB, env *Env, c Check, s Subject) ([]vedette.Observation, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out []vedette.Observation
	err := c.Run(ctx, env, s, func(o vedette.Observation) { out = append(out, o) })
	return out, err
}

func products(f vedette.Fact) string {
	var out []string
	for _, sw := range f.Software {
		out = append(out, strings.TrimSuffix(sw.Vendor+"/"+sw.Product+" "+sw.Version, " "))
	}
	return strings.Join(out, ", ")
}

var icon1 = []byte("\x00\x00\x01\x00 an icon")

// mux answers by path; everything else is 404.
type mux map[string]func(w http.ResponseWriter, r *http.Request)

func (m mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f := m[r.URL.Path]; f != nil {
		f(w, r)
		return
	}
	http.NotFound(w, r)
}

func text(s string, header ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		io.WriteString(w, s)
	}
}

func to(where string, header ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		w.Header().Set("Location", where)
		w.WriteHeader(http.StatusFound)
	}
}

func TestHTTP(t *testing.T) {
	packed := func(s string) func(http.ResponseWriter, *http.Request) {
		var b bytes.Buffer
		zw := gzip.NewWriter(&b)
		io.WriteString(zw, s)
		zw.Close()
		return text(b.String(), "Content-Encoding", "gzip", "Content-Type", "text/html")
	}
	tests := []struct {
		name     string
		site     mux
		products string
		details  map[string]string
	}{
		{"header", mux{"/": text("<html><head><title>\n Dashboard  &amp; more </title>", "Server", "Apache/2.4.62 (Debian)", "X-Jenkins", "2.440.1")},
			"apache/http_server 2.4.62, jenkins/jenkins 2.440.1", map[string]string{"status": "200", "title": "Dashboard & more", "server": "Apache/2.4.62 (Debian)"}},
		{"generator", mux{"/": text(`<meta content="WordPress 6.4.3" name=generator>`)}, "wordpress/wordpress 6.4.3", map[string]string{"status": "200"}},
		{"gzip", mux{"/": packed("<title>Apache Tomcat/9.0.43</title>")}, "apache/tomcat 9.0.43", map[string]string{"status": "200", "title": "Apache Tomcat/9.0.43"}},
		{"redirect", mux{"/": to("/login;jsessionid=ABC?x=1", "Set-Cookie", "ZM_TEST=true"), "/login;jsessionid=ABC": text("<title>in</title>")},
			"synacor/zimbra_collaboration_suite", map[string]string{"status": "200", "title": "in", "redirect": "/login"}},
		{"refresh", mux{"/": text(`<meta http-equiv="refresh" content="0; url=/new/">`), "/new/": text("<title>new</title>")},
			"", map[string]string{"status": "200", "title": "new", "redirect": "/new/"}},
		{"loop", mux{"/": to("/a"), "/a": to("/b"), "/b": to("/a")}, "", map[string]string{"status": "302", "redirect": "/a"}},
		{"long chain", mux{"/": to("/1"), "/1": to("/2"), "/2": to("/3"), "/3": to("/4"), "/4": to("/5"), "/5": to("/6"), "/6": to("/7")},
			"", map[string]string{"status": "302", "redirect": "/5"}},
		{"other port", mux{"/": to("https://127.0.0.1/login")}, "", map[string]string{"status": "302", "redirect": "https://127.0.0.1/login"}},
		{"other scheme", mux{"/": to("file:///etc/passwd")}, "", map[string]string{"status": "302"}},
		{"icon", mux{"/": text(`<link rel="shortcut icon" href=/i.ico?v=3>`), "/i.ico": text(string(icon1))}, "",
			map[string]string{"status": "200", "favicon_md5": nameIcon(icon1).md5, "favicon_mmh3": nameIcon(icon1).mmh3}},
		{"icon that is a page", mux{"/": text("x"), "/favicon.ico": text("<html>")}, "", map[string]string{"status": "200"}},
		{"icon from elsewhere", mux{"/": text(`<link rel="icon" href="http://127.0.0.9:1/i.ico">`), "/favicon.ico": text(string(icon1))}, "", map[string]string{"status": "200"}},
		{"escapes", mux{"/": text("<title>\x1b[31mred\x00\u202e</title>", "Server", "x\u202e\xff")}, "",
			map[string]string{"status": "200", "title": `\x1b[31mred\x00\u{202e}`, "server": `x\u{202e}\xff`}},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			s := web(t, x.site)
			list, err := looked(t, world(t), HTTP, s)
			if err != nil || len(list) != 1 {
				t.Fatalf("%v %v", list, err)
			}
			f := list[0].Fact
			if got := products(f); got != x.products {
				t.Errorf("software %q, want %q", got, x.products)
			}
			if !maps.Equal(f.Details, x.details) {
				t.Errorf("details %q, want %q", f.Details, x.details)
			}
		})
	}
}

// scoped is world with another scope.
func scoped(t testing.TB, e vedette.ScopeEntry, exclude string) *Env {
	t.Helper()
	env := world(t)
	c := vedette.Constituent{ID: "test", Scope: []vedette.ScopeEntry{e}, Exclude: []vedette.ScopeEntry{{Domain: exclude, Subdomains: true}}}
	rules := scope.NewRules(c, nil, true, time.Now)
	env.Net = safe.NewDialer(true).Scope(rules.Decide, func(vedette.Target, error) {}, safe.NewBrakes(safe.Pace{Requests: 1e6, Connects: 1e6}.Within(true)))
	return env
}

// speakRaw reads a request and says bytes.
func speakRaw(answer string) func(net.Conn) {
	return func(c net.Conn) {
		defer c.Close()
		buf := make([]byte, 4096)
		c.Read(buf)
		io.WriteString(c, answer)
	}
}

// TestHTTPIsStable: two looks at one site give one fact, whatever changes in it.
func TestHTTPIsStable(t *testing.T) {
	n := 0
	s := web(t, mux{"/": func(w http.ResponseWriter, _ *http.Request) {
		n++
		w.Header().Set("Set-Cookie", fmt.Sprintf("PHPSESSID=%d; path=/", n))
		w.Header().Set("X-Request-Id", fmt.Sprint(n))
		w.Header().Set("Location", fmt.Sprintf("/login?nonce=%d", n))
		w.WriteHeader(http.StatusFound)
	}, "/login": func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "<title>Sign in</title><input name=csrf value=%d>", n)
	}})
	env := world(t)
	first, err := looked(t, env, HTTP, s)
	second, err2 := looked(t, env, HTTP, s)
	if err != nil || err2 != nil || !reflect.DeepEqual(first, second) {
		t.Errorf("%+v\n%+v\n%v %v", first, second, err, err2)
	}
	if products(first[0].Fact) != "php/php" {
		t.Errorf("%q", products(first[0].Fact))
	}
}

func TestHTTPOverTLS(t *testing.T) {
	var name atomic.Value
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name.Store(r.TLS.ServerName + " " + r.Host + " " + r.UserAgent())
		text("<title>secure</title>", "Strict-Transport-Security", "max-age=1")(w, r)
	}))
	t.Cleanup(srv.Close)
	env := world(t)
	s := webAt(srv.Listener.Addr(), true)
	s.Asset = vedette.Asset{ID: "www.site.example", Kind: vedette.NameAsset}
	list, err := looked(t, env, HTTP, s)
	if err != nil || len(list) != 1 || list[0].Fact.Details["title"] != "secure" || list[0].Fact.Details["hsts"] != "yes" || !list[0].Fact.TLS {
		t.Fatalf("%+v %v", list, err)
	}
	if want := fmt.Sprintf("www.site.example www.site.example:%d %s", s.Port, env.Agent); name.Load() != want {
		t.Errorf("asked as %q, want %q", name.Load(), want)
	}
}

// TestRedirectsWidenNothing: what is elsewhere is recorded and not touched.
func TestRedirectsWidenNothing(t *testing.T) {
	var touched atomic.Int64
	trap := serve(t, func(c net.Conn) { touched.Add(1); c.Close() })
	elsewhere, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("127.0.0.2 cannot be listened on")
	}
	far := serveOn(t, elsewhere, func(c net.Conn) { touched.Add(1); c.Close() })
	_, farPort, _ := net.SplitHostPort(far.String())
	for _, where := range []string{
		"http://" + trap.String() + "/", "http://" + far.String() + "/x", "//other.example:" + farPort + "/", "http://[::1]:" + farPort + "/",
		"http://127.0.0.1:" + farPort + "@other.example/", "http://2130706434:" + farPort + "/", "https://other.example/", "javascript:alert(1)", "http://%zz/", strings.Repeat("/a", 4000),
	} {
		s := web(t, mux{"/": to(where)})
		list, err := looked(t, world(t), HTTP, s)
		if err != nil || len(list) != 1 {
			t.Errorf("%s: %v %v", where, list, err)
		}
	}
	if n := touched.Load(); n != 0 {
		t.Errorf("%d connections to what is not the subject", n)
	}
}

// TestRedirectToAnotherName is followed at the same address only, and only
// where the scope allows the name there.
func TestRedirectToAnotherName(t *testing.T) {
	var hosts []string
	var port string
	s := web(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts = append(hosts, strings.TrimSuffix(r.Host, ":"+port))
		if strings.HasPrefix(r.Host, "127.") {
			to("http://www.site.example:"+port+"/")(w, r)
			return
		}
		text("<title>by name</title>")(w, r)
	}))
	port = fmt.Sprint(s.Port)
	list, err := looked(t, world(t), HTTP, s)
	if err != nil || list[0].Fact.Details["title"] != "by name" || !slices.Contains(hosts, "www.site.example") {
		t.Errorf("%v %v %v", list, err, hosts)
	}
	missing := web(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Host, "127.") {
			to("http://sso.elsewhere.example:"+port+"/", "Server", "nginx/1.25.3")(w, r)
			return
		}
		http.NotFound(w, r)
	}))
	port = fmt.Sprint(missing.Port)
	list, err = looked(t, world(t), HTTP, missing)
	if err != nil || list[0].Fact.Details["redirect_out"] == "" || list[0].Fact.Details["status"] != "302" || products(list[0].Fact) != "f5/nginx 1.25.3" {
		t.Errorf("a name that does not live here: %+v %v", list, err)
	}
	port, hosts = fmt.Sprint(s.Port), nil
	env := scoped(t, vedette.ScopeEntry{CIDR: "127.0.0.0/8", Document: "test", Classes: []vedette.CheckClass{vedette.Active}}, "site.example")
	list, err = looked(t, env, HTTP, s)
	if err != nil || list[0].Fact.Details["redirect_out"] == "" || slices.Contains(hosts, "www.site.example") {
		t.Errorf("excluded: %v %v %v", list, err, hosts)
	}
}

// TestHostileWeb: the check ends in time, with bounded memory, and proves nothing by what it could not read.
func TestHostileWeb(t *testing.T) {
	endless := func(head, more string) func(net.Conn) {
		return func(c net.Conn) {
			defer c.Close()
			c.Read(make([]byte, 4096))
			io.WriteString(c, head)
			for {
				if _, err := io.WriteString(c, more); err != nil {
					return
				}
			}
		}
	}
	var bomb bytes.Buffer
	zw := gzip.NewWriter(&bomb)
	for range 64 {
		zw.Write(make([]byte, 1<<20))
	}
	zw.Close()
	tests := []struct {
		name  string
		speak func(net.Conn)
		fails bool
	}{
		{"endless body", endless("HTTP/1.1 200 OK\r\n\r\n<title>long</title>", strings.Repeat("x", 4096)), false},
		{"endless chunks", endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"), false},
		{"endless header", endless("HTTP/1.1 200 OK\r\n", "X-A: "+strings.Repeat("b", 4096)+"\r\n"), true},
		{"endless line", endless("HTTP/1.1 200 OK\r\nX-A: ", strings.Repeat("b", 4096)), true},
		{"endless 100", endless("", "HTTP/1.1 100 Continue\r\n\r\n"), true},
		{"gzip bomb", speakRaw("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n" + bomb.String()), false},
		{"broken gzip", speakRaw("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n\x1f\x8b nothing"), false},
		{"no http", speakRaw("SSH-2.0-OpenSSH_9.6\r\n"), true},
		{"nothing", func(c net.Conn) { c.Close() }, true},
		{"drip", func(c net.Conn) {
			defer c.Close()
			for _, b := range []byte(strings.Repeat("HTTP/1.1 200 OK\r\nX: y", 100)) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}, true},
		{"negative length", speakRaw("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nx"), true},
		{"both lengths", speakRaw("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\nx\r\n0\r\n\r\n"), false},
		{"busy", speakRaw("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n"), true},
		{"failing", speakRaw("HTTP/1.1 500 Internal Server Error\r\nServer: example\r\nConnection: close\r\n\r\n"), true},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			env := world(t)
			env.Timeout = 400 * time.Millisecond
			begun := time.Now()
			list, err := looked(t, env, HTTP, webAt(serve(t, x.speak), false))
			if (err != nil) != x.fails || (len(list) == 0) != x.fails {
				t.Errorf("%v %v", list, err)
			}
			if d := time.Since(begun); d > 10*time.Second {
				t.Errorf("took %v", d)
			}
			for _, o := range list {
				for k, v := range o.Fact.Details {
					if len(v) > 1024 {
						t.Errorf("%s has %d bytes", k, len(v))
					}
				}
			}
		})
	}
}

// TestRequests: one check sends at most maxRequests, and waits for the brakes.
func TestRequests(t *testing.T) {
	var n atomic.Int64
	s := web(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to(fmt.Sprintf("/%d", n.Add(1)))(w, r)
	}))
	if _, err := looked(t, world(t), HTTP, s); err != nil {
		t.Error(err)
	}
	if got := n.Load(); got > maxRequests {
		t.Errorf("%d requests", got)
	}
}

func reports(list []vedette.Observation) string {
	var out []string
	for _, o := range list {
		for _, r := range o.Fact.Reports {
			out = append(out, fmt.Sprintf("%s %s %s", o.Path, r.Weakness, r.Verdict))
		}
	}
	return strings.Join(out, ", ")
}

func TestWebExposures(t *testing.T) {
	everywhere := func(s string, header ...string) http.Handler { return http.HandlerFunc(text(s, header...)) }
	status := "127.0.0.1\nServerVersion: Apache/2.4.62 (Debian)\nTotal Accesses: 1\nBusyWorkers: 1\nIdleWorkers: 4\nScoreboard: _W__.\n"
	valid := "# hello\nContact: mailto:security@site.example\nExpires: 2030-01-01T00:00:00Z\n"
	expired := "Contact: https://site.example/report\r\nExpires: 2020-01-01T00:00:00z\r\n"
	listing := `<html><head><title>Index of /</title></head><body><h1>Index of /</h1><hr><pre><a href="backup.zip">backup.zip</a></pre>`
	tests := []struct {
		name    string
		check   Check
		site    http.Handler
		reports string
		fails   bool
		details string // of the first observation
	}{
		{"git", HTTPGit, mux{"/.git/HEAD": text("ref: refs/heads/main\n")}, "/.git/ check:exposed-git confirmed", false, ""},
		{"git, detached", HTTPGit, mux{"/.git/HEAD": text(strings.Repeat("0a", 20) + "\n")}, "/.git/ check:exposed-git confirmed", false, ""},
		{"git, a page for every path", HTTPGit, everywhere("<html>welcome</html>"), "", false, ""},
		{"git, the head for every path", HTTPGit, everywhere("ref: refs/heads/main\n"), "", false, ""},
		{"git, the head for every path below", HTTPGit, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/.git/") {
				io.WriteString(w, "ref: refs/heads/main\n")
			} else {
				http.NotFound(w, r)
			}
		}), "", false, ""},
		{"git, every HEAD", HTTPGit, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/HEAD") {
				io.WriteString(w, "ref: refs/heads/main\n")
			} else {
				http.NotFound(w, r)
			}
		}), "", false, ""},
		{"git, none", HTTPGit, mux{}, "", false, ""},
		{"git, forbidden", HTTPGit, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }), "", false, ""},
		{"git, busy", HTTPGit, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }), "", true, ""},
		{"status", HTTPServerStatus, mux{"/server-status": text(status)}, "/server-status check:apache-server-status confirmed", false, ""},
		{"status for every path", HTTPServerStatus, everywhere(status), "", false, ""},
		{"status, none", HTTPServerStatus, mux{}, "", false, ""},
		{"security.txt", HTTPSecurityTxt, mux{"/.well-known/security.txt": text(valid, "Content-Type", "text/plain; charset=utf-8")}, "", false, "valid"},
		{"security.txt, expired", HTTPSecurityTxt, mux{"/.well-known/security.txt": text(expired, "Content-Type", "text/plain")}, "/.well-known/security.txt check:security-txt-expired confirmed", false, "expired"},
		{"security.txt without date", HTTPSecurityTxt, mux{"/.well-known/security.txt": text("Contact: mailto:a@site.example\n", "Content-Type", "text/plain")}, "", false, "invalid: no Expires"},
		{"security.txt, a page", HTTPSecurityTxt, everywhere("<html>Contact: us Expires: never</html>", "Content-Type", "text/html"), "", false, ""},
		{"security.txt, none", HTTPSecurityTxt, mux{}, "", false, ""},
		{"listing", HTTP, mux{"/": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				text(listing)(w, r)
			}
		}}, " check:directory-listing confirmed", false, ""},
		{"listing for every path", HTTP, everywhere(listing), "", false, ""},
		{"no listing", HTTP, everywhere("<title>Index of / all things</title>"), "", false, ""},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			env := world(t)
			env.Now = func() time.Time { return time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC) }
			list, err := looked(t, env, x.check, web(t, x.site))
			if got := reports(list); got != x.reports || (err != nil) != x.fails {
				t.Errorf("%q %v, want %q", got, err, x.reports)
			}
			if x.details != "" && (len(list) == 0 || list[0].Fact.Details["security_txt"] != x.details) {
				t.Errorf("%+v", list)
			}
		})
	}
}

// TestMurmur3 checks the published test values of MurmurHash3_x86_32.
func TestMurmur3(t *testing.T) {
	for _, x := range []struct {
		text       string
		seed, want uint32
	}{
		{"", 0, 0}, {"", 1, 0x514E28B7}, {"", 0xffffffff, 0x81F16F39}, {"\xff\xff\xff\xff", 0, 0x76293B50}, {"!Ce\x87", 0, 0xF55B516B},
		{"!Ce", 0, 0x7E4A8634}, {"!C", 0, 0xA0F7B07A}, {"!", 0, 0x72661CF4}, {"aaaa", 0x9747b28c, 0x5A97808A}, {"abc", 0, 0xB3DD93FA},
		{"Hello, world!", 0x9747b28c, 0x24884CBA}, {"The quick brown fox jumps over the lazy dog", 0x9747b28c, 0x2FA826CD},
	} {
		if got := murmur3([]byte(x.text), x.seed); got != x.want {
			t.Errorf("%q %#x: %#x, want %#x", x.text, x.seed, got, x.want)
		}
	}
	b := bytes.Repeat([]byte{7}, 100)
	lines := strings.Split(string(iconText(b)), "\n")
	if len(lines) != 3 || len(lines[0]) != 76 || lines[2] != "" || strings.Join(lines, "") != base64.StdEncoding.EncodeToString(b) {
		t.Errorf("%q", lines)
	}
}

func FuzzPage(f *testing.F) {
	f.Add([]byte("<title>a</title><meta name=generator content='x'><link rel=icon href=/f><meta http-equiv=refresh content='0;url=/x'>"), "http://a.example/")
	f.Add([]byte("Contact: x\nExpires: 2030-01-01T00:00:00Z\n"), "//[::1")
	f.Add([]byte("<TITLE \n>\xff\x1b</title"), "/a;b?c")
	w := &site{s: Subject{Asset: vedette.Asset{ID: "127.0.0.1", Kind: vedette.AddressAsset}, Addr: netip.MustParseAddr("127.0.0.1"), Port: 80}}
	f.Fuzz(func(t *testing.T, body []byte, location string) {
		p := &page{url: w.url("/"), status: 302, body: body, header: http.Header{"Location": {location}, "Content-Type": {"text/plain"}}}
		if title := titleOf(body); len([]rune(title)) > maxTitle || strings.ContainsAny(title, "\x1b\x00\n") {
			t.Fatalf("title %q", title)
		}
		generators(body)
		iconOf(body)
		if u := p.redirect(); u != nil {
			if s := shownURL(u, p.url); len(s) > 200 || strings.ContainsAny(s, "?\x1b\r") {
				t.Fatalf("%q", s)
			}
		}
		p.status = 200
		p.redirect()
		isListing(p)
		isGitHead(p)
		readSecurityTxt(p)
	})
}
