package vedette_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/vedette-hub/vedette"

// room is what one package may know of the others. "." is the root package,
// "format/*" every format.
type room struct {
	knows []string
	// tests are what its tests may know besides.
	tests []string
}

var (
	nouns    = []string{"."}
	thinking = []string{".", "policy", "format/*"}
	everyone = []string{"*"}
)

// house is who may know whom. Everything may know the nouns; what reads, what
// thinks and what goes out do not know each other; only app knows everyone. A
// package that is not here fails the test, so that a new one is a decision.
var house = map[string]room{
	".": {tests: []string{"app", "read"}}, // the tests of the documents

	"format/*": {}, // pure: nothing of ours

	// in: outside -> nouns
	"safe":  {knows: nouns},
	"read":  {knows: []string{".", "safe", "format/*"}},
	"probe": {knows: []string{".", "safe", "format/*"}, tests: everyone},

	"feed": {knows: []string{".", "safe"}},

	// think: pure functions over nouns
	"product":   {knows: thinking, tests: []string{"read", "safe"}},
	"knowledge": {knows: thinking},
	"match":     {knows: thinking, tests: []string{"read", "safe", "product"}},
	"triage":    {knows: thinking, tests: []string{"read", "safe"}},
	"scope":     {knows: thinking},
	"survey":    {knows: thinking, tests: []string{"scope"}},
	"compose":   {knows: thinking},

	// where fetching and reading meet, for feeds and imports alike
	"collect": {knows: []string{".", "safe", "read", "feed"}},

	// out: to people and machines
	"deliver":  {knows: []string{".", "policy"}, tests: everyone},
	"face":     {knows: []string{".", "policy", "store"}, tests: everyone},
	"face/api": {knows: []string{".", "policy", "store", "face"}, tests: everyone},
	"face/web": {knows: []string{".", "policy", "store", "face"}, tests: everyone},

	// under
	"policy":          {knows: nouns},
	"credential":      {}, // pure: nothing of ours
	"config":          {knows: nouns},
	"store":           {knows: []string{".", "policy", "credential"}, tests: everyone},
	"store/storetest": {knows: []string{".", "policy", "store"}, tests: everyone},
	"job":             {knows: nouns, tests: []string{"store/storetest"}},

	"sample":      {},
	"lab":         {knows: []string{".", "safe", "format/*"}, tests: everyone},
	"app":         {knows: everyone, tests: everyone},
	"bench":       {knows: everyone, tests: everyone},
	"daemons":     {knows: everyone, tests: everyone}, // real daemons, beside nmap
	"browser":     {tests: everyone},                  // the pages in a real browser: tests alone
	"cmd/vedette": {knows: []string{"app"}},
}

// budgets; app wires everything and is exempt from the first.
const (
	maxFanOut   = 8 // rooms of ours a package knows; all formats together are one
	maxFunction = 80
)

// notNames say nothing of what is inside.
var notNames = []string{"util", "utils", "common", "types", "models", "model", "manager", "service", "services", "helper", "helpers", "misc", "base"}

// source is one parsed Go file of the tree.
type source struct {
	path, dir string
	test      bool
	generated bool
	file      *ast.File
}

// fset positions all sources.
var fset = token.NewFileSet()

// sources parses the whole tree once for each test that asks.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && p != "." && (name[0] == '.' || name[0] == '_' || name == "testdata" || name == "data" || name == "bin" || name == "node_modules") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(fset, p, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		p = filepath.ToSlash(p)
		out = append(out, source{p, path.Dir(p), strings.HasSuffix(p, "_test.go"), ast.IsGenerated(f), f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// roomOf is the row of a folder: its own, or that of all formats.
func roomOf(dir string) string {
	if strings.HasPrefix(dir, "format/") {
		return "format/*"
	}
	return dir
}

// ours are the folders of this module that a file imports.
func (s source) ours() []string {
	var out []string
	for _, im := range s.file.Imports {
		p, _ := strconv.Unquote(im.Path.Value)
		if p == module {
			out = append(out, ".")
		} else if dir, ok := strings.CutPrefix(p, module+"/"); ok {
			out = append(out, dir)
		}
	}
	return out
}

func TestWhoKnowsWhom(t *testing.T) {
	known := map[string]map[string]bool{}
	for _, s := range sources(t) {
		row, ok := house[roomOf(s.dir)]
		if !ok {
			t.Errorf("%s: the package %s is not in the table of arch_test.go: who may it know, and why does it exist?", s.path, s.dir)
			continue
		}
		may := row.knows
		if s.test {
			may = append(slices.Clone(may), row.tests...)
		}
		for _, dir := range s.ours() {
			if to := roomOf(dir); dir != s.dir && !slices.Contains(may, "*") && !slices.Contains(may, to) {
				t.Errorf("%s: %s may not know %s; it may know %v", s.path, s.dir, dir, may)
			}
			if !s.test && s.dir != "app" {
				if known[s.dir] == nil {
					known[s.dir] = map[string]bool{}
				}
				known[s.dir][roomOf(dir)] = true
			}
		}
	}
	for dir, rooms := range known {
		if len(rooms) > maxFanOut {
			t.Errorf("%s knows %d rooms of ours, more than %d", dir, len(rooms), maxFanOut)
		}
	}
}

// onlyIn are imports of others that belong to one place; one that ends in "/"
// stands for all below it.
var onlyIn = []struct {
	imports []string
	dirs    []string
	why     string
}{
	{[]string{"database/sql", "database/sql/", "github.com/jackc/pgx/", "modernc.org/sqlite", "modernc.org/sqlite/"}, []string{"store", "bench", "job"}, "all SQL is in store, behind As(principal); River, in job, brings its own"},
	{[]string{"github.com/alecthomas/kong"}, []string{"app"}, "app alone knows the command line"},
	{[]string{"github.com/google/osv-scalibr/"}, []string{"match"}, "versions are ordered in one file"},
	{[]string{"golang.org/x/term"}, []string{"app"}, "app alone knows the terminal"},
	{[]string{"rsc.io/qr"}, []string{"face/web"}, "codes to photograph are drawn in one place"},
	{[]string{"golang.org/x/crypto/"}, []string{"credential"}, "passwords are hashed in one place"},
	{[]string{"github.com/miekg/dns", "github.com/miekg/dns/"}, []string{"probe", "lab"}, "probe asks the DNS and the lab answers; everybody else asks probe.Resolver"},
	{[]string{"github.com/danielgtaylor/huma/"}, []string{"face/api"}, "calls of programs are read and described in one place"},
	{[]string{"codeberg.org/go-pdf/fpdf", "golang.org/x/image/"}, []string{"compose"}, "editions go to paper in one place"},
	{[]string{"github.com/wneessen/go-mail/", "github.com/ProtonMail/go-crypto/", "github.com/smallstep/pkcs7"}, []string{"deliver"}, "deliver alone sends and seals mails"},
	{[]string{"encoding/gob", "math/rand"}, nil, "the first is no format to keep; randomness is seeded (math/rand/v2) or secret (crypto/rand)"},
}

func TestImportsOfOthers(t *testing.T) {
	for _, s := range sources(t) {
		for _, im := range s.file.Imports {
			p, _ := strconv.Unquote(im.Path.Value)
			for _, o := range onlyIn {
				if importOf(p, o.imports) && !under(s.dir, o.dirs) && !(s.test && (s.dir == "app" || s.dir == ".")) {
					t.Errorf("%s imports %s: %s", s.path, p, o.why)
				}
			}
		}
		if s.dir == "." && !s.test {
			for _, im := range s.file.Imports {
				if p, _ := strconv.Unquote(im.Path.Value); strings.Contains(p, ".") {
					t.Errorf("%s imports %s: the nouns need the standard library only", s.path, p)
				}
			}
		}
	}
}

func importOf(p string, list []string) bool {
	return slices.ContainsFunc(list, func(l string) bool { return p == l || strings.HasSuffix(l, "/") && strings.HasPrefix(p, l) })
}

func under(dir string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return dir == d || strings.HasPrefix(dir, d+"/") })
}

// TestSystem: (*Store).System passes all walls, so only the line, the
// measurements and tests take it.
func TestSystem(t *testing.T) {
	for _, s := range sources(t) {
		if under(s.dir, []string{"app", "bench", "store"}) || s.dir == "lab" && s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if c, ok := n.(*ast.CallExpr); ok {
				if sel, ok := c.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "System" {
					t.Errorf("%s: System() passes all walls; it is for app, bench and tests of lab", fset.Position(c.Pos()))
				}
			}
			return true
		})
	}
}

// dials are ways to reach the network. safe will have the one dialer.
var dials = map[string][]string{
	"net":        {"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialIP", "DialUnix", "Dialer", "Resolver", "DefaultResolver", "LookupHost", "LookupIP", "LookupAddr", "LookupCNAME", "LookupMX", "LookupNS", "LookupSRV", "LookupTXT", "LookupNetIP", "LookupPort", "ResolveTCPAddr", "ResolveUDPAddr", "ResolveIPAddr"},
	"net/http":   {"Get", "Post", "PostForm", "Head", "Client", "DefaultClient", "Transport", "DefaultTransport"},
	"net/smtp":   {"Dial", "SendMail", "NewClient"},
	"crypto/tls": {"Dial", "DialWithDialer", "Dialer"},
	"net/rpc":    {"Dial", "DialHTTP"},

	"github.com/miekg/dns": {"Client", "Dial", "DialTimeout", "DialWithTLS", "DialTimeoutWithTLS", "Exchange", "ExchangeContext"},
}

func TestNobodyDials(t *testing.T) {
	for _, s := range sources(t) {
		if s.dir == "safe" {
			continue
		}
		names := map[string]string{} // of an import in this file
		for _, im := range s.file.Imports {
			p, _ := strconv.Unquote(im.Path.Value)
			name := path.Base(p)
			if im.Name != nil {
				name = im.Name.Name
			}
			names[name] = p
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && slices.Contains(dials[names[x.Name]], sel.Sel.Name) {
				t.Errorf("%s: %s.%s reaches the network; only safe may", fset.Position(sel.Pos()), x.Name, sel.Sel.Name)
			}
			return true
		})
	}
}

// TestNobodyStartsPrograms: an installed program runs in the bounds of
// safe.Exec; measurements and tests may do as they like.
func TestNobodyStartsPrograms(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || under(s.dir, []string{"safe", "daemons", "bench"}) {
			continue
		}
		for _, im := range s.file.Imports {
			if p, _ := strconv.Unquote(im.Path.Value); p == "os/exec" {
				t.Errorf("%s imports os/exec: programs run in the bounds of safe.Exec", s.path)
			}
		}
	}
}

func TestShape(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		name := strings.TrimSuffix(s.file.Name.Name, "_test")
		if slices.Contains(notNames, name) || slices.Contains(notNames, path.Base(s.dir)) {
			t.Errorf("%s: package %s: the name says nothing of what is inside", s.path, name)
		}
		if s.dir == "internal" || s.dir == "pkg" || strings.Contains(s.dir+"/", "internal/") || strings.HasPrefix(s.dir, "pkg/") {
			t.Errorf("%s: no internal and no pkg: nobody imports us", s.path)
		}
		if !s.test {
			documented[s.dir] = documented[s.dir] || len(bytes.TrimSpace([]byte(s.file.Doc.Text()))) > 0
		}
		if s.generated {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			from, to := fset.Position(f.Pos()), fset.Position(f.End())
			if f.Name.Name == "init" && f.Recv == nil {
				t.Errorf("%s: no init: what is there stands in a list", from)
			}
			if n := to.Line - from.Line + 1; n > maxFunction {
				t.Errorf("%s: %s has %d lines, more than %d", from, f.Name.Name, n, maxFunction)
			}
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s: no file says what the package is for (a doc comment)", dir)
		}
	}
}

// TestFacesAskAsSomebody: a face gets the queries of a principal handed in and
// never takes any itself (decision 0011).
func TestFacesAskAsSomebody(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || !strings.HasPrefix(s.dir, "face") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains([]string{"Open", "As", "System", "OpenDesk"}, sel.Sel.Name) {
				if x, ok := sel.X.(*ast.Ident); ok && (x.Name == "store" || sel.Sel.Name != "Open" && x.Name != "errors") {
					t.Errorf("%s: %s.%s", fset.Position(sel.Pos()), x.Name, sel.Sel.Name)
				}
			}
			return true
		})
	}
}
