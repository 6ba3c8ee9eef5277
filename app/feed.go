package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/collect"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/feed"
	"github.com/vedette-hub/vedette/job"
	"github.com/vedette-hub/vedette/read"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/store"
)

// feedCommands are the commands of feeds.
type feedCommands struct {
	Apply   feedApply   `cmd:"" help:"Make the feeds what a file says, with a diff."`
	List    feedList    `cmd:"" help:"List feeds and how they fare; those that are shipped are off until enabled."`
	Show    feedShow    `cmd:"" help:"Show one feed: where from, who says it, how it went."`
	Enable  feedEnable  `cmd:"" help:"Let a feed be fetched by serve."`
	Disable feedDisable `cmd:"" help:"Fetch a feed no longer; what it brought stays."`
	Run     feedRun     `cmd:"" help:"Fetch one feed now."`
}

// fetchers are the ways to fetch, with what the operator lets them reach.
func fetchers(conf config.Config, lab bool, now func() time.Time) map[string]feed.Fetcher {
	return map[string]feed.Fetcher{
		vedette.FetchHTTP: &feed.HTTP{Transport: safe.Client(safe.NewDialer(lab).Public, 0, nil).Transport, Agent: feedAgent(conf.Survey.Contact), Now: now,
			Secrets: feed.Secrets{Dir: conf.Feeds.Secrets, Env: os.LookupEnv}},
		vedette.FetchFolder: &feed.Folder{Allowed: conf.Feeds.Folders},
	}
}

// feedAgent is what we call ourselves to those whose feeds we fetch.
func feedAgent(contact string) string {
	if contact == "" {
		return "vedette"
	}
	return "vedette (feeds; " + contact + ")"
}

// collector takes in what feeds bring, as the hub: who asked for it changes nothing.
func collector(ctx context.Context, s *store.Store, by map[string]feed.Fetcher) (*collect.Collector, error) {
	sc, err := s.As(ctx, inside)
	if err != nil {
		return nil, err
	}
	own, err := (&run{ctx: ctx, store: s}).owner()
	if err != nil {
		return nil, err
	}
	return &collect.Collector{Fetchers: by, Desk: storeDesk{sc, own}, Keep: s.System().KeepFetch, Now: s.Now}, nil
}

const (
	kindFeed  = "feed"
	queueFeed = "feed"
	// feedsAtOnce is how many hosts one process asks side by side.
	feedsAtOnce = 4
)

// feedArgs are the arguments of a job that fetches the feeds of one host: one
// after the other, since of equal jobs only one runs.
type feedArgs struct {
	Host string `json:"host"`
}

// askFeeds makes a job for every host with a feed that is due.
func (h *hub) askFeeds(ctx context.Context) error {
	due, err := h.sys.DueFeeds(ctx, h.store.Now())
	if err != nil || len(due) == 0 {
		return err
	}
	var news []job.New
	asked := map[string]bool{}
	for _, f := range due {
		if host := feed.Host(f); !asked[host] {
			asked[host] = true
			news = append(news, job.New{Kind: kindFeed, Args: feedArgs{host}})
		}
	}
	_, err = h.jobs.Add(ctx, news...)
	return err
}

// feedTurn is how long a job goes on with the next feed of its host.
const feedTurn = 10 * time.Minute

// fetch fetches what is due of a host. The hub's next pass lets the line work
// on what came, half a second later at most.
func (h *hub) fetch(ctx context.Context, host string) error {
	due, err := h.sys.DueFeeds(ctx, h.store.Now())
	if err != nil {
		return err
	}
	c, err := collector(ctx, h.store, h.fetchers)
	if err != nil {
		return err
	}
	slices.SortFunc(due, func(a, b vedette.Feed) int { return a.Health.Next.Compare(b.Health.Next) })
	began := time.Now()
	for _, f := range due {
		if feed.Host(f) != host || time.Since(began) > feedTurn {
			continue
		}
		f, results, err := c.Run(ctx, f)
		if err != nil {
			return err
		}
		if f.Health.Failures > 0 {
			h.log.Warn("feed", "name", f.Name, "failures", f.Health.Failures, "next", f.Health.Next, "reason", f.Health.Failure)
		} else if len(results) > 0 {
			h.log.Info("feed", "name", f.Name, "records", f.Health.Records, "bytes", f.Health.Bytes)
		}
	}
	return nil
}

// feedKind is the job that fetches the feeds of a host.
func feedKind(h *hub) job.Kind {
	return job.Kind{Name: kindFeed, Queue: queueFeed, Unique: true, Timeout: partTime, Attempts: 4, Run: func(ctx context.Context, t job.Task) error {
		var a feedArgs
		if err := json.Unmarshal(t.Args, &a); err != nil {
			return job.Drop("arguments of another kind: " + err.Error())
		}
		if h == nil || h.fetchers == nil {
			return job.Again(time.Second)
		}
		return h.fetch(ctx, a.Host)
	}}
}

type feedApply struct {
	File   string `arg:"" help:"File of feeds (YAML); - is stdin."`
	Whole  bool   `help:"Remove the feeds that the file does not name."`
	DryRun bool   `help:"Show the difference and change nothing."`
}

// Help is shown by --help.
func (feedApply) Help() string {
	return "Examples:\n  vedette feed apply --dry-run feeds.yaml\n  vedette feed apply feeds.yaml\n\nA feed is a source in a format of `vedette import`, fetched by http or from a folder: docs/feeds.md. Applying the same file again changes nothing."
}

// Run prints the difference and applies it.
func (c *feedApply) Run(r *run) error {
	in := r.in
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return vedette.NotFound("%w", err)
		}
		defer f.Close()
		in = f
	}
	said, err := collect.ReadFile(in)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	kept, err := r.sc.Feeds(r.ctx)
	if err != nil {
		return err
	}
	diff, changed, removed := feedDiff(kept, said, c.Whole)
	if err := oneFullFeed(kept, changed, removed); err != nil {
		return err
	}
	if err := r.print(diff); err != nil {
		return err
	}
	if c.DryRun || len(diff.rows) == 0 {
		r.note("%d differences", len(diff.rows))
		return nil
	}
	if err := r.sc.ApplyFeeds(r.ctx, changed, removed); err != nil {
		return err
	}
	return r.drain()
}

// feedChange is one line of the difference between feeds.
type feedChange struct {
	Feed  string `json:"feed"`
	What  string `json:"what"` // added, changed, removed
	Field string `json:"field,omitempty"`
	From  string `json:"from,omitempty"`
	To    string `json:"to,omitempty"`
}

// feedDiff compares what is kept with what a file says.
func feedDiff(kept []vedette.Feed, said []collect.Entry, whole bool) (t *table, changed []vedette.Feed, removed []string) {
	t = &table{columns: []string{"feed", "what", "field", "from", "to"}, most: map[string]int{"from": 60, "to": 60}}
	add := func(c feedChange) { t.add(c, c.Feed, c.What, c.Field, c.From, c.To) }
	old := map[string]vedette.Feed{}
	for _, f := range kept {
		old[f.Name] = f
	}
	for _, e := range said {
		f := e.Feed
		was, known := old[f.Name]
		delete(old, f.Name)
		f.Enabled = was.Enabled
		if e.Enabled != nil {
			f.Enabled = *e.Enabled
		}
		if !known {
			add(feedChange{Feed: f.Name, What: "added", To: f.URL + f.Path})
			changed = append(changed, f)
			continue
		}
		n := len(t.rows)
		x, y := feedFields(was), feedFields(f)
		both := maps.Clone(x)
		maps.Copy(both, y)
		for _, k := range sortedKeys(both) {
			if from, to := string(x[k]), string(y[k]); from != to {
				add(feedChange{f.Name, "changed", k, from, to})
			}
		}
		if len(t.rows) > n {
			changed = append(changed, f)
		}
	}
	shipped, _ := collect.Public()
	for _, f := range kept {
		_, left := old[f.Name]
		own := f.Enabled || !slices.ContainsFunc(shipped, func(s vedette.Feed) bool { return s.Name == f.Name })
		if whole && left && own {
			add(feedChange{Feed: f.Name, What: "removed", From: f.URL + f.Path})
			removed = append(removed, f.Name)
		}
	}
	return t, changed, removed
}

func feedFields(f vedette.Feed) map[string]json.RawMessage {
	f.Health = vedette.FeedHealth{}
	b, _ := json.Marshal(f) // texts and numbers always marshal
	m := map[string]json.RawMessage{}
	_ = json.Unmarshal(b, &m) // it was just written
	return m
}

// oneFullFeed refuses a second feed of a source that states all it knows in
// each document: each of the two would close what the other states.
func oneFullFeed(kept, changed []vedette.Feed, removed []string) error {
	by := map[string]vedette.Feed{}
	full := func(f vedette.Feed) bool {
		format, err := read.ByName(f.Format)
		return err == nil && format.Source.Full
	}
	now := append(slices.Clone(changed), slices.DeleteFunc(slices.Clone(kept), func(f vedette.Feed) bool {
		return slices.Contains(removed, f.Name) || slices.ContainsFunc(changed, func(c vedette.Feed) bool { return c.Name == f.Name })
	})...)
	for _, f := range now {
		if other, two := by[f.Source]; two && (full(f) || full(other)) {
			return vedette.Invalid("%s and %s are both of the source %s, which states all it knows in each document: give one of the two another source", other.Name, f.Name, f.Source)
		}
		by[f.Source] = f
	}
	return nil
}

type feedList struct {
	State string `help:"Only in this state: off, waiting, fresh, late or broken." placeholder:"STATE"`
}

// feedRow is a feed for programs: the period in words, and how it fares.
type feedRow struct {
	vedette.Feed
	Every   string            `json:"every"`
	Marking string            `json:"marking"`
	State   vedette.FeedState `json:"state"`
}

func rowOf(f vedette.Feed, now time.Time) feedRow {
	return feedRow{f, f.Every.String(), f.Marking.String(), f.State(now)}
}

// Run lists feeds.
func (c *feedList) Run(r *run) error {
	fs, err := r.sc.Feeds(r.ctx)
	if err != nil {
		return err
	}
	t := &table{columns: []string{"name", "state", "format", "every", "success", "changed", "records", "next", "failure"}, most: map[string]int{"failure": 60}}
	for _, f := range fs {
		h, row := f.Health, rowOf(f, r.store.Now())
		if c.State != "" && string(row.State) != c.State {
			continue
		}
		why := ""
		if h.Failures > 0 {
			why = h.Failure
		}
		t.add(row, f.Name, string(row.State), f.Format, row.Every, orDash(stamp(h.Succeeded)), orDash(stamp(h.Changed)), strconv.Itoa(h.Records), orDash(stamp(h.Next)), plain(why))
	}
	return r.print(t)
}

type feedShow struct {
	Name string `arg:"" help:"Feed, as list shows it."`
}

// Run shows one feed.
func (c *feedShow) Run(r *run) error {
	f, err := r.feed(c.Name)
	if err != nil {
		return err
	}
	row := rowOf(f, r.store.Now())
	if r.Output != "table" {
		return r.json(row)
	}
	h := f.Health
	p := &printer{w: r.out}
	p.line("%s  %s", f.Name, row.State)
	for _, x := range [][2]string{{"about", f.About}, {"from", f.URL + f.Path}, {"format", f.Format}, {"every", row.Every}, {"source", f.Source}, {"marking", row.Marking},
		{"reliability", f.Reliability}, {"licence", f.Licence}, {"redistribute", f.Redistribute},
		{"tried", stamp(h.Tried)}, {"success", stamp(h.Succeeded)}, {"changed", stamp(h.Changed)}, {"next", stamp(h.Next)}} {
		p.field(x[0], x[1])
	}
	if h.Records > 0 || h.Bytes > 0 {
		p.field("volume", fmt.Sprintf("%d records, %d not taken, %d bytes", h.Records, h.Refused, h.Bytes))
	}
	if h.Failure != "" {
		p.field("failure", fmt.Sprintf("%s: %s (%d in a row now)", stamp(h.Failed), plain(h.Failure), h.Failures))
	}
	return p.err
}

// feed finds one feed by name.
func (r *run) feed(name string) (vedette.Feed, error) {
	fs, err := r.sc.Feeds(r.ctx)
	if err != nil {
		return vedette.Feed{}, err
	}
	if i := slices.IndexFunc(fs, func(f vedette.Feed) bool { return f.Name == name }); i >= 0 {
		return fs[i], nil
	}
	return vedette.Feed{}, vedette.NotFound("feed %s", safe.Label(name))
}

type feedEnable struct {
	Name string `arg:"" help:"Feed, as list shows it."`
}

// Run enables the feed.
func (c *feedEnable) Run(r *run) error { return r.enableFeed(c.Name, true) }

type feedDisable struct {
	Name string `arg:"" help:"Feed, as list shows it."`
}

// Run disables the feed.
func (c *feedDisable) Run(r *run) error { return r.enableFeed(c.Name, false) }

func (r *run) enableFeed(name string, on bool) error {
	if err := r.sc.EnableFeed(r.ctx, name, on); err != nil {
		return err
	}
	if err := r.drain(); err != nil {
		return err
	}
	return (&feedShow{Name: name}).Run(r)
}

type feedRun struct {
	Name        string `arg:"" help:"Feed, as list shows it; it may be off."`
	Afresh      bool   `help:"Take it as if nothing of it were known."`
	AllowShrink bool   `help:"Let a full list leave out more than a tenth of what it had."`
}

// Help is shown by --help.
func (feedRun) Help() string {
	return "Examples:\n  vedette feed run cisa-kev\n  vedette feed run cisa-kev --allow-shrink\n\nExit 1 when the feed could not be fetched or its document was refused: nothing is changed then."
}

// Run fetches the feed, whatever its schedule says, and lets the line work.
func (c *feedRun) Run(r *run) error {
	f, err := r.feed(c.Name)
	if err != nil {
		return err
	}
	if f.Marking.TLP == vedette.TLPNone {
		return vedette.Refused("the feed %s has no marking: what it brings would have none", f.Name)
	}
	conf, err := r.config()
	if err != nil {
		return err
	}
	_, lab, err := r.store.System().Lab(r.ctx)
	if err != nil {
		return err
	}
	by, err := collector(r.ctx, r.store, fetchers(conf, lab, r.store.Now))
	if err != nil {
		return err
	}
	by.Progress, by.Afresh, by.Shrink = r.progress, c.Afresh, c.AllowShrink
	if err := r.sc.Record(r.ctx, "feed run", c.Name); err != nil {
		return err
	}
	f, results, err := by.Run(r.ctx, f)
	if err = errors.Join(err, r.drain()); err != nil {
		return err
	}
	if err := r.printTaken(results); err != nil {
		return err
	}
	if f.Health.Failures > 0 {
		r.note("%s: %s", f.Name, plain(f.Health.Failure))
		r.status = exitNo
	} else if len(results) == 0 {
		r.note("%s: nothing new", f.Name)
	}
	return nil
}

// printTaken prints what became of the documents, as import does.
func (r *run) printTaken(results []collect.Result) error {
	im := &importer{run: r}
	for _, res := range results {
		im.report(res)
	}
	r.status = cmp.Or(r.status, im.status())
	if r.Output == "json" || r.Output == "jsonl" {
		return nil
	}
	return r.print(im.table())
}
