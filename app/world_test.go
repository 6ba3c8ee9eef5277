package app

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/scope"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// world is a store with a clock of its own and the documents of a small
// constituency: what most tests of the line stand on.
type world struct {
	t     testing.TB
	place string
	store *store.Store
	opt   store.Options
	clock time.Time
	later atomic.Int64 // nanoseconds that passed besides, for tests where others read the clock
	hook  func(op, query string) error
}

var worldStart = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func newWorld(t testing.TB, place string) *world {
	w := &world{t: t, place: place, clock: worldStart}
	w.opt = StoreOptions()
	w.opt.Now = func() time.Time { return w.clock.Add(time.Duration(w.later.Load())) }
	w.opt.Hook = func(op, q string) error {
		if w.hook != nil {
			return w.hook(op, q)
		}
		return nil
	}
	if store.IsURL(place) {
		w.opt.Secret = filepath.Join(t.TempDir(), store.SecretFile)
	}
	w.store = storetest.Open(t, place, w.opt)
	return w
}

// run is a call of a command as a principal.
func (w *world) run(p vedette.Principal) *run {
	w.t.Helper()
	r, err := w.as(p)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) as(p vedette.Principal) (*run, error) {
	sc, err := w.store.As(context.Background(), p)
	return &run{Globals: &Globals{Output: "json", Quiet: true}, ctx: context.Background(), in: strings.NewReader(""), out: &bytes.Buffer{}, errs: &bytes.Buffer{},
		store: w.store, sc: sc, p: p, line: NewLine(w.store)}, err
}

// do runs a command as the local user and fails the test with its error.
func (w *world) do(c command) string {
	w.t.Helper()
	r := w.run(vedette.Local())
	if err := c.Run(r); err != nil {
		w.t.Fatalf("%T: %v\n%s", c, err, r.errs)
	}
	return r.out.(*bytes.Buffer).String()
}

// file writes a document of the test.
func (w *world) file(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

func (w *world) importText(name, text string) string {
	w.t.Helper()
	return w.do(&importCmd{Files: []string{w.file(name, text)}})
}

// hashes are the verify hashes without the tables that record that and when
// something was done, rather than what is so.
func (w *world) hashes(without ...string) map[string]string {
	w.t.Helper()
	hs, err := w.run(vedette.Local()).sc.Verify(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	if wrong, err := w.store.System().Recount(context.Background()); err != nil || wrong > 0 {
		w.t.Errorf("%d counters are not what they count (%v)", wrong, err)
	}
	out := map[string]string{}
	for _, h := range hs {
		if !slices.Contains(without, h.Table) {
			out[h.Table] = h.Hash
		}
	}
	return out
}

func sameHashes(t testing.TB, got, want map[string]string, when string) {
	t.Helper()
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if got[k] != want[k] {
			t.Errorf("%s: table %s differs", when, k)
		}
	}
}

const worldConstituency = `constituents:
  - id: alpha
    name: Agency Alpha
    countries: [BE]
    software: [{vendor: examplesoft, product: access_gateway, version: "9.1.2"}]
    systems: [{name: shared site, assets: [www.shared.example]}]
    scope:
      - {domain: alpha.example, subdomains: true, authorised_by: A. Officer, document: contract A}
      - {cidr: 192.0.2.0/26, authorised_by: A. Officer, document: contract A}
  - id: bravo
    name: Agency Bravo
    scope:
      - {domain: bravo.example, subdomains: true, authorised_by: B. Officer, document: contract B}
      - {domain: shared.example, subdomains: true, authorised_by: B. Officer, document: contract B}
      - {cidr: 192.0.2.64/26, authorised_by: B. Officer, document: contract B}
`

const worldInventory = `asset,constituent,port,proto,vendor,product,version,internet_facing,seen
vpn.alpha.example,alpha,443,tcp,examplesoft,access_gateway,9.1.3,true,2026-02-20T08:00:00Z
192.0.2.10,alpha,443,tcp,examplesoft,access_gateway,9.1.9,true,2026-02-20T08:00:00Z
www.shared.example,bravo,443,tcp,examplesoft,access_gateway,9.0.1,true,2026-02-20T08:00:00Z
192.0.2.70,bravo,8443,tcp,examplesoft,access_gateway,9.0.2,false,2026-02-20T08:00:00Z
192.0.2.71,bravo,22,tcp,otherware,shell_server,3.1,false,2026-02-20T08:00:00Z
`

// worldCVE is a record whose versions before a fixed one are affected.
func worldCVE(id, updated, before string) string {
	return `{"dataType":"CVE_RECORD","dataVersion":"5.1","cveMetadata":{"cveId":"` + id + `","assignerOrgId":"11111111-1111-4111-8111-111111111111","state":"PUBLISHED","datePublished":"2026-02-01T00:00:00Z","dateUpdated":"` + updated + `"},"containers":{"cna":{"providerMetadata":{"orgId":"11111111-1111-4111-8111-111111111111","shortName":"examplesoft","dateUpdated":"` + updated + `"},"title":"Code execution before login","descriptions":[{"lang":"en","value":"Access Gateway before ` + before + ` runs code."}],"affected":[{"vendor":"Examplesoft","product":"Access Gateway","defaultStatus":"unaffected","versions":[{"version":"9.0.0","status":"affected","lessThan":"` + before + `","versionType":"semver"}]}],"references":[{"url":"https://advisories.examplesoft.example/1"}]}}}` + "\n"
}

func worldKEV(released string, ids ...string) string {
	var items []string
	for _, id := range ids {
		items = append(items, `{"cveID":"`+id+`","vendorProject":"Examplesoft","product":"Access Gateway","vulnerabilityName":"Examplesoft Access Gateway Code Execution","dateAdded":"2026-02-18","shortDescription":"Runs code.","requiredAction":"Apply the update.","dueDate":"2026-03-11","knownRansomwareCampaignUse":"Unknown","notes":"https://advisories.examplesoft.example/1","cwes":["CWE-94"]}`)
	}
	return `{"title":"Catalogue","catalogVersion":"1","dateReleased":"` + released + `","count":` + sprintInt(len(ids)) + `,"vulnerabilities":[` + strings.Join(items, ",") + `]}`
}

func sprintInt(n int) string { return strings.TrimSpace(sprint(n)) }

// fill puts the small constituency, its inventory and one exploited vulnerability in.
func (w *world) fill() {
	w.t.Helper()
	w.do(&constituentApply{File: w.file("constituency.yaml", worldConstituency)})
	w.importText("inventory.csv", worldInventory)
	w.importText("cve.json", worldCVE("CVE-2026-1001", "2026-02-02T00:00:00Z", "9.1.4"))
	w.importText("kev.json", worldKEV("2026-02-20T00:00:00Z", "CVE-2026-1001"))
}

func (w *world) owner() store.Owner {
	cs, err := w.store.System().AllConstituents(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return scope.NewMap(cs).Owner
}
