package probe

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// script is a connection whose other side says what is written and closes.
type script struct {
	net.Conn
	r io.Reader
}

func (s script) Read(b []byte) (int, error)       { return s.r.Read(b) }
func (script) Write(b []byte) (int, error)        { return len(b), nil }
func (script) Close() error                       { return nil }
func (script) SetDeadline(time.Time) error        { return nil }
func (script) SetReadDeadline(t time.Time) error  { return nil }
func (script) SetWriteDeadline(t time.Time) error { return nil }

// scripted is a peer that says b, on every connection.
func scripted(rules *Rules, b []byte, packets bool) *peer {
	p := &peer{conn: script{r: bytes.NewReader(b)}, rules: rules, agent: "test", packets: packets, wait: time.Second, end: time.Now().Add(time.Minute),
		asked: &dns.Msg{MsgHdr: dns.MsgHdr{Id: 0x4242}, Question: []dns.Question{{Name: "version.bind.", Qtype: dns.TypeTXT, Qclass: dns.ClassCHAOS}}}}
	p.again = func() (*peer, error) { return scripted(rules, b, packets), nil }
	return p
}

// recorder keeps what a responder says to what a protocol says.
type recorder struct {
	net.Conn
	said *bytes.Buffer
}

func (r recorder) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.said.Write(b[:n])
	return n, err
}

// recorded is what a responder says in one look of its protocol.
func recorded(t testing.TB, r responder, p *protocol) []byte {
	if r.packet != nil {
		return r.packet(p.hello(&peer{packets: true}))
	}
	ours, theirs := net.Pipe()
	go func() { defer theirs.Close(); r.speak(theirs) }()
	said := new(bytes.Buffer)
	q := &peer{conn: recorder{ours, said}, rules: new(Rules), wait: time.Second, end: time.Now().Add(3 * time.Second)}
	q.again = func() (*peer, error) { return nil, io.EOF }
	if p.hello != nil {
		q.ask(p.hello(q))
	}
	p.read(q)
	ours.Close()
	return said.Bytes()
}

// fuzz feeds a protocol's reader, with what its responders say as seeds.
func fuzz(f *testing.F, p *protocol) {
	for _, r := range responders {
		if r.protocol() == p || r.want.Service == p.name {
			if b := recorded(f, r, p); len(b) > 0 {
				f.Add(b)
			}
		}
	}
	for _, s := range []string{"", "\x00", "\xff\xff\xff\xff\xff\xff\xff\xff", "220 \r\n", "E\x00\x00\x00\x05\x00"} {
		f.Add([]byte(s))
	}
	rules, err := NewRules()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if p.greets != nil {
			p.greets(b)
		}
		if p.answers != nil {
			p.answers(b)
		}
		q := scripted(rules, b, p == snmp || p == ntp)
		q.listen(time.Second)
		if fact, ok := p.read(q); ok {
			fit(t, fact)
		}
		if p.upgrade != nil {
			p.upgrade(scripted(rules, b, false))
		}
	})
}

func FuzzSSH(f *testing.F)        { fuzz(f, ssh) }
func FuzzSMTP(f *testing.F)       { fuzz(f, smtp) }
func FuzzFTP(f *testing.F)        { fuzz(f, ftp) }
func FuzzIMAP(f *testing.F)       { fuzz(f, imap) }
func FuzzPOP3(f *testing.F)       { fuzz(f, pop3) }
func FuzzMySQL(f *testing.F)      { fuzz(f, mysql) }
func FuzzVNC(f *testing.F)        { fuzz(f, vnc) }
func FuzzTelnet(f *testing.F)     { fuzz(f, telnet) }
func FuzzHTTPDetect(f *testing.F) { fuzz(f, httpd) }
func FuzzSMB(f *testing.F)        { fuzz(f, smb) }
func FuzzSMBOld(f *testing.F)     { fuzz(f, smbOld) }
func FuzzRDP(f *testing.F)        { fuzz(f, rdp) }
func FuzzLDAP(f *testing.F)       { fuzz(f, ldap) }
func FuzzPostgreSQL(f *testing.F) { fuzz(f, postgresql) }
func FuzzRedis(f *testing.F)      { fuzz(f, redis) }
func FuzzMongoDB(f *testing.F)    { fuzz(f, mongodb) }
func FuzzMemcached(f *testing.F)  { fuzz(f, memcached) }
func FuzzMQTT(f *testing.F)       { fuzz(f, mqtt) }
func FuzzAMQP(f *testing.F)       { fuzz(f, amqp) }
func FuzzDNSPort(f *testing.F)    { fuzz(f, domain) }
func FuzzSNMP(f *testing.F)       { fuzz(f, snmp) }
func FuzzNTP(f *testing.F)        { fuzz(f, ntp) }

func FuzzServerHello(f *testing.F) {
	f.Add([]byte("\x16\x03\x00\x00\x2a\x02\x00\x00\x26\x03\x00" + string(make([]byte, 36))))
	f.Add([]byte("\x15\x03\x01\x00\x02\x02\x28"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := scripted(new(Rules), b, false).readServerHello(true)
		if err == nil && s.version>>8 != 3 {
			t.Errorf("version %x", uint16(s.version))
		}
		for _, c := range s.chain {
			if len(c) > len(b) {
				t.Errorf("a certificate of %d bytes out of %d", len(c), len(b))
			}
		}
	})
}

func FuzzBanner(f *testing.F) {
	f.Add([]byte("220 \x1b[2J \u202e Sat, 21 Nov 2026 20:59:05 +0000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := Banner(b, MaxBanner)
		if len(s) > MaxBanner || !clean(s) {
			t.Errorf("%q", s)
		}
	})
}
