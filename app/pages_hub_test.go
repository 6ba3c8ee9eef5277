package app

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// post sends a form as somebody.
func (r *readers) post(who, path string, form url.Values) *httptest.ResponseRecorder {
	q := httptest.NewRequest(http.MethodPost, "https://hub.example"+path, strings.NewReader(form.Encode()))
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for k, v := range r.bearer[who] {
		q.Header[k] = v
	}
	w := httptest.NewRecorder()
	r.pages.ServeHTTP(w, q)
	return w
}

// asked is a survey of a constituent that waits.
func (r *readers) asked(constituent string) string {
	r.t.Helper()
	s, err := r.run(vedette.Local()).sc.AddSurvey(context.Background(), vedette.Survey{Constituent: constituent, Kind: vedette.FullSurvey},
		[]vedette.Part{{Class: vedette.Active, Names: []string{"www." + constituent + ".example"}}, {Class: vedette.Active, Addresses: []string{"192.0.2.10"}, Ports: "tcp:443"}}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return s.ID
}

// TestPagesOfSurveys: what goes on, and how to end it.
func TestPagesOfSurveys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		r := readWorld(t, place)
		a, b := r.asked("alpha"), r.asked("bravo")
		r.all([]look{
			{"lead", "/surveys", 200, a + "|" + b + "|Stop all 2|2 surveys are going on. 0 of 4 parts are done.|/surveys/new", "Resume surveys"},
			{"lead", "/surveys?state=running&limit=1", 200, b + "|after=" + b, a},
			{"lead", "/surveys?state=running&limit=1&after=" + b, 200, a + "|no more", ">" + b},
			{"lead", "/surveys?state=done", 200, "No survey matches", a},
			{"lead", "/surveys?as=csv", 200, a + ",alpha,waiting,0 of 2", ""},
			{"lead", "/surveys/" + a, 200, "Stop this survey|Agency Alpha|TLP:AMBER+STRICT|0 % done: 0 of 2 parts|1 address, active", ""},
			{"lead", "/surveys/new", 200, "Agency Alpha|Agency Bravo|constituent=bravo", ""},
			{"lead", "/surveys/new?constituent=alpha", 200, "What authorises it|contract A|survey.contact is missing|disabled", "action=\"/surveys\""},
			{"lead", "/surveys/new?constituent=alpha&class=intrusive", 422, "passive or active", ""},
			{"lead", "/surveys/new?constituent=nosuch", 404, "not for you", ""},
			{"lead", "/surveys/schedules", 200, "No survey begins by itself|Keep the schedule", ""},
			{"lead", "/surveys/opt-outs", 200, "Nobody asked to be left alone|Touch it no more", ""},
			{"viewer", "/surveys", 200, a, b + "|Stop all|/surveys/new|bravo"},
			{"viewer", "/surveys/" + a, 200, "Agency Alpha", "Stop this survey"},
			{"viewer", "/surveys/" + b, 404, "not for you", "Bravo"},
			{"viewer", "/surveys?after=" + b, 404, "not for you", ""},
			{"viewer", "/surveys/new", 404, "not for you", "Alpha"},
			{"viewer", "/surveys/schedules", 404, "not for you", ""},
			{"admin", "/surveys", 404, "not for you", a},
		})
		state := func(id string) vedette.SurveyState {
			v, err := r.run(vedette.Local()).sc.Survey(context.Background(), id)
			if err != nil {
				t.Fatal(err)
			}
			return v.State
		}
		if got := r.post("viewer", "/surveys/"+a+"/stop", nil); got.Code != 404 || state(a) != vedette.SurveyWaiting {
			t.Errorf("a viewer stops: %d, %s", got.Code, state(a))
		}
		if got := r.post("lead", "/surveys/"+a+"/stop", nil); got.Code != 303 || got.Header().Get("Location") != "/surveys/"+a || state(a) != vedette.SurveyStopped || state(b) != vedette.SurveyWaiting {
			t.Errorf("stop one: %d %s, %s %s", got.Code, got.Header(), state(a), state(b))
		}
		if got := r.post("lead", "/surveys/stop", url.Values{"reason": {"complaint of a provider"}}); got.Code != 303 || state(b) != vedette.SurveyStopped {
			t.Errorf("stop all: %d, %s", got.Code, state(b))
		}
		r.all([]look{
			{"lead", "/surveys", 200, "All surveys are stopped|complaint of a provider|Resume surveys", "Stop all"},
			{"viewer", "/surveys", 200, a, "complaint"},
			{"lead", "/surveys/new?constituent=alpha", 200, "lead stopped all surveys", "action=\"/surveys\""},
			{"lead", "/surveys/" + a, 200, "Stopped. What was seen until then is kept.|Survey again", "Stop this survey"},
		})
		if got := r.post("lead", "/surveys", url.Values{"constituent": {"alpha"}, "class": {"active"}}); got.Code != 403 {
			t.Errorf("a survey begins: %d", got.Code)
		}
		if got := r.post("lead", "/surveys/resume", nil); got.Code != 303 {
			t.Errorf("resume: %d", got.Code)
		}
		if s, err := r.run(vedette.Local()).sc.Stopped(context.Background()); s != nil || err != nil {
			t.Errorf("still stopped: %v %v", s, err)
		}
	})
}

// TestPagesOfSchedules: what begins by itself, and what is never touched.
func TestPagesOfSchedules(t *testing.T) {
	r := readWorld(t, t.TempDir())
	every := url.Values{"constituent": {"alpha"}, "class": {"active"}, "every": {"24"}, "hours": {"22:00-05:00"}}
	if got := r.post("lead", "/surveys/schedules", every); got.Code != 403 || !strings.Contains(got.Body.String(), "first survey of alpha by hand") {
		t.Errorf("a schedule before the first survey: %d %s", got.Code, got.Body)
	}
	r.asked("alpha")
	if got := r.post("lead", "/surveys/schedules", every); got.Code != 303 {
		t.Errorf("a schedule: %d %s", got.Code, got.Body)
	}
	if got := r.post("lead", "/surveys/opt-outs", url.Values{"what": {"192.0.2.0/28"}, "reason": {"fragile telephones"}}); got.Code != 303 {
		t.Errorf("an opt-out: %d %s", got.Code, got.Body)
	}
	for _, bad := range []url.Values{{"what": {"192.0.2.1"}}, {"what": {"not an address"}, "reason": {"r"}}, {"what": {"192.0.2.1"}, "reason": {"r"}, "until": {"soon"}}} {
		if got := r.post("lead", "/surveys/opt-outs", bad); got.Code != 422 {
			t.Errorf("%v: %d", bad, got.Code)
		}
	}
	r.all([]look{
		{"lead", "/surveys/schedules", 200, "active checks|24 h|22:00-05:00", ""},
		{"lead", "/surveys/opt-outs", 200, "192.0.2.0/28|fragile telephones|for ever", ""},
	})
	if got := r.post("lead", "/surveys/schedules/bulk/end", url.Values{"id": {"alpha active"}}); got.Code != 303 {
		t.Errorf("end: %d %s", got.Code, got.Body)
	}
	if got := r.post("lead", "/surveys/opt-outs/bulk/remove", url.Values{"id": {"192.0.2.0/28"}}); got.Code != 303 {
		t.Errorf("remove: %d %s", got.Code, got.Body)
	}
	sc := r.run(vedette.Local()).sc
	ss, err := sc.Schedules(context.Background())
	os, oerr := sc.OptOuts(context.Background())
	es, eerr := sc.Events(context.Background(), store.EventFilter{Verb: "survey optout remove", Principal: "lead"})
	if len(ss)+len(os) != 0 || err != nil || oerr != nil || len(es) != 1 || eerr != nil {
		t.Errorf("left: %v %v %v, %v %v %v", ss, os, es, err, oerr, eerr)
	}
}
