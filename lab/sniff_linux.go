package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// sniff counts what is sent to the tripwire even where nothing listens: opening
// segments, datagrams and ICMP on the loopback interface. It needs the right to
// raw sockets; without it there is nothing to count, and no error.
func (t *Tripwire) sniff(ctx context.Context) (run func(), ok bool) {
	const ipv4 = 0x0800
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, int(swap(ipv4)))
	if err != nil {
		return nil, false
	}
	lo, err := net.InterfaceByName("lo")
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrLinklayer{Protocol: swap(ipv4), Ifindex: lo.Index})
	}
	if err == nil { // so that the end of the lab is seen
		err = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Usec: 100_000})
	}
	if err != nil {
		syscall.Close(fd)
		return nil, false
	}
	// a survey of thousands of hosts must not push packets out of the queue
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, 8<<20)
	return func() {
		defer syscall.Close(fd)
		buf := make([]byte, 128)
		for ctx.Err() == nil {
			n, from, err := syscall.Recvfrom(fd, buf, 0)
			if err != nil {
				if !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR) {
					time.Sleep(time.Millisecond)
				}
				continue
			}
			if ll, ok := from.(*syscall.SockaddrLinklayer); ok && ll.Pkttype == syscall.PACKET_OUTGOING {
				continue // every packet of loopback is seen going out and coming in
			}
			if p, ok := parsePacket(buf[:n]); ok {
				t.packet(p)
			}
		}
	}, true
}

// swap is the order of the network.
func swap(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// parsePacket reads what an IPv4 packet (RFC 791 §3.1) is, when it opens
// something: a SYN without ACK (RFC 9293 §3.1), a datagram, an ICMP message.
func parsePacket(b []byte) (packet, bool) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return packet{}, false
	}
	head := int(b[0]&15) * 4
	to, _ := netip.AddrFromSlice(b[16:20])
	switch rest := b[min(head, len(b)):]; {
	case b[9] == 6 && len(rest) >= 14 && rest[13]&0x12 == 2:
		return packet{"tcp", netip.AddrPortFrom(to, binary.BigEndian.Uint16(rest[2:]))}, true
	case b[9] == 17 && len(rest) >= 4:
		return packet{"udp", netip.AddrPortFrom(to, binary.BigEndian.Uint16(rest[2:]))}, true
	case b[9] == 1 && len(rest) >= 1 && rest[0] == 8: // echo; errors are answers
		return packet{"icmp", netip.AddrPortFrom(to, 0)}, true
	}
	return packet{}, false
}
