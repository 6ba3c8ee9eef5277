package knowledge

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
)

func date(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

func statement(name, since string, v vedette.Vulnerability) vedette.Statement {
	v.ID, v.Title = "CVE-2031-0001", name
	return vedette.Statement{Object: v.ID, Type: vedette.TypeVulnerability, Name: name, Since: date(since), Vulnerability: &v, Text: name}
}

func confirmed(since string) []vedette.Exploitation {
	return []vedette.Exploitation{{Status: "confirmed", Since: date(since)}}
}

// A reader of two markings sees in a list what a reader of one document with
// both would: Fold of all is Join of the folds.
func TestJoinOfFolds(t *testing.T) {
	record := statement("Login bypass in Alder Gate", "2031-02-04", vedette.Vulnerability{
		Published: date("2031-02-03"), SSVC: &vedette.SSVC{Exploitation: "poc", Automatable: "yes", TechnicalImpact: "total"},
		CVSS: []vedette.CVSS{{Version: "3.1", Score: 7.5}}})
	kev := statement("", "2031-02-10", vedette.Vulnerability{Exploited: confirmed("2031-02-10")})
	partner := statement("", "2031-02-08", vedette.Vulnerability{Exploited: confirmed("2031-02-06"), CVSS: []vedette.CVSS{{Version: "4.0", Score: 9.3}}})
	want := Fold([]vedette.Statement{record, kev, partner})
	heads := []vedette.Head{Fold([]vedette.Statement{kev}), Fold([]vedette.Statement{partner}), Fold([]vedette.Statement{record})}
	got := Join(heads)
	if got.Name != want.Name || !got.Modified.Equal(want.Modified) || !maps.Equal(got.Fields, want.Fields) {
		t.Errorf("got  %q %v %v\nwant %q %v %v", got.Name, got.Modified, got.Fields, want.Name, want.Modified, want.Fields)
	}
	if one := Join(heads[2:]); !maps.Equal(one.Fields, heads[2].Fields) {
		t.Errorf("the join of one is not itself: %v", one.Fields)
	}
	slices.Reverse(heads)
	if back := Join(heads); !maps.Equal(back.Fields, want.Fields) {
		t.Errorf("in the other order: %v", back.Fields)
	}
}

func TestWithdrawn(t *testing.T) {
	rejected := statement("Rejected", "2031-03-01", vedette.Vulnerability{Withdrawn: true})
	kev := statement("", "2031-02-10", vedette.Vulnerability{Exploited: confirmed("2031-02-10")})
	if h := Fold([]vedette.Statement{rejected}); h.Fields["withdrawn"] != "yes" {
		t.Errorf("a rejected record alone: %v", h.Fields)
	}
	if h := Fold([]vedette.Statement{rejected, kev}); h.Fields["withdrawn"] != "" {
		t.Errorf("rejected, but exploited: %v", h.Fields)
	}
	ended := confirmed("2031-02-10")
	ended[0].Ended = date("2031-02-20")
	if since := ExploitedSince(ended); !since.IsZero() {
		t.Errorf("a withdrawn assertion counts from %v", since)
	}
	if since := ExploitedSince([]vedette.Exploitation{{Status: "disputed", Since: date("2031-01-01")}}); !since.IsZero() {
		t.Errorf("a disputed assertion counts from %v", since)
	}
}
