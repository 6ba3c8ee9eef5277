package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/policy"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// lines are the command lines of each act, after its words; F stands for a
// finding of Bravo's, M for one of Alpha's. A new command has to be here. Acts
// that write are called by those who may not.
var lines = map[policy.Act][]string{
	"constituent list": {""},
	"constituent show": {"alpha", "canaryb", "nosuch"},
	"cve list":         {"", "--exploited", "--limit 1", "--search canaryred", "--search canaryamber", "--search canarybtitle", "--search CVE-2026-6666", "--search gateway", "--search GHSA-2222-3333-4444"},
	"cve show":         {"CVE-2026-1001", "CVE-2026-1001 --all", "CVE-2026-1002", "CVE-2026-5555", "CVE-2026-6666", "CVE-2026-7777", "GHSA-2222-3333-4444"},
	"finding list":     {"", "--exploited", "--limit 1", "--constituent alpha", "--constituent canaryb", "--constituent nosuch", "--asset www.canaryb.example", "--asset www.shared.example", "--weakness CVE-2026-6666", "--weakness check:canaryb-check", "--after F", "--presence fixed", "--verdict confirmed"},
	"finding show":     {"F", "M", "F-0000000000000001"},
	"asset list":       {"", "--limit 1", "--constituent canaryb", "--constituent alpha"},
	"asset show":       {"vpn.alpha.example", "www.canaryb.example", "www.shared.example", "198.51.100.70", "canaryb-guess.alpha.example"},
	"product list":     {"", "--all"},
	"product propose":  {""},
	"source list":      {""},
	"audit list":       {"", "--limit 1", "--below 3"},
	"audit verify":     {""},
	"user list":        {""},
	"token list":       {""},
	"verify":           {""},
	"version":          {""},
	"migrate":          {""},
	"case list":        {"", "--constituent alpha", "--constituent canaryb", "--constituent nosuch", "--weakness CVE-2026-1001", "--weakness CVE-2026-6666", "--closed", "--to-check"},
	"case show":        {"CASE", "C-000000000000"},
	"case set":         {"CASE --state triaged"},
	"case undo":        {"1", "1000000"},
	"publication list": {"", "--state approved"}, "publication show": {"PUBLICATION", "PUBLICATION --constituent alpha", "PUBLICATION --constituent alpha --form html", "PUBLICATION --constituent canaryb", "PUBLICATION --constituent canaryb --form json", "P-0000000000"},
	"case decisions": {"", "CVE-2026-1001", "CVE-2026-6666", "check:canaryb-check"}, "case decide": {"CASE --kind risk_accepted --reason r"}, "case approve": {"D-0000000000"}, "case revoke": {"D-0000000000 --reason r"},
	"publication receipts": {"PUBLICATION", "PUBLICATION --log", ""}, "publication bounce": {"PUBLICATION --contact poc@canaryb.example --reason r"}, "publication redeliver": {"PUBLICATION"},
	"publication publish": {"PUBLICATION"},
	"publication lint":    {"PUBLICATION"}, "publication draft": {"CVE-2026-1001", "CVE-2026-1001 --constituent canaryb"}, "publication approve": {"PUBLICATION"}, "publication withdraw": {"PUBLICATION --reason r"},
	"survey list":        {"", "alpha", "canaryb", "nosuch"},
	"survey show":        {"SURVEY", "S-0000000000"},
	"survey diff":        {"", "alpha", "canaryb", "nosuch", "--since 2026-02-21T00:00:00Z", "canaryb --since 2026-02-21T00:00:00Z"},
	"survey unknowns":    {""},
	"survey run":         {"alpha --dry-run", "canaryb --dry-run", "nosuch --dry-run"},
	"survey optout list": {""}, "survey schedule list": {""}, "config show": {""}, "config describe": {""},
	"survey host": {"www.canaryb.example --yes"}, "survey stop": {"SURVEY"}, "survey resume": {""}, "survey optout add": {"192.0.2.9 --reason r"}, "survey optout remove": {"192.0.2.9"},
	"survey schedule set": {"canaryb --every 24h"}, "finding retest": {"F --detach"}, "job list": nil, "job retry": {"1"}, "job cancel": {"1"}, "demo": nil, "serve": nil, "worker": nil, "lab serve": nil,

	"feed list": {"", "--state off"}, "feed show": {"cisa-kev", "nosuch"}, "feed apply": {"/dev/null"}, "feed enable": {"cisa-kev"}, "feed disable": {"cisa-kev"}, "feed run": {"cisa-kev"},
	"import": {"/dev/null"}, "constituent apply": {"/dev/null"}, "finding add": {"CVE-2026-1001 www.canaryb.example --reason r"},
	"product accept": {"a b --reason r"}, "product reject": {"a b --reason r"}, "user add": {"evil --role lead"}, "user disable": {"canaryb.user"},
	"user password": {"canaryb.user"}, "user totp": {"canaryb.user", "canaryb.user --remove", "canaryb.user --confirm"}, "user link": {"canaryb.user"}, "user sessions": {"canaryb.user", "canaryb.user --end"}, "user unlock": {"canaryb.user"}, "user passkeys": {"canaryb.user", "canaryb.user --remove k"}, "user subject": {"canaryb.user", "canaryb.user https://id.example 1"},
	"token add": {"evil --user local"}, "token revoke": {"canaryb.token"}, "rebuild": {""}, "purge": {"--source CANARYBsource --reason r --yes"},
	"backup": {"-"}, "restore": nil, "lab init": nil, "lab estate": {""},
}

var writes = []policy.Act{"import", "constituent apply", "finding add", "product accept", "product reject", "user add", "user disable", "user password", "user totp", "user link", "user sessions", "user unlock", "user passkeys", "user subject", "token add", "token revoke",
	"rebuild", "purge", "backup", "lab estate", "case set", "case undo", "case decide", "case approve", "case revoke", "publication draft", "publication approve", "publication publish", "publication bounce", "publication redeliver", "publication withdraw", "survey host", "survey stop", "survey resume", "survey optout add", "survey optout remove", "survey schedule set", "finding retest", "job retry", "job cancel", "feed apply", "feed enable", "feed disable", "feed run"}

// call runs a command line as a principal, as dispatch does, and returns
// stdout, what went to stderr, and the exit code.
func (w *world) call(p vedette.Principal, act policy.Act, line, form string) (out, errs string, code int) {
	w.t.Helper()
	r := w.run(p)
	var cli Commands
	k, err := kong.New(&cli, kong.Name("vedette"))
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, err := k.Parse(append(strings.Fields(string(act)), strings.Fields(line)...))
	if err != nil {
		w.t.Fatalf("%s %s: %v", act, line, err)
	}
	r.Globals = &Globals{Output: form}
	cmd := ctx.Selected().Target.Addr().Interface().(command)
	if err = vedette.Refused("%s may not %s", p.Name, act); policy.May(p, act) {
		err = cmd.Run(r)
	}
	code = r.status
	errs = r.errs.(*bytes.Buffer).String()
	if err != nil {
		errs, code = errs+err.Error(), exitCode(context.Background(), err)
	}
	return r.out.(*bytes.Buffer).String(), errs, code
}

// TestWallsOfTheCommands runs every command as every principal in every form.
func TestWallsOfTheCommands(t *testing.T) {
	for act := range commands(t) {
		if _, known := lines[act]; !known {
			t.Errorf("vedette %s is not walked: add it to lines", act)
		}
	}
	storetest.Each(t, func(t *testing.T, place string) {
		w := wallsWorld(t, place, true)
		w.share()
		x := w.targets()
		before := w.hashes()
		forms := []string{"table", "json", "jsonl", "csv"}
		if store.IsURL(place) {
			forms = forms[:2]
		}
		for _, who := range walkers(place) {
			p := wallsPeople[who]
			for act, args := range lines {
				for _, line := range args {
					if policy.May(p, act) && slices.Contains(writes, act) {
						continue // TestWallsAgainstWrites
					}
					line = strings.NewReplacer("F-0", "F-0", "SURVEY", x.surveys[0], "CASE", x.cases[0], "PUBLICATION", x.publications[0], "F", x.findings[0], "M", x.mine[0]).Replace(line)
					for _, form := range forms {
						out, errs, _ := w.call(p, act, line, form)
						for _, arg := range strings.Fields(line) {
							errs = strings.ReplaceAll(errs, arg, "ARG")
						}
						noCanary(t, who, act, line, form, out+"\n"+errs)
						if !policy.May(p, act) {
							break
						}
					}
				}
			}
		}
		sameHashes(t, w.hashes(), before, "after reading")
	})
}

func noCanary(t *testing.T, who string, act policy.Act, line, form, text string) {
	t.Helper()
	if (slices.Contains([]policy.Act{"user list", "token list", "audit list", "source list"}, act) && slices.Contains([]string{"auditor", "admin", "lead"}, who)) || (act == "source list" && who == "responder") {
		return // names of people, tokens and sources, by the policy
	}
	text = strings.ToLower(text)
	for _, c := range mustNot(who) {
		if i := strings.Index(text, c); i >= 0 {
			t.Errorf("%s reads %q by vedette %s %s -o %s: ...%s...", who, c, act, line, form, text[max(0, i-80):min(len(text), i+80)])
		}
	}
}

// TestWallsAsIfAlone: what Alpha's people read is what they would read of a
// store that holds nothing else: counts, order, cursors, times and verdicts.
func TestWallsAsIfAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		full := wallsWorld(t, place, true)
		other := filepath.Join(t.TempDir(), "alone")
		if store.IsURL(place) {
			other = storetest.Postgres(t)
		}
		alone := wallsWorld(t, other, false)
		mine := full.targets().mine[0]
		for _, who := range []string{"viewer A", "manager A", "partner", "partner bound"} {
			for act, args := range lines {
				for _, line := range args {
					if slices.Contains(writes, act) || act == "audit list" || strings.Contains(line, "F") && !strings.Contains(line, "--") {
						continue
					}
					line = strings.NewReplacer("--after F", "--after F-0000000000000001", "M", mine).Replace(line)
					out, errs, code := full.call(wallsPeople[who], act, line, "json")
					out2, errs2, code2 := alone.call(wallsPeople[who], act, line, "json")
					if out != out2 || errs != errs2 || code != code2 {
						t.Errorf("%s, vedette %s %s: exit %d, %d\n%s\nalone:\n%s", who, act, line, code, code2, diffOf(out+errs, out2+errs2), "")
					}
				}
			}
		}
	})
}

// diffOf are the lines that only one of two texts has.
func diffOf(a, b string) string {
	var out []string
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for _, l := range x {
		if !slices.Contains(y, l) {
			out = append(out, "- "+l)
		}
	}
	for _, l := range y {
		if !slices.Contains(x, l) {
			out = append(out, "+ "+l)
		}
	}
	return strings.Join(out[:min(len(out), 30)], "\n")
}

// TestWallsLookAlike: what is forbidden answers as what is not there.
func TestWallsLookAlike(t *testing.T) {
	w := wallsWorld(t, t.TempDir(), true)
	x := w.targets()
	for who, p := range wallsPeople {
		if all, cons := policy.Constituents(p); all || slices.Contains(cons, "canaryb") {
			continue
		}
		for _, c := range []struct {
			act               policy.Act
			line              string
			forbidden, absent string
		}{
			{"constituent show", "%s", "canaryb", "nosuch1"},
			{"finding list", "--constituent %s", "canaryb", "nosuch1"},
			{"asset list", "--constituent %s", "canaryb", "nosuch1"},
			{"finding list", "--asset %s", "www.canaryb.example", "www.nosuch1.example"},
			{"asset show", "%s", "www.canaryb.example", "www.nosuch1.example"},
			{"asset show", "%s", "canaryb-guess.alpha.example", "nosuch1-guess.alpha.example"},
			{"finding show", "%s", x.findings[0], "F-0000000000000001"},
			{"cve show", "%s", "CVE-2026-6666", "CVE-2026-7777"},
			{"finding list", "--weakness %s", "CVE-2026-6666", "CVE-2026-7777"},
			{"cve list", "--search %s", "CVE-2026-6666", "CVE-2026-7777"},
			{"finding list", "--weakness %s", "check:canaryb-check", "check:nosuch1"},
		} {
			for _, form := range []string{"table", "json"} {
				a, aerr, acode := w.call(p, c.act, fmt.Sprintf(c.line, c.forbidden), form)
				b, berr, bcode := w.call(p, c.act, fmt.Sprintf(c.line, c.absent), form)
				if strings.ReplaceAll(a+aerr, c.forbidden, "ID") != strings.ReplaceAll(b+berr, c.absent, "ID") || acode != bcode {
					t.Errorf("%s, vedette %s: forbidden %q %d, absent %q %d", who, c.act, a+aerr, acode, b+berr, bcode)
				}
			}
		}
	}
}

// TestWallsAgainstWrites: whatever Alpha's people hand in about Bravo is
// refused as if Bravo were not there, or kept as their own word beside it.
func TestWallsAgainstWrites(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := wallsWorld(t, place, true)
		before := w.viewOf("manager B")
		hub := w.viewOf("analyst of B")
		kev := w.file("kev.json", worldKEV("2026-02-28T00:00:00Z", "CVE-2026-1002"))
		cve := w.file("cve.json", worldCVE("CVE-2026-1001", "2026-03-09T00:00:00Z", "8.0.0"))
		epss := w.file("epss.csv", "#model_version:v9,score_date:2026-02-28T00:00:00+0000\ncve,epss,percentile\nCVE-2026-1001,0.9,0.9\n")
		theirs := w.file("theirs.csv", "asset,port,proto,vendor,product,version,seen\nwww.canaryb.example,443,tcp,examplesoft,access_gateway,9.9.9,2026-02-28T08:00:00Z\nwww.shared.example,18443,tcp,x,y,1,2026-02-28T08:00:00Z\n198.51.100.70,22,tcp,x,y,1,2026-02-28T08:00:00Z\nnew.canaryb.example,22,tcp,x,y,1,2026-02-28T08:00:00Z\n")
		column := w.file("column.csv", "asset,constituent,port,proto,vendor,product,version,seen\nwww.canaryb.example,canaryb,443,tcp,examplesoft,access_gateway,9.9.9,2026-02-28T08:00:00Z\n")
		absent := w.file("absent.csv", strings.ReplaceAll(must(os.ReadFile(column)), "canaryb", "nosuch1"))
		empty := w.file("empty.csv", "asset,port,proto,vendor,product,version,seen\nwww.canaryb.example,,,,,,2026-02-28T08:00:00Z\n")
		for _, who := range []string{"manager A", "ingest A", "analyst, narrowed", "assessor A", "lead, narrowed"} {
			p := wallsPeople[who]
			for _, args := range []string{theirs, empty, kev, cve, epss, cve + " --source cisa-kev --marking clear", kev + " --source sealed-list", cve + " --marking red --audience person:rita"} {
				out, errs, code := w.call(p, "import", args+" --constituent alpha", "json")
				noCanary(t, who, "import", args, "json", strings.ReplaceAll(out+errs, "canaryb.example", "ARG"))
				if code != exitOK && code != exitRefused {
					t.Errorf("%s: import %s: exit %d, %s", who, args, code, errs)
				}
			}
			for _, args := range []string{theirs + " --constituent canaryb", theirs, column + " --constituent alpha"} {
				if out, errs, code := w.call(p, "import", args, "json"); code != exitNotFound && code != exitRefused && code != exitNo {
					t.Errorf("%s: import %s: exit %d, %s %s", who, args, code, out, errs)
				}
			}
			_, a, acode := w.call(p, "import", column+" --constituent alpha", "table")
			_, b, bcode := w.call(p, "import", absent+" --constituent alpha", "table")
			if norm := func(s, id string) string {
				return strings.ReplaceAll(strings.ReplaceAll(s, id, "ID"), "absent.csv", "column.csv")
			}; norm(pathless(a), "canaryb") != norm(pathless(b), "nosuch1") || acode != bcode {
				t.Errorf("%s: a column that names Bravo: %q %d, one that names nobody: %q %d", who, a, acode, b, bcode)
			}
			if policy.May(p, "finding add") {
				for _, line := range []string{"CVE-2026-1002 www.canaryb.example --reason r", "check:x www.canaryb.example --reason r --constituent canaryb", "check:canaryb-check www.canaryb.example --reason r"} {
					out, errs, _ := w.call(p, "finding add", line, "json")
					noCanary(t, who, "finding add", line, "json", strings.NewReplacer("www.canaryb.example", "ARG", "check:canaryb-check", "ARG", "canaryb", "ARG").Replace(errs)+strings.NewReplacer("www.canaryb.example", "ARG", "check:canaryb-check", "ARG").Replace(out))
				}
			}
		}
		sameView(t, "manager B", before, w.viewOf("manager B"))
		sameView(t, "analyst of B", hub, w.viewOf("analyst of B"))
		w.do(rebuildCmd{})
		sameView(t, "manager B, rebuilt", before, w.viewOf("manager B"))
	})
}

func must(b []byte, err error) string {
	if err != nil {
		panic(err)
	}
	return string(b)
}

// pathless drops the folders of the test from a message.
func pathless(s string) string {
	var out []string
	for _, f := range strings.Fields(s) {
		out = append(out, filepath.Base(f))
	}
	return strings.Join(out, " ")
}

// viewOf is all that a reader of Bravo's is told.
func (w *world) viewOf(who string) map[string]string {
	p, known := wallsPeople[who]
	if !known {
		p = vedette.Principal{Name: "view", Roles: []vedette.Role{vedette.Viewer}, Constituents: []string{"canaryb"}}
	}
	out := map[string]string{}
	for _, line := range []string{"constituent show canaryb", "finding list", "finding list --exploited", "asset list", "asset show www.canaryb.example", "asset show www.shared.example", "asset show 198.51.100.70",
		"cve list", "cve list --exploited", "cve show CVE-2026-1001", "cve show CVE-2026-1002"} {
		f := strings.SplitN(line, " ", 3)
		rest := ""
		if len(f) == 3 {
			rest = f[2]
		}
		o, e, code := w.call(p, policy.Act(f[0]+" "+f[1]), rest, "json")
		out[line] = fmt.Sprint(o, e, code)
	}
	return out
}

func sameView(t *testing.T, who string, want, got map[string]string) {
	t.Helper()
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if want[k] != got[k] {
			t.Errorf("%s: vedette %s changed:\n%s", who, k, diffOf(want[k], got[k]))
		}
	}
}

// TestWallsOfTokens: an expired or revoked token and one of a disabled user
// open nothing, and look like one that never was.
func TestWallsOfTokens(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.do(&constituentApply{File: w.file("c.yaml", worldConstituency)})
	w.do(&userAdd{Name: "ana", Role: []string{"analyst"}, Org: []string{"partner"}})
	w.do(&userAdd{Name: "bob", Role: []string{"viewer"}, Constituent: []string{"alpha"}})
	secret := func(c *tokenAdd) string { c.Role = "api"; return strings.TrimSpace(w.do(c)) }
	narrow := secret(&tokenAdd{Name: "narrow", User: "ana", Constituent: []string{"alpha"}, Days: 9})
	foreign := secret(&tokenAdd{Name: "foreign", User: "bob", Constituent: []string{"bravo"}, Days: 9})
	dead := []string{secret(&tokenAdd{Name: "expired", User: "ana", Days: 1}), secret(&tokenAdd{Name: "revoked", User: "ana", Days: 9}), secret(&tokenAdd{Name: "disabled", User: "bob", Days: 9}), "vedette_", ""}
	w.do(&tokenRevoke{Name: "revoked"})
	ctx := context.Background()
	if p, err := w.store.Authenticate(ctx, foreign); err != nil || len(p.Roles) != 0 {
		t.Errorf("a token for Bravo of a viewer of Alpha is %+v, %v", p, err)
	}
	w.do(&userDisable{Name: "bob"})
	w.clock = w.clock.AddDate(0, 0, 2)
	var first string
	for i, s := range dead {
		p, err := w.store.Authenticate(ctx, s)
		if !errors.Is(err, vedette.ErrAuth) || p.Name != "" || len(p.Roles) > 0 {
			t.Errorf("dead token %d: %+v, %v", i, p, err)
		}
		if first == "" {
			first = fmt.Sprint(err)
		}
		if fmt.Sprint(err) != first {
			t.Errorf("dead tokens differ: %q, %v", first, err)
		}
	}
	p, err := w.store.Authenticate(ctx, narrow)
	if err != nil || !slices.Equal(p.Constituents, []string{"alpha"}) || len(p.Orgs) > 0 {
		t.Errorf("a narrowed token is %+v, %v", p, err)
	}
}
