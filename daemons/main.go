//go:build linux

// Package main holds vedette against real daemons: it begins those of the list
// on loopback, looks at them with the probes of a survey and with nmap, and
// prints what both said beside what dpkg-query knows. It fails where vedette
// says less than nmap, or something wrong. `make daemons` installs and runs it.
package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/probe"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/scope"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	_, missing := exec.LookPath("nmap")
	if os.Geteuid() != 0 || missing != nil || installed(ctx, list[0].pkg) == "" {
		fmt.Println("daemons: left out: needs root, nmap and the packages of daemons/install.sh on Debian")
		return
	}
	var ok bool
	var err error
	if len(os.Args) == 2 && os.Args[1] == alone {
		ok, err = run(ctx)
	} else {
		ok, err = true, isolate(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "daemons:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// run begins the daemons, looks and judges.
func run(ctx context.Context) (bool, error) {
	nmap, err := exec.LookPath("nmap")
	if err != nil {
		return false, err
	}
	base, err := os.MkdirTemp("", "vedette-daemons-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(base)
	if err := os.Chmod(base, 0o755); err != nil { // the daemons are other users
		return false, err
	}
	if err := writeCertificate(base); err != nil {
		return false, err
	}
	if err := addresses(ctx); err != nil {
		return false, err
	}
	env, err := world()
	if err != nil {
		return false, err
	}
	var up []*running
	defer func() {
		for _, r := range up {
			r.stop()
		}
	}()
	whole := true
	for _, d := range list {
		r, err := d.start(base)
		if err == nil {
			up = append(up, r)
			err = r.ready(ctx, env)
		}
		if err != nil {
			whole = false
			fmt.Printf("%s does not start: %v\n", d.name, err)
			if r != nil {
				fmt.Println(r.out.String())
			}
		}
	}
	began := time.Now()
	ours, err := survey(ctx, env, up)
	if err != nil {
		return false, err
	}
	fmt.Printf("vedette took %.1f s\n", time.Since(began).Seconds())
	began = time.Now()
	theirs, err := askNmap(ctx, nmap, up)
	if err != nil {
		return false, err
	}
	fmt.Printf("nmap took %.1f s\n", time.Since(began).Seconds())
	return report(ctx, up, ours, theirs) && whole, ctx.Err()
}

// runDir is where sshd wants to be able to go, and Debian makes it at boot.
const runDir = "/run/sshd"

// world is an Env that touches loopback and nothing else, at a pace that it bears.
func world() (*probe.Env, error) {
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return nil, err
	}
	c := vedette.Constituent{ID: "daemons", Scope: []vedette.ScopeEntry{{CIDR: "127.30.0.0/24", Document: "loopback", Classes: []vedette.CheckClass{vedette.Active}}}}
	rules := scope.NewRules(c, nil, true, time.Now)
	identify, err := probe.NewRules()
	pace := safe.Pace{Connects: 500, Requests: 100, PerNetwork: 5000, Constituent: 5000}
	bound := safe.NewDialer(true).Scope(rules.Decide, func(vedette.Target, error) {}, safe.NewBrakes(pace.Within(true)))
	return &probe.Env{Net: bound, Identify: identify, Agent: "vedette (daemons)", Timeout: 5 * time.Second, Now: time.Now, Found: func(string) {}}, err
}

// ready waits until all ports of a daemon accept connections.
func (r *running) ready(ctx context.Context, env *probe.Env) error {
	end := time.Now().Add(30 * time.Second)
	for _, p := range r.tcp {
		for {
			at := netip.AddrPortFrom(netip.MustParseAddr(r.addr), p)
			c, err := env.Net.Dial(ctx, vedette.Target{Network: "tcp", Addr: at, Class: vedette.Active})
			if err == nil {
				c.Close()
				break
			}
			if ctx.Err() != nil || r.ended() || time.Now().After(end) {
				return fmt.Errorf("%s: %w", at, err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	if len(r.tcp) == 0 {
		time.Sleep(time.Second)
	}
	return ctx.Err()
}

// place is a port of a daemon.
type place struct {
	addr  string
	port  int
	proto string
}

// survey looks as a part of a survey does.
func survey(ctx context.Context, env *probe.Env, up []*running) (map[place][]vedette.Fact, error) {
	part := vedette.Part{Class: vedette.Active, Ports: portsOf(up, "tcp", "tcp:") + " " + portsOf(up, "udp", "udp:")}
	for _, r := range up {
		part.Addresses = append(part.Addresses, r.addr)
	}
	out := map[place][]vedette.Fact{}
	err := probe.Look(ctx, env, part, func(l vedette.Look) error {
		for _, o := range l.Observations {
			at := place{l.Asset, o.Port, o.Proto}
			out[at] = append(out[at], o.Fact)
		}
		for _, m := range l.Missed {
			fmt.Printf("missed %s %s %d: %s\n", l.Asset, m.Check, m.Port, m.Why)
		}
		return nil
	})
	return out, err
}

// portsOf are the ports of all daemons, "tcp:22,80".
func portsOf(up []*running, proto, prefix string) string {
	var all []int
	for _, r := range up {
		for _, p := range r.ports(proto) {
			all = append(all, int(p))
		}
	}
	slices.Sort(all)
	var text []string
	for _, p := range slices.Compact(all) {
		text = append(text, strconv.Itoa(p))
	}
	return prefix + strings.Join(text, ",")
}

func (d daemon) ports(proto string) []uint16 {
	if proto == "udp" {
		return d.udp
	}
	return d.tcp
}

// report prints the table, and says whether vedette is as good as nmap and
// nowhere wrong.
func report(ctx context.Context, up []*running, ours, theirs map[place][]vedette.Fact) bool {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w, "daemon\tat\tpackage\tvedette\tnmap -sV\tvedette is")
	counts := map[string]int{}
	for _, r := range up {
		pkg := installed(ctx, r.pkg)
		for _, proto := range []string{"tcp", "udp"} {
			for _, p := range r.ports(proto) {
				at := place{r.addr, int(p), proto}
				a, sa := judge(softwareOf(ours[at]), r.product, pkg)
				b, sb := judge(softwareOf(theirs[at]), r.product, pkg)
				verdict := "equal"
				switch {
				case a == wrong:
					verdict = "WRONG"
				case a > b:
					verdict = "better"
				case a < b:
					verdict = "WORSE"
				}
				counts[verdict]++
				fmt.Fprintf(w, "%s\t%s:%d/%s\t%s\t%s %s: %s\t%s %s: %s\t%s\n", r.name, r.addr, p, proto, pkg,
					serviceOf(ours[at]), show(sa), a, serviceOf(theirs[at]), show(sb), b, verdict)
			}
		}
	}
	fmt.Fprintf(w, "\n%d better, %d equal, %d worse, %d wrong\n", counts["better"], counts["equal"], counts["WORSE"], counts["WRONG"])
	return counts["WORSE"]+counts["WRONG"] == 0
}

func softwareOf(facts []vedette.Fact) []vedette.Software {
	var out []vedette.Software
	for _, f := range facts {
		out = append(out, f.Software...)
	}
	return out
}

func serviceOf(facts []vedette.Fact) string {
	for _, f := range facts {
		if f.Service == "" {
			continue
		}
		if f.TLS {
			return f.Service + "/tls"
		}
		return f.Service
	}
	return "?"
}

func show(sw vedette.Software) string {
	var words []string
	for _, s := range []string{sw.Product, sw.Version, sw.PackageVersion, sw.Distro} {
		if s != "" {
			words = append(words, s)
		}
	}
	return strings.Join(words, " ")
}
