package app

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/collect"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// TestKillChild is the process that TestKill kills; by itself it does nothing.
func TestKillChild(t *testing.T) {
	if place := os.Getenv("VEDETTE_KILL_CHILD"); place != "" {
		importAsChild(place, strings.Split(os.Getenv("VEDETTE_KILL_FILES"), string(os.PathListSeparator)))
	}
}

// importAsChild imports files with small transactions, one line on stdout for each acknowledged.
func importAsChild(place string, files []string) {
	opt := StoreOptions()
	opt.Batch = killBatch
	s, err := store.Open(context.Background(), place, opt)
	if err == nil {
		var sc *store.Scoped
		if sc, err = s.As(context.Background(), vedette.Local()); err == nil {
			r := &run{Globals: &Globals{Output: "json", Quiet: true}, ctx: context.Background(), out: os.Stdout, errs: os.Stderr, store: s, sc: sc, p: vedette.Local(), line: NewLine(s)}
			err = (&importCmd{Files: files}).Run(r)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// killRounds is how often the importer is killed: 10 in CI, more in a soak.
func killRounds() int {
	if n, err := strconv.Atoi(os.Getenv("VEDETTE_SOAK_ROUNDS")); err == nil && n > 0 {
		return n
	}
	return 10
}

// killFiles are the documents of one round.
func killFiles(t *testing.T, round int) []string {
	w := &world{t: t}
	day := worldStart.AddDate(0, 0, round-400).Format(time.DateOnly)
	files := []string{w.file("inventory.csv", strings.ReplaceAll(strings.ReplaceAll(worldInventory, "2026-02-20", day), "9.1.3", fmt.Sprintf("9.1.%d", round%9))),
		w.file("kev.json", worldKEV(day+"T00:00:00Z", "CVE-2026-1001", fmt.Sprintf("CVE-2026-%d", 10000+round*1000)))}
	for f := range 3 {
		var b strings.Builder
		for i := range 130 {
			b.WriteString(worldCVE(fmt.Sprintf("CVE-2026-%d", 10000+round*1000+f*100+i), day+"T00:00:00Z", fmt.Sprintf("9.%d.%d", i%3, i%7)))
		}
		files = append(files, w.file(fmt.Sprintf("cves%d.jsonl", f), b.String()))
	}
	return files
}

// killBatch keeps transactions small, so that a kill falls between them.
const killBatch = 40

// TestKill kills the importer at random: nothing acknowledged is lost, nothing
// is doubled, and in the end everything is as if nobody had been killed.
func TestKill(t *testing.T) {
	var rounds [][]string
	for round := range killRounds() {
		rounds = append(rounds, killFiles(t, round))
	}
	storetest.Each(t, func(t *testing.T, place string) {
		clean := t.TempDir()
		if store.IsURL(place) {
			clean = storetest.Postgres(t)
		}
		want, usual := withoutKills(t, clean, rounds)
		w := newKillWorld(t, place)
		w.do(&constituentApply{File: w.file("c.yaml", worldConstituency)})
		w.store.Close()
		acknowledged := map[string]bool{}
		for round, files := range rounds {
			for _, f := range killOnce(t, place, files, usual) {
				acknowledged[f] = true
			}
			if round%10 == 9 || round == len(rounds)-1 {
				checkKilled(t, place, acknowledged)
			}
		}
		w = newKillWorld(t, place)
		for _, files := range rounds {
			w.do(&importCmd{Files: files})
		}
		sameHashes(t, w.hashes("events", "intakes"), want, "after the kills")
		r := w.run(vedette.Local())
		if n, fault, err := r.sc.VerifyAudit(r.ctx); err != nil || fault != nil || n == 0 {
			t.Errorf("audit chain: %d, %+v, %v", n, fault, err)
		}
		t.Logf("%d rounds, %d of %d files acknowledged before a kill", len(rounds), len(acknowledged), len(rounds)*len(rounds[0]))
	})
}

func newKillWorld(t *testing.T, place string) *world {
	w := newWorld(t, place)
	w.store.Close()
	w.opt.Batch = killBatch
	w.store = storetest.Open(t, place, w.opt)
	return w
}

// withoutKills is what the store holds when nobody is killed, and how long a round takes.
func withoutKills(t *testing.T, place string, rounds [][]string) (map[string]string, time.Duration) {
	t.Helper()
	w := newKillWorld(t, place)
	w.do(&constituentApply{File: w.file("c.yaml", worldConstituency)})
	began := time.Now()
	for _, files := range rounds {
		w.do(&importCmd{Files: files})
	}
	return w.hashes("events", "intakes"), time.Since(began) / time.Duration(len(rounds))
}

// killOnce starts the importer, kills it at a random moment and returns what it acknowledged.
func killOnce(t *testing.T, place string, files []string, usual time.Duration) (acknowledged []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKillChild$")
	cmd.Env = append(os.Environ(), "VEDETTE_KILL_CHILD="+place, "VEDETTE_KILL_FILES="+strings.Join(files, string(os.PathListSeparator)))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Duration(rand.Int64N(int64(usual)+1)), func() { cmd.Process.Kill() })
	defer timer.Stop()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var done collect.Result
		if json.Unmarshal(lines.Bytes(), &done) == nil && len(done.Refused) == 0 {
			acknowledged = append(acknowledged, done.File)
		}
	}
	cmd.Wait() // killed, as it should be, or done before
	return acknowledged
}

// checkKilled: every acknowledged file is known, and the file of the store is whole.
func checkKilled(t *testing.T, place string, acknowledged map[string]bool) {
	t.Helper()
	w := newKillWorld(t, place)
	defer w.store.Close()
	for f := range acknowledged {
		var line collect.Result
		if err := json.Unmarshal([]byte(w.do(&importCmd{Files: []string{f}})), &line); err != nil {
			t.Fatal(err)
		}
		if !line.Known {
			t.Errorf("%s was acknowledged and is lost: %+v", filepath.Base(f), line)
		}
	}
	if fault, err := w.store.System().Integrity(context.Background()); err != nil || fault != "" {
		t.Errorf("integrity: %s %v", fault, err)
	}
}
