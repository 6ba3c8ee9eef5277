package app

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vedette-hub/vedette/store/storetest"
)

var updateScripts = flag.Bool("update-scripts", false, "write what commands print now into testdata/script")

// TestMain makes the test binary a vedette for the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"vedette": func() {
		out := &bytes.Buffer{}
		code := Main(os.Args[1:], os.Stdin, out, os.Stderr)
		os.Stdout.Write(timeless(out.Bytes(), time.Now()))
		os.Exit(code)
	}})
}

// TestScripts runs the transcripts, which read as a manual: each begins in a
// folder with the sample world and no store; NOW is any time of the run itself.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *updateScripts,
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			return os.CopyFS(filepath.Join(e.WorkDir, "sample"), os.DirFS("../sample"))
		},
		Condition: func(cond string) (bool, error) {
			if cond == "postgres" {
				return os.Getenv("VEDETTE_TEST_PG") != "", nil
			}
			return false, fmt.Errorf("unknown condition %s", cond)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits,
			// database sets $DB to an empty PostgreSQL database
			"database": func(ts *testscript.TestScript, neg bool, args []string) { ts.Setenv("DB", storetest.Postgres(t)) },
		},
	})
}

// exits is "exits CODE COMMAND...": the command has to end with just this code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = exitOf.FindString(err.Error())
	}
	if got != args[0] {
		ts.Fatalf("it exits with %s, not %s (%v)", got, args[0], err)
	}
}

var (
	exitOf = regexp.MustCompile(`\d+$`) // "exit status 5"
	stamps = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z`)
)

// timeless turns the times of the last minutes into NOW.
func timeless(out []byte, now time.Time) []byte {
	return stamps.ReplaceAllFunc(out, func(s []byte) []byte {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04Z"} {
			if at, err := time.Parse(layout, string(s)); err == nil && now.Sub(at).Abs() < 10*time.Minute {
				return []byte("NOW")
			}
		}
		return s
	})
}
