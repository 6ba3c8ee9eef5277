package lab

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// serveHTTP answers HTTP/1.0 and 1.1 (RFC 9110, RFC 9112), with connections that stay.
func serveHTTP(s *session) {
	for range 200 {
		head, err := s.r.Peek(1)
		if err != nil {
			return
		}
		if _, on := s.Conn.(*tls.Conn); !on && head[0] == 0x16 {
			s.plainHTTP(http.StatusBadRequest, "The plain HTTP request was sent to HTTPS port")
			return
		}
		req, err := http.ReadRequest(bufio.NewReaderSize(&limited{s.r, 1 << 16}, 4096))
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.plainHTTP(http.StatusBadRequest, "Bad Request")
			}
			return
		}
		io.Copy(io.Discard, io.LimitReader(req.Body, 1<<16))
		if s.answerHTTP(req) != nil || req.Close || !req.ProtoAtLeast(1, 1) {
			return
		}
	}
}

// limited reads byte by byte off a shared reader, so that what one request does
// not use stays for the next.
type limited struct {
	r *bufio.Reader
	n int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.n--; l.n < 0 {
		return 0, io.ErrUnexpectedEOF
	}
	b, err := l.r.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}

func (s *session) plainHTTP(status int, text string) {
	s.say("HTTP/1.1 %d %s\r\nServer: %s\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, http.StatusText(status), s.shown(), len(text), text)
}

// answerHTTP finds the page and writes it.
func (s *session) answerHTTP(req *http.Request) error {
	p := s.page(req.URL.Path, req.URL.RawQuery)
	body := strings.ReplaceAll(p.Body, "{version}", s.live.svc.Software.Version)
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 " + strconv.Itoa(p.Status) + " " + http.StatusText(p.Status) + "\r\n")
	h := http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}, "Content-Type": {"text/html; charset=utf-8"}, "Content-Length": {strconv.Itoa(len(body))}}
	if shown := s.shown(); shown != "" {
		h.Set("Server", shown)
	}
	for k, v := range p.Headers {
		h.Set(k, strings.ReplaceAll(v, "{version}", s.live.svc.Software.Version))
	}
	if err := h.Write(&b); err != nil {
		return err
	}
	b.WriteString("\r\n")
	if req.Method != http.MethodHead {
		b.WriteString(body)
	}
	_, err := s.Write(b.Bytes())
	return err
}

// page is what a path shows: what a weakness opens, a page of the file, the
// redirect, the one page for all, or that there is none.
func (s *session) page(path, query string) Page {
	v := s.live.svc
	for _, w := range httpWeak {
		if p, ok := w.pages[path+"?"+query]; ok && v.has(w.id) {
			return p
		}
		if p, ok := w.pages[path]; ok && v.has(w.id) {
			return p
		}
	}
	if i := slices.IndexFunc(v.Pages, func(p Page) bool { return p.Path == path }); i >= 0 {
		return v.Pages[i]
	}
	switch {
	case v.Redirect != "":
		return Page{Status: http.StatusMovedPermanently, Headers: map[string]string{"Location": v.Redirect}, Body: "Moved"}
	case v.CatchAll && len(v.Pages) > 0:
		return v.Pages[0]
	case path == "/":
		return Page{Status: http.StatusOK, Body: "<!doctype html><title>" + s.live.host.name() + "</title><p>It works."}
	}
	return Page{Status: http.StatusNotFound, Body: "<!doctype html><title>404 Not Found</title><h1>Not Found</h1>"}
}

var text = map[string]string{"Content-Type": "text/plain"}

// httpWeak are the pages that weaknesses open.
var httpWeak = []struct {
	id    string
	pages map[string]Page
}{
	{"check:exposed-git", map[string]Page{
		"/.git/HEAD":   {Status: 200, Headers: text, Body: "ref: refs/heads/main\n"},
		"/.git/config": {Status: 200, Headers: text, Body: "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n[remote \"origin\"]\n\turl = https://git.alder.example/web.git\n"},
	}},
	{"check:directory-listing", map[string]Page{
		"/": {Status: 200, Body: "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\">\n<html><head><title>Index of /</title></head><body><h1>Index of /</h1>\n<pre><a href=\"?C=N;O=D\">Name</a> <a href=\"?C=M;O=A\">Last modified</a>\n<a href=\"accounts.csv\">accounts.csv</a> 2026-02-11 10:04 14K\n</pre></body></html>\n"},
	}},
	{"check:apache-server-status", map[string]Page{
		"/server-status": {Status: 200, Body: "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\">\n<html><head><title>Apache Status</title></head><body><h1>Apache Server Status for localhost</h1>\n<dl><dt>Server Version: Apache</dt><dt>Server uptime: 3 days</dt></dl></body></html>\n"},
		"/server-status?auto": {Status: 200, Headers: map[string]string{"Content-Type": "text/plain; charset=ISO-8859-1"}, // mod_status, machine readable
			Body: "localhost\nServerVersion: Apache/{version} (Debian)\nServerMPM: event\nServer Built: 2022-06-09T04:26:43\nServerUptimeSeconds: 259200\nTotal Accesses: 1204\nTotal kBytes: 5311\nUptime: 259200\nReqPerSec: .00464\nBusyWorkers: 1\nIdleWorkers: 49\nScoreboard: W_________........\n"},
	}},
	{"check:security-txt-expired", map[string]Page{
		"/.well-known/security.txt": {Status: 200, Headers: text, Body: "Contact: mailto:security@birch.example\nExpires: 2025-06-30T00:00:00Z\n"},
	}},
}
