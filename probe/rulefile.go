package probe

import (
	"bytes"
	"cmp"
	"embed"
	"io/fs"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"

	"github.com/vedette-hub/vedette"
)

//go:embed rules/*.yaml
var ruleFiles embed.FS

// rule tells one product by what its hosts show. The names of vendor and
// product are those of the CPE dictionary.
type rule struct {
	// Product is "vendor/product". A {group} in it is filled in from the
	// pattern, as the dictionary writes names: lower case, "_" for spaces.
	Product string `yaml:"product"`
	Title   string `yaml:"title"` // what people call it
	Part    string `yaml:"part"`  // of the CPE name: a, o, h; "" is a
	// Known are other names of the same product in catalogues, "vendor: product".
	Known []string  `yaml:"known"`
	See   []sight   `yaml:"see"`
	Yes   []example `yaml:"yes"`
	No    []example `yaml:"no"`

	file, vendor, name string
}

// sight is one text that shows the product.
type sight struct {
	On string `yaml:"on"` // key of the text
	// Pattern has groups with a meaning: version; update, the update of the CPE
	// name ("p1"); distro, the word for a distribution; package, the revision of
	// its package.
	Pattern string `yaml:"pattern"`
	Version string `yaml:"version"` // made of groups, "16.0.{build}"; "" is the group version

	rule *rule
	re   *regexp.Regexp
	// literal stands in every text that matches; it is looked for first.
	literal string
}

// example is a text with what a rule makes of it.
type example struct {
	On      string `yaml:"on"`
	Text    string `yaml:"text"`
	Version string `yaml:"version"`
	Distro  string `yaml:"distro"`
	Package string `yaml:"package"`
}

// ownRules reads the rules once.
var ownRules = sync.OnceValues(func() ([]*rule, error) { return readRules(ruleFiles) })

func readRules(files fs.FS) ([]*rule, error) {
	names, err := fs.Glob(files, "rules/*.yaml")
	if err != nil {
		return nil, err
	}
	var all []*rule
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		var list []*rule
		if err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(&list); err != nil {
			return nil, ruleFault(strings.TrimPrefix(name, "rules/"), "yaml", "%v", err)
		}
		for _, r := range list {
			r.file = strings.TrimPrefix(name, "rules/")
			if err := r.prepare(); err != nil {
				return nil, err
			}
		}
		all = append(all, list...)
	}
	return all, nil
}

// prepare checks a rule and compiles its patterns.
func (r *rule) prepare() error {
	var ok bool
	if r.vendor, r.name, ok = strings.Cut(r.Product, "/"); !ok || r.vendor == "" || r.name == "" {
		return ruleFault(r.file, r.Product, "the product is not vendor/product")
	}
	if len(r.See) == 0 {
		return ruleFault(r.file, r.Product, "nothing to see it by")
	}
	for i := range r.See {
		s := &r.See[i]
		s.rule = r
		re, err := regexp.Compile(s.Pattern)
		if err != nil {
			return ruleFault(r.file, r.Product, "%v", err)
		}
		for _, g := range groupsOf(s.Version + r.name) {
			if re.SubexpIndex(g) < 0 {
				return ruleFault(r.file, r.Product, "the pattern has no group %s", g)
			}
		}
		s.re, s.literal = re, mustHold(s.Pattern)
	}
	return nil
}

// groupsOf are the names in braces.
func groupsOf(template string) []string {
	var out []string
	for part := range strings.SplitSeq(template, "{") {
		if name, _, ok := strings.Cut(part, "}"); ok {
			out = append(out, name)
		}
	}
	return out
}

// match makes software of a text.
func (s *sight) match(text string) (vedette.Software, bool) {
	if s.literal != "" && !strings.Contains(text, s.literal) {
		return vedette.Software{}, false
	}
	m := s.re.FindStringSubmatch(text)
	if m == nil {
		return vedette.Software{}, false
	}
	group := func(name string) string {
		if i := s.re.SubexpIndex(name); i >= 0 && len(m[i]) <= maxVersionText && showable(m[i]) {
			return m[i]
		}
		return ""
	}
	fill := func(template string, how func(string) string) string {
		for _, g := range groupsOf(template) {
			template = strings.ReplaceAll(template, "{"+g+"}", how(group(g)))
		}
		return template
	}
	version := group("version")
	if s.Version != "" {
		version = fill(s.Version, unpadded)
	}
	name := fill(s.rule.name, func(s string) string { return strings.ReplaceAll(strings.ToLower(s), " ", "_") })
	update := group("update")
	sw := vedette.Software{Vendor: s.rule.vendor, Product: name, Version: version + update,
		CPE: exactCPE(s.rule.Part, s.rule.vendor, name, version, update)}
	return packaging(sw, group("distro"), group("package")), true
}

// unpadded is a number without leading zeros; any other text is kept.
func unpadded(s string) string {
	if strings.Trim(s, "0123456789") != "" || s == "" {
		return s
	}
	return cmp.Or(strings.TrimLeft(s, "0"), "0")
}

// showable says whether a text can be shown as it is: what a host says of
// itself is no version when it holds control characters.
func showable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// maxVersionText bounds a version as a host shows it, in bytes.
const maxVersionText = 64

// distroWords are the words by which banners name a distribution, the longer
// before those they hold.
var distroWords = []struct{ word, distro string }{
	{"debian", "debian"}, {"ubuntu", "ubuntu"}, {"raspbian", "raspbian"}, {"red hat", "rhel"}, {"redhat", "rhel"}, {"rhel", "rhel"},
	{"centos", "centos"}, {"almalinux", "almalinux"}, {"rocky", "rocky"}, {"fedora", "fedora"}, {"opensuse", "opensuse"}, {"suse", "suse"},
	{"freebsd", "freebsd"}, {"amazon", "amazon"}, {"oracle linux", "oraclelinux"}, {"alpine", "alpine"},
}

// packaging fills in what a banner tells of the distribution's package: its
// word, and the revision behind the upstream version (deb-version(7)).
func packaging(sw vedette.Software, word, revision string) vedette.Software {
	if word == "" && strings.Contains(revision, "ubuntu") {
		word = "ubuntu"
	}
	if word == "" && releaseOf("debian", revision) != "" {
		word = "debian"
	}
	low := strings.ToLower(word)
	for _, d := range distroWords {
		if low != "" && strings.HasPrefix(low, d.word) {
			sw.Distro = d.distro
			break
		}
	}
	if sw.Distro == "" || sw.Version == "" {
		return sw
	}
	if revision != "" {
		sw.PackageVersion = sw.Version + "-" + revision
		if release := releaseOf(sw.Distro, revision); release != "" {
			sw.Distro += ":" + release
		}
	}
	return sw
}

var (
	debRevision    = regexp.MustCompile(`[+~]deb(\d+)u`)
	ubuntuRevision = regexp.MustCompile(`ubuntu0\.(\d\d\.(?:04|10))`)
)

// releaseOf is the release that a package's revision names: "5+deb11u3" is of
// Debian 11, "0ubuntu0.22.04.1" of Ubuntu 22.04.
func releaseOf(distro, revision string) string {
	re := debRevision
	switch distro {
	case "debian":
	case "ubuntu":
		re = ubuntuRevision
	default:
		return ""
	}
	if m := re.FindStringSubmatch(revision); m != nil {
		return m[1]
	}
	return ""
}

// mustHold is the longest text that every match of an expression contains, ""
// when none is sure. Most rules do not match most texts, and a look for a
// literal costs a fraction of a run of the expression.
func mustHold(expr string) string {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return ""
	}
	return literalIn(re)
}

func literalIn(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 && !slices.ContainsFunc(re.Rune, func(r rune) bool { return r >= 0x80 }) {
			return string(re.Rune)
		}
	case syntax.OpCapture, syntax.OpPlus:
		return literalIn(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return literalIn(re.Sub[0])
		}
	case syntax.OpConcat:
		best := ""
		for _, sub := range re.Sub {
			if s := literalIn(sub); len(s) > len(best) {
				best = s
			}
		}
		return best
	}
	return ""
}
