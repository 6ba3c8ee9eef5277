package probe

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/vedette-hub/vedette"
)

// mongodb answers isMaster in the old form of a query from any version, tells
// its build to everybody, and lists its databases to who may see them
// (MongoDB Wire Protocol §OP_QUERY, §OP_REPLY, §OP_MSG).
var mongodb = &protocol{
	name:     "mongodb",
	spec:     "MongoDB Wire Protocol, BSON 1.1",
	ports:    []uint16{27017, 27018, 27019},
	tlsPorts: []uint16{27017, 27018, 27019},
	hello:    func(*peer) []byte { return mongoQuery(1, bsonInt("isMaster", 1)) },
	read:     readMongoDB,
}

const (
	mongoOpReply = 1
	mongoOpQuery = 2004
	mongoOpMsg   = 2013
)

// mongoQuery is a command in the old form, to the database admin.
func mongoQuery(id uint32, command ...[]byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0) // flags
	b = append(b, "admin.$cmd\x00"...)
	b = le.AppendUint32(b, 0)              // skip
	b = le.AppendUint32(b, math.MaxUint32) // one document
	return mongoMessage(id, mongoOpQuery, append(b, bson(command...)...))
}

// mongoMsg is a command in the new form.
func mongoMsg(id uint32, command ...[]byte) []byte {
	b := []byte{0, 0, 0, 0, 0} // flags, one section of kind 0
	return mongoMessage(id, mongoOpMsg, append(b, bson(append(command, bsonText("$db", "admin"))...)...))
}

func mongoMessage(id uint32, op uint32, body []byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, uint32(16+len(body)))
	b = le.AppendUint32(b, id)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, op)
	return append(b, body...)
}

// mongoAnswer reads the document that answers message id.
func (p *peer) mongoAnswer(id uint32) (map[string]string, bool) {
	le := binary.LittleEndian
	h, ok := p.take(16)
	if !ok || le.Uint32(h[8:]) != id {
		return nil, false
	}
	n, op := int(le.Uint32(h))-16, le.Uint32(h[12:])
	if n < 5 || n > maxAnswer/2 {
		return nil, false
	}
	b, ok := p.take(n)
	switch {
	case !ok:
		return nil, false
	case op == mongoOpReply && len(b) > 20:
		b = b[20:] // flags, cursor, start, count
	case op == mongoOpMsg && b[4] == 0:
		b = b[5:]
	default:
		return nil, false
	}
	return readBSON(b)
}

func readMongoDB(p *peer) (vedette.Fact, bool) {
	hello, ok := p.mongoAnswer(1)
	if !ok || hello["maxWireVersion"] == "" && hello["ismaster"] == "" {
		return vedette.Fact{}, false
	}
	form := mongoQuery
	if wire, _ := strconv.Atoi(hello["maxWireVersion"]); wire >= 6 {
		form = mongoMsg
	}
	f := vedette.Fact{Banner: "MongoDB"}
	if !p.send(form(2, bsonInt("buildInfo", 1))) {
		return f, true
	}
	build, ok := p.mongoAnswer(2)
	if ok && build["version"] != "" {
		v := Banner([]byte(build["version"]), 64)
		f.Banner = "MongoDB " + v
		f.Software = p.software("mongodb.version", v, vedette.Software{Vendor: "mongodb", Product: "mongodb", Version: v})
	}
	if !ok || !p.send(form(3, bsonInt("listDatabases", 1), bsonBool("nameOnly", true))) {
		return f, true
	}
	if list, ok := p.mongoAnswer(3); ok && list["ok"] == "1" && list["databases"] != "" {
		f.Reports = []vedette.Report{report("check:mongodb-no-auth", "The server listed its databases to a client that did not log in.")}
	}
	return f, true
}

// bson encodes a document of elements.
func bson(elements ...[]byte) []byte {
	body := bytes.Join(elements, nil)
	return append(append(binary.LittleEndian.AppendUint32(nil, uint32(len(body)+5)), body...), 0)
}

func bsonInt(name string, v int32) []byte {
	return binary.LittleEndian.AppendUint32([]byte("\x10"+name+"\x00"), uint32(v))
}

func bsonText(name, v string) []byte {
	b := binary.LittleEndian.AppendUint32([]byte("\x02"+name+"\x00"), uint32(len(v)+1))
	return append(append(b, v...), 0)
}

func bsonBool(name string, v bool) []byte {
	if v {
		return []byte("\x08" + name + "\x00\x01")
	}
	return []byte("\x08" + name + "\x00\x00")
}

// readBSON reads the elements of a document (BSON 1.1): texts, numbers and
// truth as text, all else as "...".
func readBSON(b []byte) (map[string]string, bool) {
	le := binary.LittleEndian
	if len(b) < 5 || int(le.Uint32(b)) > len(b) || le.Uint32(b) < 5 {
		return nil, false
	}
	b = b[4:le.Uint32(b)]
	out := map[string]string{}
	for len(b) > 0 && b[0] != 0 {
		kind := b[0]
		name, rest, ok := bytes.Cut(b[1:], []byte{0})
		n, fits := bsonSize(kind, rest)
		if !ok || !fits || len(out) >= 200 {
			return out, false
		}
		out[string(name)] = bsonValue(kind, rest[:n])
		b = rest[n:]
	}
	return out, len(b) == 1
}

// bsonSize is how many bytes the value at the start of b takes.
func bsonSize(kind byte, b []byte) (int, bool) {
	le := binary.LittleEndian
	n := 0
	switch kind {
	case 0x01, 0x09, 0x11, 0x12:
		n = 8
	case 0x08:
		n = 1
	case 0x06, 0x0a, 0x7f, 0xff:
	case 0x10:
		n = 4
	case 0x07:
		n = 12
	case 0x13:
		n = 16
	case 0x0b:
		for range 2 {
			i := bytes.IndexByte(b[n:], 0)
			if i < 0 {
				return 0, false
			}
			n += i + 1
		}
	case 0x02, 0x03, 0x04, 0x05, 0x0d, 0x0e:
		if len(b) < 4 || le.Uint32(b) > maxAnswer {
			return 0, false
		}
		n = int(le.Uint32(b)) + map[byte]int{0x02: 4, 0x03: 0, 0x04: 0, 0x05: 5, 0x0d: 4, 0x0e: 4}[kind]
		if n < 5 {
			return 0, false
		}
	default:
		return 0, false
	}
	return n, n <= len(b)
}

func bsonValue(kind byte, b []byte) string {
	le := binary.LittleEndian
	switch kind {
	case 0x01:
		return strconv.FormatFloat(math.Float64frombits(le.Uint64(b)), 'g', -1, 64)
	case 0x02:
		return string(bytes.TrimSuffix(b[4:], []byte{0}))
	case 0x08:
		return strconv.FormatBool(b[0] != 0)
	case 0x10:
		return strconv.Itoa(int(int32(le.Uint32(b))))
	case 0x12:
		return strconv.FormatInt(int64(le.Uint64(b)), 10)
	}
	return "..."
}
