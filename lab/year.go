package lab

import (
	"bufio"
	"fmt"
	"io"
	"time"
)

// Changed is what one day changed.
type Changed struct{ Upgraded, Appeared, Vanished int }

// changesPerDay is the share of services that change in a day.
const changesPerDay = 0.005

// Next goes on to the next day: half a percent of the services change.
func (w *World) Next() Changed {
	var c Changed
	w.day++
	for range int(changesPerDay*float64(w.estate.Services) + 0.5) {
		h := &w.hosts[w.r.under(len(w.hosts))]
		s := &h.services[w.r.under(len(h.services))]
		switch x := w.r.float(); {
		case s.gone:
			s.gone = false
			c.Appeared++
		case x < 0.15:
			w.add(h)
			c.Appeared++
		case x < 0.35:
			s.gone = true
			c.Vanished++
		default:
			w.upgrade(s)
			c.Upgraded++
		}
	}
	return c
}

// upgrade moves a service to another version: mostly a later one, or to
// another product where it runs the last one.
func (w *World) upgrade(s *service) {
	p := &w.products[s.product]
	last := uint16(len(p.Versions) - 1)
	switch {
	case s.form == debian || s.form == unknown || s.form == bare:
		s.form, s.version = named, last
	case s.version < last:
		s.version += uint16(1 + w.r.under(int(last-s.version)))
	case last > 0: // the next release, which the estate knows as an older number
		s.version = uint16(w.r.under(int(last)))
	default:
		s.form = (full + named) - s.form
	}
}

// EPSS makes up the daily scores of vulnerabilities.
type EPSS struct {
	cves   []string
	scores []float64
	r      *random
	day    int
	start  time.Time
}

// NewEPSS begins a series for the vulnerabilities at a day.
func NewEPSS(seed uint64, cves []string, start time.Time) *EPSS {
	e := &EPSS{cves: cves, scores: make([]float64, len(cves)), r: newRandom(seed, "epss"), day: -1, start: start}
	for i := range e.scores {
		x := e.r.float()
		e.scores[i] = 0.00043 + 0.97*x*x*x*x*x*x*x*x*x*x*x*x // few are likely
	}
	return e
}

// CVEs makes up n ids of 24 years, year by year.
func CVEs(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("CVE-%d-%d", 2002+i*24/n, 10000+i%((n+23)/24))
	}
	return out
}

// Next writes the file of the next day: one score in seventy moves by more
// than a hundredth; the model changes twice a year.
func (e *EPSS) Next(w io.Writer) error {
	e.day++
	if e.day > 0 {
		renewed := e.day%182 == 0
		for i, s := range e.scores {
			switch {
			case renewed:
				s *= 0.8 + 0.4*e.r.float()
			case e.r.chance(1.0 / 70):
				s += (e.r.float() - 0.4) * 0.2
			default:
				s += (e.r.float() - 0.5) * 0.0004
			}
			e.scores[i] = min(max(s, 0.0001), 0.9999)
		}
	}
	const steps = 10_000
	var at, below [steps + 1]int
	for _, s := range e.scores {
		at[int(s*steps)]++
	}
	for i := 1; i <= steps; i++ {
		below[i] = below[i-1] + at[i-1]
	}
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "#model_version:v%d.%02d.01,score_date:%s\ncve,epss,percentile\n", 2026+e.day/364, 1+e.day/182%2*6, e.start.AddDate(0, 0, e.day).Format("2006-01-02T15:04:05-0700"))
	for i, s := range e.scores {
		fmt.Fprintf(b, "%s,%.5f,%.5f\n", e.cves[i], s, float64(below[int(s*steps)])/float64(len(e.scores)))
	}
	return b.Flush()
}
