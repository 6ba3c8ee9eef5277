package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/vedette-hub/vedette"
)

// State is where a job is in its life.
type State string

// The states.
const (
	Available State = "available" // waits for a worker
	Scheduled State = "scheduled" // waits for its time
	Retryable State = "retryable" // failed and waits for its next attempt
	Running   State = "running"
	Completed State = "completed"
	Cancelled State = "cancelled" // by a person, or dropped by itself
	Discarded State = "discarded" // failed too often
)

// States are all states, in the order of a life.
var States = []State{Available, Scheduled, Retryable, Running, Completed, Cancelled, Discarded}

// Row is a job as it stands.
type Row struct {
	ID          int64
	Kind, Queue string
	State       State
	Attempt     int // begun so far
	Max         int // after which it is discarded
	Args        json.RawMessage
	Created     time.Time // the times are UTC, and zero where there is none
	Scheduled   time.Time // when it may run, or might
	Attempted   time.Time // when the last attempt began
	Finalized   time.Time // when it ended for good
	Worker      string    // the process of the last attempt
	Errors      int       // how many attempts failed
	Error       string    // the last failure
}

// Filter narrows a list. Its zero value is all.
type Filter struct {
	States []State
	Kind   string
	Before int64 // only jobs with a smaller id: the last of the page before
	Limit  int   // 0 is 100; at most 10,000
}

// Add queues jobs, all or none. An equal job of a Unique kind that waits or
// runs already takes the place of a new one. It returns vedette.ErrInvalid for
// a kind that is not declared and for arguments that are no JSON object.
func (j *Jobs) Add(ctx context.Context, news ...New) ([]Added, error) {
	var params []river.InsertManyParams
	place := make([]int, len(news)) // in params
	first := map[string]int{}       // kind and arguments to that place
	again := make([]bool, len(news))
	for i, n := range news {
		k, ok := j.kinds[n.Kind]
		if !ok {
			return nil, vedette.Invalid("job: no kind %q", n.Kind)
		}
		raw, err := encode(n.Args)
		if err != nil {
			return nil, vedette.Invalid("job: kind %s: %w", n.Kind, err)
		}
		o := k.options()
		if !n.At.IsZero() {
			o.ScheduledAt = n.At.UTC()
		}
		if k.Unique || k.Every > 0 { // PostgreSQL cannot meet one key twice in one insert
			key := n.Kind + " " + string(raw)
			if place[i], again[i] = first[key]; again[i] {
				continue
			}
			first[key] = len(params)
		}
		place[i] = len(params)
		params = append(params, river.InsertManyParams{Args: args{n.Kind, raw}, InsertOpts: o})
	}
	if len(params) == 0 {
		return nil, nil
	}
	e := j.desk
	if j.work != nil {
		e = j.work // wakes its own queues
	}
	res, err := e.InsertMany(ctx, params)
	if err != nil {
		return nil, classify(fmt.Errorf("job: add: %w", err))
	}
	out := make([]Added, len(news))
	for i := range news {
		r := res[place[i]]
		out[i] = Added{r.Job.ID, !r.UniqueSkippedAsDuplicate && !again[i]}
	}
	return out, nil
}

// List returns jobs, newest first.
func (j *Jobs) List(ctx context.Context, f Filter) ([]Row, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	p := river.NewJobListParams().OrderBy(river.JobListOrderByID, river.SortOrderDesc).First(min(f.Limit, 10_000))
	if len(f.States) > 0 {
		var states []rivertype.JobState
		for _, s := range f.States {
			if !slices.Contains(States, s) {
				return nil, vedette.Invalid("job: no state %q; states are %v", s, States)
			}
			states = append(states, rivertype.JobState(s))
		}
		p = p.States(states...)
	}
	if f.Kind != "" {
		p = p.Kinds(f.Kind)
	}
	if f.Before != 0 {
		p = p.Where("id < @before", river.NamedArgs{"before": f.Before})
	}
	res, err := j.desk.JobList(ctx, p)
	if err != nil {
		return nil, classify(fmt.Errorf("job: list: %w", err))
	}
	out := make([]Row, len(res.Jobs))
	for i, r := range res.Jobs {
		out[i] = rowOf(r)
	}
	return out, nil
}

func rowOf(r *rivertype.JobRow) Row {
	utc := func(t *time.Time) time.Time {
		if t == nil {
			return time.Time{}
		}
		return t.UTC()
	}
	args, err := encode(json.RawMessage(r.EncodedArgs)) // PostgreSQL orders names its own way
	if err != nil {
		args = r.EncodedArgs // not written by us
	}
	out := Row{
		ID: r.ID, Kind: r.Kind, Queue: r.Queue, State: State(r.State), Attempt: r.Attempt, Max: r.MaxAttempts,
		Args: args, Created: r.CreatedAt.UTC(), Scheduled: r.ScheduledAt.UTC(),
		Attempted: utc(r.AttemptedAt), Finalized: utc(r.FinalizedAt), Errors: len(r.Errors),
	}
	if n := len(r.AttemptedBy); n > 0 {
		out.Worker = r.AttemptedBy[n-1]
	}
	if n := len(r.Errors); n > 0 {
		out.Error = strings.TrimPrefix(r.Errors[n-1].Error, "JobCancelError: ")
	}
	return out
}

// Retry makes a job run again at once, whether it waits or has ended. It
// returns vedette.ErrNotFound, or vedette.ErrConflict when the job runs or when
// an equal job of a Unique kind waits or runs.
func (j *Jobs) Retry(ctx context.Context, id int64) error {
	row, err := j.get(ctx, id)
	if err != nil {
		return err
	}
	if row.State == rivertype.JobStateRunning {
		return vedette.Conflict("job: %d is running", id)
	}
	// A mark of an earlier cancel would end the new run as well.
	if err := j.home.unmark(ctx, id); err != nil {
		return classify(fmt.Errorf("job: retry %d: %w", id, err))
	}
	_, err = j.desk.JobRetry(ctx, id)
	return j.failed("retry", id, err)
}

// Cancel ends a job for good. One that waits never runs. The context of one
// that runs ends at once in this process, and within a second or so in another
// one; if its Run then returns an error, it is Cancelled, if it returns nil it
// is Completed. It returns vedette.ErrNotFound, or vedette.ErrConflict when the
// job has ended otherwise.
func (j *Jobs) Cancel(ctx context.Context, id int64) error {
	row, err := j.desk.JobCancel(ctx, id)
	if err != nil {
		return j.failed("cancel", id, err)
	}
	switch row.State {
	case rivertype.JobStateCompleted, rivertype.JobStateDiscarded:
		return vedette.Conflict("job: %d has ended: %s", id, row.State)
	case rivertype.JobStateRunning:
		for _, r := range j.runs.list() {
			if r.id == id && r.attempt == row.Attempt {
				r.cancel(rivertype.ErrJobCancelledRemotely)
			}
		}
	}
	return nil
}

func (j *Jobs) get(ctx context.Context, id int64) (*rivertype.JobRow, error) {
	row, err := j.desk.JobGet(ctx, id)
	return row, j.failed("get", id, err)
}

// failed is the error of an act on one job.
func (j *Jobs) failed(act string, id int64, err error) error {
	if errors.Is(err, rivertype.ErrNotFound) {
		return vedette.NotFound("job: no job %d", id)
	}
	if err != nil {
		return classify(fmt.Errorf("job: %s %d: %w", act, id, err))
	}
	return nil
}
