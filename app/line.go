package app

import (
	"context"
	"slices"
	"sync"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/match"
	"github.com/vedette-hub/vedette/product"
	"github.com/vedette-hub/vedette/store"
)

// Line is the stages in order: what a document said becomes matches, matches
// become findings. Each stage takes its work from the to-do table.
type Line struct {
	store   *store.Store
	sys     *store.System
	work    store.Worker
	stages  []stage
	index   *index
	version store.NamesVersion
	// alerts is what the operator decides about drafts; nil decides nothing.
	alerts func() (config.Alerts, error)
	// pages ask one line side by side: one of them works at a time, and the
	// index is made by one.
	drains, loads sync.Mutex
	// Progress is told of every batch, when set.
	Progress func(stage string, rows int)
}

type stage struct {
	store.Stage
	batch int
	run   func(*store.Work) error
}

// NewLine is the line of a store.
func NewLine(s *store.Store) *Line {
	l := &Line{}
	if s != nil {
		l.store, l.sys, l.work = s, s.System(), s.System()
	}
	l.stages = []stage{
		{store.StageName, 2000, l.names},
		{store.StageVulnerability, 400, l.vulnerabilities},
		{store.StageFact, 2000, l.facts},
		{store.StageAsset, 10_000, l.assets},
	}
	if s != nil { // a rebuild makes no cases: they are never computed again
		l.stages = append(l.stages, stage{store.StageCase, 20_000, l.cases})
	}
	return l
}

// Drain runs all stages until nothing is left to do. After every batch it
// begins at the first stage again, where urgent work comes first.
func (l *Line) Drain(ctx context.Context) error {
	l.drains.Lock()
	defer l.drains.Unlock()
	if n, err := l.sys.Waiting(ctx, muchWork); err != nil {
		return err
	} else if n == muchWork {
		if err := l.sys.Analyze(ctx); err != nil {
			return err
		}
	}
	if err := l.stagesDry(ctx); err != nil {
		return err
	}
	if err := l.drafts(ctx); err != nil {
		return err
	}
	if err := l.sys.FoldCounters(ctx); err != nil {
		return err
	}
	_, err := l.sys.Work(ctx, store.StageSeal, 1<<20, func(*store.Work) error { return nil })
	if err != nil {
		return err
	}
	return l.sys.Seal(ctx)
}

// muchWork is how many rows to do say that a large import came before.
const muchWork = 50_000

// Inside runs the stages inside the transaction of a rebuild.
func (l *Line) Inside(ctx context.Context) func(store.Worker) error {
	return func(w store.Worker) error {
		in := NewLine(nil)
		in.work, in.Progress = w, l.Progress
		return in.stagesDry(ctx)
	}
}

// stagesDry runs the stages until none has work.
func (l *Line) stagesDry(ctx context.Context) error {
	for {
		if worked, err := l.step(ctx); err != nil || !worked {
			return err
		}
	}
}

func (l *Line) step(ctx context.Context) (bool, error) {
	for _, st := range l.stages {
		n, err := l.work.Work(ctx, st.Stage, st.batch, st.run)
		if err != nil {
			return false, err
		}
		if n > 0 {
			if l.Progress != nil {
				l.Progress(st.Name, n)
			}
			return true, nil
		}
	}
	return false, nil
}

// index is what matching knows of names: which are one product's.
type index struct {
	names   map[int64]vedette.ProductName
	classes *product.Classes
	loose   *product.Classes  // with the aliases in doubt: what may have been joined before
	class   map[int64]int64   // of a name's key
	members map[int64][]int64 // keys of a class
	public  map[int64]bool    // markings everybody who reads intelligence sees
	facts   map[int64]*factInfo
	keys    map[vedette.ProductName]int64
}

// factInfo is a fact with the classes each of its software belongs to.
type factInfo struct {
	fact    vedette.Fact
	classes [][]int64
}

// load reads names and aliases; an alias above GREEN joins nothing, since a
// finding would tell of it.
func (l *Line) load(ctx context.Context) (*index, error) {
	l.loads.Lock()
	defer l.loads.Unlock()
	version, err := l.work.NamesVersion(ctx)
	if err != nil {
		return nil, err
	}
	if l.index != nil && l.version == version {
		return l.index, nil
	}
	ix := &index{class: map[int64]int64{}, members: map[int64][]int64{}, public: map[int64]bool{}, facts: map[int64]*factInfo{}}
	if ix.names, err = l.work.Names(ctx); err != nil {
		return nil, err
	}
	marks, err := l.work.Markings(ctx)
	if err != nil {
		return nil, err
	}
	for k, m := range marks {
		ix.public[k] = everybodys(m)
	}
	rows, err := l.work.Aliases(ctx)
	if err != nil {
		return nil, err
	}
	var stated, accepted []vedette.Alias
	for _, a := range rows {
		alias := vedette.Alias{From: ix.names[a.From], To: ix.names[a.To]}
		switch {
		case !ix.public[a.Mark]:
		case a.Accepted:
			accepted = append(accepted, alias)
		default:
			stated = append(stated, alias)
		}
	}
	ix.classes = product.NewClasses(product.Shipped(), product.Doubt(stated), accepted)
	ix.loose = product.NewClasses(product.Shipped(), stated, accepted)
	ix.keys = make(map[vedette.ProductName]int64, len(ix.names))
	for k, n := range ix.names {
		ix.keys[n] = k
		ix.class[k] = ix.classOf(k, n)
		ix.members[ix.class[k]] = append(ix.members[ix.class[k]], k)
	}
	l.index, l.version = ix, version
	return ix, nil
}

// everybodys says whether every reader of intelligence may know what carries a marking.
func everybodys(m vedette.Marking) bool { return m.TLP <= vedette.TLPGreen && m.Audience == "" }

// classOf numbers the product of a name: alone it is its own.
func (ix *index) classOf(k int64, n vedette.ProductName) int64 {
	if c := ix.classes.Class(n); c >= 0 {
		return int64(c)
	}
	return -k
}

// names: the vulnerabilities of every product whose names changed are matched again.
func (l *Line) names(w *store.Work) error {
	ix, err := l.load(w.Context())
	if err != nil {
		return err
	}
	var members []int64
	for _, k := range w.Keys {
		members = append(members, ix.members[ix.class[k]]...)
		for _, n := range ix.loose.All(ix.names[k]) {
			if nk, ok := ix.keys[n]; ok {
				members = append(members, nk)
			}
		}
	}
	return w.Rematch(distinct(members))
}

// vulnerabilities: what changed in a vulnerability meets all software that is seen.
func (l *Line) vulnerabilities(w *store.Work) error {
	ix, err := l.load(w.Context())
	if err != nil {
		return err
	}
	ranges, err := w.RangesOf(w.Keys)
	if err != nil {
		return err
	}
	var members []int64
	for _, r := range ranges {
		members = append(members, ix.members[ix.class[r.Name]]...)
	}
	named, err := w.FactsNamed(distinct(members))
	if err != nil {
		return err
	}
	shown := map[int64][]int64{} // facts by class
	var all []int64
	for n, fs := range named {
		shown[ix.class[n]] = append(shown[ix.class[n]], fs...)
		all = append(all, fs...)
	}
	if err := ix.loadFacts(w, all); err != nil {
		return err
	}
	var pairs []store.Pair
	for _, group := range byObject(ix, ranges) {
		for _, f := range distinct(shown[group.class]) {
			if pairs, err = ix.judge(w, pairs, group, f); err != nil {
				return err
			}
		}
	}
	if pairs, err = l.reported(w, ix, pairs); err != nil {
		return err
	}
	if err := w.SetPairs(w.Keys, nil, strongest(pairs)); err != nil {
		return err
	}
	return w.TouchCases()
}

// reported adds what looks report of these weaknesses themselves.
func (l *Line) reported(w *store.Work, ix *index, pairs []store.Pair) ([]store.Pair, error) {
	ids, err := w.Weaknesses(w.Keys)
	if err != nil {
		return nil, err
	}
	var names []int64
	for id := range ids {
		if k, ok := ix.keys[store.WeaknessName(id)]; ok {
			names = append(names, k)
		}
	}
	if len(names) == 0 {
		return pairs, nil
	}
	named, err := w.FactsNamed(distinct(names))
	if err != nil {
		return nil, err
	}
	var all []int64
	for _, fs := range named {
		all = append(all, fs...)
	}
	more, err := reports(w, ix, distinct(all))
	for _, p := range more {
		if slices.Contains(w.Keys, p.Object) {
			pairs = append(pairs, p)
		}
	}
	return pairs, err
}

// reports are the pairs of facts that report weaknesses themselves.
func reports(w *store.Work, ix *index, facts []int64) ([]store.Pair, error) {
	if err := ix.loadFacts(w, facts); err != nil {
		return nil, err
	}
	var ids []string
	for _, f := range facts {
		if info := ix.facts[f]; info != nil {
			for _, r := range info.fact.Reports {
				ids = append(ids, r.Weakness)
			}
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	keys, err := w.WeaknessKeys(ids)
	if err != nil {
		return nil, err
	}
	mark, err := w.Public()
	if err != nil {
		return nil, err
	}
	var out []store.Pair
	for _, f := range facts {
		info := ix.facts[f]
		if info == nil {
			continue
		}
		for _, r := range info.fact.Reports {
			if k := keys[r.Weakness]; k != 0 && r.Verdict.MakesFinding() {
				out = append(out, store.Pair{Object: k, Fact: f, Mark: mark, Match: vedette.Match{Weakness: r.Weakness, Verdict: r.Verdict, Source: r.By, Reasons: []string{r.By + " reports it: " + r.Note}}})
			}
		}
	}
	return out, nil
}

// facts: software seen for the first time meets all that is known.
func (l *Line) facts(w *store.Work) error {
	ix, err := l.load(w.Context())
	if err != nil {
		return err
	}
	if err := ix.loadFacts(w, w.Keys); err != nil {
		return err
	}
	shown := map[int64][]int64{}
	var members []int64
	for _, f := range w.Keys {
		info := ix.facts[f]
		if info == nil {
			continue
		}
		for _, cs := range info.classes {
			for _, c := range cs {
				shown[c] = append(shown[c], f)
				members = append(members, ix.members[c]...)
			}
		}
	}
	ranges, err := w.RangesNamed(distinct(members))
	if err != nil {
		return err
	}
	var pairs []store.Pair
	for _, group := range byObject(ix, ranges) {
		for _, f := range distinct(shown[group.class]) {
			if pairs, err = ix.judge(w, pairs, group, f); err != nil {
				return err
			}
		}
	}
	more, err := reports(w, ix, w.Keys)
	if err != nil {
		return err
	}
	return w.SetPairs(nil, w.Keys, strongest(append(pairs, more...)))
}

// cases: a weakness at a constituent is something to do while it is there.
func (l *Line) cases(w *store.Work) error { return w.SettleCases() }

// assets: what is seen on an asset now makes its findings.
func (l *Line) assets(w *store.Work) error { return w.SettleAssets() }

// distinct sorts keys and drops repeats.
func distinct(ks []int64) []int64 {
	slices.Sort(ks)
	return slices.Compact(ks)
}

// group are the ranges of one vulnerability for one product.
type group struct {
	object, class int64
	weakness      string
	public        []match.Candidate
	publicMarks   []int64
	more          map[int64][]match.Candidate // by marking above the public ones
	has           map[store.RangeKey]bool
}

// byObject groups ranges by vulnerability and product, in the order they come.
func byObject(ix *index, ranges []store.Ranged) []*group {
	type key struct{ object, class int64 }
	groups := map[key]*group{}
	var out []*group
	for _, r := range ranges {
		k := key{r.Object, ix.class[r.Name]}
		g := groups[k]
		if g == nil {
			g = &group{object: r.Object, class: k.class, weakness: r.Weakness, more: map[int64][]match.Candidate{}, has: map[store.RangeKey]bool{}}
			groups[k] = g
			out = append(out, g)
		}
		if g.has[r.Range] { // under another name of the same product
			continue
		}
		g.has[r.Range] = true
		c := match.Candidate{Source: r.Source, Affected: r.Affected}
		if ix.public[r.Mark] {
			g.public = append(g.public, c)
			g.publicMarks = append(g.publicMarks, r.Mark)
		} else {
			g.more[r.Mark] = append(g.more[r.Mark], c)
		}
	}
	return out
}

// loadFacts reads facts that the index does not hold, and finds their products.
func (ix *index) loadFacts(w *store.Work, ks []int64) error {
	if len(ix.facts) > 200_000 {
		clear(ix.facts)
	}
	var want []int64
	for _, k := range distinct(slices.Clone(ks)) {
		if ix.facts[k] == nil {
			want = append(want, k)
		}
	}
	got, err := w.Facts(want)
	if err != nil {
		return err
	}
	for k, f := range got {
		info := &factInfo{fact: f, classes: make([][]int64, len(f.Software))}
		for i, sw := range f.Software {
			for _, n := range product.Names(sw) {
				if c, ok := ix.classNamed(n); ok {
					info.classes[i] = append(info.classes[i], c)
				}
			}
		}
		ix.facts[k] = info
	}
	return nil
}

// judge judges the software of a fact that is of the group's product: once by
// what is public, and once more for each marking above with what it adds.
func (ix *index) judge(w *store.Work, pairs []store.Pair, g *group, f int64) ([]store.Pair, error) {
	info := ix.facts[f]
	if info == nil {
		return pairs, nil
	}
	for i, sw := range info.fact.Software {
		if !slices.Contains(info.classes[i], g.class) {
			continue
		}
		if len(g.public) > 0 {
			mark, err := w.JoinMarks(g.publicMarks...)
			if err != nil {
				return nil, err
			}
			pairs = found(pairs, store.Pair{Object: g.object, Fact: f, Mark: mark, Match: match.Judge(sw, g.weakness, g.public)})
		}
		for m, more := range g.more {
			mark, err := w.JoinMarks(append(slices.Clone(g.publicMarks), m)...)
			if err != nil {
				return nil, err
			}
			pairs = found(pairs, store.Pair{Object: g.object, Fact: f, Mark: mark, Match: match.Judge(sw, g.weakness, append(slices.Clone(g.public), more...))})
		}
	}
	return pairs, nil
}

// found keeps a match that makes a finding; the others are computed on demand.
func found(pairs []store.Pair, p store.Pair) []store.Pair {
	if !p.Match.Verdict.MakesFinding() {
		return pairs
	}
	return append(pairs, p)
}

// strongest keeps the strongest match of each vulnerability, fact and marking.
func strongest(pairs []store.Pair) []store.Pair {
	type key struct{ object, fact, mark int64 }
	at := map[key]int{}
	var out []store.Pair
	for _, p := range pairs {
		k := key{p.Object, p.Fact, p.Mark}
		if i, ok := at[k]; !ok {
			at[k] = len(out)
			out = append(out, p)
		} else if p.Match.Verdict.Rank() < out[i].Match.Verdict.Rank() {
			out[i] = p
		}
	}
	return out
}

// classNamed is the class of a product's name, false when nobody named it yet.
func (ix *index) classNamed(n vedette.ProductName) (int64, bool) {
	k, ok := ix.keys[n]
	return ix.class[k], ok
}
