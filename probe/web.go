package probe

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// What is read of one web server is bounded, whatever it sends.
const (
	maxWebHeader = 64 << 10  // bytes of the header of one answer
	maxWebBody   = 256 << 10 // bytes of one body, packed or not
	maxWebRatio  = 100       // bytes unpacked per byte packed, above a floor
	webFloor     = 64 << 10
	maxRequests  = 8 // of one check on one subject
)

// errTooLarge is an answer larger than anything we read.
var errTooLarge = errors.New("the answer is too large")

// allowance hands out n bytes, then fails.
type allowance struct {
	r io.Reader
	n int64
}

func (a *allowance) Read(p []byte) (int, error) {
	if a.n <= 0 {
		return 0, errTooLarge
	}
	n, err := a.r.Read(p[:min(int64(len(p)), a.n)])
	a.n -= int64(n)
	return n, err
}

// site is a web server under one name, spoken to in HTTP/1.1 (RFC 9112). The
// scope decides on each connection, the brakes on each request.
type site struct {
	env  *Env
	s    Subject // whose asset is the name of the session
	left int     // requests that may still be sent

	conn net.Conn
	in   *allowance
	buf  *bufio.Reader
	leaf *x509.Certificate // of the last TLS session
}

// page is one answer.
type page struct {
	url    *url.URL
	status int
	header http.Header
	body   []byte
	whole  bool // body is all there is
}

func newSite(env *Env, s Subject) *site { return &site{env: env, s: s, left: maxRequests} }

func (w *site) close() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

// host is the name of the session: that of the asset, or the address.
func (w *site) host() string {
	if n := w.s.Name(); n != "" {
		return n
	}
	return w.s.Addr.String()
}

// url is a place on the site; ref is a path with or without a query.
func (w *site) url(ref string) *url.URL {
	u := &url.URL{Scheme: "http", Host: w.host(), Path: "/"}
	standard := uint16(80)
	if w.s.TLS {
		u.Scheme, standard = "https", 443
	}
	if strings.Contains(u.Host, ":") {
		u.Host = "[" + u.Host + "]"
	}
	if w.s.Port != standard {
		u.Host += ":" + strconv.Itoa(int(w.s.Port))
	}
	if r, err := url.Parse(ref); err == nil {
		u.Path, u.RawPath, u.RawQuery = r.Path, r.RawPath, r.RawQuery
	}
	if !strings.HasPrefix(u.Path, "/") {
		u.Path, u.RawPath = "/"+u.Path, ""
	}
	return u
}

// open connects, unless a connection is open.
func (w *site) open(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	conn, err := w.env.Dial(ctx, w.s, vedette.Active)
	if err != nil {
		return err
	}
	if w.s.TLS {
		c := tls.Client(conn, anyTLS(w.s.Name()))
		if err := c.HandshakeContext(ctx); err != nil {
			conn.Close()
			return fmt.Errorf("TLS: %w", err)
		}
		if certs := c.ConnectionState().PeerCertificates; len(certs) > 0 {
			w.leaf = certs[0]
		}
		conn = c
	}
	w.conn, w.in = conn, &allowance{r: conn}
	w.buf = bufio.NewReader(w.in)
	return nil
}

// get asks for a path. What a connection that was kept open loses is asked for
// once more on a new one.
func (w *site) get(ctx context.Context, ref string) (*page, error) {
	kept := w.conn != nil
	p, err := w.ask(ctx, ref)
	if err != nil && kept && ctx.Err() == nil && !errors.Is(err, errTooLarge) {
		p, err = w.ask(ctx, ref)
	}
	return p, err
}

func (w *site) ask(ctx context.Context, ref string) (*page, error) {
	if w.left == 0 {
		return nil, errors.New("too many requests")
	}
	w.left--
	if err := w.env.Net.Request(ctx, w.s.Addr); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, w.env.Timeout)
	defer cancel()
	if err := w.open(ctx); err != nil {
		return nil, err
	}
	conn := w.conn
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	p, keep, err := w.exchange(ref)
	if !stop() || !keep || err != nil {
		w.close()
	}
	return p, err
}

// exchange is one request and its answer.
func (w *site) exchange(ref string) (p *page, keep bool, err error) {
	if err := w.conn.SetDeadline(time.Now().Add(w.env.Timeout)); err != nil {
		return nil, false, err
	}
	req := &http.Request{Method: http.MethodGet, URL: w.url(ref), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{
		"User-Agent": {oneLine(w.env.Agent)}, "Accept": {"*/*"}, "Accept-Encoding": {"gzip"}}}
	if err := req.Write(w.conn); err != nil {
		return nil, false, err
	}
	resp, err := w.answer(req)
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close()
	w.in.n = maxWebBody + 8<<10 // what is buffered, and the frame of chunks
	p = &page{url: req.URL, status: resp.StatusCode, header: resp.Header}
	p.body, p.whole, err = readBody(resp)
	return p, p.whole && !resp.Close, err
}

// answer reads the header of the final answer; those before it (RFC 9110 §15.2) are skipped.
func (w *site) answer(req *http.Request) (*http.Response, error) {
	for range 4 {
		w.in.n = maxWebHeader
		resp, err := http.ReadResponse(w.buf, req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode/100 != 1 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil
		}
	}
	return nil, errors.New("no final answer")
}

// readBody reads at most maxWebBody bytes and says whether that was all. What
// cannot be unpacked is read as it is.
func readBody(resp *http.Response) (body []byte, whole bool, err error) {
	packed, err := io.ReadAll(io.LimitReader(resp.Body, maxWebBody+1))
	whole = err == nil && len(packed) <= maxWebBody
	packed = packed[:min(len(packed), maxWebBody)]
	if err != nil && (len(packed) == 0 || !errors.Is(err, errTooLarge) && !errors.Is(err, io.ErrUnexpectedEOF)) {
		return nil, false, err
	}
	if !strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		return packed, whole, nil
	}
	zr, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return packed, whole, nil
	}
	limit := max(webFloor, min(maxWebBody, maxWebRatio*len(packed)))
	out, err := io.ReadAll(io.LimitReader(zr, int64(limit)+1))
	if len(out) > limit {
		return out[:limit], false, nil
	}
	return out, whole && err == nil, nil
}

// errUnfit is an answer that shows nothing of what is behind it: then the look
// proves neither presence nor absence.
type errUnfit int

func (e errUnfit) Error() string { return "the server answers " + strconv.Itoa(int(e)) }

// unfit says whether a status is one of a server that is busy or fails, or of a
// gateway that does not reach it (RFC 9110 §15.6, RFC 6585 §4).
func (p *page) unfit() error {
	if p.status == http.StatusTooManyRequests || p.status >= 500 {
		return errUnfit(p.status)
	}
	return nil
}

// redirect is where an answer sends us (RFC 9110 §10.2.2, or a page's meta refresh).
func (p *page) redirect() *url.URL {
	to := ""
	if p.status/100 == 3 {
		to = p.header.Get("Location")
	} else if m := metaRefresh.FindSubmatch(p.body); m != nil {
		to = html.UnescapeString(string(m[1]))
	}
	if to == "" || len(to) > 2048 {
		return nil
	}
	u, err := p.url.Parse(strings.TrimSpace(to))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil
	}
	u.Fragment, u.User = "", nil
	return u
}

// follow changes the session to the host of a URL. It says no where the URL is
// not of this port, and where the scope does not let us speak to that name at
// the address of the subject: a redirect widens nothing.
func (w *site) follow(u *url.URL) bool {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if port != strconv.Itoa(int(w.s.Port)) || (u.Scheme == "https") != w.s.TLS {
		return false
	}
	a, err := vedette.ParseAsset(u.Hostname())
	if err != nil {
		return false
	}
	if a.ID == w.s.Asset.ID {
		return true
	}
	if a.Kind == vedette.AddressAsset && a.ID != w.s.Addr.Unmap().String() {
		return false
	}
	to := w.s
	to.Asset = a
	if w.env.Net.May(vedette.Target{Network: w.s.Proto, Addr: netip.AddrPortFrom(w.s.Addr, w.s.Port), Name: to.Name(), Class: vedette.Active}) != nil {
		return false
	}
	w.close()
	w.s = to
	return true
}
