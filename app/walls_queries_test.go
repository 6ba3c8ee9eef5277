package app

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store"
)

// mediumWorld holds enough rows that a scan of a large table shows: 20,000
// observations and 12,000 claims.
func mediumWorld(t *testing.T, place string) *world {
	w := wallsWorld(t, place, true)
	w.share()
	var inv, cves, scores strings.Builder
	inv.WriteString("asset,constituent,port,proto,vendor,product,version,seen\n")
	for i := range 10_000 {
		for j := range 2 {
			fmt.Fprintf(&inv, "h%d.alpha.example,alpha,%d,tcp,somevendor,thing%d,1.%d,2026-02-20T08:00:00Z\n", i, 80+j, i%300, j)
		}
	}
	scores.WriteString("#model_version:v1,score_date:2026-02-21T00:00:00+0000\ncve,epss,percentile\n")
	for i := range 12_000 {
		id := fmt.Sprintf("CVE-2025-%d", 10_000+i)
		cves.WriteString(strings.NewReplacer("Access Gateway", fmt.Sprintf("Part %d", i)).Replace(worldCVE(id, "2026-02-02T00:00:00Z", "9.1.4")))
		fmt.Fprintf(&scores, "%s,0.5,0.5\n", id)
	}
	w.importText("many.csv", inv.String())
	w.importText("many.jsonl", cves.String())
	w.importText("scores.csv", scores.String())
	return w
}

// queries runs every reading method and returns the text of every query.
func (w *world) queries(p vedette.Principal, x targets) []string {
	w.t.Helper()
	seen := map[string]bool{}
	w.hook = func(op, q string) error {
		if op == "query" {
			seen[q] = true
		}
		return nil
	}
	defer func() { w.hook = nil }()
	ctx := context.Background()
	sc := w.run(p).sc
	clear(seen) // As decides what is seen: it reads the markings themselves
	for name, read := range methods {
		switch name {
		case "Objects": // one page: the walk of the small world turns all of them
			_, _, err := sc.Objects(ctx, vedette.TypeVulnerability, store.Cursor{T: 1 << 50, K: 1}, 10)
			if err != nil {
				w.t.Error(err)
			}
		case "Changes":
			for _, c := range []string{"", "alpha"} {
				if _, _, err := sc.Changes(ctx, store.ChangeFilter{Constituent: c, Limit: 10}); err != nil {
					w.t.Error(err)
				}
			}
		case "Vulnerabilities":
			for _, f := range []store.VulnerabilityFilter{{Limit: 10}, {Exploited: true, Limit: 10}, {Touching: true, Limit: 10}, {Words: "code", Limit: 10}} {
				if _, _, _, err := sc.Vulnerabilities(ctx, f); err != nil {
					w.t.Error(err)
				}
			}
		default:
			if read != nil {
				read(ctx, sc, x)
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

var (
	created  = regexp.MustCompile(`(?m)^create table (\w+)\((.*)$`)
	refers   = regexp.MustCompile(`\b(?:from|join)\s+([a-z_]+)(?:\s+([a-z]\w*))?`)
	keywords = []string{"where", "on", "join", "left", "order", "group", "limit", "and", "union", "having"}
)

// wallColumns are the columns of each table that a wall stands on.
func wallColumns(t *testing.T) map[string][]string {
	text, err := os.ReadFile("../store/migration/0001_ground.sql")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, m := range created.FindAllStringSubmatch(string(text), -1) {
		for _, c := range []string{"mark_k", "constituent_k", "owner_k"} {
			if strings.Contains(m[2], c+" bigint") {
				out[m[1]] = append(out[m[1]], c)
			}
		}
	}
	if len(out) < 12 {
		t.Fatalf("only %d tables with a wall: the migration is written otherwise now", len(out))
	}
	return out
}

// unwalled are references that need no condition of their own, with the reason.
var unwalled = []struct{ part, table, column, why string }{
	{"from claims c join sources s on s.k = c.source_k join intakes i", "intakes", "", "the intake of a claim that the marking lets through; its time alone is read"},
	{"join terms on terms.k = intakes.format_k where intakes.k = ?", "intakes", "", "the format of a claim's intake, found through the claim"},
	{"from edges e join objects o", "claims", "", "names the source of a visible edge, which has its claim's marking"},
	{"select affected.object_k, objects.id", "claims", "", "names the source of a visible range, which has its claim's marking"},
	{"from evidence e join observations o", "observations", "", "evidence has the join of its observation's marking; its finding is within the wall"},
	{"from evidence e join observations o", "evidence", "constituent_k", "by the finding"},
	{"from asset_users u join assets a", "", "constituent_k", "a user of a shared asset is told of rows of its owner: the fact alone, see hubMarks"},
	{"from asset_users u join assets a", "evidence", "mark_k", "its observation and its pair are within the walls one by one"},
	{"from asset_users u join assets a", "", "owner_k", "the owner is just who the reader is not"},
	{"left join assets a on a.k =", "assets", "owner_k", "the name of the asset of a row that is within the wall"},
	{"select distinct a.k, o.constituent_k from assets a join observations o", "assets", "owner_k", "an asset is found by what is within the wall on it"},
	{"from counters where kind_k = ", "counters", "constituent_k", "of one constituent, whose key was found within the wall"},
	{"from events", "events", "constituent_k", "one's own acts, or of the whole hub for who reads all"},
}

// TestWallsInEveryQuery: no query of a reader names a table with a wall
// without the condition, whoever's result it may be.
func TestWallsInEveryQuery(t *testing.T) {
	w := mediumWorld(t, t.TempDir())
	columns := wallColumns(t)
	x := w.targets()
	plans := map[string]bool{}
	for _, who := range []string{"viewer A", "analyst", "analyst, narrowed"} {
		for _, q := range w.queries(wallsPeople[who], x) {
			plans[q] = true
			if who == "analyst" {
				continue // serves all: his constituent conditions hold for every row
			}
			for _, m := range refers.FindAllStringSubmatch(q, -1) {
				name := m[1]
				if m[2] != "" && !slices.Contains(keywords, m[2]) {
					name = m[2]
				}
				for _, c := range columns[m[1]] {
					if !walled(q, m[1], name, c) && !excepted(q, m[1], c) {
						t.Errorf("%s: %s %s has no condition on %s:\n%s", who, m[1], name, c, q)
					}
				}
			}
		}
	}
	noScans(t, filepath.Join(w.place, store.File), slices.Sorted(maps.Keys(plans)))
}

// walled says whether a condition of a wall stands on a column of a table.
func walled(q, table, name, column string) bool {
	conds := []string{name + "." + column + " in (", " " + column + " in ("}
	if column != "mark_k" { // a row within the wall may lead to its neighbour
		conds = append(conds, name+"."+column+" = ", "."+column+" = "+name+".", " "+column+" = ?", " "+column+" in (")
	}
	if name == table {
		conds = append(conds, " "+column+" in (")
	} else {
		conds = slices.DeleteFunc(conds, func(c string) bool { return strings.HasPrefix(c, " ") })
	}
	return slices.ContainsFunc(conds, func(c string) bool { return strings.Contains(q, c) })
}

func excepted(q, table, column string) bool {
	for _, e := range unwalled {
		if strings.Contains(q, e.part) && (e.table == "" || e.table == table) && (e.column == "" || e.column == column) {
			return true
		}
	}
	return false
}

// scans are queries that read a large table whole, with the reason.
var scans = []struct{ part, table, why string }{
	{"count(*) as n from assets where 1 = 1 and 1 = 1 group by owner_k", "assets", "how many assets each constituent has, for who serves all: from the index alone"},
	{"group by fact_k) o join fact_names", "observations", "counts all software within the wall"},
	{"select a.name_k, o.id from affected a", "affected", "all names that sources speak of, for proposals"},
	{"select a.name_k, o.id from affected a", "objects", "the same"},
}

// noScans asks SQLite how it would run each query.
func noScans(t *testing.T, file string, queries []string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows := map[string]int{}
	for table := range wallColumns(t) {
		rows[table] = 0
	}
	for _, table := range []string{"objects", "assets", "facts", "fact_names", "names", "documents", "blocks", "asset_users", "epss"} {
		rows[table] = 0
	}
	large := 0
	for table := range rows {
		var n int
		if err := db.QueryRow("select count(*) from " + table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if rows[table] = n; n > 10_000 {
			large++
		}
	}
	if large < 6 {
		t.Fatalf("only %d tables are large: %v", large, rows)
	}
	for _, q := range queries {
		tables := map[string]string{}
		for _, m := range refers.FindAllStringSubmatch(q, -1) {
			tables[m[1]] = m[1]
			if m[2] != "" && !slices.Contains(keywords, m[2]) {
				tables[m[2]] = m[1]
			}
		}
		args := make([]any, strings.Count(q, "?"))
		plan, err := db.Query("explain query plan "+q, args...)
		if err != nil {
			t.Errorf("%v in %s", err, q)
			continue
		}
		for plan.Next() {
			var a, b, c any
			var step string
			if err := plan.Scan(&a, &b, &c, &step); err != nil {
				t.Fatal(err)
			}
			f := strings.Fields(step)
			if len(f) < 2 || f[0] != "SCAN" || rows[tables[f[1]]] <= 10_000 {
				continue
			}
			if !slices.ContainsFunc(scans, func(e struct{ part, table, why string }) bool {
				return strings.Contains(q, e.part) && e.table == tables[f[1]]
			}) {
				t.Errorf("%s (%d rows) in\n%s", step, rows[tables[f[1]]], q)
			}
		}
		plan.Close()
	}
}
