package api

import (
	"slices"
	"strconv"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/store"
)

type surveyQuery struct {
	Paging
	Constituent string `query:"constituent"`
	Kind        string `query:"kind" enum:"survey,retest,confirm"`
	State       string `query:"state" enum:"running,done,stopped,failed" doc:"running is whatever has not ended"`
}

func (a *API) listSurveys(r *face.Request, in *surveyQuery) (page[vedette.Survey], error) {
	return listed(a, r, in.Paging, func(after string, limit int) ([]vedette.Survey, string, error) {
		return r.Desk.Rows().Surveys(r.Context(), store.SurveyFilter{Constituent: in.Constituent, Kind: vedette.SurveyKind(in.Kind), State: vedette.SurveyState(in.State), After: after, Limit: limit})
	})
}

func (a *API) getSurvey(r *face.Request, in *ByID) (store.SurveyView, error) {
	return r.Desk.Rows().Survey(r.Context(), in.ID)
}

type runSurveyIn struct {
	Body struct {
		Constituent string `json:"constituent" minLength:"1" maxLength:"100"`
		Class       string `json:"class,omitempty" enum:"passive,active" default:"active" doc:"how far checks go"`
		Yes         bool   `json:"yes,omitempty" doc:"the documents that authorise it are in order: the first survey of a constituent takes this"`
	}
}

func (a *API) runSurvey(r *face.Request, in *runSurveyIn) (vedette.Survey, error) {
	before, err := r.Desk.Rows().Surveyed(r.Context(), in.Body.Constituent)
	if err == nil && !before && !in.Body.Yes {
		if _, err = r.Desk.Rows().Constituent(r.Context(), in.Body.Constituent); err == nil {
			err = badField("#/yes", "this is the first survey of "+in.Body.Constituent+": look at its scope, and say that the documents are in order")
		}
	}
	if err != nil {
		return vedette.Survey{}, err
	}
	s, err := r.Desk.Survey(r.Context(), in.Body.Constituent, vedette.CheckClass(in.Body.Class))
	if err == nil {
		at(r, "surveys/"+s.ID)
	}
	return finished(r, s, err)
}

type stopSurveyIn struct {
	ByID
	Body why
}

func (a *API) stopSurvey(r *face.Request, in *stopSurveyIn) (store.SurveyView, error) {
	_, err := finished(r, none{}, r.Desk.Rows().StopSurvey(r.Context(), in.ID, in.Body.Reason))
	if err != nil {
		return store.SurveyView{}, err
	}
	return r.Desk.Rows().Survey(r.Context(), in.ID)
}

type whyIn struct{ Body why }

func (a *API) stopSurveys(r *face.Request, in *whyIn) (none, error) {
	return finished(r, none{}, r.Desk.Rows().StopSurvey(r.Context(), "", in.Body.Reason))
}

func (a *API) resumeSurveys(r *face.Request, in *whyIn) (none, error) {
	return finished(r, none{}, r.Desk.Rows().ResumeSurveys(r.Context(), in.Body.Reason))
}

type changesQuery struct {
	Paging
	Constituent string    `query:"constituent" doc:"all within the caller's wall when absent"`
	Since       time.Time `query:"since" required:"true" doc:"compare with what was seen then"`
	What        string    `query:"what" enum:"appeared,changed,vanished"`
}

func (a *API) listChanges(r *face.Request, in *changesQuery) (page[store.Changed], error) {
	return listed(a, r, in.Paging, func(after string, limit int) ([]store.Changed, string, error) {
		return r.Desk.Rows().Changes(r.Context(), store.ChangeFilter{Constituent: in.Constituent, Since: in.Since, What: in.What, After: after, Limit: limit})
	})
}

// feed is a feed with how it fares in one word.
type feed struct {
	vedette.Feed
	State vedette.FeedState `json:"state" enum:"off,waiting,fresh,late,broken"`
}

func (a *API) feeds(r *face.Request) ([]feed, error) {
	fs, err := r.Desk.Rows().Feeds(r.Context())
	out := make([]feed, len(fs))
	for i, f := range fs {
		out[i] = feed{f, f.State(a.hub.Now())}
	}
	return out, err
}

func (a *API) listFeeds(r *face.Request, in *Paging) (page[feed], error) {
	fs, err := a.feeds(r)
	if err != nil {
		return page[feed]{}, err
	}
	return listed(a, r, *in, whole(fs, func(f feed) string { return f.Name }))
}

func (a *API) getFeed(r *face.Request, in *ByName) (feed, error) {
	fs, err := a.feeds(r)
	i := slices.IndexFunc(fs, func(f feed) bool { return f.Name == in.Name })
	if err != nil || i < 0 {
		return feed{}, orAbsent(err, "feed", in.Name)
	}
	return fs[i], nil
}

type changeFeedIn struct {
	ByName
	IfMatch
}

func (a *API) enableFeed(r *face.Request, in *changeFeedIn) (feed, error) {
	return a.setFeed(r, in, true)
}

func (a *API) disableFeed(r *face.Request, in *changeFeedIn) (feed, error) {
	return a.setFeed(r, in, false)
}

func (a *API) setFeed(r *face.Request, in *changeFeedIn, on bool) (feed, error) {
	if in.Tag != "" {
		f, err := a.getFeed(r, &in.ByName)
		if err == nil {
			err = unchanged(r, f)
		}
		if err != nil {
			return f, err
		}
	}
	if _, err := finished(r, none{}, r.Desk.Rows().EnableFeed(r.Context(), in.Name, on)); err != nil {
		return feed{}, err
	}
	return a.getFeed(r, &in.ByName)
}

type jobQuery struct {
	Paging
	State string `query:"state" enum:"available,scheduled,retryable,running,completed,cancelled,discarded"`
	Kind  string `query:"kind"`
}

func (a *API) listJobs(r *face.Request, in *jobQuery) (page[vedette.Job], error) {
	return listed(a, r, in.Paging, func(after string, limit int) ([]vedette.Job, string, error) {
		rows, err := r.Desk.Jobs(r.Context(), face.JobFilter{State: in.State, Kind: in.Kind, Below: number(after), Limit: limit})
		if err != nil || len(rows) < limit {
			return rows, "", err
		}
		return rows, strconv.FormatInt(rows[limit-1].ID, 10), nil
	})
}

// number is a place of a list that goes by numbers, 0 at the beginning.
func number(after string) int64 {
	n, _ := strconv.ParseInt(after, 10, 64) // it was signed
	return n
}

type jobIn struct {
	ID int64 `path:"id" minimum:"1"`
}

func (a *API) retryJob(r *face.Request, in *jobIn) (none, error) {
	return none{}, r.Desk.RetryJob(r.Context(), in.ID)
}

func (a *API) cancelJob(r *face.Request, in *jobIn) (none, error) {
	return none{}, r.Desk.CancelJob(r.Context(), in.ID)
}
