package lab

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// block is where the tests of this process put their lab, so that two may run at once.
func block() int { return 100 + os.Getpid()%50 }

// started is the built-in internet on addresses of its own.
func started(t *testing.T) *Internet {
	t.Helper()
	in, err := Load(Moved(Default(), block()))
	if err != nil {
		t.Fatal(err)
	}
	in.Log = t.Logf
	return serve(t, in)
}

func serve(t *testing.T, in *Internet) *Internet {
	t.Helper()
	if err := in.Serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Close)
	return in
}

// call connects to a service of the built-in internet, "0.10" for its host.
func call(t *testing.T, in *Internet, host string, port int, proto string) net.Conn {
	t.Helper()
	c, err := dial(t.Context(), in, fmt.Sprintf("127.%d.%s", block(), host), port, proto)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func dial(ctx context.Context, in *Internet, host string, port int, proto string) (net.Conn, error) {
	at := in.At(netip.MustParseAddr(host), port, proto)
	c, err := safe.NewDialer(true).Public(ctx, proto, at.String())
	if err == nil {
		err = c.SetDeadline(time.Now().Add(20 * time.Second))
	}
	return c, err
}

// trusting is a client's TLS that trusts the lab.
func trusting(t *testing.T, in *Internet, name string) *tls.Config {
	t.Helper()
	pem, err := in.Roots()
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: pool, ServerName: name, MinVersion: tls.VersionTLS10}
}

// get asks for a page over an open connection.
func get(t *testing.T, c net.Conn, name, path string) (*http.Response, string) {
	t.Helper()
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, name)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func firstLine(t *testing.T, c net.Conn) string {
	t.Helper()
	l, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(l)
}

func TestStartsAndStopsWithoutLeaks(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	in, err := Load(Moved(Default(), block()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := in.Serve(ctx); err != nil {
		t.Fatal(err)
	}
	call(t, in, "0.10", 22, "tcp")
	if err := in.Set("www.alder.example", 22, Change{Flap: time.Millisecond}); err != nil {
		t.Error(err)
	}
	in.Close()
	if _, err := dial(t.Context(), in, fmt.Sprintf("127.%d.0.10", block()), 22, "tcp"); err == nil {
		t.Error("it answers after it was closed")
	}
}

func TestStopsWithItsContext(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	in, err := Load(Moved(Default(), block()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := in.Serve(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	in.Close()
}

func TestSet(t *testing.T) {
	in := started(t)
	if got := firstLine(t, call(t, in, "0.10", 22, "tcp")); got != "SSH-2.0-OpenSSH_8.4p1 Debian-5+deb11u3" {
		t.Errorf("it says %q", got)
	}
	set := func(c Change) {
		t.Helper()
		if err := in.Set("www.alder.example", 22, c); err != nil {
			t.Fatal(err)
		}
	}
	set(Change{Version: "9.2p1", Banner: "OpenSSH_{version}"})
	if got := firstLine(t, call(t, in, "0.10", 22, "tcp")); got != "SSH-2.0-OpenSSH_9.2p1" {
		t.Errorf("upgraded, it says %q", got)
	}
	host := fmt.Sprintf("127.%d.0.10", block())
	row := func() TruthRow {
		rows := in.Truth()
		return rows[slices.IndexFunc(rows, func(r TruthRow) bool { return r.Asset == host && r.Port == 22 })]
	}
	if r := row(); r.Version != "9.2p1" || !r.Reachable {
		t.Errorf("the truth is %+v", r)
	}
	set(Change{Stop: true})
	if _, err := dial(t.Context(), in, host, 22, "tcp"); err == nil || row().Reachable {
		t.Error("stopped, it still answers")
	}
	set(Change{Start: true})
	call(t, in, "0.10", 22, "tcp")
	for err, f := range map[string]func() error{
		"no host":        func() error { return in.Set("nobody.example", 1, Change{}) },
		"nothing at por": func() error { return in.Set(host, 1, Change{}) },
	} {
		if got := f(); !errors.Is(got, vedette.ErrNotFound) || !strings.Contains(got.Error(), err) {
			t.Errorf("%v is not %q", got, err)
		}
	}
}

func TestTripwire(t *testing.T) {
	in := started(t)
	// a session to a name of the scope
	c := call(t, in, "200.10", 80, "tcp")
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: Shop.alder.example:80\r\n\r\n")
	io.Copy(io.Discard, io.LimitReader(c, 1))
	s := tls.Client(call(t, in, "200.10", 443, "tcp"), trusting(t, in, "shop.alder.example"))
	_ = s.Handshake() // it counts that it came, not how it ends
	good := in.Tripwire().Touches()
	if len(good) != 2 || len(in.Tripwire().Trespasses()) != 0 {
		t.Fatalf("two named sessions: %v", good)
	}
	// a scan, another name, another port, an excluded address, a datagram
	c = call(t, in, "200.10", 80, "tcp")
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: other.example\r\n\r\n")
	io.Copy(io.Discard, io.LimitReader(c, 1))
	for _, host := range []string{"200.10", "0.40", "2.70"} {
		call(t, in, host, 22, "tcp").Close()
	}
	fmt.Fprintf(call(t, in, "200.10", 161, "udp"), "hello")
	until(t, func() bool { return len(in.Tripwire().Trespasses()) == 5 })
	for _, x := range in.Tripwire().Trespasses() {
		if x.Allowed || x.Network == "udp" && string(x.First) != "hello" {
			t.Error(x)
		}
	}
}

// TestTripwireSeesPackets: even where nothing listens.
func TestTripwireSeesPackets(t *testing.T) {
	in := started(t)
	if !in.Tripwire().Sniffs() {
		t.Skip("needs Linux and the right to raw sockets")
	}
	c := call(t, in, "200.10", 80, "tcp")
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: shop.alder.example\r\n\r\n")
	io.Copy(io.Discard, io.LimitReader(c, 1))
	call(t, in, "0.10", 22, "tcp") // is none of its business
	if got := in.Tripwire().Trespasses(); len(got) != 0 {
		t.Fatal(got)
	}
	for _, host := range []string{"200.10", "200.99"} {
		if _, err := dial(t.Context(), in, fmt.Sprintf("127.%d.%s", block(), host), 51, "tcp"); err == nil {
			t.Fatal("something listens there")
		}
	}
	fmt.Fprintf(call(t, in, "200.99", 51, "udp"), "hello")
	until(t, func() bool { return len(in.Tripwire().Trespasses()) == 3 })
	if n := len(in.Tripwire().Touches()); n != 1 {
		t.Errorf("%d touches", n)
	}
}

// until waits for something that another goroutine is about to do.
func until(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen")
		}
	}
}

func TestLoopbackOnly(t *testing.T) {
	for what, file := range map[string]string{
		"host":     "hosts: [{address: 192.0.2.1, services: []}]",
		"wildcard": "hosts: [{address: 0.0.0.0, services: []}]",
		"six":      "hosts: [{address: \"::1\", services: []}]",
		"resolver": "resolver: 192.0.2.1:53",
		"zone":     "zones: [{origin: a.example, records: [\"@ IN A 192.0.2.1\"]}]",
		"scope":    "constituents: [{id: a, name: A, scope: [{cidr: 192.0.2.0/24}]}]",
		"wide":     "constituents: [{id: a, name: A, scope: [{cidr: 127.0.0.0/7}]}]",
		"network":  "tripwire: {networks: [192.0.2.0/24]}",
		"address":  "tripwire: {addresses: [192.0.2.1]}",
	} {
		if _, err := Load([]byte(file)); err == nil {
			t.Errorf("%s: %s was accepted", what, file)
		}
	}
	in := newInternet(plan{})
	in.ctx = t.Context()
	r := &running{at: netip.MustParseAddrPort("192.0.2.1:1")}
	if err := in.listen(r, "tcp"); !errors.Is(err, vedette.ErrRefused) {
		t.Errorf("listen: %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	for file, want := range map[string]string{
		"hosts: [{address: 127.20.0.1, service: []}]":                                                   "service",
		"hosts: [{address: 127.20.0.1, services: [{port: 1, kind: gopher}]}]":                           "kind",
		"hosts: [{address: 127.20.0.1, services: [{port: 0, kind: ssh}]}]":                              "port",
		"hosts: [{address: 127.20.0.1, services: [{port: 1, kind: ssh, proto: udp}]}]":                  "proto",
		"hosts: [{address: 127.20.0.1, services: [{port: 1, kind: ssh}, {port: 1, kind: http}]}]":       "twice",
		"hosts: [{address: 127.20.0.1, services: [{port: 1, kind: ssh, weak: [old]}]}]":                 "weak",
		"hosts: [{address: 127.20.0.1, services: [{port: 1, kind: http, tls: {cert: odd}}]}]":           "cert",
		"hosts: [{address: 127.20.0.1, services: [{port: 1, kind: http, tls: {versions: [\"1.4\"]}}]}]": "versions",
		"hosts: [{address: 127.20.0.1, services: []}, {address: 127.20.0.1, services: []}]":             "twice",
		"hosts: [{address: 127.20.0.1, middlebox: 9-1, services: []}]":                                  "middlebox",
		"zones: [{origin: a.example, records: [\"@ IN A nowhere\"]}]":                                   "record",
		"constituents: [{id: a, name: A, scope: [{cidr: 127.20.0.0/26, authorised: x}]}]":               "authorised",
	} {
		if _, err := Load([]byte(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", file, err)
		}
	}
}
