package lab

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vedette-hub/vedette"
)

// spot is a place as the file names it, whatever the layout makes of it.
type spot struct {
	addr  string
	port  int
	proto string
}

// live is what a listener is at a time: it is replaced, never changed.
type live struct {
	host *Host
	svc  *Service
	kind kind
	tls  func() *tls.Config // nil without TLS
	dns  *DNS               // of all zones
}

// running is a listener with its open connections.
type running struct {
	at    netip.AddrPort
	live  atomic.Pointer[live]
	ln    net.Listener
	pc    net.PacketConn
	mu    sync.Mutex
	conns map[net.Conn]bool
	shut  bool
}

// Serve starts everything and returns; it runs until Close or until the context
// ends. What cannot be listened on is an error, and nothing is left running.
func (in *Internet) Serve(ctx context.Context) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ctx != nil {
		return vedette.Invalid("the lab runs already")
	}
	in.settled()
	ca, err := newAuthority(in.now())
	if err != nil {
		return err
	}
	in.ca, in.wire = ca, newTripwire(in.d.Tripwire)
	in.ctx, in.stop = context.WithCancel(ctx)
	in.startSniff()
	if err := errors.Join(in.startNames(), in.reconcile()); err != nil {
		in.end()
		in.ctx = nil
		return err
	}
	context.AfterFunc(in.ctx, func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.end()
	})
	return nil
}

// Close stops everything and waits until it has stopped.
func (in *Internet) Close() {
	in.mu.Lock()
	if in.ctx == nil {
		in.mu.Unlock()
		return
	}
	in.end()
	resolver := in.resolver
	in.mu.Unlock()
	if resolver != nil {
		resolver.Close()
	}
	in.wg.Wait()
}

// startSniff counts packets, where that is allowed and addresses tell hosts apart.
func (in *Internet) startSniff() {
	if in.Layout == Single || len(in.d.Tripwire.Networks) == 0 {
		return
	}
	run, ok := in.wire.sniff(in.ctx)
	in.wire.sniffs = ok
	if ok {
		in.wg.Go(run)
	}
}

// runs says whether it serves; the caller holds mu.
func (in *Internet) runs() bool { return in.ctx != nil && in.ctx.Err() == nil }

// end closes every listener and connection; the caller holds mu.
func (in *Internet) end() {
	in.stop()
	for s, r := range in.running {
		r.close()
		delete(in.running, s)
	}
}

func (r *running) close() {
	if r.ln != nil {
		r.ln.Close()
	}
	if r.pc != nil {
		r.pc.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shut = true
	for c := range r.conns {
		c.Close()
	}
}

// wanted are the listeners that the plan asks for.
func (in *Internet) wanted() map[spot]*live {
	want := map[spot]*live{}
	for i := range in.d.Hosts {
		h := &in.d.Hosts[i]
		if h.Stopped {
			continue
		}
		for j := range h.Service {
			s := &h.Service[j]
			if s.Stopped || s.Filtered {
				continue
			}
			k, _ := kindOf(s.Kind)
			want[spot{h.Address, s.Port, s.Proto}] = &live{h, s, k, in.tlsOf(h, s), in.resolver}
		}
		more, _ := ports(h.Middlebox)
		in.fill(want, h, more, "tcp", middlebox)
	}
	tcp, udp := in.wirePorts()
	for _, a := range in.d.Tripwire.Addresses {
		h := &Host{Address: a}
		in.fill(want, h, tcp, "tcp", middlebox)
		in.fill(want, h, udp, "udp", middlebox)
	}
	return want
}

// wirePorts are the ports on which the tripwire listens: those of its lists, and
// all on which any host does, since those are what a survey of the lab scans.
func (in *Internet) wirePorts() (tcp, udp []int) {
	tcp, _ = ports(in.d.Tripwire.TCP)
	udp, _ = ports(in.d.Tripwire.UDP)
	for _, h := range in.d.Hosts {
		for _, s := range h.Service {
			if s.Proto == "udp" {
				udp = append(udp, s.Port)
			} else {
				tcp = append(tcp, s.Port)
			}
		}
	}
	slices.Sort(tcp)
	slices.Sort(udp)
	return slices.Compact(tcp), slices.Compact(udp)
}

// fill puts a listener of a kind on those ports of a host that have none.
func (in *Internet) fill(want map[spot]*live, h *Host, list []int, proto string, k kind) {
	for _, p := range list {
		at := spot{h.Address, p, proto}
		if want[at] == nil {
			want[at] = &live{h, &Service{Port: p, Proto: proto, Kind: k.name}, k, nil, nil}
		}
	}
}

// tlsOf is the TLS of a service, made when it is first asked for.
func (in *Internet) tlsOf(h *Host, s *Service) func() *tls.Config {
	if s.TLS == nil {
		return nil
	}
	ca := in.ca
	return sync.OnceValue(func() *tls.Config { return ca.config(h, *s.TLS) })
}

// reconcile makes what runs into what the plan asks for; the caller holds mu.
func (in *Internet) reconcile() error {
	want := in.wanted()
	for s, r := range in.running {
		if w := want[s]; w == nil || w.kind.name != r.live.Load().kind.name {
			r.close()
			delete(in.running, s)
		}
	}
	var errs []error
	for s, w := range want {
		if r := in.running[s]; r != nil {
			r.live.Store(w)
			continue
		}
		if err := in.start(s, w); err != nil && len(errs) < 5 {
			errs = append(errs, err)
		}
	}
	if err := in.reconcileNames(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (in *Internet) start(s spot, w *live) error {
	at := in.place(s)
	r := &running{at: at, conns: map[net.Conn]bool{}}
	r.live.Store(w)
	if err := in.listen(r, s.proto); err != nil {
		return fmt.Errorf("host %s: %w", s.addr, err)
	}
	in.running[s] = r
	in.wg.Add(1)
	if r.ln != nil {
		go in.accept(r)
	} else {
		go in.receive(r)
	}
	return nil
}

// listen opens the socket, on loopback and nowhere else.
func (in *Internet) listen(r *running, proto string) (err error) {
	if !loopback(r.at.Addr()) {
		return vedette.Refused("%s: a lab touches loopback only", r.at)
	}
	var lc net.ListenConfig
	if proto == "udp" {
		r.pc, err = lc.ListenPacket(in.ctx, "udp4", r.at.String())
		return err
	}
	r.ln, err = lc.Listen(in.ctx, "tcp4", r.at.String())
	return err
}

func (in *Internet) accept(r *running) {
	defer in.wg.Done()
	for {
		c, err := r.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // no file descriptors left: wait for some
			time.Sleep(5 * time.Millisecond)
			continue
		}
		if !r.keep(c) {
			c.Close()
			return
		}
		in.wg.Add(1)
		go func() {
			defer in.wg.Done()
			defer r.drop(c)
			in.converse(r, c)
		}()
	}
}

func (r *running) keep(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[c] = true
	return !r.shut
}

func (r *running) drop(c net.Conn) {
	c.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
}

// patience bounds one conversation; a tarpit has more.
const patience = 30 * time.Second

// converse speaks to one client.
func (in *Internet) converse(r *running, c net.Conn) {
	l := r.live.Load()
	c.SetDeadline(time.Now().Add(patience))
	s := &session{Conn: c, r: bufio.NewReaderSize(c, 4096), live: l, ctx: in.ctx}
	if in.wire.holds(l.host.Address) {
		in.wire.session(r.at, l.svc.Port, s)
	}
	if !s.wait(l.svc.Delay) {
		return
	}
	if l.tls != nil && !l.svc.TLS.StartTLS {
		if s.secure() != nil {
			return
		}
	}
	l.kind.tcp(s)
}

// receive answers datagrams.
func (in *Internet) receive(r *running) {
	defer in.wg.Done()
	buf := make([]byte, 4096)
	for {
		n, from, err := r.pc.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		l := r.live.Load()
		if in.wire.holds(l.host.Address) {
			in.wire.datagram(r.at, from, buf[:n])
		}
		if l.kind.udp == nil {
			continue
		}
		for _, answer := range l.kind.udp(l, slices.Clone(buf[:n])) {
			if _, err := r.pc.WriteTo(answer, from); err != nil {
				break
			}
		}
	}
}

// Change is what happens to a service, or to a whole host.
type Change struct {
	Version string   // upgraded (or downgraded) to
	CVEs    []string // of that version
	Banner  string   // shows so from now on; "{version}" stands for the version
	Stop    bool     // answers no more
	Start   bool     // answers again
	Weak    []string // weaknesses it gets
	Drop    []string // weaknesses it loses
	Cert    string   // the certificate it has from now on
	// Flap stops and starts it, each for so long, until it is started or stopped.
	Flap time.Duration
}

// Set changes the services at a port of a host, which is named by its address
// or one of its names; port 0 is all of them. Open connections see it when they ask again.
func (in *Internet) Set(host string, port int, c Change) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	i := slices.IndexFunc(in.d.Hosts, func(h Host) bool { return h.Address == host || slices.Contains(h.Names, host) })
	if i < 0 {
		return vedette.NotFound("the lab has no host %s", host)
	}
	h := in.d.Hosts[i]
	h.Service = slices.Clone(h.Service)
	found := false
	for j := range h.Service {
		if s := &h.Service[j]; port == 0 || s.Port == port {
			found = true
			s.change(c)
			in.flap(h.Address, *s, c)
		}
	}
	if !found {
		return vedette.NotFound("host %s has nothing at port %d", host, port)
	}
	in.d.Hosts = slices.Clone(in.d.Hosts) // what runs still points into the old ones
	in.d.Hosts[i] = h
	if !in.runs() {
		return nil
	}
	return in.reconcile()
}

// change applies a change to a copy of a service.
func (s *Service) change(c Change) {
	if c.Version != "" {
		s.Software.Version, s.Software.CVEs = c.Version, c.CVEs
	}
	if c.Banner != "" {
		s.Software.Banner = c.Banner
	}
	if c.Stop || c.Start {
		s.Stopped = c.Stop
	}
	if c.Cert != "" && s.TLS != nil {
		t := *s.TLS
		t.Cert = c.Cert
		s.TLS = &t
	}
	s.Weak = slices.DeleteFunc(slices.Concat(s.Weak, c.Weak), func(w string) bool { return slices.Contains(c.Drop, w) })
}

// flap begins or ends the flapping of a service; the caller holds mu.
func (in *Internet) flap(addr string, s Service, c Change) {
	at := spot{addr, s.Port, s.Proto}
	if stop := in.flaps[at]; stop != nil && (c.Stop || c.Start || c.Flap > 0) {
		stop()
		delete(in.flaps, at)
	}
	if c.Flap <= 0 || !in.runs() {
		return
	}
	ctx, stop := context.WithCancel(in.ctx)
	in.flaps[at] = stop
	in.wg.Add(1)
	go func() {
		defer in.wg.Done()
		tick := time.NewTicker(c.Flap)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				in.toggle(ctx, at)
			}
		}
	}()
}

// toggle stops what runs and starts what does not.
func (in *Internet) toggle(ctx context.Context, at spot) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	if r := in.running[at]; r != nil {
		r.close()
		delete(in.running, at)
		return
	}
	if w := in.wanted()[at]; w != nil {
		if err := in.start(at, w); err != nil {
			in.log("flap: %v", err)
		}
	}
}
