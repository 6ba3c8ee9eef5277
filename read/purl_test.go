package read

import (
	"testing"

	"github.com/vedette-hub/vedette"
)

func TestFillFromPURL(t *testing.T) {
	for purl, want := range map[string]vedette.Software{
		"pkg:pypi/alder-gate@2.4.0":                                   {Product: "alder-gate", Version: "2.4.0", Ecosystem: "PyPI"},
		"pkg:npm/%40alder/gate@1.0.0":                                 {Product: "@alder/gate", Version: "1.0.0", Ecosystem: "npm"},
		"pkg:maven/example.alder/gate@3":                              {Product: "example.alder:gate", Version: "3", Ecosystem: "Maven"},
		"pkg:golang/alder.example/gate@v1.2.3":                        {Product: "alder.example/gate", Version: "v1.2.3", Ecosystem: "Go"},
		"pkg:deb/debian/alder-gate@2.1-1?arch=amd64&distro=debian-12": {Product: "alder-gate", Version: "2.1-1", PackageVersion: "2.1-1", Ecosystem: "Debian:12"},
		"pkg:cargo/gate":                                              {Product: "gate", Ecosystem: "crates.io"},
	} {
		got := vedette.Software{PURL: purl}
		want.PURL = purl
		if err := fillFromPURL(&got); err != nil || got != want {
			t.Errorf("%s: %+v, %v", purl, got, err)
		}
	}
	for _, bad := range []string{"gate", "pkg:", "http://x.example", "pkg:pypi"} {
		if err := fillFromPURL(&vedette.Software{PURL: bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
