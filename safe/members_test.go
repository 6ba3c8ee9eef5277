package safe

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func gz(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

type entry struct {
	name string
	body string
	flag byte
}

func tarOf(entries ...entry) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		flag := e.flag
		if flag == 0 {
			flag = tar.TypeReg
		}
		h := &tar.Header{Name: e.name, Typeflag: flag, Mode: 0o644}
		if flag == tar.TypeReg {
			h.Size = int64(len(e.body))
		} else {
			h.Linkname = e.body
		}
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
		if flag == tar.TypeReg {
			w.Write([]byte(e.body))
		}
	}
	w.Close()
	return out.Bytes()
}

func zipOf(entries ...entry) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if e.flag == tar.TypeSymlink {
			h.SetMode(os.ModeSymlink | 0o777)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			panic(err)
		}
		f.Write([]byte(e.body))
	}
	w.Close()
	return out.Bytes()
}

// overlapping is a zip archive whose directory names one entry n times.
func overlapping(n int) []byte {
	b := zipOf(entry{name: "a", body: strings.Repeat("0", 1<<20)})
	end := bytes.LastIndex(b, []byte("PK\x05\x06"))
	start := int(binary.LittleEndian.Uint32(b[end+16:]))
	out := bytes.Clone(b[:start])
	for range n {
		out = append(out, b[start:end]...)
	}
	tail := bytes.Clone(b[end:])
	binary.LittleEndian.PutUint16(tail[8:], uint16(n))
	binary.LittleEndian.PutUint16(tail[10:], uint16(n))
	binary.LittleEndian.PutUint32(tail[12:], uint32(n*(end-start)))
	return append(out, tail...)
}

// walkAll reads every member to its end and tells what was seen.
func walkAll(b []byte, l Limits) ([]string, error) {
	var got []string
	err := Members("in", bytes.NewReader(b), l, func(m Member) error {
		if m.Err != nil {
			got = append(got, m.Name+" refused: "+m.Err.Error())
			return nil
		}
		body, err := io.ReadAll(m.R)
		if err != nil {
			return err
		}
		got = append(got, fmt.Sprintf("%s=%.10s(%d)", m.Name, body, len(body)))
		return nil
	})
	return got, err
}

func TestMembers(t *testing.T) {
	nested := zipOf(entry{name: "b.zip", body: string(zipOf(entry{name: "c.zip", body: string(zipOf(entry{name: "d", body: "deep"}))}))})
	for _, c := range []struct {
		name string
		in   []byte
		want []string
	}{
		{"plain", []byte("hello"), []string{"in=hello(5)"}},
		{"empty", nil, []string{"in=(0)"}},
		{"gzip", gz([]byte("hello")), []string{"in=hello(5)"}},
		{"gzip members", append(gz([]byte("hel")), gz([]byte("lo"))...), []string{"in=hello(5)"}},
		{"tar", tarOf(entry{name: "a", body: "one"}, entry{name: "b", body: "two"}), []string{"in!a=one(3)", "in!b=two(3)"}},
		{"tar.gz", gz(tarOf(entry{name: "a", body: "one"})), []string{"in!a=one(3)"}},
		{"zip", zipOf(entry{name: "a", body: "one"}, entry{name: "dir/", body: ""}, entry{name: "dir/b", body: "two"}), []string{"in!a=one(3)", "in!dir/b=two(3)"}},
		{"zip of gz", zipOf(entry{name: "a.gz", body: string(gz([]byte("one")))}), []string{"in!a.gz=one(3)"}},
		{"tar.gz in zip", zipOf(entry{name: "t", body: string(gz(tarOf(entry{name: "a", body: "one"})))}), []string{"in!t!a=one(3)"}},
		{"three deep", nested, []string{"in!b.zip!c.zip refused: archives nested deeper than 2"}},
		{"escape", zipOf(entry{name: "../../etc/passwd", body: "x"}, entry{name: `C:\a`, body: "y"}), []string{"in!../../etc/passwd=x(1)", `in!C:\a=y(1)`}},
		{"names", tarOf(entry{name: "a\x1b[31m\u202eb", body: "x"}), []string{"in!a?[31m?b=x(1)"}},
		{"same name twice", zipOf(entry{name: "a", body: "one"}, entry{name: "a", body: "two"}), []string{"in!a=one(3)", "in!a=two(3)"}},
		{"links", tarOf(entry{"l", "/etc/passwd", tar.TypeSymlink}, entry{"h", "l", tar.TypeLink}, entry{"f", "", tar.TypeFifo}, entry{name: "a", body: "one"}),
			[]string{"in!l refused: not a plain file but a link: skipped", "in!h refused: not a plain file but a link: skipped", "in!f refused: not a plain file but a device: skipped", "in!a=one(3)"}},
		{"zip link", zipOf(entry{"l", "/etc/passwd", tar.TypeSymlink}), []string{"in!l refused: not a plain file but a link or a device: skipped"}},
		{"zstd", []byte("\x28\xb5\x2f\xfd...."), []string{"in refused: compressed as zstd: pack it as gzip or zip"}},
	} {
		got, err := walkAll(c.in, Limits{})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

func TestMembersRefused(t *testing.T) {
	zeros := make([]byte, 4<<20)
	small := Limits{Floor: 1 << 20, Members: 20}
	var many []entry
	for i := range 21 {
		many = append(many, entry{name: fmt.Sprint(i)})
	}
	random := func(n int) []byte { // does not compress
		b := make([]byte, n)
		x := uint32(1)
		for i := range b {
			x = x*1664525 + 1013904223
			b[i] = byte(x >> 24)
		}
		return b
	}
	text := gz(random(5000))
	damaged := bytes.Clone(text)
	damaged[len(damaged)-6] ^= 1
	z := zipOf(entry{name: "a", body: string(random(5000))})
	for _, c := range []struct {
		name, why string
		in        []byte
		l         Limits
	}{
		{"gzip bomb", "expands more than 100 times", gz(zeros), small},
		{"tar.gz bomb", "expands more than 100 times", gz(tarOf(entry{name: "z", body: string(zeros)})), small},
		{"zip bomb", "expands more than 100 times", zipOf(entry{name: "z", body: string(zeros)}), small},
		{"second member bomb", "expands more than 100 times", zipOf(entry{name: "a", body: string(random(2 << 20))}, entry{name: "z", body: string(zeros)}), small},
		{"nested bomb", "expands more than 100 times", gz(gz(zeros)), small},
		{"total", "more than 1000 bytes in all", random(2000), Limits{Total: 1000}},
		{"total over members", "more than 1000 bytes in all", zipOf(entry{name: "a", body: string(random(600))}, entry{name: "b", body: string(random(600))}), Limits{Total: 1000}},
		{"tar members", "more than 20 members", tarOf(many...), small},
		{"zip members", "more than 20 members", zipOf(many...), small},
		{"overlap", "overlap", overlapping(10), small},
		{"overlap of many", "more than 10000 members", overlapping(20000), Limits{}},
		{"cut gzip", "cut off", text[:2000], Limits{}},
		{"cut gzip header", "cut off", text[:5], Limits{}},
		{"damaged gzip", "checksum", damaged, Limits{}},
		{"gzip and garbage", "not a gzip header", append(bytes.Clone(text), "garbage garbage"...), Limits{}},
		{"cut tar", "cut off", tarOf(entry{name: "a", body: big(2000)})[:1000], Limits{}},
		{"cut zip", "cut off", z[:len(z)-30], Limits{}},
		{"huge zip in a stream", "cannot be read from a stream", z, Limits{Buffer: 100}},
	} {
		_, err := walkAll(c.in, c.l)
		refusedWith(t, c.name, err, c.why)
		// what a parser swallows is still reported
		err = Members("in", bytes.NewReader(c.in), c.l, func(m Member) error {
			if m.R != nil {
				io.Copy(io.Discard, m.R)
			}
			return nil
		})
		if err == nil {
			t.Errorf("%s: the error was swallowed", c.name)
		}
	}
}

func TestMembersFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, zipOf(entry{name: "a", body: "one"}), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	collect := func(m Member) error {
		b, err := io.ReadAll(m.R)
		got = append(got, m.Name+"="+string(b))
		return err
	}
	if err := MembersFile(path, Limits{Buffer: 1}, collect); err != nil || !slices.Equal(got, []string{path + "!a=one"}) {
		t.Errorf("%q, %v", got, err)
	}
	stop := errors.New("stop")
	if err := MembersFile(path, Limits{}, func(Member) error { return stop }); err != stop {
		t.Errorf("an error of the caller became %v", err)
	}
	if err := MembersFile(filepath.Join(t.TempDir(), "none"), Limits{}, collect); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// A zip archive that lies about its directory must not make the standard
// library take memory for it.
func TestZipDirectoryLies(t *testing.T) {
	b := overlapping(11_000)
	binary.LittleEndian.PutUint16(b[len(b)-22+10:], 1) // says one entry
	_, err := walkAll(b, Limits{})
	refusedWith(t, "lying directory", err, "more than 10000 members")
}
