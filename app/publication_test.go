package app

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/compose"
	"github.com/vedette-hub/vedette/store/storetest"
)

var (
	lea       = vedette.Principal{Name: "lea", Roles: []vedette.Role{vedette.Lead, vedette.Analyst}}
	otherLead = vedette.Principal{Name: "otto", Roles: []vedette.Role{vedette.Lead}}
)

// TestALineDraftsWhatIsNew: an exploitation of these days makes a draft with an
// edition for each constituent that it hits; a list of years makes none; the
// same again changes nothing.
func TestALineDraftsWhatIsNew(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		w.do(&constituentApply{File: w.file("c.yaml", worldConstituency)})
		w.importText("inventory.csv", worldInventory)
		w.importText("cve.json", worldCVE("CVE-2026-1001", "2026-02-02T00:00:00Z", "9.1.4")+worldCVE("CVE-2026-1002", "2026-02-02T00:00:00Z", "9.1.4"))
		drafts := func() []vedette.Publication {
			t.Helper()
			ps, err := w.run(lea).sc.Publications(context.Background(), "", 10)
			if err != nil {
				t.Fatal(err)
			}
			return slices.DeleteFunc(ps, func(p vedette.Publication) bool { return p.Kind != kindAlert })
		}
		w.importText("old.json", strings.ReplaceAll(worldKEV("2026-02-19T00:00:00Z", "CVE-2026-1002"), "2026-02-18", "2023-02-18"))
		if ps := drafts(); len(ps) != 0 {
			t.Fatalf("a list of years drafts %+v", ps)
		}
		w.importText("new.json", strings.Replace(worldKEV("2026-02-20T00:00:00Z", "CVE-2026-1002", "CVE-2026-1001"), "2026-02-18", "2023-02-18", 1))
		ps := drafts()
		if len(ps) != 1 || ps[0].Weakness != "CVE-2026-1001" || ps[0].Author != vedette.LineAuthor || ps[0].Editions != 2 || ps[0].State != vedette.PublicationDraft {
			t.Fatalf("%+v", ps)
		}
		if _, changed, err := NewLine(w.store).draft(context.Background(), lea, "CVE-2026-1001", []string{"alpha", "bravo"}); err != nil || changed {
			t.Errorf("the same again: %v, %v", changed, err)
		}
		before := w.hashes("events", "seals")
		w.do(rebuildCmd{})
		sameHashes(t, w.hashes("events", "seals"), before, "after a rebuild")
	})
}

// TestApproval: a draft is not for constituents, an approved edition is for its
// own alone; nobody approves his own text; numbers are given at approval.
func TestApproval(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.fill()
	ctx := context.Background()
	ps, err := w.run(lea).sc.Publications(ctx, "", 10)
	if err != nil || len(ps) != 1 {
		t.Fatalf("%+v, %v", ps, err)
	}
	id := ps[0].ID
	vera := vedette.Principal{Name: "vera", Roles: []vedette.Role{vedette.Viewer}, Constituents: []string{"alpha"}}
	if _, err := w.run(vera).sc.Publication(ctx, id); !errors.Is(err, vedette.ErrNotFound) {
		t.Errorf("a viewer reads a draft: %v", err)
	}
	w.clock = w.clock.Add(time.Hour)
	w.importText("cve2.json", worldCVE("CVE-2026-1001", "2026-02-22T00:00:00Z", "9.1.5"))
	if _, changed, err := NewLine(w.store).draft(ctx, lea, "CVE-2026-1001", []string{"alpha", "bravo"}); err != nil || !changed {
		t.Fatalf("%v, %v", changed, err)
	}
	if _, err := w.run(lea).sc.Approve(ctx, id, "TA"); !errors.Is(err, vedette.ErrRefused) {
		t.Errorf("lea approves her own text: %v", err)
	}
	p, err := w.run(otherLead).sc.Approve(ctx, id, "TA")
	if err != nil || p.Number != "TA-2026-001" || p.Version != 1 || p.Approver != "otto" {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err := w.run(otherLead).sc.Approve(ctx, id, "TA"); !errors.Is(err, vedette.ErrConflict) {
		t.Errorf("approved twice: %v", err)
	}
	es, err := w.run(vera).sc.Editions(ctx, "TA-2026-001")
	if err != nil || len(es) != 1 || es[0].Constituent != "alpha" {
		t.Errorf("a viewer of Alpha reads %+v, %v", es, err)
	}
	if err := w.run(otherLead).sc.Withdraw(ctx, id, "wrong product"); err != nil {
		t.Error(err)
	}
	if es, err := w.run(vera).sc.Editions(ctx, id); err != nil || es[0].State != vedette.PublicationWithdrawn {
		t.Errorf("withdrawn, a viewer reads %+v, %v", es, err)
	}
}

// laidOpen is a document as it is, and, of a PDF, its streams without compression
// with the text that they show.
func laidOpen(t *testing.T, doc []byte) string {
	t.Helper()
	all := bytes.Clone(doc)
	for _, at := range regexp.MustCompile(`/Filter ?/FlateDecode[^>]*>>\nstream\n`).FindAllIndex(doc, -1) {
		z, err := zlib.NewReader(bytes.NewReader(doc[at[1]:]))
		if err != nil {
			t.Fatal(err)
		}
		stream, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		plain := bytes.ReplaceAll(stream, []byte{0}, nil) // of UTF-16
		all = append(all, plain...)
		all = append(all, regexp.MustCompile(`(?s)\) Tj ET.*?Td \(`).ReplaceAll(plain, nil)...) // words over several lines
	}
	return string(append(all, bytes.ReplaceAll(doc, []byte{0}, nil)...))
}

// TestShow: an edition as it goes out, in each form and version; another form
// for a terminal, and nothing for who does not see it.
func TestShow(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.fill()
	ctx := context.Background()
	ps, err := w.run(lea).sc.Publications(ctx, "", 10)
	if err != nil || len(ps) != 1 {
		t.Fatalf("%+v, %v", ps, err)
	}
	id := ps[0].ID
	if _, err := w.run(otherLead).sc.Approve(ctx, id, "TA"); err != nil {
		t.Fatal(err)
	}
	w.clock = w.clock.Add(time.Hour)
	w.importText("cve2.json", worldCVE("CVE-2026-1001", "2026-02-22T00:00:00Z", "9.1.5"))
	if _, changed, err := NewLine(w.store).draft(ctx, lea, "CVE-2026-1001", []string{"alpha", "bravo"}); err != nil || !changed {
		t.Fatalf("%v, %v", changed, err)
	}
	conf := w.file("team.yaml", "team: {name: Example CSIRT, contact: csirt@hub.example}")
	show := func(c publicationShow) string {
		t.Helper()
		r, out := w.run(otherLead), new(bytes.Buffer)
		r.out, r.Config = out, conf
		c.ID, c.Constituent = id, "alpha"
		if err := c.Run(r); err != nil {
			t.Fatal(err)
		}
		return laidOpen(t, out.Bytes())
	}
	for _, form := range compose.Forms {
		text := show(publicationShow{Form: string(form)})
		for _, want := range []string{"Example CSIRT", "first version", "9.1.5"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %q", form, want)
			}
		}
		if first := show(publicationShow{Form: string(form), Version: 1}); strings.Contains(first, "9.1.5") || !strings.Contains(first, "first version") {
			t.Errorf("version 1 as %s tells of version 2, or not of itself", form)
		}
	}
	if err := w.run(otherLead).sc.Withdraw(ctx, id, "wrong product"); err != nil {
		t.Fatal(err)
	}
	if text := show(publicationShow{Form: "pdf"}); !strings.Contains(text, "wrong product") {
		t.Error("a withdrawn edition does not say so")
	}
}

// TestEditionsHoldTheirOwn: no byte of another constituent, or above what the
// constituent may read, is in any form of its edition.
func TestEditionsHoldTheirOwn(t *testing.T) {
	w := wallsWorld(t, t.TempDir(), true)
	l := NewLine(w.store)
	for constituent, who := range map[string]string{"alpha": "viewer A", "canaryb": "manager B"} {
		if _, _, ok, err := l.alert(context.Background(), "CVE-2026-1002", constituent); ok || err != nil {
			t.Errorf("who exploits CVE-2026-1002 is above %s: %v, %v", constituent, ok, err)
		}
		for _, weakness := range []string{"CVE-2026-1001"} {
			a, m, ok, err := l.alert(context.Background(), weakness, constituent)
			if err != nil || !ok {
				t.Fatalf("%s for %s: %v, %v", weakness, constituent, ok, err)
			}
			if !strings.Contains(string(m.Audience), "org:"+constituent) || m.TLP < vedette.TLPAmberStrict {
				t.Errorf("%s for %s is marked %s", weakness, constituent, m)
			}
			for _, form := range compose.Forms {
				var b bytes.Buffer
				if err := a.Write(&b, form); err != nil {
					t.Fatal(err)
				}
				text := strings.ToLower(laidOpen(t, b.Bytes()))
				not := mustNot(who)
				if constituent == "canaryb" {
					not = append(not, "foralpha", "agency alpha", "192.0.2.9")
				}
				for _, c := range not {
					if i := strings.Index(text, c); i >= 0 {
						t.Errorf("%s for %s as %s holds %q: ...%s...", weakness, constituent, form, c, text[max(0, i-60):min(len(text), i+60)])
					}
				}
			}
		}
	}
}
