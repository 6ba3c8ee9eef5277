package safe

import (
	"math"
	"slices"
	"time"
)

// scanHost is one address in a scan. It is asked in rounds: all ports first,
// then the silent ones among canaries, until they are silent beyond doubt.
type scanHost struct {
	at      Scanned
	place   int // in active
	brake   *hostBrake
	decided time.Time
	epoch   int64
	refused bool

	asks    []asking // of this round
	next    int      // of asks
	flights int
	busy    int // times that the system had no room for its next port
	over    bool

	queued bool
	turn   int64 // when it sent last
	key    int64 // in its queue
	wake   time.Time

	round  int      // whole rounds that are over
	silent []uint16 // of this round
	heard  bool     // something came back in this round
	deaf   int      // rounds in which not even canaries answered
	alone  bool     // a round of canaries only
	missed int      // canaries running that did not answer
	extra  []uint16 // ports that answered and are not to be scanned
	own    tally
}

// tally counts asks of ports that do answer, and how many of them were lost.
type tally struct{ asked, lost int }

func (t *tally) add(asked, lost int) { t.asked += asked; t.lost += lost }

// may asks the scope about an address unless it did within askScope. A refusal
// ends the address: what was not asked stays so, and what waits is dropped.
func (r *scanRun) may(h *scanHost) bool {
	e := r.checks.Load()
	if h.epoch == e && r.now.Sub(h.decided) < askScope {
		return true
	}
	h.epoch, h.decided = e, r.now
	if r.May(r.target(h, h.asks[min(h.next, len(h.asks)-1)].port)) == nil {
		return true
	}
	h.refused = true
	for slot := r.first; slot != none; {
		next := r.flights[slot].next
		if r.flights[slot].host == h {
			r.land(slot, true)
		}
		slot = next
	}
	r.finish(h)
	return false
}

// sweep asks the scope again about addresses whose connects wait.
func (r *scanRun) sweep() {
	e := r.checks.Load()
	if e == r.epoch && r.now.Sub(r.swept) < askScope/2 {
		return
	}
	r.epoch, r.swept = e, r.now
	for _, h := range slices.Clone(r.active) {
		if h.flights > 0 && !h.over {
			r.may(h)
		}
	}
}

// more gives an address its next turn, its next round, or ends it.
func (r *scanRun) more(h *scanHost) {
	for h.next == len(h.asks) && h.flights == 0 {
		if r.whole(h) {
			r.finish(h)
			return
		}
	}
	if h.next < len(h.asks) && h.flights < perHost && !h.queued && !h.over {
		r.ready.add(h)
	}
}

// finish hands an address over.
func (r *scanRun) finish(h *scanHost) {
	if h.refused { // what fell silent was not asked often enough to say so
		h.silent = nil
		h.at.Why = ""
	}
	h.at.Silent = h.silent
	for _, ports := range [][]uint16{h.at.Open, h.at.Closed, h.at.Silent} {
		slices.Sort(ports)
	}
	last := r.active[len(r.active)-1]
	r.active[h.place], last.place = last, h.place
	r.active = r.active[:len(r.active)-1]
	h.asks, h.silent = nil, nil
	h.over = true
	r.done(h.at)
}

// file files what came of one ask.
func (r *scanRun) file(h *scanHost, k asking, st portState, why string) {
	if why != "" {
		h.at.Why = why
	}
	if st != portSilent {
		h.heard, h.at.alive, h.missed = true, true, 0
	}
	if k.canary {
		r.canary(h, k.port, st)
		return
	}
	switch st {
	case portSilent: // lost or not: an answer to a later ask tells
		h.silent = append(h.silent, k.port)
		return
	case portOpen:
		h.at.Open = append(h.at.Open, k.port)
	case portClosed:
		h.at.Closed = append(h.at.Closed, k.port)
	}
	r.count(h, h.round+1, h.round)
}

// canary files what came of asking a canary.
func (r *scanRun) canary(h *scanHost, port uint16, st portState) {
	if st != portSilent {
		if h.round == 0 {
			h.extra = append(h.extra, port)
		}
		r.count(h, 1, 0)
		return
	}
	if h.missed++; h.missed == canariesMissed {
		h.missed = 0
		r.brakes.Slower(h.at.Addr)
	}
	if h.round > 0 { // in the first round it may be gone since it was known
		r.count(h, 1, 1)
	}
}

func (r *scanRun) count(h *scanHost, asked, lost int) {
	h.own.add(asked, lost)
	r.path.add(asked, lost)
}

// canariesMissed is how many canaries running have to be lost before an address
// is taken to mind the pace.
const canariesMissed = 3

// whole ends a round and says whether the address is done.
func (r *scanRun) whole(h *scanHost) bool {
	switch {
	case h.alone && h.heard: // back again: now the ports
		h.alone = false
		return r.again(h, h.silent)
	case h.at.alive && !h.heard: // fell silent
		if h.deaf++; h.deaf > maxDeaf {
			h.at.Mute = true
			return true
		}
		if h.deaf > 1 {
			r.brakes.Slower(h.at.Addr)
		}
		h.alone = true
		return r.again(h, nil)
	}
	if h.round++; len(h.silent) == 0 || h.round >= r.rounds(h) {
		return true
	}
	return r.again(h, h.silent)
}

// maxDeaf is how often an address that fell silent is waited for.
const maxDeaf = 3

// again begins another round with ports, canaries spread among them; an address
// is not done then.
func (r *scanRun) again(h *scanHost, ports []uint16) bool {
	canaries := h.canaries()
	every := len(ports)/(len(canaries)+1) + 1
	h.asks, h.next, h.heard = h.asks[:0], 0, false
	for i, p := range ports {
		if i%every == every-1 && len(canaries) > 0 {
			h.asks, canaries = append(h.asks, asking{canaries[0], true}), canaries[1:]
		}
		h.asks = append(h.asks, asking{port: p})
	}
	for _, p := range canaries {
		h.asks = append(h.asks, asking{p, true})
	}
	if len(ports) > 0 {
		h.silent = h.silent[:0]
	}
	return false
}

// canaries are ports that answered: open ones first, and where there are few
// those that are closed.
func (h *scanHost) canaries() []uint16 {
	const most = 4
	all := slices.Concat(h.at.Open[:min(most, len(h.at.Open))], h.extra, h.at.Closed[:min(most, len(h.at.Closed))])
	return all[:min(most, len(all))]
}

// rounds is how often the ports of an address are asked at most: until a port
// that is open would be missed once in a hundred thousand: a survey asks for thousands.
func (r *scanRun) rounds(h *scanHost) int {
	const least, most, miss, lossy = 3, 11, 1e-5, 0.01
	// After few asks the path may be worse than it looked (rule of succession).
	p := float64(r.path.lost+1) / float64(r.path.asked+2)
	if h.own.lost > 1 {
		p = max(p, float64(h.own.lost)/float64(h.own.asked))
	}
	n := most
	if p < 1 {
		n = min(most, max(least, int(math.Ceil(math.Log(miss)/math.Log(p)))))
	}
	if h.at.alive || len(r.known[h.at.Addr]) > 0 || r.path.asked > 100 && float64(r.path.lost) > lossy*float64(r.path.asked) {
		return n
	}
	return 2 // nobody may be there: once more as a whole
}
