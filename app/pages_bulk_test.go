package app

import (
	"context"
	"net/url"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// TestBulkOfCases: the acts of the list share one form, so each gets the fields
// of the others too, and does what its button says alone.
func TestBulkOfCases(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		r := readWorld(t, place)
		cases := func(closed bool) []vedette.Case {
			cs, _, err := r.run(lea).sc.Cases(context.Background(), store.CaseFilter{Closed: closed})
			if err != nil {
				t.Fatal(err)
			}
			return cs
		}
		form := func(state, reason, assignee, closing string) url.Values {
			v := url.Values{"state": {state}, "reason": {reason}, "assignee": {assignee}, "closing": {closing}, "next": {"/cases"}}
			for _, c := range cases(true) {
				v.Add("id", c.ID)
			}
			return v
		}
		for _, x := range []struct {
			act      string
			form     url.Values
			state    vedette.CaseState
			assignee string
		}{
			{"assign", form("new", "", "lead", ""), vedette.CaseNew, "lead"},
			{"state", form("triaged", "", "", ""), vedette.CaseTriaged, "lead"},
			{"assign", form("new", "", "", ""), vedette.CaseTriaged, ""},
			{"close", form("new", "", "lead", "the scanner was wrong"), vedette.CaseClosed, ""},
		} {
			if got := r.post("lead", "/cases/bulk/"+x.act, x.form); got.Code != 303 || got.Header().Get("Location") != "/cases" {
				t.Fatalf("%s: %d %s", x.act, got.Code, got.Body)
			}
			for _, c := range cases(true) {
				if c.State != x.state || c.Assignee != x.assignee {
					t.Errorf("after %s a case is %s of %q, want %s of %q", x.act, c.State, c.Assignee, x.state, x.assignee)
				}
			}
		}
		if open := cases(false); len(open) > 0 {
			t.Errorf("%d cases are open", len(open))
		}
	})
}
