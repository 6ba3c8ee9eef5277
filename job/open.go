package job

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"

	"github.com/vedette-hub/vedette"
)

// Config says where the jobs are and what this process does with them.
type Config struct {
	// Dir is the folder of the embedded store: jobs are in Dir/jobs.db. One of
	// Dir and URL is set.
	Dir string
	// URL is a PostgreSQL database: jobs are in its schema Schema ("" is
	// "jobs"), which Migrate makes. A connection through a pooler has to be in
	// session mode.
	URL    string
	Schema string

	Kinds []Kind // all of the program, in every process
	// Queues are the queues this process works, each with how many jobs at
	// once. Empty: it only adds and administers jobs.
	Queues map[string]int

	Log *slog.Logger // nil is silence

	// The rest is for tests; zero is the default.

	Timeout time.Duration // of kinds that set none: 1 minute
	// Rescue is the age at which a job still marked as running is taken for
	// stuck although its process lives: twice Timeout. It is looked for every
	// 30 seconds.
	Rescue  time.Duration
	Poll    time.Duration // how often a queue is asked besides notifications: 250 ms embedded, 1 s on PostgreSQL
	Reclaim time.Duration // how often dead processes and orders to stop are looked for: 1 s
	Grace   time.Duration // how long jobs that Stop interrupts may take to return: 5 s
}

const (
	attempts = 8
	cooldown = 10 * time.Millisecond // between two fetches of a queue
)

var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,39}$`)

// complete fills defaults in and refuses what makes no sense.
func (c Config) complete() (Config, error) {
	or := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	poll := time.Second
	if c.Dir != "" {
		poll = 250 * time.Millisecond
	}
	or(&c.Timeout, time.Minute)
	or(&c.Rescue, 2*c.Timeout)
	or(&c.Poll, poll)
	or(&c.Reclaim, time.Second)
	or(&c.Grace, 5*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Schema == "" {
		c.Schema = schemaDefault
	}
	if (c.Dir == "") == (c.URL == "") {
		return c, vedette.Invalid("job: a folder or a URL of PostgreSQL is needed, one of the two")
	}
	if c.Rescue <= c.Timeout {
		return c, vedette.Invalid("job: rescue after %s would take jobs that may run for %s", c.Rescue, c.Timeout)
	}
	if !schemaName.MatchString(c.Schema) {
		return c, vedette.Invalid("job: a schema has no name like %q", c.Schema)
	}
	for q, n := range c.Queues {
		if !queueName.MatchString(q) || n < 1 || n > river.QueueNumWorkersMax {
			return c, vedette.Invalid("job: queue %q with %d workers", q, n)
		}
	}
	seen := map[string]bool{}
	for _, k := range c.Kinds {
		if err := k.check(); err != nil {
			return c, err
		}
		if seen[k.Name] {
			return c, vedette.Invalid("job: kind %s is declared twice", k.Name)
		}
		seen[k.Name] = true
	}
	return c, nil
}

// engine is the part of River's client that does not name the type of a
// transaction: the clients of both drivers have it.
type engine interface {
	Start(context.Context) error
	Stop(context.Context) error
	StopAndCancel(context.Context) error
	InsertMany(context.Context, []river.InsertManyParams) ([]*rivertype.JobInsertResult, error)
	JobGet(context.Context, int64) (*rivertype.JobRow, error)
	JobCancel(context.Context, int64) (*rivertype.JobRow, error)
	JobRetry(context.Context, int64) (*rivertype.JobRow, error)
	JobList(context.Context, *river.JobListParams) (*river.JobListResult, error)
}

// home is where the jobs are: what the two engines do differently besides River.
type home interface {
	// settle makes this process known as alive and hands back what it finds
	// orphaned, before the first job is fetched.
	settle(context.Context) error
	// tend hands back the jobs and the lead of processes that died; called
	// again and again.
	tend(context.Context) error
	// look reads the rows of jobs that run here.
	look(context.Context, []int64) (map[int64]seen, error)
	// unmark forgets that somebody wanted a job cancelled.
	unmark(context.Context, int64) error
	close() error
}

// seen is what the row of a running job says.
type seen struct {
	attempt   int
	mine      bool // it runs, and here
	cancelled bool // somebody wants it cancelled
}

// Jobs are the jobs of a hub as one process sees and works them.
type Jobs struct {
	cfg   Config
	id    string // of this process, in attempted_by and as leader
	kinds map[string]Kind
	home  home
	desk  engine // reads and changes rows; never started
	work  engine // runs jobs; nil when the process only adds

	mu      sync.Mutex // of the three below
	started bool
	closed  bool
	quit    context.CancelFunc // ends keep

	keeper   sync.WaitGroup
	stopping atomic.Bool // running jobs have been told to stop
	runs     runs
}

// Open finds the jobs. The embedded file is made when it is not there; on
// PostgreSQL Migrate has to have been called. A process with queues then calls
// Start. Every handle ends with Stop.
//
// It returns vedette.ErrConflict when another process works the jobs of the
// folder, vedette.ErrInvalid for a wrong Config, and vedette.ErrUnavailable
// when the database does not answer or is not migrated.
func Open(ctx context.Context, cfg Config) (*Jobs, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	j := &Jobs{cfg: cfg, id: processID(), kinds: map[string]Kind{}}
	for _, k := range cfg.Kinds {
		j.kinds[k.Name] = k
	}
	if cfg.Dir != "" {
		err = j.openEmbedded(ctx)
	} else {
		err = j.openPostgres(ctx)
	}
	if err != nil {
		if j.home != nil {
			j.home.close()
		}
		return nil, classify(err)
	}
	return j, nil
}

func (j *Jobs) openEmbedded(ctx context.Context) error {
	e, err := openEmbedded(ctx, j.cfg.Dir, len(j.cfg.Queues) > 0)
	if err != nil {
		return err
	}
	j.home = e
	return employ[*sql.Tx](j, riversqlite.New(e.db), nil)
}

func (j *Jobs) openPostgres(ctx context.Context) error {
	p, err := openPostgres(ctx, j.cfg, j.id)
	if err != nil {
		return err
	}
	j.home = p
	var reindex river.PeriodicSchedule // River's, each midnight
	if !p.owner {
		reindex = river.NeverSchedule() // only the owner of an index may
	}
	return employ[pgx.Tx](j, riverpgxv5.New(p.pool), reindex)
}

// employ makes River's clients: one that only writes rows, and one that works
// when there are queues. Rows are cancelled through the first, because the
// second waits for its queues to listen, which they do only while it runs.
func employ[T any](j *Jobs, d riverdriver.Driver[T], reindex river.PeriodicSchedule) error {
	desk, err := river.NewClient(d, j.river(nil, reindex))
	if err != nil {
		return err
	}
	j.desk = desk
	if len(j.cfg.Queues) == 0 {
		return nil
	}
	work, err := river.NewClient(d, j.river(j.cfg.Queues, reindex))
	if err != nil {
		return err
	}
	j.work = work
	return nil
}

// river is the configuration of a client of River. All kinds and all periodic
// jobs are in it, whatever the queues.
func (j *Jobs) river(queues map[string]int, reindex river.PeriodicSchedule) *river.Config {
	rc := &river.Config{
		ID: j.id, Logger: j.cfg.Log, MaxAttempts: attempts,
		JobTimeout: j.cfg.Timeout, RescueStuckJobsAfter: j.cfg.Rescue,
		FetchPollInterval: max(j.cfg.Poll, cooldown), FetchCooldown: cooldown,
		ReindexerSchedule: reindex, Workers: river.NewWorkers(),
	}
	if j.cfg.URL != "" {
		rc.Schema = j.cfg.Schema
	}
	for _, k := range j.cfg.Kinds {
		river.AddWorkerArgs(rc.Workers, args{kind: k.Name}, worker{kind: k, jobs: j})
		if k.Every > 0 {
			rc.PeriodicJobs = append(rc.PeriodicJobs, river.NewPeriodicJob(river.PeriodicInterval(k.Every),
				func() (river.JobArgs, *river.InsertOpts) { return args{k.Name, []byte("{}")}, k.options() },
				&river.PeriodicJobOpts{ID: k.Name, RunOnStart: true}))
		}
	}
	for q, n := range queues {
		if rc.Queues == nil {
			rc.Queues = map[string]river.QueueConfig{}
		}
		rc.Queues[q] = river.QueueConfig{MaxWorkers: n}
	}
	return rc
}

// Start begins to work the queues. It returns when they are worked; ctx limits
// only the start. A handle without queues cannot be started.
func (j *Jobs) Start(ctx context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.work == nil:
		return vedette.Invalid("job: this process works no queue")
	case j.closed:
		return vedette.Conflict("job: stopped already")
	case j.started:
		return nil
	}
	if err := j.home.settle(ctx); err != nil {
		return classify(fmt.Errorf("job: start: %w", err))
	}
	if err := j.work.Start(context.WithoutCancel(ctx)); err != nil {
		return classify(fmt.Errorf("job: start: %w", err))
	}
	j.started = true
	keep, quit := context.WithCancel(context.WithoutCancel(ctx))
	j.quit = quit
	j.keeper.Go(func() { j.keep(keep) })
	return nil
}

// keep hands back what dead processes left and stops the jobs of this one that
// somebody wants stopped.
func (j *Jobs) keep(ctx context.Context) {
	tick := time.NewTicker(j.cfg.Reclaim)
	defer tick.Stop()
	failing := false
	for {
		err := errors.Join(j.limited(ctx, j.home.tend), j.limited(ctx, j.watch))
		if err != nil && !failing && ctx.Err() == nil {
			j.cfg.Log.Error("job: cannot look after jobs", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// limited calls f with a limit, so that a database that hangs does not stop the rest.
func (j *Jobs) limited(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return f(ctx)
}

// Stop takes no more jobs, lets those that run end until ctx is done, then
// ends their contexts and waits Config.Grace. A job interrupted so runs again
// later, and the attempt does not count. At last the database is let go.
//
// When jobs do not heed their contexts it returns vedette.ErrConflict and lets
// go of nothing, so that no other process takes what still runs here: the
// caller ends the process, or calls Stop again.
func (j *Jobs) Stop(ctx context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil
	}
	if j.started {
		if err := j.work.Stop(ctx); err != nil {
			j.stopping.Store(true)
			rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), j.cfg.Grace)
			defer cancel()
			if err := j.work.StopAndCancel(rest); err != nil {
				return vedette.Conflict("job: stop: %d jobs still run: %w", j.runs.count(), err)
			}
		}
		j.quit()
		j.keeper.Wait()
	}
	j.closed = true
	return classify(j.home.close())
}

// processID is a name that no other process has or will have: a life lock is
// taken in it.
func processID() string {
	host, _ := os.Hostname()
	host = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, host)
	var random [6]byte
	rand.Read(random[:]) // never fails
	return host[:min(len(host), 60)] + "_" + strconv.Itoa(os.Getpid()) + "_" + hex.EncodeToString(random[:])
}
