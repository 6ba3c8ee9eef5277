package lab

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// unhex reads bytes written as hex, spaces and all.
func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := unhexed(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unhexed(s string) ([]byte, error) { return hex.DecodeString(strings.ReplaceAll(s, " ", "")) }

// conversations are what a client says in each protocol and what it gets: the
// bytes stand in the specifications of the kinds, not in our servers.
var conversations = []struct {
	name, host string
	port       int
	proto      string
	say        string // text, or with "x:" hex
	want       string // somewhere in the answer, text or with "x:" hex
}{
	{"ssh", "0.10", 22, "tcp", "SSH-2.0-test\r\n", "SSH-2.0-OpenSSH_8.4p1 Debian-5+deb11u3\r\n"},
	{"ssh kex", "0.24", 23, "tcp", "SSH-2.0-test\r\n", "curve25519-sha256"},
	{"ftp", "0.17", 21, "tcp", "USER anonymous\r\nPASS x\r\nQUIT\r\n", "220 (vsFTPd 3.0.3)\r\n331 Please specify the password.\r\n530 Login incorrect.\r\n221"},
	{"smtp", "0.14", 25, "tcp", "EHLO me\r\n", "220 mail.alder.example ESMTP Exim 4.94.2\r\n250-mail.alder.example\r\n250-PIPELINING\r\n250-SIZE 10485760\r\n250-STARTTLS\r\n250 8BITMIME\r\n"},
	{"smtp relay", "0.24", 21, "tcp", "MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\n", "554 5.7.1"},
	{"smtp of others", "1.21", 25, "tcp", "QUIT\r\n", "220 relay.elsewhere.example"},
	{"imap", "0.14", 143, "tcp", "a CAPABILITY\r\nb LOGIN x y\r\nc LOGOUT\r\n", "b NO [AUTHENTICATIONFAILED]"},
	{"pop3", "0.24", 143, "tcp", "CAPA\r\nQUIT\r\n", "+OK Dovecot (Debian) ready.\r\n+OK\r\nCAPA"},
	{"telnet", "0.17", 23, "tcp", "root\r\n", "Terminal server\r\nlocalhost login: "},
	{"raw", "1.21", 7000, "tcp", "x", "http://www.elsewhere.example/"},
	{"ldap bind", "0.21", 389, "tcp", "x:300c 020101 6007 020103 0400 8000", "x:300c 020101 6107 0a0100 0400 0400"},
	{"ldap root", "0.21", 389, "tcp", "x:3025 020102 6320 0400 0a0100 0a0100 020100 020100 010100 870b 6f626a656374436c617373 3000", "389-Directory/1.4.4.11"},
	{"rdp open", "0.17", 3389, "tcp", "x:03000013 0ee00000000000 0100080003000000", "x:03000013 0ed00000123400 0200080001000000"},
	{"rdp closed", "0.24", 139, "tcp", "x:03000013 0ee00000000000 0100080003000000", "x:03000013 0ed00000123400 0200080002000000"},
	{"rdp needs more", "0.24", 139, "tcp", "x:03000013 0ee00000000000 0100080001000000", "x:0300080005000000"},
	{"vnc open", "0.17", 5900, "tcp", "RFB 003.008\n\x01", "x:0101 00000000"},
	{"vnc closed", "0.24", 53, "tcp", "RFB 003.008\n\x02", "x:0102"},
	{"mysql", "0.15", 3306, "tcp", "", "5.5.5-10.5.23-MariaDB-0+deb11u1"},
	{"postgresql", "0.15", 5432, "tcp", "x:00000008 04d2162f", "S"},
	{"postgresql old", "0.24", 6379, "tcp", "x:00000008 00010000", "unsupported frontend protocol 1.0"},
	{"redis open", "0.15", 6379, "tcp", "*1\r\n$4\r\nINFO\r\n", "redis_version:6.0.16"},
	{"redis line", "0.15", 6379, "tcp", "PING\r\n", "+PONG"},
	{"redis closed", "0.24", 3306, "tcp", "INFO\r\n", "-NOAUTH"},
	{"memcached open", "0.15", 11211, "tcp", "version\r\n", "VERSION 1.6.9"},
	{"memcached binary", "0.15", 11211, "tcp", "x:800b00000000000000000000000000000000000000000000", "1.6.9"},
	{"memcached closed", "0.24", 27017, "tcp", "stats\r\n", "CLIENT_ERROR unauthenticated"},
	{"mongodb build", "0.24", 11211, "tcp", mongoAsk("buildInfo"), "6.0.5"},
	{"mongodb open", "0.15", 27017, "tcp", mongoAsk("listDatabases"), "admin"},
	{"mongodb closed", "0.24", 11211, "tcp", mongoAsk("listDatabases"), "Unauthorized"},
	{"mqtt open", "0.19", 1883, "tcp", "x:100d 00044d515454 04 02 003c 0001 61", "x:20020000"},
	{"mqtt version", "0.19", 1883, "tcp", "x:100d 00044d515454 04 02 003c 0001 61 8218 0001 0013 245359532f62726f6b65722f76657273696f6e 00", "mosquitto version 2.0.11"},
	{"mqtt closed", "0.24", 389, "tcp", "x:100d 00044d515454 04 02 003c 0001 61", "x:20020005"},
	{"mqtt 5 closed", "0.24", 389, "tcp", "x:100e 00044d515454 05 02 003c 00 0001 61", "x:2003008700"},
	{"amqp", "0.19", 5672, "tcp", "AMQP\x00\x00\x09\x01", "3.8.9"},
	{"amqp other", "0.24", 1883, "tcp", "AMQP\x00\x01\x00\x00", "AMQP\x00\x00\x09\x01"},
	{"smb2", "0.24", 3389, "tcp", "x:" + smb2Ask, "x:fe534d42 40000000 00000000 0000"},
	{"smb1", "0.17", 445, "tcp", "x:" + smb1Ask, "x:ff534d42 72 00000000"},
	{"snmp", "0.19", 161, "udp", "x:3029 020101 0406 7075626c6963 a01c 0204 00000001 020100 020100 300e 300c 0608 2b06010201010100 0500", "Linux things 5.10.0"},
	{"snmp 3", "0.24", 123, "udp", "x:303a 020103 300f 0202 4a69 0203 00ffe3 0401 04 020103 0410 300e 0400 020100 020100 0400 0400 0400 3012 0400 0400 a00c 0202 3717 020100 020100 3000", "x:80001f8804"},
	{"ntp", "0.24", 161, "udp", "x:23" + strings.Repeat("00", 47), "x:2402"},
	{"ntp variables", "0.19", 123, "udp", "x:160200010000000000000000", "ntpd 4.2.6p5@1.2349-o"},
	{"ntp clients", "0.19", 123, "udp", "x:1700032a00000000", "x:032a00060048"},
	{"http", "0.13", 80, "tcp", "GET / HTTP/1.0\r\n\r\n", "Index of /"},
	{"http status", "1.12", 80, "tcp", "GET /server-status?auto HTTP/1.0\r\n\r\n", "BusyWorkers: 1\n"},
	{"http bad", "0.13", 80, "tcp", "\x00\x01\x02\r\n\r\n", "HTTP/1.1 400"},
}

const (
	smb2Ask = "00000068 fe534d42 40000000 00000000 00001f00 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000" +
		"2400 0200 0100 0000 00000000 00000000000000000000000000000000 0000000000000000 0202 1002"
	smb1Ask = "0000002f ff534d42 72 00000000 18 01c8 0000 0000000000000000 0000 0000 0000 0000 0000 00 0c00 02 4e54204c4d20302e313200"
)

// mongoAsk is OP_MSG with one command.
func mongoAsk(command string) string {
	doc := "\x10" + command + "\x00\x01\x00\x00\x00\x02$db\x00\x06\x00\x00\x00admin\x00\x00"
	n := len(doc) + 4
	body := "\x00\x00\x00\x00\x00" + string([]byte{byte(n), 0, 0, 0}) + doc
	return string([]byte{byte(16 + len(body)), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xdd, 7, 0, 0}) + body
}

func TestEveryProtocolAnswers(t *testing.T) {
	in := started(t)
	for _, c := range conversations {
		t.Run(c.name, func(t *testing.T) {
			say, want := []byte(c.say), []byte(c.want)
			if h, ok := strings.CutPrefix(c.say, "x:"); ok {
				say = unhex(t, h)
			}
			if h, ok := strings.CutPrefix(c.want, "x:"); ok {
				want = unhex(t, h)
			}
			conn := call(t, in, c.host, c.port, c.proto)
			if _, err := conn.Write(say); err != nil {
				t.Fatal(err)
			}
			var got []byte
			buf := make([]byte, 4096)
			for !bytes.Contains(got, want) {
				n, err := conn.Read(buf)
				got = append(got, buf[:n]...)
				if err != nil && !bytes.Contains(got, want) {
					t.Fatalf("%v after %q", err, got)
				}
			}
		})
	}
}

func TestNTPAmplifies(t *testing.T) {
	in := started(t)
	c := call(t, in, "0.19", 123, "udp")
	c.Write([]byte{0x17, 0, 3, 42, 0, 0, 0, 0})
	n := 0
	buf := make([]byte, 4096)
	for range 4 {
		k, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		n += k
	}
	if n < 1000 {
		t.Errorf("%d bytes for 8", n)
	}
	quiet := call(t, in, "0.24", 161, "udp")
	quiet.Write([]byte{0x17, 0, 3, 42, 0, 0, 0, 0})
	quiet.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if k, err := quiet.Read(buf); err == nil {
		t.Errorf("%d bytes of one that is closed", k)
	}
}

func TestNames(t *testing.T) {
	in := started(t)
	ask := func(host, name string, typ, class uint16, recurse bool) *dns.Msg {
		t.Helper()
		m := new(dns.Msg).SetQuestion(name, typ)
		m.Question[0].Qclass, m.RecursionDesired = class, recurse
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		c := call(t, in, host, 53, "udp")
		c.Write(b)
		buf := make([]byte, 4096)
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		a := new(dns.Msg)
		if err := a.Unpack(buf[:n]); err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := ask("0.2", "www.alder.example.", dns.TypeA, dns.ClassINET, true); !a.Authoritative || a.RecursionAvailable || len(a.Answer) != 1 {
		t.Errorf("of its own zone: %v", a)
	}
	if a := ask("0.2", "gw.cedar.example.", dns.TypeA, dns.ClassINET, true); a.Rcode != dns.RcodeRefused || a.RecursionAvailable {
		t.Errorf("of another zone: %v", a)
	}
	if a := ask("0.22", "gw.cedar.example.", dns.TypeA, dns.ClassINET, true); !a.RecursionAvailable || len(a.Answer) != 1 {
		t.Errorf("an open resolver: %v", a)
	}
	if a := ask("0.2", "version.bind.", dns.TypeTXT, dns.ClassCHAOS, false); len(a.Answer) != 1 || !strings.Contains(a.Answer[0].String(), "9.18.28-1~deb12u2-Debian") {
		t.Errorf("its version: %v", a)
	}
	for zone, want := range map[string]bool{"birch-clinic.example.": true, "birch.example.": false} {
		ask, err := new(dns.Msg).SetAxfr(zone).Pack()
		if err != nil {
			t.Fatal(err)
		}
		c := &dns.Conn{Conn: call(t, in, "1.2", 53, "tcp")}
		if _, err := c.Write(ask); err != nil {
			t.Fatal(err)
		}
		a, err := c.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		if (len(a.Answer) > 5) != want {
			t.Errorf("a transfer of %s: %v", zone, a)
		}
	}
}

func TestCertificates(t *testing.T) {
	in := started(t)
	for _, c := range []struct {
		host, name string
		port       int
		is         func(error) bool
	}{
		{"2.18", "good.cedar.example", 443, func(err error) bool { return err == nil }},
		{"2.13", "expired.cedar.example", 443, func(err error) bool {
			var e x509.CertificateInvalidError
			return errors.As(err, &e) && e.Reason == x509.Expired
		}},
		{"2.14", "self.cedar.example", 443, func(err error) bool { var e x509.UnknownAuthorityError; return errors.As(err, &e) }},
		{"2.15", "wrong.cedar.example", 443, func(err error) bool { var e x509.HostnameError; return errors.As(err, &e) }},
		{"2.16", "weak.cedar.example", 443, func(err error) bool { return err == nil }},
		{"1.23", "www.elsewhere.example", 443, func(err error) bool { return err == nil }},
	} {
		tc := tls.Client(call(t, in, c.host, c.port, "tcp"), trusting(t, in, c.name))
		if err := tc.Handshake(); !c.is(err) {
			t.Errorf("%s: %v", c.name, err)
		} else if err == nil {
			if resp, _ := get(t, tc, c.name, "/"); resp.StatusCode != 200 {
				t.Errorf("%s: %s", c.name, resp.Status)
			}
		}
	}
}

func TestTLSVersions(t *testing.T) {
	in := started(t)
	for _, c := range []struct {
		host string
		max  uint16
		ok   bool
	}{
		{"2.12", tls.VersionTLS10, true}, {"2.12", tls.VersionTLS11, true}, {"2.12", tls.VersionTLS12, true},
		{"2.17", tls.VersionTLS10, true}, {"2.18", tls.VersionTLS11, false}, {"2.18", tls.VersionTLS13, true},
	} {
		conf := trusting(t, in, "")
		conf.InsecureSkipVerify, conf.MaxVersion = true, c.max
		if err := tls.Client(call(t, in, c.host, 443, "tcp"), conf).Handshake(); (err == nil) != c.ok {
			t.Errorf("%s up to %x: %v", c.host, c.max, err)
		}
	}
	// SSL 3.0, by hand
	conn := call(t, in, "2.17", 443, "tcp")
	conn.Write(unhex(t, "160300002d 01000029 0300"+strings.Repeat("00", 32)+"00 0002 000a 0100"))
	b := make([]byte, 11)
	if _, err := io.ReadFull(conn, b); err != nil || b[0] != 22 || b[5] != 2 || b[9] != 3 || b[10] != 0 {
		t.Errorf("%x %v", b, err)
	}
}

func TestStartTLS(t *testing.T) {
	in := started(t)
	for _, c := range []struct {
		name, host string
		port       int
		say        []string
	}{
		{"smtp", "0.14", 25, []string{"STARTTLS\r\n"}},
		{"imap", "0.14", 143, []string{"a STARTTLS\r\n"}},
		{"pop3", "0.14", 110, []string{"STLS\r\n"}},
		{"ftp", "0.24", 25, []string{"AUTH TLS\r\n"}},
		{"postgresql", "0.15", 5432, []string{"\x00\x00\x00\x08\x04\xd2\x16\x2f"}},
		{"ldap", "0.21", 389, []string{"\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + oidStartTLS}},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := call(t, in, c.host, c.port, "tcp")
			r := bufio.NewReader(conn)
			for _, say := range c.say {
				if strings.HasSuffix(say, "\n") {
					r.ReadString('\n') // the greeting
				}
				io.WriteString(conn, say)
			}
			time.Sleep(50 * time.Millisecond) // the rest of the answers
			r.Peek(1)
			r.Discard(r.Buffered())
			conf := trusting(t, in, "")
			conf.InsecureSkipVerify = true
			if err := tls.Client(peeked{conn, r}, conf).Handshake(); err != nil {
				t.Error(err)
			}
		})
	}
}

// peeked reads what a buffered reader holds first.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

func (p peeked) Read(b []byte) (int, error) { return p.r.Read(b) }

func TestTraps(t *testing.T) {
	in := started(t)
	resp, _ := get(t, call(t, in, "1.22", 80, "tcp"), "x", "/")
	if resp.StatusCode != 301 || resp.Header.Get("Location") != "http://www.elsewhere.example/" {
		t.Errorf("redirect: %v", resp)
	}
	if resp, body := get(t, call(t, in, "0.23", 80, "tcp"), "web.alder.example", "/.git/HEAD"); resp.StatusCode != 200 || strings.HasPrefix(body, "ref:") {
		t.Errorf("catch-all: %s %q", resp.Status, body)
	}
	if resp, body := get(t, call(t, in, "2.21", 80, "tcp"), "git.cedar.example", "/.git/HEAD"); resp.StatusCode != 200 || !strings.HasPrefix(body, "ref: refs/heads/") {
		t.Errorf("git: %s %q", resp.Status, body)
	}
	if resp, _ := get(t, call(t, in, "2.21", 80, "tcp"), "git.cedar.example", "/.git/nothing"); resp.StatusCode != 404 {
		t.Errorf("git: %s", resp.Status)
	}
	start := time.Now()
	firstLine(t, call(t, in, "1.19", 22, "tcp"))
	if d := time.Since(start); d < time.Second {
		t.Errorf("the slow one took %v", d)
	}
	silent := call(t, in, "1.18", 22, "tcp")
	silent.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := silent.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the tarpit says %d bytes, %v", n, err)
	}
	for _, port := range []int{1, 77, 1100, 9042} {
		call(t, in, "1.17", port, "tcp")
	}
	if _, err := dial(t.Context(), in, fmt.Sprintf("127.%d.1.20", block()), 80, "tcp"); err == nil {
		t.Error("the filtered port answers")
	}
}

func TestRealClients(t *testing.T) {
	started(t)
	at := func(host string) string { return fmt.Sprintf("127.%d.%s", block(), host) }
	for _, c := range []struct {
		want string
		argv []string
	}{
		{"Index of /", []string{"curl", "-s", "http://" + at("0.13") + "/"}},
		{"Apply", []string{"curl", "-s", "-H", "Host: apply.dogwood.example", "http://" + at("3.10") + ":8080/"}},
		{"nginx/1.22.1", []string{"curl", "-skI", "https://" + at("2.13") + "/"}},
		{"remote software version OpenSSH_8.4p1", []string{"ssh", "-v", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "x@" + at("0.10")}},
		{"TLSv1.3", []string{"openssl", "s_client", "-connect", at("2.18") + ":443", "-brief"}},
		{"good.cedar.example", []string{"openssl", "s_client", "-connect", at("2.18") + ":443", "-servername", "good.cedar.example"}},
		{"mail.birch.example", []string{"openssl", "s_client", "-connect", at("1.10") + ":25", "-starttls", "smtp"}},
		{"mail.alder.example", []string{"openssl", "s_client", "-connect", at("0.14") + ":143", "-starttls", "imap"}},
		{"BEGIN CERTIFICATE", []string{"openssl", "s_client", "-connect", at("0.15") + ":5432", "-starttls", "postgres"}},
		{"BEGIN CERTIFICATE", []string{"openssl", "s_client", "-connect", at("0.15") + ":3306", "-starttls", "mysql"}},
		{"BEGIN CERTIFICATE", []string{"openssl", "s_client", "-connect", at("0.21") + ":389", "-starttls", "ldap"}},
		{"password authentication failed", []string{"psql", "host=" + at("0.24") + " port=6379 user=x password=y dbname=z sslmode=disable connect_timeout=5", "-c", "select 1"}},
		{"9.18.28", []string{"dig", "+time=2", "@" + at("0.2"), "version.bind", "CH", "TXT"}},
		{"6.0.16", []string{"redis-cli", "-h", at("0.15"), "info"}},
		{"Access denied", []string{"mysql", "-h", at("0.24"), "-P", "5432", "-ux", "-py"}},
		{"things", []string{"snmpget", "-v2c", "-c", "public", at("0.19"), "1.3.6.1.2.1.1.1.0"}},
		{"vendorVersion", []string{"ldapsearch", "-x", "-H", "ldap://" + at("0.21"), "-s", "base", "-b", "", "+"}},
		{"OpenSSH 8.4p1", []string{"nmap", "-Pn", "-sV", "-p22,80", at("0.10")}},
	} {
		t.Run(strings.Join(c.argv[:min(len(c.argv), 5)], " "), func(t *testing.T) {
			if _, err := exec.LookPath(c.argv[0]); err != nil {
				t.Skipf("%s is not installed", c.argv[0])
			}
			cmd := exec.CommandContext(t.Context(), c.argv[0], c.argv[1:]...)
			cmd.WaitDelay = time.Second
			out, _ := cmd.CombinedOutput() // many end with an error: nobody gets in
			if !bytes.Contains(out, []byte(c.want)) {
				t.Errorf("no %q in\n%s", c.want, out[:min(len(out), 3000)])
			}
		})
	}
}

// TestEveryKindIsThereTwice: once at its own port and once where another is expected.
func TestEveryKindIsThereTwice(t *testing.T) {
	in, err := Load(Default())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string][]int{}
	for _, h := range in.d.Hosts {
		for _, s := range h.Service {
			seen[s.Kind] = append(seen[s.Kind], s.Port)
		}
	}
	for _, k := range kindNames() {
		if slices.Sort(seen[k]); len(slices.Compact(seen[k])) < 2 && k != "raw" {
			t.Errorf("%s stands at %v", k, seen[k])
		}
	}
}
