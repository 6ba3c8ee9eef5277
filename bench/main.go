// Command bench measures the store and the line, each figure beside a
// yardstick measured in the same run: go run ./bench, -full for full size.
//
// CPU is user and system time of this process, and of the PostgreSQL server
// where its processes are on this machine. VEDETTE_TEST_DATA names a folder
// with real records; without it they are made up. VEDETTE_TEST_PG is the URL of
// a server, on which a database is made and dropped; without it only SQLite is measured.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	_ "github.com/jackc/pgx/v5/stdlib" // makes the databases
	"github.com/vedette-hub/vedette/app"
	"github.com/vedette-hub/vedette/store"
)

// bench is one run.
type bench struct {
	ctx     context.Context
	full    bool
	seed    uint64
	data    string // folder of real records, "" without
	pg      string
	server  int // the process of the PostgreSQL server, 0 when its CPU cannot be read
	out     *tabwriter.Writer
	profile string
	engine  engine // "" is both
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == asHub {
		os.Exit(app.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	b := &bench{ctx: context.Background(), data: os.Getenv("VEDETTE_TEST_DATA"), pg: os.Getenv("VEDETTE_TEST_PG"), out: tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)}
	flag.BoolVar(&b.full, "full", false, "the whole estate and a million indicators")
	flag.Uint64Var(&b.seed, "seed", 1, "of everything made up")
	flag.StringVar(&b.profile, "cpuprofile", "", "write a CPU profile of the parts that are timed")
	flag.StringVar((*string)(&b.engine), "engine", "", "only this engine: sqlite or postgres")
	only := flag.String("only", "cve,objects,w6,query,year,scan,thousand,pages", "which workloads")
	flag.Parse()
	if err := b.run(strings.Split(*only, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) run(only []string) error {
	stop, err := b.profiling()
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintf(os.Stderr, "%s, %d cores; data: %s\n", runtime.Version(), runtime.NumCPU(), b.dataText())
	if b.pg == "" {
		fmt.Fprintln(os.Stderr, "PostgreSQL is left out: VEDETTE_TEST_PG names no database")
	} else if b.server = serverPID(b.ctx, b.pg); b.server == 0 {
		fmt.Fprintln(os.Stderr, "the CPU of the PostgreSQL server cannot be read: its rows count this process alone")
	}
	fmt.Fprintln(b.out, "WORKLOAD\tENGINE\tOURS\tYARDSTICK\tRATIO\tNOTE")
	for _, w := range []struct {
		name string
		run  func(engine) error
	}{{"cve", b.records}, {"objects", b.objects}, {"w6", b.match}, {"query", b.queries}, {"year", b.year}, {"scan", b.scan}, {"thousand", b.thousand}, {"pages", b.pages}} {
		for _, e := range b.engines() {
			if !slices.Contains(only, w.name) {
				continue
			}
			if err := w.run(e); err != nil {
				return fmt.Errorf("%s on %s: %w", w.name, e, err)
			}
			b.out.Flush()
		}
	}
	return nil
}

func (b *bench) profiling() (func(), error) {
	if b.profile == "" {
		return func() {}, nil
	}
	f, err := os.Create(b.profile)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); f.Close() }, nil
}

func (b *bench) dataText() string {
	if b.data == "" {
		return "made up (VEDETTE_TEST_DATA names no folder)"
	}
	return "real records"
}

// engine is "sqlite" or "postgres".
type engine string

func (b *bench) engines() []engine {
	all := []engine{"sqlite"}
	if b.pg != "" {
		all = append(all, "postgres")
	}
	return slices.DeleteFunc(all, func(e engine) bool { return b.engine != "" && e != b.engine })
}

// row prints one line: figures per second of CPU, ours against the yardstick.
func (b *bench) row(workload string, e engine, ours, yardstick float64, unit, note string) {
	ratio := "-"
	other := "-"
	if yardstick > 0 {
		ratio, other = fmt.Sprintf("%.2f", ours/yardstick), figure(yardstick)+" "+unit
	}
	fmt.Fprintf(b.out, "%s\t%s\t%s %s\t%s\t%s\t%s\n", workload, e, figure(ours), unit, other, ratio, note)
	b.out.Flush()
}

func figure(f float64) string {
	switch {
	case f >= 1000:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}

// place is an empty database of an engine.
func (b *bench) place(e engine) (string, func(), error) {
	if e == "sqlite" {
		dir, err := os.MkdirTemp("", "vedette-bench-*")
		return dir, func() { os.RemoveAll(dir) }, err
	}
	db, err := sql.Open("pgx", b.pg)
	if err != nil {
		return "", nil, err
	}
	u, err := url.Parse(b.pg)
	if err != nil {
		return "", nil, err
	}
	u.Path = "/vedette_bench_" + strconv.Itoa(os.Getpid())
	drop := func() error {
		_, err := db.ExecContext(b.ctx, "drop database if exists "+u.Path[1:]+" with (force)")
		return err
	}
	if err := drop(); err != nil {
		return "", nil, err
	}
	if _, err = db.ExecContext(b.ctx, "create database "+u.Path[1:]); err != nil {
		return "", nil, err
	}
	return u.String(), func() {
		if err := errors.Join(drop(), db.Close()); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}, nil
}

// open gives an empty store.
func (b *bench) open(e engine, opt store.Options) (*store.Store, func(), error) {
	where, clean, err := b.place(e)
	if err != nil {
		return nil, nil, err
	}
	s, err := store.Open(b.ctx, where, opt)
	if err != nil {
		clean()
		return nil, nil, err
	}
	return s, func() { s.Close(); clean() }, nil
}

func (b *bench) store(e engine) (*store.Store, func(), error) { return b.open(e, app.StoreOptions()) }
