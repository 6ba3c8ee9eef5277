package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face/web"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/sample"
	"github.com/vedette-hub/vedette/scope"
)

type demoCmd struct {
	Listen string `help:"Where the pages listen." default:"127.0.0.1:8080" placeholder:"A"`
	Keep   bool   `help:"Keep everything in the folder of --data, which has to be new, instead of a folder that goes at the end."`
}

func (demoCmd) storeless() {}

// Help is shown by --help.
func (demoCmd) Help() string {
	return "Examples:\n  vedette demo\n  vedette demo --listen 127.0.0.1:9090\n\nSix invented organisations on loopback: their machines run, are surveyed, and after the first surveys a list says that one of their products is exploited. Everything is live, and nothing but loopback is touched."
}

// Run makes the world of the demo and serves it until it is told to end.
func (c *demoCmd) Run(r *run) error {
	dir := r.Data
	if !c.Keep {
		var err error
		if dir, err = os.MkdirTemp("", "vedette-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%w: --listen %q: a demo listens on loopback, as 127.0.0.1:8080", errUsage, c.Listen)
	}
	g := *r.Globals
	g.Data, g.DB, g.Config, g.TokenFile = dir, "", "", ""
	in := &run{Globals: &g, ctx: r.ctx, in: r.in, out: r.errs, errs: r.errs}
	if in.store, in.p, err = g.open(r.ctx); err != nil {
		return err
	}
	defer in.store.Close()
	if in.sc, err = LabScope(r.ctx, in.store, in.p); err != nil {
		return err
	}
	in.line = NewLine(in.store)
	ln, err := (&net.ListenConfig{}).Listen(r.ctx, "tcp", c.Listen)
	if err != nil {
		return vedette.Conflict("cannot listen on %s: %w", c.Listen, err)
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String()) // --listen may leave it to the system
	if err != nil {
		return err
	}
	d := &demo{run: in, at: net.JoinHostPort(host, port)}
	if err := d.make(); err != nil {
		return err
	}
	defer d.net.Close()
	h, err := d.serve(ln)
	if err != nil {
		return err
	}
	token, err := h.sys.AddLink(r.ctx, "lead")
	if err != nil {
		return err
	}
	fmt.Fprintf(r.out, "\n  Open  http://%s%s%s\n\n  It signs you in once, as the lead. \"Lab\" at the left has mailboxes, machines,\n  and whom else you can be. Ctrl-C ends it.\n\n", d.at, vedette.LinkPath, token)
	<-r.ctx.Done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), stopTime)
	defer cancel()
	r.told = true
	return h.stop(ctx)
}

// demo is the world around the hub of a demo.
type demo struct {
	*run
	at    string // of the pages
	file  []byte // of the net
	net   *lab.Internet
	mails *lab.Mailboxes
	list  catalogue
	users []string
}

// make fills the folder: who is protected, what is known, what runs.
func (d *demo) make() error {
	sys := d.store.System()
	if err := sys.StampLab(d.ctx); err != nil {
		return err
	}
	if err := d.start(); err != nil {
		return err
	}
	if err := d.settle(); err != nil {
		d.net.Close()
		return err
	}
	return nil
}

// start starts the machines, in the next network when another lab has one.
func (d *demo) start() (err error) {
	for n := lab.Block; n < lab.Block+10; n++ {
		d.file = lab.Moved(lab.Demo(), n)
		if d.net, err = lab.Load(d.file); err != nil {
			return err
		}
		if err = d.net.Serve(d.ctx); !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
	}
	return err
}

// settle writes what the hub of the demo needs, once the lab runs.
func (d *demo) settle() (err error) {
	if d.mails, err = lab.ServeMail(d.ctx, d.store.Now); err != nil {
		return err
	}
	if err := d.list.serve(d.ctx, d.store.Now); err != nil {
		return err
	}
	if err := writeLab(d.Data, d.file, d.net); err != nil {
		return err
	}
	roots, err := d.net.Roots()
	if err == nil {
		err = os.WriteFile(labFile(d.Data, "roots.pem"), roots, 0o600)
	}
	if err != nil {
		return err
	}
	if err := d.configure(); err != nil {
		return err
	}
	if err := d.people(); err != nil {
		return err
	}
	return d.know()
}

// configure adds what is not the lab's alone.
func (d *demo) configure() error {
	f, err := os.OpenFile(filepath.Join(d.Data, "vedette.yaml"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, `
team:
  name: Vedette demo team
  contact: csirt@hub.example
mail:
  relay: %q
  from: alerts@hub.example
  tls: none
  base: http://%s
`, d.mails.Addr(), d.at)
	return errors.Join(err, f.Close())
}

// people are who is protected and who works here.
func (d *demo) people() error {
	cs, err := d.net.Constituency()
	if err != nil {
		return err
	}
	if err := d.sc.ApplyConstituents(d.ctx, cs, nil, scope.NewMap(cs).Owner, scope.Users(cs), map[string]string{"demo": "yes"}); err != nil {
		return err
	}
	admin, err := d.store.As(d.ctx, vedette.Local())
	if err != nil {
		return err
	}
	users := []vedette.Principal{
		{Name: "lead", Roles: []vedette.Role{vedette.Lead, vedette.Analyst, vedette.Admin}},
		{Name: "analyst", Roles: []vedette.Role{vedette.Analyst}},
	}
	for _, c := range cs {
		users = append(users, vedette.Principal{Name: c.ID, Roles: []vedette.Role{vedette.Viewer, vedette.Manager}, Constituents: []string{c.ID}})
	}
	for _, u := range users {
		if err := admin.AddUser(d.ctx, u); err != nil {
			return err
		}
		d.users = append(d.users, u.Name)
	}
	return nil
}

// know takes in records of vulnerabilities that nobody exploits yet, and has the feed read the list.
func (d *demo) know() error {
	var files []string
	for _, name := range []string{"cve.jsonl", "epss-2026-11-09.csv", "epss-2026-11-10.csv", "exploited-by.csv"} {
		text, err := sample.Files.ReadFile(name)
		if err != nil {
			return err
		}
		path := filepath.Join(d.Data, "lab", name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
		files = append(files, path)
	}
	quiet := *d.run
	quiet.out = discard{}
	if err := (&importCmd{Files: files[:3]}).Run(&quiet); err != nil {
		return err
	}
	f := vedette.Feed{Name: "lab-catalogue", About: "The lab's list of exploited vulnerabilities", Source: "lab-catalogue", Format: "kev", Fetch: vedette.FetchHTTP, URL: d.list.url, Every: 2 * time.Second,
		Marking: vedette.Marking{TLP: vedette.TLPClear}, Reliability: "A", Licence: "CC0-1.0", Redistribute: "yes", Enabled: true}
	if err := d.sc.ApplyFeeds(d.ctx, []vedette.Feed{f}, nil); err != nil {
		return err
	}
	return d.drain()
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// serve starts the hub with its pages, and has everybody surveyed.
func (d *demo) serve(ln net.Listener) (*hub, error) {
	log := slog.New(atLeast{slog.NewTextHandler(d.errs, nil)})
	h, err := d.startHub(log, map[string]int{queueHub: 1, queuePost: 1, queueFeed: feedsAtOnce, queueProbe: 1})
	if err != nil {
		return nil, err
	}
	end := func(err error) (*hub, error) { return nil, errors.Join(err, h.stop(context.WithoutCancel(d.ctx))) }
	conf, err := d.config()
	if err != nil {
		return end(err)
	}
	faces, err := h.faces(conf, d)
	if err != nil {
		return end(err)
	}
	h.answer(d.ctx, ln, faces)
	sc, err := LabScope(d.ctx, d.store, d.p)
	if err != nil {
		return end(err)
	}
	desk := &desk{store: d.store, sc: sc, line: d.line, conf: conf, jobs: h.jobs}
	cs, err := sc.Constituents(d.ctx)
	if err != nil {
		return end(err)
	}
	var ids []string
	for _, c := range cs {
		s, err := desk.Survey(d.ctx, c.ID, vedette.Active)
		if err != nil {
			return end(err)
		}
		ids = append(ids, s.ID)
	}
	go d.publishAfter(ids, log)
	return h, nil
}

// publishAfter publishes the first exploited vulnerability when the surveys have ended.
func (d *demo) publishAfter(surveys []string, log *slog.Logger) {
	for len(surveys) > 0 {
		select {
		case <-d.ctx.Done():
			return
		case <-time.After(500 * time.Millisecond):
		}
		sc, err := LabScope(d.ctx, d.store, d.p) // anew: what may be seen is decided when it is asked
		if err != nil {
			log.Error("waiting for the surveys", "error", err)
			return
		}
		v, err := sc.Survey(d.ctx, surveys[0])
		if err != nil {
			log.Error("waiting for the surveys", "error", err)
			return
		}
		if !v.Ended.IsZero() {
			surveys = surveys[1:]
		}
	}
	if _, err := d.Publish(); err != nil {
		log.Error("publishing", "error", err)
	}
}

// Publish implements web.Demo.
func (d *demo) Publish() (string, error) { return d.list.publish() }

// Be implements web.Demo.
func (d *demo) Be(ctx context.Context, user, address string) (vedette.SignedIn, error) {
	if !slices.Contains(d.users, user) {
		return vedette.SignedIn{}, vedette.NotFound("user %s", user)
	}
	token, err := d.store.System().AddLink(ctx, user)
	if err != nil {
		return vedette.SignedIn{}, err
	}
	return d.store.Redeem(ctx, token, address)
}

// repaired are the versions in which the lab's products are repaired.
var repaired = map[string]string{"access_gateway": "5.2.3", "mail_relay": "2.1.0", "print_server": "3.5", "file_drop": "1.7"}

// Change implements web.Demo.
func (d *demo) Change(host, act string) error {
	switch act {
	case "stop":
		return d.net.Set(host, 0, lab.Change{Stop: true})
	case "start":
		return d.net.Set(host, 0, lab.Change{Start: true})
	case "upgrade":
		for _, h := range d.net.Hosts() {
			if !slices.Contains(h.Names, host) {
				continue
			}
			for _, s := range h.Service {
				if to := upgrade(s); to != "" {
					return d.net.Set(host, s.Port, lab.Change{Version: to})
				}
			}
		}
		return vedette.NotFound("nothing on %s is to be upgraded", host)
	}
	return vedette.Invalid("act %q: upgrade, stop or start", act)
}

// upgrade is the version that a service lacks, "" when it lacks none.
func upgrade(s lab.Service) string {
	if to := repaired[s.Software.Product]; to != s.Software.Version {
		return to
	}
	return ""
}

var linkOfMail = regexp.MustCompile(`https?://[^\s/]+(/a/[0-9A-Za-z_-]+)`)

// World implements web.Demo.
func (d *demo) World() (w web.DemoWorld) {
	w.Users, w.Touches = d.users, len(d.net.Tripwire().Trespasses())
	w.Exploited, w.More = d.list.published()
	for _, l := range d.mails.Letters() {
		m := web.DemoMail{To: l.To, Subject: l.Subject, Text: l.Text, At: l.At}
		if found := linkOfMail.FindStringSubmatch(l.Text); found != nil {
			m.Link = found[1]
		}
		w.Mails = append(w.Mails, m)
	}
	for _, h := range d.net.Hosts() {
		name := cmp.Or(slices.Concat(h.Names, []string{h.Address})...)
		if strings.HasPrefix(name, "ns1.") {
			continue // nobody has to see that there is a name server
		}
		parts := strings.Split(name, ".")
		x := web.DemoHost{Address: h.Address, Name: name, Constituent: parts[max(0, len(parts)-2)], Stopped: len(h.Service) > 0}
		for _, s := range h.Service {
			x.Runs = append(x.Runs, strings.TrimSpace(fmt.Sprintf("%d %s %s", s.Port, cmp.Or(s.Software.Product, s.Kind), s.Software.Version)))
			x.Upgrade, x.Stopped = cmp.Or(upgrade(s), x.Upgrade), x.Stopped && s.Stopped
		}
		w.Hosts = append(w.Hosts, x)
	}
	return w
}

// catalogue is the lab's list of exploited vulnerabilities, in the form of
// CISA's, at an address of loopback.
type catalogue struct {
	mu  sync.Mutex
	n   int // published so far
	at  []time.Time
	url string
	now func() time.Time
}

// entries are what the list can say, in the order of publishing.
var entries = []struct{ cve, vendor, product, name, action string }{
	{"CVE-2026-90417", "Examplesoft", "Access Gateway", "Examplesoft Access Gateway Authentication Bypass Vulnerability", "Update to 5.2.3, or take the gateway off public networks until then."},
	{"CVE-2026-90020", "Lanternworks", "File Drop", "Lanternworks File Drop Path Traversal Vulnerability", "Update to 1.7 or later."},
	{"CVE-2026-90311", "Examplesoft", "Mail Relay", "Examplesoft Mail Relay Header Injection Vulnerability", "Update to 2.1.0."},
	{"CVE-2026-90502", "Harbourline", "Print Server", "Harbourline Print Server Denial of Service Vulnerability", "Update to 3.5, or close port 631 to public networks."},
}

func (c *catalogue) serve(ctx context.Context, now func() time.Time) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	c.url, c.now = "http://"+ln.Addr().String()+"/catalogue.json", now
	s := &http.Server{Handler: c, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { s.Close() })
	go func() { _ = s.Serve(ln) }()
	return nil
}

func (c *catalogue) publish() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == len(entries) {
		return "", vedette.Conflict("all of the lab's vulnerabilities are published")
	}
	c.n++
	c.at = append(c.at, c.now())
	return entries[c.n-1].cve, nil
}

func (c *catalogue) published() (out []string, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range entries[:c.n] {
		out = append(out, e.cve)
	}
	return out, c.n < len(entries)
}

// ServeHTTP is the list as it is now.
func (c *catalogue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	type entry map[string]any
	// one entry that concerns nobody stands there from the beginning: a list that
	// is empty is a list that broke
	list := []entry{{"cveID": "CVE-2026-90001", "vendorProject": "Lanternworks", "product": "Guest Book", "vulnerabilityName": "Lanternworks Guest Book Script Injection Vulnerability", "dateAdded": "2026-08-03",
		"shortDescription": "Lanternworks Guest Book shows what guests write as it is.", "requiredAction": "Take it down.", "dueDate": "2026-08-24", "knownRansomwareCampaignUse": "Unknown", "notes": ""}}
	released := time.Date(2026, 8, 3, 0, 0, 0, 0, time.UTC)
	for i, e := range entries[:c.n] {
		released = c.at[i]
		list = append(list, entry{"cveID": e.cve, "vendorProject": e.vendor, "product": e.product, "vulnerabilityName": e.name, "dateAdded": c.at[i].UTC().Format(time.DateOnly),
			"shortDescription": e.name + ".", "requiredAction": e.action, "dueDate": c.at[i].AddDate(0, 0, 14).UTC().Format(time.DateOnly), "knownRansomwareCampaignUse": "Unknown", "notes": ""})
	}
	tag := fmt.Sprintf(`"%d"`, c.n)
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"title": "The lab's catalogue of exploited vulnerabilities", "catalogVersion": fmt.Sprintf("lab.%d", c.n),
		"dateReleased": released.UTC().Format("2006-01-02T15:04:05.0000Z"), "count": len(list), "vulnerabilities": list})
}
