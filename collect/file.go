package collect

import (
	"bytes"
	_ "embed" // the feeds that are shipped
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/feed"
	"github.com/vedette-hub/vedette/read"
)

// Entry is one feed of a file. Enabled is nil where the file does not say:
// then it stays as it is.
type Entry struct {
	Feed    vedette.Feed
	Enabled *bool
}

// entry is an entry as the file has it.
type entry struct {
	Name         string            `yaml:"name"`
	About        string            `yaml:"about"`
	Source       string            `yaml:"source"`
	Format       string            `yaml:"format"`
	Fetch        string            `yaml:"fetch"`
	URL          string            `yaml:"url"`
	Path         string            `yaml:"path"`
	Every        string            `yaml:"every"`
	Marking      string            `yaml:"marking"`
	Audience     string            `yaml:"audience"`
	Reliability  string            `yaml:"reliability"`
	Licence      string            `yaml:"licence"`
	Redistribute string            `yaml:"redistribute"`
	Headers      map[string]string `yaml:"headers"`
	Limit        int64             `yaml:"limit"`
	Enabled      *bool             `yaml:"enabled"`
}

//go:embed public.yaml
var public []byte

// Public are the feeds that are shipped: public sources at their addresses,
// each off until somebody enables it.
func Public() ([]vedette.Feed, error) {
	es, err := ReadFile(bytes.NewReader(public))
	var out []vedette.Feed
	for _, e := range es {
		out = append(out, e.Feed)
	}
	return out, err
}

// maxFile bounds a file of feeds, in bytes.
const maxFile = 1 << 20

// anchor is an anchor or an alias of YAML: a bomb needs both, feeds need neither.
var anchor = regexp.MustCompile(`(?m)(^|[:\-\[,]\s+)[&*][A-Za-z0-9_]`)

// ReadFile reads and checks a file of feeds. An unknown key is an error with
// its line, a bad value one with its field.
func ReadFile(r io.Reader) ([]Entry, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, vedette.Invalid("the file is larger than %d bytes", maxFile)
	}
	if at := anchor.FindIndex(text); at != nil {
		return nil, vedette.Invalid("line %d: anchors and aliases are not read here", 1+bytes.Count(text[:at[0]], []byte("\n")))
	}
	var file struct {
		Feeds []entry `yaml:"feeds"`
	}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict(), yaml.DisallowUnknownField()).Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, vedette.Invalid("%s", strings.TrimSpace(yaml.FormatError(err, false, false)))
	}
	if len(file.Feeds) == 0 {
		return nil, vedette.Invalid("the file names no feeds: it begins with the key feeds")
	}
	var out []Entry
	seen := map[string]bool{}
	for i, e := range file.Feeds {
		f, err := e.feed()
		if err == nil && seen[f.Name] {
			err = errors.New("name: it stands twice")
		}
		if err != nil {
			return nil, vedette.Invalid("feeds[%d] (%s).%w", i, e.Name, err)
		}
		seen[f.Name] = true
		out = append(out, Entry{f, e.Enabled})
	}
	return out, nil
}

var (
	nameForm      = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)
	reliabilities = []string{"", "A", "B", "C", "D", "E", "F"}
	redistributes = []string{"", "yes", "attribution", "internal", "named"}
	// inside are the formats of what only this hub, its probes and its people say.
	inside = []string{"survey", "checks", "person"}
)

// feed checks an entry.
func (e entry) feed() (f vedette.Feed, err error) {
	f = vedette.Feed{Name: e.Name, About: e.About, Source: e.Source, Format: e.Format, Fetch: e.Fetch, URL: e.URL, Path: e.Path,
		Reliability: e.Reliability, Licence: e.Licence, Redistribute: e.Redistribute, Headers: e.Headers, Limit: e.Limit}
	if f.Source == "" {
		f.Source = f.Name
	}
	switch {
	case !nameForm.MatchString(f.Name):
		return f, errors.New("name: not lower-case letters, digits, - and .")
	case !nameForm.MatchString(f.Source):
		return f, errors.New("source: not lower-case letters, digits, - and .")
	case !slices.Contains(reliabilities, f.Reliability):
		return f, fmt.Errorf("reliability: %q is not A to F", f.Reliability)
	case !slices.Contains(redistributes, f.Redistribute):
		return f, fmt.Errorf("redistribute: %q is not yes, attribution, internal or named", f.Redistribute)
	case f.Limit < 0 || f.Limit > maxLimit:
		return f, fmt.Errorf("limit: not 1 to %d megabytes", maxLimit)
	}
	if _, err := read.ByName(f.Format); err != nil || slices.Contains(inside, f.Format) {
		return f, fmt.Errorf("format: %q is none that a feed can bring", f.Format)
	}
	if err := speaks(f); err != nil {
		return f, err
	}
	if err := e.marking(&f); err != nil {
		return f, err
	}
	if f.Every, err = time.ParseDuration(e.Every); err != nil || f.Every < time.Second || f.Every > 31*24*time.Hour {
		return f, fmt.Errorf("every: %q is no time like 15m or 6h, a second to 31 days", e.Every)
	}
	return f, place(f)
}

// speaks refuses a feed that would speak in the name of a known source in another
// format than its own: of a source that states all it knows in each document,
// the other would close everything.
func speaks(f vedette.Feed) error {
	named := false
	for _, x := range read.All {
		if x.Source.Name == f.Source {
			if x.Name == f.Format {
				return nil
			}
			named = true
		}
	}
	if named {
		return fmt.Errorf("source: %s does not publish %s", f.Source, f.Format)
	}
	return nil
}

// maxLimit is how many megabytes a feed may let itself download.
const maxLimit = 8 << 10

func (e entry) marking(f *vedette.Feed) (err error) {
	if e.Marking != "" {
		if f.Marking.TLP, err = vedette.ParseTLP(e.Marking); err != nil {
			return fmt.Errorf("marking: %w", err)
		}
	}
	if f.Marking.Audience, err = vedette.ParseAudience(e.Audience); err != nil {
		return fmt.Errorf("audience: %w", err)
	}
	if f.Marking.TLP == vedette.TLPNone && f.Marking.Audience != "" {
		return errors.New("audience: it needs a marking")
	}
	return nil
}

// place checks where a feed is fetched.
func place(f vedette.Feed) error {
	switch f.Fetch {
	case vedette.FetchHTTP:
		if f.Path != "" {
			return errors.New("path: an http feed has a url")
		}
		return address(f)
	case vedette.FetchFolder:
		if f.URL != "" || len(f.Headers) > 0 {
			return errors.New("url: a folder has a path, and no url and headers")
		}
		if !filepath.IsAbs(f.Path) || filepath.Clean(f.Path) != f.Path {
			return fmt.Errorf("path: %q is no absolute path of a folder", f.Path)
		}
		return nil
	}
	return fmt.Errorf("fetch: %q is not http or folder", f.Fetch)
}

// politePause is the shortest period at which a server of others is asked.
const politePause = time.Minute

func address(f vedette.Feed) error {
	u, err := url.Parse(f.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return fmt.Errorf("url: %q is no address of HTTP", f.URL)
	}
	if u.User != nil || u.Fragment != "" {
		return errors.New("url: users, passwords and fragments do not belong there")
	}
	a, err := netip.ParseAddr(u.Hostname())
	own := err == nil && a.IsLoopback()
	if f.Every < politePause && !own {
		return fmt.Errorf("every: servers of others are asked every %s at most", politePause)
	}
	for name, value := range f.Headers {
		switch canonical := http.CanonicalHeaderKey(name); {
		case slices.Contains([]string{"Host", "User-Agent", "Accept-Encoding", "Connection", "Content-Length", "Transfer-Encoding", "Range", "Cookie"}, canonical), strings.HasPrefix(canonical, "If-"):
			return fmt.Errorf("headers.%s: it is not for a feed to set", name)
		case !headerForm.MatchString(name):
			return fmt.Errorf("headers: %q is no name of a header", name)
		case canonical == "Accept":
			continue
		}
		if err := feed.CheckSecret(value); err != nil {
			return fmt.Errorf("headers.%s: %w", name, err)
		}
		if u.Scheme != "https" && !own {
			return fmt.Errorf("headers.%s: a secret goes over https alone", name)
		}
	}
	return nil
}

var headerForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,63}$`)
