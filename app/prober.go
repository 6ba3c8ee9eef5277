package app

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/job"
	"github.com/vedette-hub/vedette/probe"
	"github.com/vedette-hub/vedette/read"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/scope"
)

// workDesk is where a prober gets its work and hands it in: the store of the hub,
// or the narrow door of a worker on PostgreSQL.
type workDesk interface {
	Assignment(ctx context.Context, part int64) (vedette.Assignment, error)
	Submit(ctx context.Context, part int64, document []byte) error
}

// prober works parts of surveys: everything that sends a packet is behind it.
type prober struct {
	desk   workDesk
	conf   config.Survey
	dialer *safe.Dialer
	rules  *probe.Rules
	roots  *x509.CertPool
	lab    bool
	name   string // of this process, in what it hands in
	now    func() time.Time

	mu     sync.Mutex
	brakes map[string]*safe.Brakes // by constituent, for all parts of the process
}

// newProber makes a prober. A lab's touches loopback and nothing else, for as
// long as the process lives.
func newProber(d workDesk, conf config.Survey, lab bool, now func() time.Time) (*prober, error) {
	if len(conf.Resolvers) == 0 && !lab {
		if f, err := os.Open("/etc/resolv.conf"); err == nil {
			conf.Resolvers = config.SystemResolvers(f)
			f.Close()
		}
	}
	rules, err := loadRules(conf.Content)
	if err != nil {
		return nil, err
	}
	roots, err := loadRoots(conf.Roots)
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // a process without one is still a process
	return &prober{desk: d, conf: conf, dialer: safe.NewDialer(lab, conf.Resolvers...), rules: rules, roots: roots, lab: lab,
		name: cmp.Or(host, "hub") + ":" + strconv.Itoa(os.Getpid()), now: now, brakes: map[string]*safe.Brakes{}}, nil
}

// loadRules reads our own rules and the packs of a folder.
func loadRules(content string) (*probe.Rules, error) {
	if content == "" {
		return probe.NewRules()
	}
	if _, err := os.Stat(content); err != nil {
		return nil, vedette.Invalid("survey.content: %w", err)
	}
	return probe.NewRules(os.DirFS(content))
}

// loadRoots are the system's authorities and those of a file; nil is the system's alone.
func loadRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, vedette.Invalid("survey.roots: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a machine without authorities trusts those of the file
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, vedette.Invalid("survey.roots: %s holds no certificate in PEM", path)
	}
	return pool, nil
}

// agent is what we call ourselves to those we look at.
func agent(contact string) string {
	if contact == "" {
		return "vedette"
	}
	return "vedette (security survey; " + contact + ")"
}

func (p *prober) brakesOf(constituent string) *safe.Brakes {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.brakes[constituent]
	if b == nil {
		pace := safe.Pace{Connects: p.conf.Connects, Requests: p.conf.Requests, PerNetwork: p.conf.PerNetwork, Constituent: p.conf.PerConstituent}
		b = safe.NewBrakes(pace.Within(p.lab))
		p.brakes[constituent] = b
	}
	return b
}

// errStopped ends a part whose survey may not go on.
type errStopped struct{ why string }

func (e errStopped) Error() string { return e.why }

// work works one part and hands in what it saw. A part that was stopped hands
// in the looks that were complete.
func (p *prober) work(ctx context.Context, part int64) error {
	as, err := p.desk.Assignment(ctx, part)
	if err != nil {
		return err
	}
	if as.Lab != p.lab {
		return vedette.Refused("this process is %s and the store is not", map[bool]string{true: "of a lab", false: "of no lab"}[p.lab])
	}
	if as.Stopped != "" {
		return nil // ended, or never to begin: the store knows
	}
	if !inHours(as.Part.Hours, p.now()) {
		return job.Again(time.Minute) // the queue was longer than the night
	}
	w := &working{prober: p, as: as, part: part}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w.begin()
	go w.watch(ctx, cancel)
	env := p.env(w.bound, w.found)
	env.LookUp = w.lookUp
	err = probe.Look(ctx, env, as.Part, w.look)
	stopped := ""
	var stop errStopped
	if errors.As(context.Cause(ctx), &stop) {
		stopped = stop.why
	} else if err != nil {
		return err // interrupted: somebody works the part again
	}
	doc, err := w.document(stopped)
	if err != nil {
		return err
	}
	return p.desk.Submit(context.WithoutCancel(ctx), part, doc)
}

func (p *prober) env(bound *safe.Bound, found func(string)) *probe.Env {
	timeout := cmp.Or(time.Duration(p.conf.Timeout), 5*time.Second)
	return &probe.Env{Net: bound, Resolver: probe.NewResolver(p.dialer, p.conf.Resolvers, timeout), Identify: p.rules, Roots: p.roots, Outside: !p.conf.Inside,
		Agent: agent(p.conf.Contact), Timeout: timeout, Now: p.now, Found: found, Nmap: p.conf.Nmap}
}

// working is one part in work.
type working struct {
	*prober
	as    vedette.Assignment
	part  int64
	bound *safe.Bound
	rules atomic.Pointer[scope.Rules]

	mu       sync.Mutex
	looks    [][]byte
	at       time.Time
	names    map[string]bool
	refusals map[[2]string]*vedette.Refusal
}

func (w *working) begin() {
	w.at = w.now().UTC().Truncate(time.Microsecond)
	w.names, w.refusals = map[string]bool{}, map[[2]string]*vedette.Refusal{}
	w.setRules(w.as)
	w.bound = w.dialer.Scope(func(t vedette.Target) error { return w.rules.Load().Decide(t) }, w.refused, w.brakesOf(w.as.Constituent.ID))
	for _, e := range w.as.Constituent.Scope { // a URL of the scope names its own port
		if port := scope.PortOf(e.URL); port > 0 {
			w.bound.Service(e.Host(), port)
		}
	}
}

func (w *working) setRules(as vedette.Assignment) {
	c := as.Constituent
	w.rules.Store(scope.NewRules(c, as.OptOuts, as.Lab, w.now))
}

// watch reads once a second what decides about the part: a stop ends it, a
// changed scope closes the connections that it no longer allows.
func (w *working) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		ask, done := context.WithDeadline(ctx, last.Add(blind)) // a store that hangs is as silent as one that fails
		as, err := w.desk.Assignment(ask, w.part)
		done()
		switch {
		case err != nil && time.Since(last) >= blind:
			cancel(errStopped{"the stop table could not be read for " + blind.String() + ": " + err.Error()})
			return
		case err != nil:
			continue
		case as.Stopped != "":
			cancel(errStopped{as.Stopped})
			return
		}
		last = time.Now()
		w.setRules(as)
		w.bound.Recheck()
	}
}

// blind is how long a part goes on without hearing whether it may.
const blind = 4 * time.Second

func (w *working) found(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.names) < 10_000 {
		w.names[name] = true
	}
}

// lookUp says whether the scope, as it is now, lets a name be looked up.
func (w *working) lookUp(name string) error {
	err := w.rules.Load().Name(name, vedette.Passive)
	if err != nil {
		w.record(name, err)
	}
	return err
}

func (w *working) refused(t vedette.Target, err error) {
	what := t.Addr.String()
	if t.Name != "" {
		what += " " + t.Name
	}
	w.record(what, err)
}

// record keeps what the scope refused.
func (w *working) record(what string, err error) {
	var r *scope.Refused
	if !errors.As(err, &r) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	k := [2]string{what, r.Rule}
	if w.refusals[k] == nil {
		if len(w.refusals) >= 1000 {
			return
		}
		w.refusals[k] = &vedette.Refusal{At: w.now().UTC(), Target: what, Rule: r.Rule, Why: r.Why}
	}
	w.refusals[k].Count++
}

func (w *working) look(l vedette.Look) error {
	line, err := json.Marshal(l)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks = append(w.looks, line)
	return nil
}

// document is what the part hands in: a header, the looks, an end.
func (w *working) document(stopped string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.SortFunc(w.looks, bytes.Compare)
	end := read.SurveyEnd{Looks: len(w.looks), Stopped: stopped, Sent: w.bound.Sent()}
	for n := range w.names {
		end.Found = append(end.Found, n)
	}
	slices.Sort(end.Found)
	for _, r := range w.refusals {
		end.Refusals = append(end.Refusals, *r)
	}
	slices.SortFunc(end.Refusals, func(a, b vedette.Refusal) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Rule, b.Rule))
	})
	head := read.SurveyHeader{Version: 1, Survey: w.as.Part.Survey, Part: w.as.Part.N, Constituent: w.as.Part.Constituent, At: w.at, Worker: w.name}
	var doc bytes.Buffer
	e := json.NewEncoder(&doc)
	if err := e.Encode(head); err != nil {
		return nil, err
	}
	for _, l := range w.looks {
		doc.Write(l)
		doc.WriteByte('\n')
	}
	err := e.Encode(map[string]any{"end": end})
	return doc.Bytes(), err
}
