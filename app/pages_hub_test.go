package app

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/job"
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

// TestPagesOfJobs: what was given up is tried again with one button.
func TestPagesOfJobs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		r := readWorld(t, place)
		ctx := context.Background()
		g := r.run(vedette.Local())
		if g.Data = place; store.IsURL(place) {
			g.DB = place
		}
		if jc := g.jobConfig(); jc.URL != "" {
			if err := job.Migrate(ctx, jc.URL, jc.Schema); err != nil {
				t.Fatal(err)
			}
		}
		js, err := g.openJobs()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = js.Stop(ctx) })
		h := &hub{store: r.store, sys: r.store.System(), line: NewLine(r.store), log: slog.New(slog.DiscardHandler), jobs: js}
		if r.pages, err = h.faces(config.Config{}); err != nil {
			t.Fatal(err)
		}
		added, err := js.Add(ctx, job.New{Kind: kindPart, Args: partArgs{Part: 7}}, job.New{Kind: kindFeed, Args: feedArgs{Host: "feeds.example"}})
		if err != nil {
			t.Fatal(err)
		}
		part := strconv.FormatInt(added[0].ID, 10)
		r.all([]look{
			{"lead", "/jobs", 200, "Part of a survey|part 7|Fetch of feeds|host feeds.example|2 waiting|/jobs/bulk/retry|/jobs/bulk/cancel", "Retry all"},
			{"lead", "/jobs?kind=part&limit=1", 200, "part 7", "feeds.example"},
			{"lead", "/jobs?limit=1", 200, "after=", ""},
			{"lead", "/jobs?after=x", 422, "", ""},
			{"lead", "/jobs?state=nosuch", 422, "one of available", ""},
			{"admin", "/jobs", 200, "part 7", ""},
			{"viewer", "/jobs", 404, "not for you", "part 7"},
			{"auditor", "/jobs", 404, "not for you", "part 7"},
		})
		if got := r.post("viewer", "/jobs/bulk/cancel", url.Values{"id": {part}}); got.Code != 404 {
			t.Errorf("a viewer cancels: %d", got.Code)
		}
		if got := r.post("lead", "/jobs/bulk/cancel", url.Values{"id": {part, "999999"}}); got.Code != 303 {
			t.Errorf("cancel: %d %s", got.Code, got.Body)
		}
		r.all([]look{{"lead", "/jobs?state=cancelled", 200, "part 7", "feeds.example"}, {"lead", "/audit?verb=job+cancel", 200, "Job cancel|" + part, "Import"}})
		if got := r.post("lead", "/jobs/bulk/retry", url.Values{"all": {"yes"}, "next": {"/jobs?state=cancelled"}}); got.Code != 303 {
			t.Errorf("retry: %d %s", got.Code, got.Body)
		}
		r.all([]look{{"lead", "/jobs?state=available", 200, "part 7|feeds.example", ""}})
	})
}

// TestPagesOfEvents: all for lead and auditor, one's own for the others.
func TestPagesOfEvents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		r := readWorld(t, place)
		a := r.asked("alpha")
		if got := r.post("lead", "/surveys/"+a+"/stop", nil); got.Code != 303 {
			t.Fatal(got.Code)
		}
		r.all([]look{
			{"lead", "/audit", 200, "Survey stop|/surveys/" + a + "|by hand|Constituent apply|Verify the chain|lead by token lead", ""},
			{"auditor", "/audit?subject=" + a, 200, "Survey stop|Survey run", "Constituent apply"},
			{"auditor", "/audit?principal=lead&verb=Survey+stop", 200, "Survey stop", "Survey run"},
			{"auditor", "/audit?constituent=alpha&limit=1", 200, "Survey stop|after=", "Survey run"},
			{"auditor", "/audit?subject=nosuch", 200, "No event matches", ""},
			{"viewer", "/audit", 200, "your own acts", "Survey stop|alpha.example|Verify the chain|/users"},
			{"viewer", "/audit?principal=lead", 200, "No event matches", "Survey stop"},
			{"viewer", "/audit/verify", 404, "not for you", ""},
			{"admin", "/audit", 200, "your own acts|Verify the chain", "Survey stop"},
			{"admin", "/audit/verify", 200, "the chain holds", ""},
			{"auditor", "/audit/verify", 200, "the chain holds", ""},
		})
	})
}

// TestPagesOfFeeds: how feeds fare, and who may let one be fetched.
func TestPagesOfFeeds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		r := readWorld(t, place)
		r.all([]look{
			{"lead", "/feeds", 200, "/feeds/cisa-kev|Off|No feed is on|/feeds/bulk/enable", ""},
			{"lead", "/feeds?q=kev", 200, "/feeds/cisa-kev", "/feeds/euvd"},
			{"lead", "/feeds?state=fresh", 200, "No feed matches", "cisa-kev"},
			{"auditor", "/feeds/cisa-kev", 200, "Off: nothing is fetched|Nobody changed it", "Enable</button>"},
			{"lead", "/feeds/nosuch", 404, "not for you", ""},
			{"viewer", "/feeds", 404, "not for you", "cisa-kev"},
			{"viewer", "/feeds/cisa-kev", 404, "not for you", "Off"},
		})
		if got := r.post("auditor", "/feeds/bulk/enable", url.Values{"id": {"cisa-kev"}}); got.Code != 404 {
			t.Errorf("an auditor enables: %d", got.Code)
		}
		for _, act := range []string{"enable", "run"} {
			if got := r.post("lead", "/feeds/bulk/"+act, url.Values{"id": {"cisa-kev"}, "next": {"/feeds/cisa-kev"}}); got.Code != 303 || got.Header().Get("Location") != "/feeds/cisa-kev" {
				t.Errorf("%s: %d %s", act, got.Code, got.Body)
			}
		}
		r.all([]look{
			{"lead", "/feeds/cisa-kev", 200, "Being fetched, or about to be|Fetch now|Feed run by lead", "Enable</button>"},
			{"lead", "/feeds?state=waiting", 200, "/feeds/cisa-kev", ""},
		})
		if got := r.post("lead", "/feeds/bulk/disable", url.Values{"id": {"cisa-kev"}}); got.Code != 303 {
			t.Errorf("disable: %d", got.Code)
		}
		r.all([]look{{"lead", "/feeds/cisa-kev", 200, "Off: nothing is fetched|Feed disable by lead", "Fetch now"}})
	})
}
