package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/policy"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// graphClaim is one claim of a random source, as a record of a made-up format.
type graphClaim struct {
	Source  string
	Marking vedette.Marking
	Object  string // CVE or actor
	Word    string // unique: what only this claim says
	Alias   string
	Link    string // the actor's CVE
	Score   float64
}

// graphOptions read the made-up records in place of the real formats.
func graphOptions() store.Options {
	opt := StoreOptions()
	opt.Say = func(_ string, body []byte) (vedette.Said, error) {
		var c graphClaim
		if err := json.Unmarshal(body, &c); err != nil {
			return vedette.Said{}, err
		}
		if c.Score > 0 {
			return vedette.Said{Points: []vedette.Point{{CVE: c.Object, Day: worldStart.Truncate(24 * time.Hour), Score: c.Score, Percentile: c.Score, Model: c.Word}}}, nil
		}
		st := vedette.Statement{Object: c.Object, Own: c.Word, Type: vedette.TypeActor, Name: c.Word, Since: worldStart, Values: []string{c.Alias, c.Word}, Text: c.Word}
		if strings.HasPrefix(c.Object, "CVE-") {
			st.Type, st.Vulnerability = vedette.TypeVulnerability, &vedette.Vulnerability{ID: c.Object, Title: c.Word}
		}
		if c.Link != "" {
			st.Links = []vedette.Link{{Relation: "exploits", To: c.Link, ToType: vedette.TypeVulnerability}}
		}
		return vedette.Said{Statements: []vedette.Statement{st}}, nil
	}
	return opt
}

var graphObjects = []string{"CVE-2026-1001", "CVE-2026-1002", "intrusion-set:one", "intrusion-set:two"}

func graphClaims() *rapid.Generator[graphClaim] {
	audiences := []vedette.Audience{"", "", "org:alpha", "org:bravo", "person:ana", "org:alpha|person:ana", "person:ana&org:alpha", "person:bob"}
	return rapid.Custom(func(t *rapid.T) graphClaim {
		c := graphClaim{Source: rapid.SampledFrom([]string{"s1", "s2", "s3"}).Draw(t, "source"), Object: rapid.SampledFrom(graphObjects).Draw(t, "object"),
			Alias: rapid.SampledFrom([]string{"alias1", "alias2"}).Draw(t, "alias")}
		c.Marking = vedette.Marking{TLP: vedette.TLP(rapid.IntRange(1, 5).Draw(t, "tlp")), Originator: c.Source, Audience: rapid.SampledFrom(audiences).Draw(t, "audience")}
		if !strings.HasPrefix(c.Object, "CVE-") {
			c.Link = rapid.SampledFrom([]string{"", "CVE-2026-1001", "CVE-2026-1002"}).Draw(t, "link")
		} else if rapid.IntRange(0, 4).Draw(t, "point") == 0 {
			c.Score = float64(rapid.IntRange(1, 99).Draw(t, "score")) / 100
		}
		return c
	})
}

var graphReaders = []vedette.Principal{
	{Name: "nil"}, {Name: "vera", Roles: []vedette.Role{vedette.Viewer}, Constituents: a}, {Name: "ana", Roles: []vedette.Role{vedette.Analyst}},
	{Name: "ana", Roles: []vedette.Role{vedette.Viewer}, Constituents: a}, {Name: "bob", Roles: []vedette.Role{vedette.Analyst}, Constituents: []string{"bravo"}},
	{Name: "ron", Roles: []vedette.Role{vedette.Responder}}, {Name: "paul", Roles: []vedette.Role{vedette.Partner}, Orgs: []string{"bravo"}},
	{Name: "aud", Roles: []vedette.Role{vedette.Auditor}}, {Name: "adam", Roles: []vedette.Role{vedette.Admin}},
}

// TestWallsOfRandomGraphs compares what each reader is told of random claims
// with what the policy lets him see, worked out here one claim at a time.
func TestWallsOfRandomGraphs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		n, left := 0, 60
		if store.IsURL(place) {
			left = 5
		}
		rapid.Check(t, func(rt *rapid.T) {
			if n++; n > left && !rt.Failed() {
				return // the engine's share of the cases
			}
			at := filepath.Join(place, fmt.Sprint(n))
			if store.IsURL(place) {
				at = storetest.Postgres(t)
			}
			claims := rapid.SliceOfN(graphClaims(), 1, 12).Draw(rt, "claims")
			s, err := store.Open(context.Background(), at, graphOptions())
			if err != nil {
				rt.Fatal(err)
			}
			defer s.Close()
			for i := range claims {
				claims[i].Word = fmt.Sprintf("word%d", i)
				takeClaim(rt, s, claims[i])
			}
			for _, p := range graphReaders {
				graphReader(rt, s, p, claims)
			}
		})
	})
}

func takeClaim(t *rapid.T, s *store.Store, c graphClaim) {
	ctx := context.Background()
	sc, err := s.As(ctx, vedette.Local())
	if err != nil {
		t.Fatal(err)
	}
	body, _ := json.Marshal(c)
	h := sha256.Sum256(body)
	taking, err := sc.Take(ctx, vedette.Intake{Source: c.Source, Document: hex.EncodeToString(h[:]), Format: "graph", Marking: c.Marking, At: worldStart, Time: worldStart},
		vedette.Source{Name: c.Source, Marking: vedette.Marking{TLP: vedette.TLPRed}}, store.Way{})
	if err != nil {
		t.Fatal(err)
	}
	said, _ := graphOptions().Say("", body)
	if err := taking.Add(body, said); err != nil {
		t.Fatal(err)
	}
	if err := taking.Finish(int64(len(body)), worldStart); err != nil {
		t.Fatal(err)
	}
}

// graphReader compares all that one reader is told.
func graphReader(t *rapid.T, s *store.Store, p vedette.Principal, claims []graphClaim) {
	ctx := context.Background()
	sc, err := s.As(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string][]string{}           // words by object
	near := map[string]map[string]bool{}    // neighbours by object
	scores := map[string]map[float64]bool{} // by CVE
	for _, o := range graphObjects {
		near[o], scores[o] = map[string]bool{}, map[float64]bool{}
	}
	for _, c := range claims {
		switch {
		case !policy.Sees(p, c.Marking):
		case c.Score > 0:
			scores[c.Object][c.Score] = true
		default:
			said[c.Object] = append(said[c.Object], c.Word)
			if c.Link != "" {
				near[c.Object][c.Link], near[c.Link][c.Object] = true, true
			}
		}
	}
	for _, o := range graphObjects {
		_, sts, err := sc.Statements(ctx, o)
		var got []string
		for _, st := range sts {
			got = append(got, st.Statement.Name)
		}
		slices.Sort(got)
		slices.Sort(said[o])
		if !slices.Equal(got, said[o]) || (err != nil) != (len(said[o]) == 0) {
			t.Errorf("%+v: statements of %s: %v, want %v (%v)", p, o, got, said[o], err)
		}
		ns, _ := sc.Neighbours(ctx, o, 100)
		has := map[string]bool{}
		for _, x := range ns {
			has[x.ID] = true
			if x.Name != x.ID && !slices.Contains(said[x.ID], x.Name) {
				t.Errorf("%+v: neighbour %s is called %s", p, x.ID, x.Name)
			}
		}
		want := near[o]
		if len(said[o]) == 0 {
			want = map[string]bool{} // an object of which he is told nothing is not there
		}
		if !maps.Equal(has, want) {
			t.Errorf("%+v: neighbours of %s: %v, want %v", p, o, has, want)
		}
		points, err := sc.EPSS(ctx, o)
		if err != nil || (len(points) == 0) != (len(scores[o]) == 0) || slices.ContainsFunc(points, func(x vedette.Point) bool { return !scores[o][x.Score] }) {
			t.Errorf("%+v: scores of %s: %v, want of %v, %v", p, o, points, scores[o], err)
		}
	}
	graphSearch(t, sc, p, claims, said)
}

// graphSearch: words, aliases and lists find what is visible, all of it and no more.
func graphSearch(t *rapid.T, sc *store.Scoped, p vedette.Principal, claims []graphClaim, said map[string][]string) {
	ctx := context.Background()
	for _, c := range claims {
		if c.Score > 0 {
			continue
		}
		rows, err := sc.Search(ctx, c.Word, 10)
		if err != nil || (len(rows) == 1) != policy.Sees(p, c.Marking) || len(rows) > 1 {
			t.Errorf("%+v: search for %s of %v: %+v, %v", p, c.Word, c.Marking, rows, err)
		}
	}
	for _, alias := range []string{"alias1", "alias2", "ALIAS1 "} {
		want := map[string]bool{}
		for _, c := range claims {
			if c.Score == 0 && policy.Sees(p, c.Marking) && strings.EqualFold(c.Alias, strings.TrimSpace(alias)) {
				want[c.Object] = true
			}
		}
		rows, err := sc.Search(ctx, alias, 10)
		got := map[string]bool{}
		for _, r := range rows {
			got[r.ID] = true
		}
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%+v: search for %s: %v, want %v, %v", p, alias, got, want, err)
		}
	}
	for _, typ := range []string{vedette.TypeVulnerability, vedette.TypeActor} {
		got, want := map[string]bool{}, map[string]bool{}
		for o, words := range said {
			if len(words) > 0 && strings.HasPrefix(o, "CVE-") == (typ == vedette.TypeVulnerability) {
				want[o] = true
			}
		}
		for at, turns := (store.Cursor{}), 0; turns < 20; turns++ {
			rows, next, err := sc.Objects(ctx, typ, at, 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				if got[r.ID] {
					t.Errorf("%+v: %s is listed twice", p, r.ID)
				}
				got[r.ID] = true
				if !slices.Contains(said[r.ID], r.Name) && r.Name != r.ID {
					t.Errorf("%+v: %s is called %s", p, r.ID, r.Name)
				}
			}
			if at = next; len(rows) == 0 {
				break
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%+v: list of %s: %v, want %v", p, typ, got, want)
		}
	}
}
