package app

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// TestTheWholeLine goes from a host that runs to the case that is closed: a
// survey sees a gateway; a list says that its fault is exploited; an alert is
// drafted, approved, sent and acknowledged; the gateway is upgraded; a retest
// proves it.
func TestTheWholeLine(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newLabWorld(t, place, []byte(wholeInternet))
		ctx := context.Background()
		w.survey("alder")
		w.importText("cve.json", worldCVE("CVE-2026-1001", "2026-02-02T00:00:00Z", "9.1.4"))
		w.importText("kev.json", worldKEV("2026-02-20T00:00:00Z", "CVE-2026-1001"))
		ps, err := w.run(lea).sc.Publications(ctx, "", 10)
		if err != nil || len(ps) != 1 || ps[0].Editions != 1 {
			t.Fatalf("drafted: %+v, %v", ps, err)
		}
		w.do(&publicationApprove{ID: ps[0].ID, Series: "TA"})
		w.do(&publicationPublish{ID: "TA-2026-001"})
		m := newMailbox(t)
		w.hub.post = newPostman(w.store, config.Config{Mail: config.Mail{Relay: m.addr, From: "alerts@hub.example", TLS: "none", Base: "https://hub.example"}}, true)
		if err := w.hub.post.deliver(ctx); err != nil || len(m.all()) != 1 {
			t.Fatalf("sent: %v, %v", m.all(), err)
		}
		pages, err := w.hub.faces(config.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if got := visit(pages, http.MethodPost, link.FindStringSubmatch(m.all()[0])[1], nil); got.Code != 200 {
			t.Fatalf("acknowledged: %d %s", got.Code, got.Body)
		}
		is := func(state vedette.CaseState, presence vedette.Presence) {
			t.Helper()
			cs, _, err := w.run(lea).sc.Cases(ctx, store.CaseFilter{Closed: true})
			if err != nil || len(cs) != 1 || cs[0].State != state || cs[0].Presence != presence {
				t.Fatalf("the case is %+v, %v; want %s, %s", cs, err, state, presence)
			}
		}
		is(vedette.CaseAcknowledged, vedette.Present)
		f := w.findings()
		if len(f) != 1 {
			t.Fatalf("%+v", f)
		}
		for _, x := range f {
			if err := w.net.Set(x.Asset, 443, lab.Change{Version: "9.1.4"}); err != nil {
				t.Fatal(err)
			}
			w.clock = w.clock.Add(24 * time.Hour)
			r := w.run(vedette.Local())
			in, err := planInput(ctx, r.sc, w.hub.sys, "alder", vedette.Active, "")
			if err != nil {
				t.Fatal(err)
			}
			s, err := r.sc.AddSurvey(ctx, vedette.Survey{Constituent: "alder", Kind: vedette.RetestSurvey}, retestParts(in, x), nil)
			if err != nil {
				t.Fatal(err)
			}
			w.workAll(s.ID)
		}
		is(vedette.CaseClosed, vedette.Fixed)
	})
}

const wholeInternet = `
constituents:
  - id: alder
    name: Alder Transport Authority
    contacts: [{role: POC, name: Alder POC, email: poc@alder.example}]
    scope: [{cidr: 127.20.0.2/32, authorised_by: A, document: D, classes: [active]}]
hosts:
  - address: 127.20.0.2
    services:
      - {port: 443, kind: http, software: {vendor: examplesoft, product: access_gateway, version: 9.1.3, banner: "Examplesoft-Access-Gateway/{version}"}}
`
