package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// canary is a text that no compression hides and nothing else contains.
func canary(t *testing.T) string {
	var raw [40]byte
	if _, err := rand.Read(raw[:]); err != nil {
		t.Fatal(err)
	}
	return "q" + strings.ToLower(strings.TrimRight(base32.StdEncoding.EncodeToString(raw[:]), "="))
}

// TestPurgeLeavesNothing: after a purge a canary is in no page of the file, in
// no block and in no table, and everything that was not purged is as before.
func TestPurgeLeavesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		w.fill()
		c := canary(t)
		before := w.hashes("events", "intakes", "documents", "sources", "objects")
		cve := strings.ReplaceAll(worldCVE("CVE-2026-1777", "2026-02-04T00:00:00Z", "9.1.4"), "Code execution before login", c+" title")
		cve = strings.ReplaceAll(cve, "Access Gateway before", c+" Gateway before")
		inv := fmt.Sprintf("asset,constituent,port,proto,vendor,product,version,service,seen\n%s.alpha.example,alpha,443,tcp,%s,%s,9.0.0,%s,2026-02-26T00:00:00Z\n", c[:40], c[:20]+"vendor", c[:30], c[:10])
		for name, text := range map[string]string{"secret.json": cve, "secret.csv": inv} {
			w.do(&importCmd{Files: []string{w.file(name, text)}, Source: "partner", Marking: "clear"})
		}
		if hits := w.find(c); len(hits) == 0 {
			t.Fatal("the canary was never there: the search finds nothing")
		}
		w.do(&purgeCmd{Source: "partner", Reason: "a test", Yes: true})
		for _, part := range []string{c, c[:20], c[:30]} {
			if hits := w.find(part); len(hits) > 0 {
				t.Errorf("left after the purge: %v", hits)
			}
		}
		sameHashes(t, w.hashes("events", "intakes", "documents", "sources", "objects"), before, "what was not purged")
		w.do(rebuildCmd{})
		sameHashes(t, w.hashes("events", "intakes", "documents", "sources", "objects"), before, "and rebuilt")
	})
}

// TestPurgeObject blanks the records of one object and keeps their neighbours.
func TestPurgeObject(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		c := canary(t)
		text := worldCVE("CVE-2026-1001", "2026-02-02T00:00:00Z", "9.1.4") + strings.ReplaceAll(worldCVE("CVE-2026-1002", "2026-02-02T00:00:00Z", "9.1.4"), "before login", c) + worldCVE("CVE-2026-1003", "2026-02-02T00:00:00Z", "9.1.4")
		w.importText("three.jsonl", text)
		w.do(&purgeCmd{Object: "CVE-2026-1002", Reason: "a test", Yes: true})
		if hits := w.find(c); len(hits) > 0 {
			t.Errorf("left after the purge: %v", hits)
		}
		for _, id := range []string{"CVE-2026-1001", "CVE-2026-1003"} {
			if j := w.join(localPrincipal(), id); len(j.Sources) != 1 || j.Title == "" {
				t.Errorf("%s: %+v", id, j)
			}
		}
		w.do(rebuildCmd{})
	})
}

// TestPurgeReopens: what a purged document had replaced holds again. Cases
// remember what happened meanwhile.
func TestPurgeReopens(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		w.fill()
		before := w.hashes("events", "intakes", "documents", "blocks", "cases")
		second := worldCVE("CVE-2026-1001", "2026-02-09T00:00:00Z", "9.0.2")
		next := strings.NewReplacer("9.1.3", "9.1.5", "2026-02-20", "2026-02-27").Replace(worldInventory)
		w.importText("second.json", second)
		w.importText("next.csv", next)
		for _, text := range []string{second, next} {
			h := sha256.Sum256([]byte(text))
			w.do(&purgeCmd{Document: hex.EncodeToString(h[:]), Reason: "a test", Yes: true})
		}
		sameHashes(t, w.hashes("events", "intakes", "documents", "blocks", "cases"), before, "after the purge")
	})
}

// find says where a text is: in pages of the file, in blocks, in tables.
func (w *world) find(text string) (hits []string) {
	w.t.Helper()
	place, driver := "file:"+filepath.Join(w.place, store.File), "sqlite"
	if store.IsURL(w.place) {
		place, driver = w.place, "pgx"
	} else {
		for _, f := range []string{store.File, store.File + "-wal"} {
			if b, err := os.ReadFile(filepath.Join(w.place, f)); err == nil && bytes.Contains(bytes.ToLower(b), []byte(text)) {
				hits = append(hits, f)
			}
		}
	}
	bodies, err := w.store.System().Records(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, b := range bodies {
		if bytes.Contains(bytes.ToLower(b), []byte(text)) {
			hits = append(hits, "a block")
		}
	}
	db, err := sql.Open(driver, place)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	return append(hits, searchTables(w.t, db, driver, text)...)
}

func searchTables(t testing.TB, db *sql.DB, driver, text string) (hits []string) {
	list := "select name from sqlite_master where type = 'table' and name not like 'texts%' and name not like 'sqlite%'"
	if driver == "pgx" {
		list = "select tablename from pg_tables where schemaname = 'public'"
	}
	for _, table := range column(t, db, list) {
		cast := "select * from " + table
		if driver == "pgx" {
			cast = "select t::text from " + table + " t"
		}
		rows, err := db.Query(cast)
		if err != nil {
			t.Fatal(err)
		}
		columns, _ := rows.Columns()
		for rows.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(strings.ToLower(fmt.Sprintf("%s", values)), text) {
				hits = append(hits, "table "+table)
				break
			}
		}
		rows.Close()
	}
	return hits
}

func column(t testing.TB, db *sql.DB, q string) (out []string) {
	rows, err := db.Query(q)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}
