package lab

import (
	"bytes"
	"encoding/binary"
	"math"
)

// The messages of MongoDB (MongoDB wire protocol).
const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

// serveMongoDB answers what a client may ask before it logs in, and as
// check:mongodb-no-auth also which databases there are.
func serveMongoDB(s *session) {
	for range maxCommands {
		head, err := s.take(16)
		if err != nil {
			return
		}
		body, err := s.take(int(binary.LittleEndian.Uint32(head)) - 16)
		if err != nil {
			return
		}
		var doc []byte
		op := binary.LittleEndian.Uint32(head[12:])
		switch {
		case op == opMsg && len(body) > 5 && body[4] == 0:
			doc = body[5:]
		case op == opQuery && len(body) > 4:
			_, rest, ok := bytes.Cut(body[4:], []byte{0})
			if !ok || len(rest) < 8 {
				return
			}
			doc = rest[8:]
		default:
			return
		}
		if s.replyMongoDB(op, head[4:8], s.commandMongoDB(firstKey(doc))) != nil {
			return
		}
	}
}

// firstKey is the name of a document's first element: the command (BSON 1.1).
func firstKey(doc []byte) string {
	if len(doc) < 6 {
		return ""
	}
	name, _, _ := bytes.Cut(doc[5:], []byte{0})
	return string(name)
}

func (s *session) commandMongoDB(name string) []byte {
	switch {
	case name == "hello" || name == "isMaster" || name == "ismaster":
		return bsonDoc(bsonBool("helloOk", true), bsonBool("ismaster", true), bsonBool("isWritablePrimary", true),
			bsonInt("maxBsonObjectSize", 16<<20), bsonInt("minWireVersion", 0), bsonInt("maxWireVersion", 13), bsonDouble("ok", 1))
	case name == "buildInfo" || name == "buildinfo":
		return bsonDoc(bsonString("version", s.shown()), bsonString("gitVersion", "0"), bsonInt("bits", 64), bsonDouble("ok", 1))
	case name == "ping":
		return bsonDoc(bsonDouble("ok", 1))
	case name == "listDatabases" && s.weak("check:mongodb-no-auth"):
		one := bsonDoc(bsonString("name", "admin"), bsonDouble("sizeOnDisk", 40960), bsonBool("empty", false))
		list := bsonDoc(append([]byte{3, '0', 0}, one...))
		return bsonDoc(append([]byte("\x04databases\x00"), list...), bsonDouble("totalSize", 40960), bsonDouble("ok", 1))
	case s.weak("check:mongodb-no-auth"):
		return bsonDoc(bsonDouble("ok", 0), bsonString("errmsg", "no such command"), bsonInt("code", 59), bsonString("codeName", "CommandNotFound"))
	}
	return bsonDoc(bsonDouble("ok", 0), bsonString("errmsg", "command requires authentication"), bsonInt("code", 13), bsonString("codeName", "Unauthorized"))
}

func (s *session) replyMongoDB(op uint32, to, doc []byte) error {
	body := append([]byte{0, 0, 0, 0, 0}, doc...) // flags, one section
	answer := uint32(opMsg)
	if op == opQuery {
		answer = opReply
		body = make([]byte, 20) // flags, cursor, start
		body[0], body[16] = 8, 1
		body = append(body, doc...)
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(16+len(body)))
	b = binary.LittleEndian.AppendUint32(b, 1)
	b = append(b, to...)
	b = binary.LittleEndian.AppendUint32(b, answer)
	_, err := s.Write(append(b, body...))
	return err
}

func bsonDoc(elements ...[]byte) []byte {
	b := make([]byte, 4)
	for _, e := range elements {
		b = append(b, e...)
	}
	b = append(b, 0)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	return b
}

func bsonElement(kind byte, name string, value []byte) []byte {
	return append(append(append([]byte{kind}, name...), 0), value...)
}

func bsonBool(name string, v bool) []byte {
	b := byte(0)
	if v {
		b = 1
	}
	return bsonElement(8, name, []byte{b})
}

func bsonInt(name string, v int32) []byte {
	return bsonElement(16, name, binary.LittleEndian.AppendUint32(nil, uint32(v)))
}

func bsonDouble(name string, v float64) []byte {
	return bsonElement(1, name, binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)))
}

func bsonString(name, v string) []byte {
	return bsonElement(2, name, append(append(binary.LittleEndian.AppendUint32(nil, uint32(len(v)+1)), v...), 0))
}
