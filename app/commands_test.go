package app

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/face/web"
	"github.com/vedette-hub/vedette/policy"
)

func parser(t *testing.T) *kong.Kong {
	t.Helper()
	k, err := kong.New(&Commands{}, kong.Name("vedette"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// commands are the leaves of the table, by their act.
func commands(t *testing.T) map[policy.Act]*kong.Node {
	out := map[policy.Act]*kong.Node{}
	var walk func(n *kong.Node, words []string)
	walk = func(n *kong.Node, words []string) {
		if n.Leaf() {
			out[policy.Act(strings.Join(words, " "))] = n
		}
		for _, c := range n.Children {
			walk(c, append(slices.Clone(words), c.Name))
		}
	}
	walk(parser(t).Model.Node, nil)
	return out
}

// TestEveryCommandHasARow: one without a row is refused to everybody, and a row
// without a command protects nothing.
func TestEveryCommandHasARow(t *testing.T) {
	cmds := commands(t)
	if len(cmds) < 15 {
		t.Fatalf("only %d commands found", len(cmds))
	}
	for act, n := range cmds {
		if !slices.ContainsFunc(policy.Table, func(r policy.Row) bool { return r.Act == act }) {
			t.Errorf("the command %s has no row in policy.Table", act)
		}
		if n.Help == "" {
			t.Errorf("the command %s has no help", act)
		}
		for _, f := range n.Flags {
			if f.Help == "" {
				t.Errorf("%s: --%s has no help", act, f.Name)
			}
		}
	}
	routes := map[policy.Act]bool{}
	for _, rt := range allRoutes(t) {
		routes[rt.Act] = true
		if _, ok := policy.Find(rt.Act); !ok {
			t.Errorf("the route %s %s has no row %q", rt.Method, rt.Path, rt.Act)
		}
	}
	for i, r := range policy.Table {
		if cmds[r.Act] == nil && !routes[r.Act] {
			t.Errorf("the row %q is of no command and no route", r.Act)
		}
		if slices.ContainsFunc(policy.Table[:i], func(o policy.Row) bool { return o.Act == r.Act }) {
			t.Errorf("the row %q stands twice", r.Act)
		}
	}
}

// TestExamples: the examples of every command's help are command lines.
func TestExamples(t *testing.T) {
	n := 0
	for act, node := range commands(t) {
		for line := range strings.SplitSeq(node.Detail, "\n") {
			line, ok := strings.CutPrefix(strings.TrimSpace(line), "vedette ")
			if !ok {
				continue
			}
			n++
			if _, err := parser(t).Parse(words(line)); err != nil {
				t.Errorf("%s: %s: %v", act, line, err)
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d examples found", n)
	}
}

// words splits a line as a shell does, up to its first pipe or redirection.
func words(line string) []string {
	var out []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		for _, w := range strings.Fields(part) {
			if w == "|" || w == ">" || w == "<" || w == "&&" {
				return out
			}
			out = append(out, w)
		}
	}
	return out
}

// allRoutes is the table of all routes, without what serves them.
func allRoutes(t *testing.T) []face.Route {
	t.Helper()
	w := newWorld(t, t.TempDir())
	h, err := newHub(context.Background(), w.store, config.Survey{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.server(h.counter(config.Config{}), config.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(s.Routes, web.New(nil, nil, nil).DemoRoutes(nil))
}
