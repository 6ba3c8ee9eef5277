package app

import (
	"context"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/store"
)

// TestEachAddressStandsForItself: of a name with two addresses, the one that is
// repaired does not speak for the other, and the one that falls silent is not repaired.
func TestEachAddressStandsForItself(t *testing.T) {
	w := newLabWorld(t, t.TempDir(), []byte(addressesInternet))
	w.importText("cve.json", worldCVE("CVE-2026-1001", "2026-02-02T00:00:00Z", "9.1.4"))
	is := func(when, nine, ten string) {
		t.Helper()
		fs, _, err := w.run(vedette.Local()).sc.Findings(context.Background(), store.FindingFilter{Asset: "www.alder.example", Limit: 100})
		if err != nil || len(fs) != 2 {
			t.Fatalf("%s: %+v, %v", when, fs, err)
		}
		for _, f := range fs {
			want := nine
			if strings.HasSuffix(f.Path, ".10") {
				want = ten
			}
			if string(f.Presence) != want {
				t.Errorf("%s: %s at %s is %s, not %s", when, f.Weakness, f.Path, f.Presence, want)
			}
		}
	}
	w.survey("alder")
	is("at first", "present", "present")
	w.day()
	if err := w.net.Set(w.host(".0.9"), 8080, lab.Change{Version: "9.1.4"}); err != nil {
		t.Fatal(err)
	}
	w.survey("alder")
	is("one is upgraded", "fixed", "present")
	w.day()
	if err := w.net.Set(w.host(".0.10"), 8080, lab.Change{Stop: true}); err != nil {
		t.Fatal(err)
	}
	w.survey("alder")
	is("the other is stopped", "fixed", "not observed")
}

const addressesInternet = `
resolver: 127.20.250.53:5353
constituents:
  - id: alder
    name: Alder Transport Authority
    scope:
      - {domain: alder.example, subdomains: true, authorised_by: A, document: D, classes: [active]}
      - {url: "http://www.alder.example:8080/", authorised_by: A, document: D, classes: [active]}
zones:
  - origin: alder.example
    records: ['@ IN NS ns1', 'ns1 IN A 127.20.250.53', 'www IN A 127.20.0.9', 'www IN A 127.20.0.10']
hosts:
  - address: 127.20.0.9
    services: [{port: 8080, kind: http, software: {vendor: examplesoft, product: access_gateway, version: 9.1.3, banner: "Examplesoft-Access-Gateway/{version}"}}]
  - address: 127.20.0.10
    services: [{port: 8080, kind: http, software: {vendor: examplesoft, product: access_gateway, version: 9.1.3, banner: "Examplesoft-Access-Gateway/{version}"}}]
`
