package app

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/feed"
	"github.com/vedette-hub/vedette/job"
	"github.com/vedette-hub/vedette/probe"
	"github.com/vedette-hub/vedette/read"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/scope"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/survey"
)

// The queues: the hub's own passes, what goes out, and parts of surveys, which workers
// take too.
const (
	queueHub   = "hub"
	queueProbe = "probe"
	queuePost  = "post"
	kindHub    = "hub"
	kindPost   = "post"
	kindPart   = "part"
)

// hub is what runs inside the hub beside commands: it takes in what probes saw,
// hands out parts, begins surveys that are due, and runs the line.
type hub struct {
	store  *store.Store
	sys    *store.System
	line   *Line
	conf   config.Survey
	prober *prober
	post   *postman // nil where nothing is sent
	// fetchers are the ways to fetch feeds; nil where none are fetched.
	fetchers map[string]feed.Fetcher
	jobs     *job.Jobs
	log      *slog.Logger
	lab      bool
	quit     chan struct{} // closed when the hub is to end: a turn does not go on to its end
}

// newHub prepares a hub on a store.
func newHub(ctx context.Context, s *store.Store, conf config.Survey, log *slog.Logger) (*hub, error) {
	sys := s.System()
	_, lab, err := sys.Lab(ctx)
	if err != nil {
		return nil, err
	}
	p, err := newProber(sys, conf, lab, s.Now)
	if err != nil {
		return nil, err
	}
	h := &hub{store: s, sys: sys, line: NewLine(s), conf: conf, prober: p, log: log, lab: lab, quit: make(chan struct{})}
	return h, h.catalogue(ctx)
}

// stop ends the hub's turn and then its jobs; those that do not end by
// themselves go back, and somebody works them again.
func (h *hub) stop(ctx context.Context) error {
	close(h.quit)
	return h.jobs.Stop(ctx)
}

// catalogue takes in what our checks report: a report of a weakness that nobody
// explains would be no finding. The same catalogue again is nothing new.
func (h *hub) catalogue(ctx context.Context) error {
	var doc bytes.Buffer
	e := json.NewEncoder(&doc)
	for _, w := range probe.Weaknesses {
		if err := e.Encode(read.Check{ID: w.ID, Title: w.Title, Type: w.Type, Why: w.Why, Fix: w.Fix}); err != nil {
			return err
		}
	}
	f, err := read.ByName("checks")
	if err != nil {
		return err
	}
	now := h.store.Now()
	return h.document(ctx, doc.Bytes(), f, vedette.Intake{Address: "vedette:checks", At: now, Time: now}, nil)
}

// inside is who takes in what comes from inside the hub.
var inside = vedette.Principal{Name: "hub", Roles: []vedette.Role{vedette.Lead, vedette.Analyst}}

// document takes a document in; believed, when given, refuses what it says.
func (h *hub) document(ctx context.Context, body []byte, f read.Format, in vedette.Intake, believed func(read.Said) error) error {
	sc, err := h.store.As(ctx, inside)
	if err != nil {
		return err
	}
	cs, err := h.sys.AllConstituents(ctx)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	in.Source, in.Document, in.Format = f.Source.Name, hex.EncodeToString(sum[:]), f.Name
	t, err := sc.Take(ctx, in, f.Source, store.Way{Own: scope.NewMap(cs).Owner, Whole: f.Whole})
	if err != nil || t.Known {
		return err
	}
	doc, err := f.Read(bytes.NewReader(body), func(rec read.Record, said read.Said) error {
		err := rec.Err
		if err == nil && believed != nil {
			err = believed(said)
		}
		if err != nil {
			return vedette.Invalid("%s: %w", rec.Where, err)
		}
		return t.Add(rec.Body, said)
	})
	if err != nil {
		return err
	}
	return t.Finish(int64(len(body)), doc.Time)
}

// partArgs are the arguments of a part's job.
type partArgs struct {
	Part int64 `json:"part"`
}

// kinds are the jobs of a hub and of its workers. Every process declares all
// of them; h is nil where only parts are worked.
func kinds(h *hub, p *prober) []job.Kind {
	return []job.Kind{
		{Name: kindHub, Queue: queueHub, Every: time.Minute, Unique: true, Timeout: 2 * hubTurn, Attempts: 1000, Run: func(ctx context.Context, _ job.Task) error {
			if h == nil {
				return job.Again(time.Second)
			}
			return h.turn(ctx, h.pass)
		}},
		{Name: kindPost, Queue: queuePost, Every: time.Minute, Unique: true, Timeout: postTime, Attempts: 1000, Run: func(ctx context.Context, _ job.Task) error {
			if h == nil {
				return job.Again(time.Second)
			}
			return h.turn(ctx, h.send)
		}},
		{Name: kindPart, Queue: queueProbe, Unique: true, Timeout: partTime, Attempts: 4, Run: func(ctx context.Context, t job.Task) error {
			var a partArgs
			if err := json.Unmarshal(t.Args, &a); err != nil {
				return job.Drop("arguments of another kind: " + err.Error())
			}
			if p == nil {
				return job.Again(time.Second)
			}
			return p.work(ctx, a.Part)
		}},
		feedKind(h),
	}
}

const (
	hubTurn  = 30 * time.Second // how long one job of the hub goes on before it gives another process the chance
	hubTick  = 500 * time.Millisecond
	postTime = 30 * time.Minute // a pass of mails that all hang
	partTime = 45 * time.Minute // 64 slow hosts at the pace of the brakes
)

// turn does passes for a while.
func (h *hub) turn(ctx context.Context, pass func(context.Context) error) error {
	until := time.Now().Add(hubTurn)
	for time.Now().Before(until) {
		if err := pass(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-h.quit:
			return job.Again(0)
		case <-time.After(hubTick):
		}
	}
	return job.Again(0)
}

// pass does what there is to do once.
func (h *hub) pass(ctx context.Context) error {
	if _, err := h.takeIn(ctx); err != nil {
		return fmt.Errorf("inbox: %w", err)
	}
	if err := h.line.Drain(ctx); err != nil {
		return fmt.Errorf("line: %w", err)
	}
	if err := h.schedule(ctx); err != nil {
		return fmt.Errorf("schedules: %w", err)
	}
	if h.fetchers != nil {
		if err := h.askFeeds(ctx); err != nil {
			return fmt.Errorf("feeds: %w", err)
		}
	}
	if err := h.confirm(ctx); err != nil {
		return fmt.Errorf("confirming: %w", err)
	}
	if err := h.dispatch(ctx); err != nil {
		return fmt.Errorf("dispatch: %w", err)
	}
	return nil
}

// send does one pass of delivery. It has a queue of its own: a relay or a
// webhook that hangs holds nothing else up.
func (h *hub) send(ctx context.Context) error {
	if h.post == nil {
		return nil
	}
	if err := h.post.deliver(ctx); err != nil {
		return fmt.Errorf("delivery: %w", err)
	}
	return nil
}

// newFor is how long an exploitation counts as new: what a first import of a
// list says of years ago is no reason to knock at a thousand doors.
const newFor = 7 * 24 * time.Hour

// confirm queues a look at just the places that a new exploitation hits, when
// the exploitation may be known by everybody: the look tells of it.
func (h *hub) confirm(ctx context.Context) error {
	marks, err := h.sys.Markings(ctx)
	if err != nil {
		return err
	}
	var public []int64
	for k, m := range marks {
		if everybodys(m) {
			public = append(public, k)
		}
	}
	slices.Sort(public)
	found, err := h.sys.NewlyExploited(ctx, h.store.Now().Add(-newFor), public)
	if err != nil || len(found) == 0 {
		return err
	}
	cs, err := h.sys.AllConstituents(ctx)
	if err != nil {
		return err
	}
	for _, e := range found {
		hit, err := h.sys.PlacesHit(ctx, e.Object)
		if err != nil {
			return err
		}
		surveys := map[string][]vedette.Part{}
		for _, c := range cs {
			rules, err := rulesOf(ctx, h.sys, c)
			if err != nil {
				return err
			}
			places := slices.DeleteFunc(hit[c.ID], func(p vedette.Place) bool { return !mayLook(rules, p.Asset) })
			if len(places) > 0 {
				surveys[c.ID] = survey.Retest(survey.Input{Constituent: c, Class: vedette.Active, Rules: rules}, places)
			}
		}
		if _, err := h.sys.Confirm(ctx, e, surveys); errors.Is(err, vedette.ErrRefused) {
			return nil // all surveys are stopped: it is queued when they go on
		} else if err != nil {
			return err
		}
	}
	return nil
}

// mayLook says whether the scope authorises active checks of an asset.
func mayLook(rules survey.Rules, asset string) bool {
	if a, err := netip.ParseAddr(asset); err == nil {
		return rules.Address(a, vedette.Active) == nil
	}
	return rules.Name(asset, vedette.Active) == nil
}

// dispatch makes a job of every part that waits and has none, and ends the
// parts whose jobs were given up. It looks at the parts, not at what it did
// before: losing all jobs loses nothing.
func (h *hub) dispatch(ctx context.Context) error {
	given, err := h.givenUp(ctx)
	if err != nil {
		return err
	}
	after := int64(0)
	for {
		parts, err := h.sys.WaitingParts(ctx, after, 500)
		if err != nil || len(parts) == 0 {
			return err
		}
		var news []job.New
		for _, k := range parts {
			if why, ok := given[k]; ok {
				if err := h.sys.FailPart(ctx, k, why); err != nil {
					return err
				}
				continue
			}
			as, err := h.sys.Assignment(ctx, k)
			if err != nil {
				return err
			}
			if inHours(as.Part.Hours, h.store.Now()) {
				news = append(news, job.New{Kind: kindPart, Args: partArgs{k}})
			}
		}
		if len(news) > 0 {
			if _, err := h.jobs.Add(ctx, news...); err != nil {
				return err
			}
		}
		after = parts[len(parts)-1]
	}
}

// givenUp are the parts whose jobs were discarded or cancelled, with the reason.
func (h *hub) givenUp(ctx context.Context) (map[int64]string, error) {
	rows, err := h.jobs.List(ctx, job.Filter{Kind: kindPart, States: []job.State{job.Discarded, job.Cancelled}, Limit: 1000})
	if err != nil {
		return nil, err
	}
	out := map[int64]string{}
	for _, r := range rows {
		var a partArgs
		if json.Unmarshal(r.Args, &a) == nil {
			out[a.Part] = fmt.Sprintf("given up after %d tries: %s", r.Attempt, r.Error)
		}
	}
	return out, nil
}

// inHours says whether a time lies in "22:00-05:00" UTC; "" is always.
func inHours(hours string, now time.Time) bool {
	if hours == "" {
		return true
	}
	from, to, err := parseHours(hours)
	if err != nil {
		return false // nobody said when: better not
	}
	m := now.UTC().Hour()*60 + now.UTC().Minute()
	if from <= to {
		return from <= m && m < to
	}
	return m >= from || m < to
}

// parseHours reads "22:00-05:00" as minutes of the day.
func parseHours(s string) (from, to int, err error) {
	a, b, ok := strings.Cut(s, "-")
	t1, err1 := time.Parse("15:04", a)
	t2, err2 := time.Parse("15:04", b)
	if !ok || err1 != nil || err2 != nil || t1.Equal(t2) {
		return 0, 0, vedette.Invalid("%q are no hours like 22:00-05:00 (UTC)", s)
	}
	return t1.Hour()*60 + t1.Minute(), t2.Hour()*60 + t2.Minute(), nil
}

// schedule begins the surveys that are due.
func (h *hub) schedule(ctx context.Context) error {
	now := h.store.Now()
	due, err := h.sys.DueSchedules(ctx, now)
	if err != nil {
		return err
	}
	for _, d := range due {
		sc, err := h.store.As(ctx, vedette.Principal{Name: d.By, Roles: []vedette.Role{vedette.Lead}})
		if err != nil {
			return err
		}
		in, err := planInput(ctx, sc, h.sys, d.Constituent, d.Class, h.conf.Ports)
		if err != nil {
			h.log.Warn("scheduled survey", "constituent", d.Constituent, "error", err) // the others go on
			continue
		}
		parts := survey.Make(in).Parts
		for i := range parts {
			parts[i].Hours = d.Hours
		}
		next := d.Next
		for !next.After(now) { // what was missed while nobody ran is done once
			next = next.Add(d.Every)
		}
		if _, err := h.sys.Scheduled(ctx, d, next, vedette.Survey{Constituent: d.Constituent, Kind: vedette.FullSurvey}, parts); errors.Is(err, vedette.ErrRefused) {
			return nil // all surveys are stopped: it begins when they go on
		} else if err != nil {
			h.log.Warn("scheduled survey", "constituent", d.Constituent, "error", err)
		}
	}
	return nil
}

// takeIn takes in what the inbox holds and returns how many documents that was.
func (h *hub) takeIn(ctx context.Context) (int, error) {
	for n := 0; ; n++ {
		o, ok, err := h.sys.Inbox(ctx)
		if err != nil || !ok {
			return n, err
		}
		if err := h.take(ctx, o); err != nil {
			return n, err
		}
	}
}

// take takes one document in. A document that says what its part does not
// allow is refused whole, and its part fails with the reason: a probe is
// believed about its own subjects and about nothing else.
func (h *hub) take(ctx context.Context, o store.Observed) error {
	if late(o, h.store.Now()) {
		return h.sys.Discard(ctx, o)
	}
	as, err := h.sys.Assignment(ctx, o.Part)
	if err != nil {
		return err
	}
	if as.Part.Survey == "" { // nobody may keep what was seen of a constituent that left
		return h.sys.EndPart(ctx, o, store.Ended{Stopped: as.Stopped})
	}
	if o.Size > store.MaxObserved {
		return h.sys.EndPart(ctx, o, store.Ended{Trouble: fmt.Sprintf("the document has %d bytes; the most is %d", o.Size, store.MaxObserved)})
	}
	head, end, err := read.ReadSurvey(bytes.NewReader(o.Body))
	if err == nil {
		err = h.fits(o, as, head)
	}
	e := store.Ended{Stopped: end.Stopped, Worker: head.Worker, Looks: end.Looks, Sent: end.Sent, Refusals: end.Refusals}
	if err == nil {
		err = h.read(ctx, o, as, head)
	}
	if err != nil {
		if kind(err) == nil { // not the document's fault: it is tried again
			return err
		}
		return h.sys.EndPart(ctx, o, store.Ended{Trouble: err.Error(), Worker: head.Worker})
	}
	if end.Stopped == "" && len(end.Found) > 0 && as.Stopped == "" && as.Part.Furthest != "" {
		if e.More, err = h.more(ctx, o.Part, as, end.Found); err != nil {
			return err
		}
	}
	return h.sys.EndPart(ctx, o, e)
}

// late says whether a document comes when nobody waits for it any more: its
// part was handed in before, or ended longer ago than a part takes. Whoever may
// write into the inbox could speak of all that was ever surveyed otherwise.
func late(o store.Observed, now time.Time) bool {
	return o.State == vedette.SurveyDone || !o.Ended.IsZero() && now.Sub(o.Ended) > partTime
}

// clockSkew is how far the clock of a worker may be off. A look in the future
// would outlast all that come after it.
const clockSkew = 5 * time.Minute

// fits refuses a document of another part, or of another time than its part's.
func (h *hub) fits(o store.Observed, as vedette.Assignment, head read.SurveyHeader) error {
	now := h.store.Now()
	switch {
	case head.Survey != as.Part.Survey || head.Part != as.Part.N || head.Constituent != as.Part.Constituent:
		return vedette.Invalid("the document is of part %d of %s, not of part %d of %s", head.Part, safe.Label(head.Survey), as.Part.N, as.Part.Survey)
	case head.At.After(now.Add(clockSkew)) || head.At.Before(o.Asked.Add(-clockSkew)):
		return vedette.Invalid("%s began at %s, between the survey at %s and now, %s, by its own clock: is that clock right?", cmp.Or(head.Worker, "the worker"), stamp(head.At), stamp(o.Asked), stamp(now))
	}
	return nil
}

// kind is the fault of a document; nil for troubles of the machine.
func kind(err error) error {
	for _, k := range []error{vedette.ErrInvalid, vedette.ErrRefused, vedette.ErrNotFound, vedette.ErrConflict} {
		if errors.Is(err, k) {
			return k
		}
	}
	return nil
}

// read imports the looks of a document.
func (h *hub) read(ctx context.Context, o store.Observed, as vedette.Assignment, head read.SurveyHeader) error {
	f, err := read.ByName("survey")
	if err != nil {
		return err
	}
	subjects := subjectsOf(as.Part)
	return h.document(ctx, o.Body, f, vedette.Intake{At: o.At, Time: head.At, Address: fmt.Sprintf("survey:%s/%d", head.Survey, head.Part), Constituent: as.Part.Constituent},
		func(said read.Said) error { return believed(said, subjects, head.At) })
}

// subjectsOf are the assets that a part may speak of.
func subjectsOf(p vedette.Part) map[string]bool {
	out := map[string]bool{}
	for _, n := range p.Names {
		out[n] = true
	}
	for _, a := range p.Addresses {
		if addr, err := netip.ParseAddr(a); err == nil {
			out[addr.Unmap().String()] = true
		}
	}
	for _, pl := range p.Places {
		out[pl.Asset] = true
	}
	return out
}

// believed refuses what a probe cannot have seen.
func believed(said read.Said, subjects map[string]bool, began time.Time) error {
	for _, o := range said.Observations {
		if o.At.Sub(began).Abs() > partTime {
			return vedette.Invalid("a look at %s, and the part began at %s", stamp(o.At), stamp(began))
		}
		if !subjects[o.Asset] {
			return vedette.Invalid("%s is not in the part", o.Asset)
		}
		if !slices.Contains(probe.Names(), o.Check) {
			return vedette.Invalid("%q is no check of a probe", o.Check)
		}
	}
	for _, c := range said.Coverage {
		if c.At.Sub(began).Abs() > partTime {
			return vedette.Invalid("a look at %s, and the part began at %s", stamp(c.At), stamp(began))
		}
		if !subjects[c.Asset] || !slices.Contains(probe.Names(), c.Check) {
			return vedette.Invalid("coverage of %s by %q", c.Asset, c.Check)
		}
	}
	return nil
}

// more plans the names that a part found.
func (h *hub) more(ctx context.Context, part int64, as vedette.Assignment, found []string) ([]vedette.Part, error) {
	planned, err := h.sys.PlannedNames(ctx, part)
	if err != nil {
		return nil, err
	}
	cs, err := h.sys.AllConstituents(ctx)
	if err != nil {
		return nil, err
	}
	in := survey.Input{Constituent: as.Constituent, Class: as.Part.Furthest, Ports: as.Part.Ports, Owner: scope.NewMap(cs).Owner,
		Rules: scope.NewRules(as.Constituent, as.OptOuts, as.Lab, h.store.Now)}
	parts := survey.More(in, found, planned)
	for i := range parts {
		parts[i].Hours = as.Part.Hours
	}
	return parts, nil
}

// planInput is what a plan of a constituent starts from.
func planInput(ctx context.Context, sc *store.Scoped, sys *store.System, constituent string, class vedette.CheckClass, ports string) (in survey.Input, err error) {
	c, err := sc.Constituent(ctx, constituent)
	if err != nil {
		return in, err
	}
	x, err := sc.Exposed(ctx, constituent)
	if err != nil {
		return in, err
	}
	cs, err := sys.AllConstituents(ctx)
	if err != nil {
		return in, err
	}
	rules, err := rulesOf(ctx, sys, c)
	if err != nil {
		return in, err
	}
	if ports == "" {
		ports = survey.DefaultPorts
	}
	return survey.Input{Constituent: c, Class: class, Rules: rules, Owner: scope.NewMap(cs).Owner, Assets: x.Assets, Open: x.Open, Ports: ports}, nil
}

func rulesOf(ctx context.Context, sys *store.System, c vedette.Constituent) (*scope.Rules, error) {
	out, err := sys.AllOptOuts(ctx)
	if err != nil {
		return nil, err
	}
	_, lab, err := sys.Lab(ctx)
	return scope.NewRules(c, out, lab, sys.Now), err
}
