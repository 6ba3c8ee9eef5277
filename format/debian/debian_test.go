package debian

import (
	"slices"
	"testing"
)

func TestReleasesInOrder(t *testing.T) {
	i := Issue{Releases: map[string]Release{"sid": {}, "bookworm": {}, "stretch": {}, "buster": {}, "experimental": {}}}
	if got := Codenames(i); !slices.Equal(got, []string{"stretch", "buster", "bookworm", "experimental", "sid"}) {
		t.Error(got)
	}
	for name, want := range map[string]string{"bookworm": "Debian:12", "sid": "Debian:sid", "forky": "Debian:14"} {
		if got := Ecosystem(name); got != want {
			t.Errorf("%s is %s", name, got)
		}
	}
}
