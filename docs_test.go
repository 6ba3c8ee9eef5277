package vedette_test

import (
	"go/ast"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/vedette-hub/vedette/app"
	"github.com/vedette-hub/vedette/read"
)

// pages are the documents a person reads.
func pages(t *testing.T) []string {
	t.Helper()
	out := []string{"README.md", "HACKING.md", "CHANGELOG.md", "sample/README.md"}
	err := filepath.WalkDir("docs", func(p string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, ".md") {
			out = append(out, filepath.ToSlash(p))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func text(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinks(t *testing.T) {
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text(t, page), -1) {
			to, _, _ := strings.Cut(m[1], "#")
			if strings.Contains(to, "://") || to == "" {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), to)); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", page, m[1])
			}
		}
	}
}

// declared are the names of the tree: "match.Judge", "store.Taking.Add",
// "store.Taking.Known", and the packages by themselves.
func declared(t *testing.T) (names, packages map[string]bool) {
	names, packages = map[string]bool{}, map[string]bool{}
	for _, s := range sources(t) {
		pkg := s.file.Name.Name
		if s.test || pkg == "main" {
			continue
		}
		packages[pkg] = true
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				name := d.Name.Name
				if d.Recv != nil {
					name = receiver(d.Recv.List[0].Type) + "." + name
				}
				names[pkg+"."+name] = true
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					declare(names, pkg, spec)
				}
			}
		}
	}
	return names, packages
}

func declare(names map[string]bool, pkg string, spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, n := range spec.Names {
			names[pkg+"."+n.Name] = true
		}
	case *ast.TypeSpec:
		names[pkg+"."+spec.Name.Name] = true
		if st, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range st.Fields.List {
				for _, n := range f.Names {
					names[pkg+"."+spec.Name.Name+"."+n.Name] = true
				}
			}
		}
	}
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

var (
	quoted = regexp.MustCompile("`([^`\n]+)`")
	goFile = regexp.MustCompile(`^[a-z][a-z0-9_/.-]*\.(go|sql|csv|txt|txtar|md|yaml|jsonl?|xml)$`)
	goName = regexp.MustCompile(`^([a-z][a-z0-9]*)((?:\.[A-Za-z_]\w*){1,2})(\(\))?$`)
)

// TestNames: a file or a function that a document names is in the tree.
func TestNames(t *testing.T) {
	names, packages := declared(t)
	for _, page := range pages(t) {
		if page == "CHANGELOG.md" { // speaks of the past
			continue
		}
		for _, m := range quoted.FindAllStringSubmatch(text(t, page), -1) {
			word := m[1]
			if goFile.MatchString(word) {
				_, err := os.Stat(word)
				if _, beside := os.Stat(path.Join(path.Dir(page), word)); err != nil && beside != nil {
					t.Errorf("%s names the file %s, which does not exist", page, word)
				}
				continue
			}
			if n := goName.FindStringSubmatch(word); n != nil && packages[n[1]] && !names[n[1]+n[2]] {
				t.Errorf("%s names %s, which does not exist", page, word)
			}
		}
	}
}

var (
	fence   = regexp.MustCompile("(?s)```(?:sh|console)\n(.*?)```")
	comment = regexp.MustCompile(`\s+#.*$`)
)

// TestCommands: every vedette command line in a document is one.
func TestCommands(t *testing.T) {
	var lines []string
	for _, page := range pages(t) {
		for _, block := range fence.FindAllStringSubmatch(text(t, page), -1) {
			for line := range strings.SplitSeq(block[1], "\n") {
				lines = append(lines, comment.ReplaceAllString(line, ""))
			}
		}
		for _, m := range quoted.FindAllStringSubmatch(text(t, page), -1) {
			if strings.HasPrefix(m[1], "vedette ") && !strings.ContainsAny(m[1], "|…<") && !strings.Contains(m[1], "...") {
				lines = append(lines, m[1])
			}
		}
	}
	checked := 0
	for _, line := range lines {
		args := strings.Fields(line)
		if len(args) == 0 || path.Base(args[0]) != "vedette" {
			continue
		}
		if i := slices.IndexFunc(args, func(a string) bool { return a == "|" || a == ">" || a == "<" || a == "&&" }); i > 0 {
			args = args[:i]
		}
		if slices.Contains(args, "--help") {
			continue
		}
		checked++
		parser, err := kong.New(&app.Commands{}, kong.Name("vedette"))
		if err != nil {
			t.Fatal(err)
		}
		// prose may name a command without its arguments
		if _, err := parser.Parse(args[1:]); err != nil && !strings.HasPrefix(err.Error(), "expected ") {
			t.Errorf("%s: %v", line, err)
		}
	}
	if checked < 10 {
		t.Errorf("only %d command lines found", checked)
	}
}

// TestSpecs: docs/specs.txt has a row for every format, and nothing but rows.
func TestSpecs(t *testing.T) {
	_, packages := declared(t)
	listed := map[string]bool{}
	for i, line := range strings.Split(strings.TrimSpace(text(t, "docs/specs.txt")), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			t.Errorf("line %d: %d columns, not 5", i+1, len(cells))
			continue
		}
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
		}
		status, format, pkg := cells[0], cells[2], cells[3]
		if !slices.Contains([]string{"Yes", "Partial", "No"}, status) {
			t.Errorf("line %d: %q is not Yes, Partial or No", i+1, status)
		}
		if _, err := os.Stat(pkg); (pkg == "-") != (status == "No") || pkg != "-" && err != nil && !packages[pkg] {
			t.Errorf("line %d: %s in the package %q", i+1, status, pkg)
		}
		if format != "-" && listed[format] {
			t.Errorf("line %d: the format %s stands twice", i+1, format)
		}
		listed[format] = true
		if _, err := read.ByName(format); format != "-" && err != nil {
			t.Errorf("line %d: %v", i+1, err)
		}
	}
	for _, f := range read.All {
		if !listed[f.Name] {
			t.Errorf("the format %s has no row: how much of its specification is read?", f.Name)
		}
	}
}
