package nmapxml

import (
	"reflect"
	"testing"
)

func TestSpans(t *testing.T) {
	got, err := Spans("80,1,3-4,2, 443,100-200,150-250")
	want := []Span{{1, 4}, {80, 80}, {100, 250}, {443, 443}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if s := Format(got); s != "1-4,80,100-250,443" {
		t.Error(s)
	}
	for _, bad := range []string{"x", "1-", "5-4", "70000", "-1", "1--2"} {
		if _, err := Spans(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestMinus(t *testing.T) {
	for _, c := range []struct{ a, b, minus, within string }{
		{"1-10", "5", "1-4,6-10", "5"},
		{"1-10", "0-20", "", "1-10"},
		{"1-10,20-30", "8-22", "1-7,23-30", "8-10,20-22"},
		{"1-10", "", "1-10", ""},
		{"1-10", "1,10", "2-9", "1,10"},
	} {
		a, _ := Spans(c.a)
		b, _ := Spans(c.b)
		if got := Format(Minus(a, b)); got != c.minus {
			t.Errorf("%s - %s = %s", c.a, c.b, got)
		}
		if got := Format(Within(a, b)); got != c.within {
			t.Errorf("%s in %s = %s", c.a, c.b, got)
		}
	}
}
