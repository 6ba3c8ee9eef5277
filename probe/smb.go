package probe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/vedette-hub/vedette"
)

// smb is file sharing over TCP: a negotiation of SMB 2 and 3, and one of SMB 1
// on a connection of its own ([MS-SMB2] §2.2.3, §2.2.4; [MS-CIFS] §2.2.4.52).
var smb = &protocol{
	name:  "microsoft-ds",
	spec:  "[MS-SMB2] §2.2.3, §2.2.4, [MS-CIFS] §2.2.4.52",
	ports: []uint16{445},
	hello: func(*peer) []byte { return smb2Negotiate() },
	read:  readSMB,
}

// smbOld is a server of version 1 alone: it closes on the negotiation of the others.
var smbOld = &protocol{
	name:  "microsoft-ds",
	spec:  smb.spec,
	ports: smb.ports,
	hello: func(*peer) []byte { return smb1Negotiate() },
	read: func(p *peer) (vedette.Fact, bool) {
		f := vedette.Fact{Details: map[string]string{}}
		return f, p.readSMB1(&f)
	},
}

var smbReports = []vedette.Report{report("check:smb1", "The server negotiates the dialect NT LM 0.12.")}

// smb2Negotiate offers 2.0.2 to 3.1.1.
func smb2Negotiate() []byte {
	le := binary.LittleEndian
	h := make([]byte, 64, 256) // header, §2.2.1.2
	copy(h, "\xfeSMB")
	le.PutUint16(h[4:], 64)
	le.PutUint16(h[14:], 1) // one credit
	dialects := []uint16{0x0202, 0x0210, 0x0300, 0x0302, 0x0311}
	b := make([]byte, 36)
	le.PutUint16(b, 36)
	le.PutUint16(b[2:], uint16(len(dialects)))
	le.PutUint16(b[4:], 1)            // signing enabled
	copy(b[12:], "vedette-scanner-")  // the client's GUID
	le.PutUint32(b[28:], 64+36+2*5+2) // the contexts begin on eight bytes
	le.PutUint16(b[32:], 2)
	for _, d := range dialects {
		b = le.AppendUint16(b, d)
	}
	b = append(b, 0, 0)
	// preauthentication integrity: SHA-512 with a salt; then encryption: AES-128-GCM, AES-128-CCM
	b = append(b, 1, 0, 38, 0, 0, 0, 0, 0, 1, 0, 32, 0, 1, 0)
	b = append(b, "a salt that need not be a secret"...)
	b = append(b, 0, 0)
	b = append(b, 2, 0, 6, 0, 0, 0, 0, 0, 2, 0, 2, 0, 1, 0)
	return netbios(append(h, b...))
}

// smb1Negotiate offers "NT LM 0.12" and nothing newer.
func smb1Negotiate() []byte {
	h := make([]byte, 32)
	copy(h, "\xffSMB\x72")
	h[9], h[10] = 0x18, 0x01 // flags: canonical paths, no case; flags2: long names
	const dialect = "\x02NT LM 0.12\x00"
	h = append(h, 0, byte(len(dialect)), 0)
	return netbios(append(h, dialect...))
}

// netbios frames a message for direct TCP ([MS-SMB2] §2.1).
func netbios(b []byte) []byte {
	return append([]byte{0, 0, byte(len(b) >> 8), byte(len(b))}, b...)
}

// smbMessage reads one message.
func (p *peer) smbMessage() ([]byte, bool) {
	h, ok := p.take(4)
	if !ok || h[0] != 0 || h[1] != 0 {
		return nil, false
	}
	return p.take(int(h[2])<<8 | int(h[3]))
}

func readSMB(p *peer) (vedette.Fact, bool) {
	f := vedette.Fact{Details: map[string]string{}}
	b, ok := p.smbMessage()
	if !ok || !readSMB2(b, f.Details) {
		return f, false
	}
	q, err := p.again()
	if err != nil {
		return f, false // whether it speaks version 1 is not known
	}
	defer q.close()
	one := q.ask(smb1Negotiate()) && q.readSMB1(&f) // without version 1 it closes
	f.Details["smb1"] = yesNo(one)
	if len(f.Software) == 0 && sambaGUID(b[72:88]) {
		f.Software = []vedette.Software{{Vendor: "samba", Product: "samba"}}
	}
	return f, true
}

// sambaGUID says whether the id of a server is one that Samba makes up: its
// NetBIOS name in lower case, filled up with zeros. Others draw theirs
// ([MS-SMB2] §2.2.4).
func sambaGUID(id []byte) bool {
	name := strings.TrimRight(string(id), "\x00")
	return name != "" && len(name) < len(id) && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// readSMB2 reads a negotiate response into details.
func readSMB2(b []byte, details map[string]string) bool {
	le := binary.LittleEndian
	if len(b) < 64+64 || !bytes.HasPrefix(b, []byte("\xfeSMB")) || le.Uint16(b[12:]) != 0 || le.Uint32(b[16:])&1 == 0 || le.Uint32(b[8:]) != 0 || le.Uint16(b[64:]) != 65 {
		return false
	}
	d := le.Uint16(b[68:])
	if d < 0x0200 || d > 0x03ff {
		return false
	}
	details["dialect"] = fmt.Sprintf("%x.%x", d>>8, d>>4&15)
	if d&15 != 0 {
		details["dialect"] += fmt.Sprintf(".%x", d&15)
	}
	details["signing_required"] = yesNo(le.Uint16(b[66:])&2 != 0)
	return true
}

// readSMB1 reads the answer to a negotiation of version 1: its header of 32
// bytes, the count of words, the index of the dialect that it chose. A server
// that accepts is asked what it is.
func (p *peer) readSMB1(f *vedette.Fact) bool {
	b, ok := p.smbMessage()
	if !ok || len(b) < 35 || !bytes.HasPrefix(b, []byte("\xffSMB\x72")) || b[9]&0x80 == 0 || b[32] < 1 || binary.LittleEndian.Uint16(b[33:]) != 0 {
		return false
	}
	f.Details["smb1"] = "yes"
	f.Reports = smbReports
	if !p.ask(smb1Setup()) {
		return true
	}
	if b, ok = p.smbMessage(); ok {
		system, software := nativeSMB1(b)
		f.Banner = Banner([]byte(strings.TrimSpace(system+"\n"+software)), MaxBanner)
		f.Software = p.software("smb.native_lm", software)
		if len(f.Software) == 0 {
			f.Software = p.software("smb.native_os", system)
		}
	}
	return true
}

// smb1Setup begins a session of nobody: no name, no password, no domain
// ([MS-CIFS] §2.2.4.53.1). The answer says what runs; the session is not used.
func smb1Setup() []byte {
	b := make([]byte, 32, 80)
	copy(b, "\xffSMB\x73")
	b[9], b[10], b[24], b[26] = 0x18, 0x01, 1, 1
	b = append(b, 13, 0xff, 0, 0, 0) // words; no command after this one
	b = append(b, 0x04, 0x11, 1, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, 1, 0, 0, 0, 0, 0, 0, 0, 0x50, 0, 0, 0) // a password of one zero byte; capabilities
	b = append(b, 5, 0)
	return netbios(append(b, 0, 0, 0, 0, 0))
}

// nativeSMB1 reads the operating system and the software out of the answer to a
// session setup ([MS-CIFS] §2.2.4.53.2), in ASCII or UTF-16.
func nativeSMB1(b []byte) (system, software string) {
	if len(b) < 33 || !bytes.HasPrefix(b, []byte("\xffSMB\x73")) || b[9]&0x80 == 0 || len(b) < 33+2*int(b[32])+2 || b[32] < 3 {
		return "", ""
	}
	text := b[33+2*int(b[32])+2:]
	if b[11]&0x80 != 0 { // Unicode, on an even offset
		if (len(b)-len(text))%2 == 1 && len(text) > 0 {
			text = text[1:]
		}
		var units []uint16
		for ; len(text) > 1; text = text[2:] {
			units = append(units, binary.LittleEndian.Uint16(text))
		}
		text = []byte(string(utf16.Decode(units)))
	}
	parts := strings.SplitN(string(text), "\x00", 3)
	if len(parts) < 2 {
		return "", ""
	}
	return parts[0], parts[1]
}
