package probe

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"net/http"
	"strconv"
	"strings"
)

// icon is a site's icon as catalogues of icons name it.
type icon struct {
	md5  string // hex, as in Recog's favicons
	mmh3 string // signed decimal, as in searches for hosts by icon
}

// favicon fetches the icon that a page names, or /favicon.ico. ok is false when
// there is none, or none that was read to its end.
func (w *site) favicon(ctx context.Context, front *page) (icon, bool) {
	ref := "/favicon.ico"
	if href := iconOf(front.body); href != "" && !strings.HasPrefix(href, "data:") {
		u, err := front.url.Parse(href)
		if err != nil || u.Scheme != front.url.Scheme || u.Host != front.url.Host {
			return icon{}, false // an icon from elsewhere is not this host's
		}
		ref = u.RequestURI()
	}
	p, err := w.get(ctx, ref)
	if err != nil || p.status != http.StatusOK || !p.whole || !image(p.body) {
		return icon{}, false
	}
	return nameIcon(p.body), true
}

func nameIcon(b []byte) icon {
	sum := md5.Sum(b)
	return icon{hex.EncodeToString(sum[:]), strconv.Itoa(int(int32(murmur3(iconText(b), 0))))}
}

// image tells a picture from the page that some servers give for every path.
func image(b []byte) bool {
	b = bytes.TrimLeft(b, " \t\r\n\xef\xbb\xbf")
	if len(b) == 0 {
		return false
	}
	low := bytes.ToLower(b[:min(len(b), 512)])
	return b[0] != '<' && b[0] != '{' || bytes.Contains(low, []byte("<svg"))
}

// iconText is what is hashed of an icon: base64 (RFC 4648 §4) in lines of 76
// characters (RFC 2045 §6.8), each ended by "\n".
func iconText(b []byte) []byte {
	s := base64.StdEncoding.EncodeToString(b)
	out := make([]byte, 0, len(s)+len(s)/76+1)
	for len(s) > 0 {
		n := min(76, len(s))
		out = append(append(out, s[:n]...), '\n')
		s = s[n:]
	}
	return out
}

// murmur3 is MurmurHash3_x86_32 (Appleby, SMHasher, MurmurHash3.cpp).
func murmur3(b []byte, seed uint32) uint32 {
	const c1, c2 = 0xcc9e2d51, 0x1b873593
	h := seed
	n := len(b)
	for ; len(b) >= 4; b = b[4:] {
		h ^= bits.RotateLeft32(binary.LittleEndian.Uint32(b)*c1, 15) * c2
		h = bits.RotateLeft32(h, 13)*5 + 0xe6546b64
	}
	var k uint32
	for i := len(b) - 1; i >= 0; i-- {
		k = k<<8 | uint32(b[i])
	}
	if len(b) > 0 {
		h ^= bits.RotateLeft32(k*c1, 15) * c2
	}
	h ^= uint32(n)
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	return h ^ h>>16
}
