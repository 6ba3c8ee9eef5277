package app

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/knowledge"
	"github.com/vedette-hub/vedette/match"
	"github.com/vedette-hub/vedette/product"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/triage"
)

// join gathers the join of one vulnerability for a reader.
func (l *Line) join(ctx context.Context, sc *store.Scoped, id string) (*vedette.Join, error) {
	canonical, sts, err := sc.Statements(ctx, id)
	if err != nil {
		return nil, err
	}
	j := &vedette.Join{ID: canonical, Exploited: []vedette.Exploitation{}, Actors: []vedette.JoinActor{}, Constituents: []vedette.JoinConstituent{}, LeftOut: []vedette.JoinHost{}, Sources: []vedette.JoinSource{}}
	marking := gatherSaid(j, sts)
	if j.EPSS, err = sc.EPSS(ctx, canonical); err != nil {
		return nil, err
	}
	near, err := sc.Neighbours(ctx, canonical, 200)
	if err != nil {
		return nil, err
	}
	for _, n := range near {
		if n.Relation == "exploits" && !n.Out {
			j.Actors = append(j.Actors, vedette.JoinActor{ID: n.ID, Name: n.Name, Source: n.Source})
		}
	}
	if err := l.hosts(ctx, sc, j, &marking); err != nil {
		return nil, err
	}
	if j.LeftOut, err = l.leftOut(ctx, sc, j, &marking); err != nil {
		return nil, err
	}
	if j.Shared, err = sc.SharedFindings(ctx, canonical); err != nil {
		return nil, err
	}
	if len(j.Shared) > 0 {
		// a fact of an asset of others: for its users alone
		marking = marking.Join(vedette.Marking{TLP: vedette.TLPAmberStrict, Audience: vedette.ToOrgs(sc.Principal().Constituents...)})
	}
	j.Mark, j.Marking = marking, marking.String()
	return j, nil
}

// gatherSaid merges the statements and keeps who says what.
func gatherSaid(j *vedette.Join, sts []store.Stated) (marking vedette.Marking) {
	var vs []vedette.Vulnerability
	for _, s := range sts {
		if marking.TLP == vedette.TLPNone {
			marking = s.Claim.Marking
		}
		marking = marking.Join(s.Claim.Marking)
		js := vedette.JoinSource{Name: s.Source.Name, Since: s.Claim.From, Closed: s.Claim.Closed, Reliability: s.Source.Reliability, Marking: s.Claim.Marking.String(), Mark: s.Claim.Marking, Says: "names it"}
		if v := s.Statement.Vulnerability; v != nil {
			v := *v
			js.Says = saying(v)
			v.Exploited = slices.Clone(v.Exploited)
			for i := range v.Exploited {
				x := &v.Exploited[i]
				x.Source, x.Ended, x.Marking = cmp.Or(x.Source, s.Source.Name), s.Claim.Closed, s.Claim.Marking
			}
			if !s.Claim.Closed.IsZero() {
				v.Affected = nil
			}
			vs = append(vs, v)
		}
		j.Sources = append(j.Sources, js)
	}
	v := knowledge.Merge(vs)
	j.Aliases, j.Title, j.Description, j.Published, j.Modified, j.Withdrawn = v.Aliases, v.Title, v.Description, v.Published, v.Modified, v.Withdrawn
	j.CVSS, j.SSVC, j.CWE, j.Solutions, j.Workarounds, j.References = v.CVSS, v.SSVC, v.CWE, v.Solutions, v.Workarounds, v.References
	if v.Exploited != nil {
		j.Exploited = v.Exploited
	}
	return marking
}

// saying is what a source's statement is about, in a few words.
func saying(v vedette.Vulnerability) string {
	switch {
	case v.Withdrawn:
		return "withdrawn"
	case len(v.Exploited) > 0:
		return "exploited"
	case len(v.Affected) > 0:
		return "affected versions"
	}
	return "describes it"
}

// hosts fills in the constituents with their findings and decisions.
func (l *Line) hosts(ctx context.Context, sc *store.Scoped, j *vedette.Join, marking *vedette.Marking) error {
	cs, err := sc.Constituents(ctx)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, c := range cs {
		names[c.ID] = c.Name
	}
	by := map[string]*vedette.JoinConstituent{}
	var order []string
	for after := int64(0); ; {
		fs, next, err := sc.FindingsInFull(ctx, store.FindingFilter{Weakness: j.ID, After: after, Limit: 500})
		if err != nil {
			return err
		}
		for _, f := range fs {
			c := by[f.Constituent]
			if c == nil {
				c = &vedette.JoinConstituent{ID: f.Constituent, Name: names[f.Constituent]}
				by[f.Constituent] = c
				order = append(order, f.Constituent)
			}
			c.Hosts = append(c.Hosts, hostOf(f, marking))
		}
		if next == 0 {
			break
		}
		after = next
	}
	slices.Sort(order)
	for _, id := range order {
		c := by[id]
		decide(c, j)
		sortHosts(c.Hosts)
		j.Constituents = append(j.Constituents, *c)
	}
	return nil
}

func hostOf(f vedette.Finding, marking *vedette.Marking) vedette.JoinHost {
	h := vedette.JoinHost{Constituent: f.Constituent, Asset: f.Asset, Port: f.Port, Proto: f.Proto, Verdict: f.Verdict, Presence: f.Presence,
		Exposed: f.Exposed, FirstSeen: f.FirstSeen, LastSeen: f.LastSeen, Finding: f.ID}
	for i, e := range f.Evidence {
		*marking = marking.Join(e.Marking)
		if i == 0 {
			h.Software, h.Reasons, h.Fixed, h.Check = softwareText(e.Match.Software), e.Match.Reasons, e.Match.Fixed, e.Check
			h.Banner = e.Fact.Banner
		}
	}
	return h
}

func softwareText(s vedette.Software) string {
	text := s.Product
	if s.Vendor != "" {
		text = s.Vendor + " " + text
	}
	if v := cmp.Or(s.PackageVersion, s.Version); v != "" {
		text += " " + v
	}
	return text
}

func sortHosts(hs []vedette.JoinHost) {
	slices.SortFunc(hs, func(a, b vedette.JoinHost) int {
		return cmp.Or(cmp.Compare(a.Verdict.Rank(), b.Verdict.Rank()), cmp.Compare(a.Constituent, b.Constituent), cmp.Compare(a.Asset, b.Asset), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Software, b.Software))
	})
}

// decide takes the clock of a constituent: exposed when any affected host is;
// unknown stays unknown, which the table takes as exposed.
func decide(c *vedette.JoinConstituent, j *vedette.Join) {
	var exposed *bool
	unknown := false
	for _, h := range c.Hosts {
		if h.Presence == vedette.Fixed || h.Presence == vedette.NotObserved {
			continue
		}
		switch {
		case h.Exposed == nil:
			unknown = true
		case exposed == nil || *h.Exposed:
			exposed = h.Exposed
		}
		if c.Observed.IsZero() || h.FirstSeen.Before(c.Observed) {
			c.Observed = h.FirstSeen
		}
	}
	if unknown && (exposed == nil || !*exposed) {
		exposed = nil
	}
	k := clock(vedette.Vulnerability{Exploited: j.Exploited, SSVC: j.SSVC, Published: j.Published}, c.Observed, exposed)
	c.Decision, c.Asserted, c.ClockStart, c.Deadline = k.Ruling, k.Asserted, k.Start, k.Deadline
}

// clock rules by BOD 26-04 and counts from the later of assertion and observation.
func clock(v vedette.Vulnerability, observed time.Time, exposed *bool) vedette.Clock {
	k := vedette.Clock{Ruling: triage.BOD2604(v, exposed), Asserted: knowledge.ExploitedSince(v.Exploited)}
	if observed.IsZero() {
		return k // nothing is there now: no clock runs
	}
	k.Start = observed
	if k.Asserted.After(k.Start) {
		k.Start = k.Asserted
	}
	if k.Asserted.IsZero() && v.Published.After(k.Start) {
		k.Start = v.Published
	}
	k.Deadline = k.Ruling.Deadline(k.Start)
	return k
}

// leftOut computes on demand what makes no finding: software of the product
// that is not affected, fixed by backport, or cannot be told.
func (l *Line) leftOut(ctx context.Context, sc *store.Scoped, j *vedette.Join, marking *vedette.Marking) ([]vedette.JoinHost, error) {
	out := []vedette.JoinHost{}
	ranges, err := sc.Ranges(ctx, j.ID)
	if err != nil || len(ranges) == 0 {
		return out, err
	}
	ix, err := l.load(ctx)
	if err != nil {
		return nil, err
	}
	var members []int64
	groups := map[int64][]match.Candidate{}
	type listed struct {
		class int64
		key   store.RangeKey
	}
	once := map[listed]bool{}
	for _, r := range ranges {
		c := ix.class[r.Name]
		members = append(members, ix.members[c]...)
		if once[listed{c, r.Range}] { // under another name of the same product
			continue
		}
		once[listed{c, r.Range}] = true
		groups[c] = append(groups[c], match.Candidate{Source: r.Source, Affected: r.Affected})
	}
	seen, err := sc.SoftwareNamed(ctx, distinct(members))
	if err != nil {
		return nil, err
	}
	has := map[string]bool{} // places with a finding
	for _, c := range j.Constituents {
		for _, h := range c.Hosts {
			has[placeKey(h.Constituent, h.Asset, h.Port, h.Proto)] = true
		}
	}
	for _, s := range seen {
		for _, sw := range s.Fact.Software {
			m, ok := ix.judgeAll(sw, j.ID, groups)
			if !ok || (m.Verdict.MakesFinding() && has[placeKey(s.Constituent, s.Asset, s.Port, s.Proto)]) {
				continue
			}
			if len(m.Requires) > 0 {
				beside, err := sc.Beside(ctx, map[int64]bool{s.AssetKey: true})
				if err != nil {
					return nil, err
				}
				m = match.Settle(m, beside[s.AssetKey])
			}
			if !m.Verdict.MakesFinding() {
				*marking = marking.Join(s.Marking)
				out = append(out, vedette.JoinHost{Constituent: s.Constituent, Asset: s.Asset, Port: s.Port, Proto: s.Proto, Software: softwareText(sw),
					Verdict: m.Verdict, Reasons: m.Reasons, Fixed: m.Fixed, FirstSeen: s.Since, Check: s.Check, Exposed: s.Exposed})
			}
		}
	}
	sortHosts(out)
	return out, nil
}

func placeKey(parts ...any) string { return sprint(parts...) }

// judgeAll judges a software by every group of ranges it belongs to.
func (ix *index) judgeAll(sw vedette.Software, weakness string, groups map[int64][]match.Candidate) (best vedette.Match, ok bool) {
	done := map[int64]bool{}
	for _, n := range product.Names(sw) {
		c, known := ix.classNamed(n)
		if !known || done[c] || groups[c] == nil {
			continue
		}
		done[c] = true
		if m := match.Judge(sw, weakness, groups[c]); !ok || m.Verdict.Rank() < best.Verdict.Rank() {
			best, ok = m, true
		}
	}
	return best, ok
}
