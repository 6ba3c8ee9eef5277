package job

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// args gives all kinds one Go type: River wants a type for each, we have values.
type args struct {
	kind string
	raw  json.RawMessage
}

func (a args) Kind() string                  { return a.kind }
func (a args) MarshalJSON() ([]byte, error)  { return a.raw, nil }
func (a *args) UnmarshalJSON(b []byte) error { a.raw = append(a.raw[:0], b...); return nil }

// options are River's for a job of the kind.
func (k Kind) options() *river.InsertOpts {
	o := &river.InsertOpts{Queue: k.Queue, Priority: k.Priority, MaxAttempts: k.Attempts}
	if o.Queue == "" {
		o.Queue = DefaultQueue
	}
	if k.Unique || k.Every > 0 {
		o.UniqueOpts = river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{rivertype.JobStateAvailable,
			rivertype.JobStatePending, rivertype.JobStateRunning, rivertype.JobStateRetryable, rivertype.JobStateScheduled}}
	}
	return o
}

// worker is one kind as River runs it.
type worker struct {
	river.WorkerDefaults[args]
	kind Kind
	jobs *Jobs
}

// Timeout is that of the kind; 0 is the default of the client.
func (w worker) Timeout(*river.Job[args]) time.Duration { return w.kind.Timeout }

// Work runs the job once.
func (w worker) Work(ctx context.Context, rj *river.Job[args]) error {
	if wanted(rj.Metadata) { // the order came while the attempt before failed
		return rivertype.ErrJobCancelledRemotely
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := w.jobs.runs.begin(rj.ID, rj.Attempt, cancel)
	defer w.jobs.runs.end(r)
	err := w.kind.Run(ctx, Task{ID: rj.ID, Attempt: rj.Attempt, Last: rj.MaxAttempts, Args: rj.Args.raw})
	return w.jobs.outcome(ctx, err)
}

// wanted says whether metadata of a job hold an order to cancel it.
func wanted(metadata []byte) bool {
	var m struct {
		At *string `json:"cancel_attempted_at"`
	}
	return json.Unmarshal(metadata, &m) == nil && m.At != nil
}

// outcome is what River is told of a run that returned err.
func (j *Jobs) outcome(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, errTaken) {
		return untouched{}
	}
	var drop dropped
	var again postponed
	switch {
	case err == nil:
		return nil
	case errors.As(err, &drop):
		return river.JobCancel(err)
	case errors.As(err, &again):
		return river.JobSnooze(again.in)
	case errors.Is(cause, rivertype.ErrJobCancelledRemotely):
		return rivertype.ErrJobCancelledRemotely
	case j.stopping.Load() && cause != nil && !errors.Is(cause, context.DeadlineExceeded):
		return river.JobSnooze(0) // Stop interrupted it: the attempt does not count
	}
	return err
}

// errTaken ends a run whose job another process took over, because this one
// was thought dead.
var errTaken = errors.New("another process took this job over")

// untouched makes River write nothing about a run: the row is another's by
// now. River reports the jobs of an error of this shape, here none.
type untouched struct{}

func (untouched) Error() string               { return errTaken.Error() }
func (untouched) Jobs() []*rivertype.JobRow   { return nil }
func (untouched) ErrorsByID() map[int64]error { return nil }

// run is one attempt that runs in this process.
type run struct {
	id      int64
	attempt int
	cancel  context.CancelCauseFunc
}

// runs are the attempts that run in this process. A job can be here twice: as
// the attempt that was taken from us and as the next one, which we got.
type runs struct {
	mu  sync.Mutex
	all map[*run]bool
}

func (rs *runs) begin(id int64, attempt int, cancel context.CancelCauseFunc) *run {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.all == nil {
		rs.all = map[*run]bool{}
	}
	r := &run{id, attempt, cancel}
	rs.all[r] = true
	return r
}

func (rs *runs) end(r *run) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(rs.all, r)
}

func (rs *runs) count() int {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return len(rs.all)
}

func (rs *runs) list() []*run {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	out := make([]*run, 0, len(rs.all))
	for r := range rs.all {
		out = append(out, r)
	}
	return out
}

// watch compares what runs here with the rows: it ends runs that somebody
// wants cancelled, and those that are no longer ours. Orders of other
// processes come this way on SQLite, which notifies nobody, and on PostgreSQL
// when the notification was lost.
func (j *Jobs) watch(ctx context.Context) error {
	running := j.runs.list()
	if len(running) == 0 {
		return nil
	}
	ids := make([]int64, len(running))
	for i, r := range running {
		ids[i] = r.id
	}
	rows, err := j.home.look(ctx, ids)
	if err != nil {
		return err
	}
	for _, r := range running {
		row := rows[r.id]
		switch {
		case !row.mine || row.attempt != r.attempt:
			r.cancel(errTaken) // without effect on a run that ended meanwhile
		case row.cancelled:
			r.cancel(rivertype.ErrJobCancelledRemotely)
		}
	}
	return nil
}
