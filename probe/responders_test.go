package probe

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/vedette-hub/vedette"
)

// binaries are the responders of protocols that are not lines of text.
var binaries = []responder{
	{name: "mysql", dearest: 1,
		speak: greet(mysqlFrame(0, "\x0a5.5.5-10.5.23-MariaDB-0+deb11u1\x00"+"\x2a\x00\x00\x00"+"salt8888\x00"+"\xfe\xf7\x2d\x02\x00\xff\x81\x15\x00\x00\x00\x00\x00\x00\x0f\x00\x00\x00moresalt1234\x00mysql_native_password\x00")),
		want:  vedette.Fact{Service: "mysql", Banner: "5.5.5-10.5.23-MariaDB-0+deb11u1", Details: map[string]string{"starttls": "no"}}},
	{name: "mysql/refused", dearest: 1,
		speak: greet(mysqlFrame(0, "\xff\x6a\x04Host '192.0.2.7' is not allowed to connect to this MariaDB server")),
		want:  vedette.Fact{Service: "mysql", Banner: "Host '*' is not allowed to connect to this MariaDB server"}},
	{name: "rfb", speak: speakVNC("\x02\x01\x02"), inTLS: true, dearest: 1,
		want: vedette.Fact{Service: "rfb", Banner: "RFB 003.008", Reports: []vedette.Report{report("check:vnc-no-auth", "The server offers the security type None (1).")}, Details: map[string]string{"security": "None, VNC Authentication"}}},
	{name: "rfb/password", speak: speakVNC("\x01\x02"), dearest: 1,
		want: vedette.Fact{Service: "rfb", Banner: "RFB 003.008", Details: map[string]string{"security": "VNC Authentication"}}},
	{name: "telnet", speak: speakTelnet, inTLS: true, dearest: 1,
		want: vedette.Fact{Service: "telnet", Banner: "Debian GNU/Linux 12\nhost login:", Reports: []vedette.Report{report("check:telnet-open", "A Telnet service answers: what is typed crosses the network unencrypted.")}}},
	{name: "telnet/prompt", speak: greet("\r\nUser Access Verification\r\n\r\nUsername: "), dearest: 1,
		want: vedette.Fact{Service: "telnet", Banner: "User Access Verification\n\nUsername:", Reports: []vedette.Report{report("check:telnet-open", "A Telnet service answers: what is typed crosses the network unencrypted.")}}},
	{name: "redis", speak: speakRedis(""), inTLS: true, dearest: 2,
		want: vedette.Fact{Service: "redis", Banner: "redis_version:6.0.16\nredis_mode:standalone\nos:Linux 6.1 x86_64", Reports: []vedette.Report{report("check:redis-no-auth", "The server answered INFO to a client that gave no password.")}}},
	{name: "redis/password", speak: speakRedis("-NOAUTH Authentication required.\r\n"), dearest: 2,
		want: vedette.Fact{Service: "redis", Banner: "-NOAUTH Authentication required."}},
	{name: "redis/protected", dearest: 1,
		speak: func(c net.Conn) { io.WriteString(c, "-DENIED Redis is running in protected mode\r\n") },
		want:  vedette.Fact{Service: "redis", Banner: "-DENIED Redis is running in protected mode"}},
	{name: "memcache", dearest: 2,
		speak: dialogue("", func(c string) string {
			if c == "version" {
				return "VERSION 1.6.18\r\n"
			}
			return "ERROR\r\n"
		}),
		want: vedette.Fact{Service: "memcache", Banner: "VERSION 1.6.18", Reports: []vedette.Report{report("check:memcached-open", "The server answered a client that gave no password.")}}},
	{name: "mqtt", speak: speakMQTT(0), inTLS: true, dearest: 13,
		want: vedette.Fact{Service: "mqtt", Banner: "CONNACK: accepted\nmosquitto version 2.0.11", Reports: []vedette.Report{report("check:mqtt-no-auth", "The broker accepted a client that gave no user name and no password.")}}},
	{name: "mqtt/password", speak: speakMQTT(5), dearest: 13,
		want: vedette.Fact{Service: "mqtt", Banner: "CONNACK: not authorized"}},
	{name: "amqp", speak: speakAMQP, inTLS: true, dearest: 2,
		want: vedette.Fact{Service: "amqp", Banner: "RabbitMQ 3.10.8 Erlang/OTP 25.2.3"}},
	{name: "amqp/1.0", speak: func(c net.Conn) {
		io.ReadFull(c, make([]byte, 8))
		io.WriteString(c, "AMQP\x00\x01\x00\x00")
	}, dearest: 2, want: vedette.Fact{Service: "amqp", Banner: `AMQP\x00\x01\x00\x00`}},
	{name: "postgresql", speak: speakPostgreSQL(nil), dearest: 13,
		want: vedette.Fact{Service: "postgresql", Banner: "FATAL: unsupported frontend protocol 255.255: server supports 3.0 to 3.0", Details: map[string]string{"starttls": "no", "protocols": "3.0 to 3.0"}}},
	{name: "ldap", speak: speakLDAP, inTLS: true, dearest: 13,
		want: vedette.Fact{Service: "ldap", Banner: "OpenLDAP", Details: map[string]string{"starttls": "yes"}}},
	{name: "ms-wbt-server", speak: speakRDP("\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02\x1f\x08\x00\x01\x00\x00\x00"), dearest: 13,
		want: vedette.Fact{Service: "ms-wbt-server", Details: map[string]string{"nla_required": "no", "starttls": "yes"}, Reports: []vedette.Report{report("check:rdp-no-nla", "The server accepts a connection without Network Level Authentication.")}}},
	{name: "ms-wbt-server/nla", speak: speakRDP("\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x03\x00\x08\x00\x05\x00\x00\x00"), dearest: 13,
		want: vedette.Fact{Service: "ms-wbt-server", Details: map[string]string{"nla_required": "yes", "starttls": "yes"}}},
	{name: "microsoft-ds", speak: speakSMB(true, true), dearest: 13,
		want: vedette.Fact{Service: "microsoft-ds", Banner: "Unix\nSamba 3.6.25", Details: map[string]string{"dialect": "3.1.1", "signing_required": "no", "smb1": "yes"}, Reports: []vedette.Report{report("check:smb1", "The server negotiates the dialect NT LM 0.12.")}}},
	{name: "microsoft-ds/modern", speak: speakSMB(false, true), dearest: 13,
		want: vedette.Fact{Service: "microsoft-ds", Details: map[string]string{"dialect": "3.1.1", "signing_required": "no", "smb1": "no"}}},
	{name: "microsoft-ds/old", speak: speakSMB(true, false), dearest: 13,
		want: vedette.Fact{Service: "microsoft-ds", Banner: "Unix\nSamba 3.6.25", Details: map[string]string{"smb1": "yes"}, Reports: []vedette.Report{report("check:smb1", "The server negotiates the dialect NT LM 0.12.")}}},
	{name: "mongodb", speak: speakMongoDB(true), inTLS: true, dearest: 13,
		want: vedette.Fact{Service: "mongodb", Banner: "MongoDB 6.0.13", Reports: []vedette.Report{report("check:mongodb-no-auth", "The server listed its databases to a client that did not log in.")}}},
	{name: "mongodb/login", speak: speakMongoDB(false), dearest: 13,
		want: vedette.Fact{Service: "mongodb", Banner: "MongoDB 6.0.13"}},
	{name: "domain", speak: speakDNS, inTLS: true, dearest: 14,
		want: vedette.Fact{Service: "domain", Banner: "9.18.24-1-Debian", Details: map[string]string{"recursion": "no"}}},
	{name: "domain/udp", packet: func(q []byte) []byte { return answerDNS(q, false) },
		want: vedette.Fact{Service: "domain", Banner: "9.18.24-1-Debian", Details: map[string]string{"recursion": "no"}}},
	{name: "domain/open", packet: func(q []byte) []byte { return answerDNS(q, true) },
		want: vedette.Fact{Service: "domain", Banner: "9.18.24-1-Debian", Details: map[string]string{"recursion": "yes"}, Reports: []vedette.Report{report("check:open-resolver", "The server resolved a name that is not its own for a client that is not its own.")}}},
	{name: "snmp", packet: answerSNMP,
		want: vedette.Fact{Service: "snmp", Banner: "SNMPv3 engine of enterprise 8072", Details: map[string]string{"engine_id": "80001f8880aabbccdd", "enterprise": "8072"}}},
	{name: "ntp", packet: answerNTP(true, false),
		want: vedette.Fact{Service: "ntp", Banner: `version="ntpd 4.2.8p15@1.3728-o * (1)", processor="x86_64", system="Linux/6.1.0"`}},
	{name: "ntp/plain", packet: answerNTP(false, false), want: vedette.Fact{Service: "ntp"}},
	{name: "ntp/amplifier", packet: answerNTP(false, true),
		want: vedette.Fact{Service: "ntp", Reports: []vedette.Report{report("check:ntp-amplifier", "The server answered monlist (mode 7, request 42) to a stranger.")}}},
}

// greet says one thing and listens.
func greet(s string) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, s)
		io.Copy(io.Discard, c)
	}
}

func mysqlFrame(n byte, payload string) string {
	return string([]byte{byte(len(payload)), byte(len(payload) >> 8), 0, n}) + payload
}

func speakVNC(types string) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, "RFB 003.008\n")
		b := make([]byte, 12)
		if _, err := io.ReadFull(c, b); err == nil && string(b) == "RFB 003.008\n" {
			io.WriteString(c, types)
			io.Copy(io.Discard, c)
		}
	}
}

// speakTelnet shows its prompt when its options were answered.
func speakTelnet(c net.Conn) {
	io.WriteString(c, "\xff\xfd\x18\xff\xfd\x20\xff\xfb\x03")
	b := make([]byte, 9)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "\xff\xfc\x18\xff\xfc\x20\xff\xfe\x03" {
		return
	}
	io.WriteString(c, "Debian GNU/Linux 12\r\nhost login: ")
	io.Copy(io.Discard, c)
}

// speakRedis understands commands as arrays and as words of a line.
func speakRedis(refuse string) func(net.Conn) {
	return func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			l, err := r.ReadString('\n')
			if err != nil {
				return
			}
			words := strings.Fields(l)
			if len(words) == 0 {
				continue
			}
			if n, ok := strings.CutPrefix(words[0], "*"); ok {
				words = nil
				for range atoi(n) {
					r.ReadString('\n')
					w, _ := r.ReadString('\n')
					words = append(words, strings.TrimSpace(w))
				}
			}
			switch {
			case refuse != "":
				io.WriteString(c, refuse)
			case len(words) == 0: // an array of nothing
			case len(words) == 2 && words[0] == "INFO":
				info := "# Server\r\nredis_version:6.0.16\r\nredis_mode:standalone\r\nos:Linux 6.1 x86_64\r\nprocess_id:4711\r\nrun_id:0123456789abcdef0123456789abcdef01234567\r\nuptime_in_seconds:12345\r\n"
				fmt.Fprintf(c, "$%d\r\n%s\r\n", len(info), info)
			default:
				fmt.Fprintf(c, "-ERR unknown command `%s`, with args beginning with: \r\n", words[0])
			}
		}
	}
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// speakMQTT closes on whatever is no CONNECT, as §3.1 demands.
func speakMQTT(code byte) func(net.Conn) {
	return func(c net.Conn) {
		b := make([]byte, 29)
		if _, err := io.ReadFull(c, b[:2]); err != nil || b[0] != 0x10 || b[1] != 27 {
			return
		}
		if _, err := io.ReadFull(c, b[2:]); err != nil || string(b[4:9]) != "MQTT\x04" {
			return
		}
		c.Write([]byte{0x20, 2, 0, code})
		if _, err := io.ReadFull(c, b[:2]); code != 0 || err != nil || b[0] != 0x82 {
			return
		}
		sub := make([]byte, b[1])
		io.ReadFull(c, sub)
		topic := sub[4 : len(sub)-1]
		c.Write([]byte{0x90, 3, 0, 1, 0})
		pub := append([]byte{0, byte(len(topic))}, topic...)
		pub = append(pub, "mosquitto version 2.0.11"...)
		c.Write(append([]byte{0x31, byte(len(pub))}, pub...))
		io.Copy(io.Discard, c)
	}
}

// speakAMQP sends Connection.Start to a client of 0-9-1, and its header to all others.
func speakAMQP(c net.Conn) {
	b := make([]byte, 8)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "AMQP\x00\x00\x09\x01" {
		io.WriteString(c, "AMQP\x00\x00\x09\x01")
		return
	}
	long := func(s string) string { return string(binary.BigEndian.AppendUint32(nil, uint32(len(s)))) + s }
	field := func(k, v string) string { return string([]byte{byte(len(k))}) + k + "S" + long(v) }
	table := "\x0ccapabilitiesF" + long("\x12publisher_confirmst\x01") + field("cluster_name", "rabbit@host") + field("platform", "Erlang/OTP 25.2.3") + field("product", "RabbitMQ") + field("version", "3.10.8")
	body := "\x00\x0a\x00\x0a\x00\x09" + long(table) + long("PLAIN AMQPLAIN") + long("en_US")
	io.WriteString(c, "\x01\x00\x00"+long(body)+"\xce")
	io.Copy(io.Discard, c)
}

// speakPostgreSQL answers the request for TLS by config, and a start-up of a
// strange version with an error; what has no sane length it drops.
func speakPostgreSQL(config *tls.Config) func(net.Conn) {
	return func(c net.Conn) {
		for {
			h := make([]byte, 8)
			if _, err := io.ReadFull(c, h); err != nil {
				return
			}
			n, code := binary.BigEndian.Uint32(h), binary.BigEndian.Uint32(h[4:])
			if n < 8 || n > 10000 {
				return
			}
			io.ReadFull(c, make([]byte, n-8))
			if code == 80877103 {
				if config == nil {
					io.WriteString(c, "N")
					continue
				}
				io.WriteString(c, "S")
				c = tls.Server(c, config)
				continue
			}
			if code>>16 == 3 {
				return
			}
			fields := "SFATAL\x00VFATAL\x00C0A000\x00Munsupported frontend protocol " + fmt.Sprintf("%d.%d", code>>16, code&0xffff) + ": server supports 3.0 to 3.0\x00Fpostmaster.c\x00L2210\x00RProcessStartupPacket\x00\x00"
			io.WriteString(c, "E"+string(binary.BigEndian.AppendUint32(nil, uint32(len(fields)+4)))+fields)
			return
		}
	}
}

// speakLDAP answers a search of the root entry, and StartTLS; to what is no
// LDAP it sends a notice of disconnection (RFC 4511 §4.4.1).
func speakLDAP(c net.Conn) {
	attr := func(k string, v ...string) []byte {
		var vals [][]byte
		for _, s := range v {
			vals = append(vals, berText(s))
		}
		return ber(0x30, berText(k), ber(0x31, vals...))
	}
	b := make([]byte, 4096)
	n, _ := c.Read(b)
	msg, _, ok := nextElement(b[:n])
	parts := elements(msg.body)
	if !ok || msg.tag != 0x30 || len(parts) < 2 || parts[1].tag != 0x63 {
		return
	}
	id := ber(2, parts[0].body)
	c.Write(ber(0x30, id, ber(0x64, berText(""), ber(0x30, attr("objectClass", "top", "OpenLDAProotDSE"), attr("supportedLDAPVersion", "3"), attr("supportedExtension", "1.3.6.1.4.1.4203.1.11.1", oidStartTLS)))))
	c.Write(ber(0x30, id, ber(0x65, []byte{0x0a, 1, 0}, berText(""), berText(""))))
	io.Copy(io.Discard, c)
}

func speakRDP(confirm string) func(net.Conn) {
	return func(c net.Conn) {
		h := make([]byte, 19)
		if _, err := io.ReadFull(c, h); err != nil || string(h[:6]) != "\x03\x00\x00\x13\x0e\xe0" {
			return
		}
		io.WriteString(c, confirm)
		io.Copy(io.Discard, c)
	}
}

// speakSMB speaks version 1, versions 2 and 3, or both, and closes on the rest.
func speakSMB(one, two bool) func(net.Conn) {
	return func(c net.Conn) {
		le := binary.LittleEndian
		for {
			h := make([]byte, 4)
			if _, err := io.ReadFull(c, h); err != nil || h[0] != 0 {
				return
			}
			b := make([]byte, int(h[2])<<8|int(h[3]))
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			switch {
			case one && bytes.HasPrefix(b, []byte("\xffSMB\x72")):
				r := make([]byte, 32+1+34+2)
				copy(r, b[:32])
				r[9] |= 0x80
				r[32] = 17
				c.Write(netbios(r))
			case one && bytes.HasPrefix(b, []byte("\xffSMB\x73")) && b[32] == 13 && len(b) == 33+26+2+5:
				r := append(bytes.Clone(b[:32]), 3, 0xff, 0, 0, 0, 1, 0, 70, 0, 0) // one byte of padding
				r[9] |= 0x80
				r[11] |= 0x80
				for _, u := range "Unix\x00Samba 3.6.25\x00WORKGROUP\x00" {
					r = append(r, byte(u), 0)
				}
				c.Write(netbios(r))
			case two && bytes.HasPrefix(b, []byte("\xfeSMB")) && len(b) == int(le.Uint32(b[64+28:]))+8+38+2+8+6:
				r := make([]byte, 64+64)
				copy(r, b[:64])
				r[16] = 1
				le.PutUint16(r[64:], 65)
				le.PutUint16(r[66:], 1)
				le.PutUint16(r[68:], 0x0311)
				c.Write(netbios(r))
			default:
				return
			}
		}
	}
}

// speakMongoDB is a server of wire version 17: OP_QUERY for isMaster alone.
func speakMongoDB(open bool) func(net.Conn) {
	return func(c net.Conn) {
		le := binary.LittleEndian
		for {
			h := make([]byte, 16)
			if _, err := io.ReadFull(c, h); err != nil || le.Uint32(h) < 26 || le.Uint32(h) > 4096 {
				return
			}
			b := make([]byte, le.Uint32(h)-16)
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			op, doc := uint32(mongoOpReply), []byte(nil)
			answer := make([]byte, 20)
			switch {
			case le.Uint32(h[12:]) == mongoOpQuery && bytes.Contains(b, []byte("isMaster")):
				doc = bson([]byte("\x08ismaster\x00\x01"), bsonInt("maxWireVersion", 17), []byte("\x09localTime\x0012345678"), mongoDouble("ok", 1))
			case le.Uint32(h[12:]) != mongoOpMsg:
				return
			case bytes.Contains(b, []byte("buildInfo")):
				doc = bson(bsonText("version", "6.0.13"), append([]byte("\x04versionArray\x00"), bson(bsonInt("0", 6))...), mongoDouble("ok", 1))
			case open && bytes.Contains(b, []byte("listDatabases")):
				doc = bson(append([]byte("\x04databases\x00"), bson()...), mongoDouble("ok", 1))
			default:
				doc = bson(mongoDouble("ok", 0), bsonText("errmsg", "command listDatabases requires authentication"), bsonInt("code", 13))
			}
			if le.Uint32(h[12:]) == mongoOpMsg {
				op, answer = mongoOpMsg, make([]byte, 5)
			}
			m := mongoMessage(77, op, append(answer, doc...))
			copy(m[8:], h[4:8])
			c.Write(m)
		}
	}
}

func mongoDouble(name string, v float64) []byte {
	b := append([]byte("\x01"+name+"\x00"), make([]byte, 8)...)
	if v == 1 {
		copy(b[len(b)-8:], "\x00\x00\x00\x00\x00\x00\xf0\x3f")
	}
	return b
}

// speakDNS answers messages with their length before them (RFC 1035 §4.2.2).
func speakDNS(c net.Conn) {
	for {
		h := make([]byte, 2)
		if _, err := io.ReadFull(c, h); err != nil {
			return
		}
		b := make([]byte, binary.BigEndian.Uint16(h))
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		a := answerDNS(b, false)
		if a == nil {
			return
		}
		c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...))
	}
}

func answerDNS(q []byte, open bool) []byte {
	m := new(dns.Msg)
	if m.Unpack(q) != nil || m.Response || len(m.Question) != 1 {
		return nil
	}
	r := new(dns.Msg).SetReply(m)
	r.RecursionAvailable = open
	switch {
	case m.Question[0].Name == "version.bind.":
		r.Answer = []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: "version.bind.", Rrtype: dns.TypeTXT, Class: dns.ClassCHAOS}, Txt: []string{"9.18.24-1-Debian"}}}
	case open:
		r.Rcode = dns.RcodeNameError
	default:
		r.Rcode = dns.RcodeRefused
	}
	b, _ := r.Pack()
	return b
}

// answerSNMP reports an unknown engine id, as an agent of version 3 does.
func answerSNMP(q []byte) []byte {
	msg, _, ok := nextElement(q)
	parts := elements(msg.body)
	if !ok || msg.tag != 0x30 || len(parts) < 4 || parts[0].number() != 3 {
		return nil
	}
	engine := ber(4, []byte("\x80\x00\x1f\x88\x80\xaa\xbb\xcc\xdd"))
	security := ber(0x30, engine, []byte{2, 1, 7}, []byte{2, 2, 0x30, 0x39}, berText(""), berText(""), berText(""))
	report := ber(0xa8, []byte{2, 1, 1}, []byte{2, 1, 0}, []byte{2, 1, 0}, ber(0x30))
	// a length that is longer than it needs to be, as net-snmp writes it
	body := bytes.Join([][]byte{{2, 1, 3}, ber(0x30, parts[1].body), ber(4, security), ber(0x30, engine, berText(""), report)}, nil)
	return append([]byte{0x30, 0x82, byte(len(body) >> 8), byte(len(body))}, body...)
}

// answerNTP answers clients, and control and private messages by choice.
func answerNTP(control, list bool) func([]byte) []byte {
	var mu sync.Mutex
	count := byte(0)
	return func(q []byte) []byte {
		mu.Lock()
		defer mu.Unlock()
		count++
		switch {
		case len(q) == 48 && q[0]&7 == 3:
			a := make([]byte, 48)
			a[0], a[1], a[47] = 4<<3|4, 2, count // a time that never repeats
			a[40] = 0xe5
			return a
		case control && len(q) >= 12 && q[0]&7 == 6:
			text := "version=\"ntpd 4.2.8p15@1.3728-o Wed Sep 23 11:46:38 UTC 2020 (1)\",\r\nprocessor=\"x86_64\", system=\"Linux/6.1.0\", leap=0, stratum=3, clock=0x" + fmt.Sprint(count)
			a := append([]byte{2<<3 | 6, 0x82, 0, 1, 0, 0, 0, 0, 0, 0, byte(len(text) >> 8), byte(len(text))}, text...)
			return a
		case list && q[0]&7 == 7 && q[3] == 42:
			a := make([]byte, 8+72)
			a[0], a[2], a[3], a[5], a[7] = 0x80|2<<3|7, 3, 42, 1, 72
			return a
		}
		return nil
	}
}

// TestPostgreSQLInTLS: the server wants TLS first.
func TestPostgreSQLInTLS(t *testing.T) {
	t.Parallel()
	config := &tls.Config{Certificates: []tls.Certificate{newAuthority(t).issue(t, certificate{names: []string{"db.example"}})}}
	got, err := identify(t.Context(), world(t), at(serve(t, speakPostgreSQL(config))), 5432)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "postgresql in TLS", got, vedette.Fact{Service: "postgresql", Banner: "FATAL: unsupported frontend protocol 255.255: server supports 3.0 to 3.0", Details: map[string]string{"starttls": "yes", "protocols": "3.0 to 3.0"}})
}

// TestEveryProtocolHasASample: a protocol comes with a responder, its
// specification, and ports that order the attempts.
func TestEveryProtocolHasASample(t *testing.T) {
	t.Parallel()
	for _, p := range append(protocols[:len(protocols):len(protocols)], datagrams...) {
		if p.name == "" || p.spec == "" || len(p.ports) == 0 {
			t.Errorf("%+v says too little", p)
		}
		if p == secure {
			continue
		}
		if p.read == nil || p.hello == nil && p.greets == nil {
			t.Errorf("%s is never recognised", p.name)
		}
		found := false
		for _, r := range responders {
			found = found || r.want.Service == p.name
		}
		if !found {
			t.Errorf("%s has no responder", p.name)
		}
	}
}
