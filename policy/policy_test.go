package policy

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/vedette-hub/vedette"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	someOrgs    = []string{"alpha", "bravo", "partner"}
	somePersons = []string{"ana", "bob", "local"}
)

// markings draws any marking that can be stored, and some that cannot.
func markings() *rapid.Generator[vedette.Marking] {
	member := rapid.OneOf(
		rapid.Map(rapid.SampledFrom(someOrgs), func(s string) string { return "org:" + s }),
		rapid.Map(rapid.SampledFrom(somePersons), func(s string) string { return "person:" + s }))
	return rapid.Custom(func(t *rapid.T) vedette.Marking {
		m := vedette.Marking{
			TLP:        rapid.SampledFrom([]vedette.TLP{0, 1, 2, 3, 4, 5, 5, 6, 255}).Draw(t, "tlp"),
			PAP:        rapid.SampledFrom([]vedette.PAP{0, 1, 2, 3, 4}).Draw(t, "pap"),
			Originator: rapid.SampledFrom([]string{"", "hub", "org:alpha", "source-one", "hub,source-one"}).Draw(t, "originator"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "groups") {
			g := rapid.SliceOfN(member, 1, 3).Draw(t, "group")
			a, err := vedette.ParseAudience(strings.Join(g, "|"))
			if err != nil {
				t.Fatal(err)
			}
			m.Audience = m.Audience.And(a)
		}
		return m
	})
}

// principals draws any principal; its names are those the markings use.
func principals() *rapid.Generator[vedette.Principal] {
	return rapid.Custom(func(t *rapid.T) vedette.Principal {
		return vedette.Principal{
			Name:         rapid.SampledFrom(append([]string{"", "zoe"}, somePersons...)).Draw(t, "name"),
			Roles:        rapid.SliceOfNDistinct(rapid.SampledFrom(vedette.Roles), 0, 3, rapid.ID[vedette.Role]).Draw(t, "roles"),
			Constituents: rapid.SliceOfNDistinct(rapid.SampledFrom(someOrgs), 0, 2, rapid.ID[string]).Draw(t, "constituents"),
			Orgs:         rapid.SliceOfNDistinct(rapid.SampledFrom(someOrgs), 0, 2, rapid.ID[string]).Draw(t, "orgs"),
		}
	})
}

func TestJoinIsALattice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := markings().Draw(t, "a"), markings().Draw(t, "b"), markings().Draw(t, "c")
		if x, y := a.Join(b), b.Join(a); x != y {
			t.Errorf("not commutative: %v, %v", x, y)
		}
		if x, y := a.Join(b).Join(c), a.Join(b.Join(c)); x != y {
			t.Errorf("not associative: %v, %v", x, y)
		}
		if a.Join(a) != a || a.Join(b).Join(b) != a.Join(b) {
			t.Errorf("not idempotent: %v, %v", a.Join(a), a.Join(b).Join(b))
		}
	})
}

// TestWhoSeesTheWholeSeesTheParts: nothing made of two things is read by
// somebody who may not read one of them.
func TestWhoSeesTheWholeSeesTheParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, p := markings().Draw(t, "a"), markings().Draw(t, "b"), principals().Draw(t, "p")
		if j := a.Join(b); Sees(p, j) && !(Sees(p, a) && Sees(p, b)) {
			t.Errorf("sees %v but not both %v (%t) and %v (%t)", j, a, Sees(p, a), b, Sees(p, b))
		}
	})
}

func TestREDIsForTheNamed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, p := markings().Draw(t, "m"), principals().Draw(t, "p")
		m.TLP = vedette.TLPRed
		named := slices.ContainsFunc(m.Audience.Groups(), func(g []string) bool { return slices.Contains(g, "person:"+p.Name) })
		if Sees(p, m) && (!named || p.Name == "") {
			t.Errorf("%+v sees %v without being named", p, m)
		}
	})
}

func TestUndecidedIsNobodys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, p := markings().Draw(t, "m"), principals().Draw(t, "p")
		m.TLP = vedette.TLP(rapid.SampledFrom([]uint8{0, 6, 7, 100, 255}).Draw(t, "tlp"))
		if Sees(p, m) {
			t.Errorf("%+v sees %d", p, m.TLP)
		}
	})
}

// TestFewerSeesLess: taking a constituent or an organisation away gives
// nothing. Taking the last constituent of a person of the hub away is no
// narrowing: it lets him serve all, which only an admin may decide.
func TestFewerSeesLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, p := markings().Draw(t, "m"), principals().Draw(t, "p")
		less := p
		less.Constituents = part(t, p.Constituents)
		less.Orgs = part(t, p.Orgs)
		if len(p.Constituents) > 0 && len(less.Constituents) == 0 && p.Has(staff...) {
			t.Skip("widened")
		}
		if Sees(less, m) && !Sees(p, m) {
			t.Errorf("%+v sees %v, %+v does not", less, m, p)
		}
		moreAll, more := Constituents(p)
		lessAll, ids := Constituents(less)
		if lessAll && !moreAll || !moreAll && slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(more, id) }) {
			t.Errorf("%+v meets more constituents than %+v", less, p)
		}
	})
}

func part(t *rapid.T, of []string) []string {
	var out []string
	for _, s := range of {
		if rapid.Bool().Draw(t, "keep") {
			out = append(out, s)
		}
	}
	return out
}

// TestMachineReadsNothing: the roles that run things read no content.
func TestMachineReadsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, p := markings().Draw(t, "m"), principals().Draw(t, "p")
		p.Roles = rapid.SliceOfDistinct(rapid.SampledFrom([]vedette.Role{vedette.Admin, vedette.Ingest, vedette.API, vedette.ProbeWorker}), rapid.ID[vedette.Role]).Draw(t, "machine")
		if all, ids := Constituents(p); Sees(p, m) || all || len(ids) > 0 {
			t.Errorf("%+v reads %v, meets %v", p, m, ids)
		}
	})
}

func TestMayLower(t *testing.T) {
	lead, analyst := vedette.Principal{Name: "lea", Roles: []vedette.Role{vedette.Lead}}, vedette.Principal{Name: "ana", Roles: []vedette.Role{vedette.Analyst}}
	m := func(t vedette.TLP, audience string) vedette.Marking {
		return vedette.Marking{TLP: t, Originator: "source-one", Audience: vedette.Audience(audience)}
	}
	for _, c := range []struct {
		name     string
		who      vedette.Principal
		from, to vedette.Marking
		reason   string
		consent  bool
		may      bool
	}{
		{"same", analyst, m(vedette.TLPAmber, ""), m(vedette.TLPAmber, ""), "", false, true},
		{"higher", analyst, m(vedette.TLPGreen, ""), m(vedette.TLPAmber, ""), "", false, true},
		{"narrower", analyst, m(vedette.TLPGreen, ""), m(vedette.TLPGreen, "org:alpha"), "", false, true},
		{"lower, all there", lead, m(vedette.TLPAmber, ""), m(vedette.TLPGreen, ""), "agreed", true, true},
		{"lower, not a lead", analyst, m(vedette.TLPAmber, ""), m(vedette.TLPGreen, ""), "agreed", true, false},
		{"lower, no reason", lead, m(vedette.TLPAmber, ""), m(vedette.TLPGreen, ""), " \t", true, false},
		{"lower, no consent", lead, m(vedette.TLPAmber, ""), m(vedette.TLPGreen, ""), "agreed", false, false},
		{"wider audience", lead, m(vedette.TLPAmber, "org:alpha"), m(vedette.TLPAmber, "org:alpha|org:bravo"), "", true, false},
		{"no audience", lead, m(vedette.TLPAmberStrict, "org:alpha"), m(vedette.TLPAmberStrict, ""), "", true, false},
		{"out of quarantine", analyst, m(vedette.TLPRed, ""), m(vedette.TLPRed, "person:ana"), "mine", true, false},
		{"lower PAP", analyst, vedette.Marking{TLP: vedette.TLPGreen, PAP: vedette.PAPRed}, vedette.Marking{TLP: vedette.TLPGreen, PAP: vedette.PAPClear}, "x", true, false},
		{"originator lost", analyst, m(vedette.TLPAmber, ""), vedette.Marking{TLP: vedette.TLPAmber}, "x", true, false},
	} {
		if err := MayLower(c.who, c.from, c.to, c.reason, c.consent); (err == nil) != c.may {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestLookAlikes: what is not exactly a label is an error and RED.
func TestLookAlikes(t *testing.T) {
	for _, s := range []string{
		"", " ", "TLP:", "TLP:TLP:CLEAR", "CLEAR ", " CLEAR", "CLEAR\n", "TLP: CLEAR", "TLP:CLEAR\u200b", "\ufeffTLP:CLEAR", "TLP\u200d:CLEAR",
		"СLEAR" /* Cyrillic Es */, "TLP:СLEAR", "GRЕEN", "АMBER", "ＣＬＥＡＲ", "ＴＬＰ:CLEAR", "TLP：CLEAR", "wh\u0131te", "WH\u0130TE", "AMBER+\u017ftrict",
		"AMBER + STRICT", "AMBER-STRICT", "AMBER＋STRICT", "CLEAR\x00", "CLEAR;RED", "C\u0301LEAR", "CLEAR\u202e", "NONE", "UNKNOWN", "0", "TLP:WHITE:CLEAR",
	} {
		if got, err := vedette.ParseTLP(s); err == nil || got != vedette.TLPRed {
			t.Errorf("%q is %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"wh\u0131te", "ＲＥＤ", "RED ", "PAP:", ""} {
		if got, err := vedette.ParsePAP(s); err == nil || got != vedette.PAPRed {
			t.Errorf("PAP %q is %v, %v", s, got, err)
		}
	}
	for s, want := range map[string]vedette.TLP{"clear": 1, "White": 1, "tlp:green": 2, "TLP:Amber": 3, "amber+strict": 4, "TLP:RED": 5} {
		if got, err := vedette.ParseTLP(s); err != nil || got != want {
			t.Errorf("%q is %v, %v", s, got, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		got, err := vedette.ParseTLP(s)
		if err != nil && got != vedette.TLPRed {
			t.Errorf("%q: %v", s, got)
		}
		if err == nil && strings.TrimPrefix(strings.ToUpper(got.String()), "TLP:") != strings.TrimPrefix(strings.ToUpper(s), "TLP:") && !strings.HasSuffix(strings.ToUpper(s), "WHITE") {
			t.Errorf("%q is %v", s, got)
		}
	})
}

func TestAudienceTakesNoForgery(t *testing.T) {
	for _, s := range []string{"hub", "nobody", "person:", "org:", "org: ", "role:lead", "all", "*", "org:a,b", "person:ana&", "&", "|", "org:a b"} {
		if a, err := vedette.ParseAudience(s); err == nil {
			t.Errorf("%q is %q", s, a)
		}
	}
}

// TestEveryRow exercises each row for each role, bound and not, and compares
// the matrix with the reviewed one.
func TestEveryRow(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "# May: a for any principal of the role, w for one that is not bound to constituents, - never.\n%-18s", "act")
	for _, r := range vedette.Roles {
		fmt.Fprintf(&b, " %-13s", r)
	}
	b.WriteString("nobody\n")
	seen := map[Act]bool{}
	for _, row := range Table {
		if seen[row.Act] {
			t.Errorf("%s stands twice", row.Act)
		}
		seen[row.Act] = true
		allowed, refused := 0, 0
		fmt.Fprintf(&b, "%-18s", row.Act)
		for _, r := range append(slices.Clone(vedette.Roles), "") {
			free, bound := vedette.Principal{Name: "ana"}, vedette.Principal{Name: "ana", Constituents: []string{"alpha"}}
			if r != "" {
				free.Roles, bound.Roles = []vedette.Role{r}, []vedette.Role{r}
			}
			mark := "-"
			switch f, w := May(free, row.Act), May(bound, row.Act); {
			case w && !f:
				t.Errorf("%s may %s only when bound", r, row.Act)
			case w:
				mark, allowed = "a", allowed+1
			case f:
				mark, allowed = "w", allowed+1
				refused++
			default:
				refused++
			}
			if r == "" {
				b.WriteString(mark)
			} else {
				fmt.Fprintf(&b, " %-13s", mark)
			}
		}
		b.WriteByte('\n')
		if allowed == 0 || (refused == 0 && row.Roles != nil) {
			t.Errorf("%s: %d allowed, %d refused", row.Act, allowed, refused)
		}
	}
	golden(t, "testdata/table.txt", b.String())
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("the policy changed: review it, then run with -update\n%s", got)
	}
}

func TestUnknownActs(t *testing.T) {
	all := vedette.Principal{Name: "ana", Roles: vedette.Roles}
	for _, a := range []Act{"", "import ", "IMPORT", "finding", "finding purge", "constituent", "*", "version x"} {
		if May(all, a) {
			t.Errorf("%q is allowed", a)
		}
	}
	if AllAudit(vedette.Principal{Roles: []vedette.Role{vedette.Lead}, Constituents: []string{"alpha"}}) {
		t.Error("a lead bound to a constituent reads the acts of all")
	}
}
