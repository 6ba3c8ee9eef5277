package app

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/store"
)

// The canaries: every text of Bravo's and every text above a marking carries
// one, so that a leak shows wherever it is.
const (
	canaryB     = "canaryb"     // Bravo's: profile, assets, software, files, people
	canaryAmber = "canaryamber" // the hub's own
	canaryRed   = "canaryred"   // for Rita alone
)

// bravoHosts are values of Bravo's that cannot carry a word: addresses, a port, a version.
var bravoHosts = []string{"198.51.100.", "18443", "9.0.13"}

const wallsAlpha = `
  - id: alpha
    name: Agency Alpha
    countries: [BE]
    software: [{vendor: examplesoft, product: access_gateway, version: "9.1.2"}]
SYSTEMS    scope:
      - {domain: alpha.example, subdomains: true, authorised_by: A. Officer, document: contract A}
      - {cidr: 192.0.2.0/26, authorised_by: A. Officer, document: contract A}
`

const wallsBravo = `
  - id: canaryb
    name: Agency CANARYBname
    countries: [NL]
    sectors: [CANARYBsector]
    events: [CANARYBevent]
    partners: [CANARYBpartner]
    providers: [CANARYBprovider]
    software: [{vendor: CANARYBdvendor, product: CANARYBdproduct, version: "CANARYBdversion"}, {vendor: examplesoft, product: access_gateway, version: "9.0.13"}]
    systems: [{name: CANARYBsystem, assets: [sys.canaryb.example]}]
    contacts: [{role: POC, name: CANARYBcontact, email: canaryb@canaryb.example, language: nl}]
    scope:
      - {domain: canaryb.example, subdomains: true, authorised_by: CANARYBofficer, document: CANARYBcontract}
      - {domain: shared.example, subdomains: true, authorised_by: CANARYBofficer, document: CANARYBcontract}
      - {cidr: 198.51.100.0/24, authorised_by: CANARYBofficer, document: CANARYBcontract, third_party: CANARYBthird}
    exclude: [{domain: out.canaryb.example}]
`

const wallsInventory = `asset,constituent,port,proto,vendor,product,version,internet_facing,seen
vpn.alpha.example,alpha,443,tcp,examplesoft,access_gateway,9.1.3,true,2026-02-20T08:00:00Z
192.0.2.10,alpha,443,tcp,examplesoft,access_gateway,9.1.9,true,2026-02-20T08:00:00Z
`

const wallsBravoInventory = `asset,constituent,port,proto,service,vendor,product,version,internet_facing,seen
www.canaryb.example,canaryb,443,tcp,CANARYBservice,examplesoft,access_gateway,9.0.13,true,2026-02-20T08:00:00Z
www.shared.example,canaryb,18443,tcp,CANARYBservice,examplesoft,access_gateway,9.0.13,true,2026-02-20T08:00:00Z
198.51.100.70,canaryb,22,tcp,CANARYBssh,CANARYBvendor,CANARYBproduct,CANARYBversion,false,2026-02-20T08:00:00Z
unowned.canaryb-more.example,canaryb,80,tcp,CANARYBweb,CANARYBvendor,CANARYBproduct,CANARYBversion,,2026-02-20T08:00:00Z
`

const wallsBravoScan = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE nmaprun>
<nmaprun scanner="nmap" args="nmap -p 18443 CANARYB" start="1771650000" version="7.95" xmloutputversion="1.05">
<scaninfo type="connect" protocol="tcp" numservices="1" services="18443"/>
<host starttime="1771650001" endtime="1771650060"><status state="up" reason="syn-ack" reason_ttl="0"/>
<address addr="198.51.100.71" addrtype="ipv4"/><hostnames><hostname name="scan.canaryb.example" type="user"/></hostnames>
<ports><port protocol="tcp" portid="18443"><state state="open" reason="syn-ack" reason_ttl="0"/><service name="http" product="Examplesoft Access Gateway" version="9.0.13" extrainfo="CANARYBbanner" method="probed" conf="10"><cpe>cpe:/a:examplesoft:access_gateway:9.0.13</cpe></service></port></ports>
</host><runstats><finished time="1771650100" timestr="" elapsed="100" summary="" exit="success"/><hosts up="1" down="0" total="1"/></runstats></nmaprun>
`

// wallsClaim is what Bravo's own manager hands in: on an asset of Alpha's, on
// one that nobody owns, on one that nobody knew.
const wallsClaim = `asset,port,proto,vendor,product,version,seen
vpn.alpha.example,443,tcp,CANARYBvendor,CANARYBclaim,1.0,2026-02-25T08:00:00Z
192.0.2.10,443,tcp,examplesoft,access_gateway,9.0.13,2026-02-25T08:00:00Z
canaryb-guess.alpha.example,443,tcp,examplesoft,access_gateway,9.0.13,2026-02-25T08:00:00Z
third.canaryb-party.example,443,tcp,examplesoft,access_gateway,9.0.13,2026-02-25T08:00:00Z
`

// marked turns the record of worldCVE into what another source says of it.
func marked(canary, id string) string {
	return strings.NewReplacer("Code execution before login", canary+"title", "runs code", canary+"words", "advisories.examplesoft.example", canary+".example", "CVE-2026-1001", id,
		`"lessThan":"9.1.4"`, `"lessThan":"9.3.0"`).Replace(worldCVE(id, "2026-02-11T00:00:00Z", "9.1.4"))
}

// taken is one document of the world with how it comes in.
type taken struct {
	name, text, source, marking, audience, constituent string
	by                                                 *vedette.Principal
}

// wallsWorld fills a store. Without the others it holds only what Alpha's
// people may know of: what they read has to be the same in both.
func wallsWorld(t testing.TB, place string, others bool) *world {
	w := newWorld(t, place)
	constituency := "constituents:" + strings.Replace(wallsAlpha, "SYSTEMS", "", 1)
	if others {
		constituency += wallsBravo
	}
	w.do(&constituentApply{File: w.file("constituency.yaml", constituency)})
	bob := wallsPeople["manager B"]
	docs := []taken{
		{name: "inventory.csv", text: wallsInventory},
		{name: "cve.json", text: worldCVE("CVE-2026-1001", "2026-02-02T00:00:00Z", "9.1.4") + worldCVE("CVE-2026-1002", "2026-02-03T00:00:00Z", "9.1.4")},
		{name: "for-alpha.json", text: marked("FORALPHA", "CVE-2026-1001"), source: "partner-one", marking: "amber", audience: "org:alpha"},
		{name: "by.csv", text: "cve,actor,since,source,url\nCVE-2026-1001,PUBLIC HERON,2026-02-06,partner-one,https://partner-one.example/1\n", source: "public-actors", marking: "clear"},
		{name: "epss.csv", text: "#model_version:v1,score_date:2026-02-20T00:00:00+0000\ncve,epss,percentile\nCVE-2026-1001,0.1,0.5\n"},
	}
	if others {
		docs = append([]taken{
			{name: "CANARYB-inventory.csv", text: wallsBravoInventory, source: "CANARYBsource"},
			{name: "canaryred.csv", text: strings.NewReplacer("9.1.3", "9.1.1", "true", "", "02-20", "02-10").Replace(wallsInventory), source: "sealed", marking: "red", audience: "person:rita"},
			{name: "canaryred-late.csv", text: strings.NewReplacer("9.1.3", "9.9.1", "9.1.9", "9.0.1", "true", "", "02-20", "02-27").Replace(wallsInventory), source: "sealed", marking: "red", audience: "person:rita"},
			{name: "canaryred-early.csv", text: "#model_version:v1,score_date:2026-02-19T00:00:00+0000\ncve,epss,percentile\nCVE-2026-1001,0.1001,0.5\n", source: "sealed-scores", marking: "red", audience: "person:rita"},
		}, append(docs, []taken{
			{name: "CANARYB-scan.xml", text: wallsBravoScan, constituent: "canaryb"},
			{name: "CANARYB-claim.csv", text: wallsClaim, source: "CANARYBsource", constituent: "canaryb", by: &bob},
			{name: "strict.json", text: marked("CANARYB", "CVE-2026-1001"), source: "CANARYBstrict", marking: "amber+strict", audience: "org:canaryb"},
			{name: "canaryamber.json", text: marked("CANARYAMBER", "CVE-2026-1001") + marked("CANARYAMBER", "CVE-2026-5555"), source: "canaryamber-source", marking: "amber"},
			{name: "canaryred.json", text: marked("CANARYRED", "CVE-2026-1001") + marked("CANARYRED", "CVE-2026-6666"), source: "sealed", marking: "red", audience: "person:rita"},
			{name: "canaryred-kev.json", text: strings.ReplaceAll(worldKEV("2026-02-24T00:00:00Z", "CVE-2026-1001", "CVE-2026-1002"), "Runs code.", "CANARYRED"), source: "sealed-list", marking: "red", audience: "person:rita"},
			{name: "canaryred-by.csv", text: "cve,actor,since,source,url\nCVE-2026-1001,PUBLIC HERON,2026-02-05,CANARYRED,https://canaryred.example/1\nCVE-2026-1001,CANARYRED ACTOR,2026-02-05,CANARYRED,https://canaryred.example/1\n", source: "sealed", marking: "red", audience: "person:rita"},
			{name: "canaryamber-by.csv", text: "cve,actor,since,source,url\nCVE-2026-1001,CANARYAMBER ACTOR,2026-02-05,CANARYAMBER,https://canaryamber.example/1\n", source: "canaryamber-source", marking: "amber"},
			{name: "canaryred-epss.csv", text: "#model_version:canaryred,score_date:2026-02-20T00:00:00+0000\ncve,epss,percentile\nCVE-2026-1001,0.987654,0.987654\n", source: "sealed-scores", marking: "red", audience: "person:rita"},
			{name: "canaryamber-osv.json", text: `{"schema_version":"1.6.0","id":"GHSA-2222-3333-4444","modified":"2026-02-12T00:00:00Z","aliases":["CVE-2026-1001"],"summary":"CANARYAMBER alias"}`, source: "canaryamber-source", marking: "amber"},
		}...)...)
	}
	for _, d := range docs {
		w.take(d)
	}
	w.surveyed("alpha", "vpn.alpha.example", "192.0.2.10")
	if others {
		for _, f := range []string{"www.canaryb.example", "vpn.alpha.example"} {
			w.asWho(bob, &findingAdd{Weakness: "check:canaryb-check", Asset: f, Constituent: "canaryb", Verdict: "confirmed", Title: "CANARYBtitle", Reason: "CANARYBreason"})
		}
		w.surveyed("canaryb", "www.canaryb.example", "198.51.100.70")
		w.decided(vedette.Decision{Kind: vedette.RiskAccepted, Weakness: "CVE-2026-1001", Constituent: "canaryb", Asset: "www.canaryb.example", Until: w.clock.AddDate(1, 0, 0), Reason: "CANARYBreason"})
		w.decided(vedette.Decision{Kind: vedette.FalsePositive, Weakness: "check:canaryb-check", Reason: "CANARYBeverywhere"})
		w.do(&userAdd{Name: "canaryb.user", Role: []string{"viewer"}, Constituent: []string{"canaryb"}})
		w.do(&tokenAdd{Name: "canaryb.token", User: "canaryb.user", Role: "api", Days: 300})
	}
	w.published()
	return w
}

// decided is a decision that another lead approved.
func (w *world) decided(d vedette.Decision) {
	w.t.Helper()
	ctx := context.Background()
	d, err := w.run(vedette.Principal{Name: "dora", Roles: []vedette.Role{vedette.Lead}}).sc.Decide(ctx, d)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.run(otherLead).sc.ApproveDecision(ctx, d.ID); err != nil {
		w.t.Fatal(err)
	}
}

// published approves what the line drafted, and puts the mails into the outbox.
func (w *world) published() {
	w.t.Helper()
	ctx := context.Background()
	sc := w.run(otherLead).sc
	ps, err := sc.Publications(ctx, "", 10)
	if err != nil || len(ps) == 0 {
		w.t.Fatal(ps, err)
	}
	for _, p := range ps {
		if _, err := sc.Approve(ctx, p.ID, "TA"); err != nil {
			w.t.Fatal(err)
		}
		if _, err := publish(ctx, sc, p.ID, config.Config{Webhooks: []config.Webhook{{Name: "canaryb-hook", Constituent: "canaryb"}, {Name: "alpha-hook", Constituent: "alpha"}}}); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, hooks := range []bool{false, true} {
		owed, err := w.store.System().Owed(ctx, w.store.Now(), hooks, 100)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, o := range owed {
			if ok, err := w.store.System().Begin(ctx, o); err != nil || !ok {
				w.t.Fatal(ok, err)
			}
			if err := w.store.System().Sent(ctx, o, store.Outcome{Failure: "451 of " + o.Contact}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	if err := NewLine(w.store).Drain(ctx); err != nil {
		w.t.Fatal(err)
	}
}

// surveyed is a survey of a constituent with all that it leaves: parts, what
// they saw, refusals, trouble, a schedule.
func (w *world) surveyed(constituent, name, addr string) {
	w.t.Helper()
	ctx := context.Background()
	sc := w.run(vedette.Local()).sc
	s, err := sc.AddSurvey(ctx, vedette.Survey{Constituent: constituent, Kind: vedette.FullSurvey, Note: name}, []vedette.Part{{Class: vedette.Active, Names: []string{name}}, {Class: vedette.Active, Addresses: []string{addr}, Ports: "tcp:22"}}, map[string]string{"asset": name})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := sc.SetSchedule(ctx, vedette.Schedule{Constituent: constituent, Class: vedette.Passive, Every: 24 * time.Hour, Next: w.clock.AddDate(0, 0, 300)}); err != nil {
		w.t.Fatal(err)
	}
	h := &hub{store: w.store, sys: w.store.System(), line: NewLine(w.store)}
	parts, err := h.sys.WaitingParts(ctx, 0, 10)
	if err != nil {
		w.t.Fatal(err)
	}
	for i, k := range parts {
		asset := []string{name, addr}[i]
		doc := fmt.Sprintf(`{"vedette_survey":1,"survey":%q,"part":%d,"constituent":%q,"at":"2026-03-01T09:00:00Z"}
{"asset":%q,"at":"2026-03-01T09:00:00Z","observations":[{"asset":"","port":2222,"proto":"tcp","check":"service","at":"2026-03-01T09:00:00Z","fact":{"service":"x","banner":"hello of %s"}}],"coverage":[{"check":"service","at":"2026-03-01T09:00:00Z","asset":"","ports":"tcp:22,2222"}]}
{"end":{"looks":1,"stopped":"%s stopped it","refusals":[{"at":"2026-03-01T09:00:00Z","target":"203.0.113.250:80 %s","rule":"outside","why":"%s is outside"}]}}
`, s.ID, i+1, constituent, asset, constituent, asset, asset, asset)
		if err := h.sys.Submit(ctx, k, []byte(doc)); err != nil {
			w.t.Fatal(err)
		}
	}
	if n, err := h.takeIn(ctx); err != nil || n != 2 {
		w.t.Fatalf("%d documents, %v", n, err)
	}
	if v, err := sc.Survey(ctx, s.ID); err != nil || v.Looks != 2 || len(v.Refusals) != 2 {
		w.t.Fatalf("%+v, %v", v, err)
	}
	if err := h.line.Drain(ctx); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) take(d taken) {
	w.t.Helper()
	p := vedette.Local()
	if d.by != nil {
		p = *d.by
	}
	w.asWho(p, &importCmd{Files: []string{w.file(d.name, d.text)}, Source: d.source, Marking: d.marking, Audience: d.audience, Constituent: d.constituent})
}

// asWho runs a command of a person that has to be taken whole.
func (w *world) asWho(p vedette.Principal, c command) {
	w.t.Helper()
	r := w.run(p)
	if err := c.Run(r); err != nil || r.status != exitOK {
		w.t.Fatalf("%s, %T: %v, exit %d\n%s", p.Name, c, err, r.status, r.out.(*bytes.Buffer))
	}
}

// share makes Alpha a user of a host of Bravo's.
func (w *world) share() {
	w.do(&constituentApply{File: w.file("shared.yaml", "constituents:"+strings.Replace(wallsAlpha, "SYSTEMS", "    systems: [{name: shared site, assets: [www.shared.example]}]\n", 1))})
}

var a, ab = []string{"alpha"}, []string{"alpha", "canaryb"}

// wallsPeople are the principals of the walk.
var wallsPeople = map[string]vedette.Principal{
	"nobody":            {Name: "nil"},
	"viewer A":          {Name: "vera", Roles: []vedette.Role{vedette.Viewer}, Constituents: a},
	"manager A":         {Name: "max", Roles: []vedette.Role{vedette.Manager}, Constituents: a},
	"ingest A":          {Name: "token:upload", Roles: []vedette.Role{vedette.Ingest}, Constituents: a, Token: "upload"},
	"viewer A+B":        {Name: "vico", Roles: []vedette.Role{vedette.Viewer}, Constituents: ab},
	"partner":           {Name: "paul", Roles: []vedette.Role{vedette.Partner}, Orgs: []string{"partner"}},
	"responder A":       {Name: "ron", Roles: []vedette.Role{vedette.Responder}, Constituents: a},
	"responder":         {Name: "rea", Roles: []vedette.Role{vedette.Responder}},
	"analyst":           {Name: "ana", Roles: []vedette.Role{vedette.Analyst}},
	"analyst, narrowed": {Name: "ana", Roles: []vedette.Role{vedette.Analyst}, Constituents: a, Token: "narrow"},
	"lead, narrowed":    {Name: "lea", Roles: []vedette.Role{vedette.Lead, vedette.Analyst, vedette.Admin, vedette.Auditor}, Constituents: a, Token: "narrow"},
	"assessor A":        {Name: "ase", Roles: []vedette.Role{vedette.Assessor}, Constituents: a},
	"lead":              {Name: "lea", Roles: []vedette.Role{vedette.Lead}},
	"admin":             {Name: "adam", Roles: []vedette.Role{vedette.Admin}},
	"auditor":           {Name: "aud", Roles: []vedette.Role{vedette.Auditor}},
	"probe worker":      {Name: "token:probe", Roles: []vedette.Role{vedette.ProbeWorker}, Constituents: a, Token: "probe"},
	"partner bound":     {Name: "pia", Roles: []vedette.Role{vedette.Partner}, Constituents: a},
	"manager B":         {Name: "canaryb.max", Roles: []vedette.Role{vedette.Manager}, Constituents: []string{"canaryb"}},
}

// mustNot are the canaries that a principal must never be told, in lower case.
func mustNot(who string) []string {
	b := append([]string{canaryB}, bravoHosts...)
	switch who {
	case "viewer A+B":
		return []string{canaryAmber, canaryRed, "0.98765"}
	case "manager B":
		return []string{canaryAmber, canaryRed, "0.98765", "9.1.9", "192.0.2.1 "}
	case "analyst", "lead":
		return []string{canaryRed, "0.98765"}
	case "responder", "responder A", "analyst, narrowed", "lead, narrowed", "assessor A":
		return append(b, canaryRed, "0.98765")
	}
	return append(b, canaryAmber, canaryRed, "0.98765")
}

// targets are ids of what others hold, as a hostile reader might know them.
type targets struct {
	findings     []string // of Bravo's
	mine         []string
	assets       []string
	names        []int64
	surveys      []string // of all
	cases        []string // of others
	ours         []string // of Alpha's
	publications []string // of all
}

func (w *world) targets() targets {
	w.t.Helper()
	sc := w.run(vedette.Local()).sc
	x := targets{assets: []string{"www.canaryb.example", "www.shared.example", "198.51.100.70", "canaryb-guess.alpha.example", "third.canaryb-party.example", "unowned.canaryb-more.example"}}
	fs, _, err := sc.Findings(context.Background(), store.FindingFilter{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range fs {
		if f.Constituent == "alpha" {
			x.mine = append(x.mine, f.ID)
		} else {
			x.findings = append(x.findings, f.ID)
		}
	}
	names, err := w.store.System().Names(context.Background())
	if err != nil || len(x.mine) == 0 || len(x.findings) < 4 {
		w.t.Fatalf("%v; %d findings of Alpha, %d of others", err, len(x.mine), len(x.findings))
	}
	for k := range names {
		x.names = append(x.names, k)
	}
	cases, _, err := sc.Cases(context.Background(), store.CaseFilter{Closed: true, Covered: true, Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range cases {
		if c.Constituent == "alpha" {
			x.ours = append(x.ours, c.ID)
		} else {
			x.cases = append(x.cases, c.ID)
		}
	}
	if len(x.ours) == 0 || len(x.cases) == 0 {
		w.t.Fatalf("%d cases of Alpha, %d of others", len(x.ours), len(x.cases))
	}
	ps, err := sc.Publications(context.Background(), "", 100)
	if err != nil || len(ps) == 0 {
		w.t.Fatal(ps, err)
	}
	for _, p := range ps {
		x.publications = append(x.publications, p.ID)
	}
	ss, _, err := sc.Surveys(context.Background(), store.SurveyFilter{Limit: 100})
	if err != nil || len(ss) == 0 {
		w.t.Fatal(ss, err)
	}
	for _, s := range ss {
		x.surveys = append(x.surveys, s.ID)
	}
	return x
}

// walkers are the people that a walk is made for: all on SQLite, those who are
// closest to a wall on PostgreSQL.
func walkers(place string) []string {
	if store.IsURL(place) {
		return []string{"nobody", "viewer A", "manager A", "analyst, narrowed", "partner"}
	}
	return slices.Sorted(maps.Keys(wallsPeople))
}
