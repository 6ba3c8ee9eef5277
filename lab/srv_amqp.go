package lab

import "encoding/binary"

// serveAMQP starts a connection of AMQP 0-9-1 (§2.2.4, §2.3.5); who asks for
// another version gets the header of this one.
func serveAMQP(s *session) {
	const header = "AMQP\x00\x00\x09\x01"
	head, err := s.take(8)
	if err != nil {
		return
	}
	if string(head) != header {
		s.Write([]byte(header))
		return
	}
	w := s.live.svc.Software
	table := amqpField("product", w.Product)
	if w.Product == "rabbitmq" {
		table = amqpField("product", "RabbitMQ")
	}
	table = append(table, amqpField("version", w.Shown())...)
	table = append(table, amqpField("platform", "Erlang/OTP")...)
	b := []byte{0, 10, 0, 10, 0, 9} // connection.start, version 0-9
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(table))), table...)
	b = amqpLong(amqpLong(b, "PLAIN AMQPLAIN"), "en_US")
	frame := append([]byte{1, 0, 0}, binary.BigEndian.AppendUint32(nil, uint32(len(b)))...)
	if _, err := s.Write(append(append(frame, b...), 0xce)); err != nil {
		return
	}
	s.drain()
}

func amqpField(name, value string) []byte {
	return amqpLong(append(append([]byte{byte(len(name))}, name...), 'S'), value)
}

func amqpLong(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}
