package lab

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// serveSMB negotiates SMB 2 ([MS-SMB2] §3.3.5.3, §3.3.5.4), and as check:smb1
// also "NT LM 0.12" ([MS-CIFS] §2.2.4.52), which tells its software at the session setup.
func serveSMB(s *session) {
	for range 16 {
		head, err := s.take(4) // NetBIOS session service (RFC 1002 §4.3.1)
		if err != nil || head[0] != 0 && head[0] != 0x81 {
			return
		}
		b, err := s.take(int(head[1])<<16 | int(head[2])<<8 | int(head[3]))
		if err != nil {
			return
		}
		if head[0] == 0x81 { // session request: accepted
			s.Write([]byte{0x82, 0, 0, 0})
			continue
		}
		answer := s.answerSMB(b)
		if answer == nil {
			return
		}
		if _, err := s.Write(append([]byte{0, byte(len(answer) >> 16), byte(len(answer) >> 8), byte(len(answer))}, answer...)); err != nil {
			return
		}
	}
}

func (s *session) answerSMB(b []byte) []byte {
	switch {
	case len(b) >= 64+36 && bytes.HasPrefix(b, []byte("\xfeSMB")) && binary.LittleEndian.Uint16(b[12:]) == 0:
		n := int(binary.LittleEndian.Uint16(b[64+2:]))
		if len(b) < 64+36+2*n {
			return nil
		}
		var best uint16
		for i := range n {
			if d := binary.LittleEndian.Uint16(b[64+36+2*i:]); slices.Contains([]uint16{0x0202, 0x0210, 0x0300, 0x0302}, d) {
				best = max(best, d)
			}
		}
		return smb2Negotiated(best, b[24:32])
	case len(b) >= 35 && bytes.HasPrefix(b, []byte("\xffSMB\x72")):
		return s.negotiateSMB1(b)
	case len(b) >= 35 && bytes.HasPrefix(b, []byte("\xffSMB\x73")) && s.weak("check:smb1"):
		return s.setupSMB1(b)
	}
	return nil
}

// negotiateSMB1 chooses among the dialects that a client names.
func (s *session) negotiateSMB1(b []byte) []byte {
	var names []string
	for d := range bytes.SplitSeq(b[35:], []byte{0}) {
		names = append(names, string(bytes.TrimPrefix(d, []byte{2})))
	}
	switch i := slices.Index(names, "NT LM 0.12"); {
	case slices.Contains(names, "SMB 2.???"):
		return smb2Negotiated(0x02ff, make([]byte, 8))
	case slices.Contains(names, "SMB 2.002"):
		return smb2Negotiated(0x0202, make([]byte, 8))
	case i >= 0 && s.weak("check:smb1"):
		body := []byte{17, byte(i), 0, 3, 50, 0, 1, 0}
		body = binary.LittleEndian.AppendUint32(body, 16644) // MaxBufferSize
		body = binary.LittleEndian.AppendUint32(body, 65536)
		body = append(body, 0, 0, 0, 0)                     // SessionKey
		body = binary.LittleEndian.AppendUint32(body, 0x5c) // large files, Unicode, NT SMBs, status codes
		body = append(body, make([]byte, 8+2)...)           // SystemTime, zone
		body = append(body, 8, 8, 0)                        // ChallengeLength, ByteCount
		return append(smb1Header(b), append(body, "labchall"...)...)
	}
	return nil
}

// setupSMB1 lets a guest in and says what runs ([MS-CIFS] §2.2.4.53.2).
func (s *session) setupSMB1(b []byte) []byte {
	text := append([]byte("Unix\x00"), s.shown()...)
	text = append(text, "\x00WORKGROUP\x00"...)
	body := []byte{3, 0xff, 0, 0, 0, 1, 0}
	body = binary.LittleEndian.AppendUint16(body, uint16(len(text)))
	return append(smb1Header(b), append(body, text...)...)
}

// smb1Header answers the header of a request, in ASCII.
func smb1Header(ask []byte) []byte {
	h := bytes.Clone(ask[:32])
	copy(h[5:9], make([]byte, 4)) // success
	h[9] |= 0x80
	binary.LittleEndian.PutUint16(h[10:], 0x4001)
	return h
}

// smb2Negotiated is the NEGOTIATE response ([MS-SMB2] §2.2.4) with a dialect; 0
// is refused with STATUS_NOT_SUPPORTED.
func smb2Negotiated(dialect uint16, message []byte) []byte {
	h := make([]byte, 64)
	copy(h, "\xfeSMB")
	h[4], h[16] = 64, 1 // StructureSize, a response
	h[14] = 1           // credits
	copy(h[24:], message)
	if dialect == 0 {
		binary.LittleEndian.PutUint32(h[8:], 0xc00000bb)
		return append(h, 9, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	b := make([]byte, 64)
	b[0], b[2] = 65, 1 // StructureSize, signing enabled
	binary.LittleEndian.PutUint16(b[4:], dialect)
	copy(b[8:], "lab server guid.")
	binary.LittleEndian.PutUint32(b[24:], 7)
	for i := 28; i < 40; i += 4 {
		binary.LittleEndian.PutUint32(b[i:], 8<<20)
	}
	binary.LittleEndian.PutUint16(b[56:], 128) // SecurityBufferOffset
	return append(h, b...)
}
