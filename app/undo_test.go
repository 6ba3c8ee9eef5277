package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// TestManyAtOnceAndUndo: a batch is one event; it changes what it can and names
// the rest; undoing sets back what nobody changed since, for who did it or a lead.
func TestManyAtOnceAndUndo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		w.fill()
		ctx := context.Background()
		a, b := vedette.CaseID("alpha", "CVE-2026-1001"), vedette.CaseID("bravo", "CVE-2026-1001")
		is := func(when, want string) {
			t.Helper()
			got := ""
			for _, id := range []string{a, b} {
				c, err := w.run(lea).sc.Case(ctx, id)
				if err != nil {
					t.Fatal(err)
				}
				got += fmt.Sprintf("%s:%s:%s ", c.State, c.Assignee, c.Note)
			}
			if got = strings.TrimSpace(got); got != want {
				t.Errorf("%s: %s, want %s", when, got, want)
			}
		}
		analyst := vedette.Principal{Name: "analyst", Roles: []vedette.Role{vedette.Analyst}}
		other := vedette.Principal{Name: "other analyst", Roles: []vedette.Role{vedette.Analyst}}
		manager := vedette.Principal{Name: "manager", Roles: []vedette.Role{vedette.Manager}, Constituents: []string{"alpha"}}
		set := func(p vedette.Principal, ch store.CaseChange, ids ...string) (int, []store.NotDone, int64) {
			t.Helper()
			done, refused, undo, err := w.run(p).sc.SetCases(ctx, ids, ch)
			if err != nil {
				t.Fatal(err)
			}
			return done, refused, undo
		}
		triaged, closed, who, note := vedette.CaseTriaged, vedette.CaseClosed, "analyst", "a secret remark"
		events := func() int { return w.eventsWithout(note) }
		n := events()
		done, refused, first := set(analyst, store.CaseChange{State: &triaged, Assignee: &who, Note: &note}, a, b, a, "C-000000000000")
		if done != 2 || len(refused) != 1 || first == 0 || events() != n+1 {
			t.Errorf("%d done, %+v, event %d, %d events more", done, refused, first, events()-n)
		}
		is("set", "triaged:analyst:a secret remark triaged:analyst:a secret remark")
		if done, refused, undo := set(analyst, store.CaseChange{State: &triaged}, a, b); done != 0 || len(refused) != 0 || undo != 0 || events() != n+1 {
			t.Errorf("the same again: %d, %+v, %d", done, refused, undo)
		}
		if done, refused, _ := set(analyst, store.CaseChange{State: &closed}, a, b); done != 0 || len(refused) != 2 {
			t.Errorf("closed without a reason: %d, %+v", done, refused)
		}
		if done, refused, _ := set(manager, store.CaseChange{Assignee: new(string)}, a, b); done != 1 || len(refused) != 1 || refused[0].ID != b || refused[0].Why != "there is no such case" {
			t.Errorf("a manager of alpha: %d, %+v", done, refused)
		}
		is("changed since", "triaged::a secret remark triaged:analyst:a secret remark")
		for _, p := range []vedette.Principal{other, manager} {
			if _, _, _, err := w.run(p).sc.Undo(ctx, first); !errors.Is(err, vedette.ErrNotFound) {
				t.Errorf("%s undoes what another did: %v", p.Name, err)
			}
		}
		done, refused, again, err := w.run(analyst).sc.Undo(ctx, first)
		if err != nil || done != 1 || len(refused) != 1 || refused[0].ID != a || !strings.Contains(refused[0].Why, "by manager") {
			t.Errorf("undone: %d, %+v, %v", done, refused, err)
		}
		is("undone", "triaged::a secret remark new::")
		if done, refused, _, err := w.run(analyst).sc.Undo(ctx, first); err != nil || done != 0 || len(refused) != 2 {
			t.Errorf("undone twice: %d, %+v, %v", done, refused, err)
		}
		if done, _, _, err := w.run(lea).sc.Undo(ctx, again); err != nil || done != 1 {
			t.Errorf("a lead undoes the undoing: %d, %v", done, err)
		}
		is("undone again", "triaged::a secret remark triaged:analyst:a secret remark")
	})
}

// eventsWithout counts the events, none of which tells a text.
func (w *world) eventsWithout(text string) int {
	w.t.Helper()
	es, err := w.run(lea).sc.Events(context.Background(), store.EventFilter{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range es {
		if strings.Contains(fmt.Sprint(e.Detail), text) {
			w.t.Errorf("an event tells %q: %+v", text, e)
		}
	}
	return len(es)
}

// TestUndoOpens: a case that was closed by mistake is as it was.
func TestUndoOpens(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.fill()
	ctx, id, closed := context.Background(), vedette.CaseID("bravo", "CVE-2026-1001"), vedette.CaseClosed
	_, _, shut, err := w.run(lea).sc.SetCases(ctx, []string{id}, store.CaseChange{State: &closed, Reason: "the host is gone"})
	if err == nil {
		_, _, _, err = w.run(lea).sc.Undo(ctx, shut)
	}
	if err != nil {
		t.Fatal(err)
	}
	if c, err := w.run(lea).sc.Case(ctx, id); err != nil || !c.Closed.IsZero() || c.State != vedette.CaseNew {
		t.Errorf("opened again: %+v, %v", c, err)
	}
	if _, _, _, err := w.run(lea).sc.Undo(ctx, 1); !errors.Is(err, vedette.ErrNotFound) {
		t.Errorf("an event that changed no case: %v", err)
	}
}

// TestCaseSetReadsIDs: ids come as words of stdin, too; what is refused is partial.
func TestCaseSetReadsIDs(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.fill()
	r := w.run(vedette.Local())
	r.in = strings.NewReader(vedette.CaseID("alpha", "CVE-2026-1001") + "\n" + vedette.CaseID("bravo", "CVE-2026-1001") + " C-000000000000\n")
	if err := (&caseSet{IDs: []string{"-"}, State: "triaged"}).Run(r); err != nil || r.status != exitPartial {
		t.Fatalf("%d, %v", r.status, err)
	}
	out := decode[struct {
		Changed int
		Refused []store.NotDone
		Undo    int64
	}](t, r.out.(*bytes.Buffer).String())
	if out.Changed != 2 || len(out.Refused) != 1 || out.Undo == 0 {
		t.Errorf("%+v", out)
	}
	w.do(&caseUndo{Event: out.Undo})
	if c := w.cases()["alpha CVE-2026-1001"]; c.State != vedette.CaseNew {
		t.Errorf("%+v", c)
	}
}
