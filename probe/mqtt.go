package probe

import (
	"crypto/rand"
	"strings"

	"github.com/vedette-hub/vedette"
)

// mqtt is a broker of messages: CONNACK answers CONNECT (MQTT 3.1.1 §3.1, §3.2).
var mqtt = &protocol{
	name:     "mqtt",
	spec:     "MQTT 3.1.1 §3.1, §3.2",
	ports:    []uint16{1883},
	tlsPorts: []uint16{8883},
	// CONNECT: protocol MQTT level 4, a clean session, 10 s to keep alive, no name,
	// no password. A client of the same identifier would be cut off (§3.1.4), such
	// as another look at the same broker: each has one of its own.
	hello: func(*peer) []byte {
		return []byte("\x10\x1b\x00\x04MQTT\x04\x02\x00\x0a\x00\x0fvedette" + rand.Text()[:8])
	},
	read: readMQTT,
}

// mqttCodes are the return codes of CONNACK (§3.2.2.3).
var mqttCodes = []string{"accepted", "unacceptable protocol version", "identifier rejected", "server unavailable", "bad user name or password", "not authorized"}

func readMQTT(p *peer) (vedette.Fact, bool) {
	b, ok := p.take(4)
	if !ok || b[0] != 0x20 || b[1] != 2 || b[2] != 0 || int(b[3]) >= len(mqttCodes) || len(p.in) > 0 {
		return vedette.Fact{}, false
	}
	f := vedette.Fact{Banner: "CONNACK: " + mqttCodes[b[3]]}
	if b[3] != 0 {
		return f, true
	}
	f.Reports = []vedette.Report{report("check:mqtt-no-auth", "The broker accepted a client that gave no user name and no password.")}
	if v := p.mqttVersion(); v != "" {
		f.Banner += "\n" + v
		var told vedette.Software
		if n, ok := strings.CutPrefix(v, "mosquitto version "); ok {
			told = vedette.Software{Vendor: "eclipse", Product: "mosquitto", Version: n}
		}
		f.Software = p.software("mqtt.version", v, told)
	}
	p.send([]byte{0xe0, 0}) // DISCONNECT
	return f, true
}

// mqttVersion asks for the one topic in which brokers tell their version.
func (p *peer) mqttVersion() string {
	const topic = "$SYS/broker/version"
	// SUBSCRIBE: packet 1, the topic, at most once (§3.8)
	if !p.send(append([]byte{0x82, byte(5 + len(topic)), 0, 1, 0, byte(len(topic))}, topic+"\x00"...)) {
		return ""
	}
	for range 4 {
		h, ok := p.take(2)
		if !ok || h[1] > 127 {
			return ""
		}
		body, ok := p.take(int(h[1]))
		if !ok {
			return ""
		}
		text, ok := strings.CutPrefix(string(body), "\x00"+string(rune(len(topic)))+topic)
		if h[0]&0xf0 == 0x30 && ok { // PUBLISH (§3.3)
			return Banner([]byte(text), 120)
		}
	}
	return ""
}
