package app

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/compose"
	"github.com/vedette-hub/vedette/knowledge"
	"github.com/vedette-hub/vedette/store"
)

// kindExposure is one publication with an edition for each constituent: what is
// exploited and there, old and new.
const kindExposure = "exposure"

// exposureEvery is how often the line drafts the edition of one constituent.
const exposureEvery = 24 * time.Hour

// exposures drafts the known exploited exposure of constituents whose cases
// changed, each at most once in a day. What is newly exploited alone has its
// alerts and needs no list.
func (l *Line) exposures(ctx context.Context) error {
	due, err := l.sys.ExposuresDue(ctx, kindExposure)
	if err != nil || len(due) == 0 {
		return err
	}
	window, err := l.window()
	if err != nil {
		return err
	}
	now := l.store.Now()
	var es []vedette.Edition
	var done []store.ExposureDue
	for _, d := range due {
		if !d.Drafted.IsZero() && now.Sub(d.Drafted) < exposureEvery {
			if err := l.sys.ExposureDone(ctx, d, true); err != nil {
				return err
			}
			continue
		}
		done = append(done, d)
		if d.Constituent == "" {
			continue
		}
		x, m, err := l.exposure(ctx, d.Constituent)
		if err != nil {
			return err
		}
		old := func(w compose.Exposed) bool { return w.Since.Before(now.Add(-window)) }
		if !d.Drafted.IsZero() || slices.ContainsFunc(x.Weaknesses, old) {
			if es, err = l.withEdition(ctx, es, x, m); err != nil {
				return err
			}
		}
	}
	if len(es) > 0 {
		sc, err := l.store.As(ctx, author)
		if err != nil {
			return err
		}
		if _, _, err := sc.SaveDraft(ctx, kindExposure, "", es); err != nil {
			return err
		}
	}
	for _, d := range done {
		if err := l.sys.ExposureDone(ctx, d, false); err != nil {
			return err
		}
	}
	return nil
}

// withEdition adds the edition of a constituent. One that has nothing to tell
// any more takes its draft back.
func (l *Line) withEdition(ctx context.Context, es []vedette.Edition, x compose.Exposure, m vedette.Marking) ([]vedette.Edition, error) {
	if len(x.Weaknesses) == 0 {
		return es, l.sys.DropDrafts(ctx, kindExposure, "", []string{x.Constituent.ID}, "nothing exploited is there any more")
	}
	body, err := json.Marshal(x)
	if err != nil {
		return nil, err
	}
	return append(es, vedette.Edition{Constituent: x.Constituent.ID, Level: string(x.Level), Marking: m, Body: body, Says: x.Says()}), nil
}

// exposure gathers the edition of a constituent: what it may read of itself.
func (l *Line) exposure(ctx context.Context, constituent string) (x compose.Exposure, m vedette.Marking, err error) {
	m = vedette.Marking{TLP: vedette.TLPAmberStrict, Audience: vedette.ToOrgs(constituent)}
	sc, err := l.store.As(ctx, recipient(constituent))
	if err != nil {
		return x, m, err
	}
	cs, err := sc.Constituents(ctx)
	if err != nil {
		return x, m, err
	}
	x.Version, x.Constituent = "1", compose.Constituent{ID: constituent}
	for _, c := range cs {
		if c.ID == constituent {
			x.Constituent.Name = c.Name
		}
	}
	known, err := sc.KnownExploited(ctx, constituent)
	if err != nil {
		return x, m, err
	}
	at := map[string]int{}
	for _, k := range known {
		w := compose.Exposed{CVE: k.Weakness, Title: k.Title, Since: knowledge.ExploitedSince(k.Exploited), Deadline: k.Deadline}
		if k.Ruling != nil {
			w.Outcome = k.Ruling.Outcome
		}
		m = m.Join(k.Marking)
		for _, e := range k.Exploited {
			if !slices.Contains(w.By, e.Source) {
				w.By = append(w.By, e.Source)
			}
		}
		at[k.Weakness] = len(x.Weaknesses)
		x.Weaknesses = append(x.Weaknesses, w)
	}
	for after := int64(0); ; {
		fs, next, err := sc.FindingsInFull(ctx, store.FindingFilter{Constituent: constituent, Exploited: true, After: after, Limit: 500})
		if err != nil {
			return x, m, err
		}
		for _, f := range fs {
			if i, ok := at[f.Weakness]; ok && f.Presence != vedette.Fixed {
				addHost(&x.Weaknesses[i], hostOf(f, &m))
			}
		}
		if after = next; next == 0 {
			break
		}
	}
	x.Weaknesses = slices.DeleteFunc(x.Weaknesses, func(w compose.Exposed) bool { return len(w.Hosts) == 0 })
	x.Rate()
	x.Marking = m.String()
	return x, m, nil
}

// addHost adds a place, and the version that repairs it.
func addHost(w *compose.Exposed, h vedette.JoinHost) {
	w.Hosts = append(w.Hosts, composeHost(h))
	if h.Fixed != "" && !slices.Contains(w.Fix, h.Fixed) {
		w.Fix = append(w.Fix, h.Fixed)
		slices.Sort(w.Fix)
	}
}

// draftExposure drafts the editions of constituents now, of all of them by default.
func (d *desk) draftExposure(ctx context.Context, whom []string) (p vedette.Publication, changed bool, err error) {
	if len(whom) == 0 {
		cs, err := d.sc.Constituents(ctx)
		if err != nil {
			return p, false, err
		}
		for _, c := range cs {
			whom = append(whom, c.ID)
		}
	}
	var es []vedette.Edition
	for _, c := range whom {
		x, m, err := d.line.exposure(ctx, c)
		if err != nil {
			return p, false, err
		}
		if es, err = d.line.withEdition(ctx, es, x, m); err != nil {
			return p, false, err
		}
	}
	if len(es) == 0 {
		return p, false, vedette.NotFound("nothing exploited is there")
	}
	return d.sc.SaveDraft(ctx, kindExposure, "", es)
}
