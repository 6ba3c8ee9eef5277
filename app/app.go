// Package app wires vedette together: it knows every package, and nobody but
// cmd/vedette knows it. commands.go is the table of commands, line.go the
// stages in order, open.go the store and who acts.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/policy"
	"github.com/vedette-hub/vedette/store"
)

// The exit codes of design section 6.
const (
	exitOK          = 0
	exitNo          = 1 // the answer is no
	exitUsage       = 2
	exitPartial     = 3
	exitAuth        = 4
	exitNotFound    = 5
	exitConflict    = 6
	exitUnavailable = 7
	exitRefused     = 8
	exitInterrupted = 130
)

// Globals are the flags of every command.
type Globals struct {
	Data       string `help:"Folder of the embedded store." default:"data" env:"VEDETTE_DATA" placeholder:"DIR"`
	DB         string `help:"PostgreSQL store; wins over --data." env:"VEDETTE_DB" placeholder:"URL"`
	Config     string `help:"Configuration; vedette.yaml in the data folder when there is one." env:"VEDETTE_CONFIG" placeholder:"FILE" name:"config"`
	TokenFile  string `help:"File with an API token; decides who acts." env:"VEDETTE_TOKEN_FILE" placeholder:"FILE"`
	SecretFile string `help:"Key that seals secrets; secret.key in the data folder by itself." env:"VEDETTE_SECRET_FILE" placeholder:"FILE"`
	Output     string `help:"Form of the output: table, json, jsonl or csv." short:"o" default:"table" enum:"table,json,jsonl,csv" env:"VEDETTE_OUTPUT"`
	Quiet      bool   `help:"No progress on stderr." short:"q" env:"VEDETTE_QUIET"`
}

// run is one call of a command: who acts on which store.
type run struct {
	*Globals
	ctx    context.Context
	in     io.Reader
	out    io.Writer
	errs   io.Writer
	store  *store.Store
	sc     *store.Scoped
	p      vedette.Principal
	line   *Line
	status int  // when the work is done but the answer is not plain yes
	told   bool // the command goes on until it is told to end, and was
}

// command is what the table holds.
type command interface{ Run(*run) error }

// storeless commands act without a store, or open their own.
type storeless interface{ storeless() }

// Main runs one command line and returns the exit code.
func Main(args []string, in io.Reader, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var cli Commands
	exit := -1
	parser, err := kong.New(&cli, kong.Name("vedette"), kong.Description(description), kong.Writers(out, errs),
		kong.Exit(func(code int) { exit = code; panic(exited{}) }), kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}))
	if err != nil {
		fmt.Fprintln(errs, "vedette:", err)
		return exitUsage
	}
	kctx, err := parse(parser, args)
	if exit >= 0 { // --help was answered
		return exit
	}
	if err != nil {
		return usage(parser, errs, err)
	}
	r := &run{Globals: &cli.Globals, ctx: ctx, in: in, out: out, errs: errs}
	err = r.dispatch(kctx)
	if err == nil && ctx.Err() != nil && !r.told {
		err = ctx.Err()
	}
	if err != nil {
		fmt.Fprintf(errs, "vedette: %s\n", explain(err))
		return exitCode(ctx, err)
	}
	return r.status
}

const description = `The join between what constituents expose and what attackers exploit.

Data goes to stdout, everything else to stderr. Exit codes: 0 ok, 1 the answer is no, 2 usage, 3 partial, 4 auth, 5 not found, 6 conflict, 7 store unavailable, 8 refused by scope, marking or role.`

type exited struct{}

// parse lets kong's --help end the parsing without ending the process.
func parse(k *kong.Kong, args []string) (ctx *kong.Context, err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(exited); !ok {
				panic(r)
			}
		}
	}()
	if len(args) == 0 {
		args = []string{"--help"}
	}
	return k.Parse(args)
}

func usage(k *kong.Kong, errs io.Writer, err error) int {
	fmt.Fprintf(errs, "vedette: %v\n", err)
	var pe *kong.ParseError
	if errors.As(err, &pe) && pe.Context != nil {
		if n := pe.Context.Selected(); n != nil {
			fmt.Fprintf(errs, "usage: vedette %s\n", strings.TrimPrefix(n.Summary(), "vedette "))
		}
	}
	fmt.Fprintln(errs, "vedette --help lists the commands")
	return exitUsage
}

// act is the policy's name of the selected command: its path without arguments.
func act(ctx *kong.Context) policy.Act {
	var words []string
	for n := ctx.Selected(); n != nil && n.Type != kong.ApplicationNode; n = n.Parent {
		words = append([]string{n.Name}, words...)
	}
	return policy.Act(strings.Join(words, " "))
}

// dispatch opens the store, asks the policy and runs the command.
func (r *run) dispatch(k *kong.Context) error {
	target := k.Selected().Target
	if target.Kind() != reflect.Pointer {
		target = target.Addr()
	}
	cmd, ok := target.Interface().(command)
	if !ok {
		return fmt.Errorf("%s has no Run", act(k))
	}
	if _, ok := cmd.(storeless); ok {
		return cmd.Run(r)
	}
	var err error
	if r.store, r.p, err = r.open(r.ctx); err != nil {
		return err
	}
	defer r.store.Close()
	if !policy.May(r.p, act(k)) {
		return vedette.Refused("%s may not run %q: it takes another role than %s", r.p.Name, act(k), joinRoles(r.p.Roles))
	}
	if r.sc, err = r.store.As(r.ctx, r.p); err != nil {
		return err
	}
	r.line = NewLine(r.store)
	r.line.alerts = func() (config.Alerts, error) {
		c, err := r.config()
		return c.Alerts, err
	}
	return cmd.Run(r)
}

// drain runs the line after a command that wrote.
func (r *run) drain() error {
	defer r.progress("")
	r.line.Progress = func(stage string, rows int) { r.progress("line: %s, %d in this batch", stage, rows) }
	return r.line.Drain(r.ctx)
}

// progress shows one line that replaces the last, on a terminal only.
func (r *run) progress(format string, a ...any) {
	if r.Quiet || !isTerminal(r.errs) {
		return
	}
	fmt.Fprintf(r.errs, "\r\033[K"+format, a...)
}

// isTerminal says whether a stream is a person's screen or keyboard.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull) // a device as well
	return err != nil || !os.SameFile(info, null)
}

// note writes a line to stderr unless quiet.
func (r *run) note(format string, a ...any) {
	if !r.Quiet {
		fmt.Fprintf(r.errs, format+"\n", a...)
	}
}

// explain names the kind of an error where its message alone does not.
func explain(err error) string {
	text := err.Error()
	for _, kind := range []error{vedette.ErrNotFound, vedette.ErrRefused} {
		if errors.Is(err, kind) && !errors.Is(err, fs.ErrNotExist) && !strings.Contains(text, kind.Error()) {
			return kind.Error() + ": " + text
		}
	}
	return text
}

func exitCode(ctx context.Context, err error) int {
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	for _, c := range []struct {
		kind error
		code int
	}{{errUsage, exitUsage}, {vedette.ErrAuth, exitAuth}, {vedette.ErrNotFound, exitNotFound}, {vedette.ErrRefused, exitRefused},
		{vedette.ErrConflict, exitConflict}, {vedette.ErrUnavailable, exitUnavailable}, {vedette.ErrInvalid, exitNo}} {
		if errors.Is(err, c.kind) {
			return c.code
		}
	}
	return exitNo
}

// errUsage is a wrong combination of flags or a value no flag takes.
var errUsage = errors.New("usage")
