package probe

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/scope"
)

// TestDNSAgainstTheLab: on the lab's internet, what the checks of names report
// is what its truth says, no more and no less.
func TestDNSAgainstTheLab(t *testing.T) {
	in, err := lab.Load(lab.Moved(lab.Default(), 150+os.Getpid()%50))
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Serve(t.Context()); err != nil {
		t.Skipf("this machine cannot serve the lab: %v", err)
	}
	defer in.Close()
	resolver := in.Resolver().String()
	d := safe.NewDialer(true, resolver)
	constituents, err := in.Constituency()
	if err != nil {
		t.Fatal(err)
	}
	names, want, ns := map[string][]string{}, []string{}, uint16(53)
	for _, c := range constituents {
		for _, e := range c.Scope {
			if e.Domain != "" && !slices.Contains(names[c.ID], e.Domain) {
				names[c.ID] = append(names[c.ID], e.Domain)
			}
		}
	}
	for _, r := range in.Truth() {
		if a, err := vedette.ParseAsset(r.Asset); err != nil || a.Kind != vedette.NameAsset {
			if r.Port%1000 == 53 && r.Service == "dns" {
				ns = uint16(r.Port)
			}
			continue
		}
		if !slices.Contains(names[r.Constituent], r.Asset) {
			names[r.Constituent] = append(names[r.Constituent], r.Asset)
		}
		if r.Port == 0 {
			for _, w := range r.Weaknesses {
				want = append(want, r.Asset+" "+w)
			}
		}
	}
	var got []string
	looks := 0
	for _, c := range constituents {
		rules := scope.NewRules(c, nil, true, time.Now)
		env := &Env{Resolver: NewResolver(d, []string{resolver}, 2*time.Second), Timeout: 2 * time.Second, Now: time.Now,
			Net: d.Scope(rules.Decide, func(vedette.Target, error) {}, safe.NewBrakes(safe.Pace{Connects: 1e3, Requests: 1e3, PerNetwork: 1e3, Constituent: 1e3}))}
		for _, name := range names[c.ID] {
			s := Subject{Asset: vedette.Asset{ID: name, Kind: vedette.NameAsset}}
			for _, check := range []Check{DNS, Mail, MTASTS, zoneTransfer(ns)} {
				if rules.Name(name, check.Class) != nil {
					continue
				}
				looks++
				err := check.Run(t.Context(), env, s, func(o vedette.Observation) {
					for _, r := range o.Fact.Reports {
						got = append(got, name+" "+r.Weakness)
					}
				})
				if err != nil && !strings.Contains(err.Error(), "not looked at") {
					t.Errorf("%s of %s: %v", check.Name, name, err)
				}
			}
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	t.Logf("%d looks: %d of %d weaknesses", looks, len(got), len(want))
	if !slices.Equal(got, want) {
		t.Errorf("found\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
