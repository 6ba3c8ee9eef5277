package osv

import (
	"reflect"
	"testing"
)

func TestIntervals(t *testing.T) {
	i := func(v string) Event { return Event{Introduced: v} }
	f := func(v string) Event { return Event{Fixed: v} }
	for _, c := range []struct {
		name   string
		events []Event
		want   []Interval
	}{
		{"from the first", []Event{i("0"), f("1.2")}, []Interval{{"0", "1.2", false, true}}},
		{"open", []Event{i("1.0")}, []Interval{{From: "1.0"}}},
		{"two", []Event{i("0"), f("1"), i("2"), f("3")}, []Interval{{"0", "1", false, true}, {"2", "3", false, true}}},
		{"last affected", []Event{i("0"), {LastAffected: "1.9"}}, []Interval{{"0", "1.9", true, false}}},
		{"limit", []Event{i("0"), {Limit: "2"}}, []Interval{{"0", "2", false, false}}},
		{"limit of everything", []Event{i("0"), {Limit: "*"}}, []Interval{{From: "0"}}},
		{"fix first", []Event{f("2.0"), i("0")}, []Interval{{"0", "2.0", false, true}}},
		{"two fixes", []Event{i("0"), f("1"), f("2")}, []Interval{{"0", "1", false, true}}},
		{"none", nil, nil},
	} {
		if got := Intervals(c.events); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestPURLType(t *testing.T) {
	for eco, want := range map[string]string{"Go": "golang", "PyPI": "pypi", "npm": "npm", "Maven": "maven", "crates.io": "cargo",
		"Debian:12": "deb", "Ubuntu:22.04:LTS": "deb", "Alpine:v3.18": "apk", "Packagist": "composer", "NuGet": "nuget"} {
		if got := PURLType(eco); got != want {
			t.Errorf("%s is %s, want %s", eco, got, want)
		}
	}
}
