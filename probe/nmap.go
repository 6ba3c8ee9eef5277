package probe

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/cpe"
	"github.com/vedette-hub/vedette/format/nmapxml"
	"github.com/vedette-hub/vedette/safe"
)

// Nmap asks an installed nmap about the ports of addresses where no check of
// ours found software. It runs where the configuration names one.
var Nmap = Check{
	Name:  "nmap",
	About: "what an installed nmap makes of a port where our own checks found no software",
	Spec:  "nmap.dtd, xmloutputversion 1.04 and 1.05",
	Class: vedette.Active,
	Time:  nmapTime,
	For:   func(s Subject) bool { return s.Unnamed && s.Proto == "tcp" && s.Asset.Kind == vedette.AddressAsset },
	Run:   runNmap,
}

// nmapTime is the longest that nmap takes for one port.
const nmapTime = 2 * time.Minute

// nmapPorts bounds how many ports of one host are given to nmap: a host where
// more are open without a name answers on all of them, and says nothing by it.
const nmapPorts = 8

// unnamed says whether a port is left to nmap. A port that is not, and whose
// version we do not know either, nmap has not looked at: what an earlier look of
// it saw there holds.
func (a *assetLook) unnamed(s Subject) bool {
	if a.l.env.Nmap == "" || s.Asset.Kind != vedette.AddressAsset {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	named, exact := false, false
	for _, o := range a.look.Observations {
		if o.Port == int(s.Port) && o.Proto == s.Proto {
			for _, sw := range o.Fact.Software {
				named, exact = true, exact || sw.Version != ""
			}
		}
	}
	if !named && s.Proto == "tcp" && a.nmaps < nmapPorts {
		a.nmaps++
		return true
	}
	if !exact {
		a.miss[missed{Nmap.Name, s.Proto, s.Port}] = true
	}
	return false
}

// nmapped says whether nmap covers anything of the asset: never a name, which
// it would resolve by itself.
func (a *assetLook) nmapped() bool {
	return a.l.env.Nmap != "" && a.asset.Kind == vedette.AddressAsset
}

// nmapArgs are the arguments for one port of one address. Both are of types
// that cannot be anything else than a number and an address.
func nmapArgs(at netip.AddrPort, rate float64, limit time.Duration) []string {
	addr := at.Addr().Unmap().WithZone("")
	args := []string{"-sT", "-sV", "-Pn", "-n", "--open", "--max-rate", strconv.FormatFloat(max(rate, 0.1), 'f', -1, 64),
		"--host-timeout", strconv.Itoa(int(limit.Seconds())) + "s", "-oX", "-", "-p", strconv.Itoa(int(at.Port()))}
	if addr.Is6() {
		args = append(args, "-6")
	}
	return append(args, addr.String())
}

// runNmap gives one port to nmap. nmap opens its connections by itself, so the
// scope is asked before and once a second while it runs, one connect is taken
// from the brakes, and nmap is told their pace for its scan of the port; its
// questions about the version then follow one after the other on one port.
func runNmap(ctx context.Context, env *Env, s Subject, emit Emit) error {
	at := netip.AddrPortFrom(s.Addr.Unmap(), s.Port)
	t := vedette.Target{Network: "tcp", Addr: at, Class: vedette.Active}
	if err := env.Net.Lend(ctx, t); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := env.Net.May(t); err != nil {
				cancel(err)
				return
			}
		}
	}()
	args := nmapArgs(at, env.Net.Rate(), nmapTime-10*time.Second)
	out, err := safe.Exec(ctx, safe.Command{Path: env.Nmap, Args: args, Time: nmapTime})
	if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil {
		return cause
	}
	if err != nil {
		return err
	}
	f, ok, err := readNmap(out, at)
	if ok && err == nil && (len(f.Software) > 0 || s.Service == "") { // the name of a service that we know says nothing new
		emit(vedette.Observation{Fact: f})
	}
	return err
}

// readNmap reads nmap's answer about one port that was open a moment ago. An
// answer that is not whole, speaks of another address or port, or does not find
// the port open proves nothing. No fact means that nmap does not know it either.
func readNmap(out []byte, at netip.AddrPort) (f vedette.Fact, ok bool, err error) {
	x := safe.NewXML(bytes.NewReader(out), safe.Limits{})
	root, finished := false, false
	var open *nmapxml.Service
	for {
		tok, err := x.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return f, false, fmt.Errorf("the answer of nmap: %w", err)
		}
		e, is := tok.(xml.StartElement)
		switch {
		case !is:
		case !root && e.Name.Local != "nmaprun":
			return f, false, vedette.Invalid("the answer of nmap begins with %s", safe.Quote(e.Name.Local))
		case !root:
			root = true
		case e.Name.Local == "host":
			var h nmapxml.Host
			if err := x.Decode(&h, &e); err != nil {
				return f, false, fmt.Errorf("the answer of nmap: %w", err)
			}
			if open, err = nmapHost(h, at); err != nil {
				return f, false, err
			}
		case e.Name.Local == "runstats":
			if finished, err = nmapDone(x, e); err != nil {
				return f, false, err
			}
		default:
			if err := x.Skip(); err != nil {
				return f, false, fmt.Errorf("the answer of nmap: %w", err)
			}
		}
	}
	switch {
	case !finished:
		return f, false, vedette.Invalid("nmap did not finish")
	case open == nil:
		return f, false, vedette.Invalid("nmap did not find the port open")
	}
	f, ok = nmapFact(*open)
	return f, ok, nil
}

// nmapDone reads how the run and the look at its only host ended.
func nmapDone(x *safe.XML, e xml.StartElement) (bool, error) {
	var s struct {
		Finished struct {
			Exit string `xml:"exit,attr"`
			Why  string `xml:"errormsg,attr"`
		} `xml:"finished"`
		Hosts struct {
			Up int `xml:"up,attr"`
		} `xml:"hosts"`
	}
	if err := x.Decode(&s, &e); err != nil {
		return false, fmt.Errorf("the answer of nmap: %w", err)
	}
	if s.Finished.Exit != "success" || s.Hosts.Up != 1 {
		return false, vedette.Invalid("nmap ended with %s %s, %d hosts up", safe.Quote(s.Finished.Exit), safe.Quote(s.Finished.Why), s.Hosts.Up)
	}
	return true, nil
}

// nmapHost is what a host element says of the port, nil when it is not open.
func nmapHost(h nmapxml.Host, at netip.AddrPort) (open *nmapxml.Service, err error) {
	if h.TimedOut {
		return nil, vedette.Invalid("nmap gave the host up")
	}
	told := 0
	for _, a := range h.Addresses {
		if a.Type == "mac" {
			continue
		}
		told++
		if got, err := netip.ParseAddr(a.Addr); err != nil || got != at.Addr() {
			return nil, vedette.Invalid("nmap was asked about %s and speaks of %s", at.Addr(), safe.Quote(a.Addr))
		}
	}
	if told != 1 {
		return nil, vedette.Invalid("nmap speaks of a host with %d addresses", told)
	}
	for _, p := range h.Ports {
		if p.ID != int(at.Port()) || p.Protocol != "tcp" {
			return nil, vedette.Invalid("nmap was asked about tcp %d and speaks of %s %d", at.Port(), safe.Quote(p.Protocol), p.ID)
		}
		if p.State.State == "open" {
			open = &p.Service
		}
	}
	return open, nil
}

// nmapFact is what nmap says of a service that answered. What it says by the
// number of the port alone says nothing.
func nmapFact(s nmapxml.Service) (vedette.Fact, bool) {
	if s.Method != "probed" || s.Product == "" && s.Name == "" {
		return vedette.Fact{}, false
	}
	shown := strings.Join(strings.Fields(s.Product+" "+s.Version+" "+s.Extra), " ")
	f := vedette.Fact{Service: Banner([]byte(strings.ToLower(s.Name)), 64), TLS: s.Tunnel == "ssl", Banner: Banner([]byte(shown), MaxBanner)}
	f.Software = nmapSoftware(s)
	return f, true
}

// nmapVersion is a version as nmap shows one, with what the packaging adds to
// it: "9.2p1 Debian 2+deb12u3". "9.6.0 or later" and "3.X - 4.X" are none.
var nmapVersion = regexp.MustCompile(`^(\d[\w.+~:-]*)(?: (?i:Debian|Ubuntu|Raspbian)[- ]?(\d[\w.+~]*)?)?$`)

// nmapSoftware is the product that nmap names, by its CPE name where it gives
// one of an application or a device, with what a version tells of the packaging.
func nmapSoftware(s nmapxml.Service) []vedette.Software {
	main := vedette.Software{Product: Banner([]byte(s.Product), 200)}
	part, revision := "a", ""
	if m := nmapVersion.FindStringSubmatch(s.Version); m != nil {
		main.Version, revision = Banner([]byte(m[1]), maxVersionText), m[2]
	}
	for _, c := range s.CPEs {
		n, err := cpe.Parse(c)
		if err != nil || n[cpe.Part] == "o" || !namedCPE(n[cpe.Vendor]) || !namedCPE(n[cpe.Product]) {
			continue
		}
		part, main.Vendor, main.Product = string(n[cpe.Part]), n[cpe.Vendor].Text(), n[cpe.Product].Text()
		break
	}
	if main.Product == "" {
		return nil
	}
	main.CPE = exactCPE(part, main.Vendor, main.Product, main.Version, "")
	word := ""
	for _, text := range []string{s.Version, s.Extra} {
		for _, d := range distroWords {
			if word == "" && strings.Contains(strings.ToLower(text), d.word) {
				word = d.word
			}
		}
	}
	return []vedette.Software{packaging(main, word, revision)}
}

func namedCPE(a cpe.Attr) bool { return !a.IsAny() && a != cpe.NA && !a.Wild() }
