package api

import (
	"testing"
)

// FuzzCursor: a cursor that was not given for a scope opens nothing, and no
// text makes the decoding fail otherwise.
func FuzzCursor(f *testing.F) {
	c := cursors{[]byte("0123456789abcdef0123456789abcdef")}
	good := c.seal("lead\x00/api/v1/cases?", "12.34")
	for _, s := range []string{"", "AAAA", good, good[1:], good + "A", good[:len(good)-1], "====", "\x00"} {
		f.Add(s, "lead\x00/api/v1/cases?")
		f.Add(s, "viewer\x00/api/v1/cases?")
	}
	f.Fuzz(func(t *testing.T, cursor, scope string) {
		at, ok := c.open(scope, cursor)
		if ok && c.seal(scope, at) != cursor {
			t.Errorf("%q opens as %q", cursor, at)
		}
		if ok && scope != "lead\x00/api/v1/cases?" {
			t.Errorf("%q opens for %q", cursor, scope)
		}
	})
}

func TestCursor(t *testing.T) {
	c, other := cursors{[]byte("one")}, cursors{[]byte("two")}
	x := c.seal("a", "bc")
	if at, ok := c.open("a", x); !ok || at != "bc" {
		t.Errorf("%q %v", at, ok)
	}
	for _, open := range []func() (string, bool){
		func() (string, bool) { return other.open("a", x) },
		func() (string, bool) { return c.open("ab", x) },
		func() (string, bool) { return c.open("", x) },
	} {
		if at, ok := open(); ok {
			t.Errorf("opened as %q", at)
		}
	}
	for tag, want := range map[string]bool{`"a"`: true, `"b", "a"`: true, `W/"a"`: true, `*`: true, `"b"`: false, ``: false} {
		if matches([]string{tag}, `"a"`, true) != want {
			t.Errorf("If-None-Match %s", tag)
		}
	}
	if matches([]string{`W/"a"`}, `"a"`, false) {
		t.Error("a weak tag is no proof for a write")
	}
}
