package app

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store"
)

// TestANewExploitationIsConfirmed: the places that a newly exploited CVE hits
// are looked at again, and no other; what is exploited for years is not.
func TestANewExploitationIsConfirmed(t *testing.T) {
	w := newLabWorld(t, t.TempDir(), []byte(confirmInternet))
	w.survey("alder")
	w.importText("cve.json", strings.NewReplacer("Access Gateway", "OpenSSH", `"vendor":"Examplesoft"`, `"vendor":"openbsd"`, `"product":"OpenSSH"`, `"product":"openssh"`, `"version":"9.0.0"`, `"version":"9.0"`, `"lessThan":"9.4"`, `"lessThan":"9.4"`, "semver", "custom").
		Replace(worldCVE("CVE-2026-1001", "2026-02-02T00:00:00Z", "9.4")+worldCVE("CVE-2026-1002", "2026-02-02T00:00:00Z", "9.4")))
	ctx := context.Background()
	pass := func() []vedette.Survey {
		t.Helper()
		if err := w.hub.line.Drain(ctx); err != nil {
			t.Fatal(err)
		}
		if err := w.hub.confirm(ctx); err != nil {
			t.Fatal(err)
		}
		ss, _, err := w.run(vedette.Local()).sc.Surveys(ctx, store.SurveyFilter{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return ss
	}
	if ss := pass(); len(ss) != 1 {
		t.Fatalf("without an exploitation: %+v", ss)
	}
	w.importText("old.json", strings.ReplaceAll(worldKEV("2026-02-20T00:00:00Z", "CVE-2026-1002"), "2026-02-18", "2024-02-18"))
	if ss := pass(); len(ss) != 1 {
		t.Fatalf("an exploitation of two years ago: %+v", ss)
	}
	w.clock = time.Date(2026, 2, 20, 9, 0, 0, 0, time.UTC)
	w.importText("new.json", strings.Replace(worldKEV("2026-02-21T00:00:00Z", "CVE-2026-1002", "CVE-2026-1001"), "2026-02-18", "2024-02-18", 1))
	ss := pass()
	if len(ss) != 2 || ss[0].Kind != vedette.ConfirmSurvey || ss[0].Note != "CVE-2026-1001" || ss[0].By != "hub" {
		t.Fatalf("%+v", ss)
	}
	if again := pass(); len(again) != 2 {
		t.Fatalf("a second pass queued it again: %+v", again)
	}
	as, err := w.hub.sys.Assignment(ctx, first(w.hub.sys.WaitingParts(ctx, 0, 10)))
	if err != nil || len(as.Part.Places) != 1 || as.Part.Places[0].Port != 22 || len(as.Part.Addresses)+len(as.Part.Names) > 0 {
		t.Fatalf("%+v, %v", as.Part, err)
	}
	if v := w.workAll(ss[0].ID); v.State != vedette.SurveyDone || v.Looks != 1 {
		t.Errorf("%+v", v)
	}
	w.do(rebuildCmd{})
	if after := pass(); len(after) != 2 {
		t.Errorf("a rebuild queued it again: %+v", after)
	}
}

// first is the first of what a query gave.
func first[T any](list []T, err error) T {
	if err != nil || len(list) == 0 {
		panic(err)
	}
	return list[0]
}

const confirmInternet = `
constituents:
  - id: alder
    name: Alder
    scope: [{cidr: 127.20.0.0/29, authorised_by: A, document: D, classes: [active]}]
hosts:
  - address: 127.20.0.2
    services:
      - {port: 22, kind: ssh, software: {vendor: openbsd, product: openssh, version: 9.3p1, banner: "OpenSSH_{version}"}}
      - {port: 80, kind: http, software: {banner: nginx, vendor: f5, product: nginx}}
  - address: 127.20.0.3
    services:
      - {port: 22, kind: ssh, software: {vendor: openbsd, product: openssh, version: 9.9p1, banner: "OpenSSH_{version}"}}
`
