package read

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// times is a text n times over, never held in memory.
type times struct {
	text string
	n    int
}

// stream joins strings and times.
func stream(parts ...any) func() io.Reader {
	return func() io.Reader {
		var rs []io.Reader
		for _, p := range parts {
			switch p := p.(type) {
			case string:
				rs = append(rs, strings.NewReader(p))
			case times:
				rs = append(rs, &repeater{times: p})
			}
		}
		return io.MultiReader(rs...)
	}
}

type repeater struct {
	times
	at int
}

func (r *repeater) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && r.n > 0 {
		k := copy(p[n:], r.text[r.at:])
		n += k
		if r.at += k; r.at == len(r.text) {
			r.at = 0
			r.n--
		}
	}
	if n == 0 && r.n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// packed compresses a stream, on the way.
func packed(in func() io.Reader) func() io.Reader {
	return func() io.Reader {
		r, w := io.Pipe()
		go func() {
			z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
			_, err := io.Copy(z, in())
			if err == nil {
				err = z.Close()
			}
			w.CloseWithError(err)
		}()
		return r
	}
}

const (
	cveHead = `{"dataType":"CVE_RECORD","cveMetadata":{"cveId":"CVE-2031-0001"},"containers":{"cna":{`
	cveTail = `}}}`
	kevHead = `{"catalogVersion":"1","count":1,"vulnerabilities":[{"cveID":"CVE-2031-0001","dateAdded":"2031-01-01"`
	kevTail = `}]}`
	xmlHead = `<?xml version="1.0"?><!DOCTYPE nmaprun><nmaprun scanner="nmap" args="-sV" start="1927972800"><scaninfo type="syn" protocol="tcp" services="22"/>`
	xmlHost = `<host><status state="up"/><address addr="192.0.2.7" addrtype="ipv4"/><ports><port protocol="tcp" portid="22"><state state="open"/><service name="ssh" product="`
	xmlEnd  = `"/></port></ports></host><runstats><finished time="1927972900" exit="success"/></runstats></nmaprun>`
	yamlDoc = "id: OSV-2031-1\nmodified: 2031-01-01T00:00:00Z\n"
)

// hostile is an input of reliability.md part D with its verdict: what the
// error says, of the document or of its first refused record; "" accepts.
var hostile = []struct {
	id, format string
	in         func() io.Reader
	refused    string
}{
	{"H01 duplicate keys", "cve", stream(cveHead, `"title":"a","title":"b"`, cveTail), "stands twice"},
	{"H02 keys equal but for case", "cve", stream(cveHead, `"title":"a","TITLE":"b"`, cveTail), "stands twice"},
	{"H02 in an element", "kev", stream(kevHead, `,"cveid":"CVE-2031-0002"`, kevTail), "/vulnerabilities/0"},
	{"H03 depth 255", "cve", stream(cveHead, `"x_a":`, times{"[", 252}, times{"]", 252}, cveTail), ""},
	{"H03 depth 257", "cve", stream(cveHead, `"x_a":`, times{"[", 254}, times{"]", 254}, cveTail), "deeper than 256"},
	{"H03 depth 9999", "cve", stream(cveHead, `"x_a":`, times{"[", 9990}, times{"]", 9990}, cveTail), "deeper than 256"},
	{"H03 depth 10001", "cve", stream(cveHead, `"x_a":`, times{"[", 10001}, times{"]", 10001}, cveTail), "depth"},
	{"H03 depth 1M", "cve", stream(times{"[", 1_000_000}), "depth"},
	{"H03 depth 1M of objects", "kev", stream(kevHead, `,"a":`, times{`{"a":`, 1_000_000}), "depth"},
	{"H04 lone surrogate", "cve", stream(cveHead, `"title":"\ud800"`, cveTail), "surrogate"},
	{"H05 invalid UTF-8", "kev", stream(kevHead, ",\"notes\":\"\xff\"", kevTail), "UTF-8"},
	{"H06 overlong UTF-8", "kev", stream(kevHead, ",\"notes\":\"\xc0\xaf\"", kevTail), "UTF-8"},
	{"H07 NUL", "kev", stream(kevHead, `,"notes":"a\u0000b"`, kevTail), "NUL"},
	{"H08 a number beyond all", "cve", stream(cveHead, `"metrics":[{"cvssV3_1":{"baseScore":1e999999}}]`, cveTail), "baseScore"},
	{"H08 minus zero", "cve", stream(cveHead, `"metrics":[{"cvssV3_1":{"baseScore":-0}}]`, cveTail), ""},
	{"H09 2^53+1", "kev", stream(`{"catalogVersion":"1","count":9007199254740993,"vulnerabilities":[]}`), "9007199254740993"},
	{"H10 string of 100 MB", "cve", stream(cveHead, `"title":"`, times{"0123456789", 10_000_000}, `"`, cveTail), "longer than"},
	{"H10 string of 100 MB in an array", "kev", stream(kevHead, `,"notes":"`, times{"0123456789", 10_000_000}, `"`, kevTail), "larger than"},
	{"H10 string of 5 MB", "kev", stream(kevHead, `,"notes":"`, times{"0123456789", 500_000}, `"`, kevTail), "longer than"},
	{"H11 1M equal keys", "kev", stream(kevHead, times{`,"k":1`, 1_000_000}, kevTail), "stands twice"},
	{"H12 byte order mark", "kev", stream("\xef\xbb\xbf", kevHead, kevTail), ""},
	{"H12 trailing garbage", "kev", stream(kevHead, kevTail, "x"), "follows the end"},
	{"H13 a line of 1 GB", "cve", stream(times{"0123456789", 100_000_000}), "longer than"},
	{"H13 after a good line", "cve", stream(cveHead, cveTail, "\n", times{"0123456789", 100_000_000}), "line 2"},
	{"H13 1 GB of white space", "kev", stream(times{"          ", 100_000_000}), "larger than"},
	{"H14 NaN", "kev", stream(kevHead, `,"x":NaN`, kevTail), "invalid character"},
	{"H14 Infinity", "kev", stream(kevHead, `,"x":-Infinity`, kevTail), "invalid character"},
	{"H14 comment", "kev", stream(kevHead, `/* x */`, kevTail), "invalid character"},
	{"H15 __proto__", "kev", stream(kevHead, `,"__proto__":{"constructor":1}`, kevTail), ""},
	{"wrong type", "kev", stream(`{"catalogVersion":"1","count":1,"vulnerabilities":[7]}`), "/vulnerabilities/0"},
	{"wrong container", "kev", stream(`{"catalogVersion":"1","count":1,"vulnerabilities":7}`), "expected an array"},
	{"count is not the length", "kev", stream(strings.Replace(kevHead, `"count":1`, `"count":2`, 1), kevTail), "/count is 2"},

	{"H16 billion laughs", "nmap", stream(`<!DOCTYPE nmaprun [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><nmaprun>&b;</nmaprun>`), "document type"},
	{"H17 quadratic blow-up", "nmap", stream(`<!DOCTYPE nmaprun [<!ENTITY a "`, times{"a", 1 << 20}, `">]><nmaprun>`, times{"&a;", 1 << 16}), "document type"},
	{"H18 external entity", "nmap", stream(`<!DOCTYPE nmaprun [<!ENTITY x SYSTEM "file:///etc/passwd">]><nmaprun>&x;</nmaprun>`), "document type"},
	{"H19 external DTD", "nmap", stream(`<!DOCTYPE nmaprun SYSTEM "http://dtd.example/x.dtd"><nmaprun/>`), "document type"},
	{"H20 parameter entity", "nmap", stream(`<!DOCTYPE nmaprun [<!ENTITY % x SYSTEM "http://dtd.example/x">%x;]><nmaprun/>`), "document type"},
	{"H21 XInclude", "nmap", stream(xmlHead, `<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>`, xmlHost, "x", xmlEnd), ""},
	{"H22 2M nested", "nmap", stream(xmlHead, times{"<a>", 2_000_000}), "deeper than 256"},
	{"H22 nested in a host", "nmap", stream(xmlHead, "<host>", times{"<a>", 2_000_000}), "deeper than 256"},
	{"H23 300k attributes", "nmap", stream(`<nmaprun `, times{`a="1" `, 300_000}, `/>`), "attributes"},
	{"H23 2M attributes", "nmap", stream(`<nmaprun `, times{`a="1" `, 2_000_000}, `/>`), "larger than"},
	{"H24 duplicate attributes", "nmap", stream(`<nmaprun start="1" start="2"/>`), "stands twice"},
	{"H25 UTF-16", "nmap", stream(`<?xml version="1.0" encoding="UTF-16"?><nmaprun/>`), "encoding"},
	{"H25 UTF-7", "nmap", stream(`<?xml version="1.0" encoding="UTF-7"?><nmaprun/>`), "encoding"},
	{"H25 EBCDIC", "nmap", stream(`<?xml version="1.0" encoding="IBM037"?><nmaprun/>`), "encoding"},
	{"H26 redefined name space", "nmap", stream(xmlHead, `<x xmlns:xml="urn:x"/>`, xmlHost, "x", xmlEnd), ""},
	{"H27 nested CDATA", "nmap", stream(xmlHead, `<x><![CDATA[<![CDATA[]]>]]></x>`, xmlHost, "x", xmlEnd), "unescaped ]]>"},
	{"H28 style sheet", "nmap", stream(`<?xml-stylesheet href="http://x.example/x.xsl" type="text/xsl"?>`, xmlHead[21:], xmlHost, "x", xmlEnd), ""},
	{"XML of 100 MB text", "nmap", stream(xmlHead, times{"0123456789", 10_000_000}), "larger than"},
	{"unfinished scan", "nmap", stream(xmlHead, `</nmaprun>`), "did not finish"},
	{"failed scan", "nmap", stream(xmlHead, `<runstats><finished exit="error" errormsg="x"/></runstats></nmaprun>`), "ended with"},
	{"a host that is none", "nmap", stream(xmlHead, `<host><status state="up"/><address addr="../x" addrtype="ipv4"/></host>`), "not an address"},
	{"H67 ANSI in a banner", "nmap", stream(xmlHead, xmlHost, "\u009b31m\u202e", xmlEnd), ""},

	{"H30 alias bomb", "osv-yaml", stream(yamlDoc, "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n"), "anchor or alias"},
	{"H31 object tag", "osv-yaml", stream(yamlDoc, "a: !!python/object/apply:os.system [x]\n"), "a tag"},
	{"H32 Norway", "osv-yaml", stream(yamlDoc, "affected:\n- package: {ecosystem: no, name: 1e3}\n  versions: [0o17, 1.10, yes, null]\n"), ""},
	{"H33 merge key", "osv-yaml", stream(yamlDoc, "a: &a\n  <<: *a\n"), "anchor or alias"},
	{"H33 merge key alone", "osv-yaml", stream(yamlDoc, "a:\n  <<: {b: c}\n"), "merge key"},
	{"H34 duplicate keys", "osv-yaml", stream(yamlDoc, "id: OSV-2031-2\n"), "line 3"},
	{"H34 keys equal but for case", "osv-yaml", stream(yamlDoc, "ID: OSV-2031-2\n"), "stands twice"},
	{"H35 10k entries", "osv-yaml", stream(yamlDoc, "versions:\n", times{"- 1.0\n", 10_000}), ""},
	{"YAML flow depth", "osv-yaml", stream(yamlDoc, "a: ", times{"[", 100_000}), "nested deeper"},
	{"YAML flow depth over lines", "osv-yaml", stream(yamlDoc, "a: ", times{"[\n", 50_000}), "nested deeper"},
	{"YAML block depth", "osv-yaml", stream(yamlDoc, "a:\n  ", times{"- ", 50_000}, "x\n"), "nested deeper"},
	{"YAML of 10 MB", "osv-yaml", stream(yamlDoc, times{"- 1.0\n", 2_000_000}), "larger than"},
	{"YAML full of commas", "osv-yaml", stream(yamlDoc, "a: [", times{"a,", 125_000}, "a]\n"), ""},
	{"two YAML documents", "osv-yaml", stream(yamlDoc, "---\nid: x\n"), "2 YAML documents"},

	{"H42 gzip of 1 GB", "kev", packed(stream(times{"          ", 100_000_000})), "expands more than 100 times"},
	{"H44 zstd", "kev", stream("\x28\xb5\x2f\xfd", times{"0", 1000}), "zstd"},

	{"H59 formula cells", "inventory", stream("asset,product,version\n192.0.2.7,'=cmd|x!A1,'@1\n192.0.2.7,=1+1,-1\n"), ""},
	{"H60 unclosed quote of 1 GB", "inventory", stream("asset,product\n192.0.2.7,\"", times{"0123456789", 100_000_000}), "longer than"},
	{"H60 unclosed quote over lines", "inventory", stream("asset,product\n192.0.2.7,\"", times{"012345678\n", 100_000_000}), "no closing quote"},
	{"H61 1M columns", "inventory", stream("asset", times{",a", 1_000_000}, "\n"), "more than 1000 columns"},
	{"H61 1M columns in a row", "inventory", stream("asset,product\n192.0.2.7", times{",a", 1_000_000}, "\n"), "more than 1000 columns"},
	{"H62 line end in a header name", "inventory", stream("asset,\"pro\r\nduct\"\n192.0.2.7,x\n"), "unknown column"},
	{"unknown column", "inventory", stream("asset,owner\n192.0.2.7,x\n"), `unknown column "owner"`},
	{"column twice", "inventory", stream("asset,product,Product\n192.0.2.7,x,y\n"), "stands twice"},
	{"H64 homoglyph host", "inventory", stream("asset,product\nexаmple.example,x\n"), "host name"},
	{"H71 zone id", "inventory", stream("asset,product\nfe80::1%eth0,x\n"), "zone"},
	{"H70 short address", "inventory", stream("asset,product\n127.1,x\n"), "address"},
	{"H78 port 65536", "inventory", stream("asset,product,port\n192.0.2.7,x,65536\n"), "port"},
	{"CPE of 1 MB", "inventory", stream("asset,cpe\n192.0.2.7,cpe:2.3:a:", times{"a", 1 << 20}, ":b:*:*:*:*:*:*:*:*:*\n"), "not a CPE name"},
	{"PURL of 1 MB", "inventory", stream("asset,purl\n192.0.2.7,pkg:npm/", times{"a", 1 << 20}, "\n"), "not a package URL"},
	{"EPSS 1.7", "epss", stream("#model_version:v1,score_date:2031-01-01T00:00:00+0000\ncve,epss,percentile\nCVE-2031-0001,1.7,0.5\n"), "1.7 is not between 0 and 1"},
	{"EPSS NaN", "epss", stream("#model_version:v1,score_date:2031-01-01T00:00:00+0000\ncve,epss,percentile\nCVE-2031-0001,NaN,0.5\n"), "between 0 and 1"},
	{"EPSS without a day", "epss", stream("cve,epss,percentile\nCVE-2031-0001,0.7,0.5\n"), "line 1: the first line does not name"},
	{"EPSS line of 1 GB", "epss", stream("#model_version:v1,score_date:2031-01-01\ncve,epss,percentile\n", times{"0123456789", 100_000_000}), "longer than"},
	{"CVSS vector with repeated metrics", "osv", stream(`{"id":"OSV-1","modified":"2031-01-01T00:00:00Z","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]}`), ""},
	{"H63 id with a bidi override", "osv", stream(`{"id":"OSV-\u202e1","modified":"2031-01-01T00:00:00Z"}`), "not an id"},
	{"H68 actor with a line end", "exploited-by", stream("cve,actor\nCVE-2031-0001,\"a\nb\"\n"), "cannot be printed"},
	{"tracker with a strange id", "debian", stream(`{"a":{"CVE-2031-0001":{"releases":{}},"x\n":{"releases":{}}}}`), "no CVE and no TEMP id"},
	{"empty tracker", "debian", stream(`{"a":{}}`), "empty"},
	{"a tracker that is none", "debian", stream(`{}`), "no \"/*\""},
	{"empty EU list", "eukev", stream(`[]`), "empty"},
	{"mapping without rows", "euvd", stream("euvd_id,cve_id\n"), "no row"},
	{"NVD page of nothing", "nvd", stream(`{"format":"NVD_CVE"}`), `no "/vulnerabilities"`},
}

// intake reads as an import does: unpack, then the named format.
func intake(f Format, in io.Reader) (refused error, said int) {
	err := safe.Members("in", in, safe.Limits{}, func(m safe.Member) error {
		if m.Err != nil {
			return m.Err
		}
		_, err := f.Read(m.R, func(r Record, s Said) error {
			if r.Err != nil && refused == nil {
				refused = r.Err
			}
			if r.Err == nil {
				said++
			}
			return nil
		})
		return err
	})
	if err != nil {
		refused = err
	}
	return refused, said
}

func TestHostile(t *testing.T) {
	for _, h := range hostile {
		t.Run(h.id, func(t *testing.T) {
			f, err := ByName(h.format)
			if err != nil {
				t.Fatal(err)
			}
			peak := heapPeak(func() { err, _ = intake(f, h.in()) })
			if peak > 128<<20 {
				t.Errorf("%d MB of heap", peak>>20)
			}
			if h.refused == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if !errors.Is(err, vedette.ErrInvalid) {
				t.Fatalf("%v is not ErrInvalid", err)
			}
			msg := err.Error()
			if !strings.Contains(msg, h.refused) {
				t.Errorf("%q does not say %q", msg, h.refused)
			}
			if len(msg) > 600 || strings.ContainsFunc(msg, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("a message of %d bytes, or with control characters: %.200q", len(msg), msg)
			}
		})
	}
}

// heapPeak is how far the heap grew while f ran. Garbage is collected early, so
// that what is seen is what is held.
func heapPeak(f func()) uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	base := m.HeapAlloc
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(int64(base) + 96<<20))
	var stop atomic.Bool
	done := make(chan uint64)
	go func() {
		var peak uint64
		var m runtime.MemStats
		for !stop.Load() {
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
			time.Sleep(2 * time.Millisecond)
		}
		done <- peak
	}()
	f()
	stop.Store(true)
	if peak := <-done; peak > base {
		return peak - base
	}
	return 0
}

// What comes out of hostile banners and names is fit for a terminal.
func TestBannersAreInert(t *testing.T) {
	in := xmlHead + xmlHost + "\u009b31m\u202eOpen&#10;SSH" + xmlEnd
	var said Said
	_, err := nmapReport.Read(bytes.NewReader([]byte(in)), func(r Record, s Said) error { said = s; return r.Err })
	if err != nil || len(said.Observations) != 1 {
		t.Fatalf("%d observations, %v", len(said.Observations), err)
	}
	if got := said.Observations[0].Fact.Banner; got != "?31m?Open?SSH" {
		t.Errorf("banner %q", got)
	}
}
