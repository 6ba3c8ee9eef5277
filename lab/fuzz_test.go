package lab

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"
)

// spoken is a connection on which a client spoken something and listens no more.
type spoken struct {
	net.Conn
	r io.Reader
}

func (s spoken) Read(p []byte) (int, error)      { return s.r.Read(p) }
func (s spoken) Write(p []byte) (int, error)     { return len(p), nil }
func (s spoken) Close() error                    { return nil }
func (s spoken) SetDeadline(time.Time) error     { return nil }
func (s spoken) SetReadDeadline(time.Time) error { return nil }
func (s spoken) RemoteAddr() net.Addr            { return &net.TCPAddr{} }

// FuzzServers: whatever a client says, a server neither panics nor hangs.
func FuzzServers(f *testing.F) {
	for _, c := range conversations {
		f.Add([]byte(c.say), true)
		f.Add([]byte(c.say), false)
	}
	for _, x := range []string{smb1Ask, smb2Ask} {
		f.Add(unhexOrNil(x), true)
	}
	none := func() *tls.Config {
		return &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, io.EOF }}
	}
	ks := kinds()
	f.Fuzz(func(t *testing.T, b []byte, open bool) {
		for _, k := range ks {
			if k.name == "tarpit" {
				continue
			}
			v := &Service{Kind: k.name, TLS: &TLS{StartTLS: true, Versions: []string{"ssl3"}}, Software: Software{Product: "x", Version: "1", Banner: "x {version}"}, Community: "public"}
			if open {
				for _, w := range everyWeakness {
					v.Weak = append(v.Weak, "check:"+w)
				}
			}
			l := &live{host: &Host{Address: "127.20.0.1"}, svc: v, kind: k, tls: none}
			if k.udp != nil {
				k.udp(l, bytes.Clone(b))
			}
			if k.tcp != nil {
				c := spoken{r: bytes.NewReader(b)}
				k.tcp(&session{Conn: c, r: bufio.NewReader(c), live: l, ctx: t.Context()})
			}
		}
		nameIn(b)
	})
}

func unhexOrNil(s string) []byte {
	b, err := unhexed(s)
	if err != nil {
		return nil
	}
	return b
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("hosts: [{address: 127.20.0.1, services: [{port: 1, kind: ssh}]}]"))
	f.Add([]byte("tripwire: {networks: [127.0.0.0/8], tcp: 1-2}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := Load(b)
		if err != nil {
			return
		}
		in.Layout = Real
		for i := range in.d.Hosts {
			if !loopback(in.d.Hosts[i].addr()) {
				t.Fatalf("%s", in.d.Hosts[i].Address)
			}
		}
		in.Truth()
	})
}
