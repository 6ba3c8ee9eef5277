package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/job"
	"github.com/vedette-hub/vedette/store"
)

// config reads the operator's file: --config, or vedette.yaml in the data
// folder when there is one.
func (g *Globals) config() (config.Config, error) {
	if g.Config != "" {
		return config.Load(g.Config, false)
	}
	return config.Load(filepath.Join(g.Data, "vedette.yaml"), true)
}

// partsAtOnce is how many parts one process works side by side.
const partsAtOnce = 8

// jobConfig says where the jobs of a store are.
func (g *Globals) jobConfig() job.Config {
	if store.IsURL(g.place()) {
		return job.Config{URL: g.place(), Timeout: time.Minute, Rescue: partTime + time.Minute}
	}
	return job.Config{Dir: g.Data, Timeout: time.Minute, Rescue: partTime + time.Minute}
}

// startHub opens the jobs and starts a hub that works them.
func (r *run) startHub(log *slog.Logger, queues map[string]int) (*hub, error) {
	conf, err := r.config()
	if err != nil {
		return nil, err
	}
	h, err := newHub(r.ctx, r.store, conf.Survey, log)
	if err != nil {
		return nil, err
	}
	h.line.alerts = func() (config.Alerts, error) { return conf.Alerts, nil }
	h.post = newPostman(h.store, conf, h.lab)
	if queues[queueFeed] > 0 {
		h.fetchers = fetchers(conf, h.lab, h.store.Now)
	}
	jc := r.jobConfig()
	if jc.URL != "" {
		if err := job.Migrate(r.ctx, jc.URL, jc.Schema); err != nil {
			return nil, err
		}
	}
	jc.Kinds, jc.Log, jc.Queues = kinds(h, h.prober), warnings(log), queues
	if _, ok := queues[queueProbe]; ok {
		queues[queueProbe] = cmp.Or(conf.Survey.Parts, partsAtOnce)
	}
	if h.jobs, err = job.Open(r.ctx, jc); err != nil {
		return nil, err
	}
	if err := h.jobs.Start(context.WithoutCancel(r.ctx)); err != nil {
		return nil, errors.Join(err, h.jobs.Stop(r.ctx))
	}
	return h, nil
}

// workHere starts a hub in this process unless another works the store: on
// PostgreSQL that is always another's matter.
func (r *run) workHere() (*hub, error) {
	if store.IsURL(r.place()) {
		return nil, nil
	}
	h, err := r.startHub(slog.New(slog.DiscardHandler), map[string]int{queueHub: 1, queueProbe: 1})
	if errors.Is(err, vedette.ErrConflict) {
		return nil, nil
	}
	return h, err
}

type serveCmd struct {
	NoProbe bool   `help:"Work no parts of surveys here: workers do."`
	Listen  string `help:"Where the pages listen; none when empty." placeholder:"127.0.0.1:8080"`
}

// Help is shown by --help.
func (serveCmd) Help() string {
	return "Runs the line, the schedules and the surveys until it is told to end (Ctrl-C, SIGTERM). On the embedded store there is one; on PostgreSQL there may be several, with any number of `vedette worker`."
}

// Run serves until the context ends.
func (c *serveCmd) Run(r *run) error {
	log := r.log()
	queues := map[string]int{queueHub: 1, queuePost: 1, queueFeed: feedsAtOnce}
	if !c.NoProbe {
		queues[queueProbe] = 1
	}
	h, err := r.startHub(log, queues)
	if err != nil {
		return err
	}
	if c.Listen != "" {
		at, err := r.openPages(h, c.Listen)
		if err != nil {
			return errors.Join(err, h.stop(context.WithoutCancel(r.ctx)))
		}
		log.Info("pages", "address", at.String())
	}
	log.Info("serving", "store", r.store.Engine(), "lab", h.lab, "probes", !c.NoProbe)
	<-r.ctx.Done()
	log.Info("ending: running jobs get a few seconds")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), stopTime)
	defer cancel()
	r.told = true
	return h.stop(ctx)
}

// openPages listens with the faces of a hub.
func (r *run) openPages(h *hub, addr string) (net.Addr, error) {
	conf, err := r.config()
	if err != nil {
		return nil, err
	}
	faces, err := h.faces(conf)
	if err != nil {
		return nil, err
	}
	return h.listen(r.ctx, addr, faces)
}

// stopTime is how long a process waits for its running jobs; what does not end
// goes back and is worked again.
const stopTime = 10 * time.Second

type workerCmd struct{}

func (workerCmd) storeless() {}

// Help is shown by --help.
func (workerCmd) Help() string {
	return "Examples:\n  vedette --db postgres://probe@db.hub.example/vedette worker\n\nThe role of the URL sees the parts that wait with their scopes, and writes what it saw into the inbox; made by `vedette migrate --worker-role probe`."
}

// Run works parts until the context ends. It opens no store: the role of a
// worker could not.
func (workerCmd) Run(r *run) error {
	if !store.IsURL(r.place()) {
		return fmt.Errorf("%w: a worker needs PostgreSQL: --db URL", errUsage)
	}
	log := r.log()
	conf, err := r.config()
	if err != nil {
		return err
	}
	d, err := store.OpenDesk(r.ctx, r.place())
	if err != nil {
		return err
	}
	defer d.Close()
	lab, err := awaitLab(r.ctx, d, log)
	if err != nil {
		return err
	}
	p, err := newProber(d, conf.Survey, lab, time.Now)
	if err != nil {
		return err
	}
	jc := r.jobConfig()
	jc.Kinds, jc.Log, jc.Queues = kinds(nil, p), warnings(log), map[string]int{queueProbe: cmp.Or(conf.Survey.Parts, partsAtOnce)}
	j, err := job.Open(r.ctx, jc)
	if err != nil {
		return err
	}
	if err := j.Start(context.WithoutCancel(r.ctx)); err != nil {
		return err
	}
	log.Info("working", "lab", lab)
	<-r.ctx.Done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), stopTime)
	defer cancel()
	r.told = true
	return j.Stop(ctx)
}

// log is where a process that goes on tells what it does.
func (r *run) log() *slog.Logger { return slog.New(slog.NewTextHandler(r.errs, nil)) }

// warnings are the log without what the library of jobs tells every few seconds.
func warnings(log *slog.Logger) *slog.Logger { return slog.New(atLeast{log.Handler()}) }

type atLeast struct{ slog.Handler }

// Enabled lets warnings and errors through.
func (a atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && a.Handler.Enabled(ctx, l)
}

// awaitLab waits for the first part: before, a worker cannot know whether it
// may touch loopback alone or everything else.
func awaitLab(ctx context.Context, d *store.Desk, log *slog.Logger) (bool, error) {
	for told := false; ; told = true {
		lab, known, err := d.Lab(ctx)
		if err != nil || known {
			return lab, err
		}
		if !told {
			log.Info("waiting for the first part of a survey")
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

type jobList struct {
	State string `help:"Only in this state." placeholder:"STATE"`
	Kind  string `help:"Only of this kind." placeholder:"KIND"`
	Below int64  `help:"Only older ones than this id, to page." placeholder:"ID"`
	Limit int    `help:"How many, at most; ${default} otherwise." default:"50" placeholder:"N"`
}

// Help is shown by --help.
func (jobList) Help() string {
	return "Examples:\n  vedette job list\n  vedette job list --state discarded -o json\n\nStates: available, scheduled, retryable, running, completed, cancelled, discarded."
}

// openJobs opens the jobs to look at them and change them, not to work them.
func (r *run) openJobs() (*job.Jobs, error) {
	jc := r.jobConfig()
	jc.Kinds = kinds(nil, nil)
	return job.Open(r.ctx, jc)
}

// Run lists jobs.
func (c *jobList) Run(r *run) error {
	f := job.Filter{Kind: c.Kind, Before: c.Below, Limit: max(1, min(c.Limit, 10_000))}
	if c.State != "" {
		f.States = []job.State{job.State(c.State)}
	}
	j, err := r.openJobs()
	if err != nil {
		return err
	}
	rows, err := j.List(r.ctx, f)
	if err = errors.Join(err, j.Stop(r.ctx)); err != nil {
		return err
	}
	t := &table{columns: []string{"id", "kind", "state", "attempt", "args", "created", "worker", "error"}}
	for _, x := range rows {
		t.add(jobOf(x),
			strconv.FormatInt(x.ID, 10), x.Kind, string(x.State), fmt.Sprintf("%d/%d", x.Attempt, x.Max), plain(string(x.Args)), stamp(x.Created), orDash(x.Worker), plain(x.Error))
	}
	return r.print(t)
}

type jobRetry struct {
	ID int64 `arg:"" help:"Job, as list shows it."`
}

// Run makes a job available again.
func (c *jobRetry) Run(r *run) error { return r.changeJob("job retry", c.ID, (*job.Jobs).Retry) }

type jobCancel struct {
	ID int64 `arg:"" help:"Job, as list shows it."`
}

// Run cancels a job, waiting or running.
func (c *jobCancel) Run(r *run) error { return r.changeJob("job cancel", c.ID, (*job.Jobs).Cancel) }

func (r *run) changeJob(verb string, id int64, change func(*job.Jobs, context.Context, int64) error) error {
	j, err := r.openJobs()
	if err != nil {
		return err
	}
	if err := errors.Join(change(j, r.ctx, id), j.Stop(r.ctx)); err != nil {
		return err
	}
	if err := r.sc.Record(r.ctx, verb, strconv.FormatInt(id, 10)); err != nil {
		return err
	}
	return r.drain()
}

type configShow struct{}

// Run shows every key with its value.
func (configShow) Run(r *run) error { return r.printConfig(true) }

type configDescribe struct{}

func (configDescribe) storeless() {}

// Run tells what every key means.
func (configDescribe) Run(r *run) error { return r.printConfig(false) }

func (r *run) printConfig(values bool) error {
	var c config.Config
	if values {
		var err error
		if c, err = r.config(); err != nil {
			return err
		}
	}
	t := &table{columns: []string{"key", "type", "value", "about"}}
	for _, k := range c.Keys() {
		t.add(k, k.Key, k.Type, k.Value, k.About)
	}
	return r.print(t)
}
