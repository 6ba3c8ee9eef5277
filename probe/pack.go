package probe

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/cpe"
	"github.com/vedette-hub/vedette/format/recog"
	"github.com/vedette-hub/vedette/safe"
)

// The bounds of one pack.
const (
	maxPackFile     = 16 << 20 // bytes of one file
	maxPackFiles    = 1000
	maxFingerprints = 100_000 // of one file
)

// pack is one file of fingerprints. Its expressions are compiled when a text of
// its key comes for the first time: most runs need few of the files.
type pack struct {
	file, key string
	list      []recog.Fingerprint
	once      sync.Once
	ready     []ready
}

type ready struct {
	*recog.Pattern
	literal string
}

// readPack reads every .xml file of a file system that is one of fingerprints.
func readPack(fsys fs.FS) ([]*pack, error) {
	var out []*pack
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.EqualFold(path.Ext(name), ".xml") {
			return err
		}
		if len(out) == maxPackFiles {
			return vedette.Invalid("more than %d files of fingerprints", maxPackFiles)
		}
		p, err := readPackFile(fsys, name)
		if err != nil {
			return fmt.Errorf("%s: %w", safe.Label(name), err)
		}
		out = append(out, p)
		return nil
	})
	return out, err
}

func readPackFile(fsys fs.FS, name string) (*pack, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxPackFile {
		return nil, vedette.Invalid("larger than %d bytes", maxPackFile)
	}
	p := &pack{file: name}
	head, err := recog.Parse(safe.NewXML(f, safe.Limits{Depth: 16, Token: 1 << 20}), func(fp recog.Fingerprint) error {
		if len(p.list) == maxFingerprints {
			return vedette.Invalid("more than %d fingerprints", maxFingerprints)
		}
		fp.Examples = nil
		p.list = append(p.list, fp)
		return nil
	})
	if err != nil {
		return nil, vedette.Invalid("%s", safe.Reason(err))
	}
	p.key = packKey(head, name)
	return p, nil
}

// packKey is the key of a file. One that names none is known by its own name:
// telnet_banners.xml is "telnet.banner", smtp_help.xml "smtp.help".
func packKey(head recog.Head, name string) string {
	if head.Matches != "" {
		return head.Matches
	}
	base := strings.TrimSuffix(path.Base(name), path.Ext(name))
	return strings.TrimSuffix(strings.Replace(base, "_", ".", 1), "s")
}

// compile makes the expressions ready; those that RE2 cannot say are left out.
func (p *pack) compile() {
	for _, f := range p.list {
		if c, err := f.Compile(); err == nil {
			p.ready = append(p.ready, ready{c, mustHold(c.Expr())})
		}
	}
	p.list = nil
}

// first is the fingerprint that counts for a text: the first of the file that
// matches. nil when none does.
func (p *pack) first(text string) *ready {
	p.once.Do(p.compile)
	for i := range p.ready {
		r := &p.ready[i]
		if strings.Contains(text, r.literal) && r.Matches(text) {
			return r
		}
	}
	return nil
}

// match makes software of the fingerprint that counts.
func (p *pack) match(text string) []vedette.Software {
	r := p.first(text)
	if r == nil || r.Certainty == 0 {
		return nil
	}
	fields, _ := r.Match(text)
	return packSoftware(fields)
}

// packSoftware is the software in the fields of a fingerprint: the service
// first, then its component, the system and the hardware. A Linux distribution
// is told as the packaging of the service and not as a product: its name with a
// version would match every fault of any of its packages.
func packSoftware(fields map[string]string) []vedette.Software {
	var out []vedette.Software
	for _, of := range [...]string{"service", "service.component", "os", "hw"} {
		sw, ok := packProduct(fields, of)
		if !ok {
			continue
		}
		if of == "os" {
			if distro := distroOf(fields); distro != "" {
				for i := range out[:min(len(out), 1)] {
					out[i].Distro = distro
				}
				continue
			}
			if name := letters(fields["os.product"]); generic[name] && sw.Version == "" || kernels[name] {
				continue
			}
		}
		out = addSoftware(out, sw)
	}
	return out
}

// generic are names of systems that say nothing without a version.
var generic = map[string]bool{"windows": true, "unix": true, "bsd": true, "solaris": true, "macos": true, "macosx": true, "freebsd": true, "openbsd": true, "netbsd": true, "ios": true}

// kernels are told by no look at all: the number of a kernel stays for years
// while its distribution ports fixes back, so that it would match thousands of faults.
var kernels = map[string]bool{"linux": true, "linuxkernel": true}

// distroOf is the distribution that a fingerprint tells, "debian:11".
func distroOf(fields map[string]string) string {
	if !strings.Contains(fields["os.family"]+fields["os.product"], "Linux") {
		return ""
	}
	name := strings.ToLower(fields["os.vendor"])
	for _, d := range distroWords {
		if strings.HasPrefix(name, d.word) {
			if v := fields["os.version"]; v != "" && showable(v) {
				return d.distro + ":" + v
			}
			return d.distro
		}
	}
	return ""
}

func packProduct(fields map[string]string, of string) (vedette.Software, bool) {
	field := func(name string) string {
		if v := fields[of+"."+name]; showable(v) && len(v) <= maxVersionText {
			return v
		}
		return ""
	}
	sw := vedette.Software{Vendor: field("vendor"), Product: field("product"), Version: field("version")}
	if sw.Product == "" || fields[of+".certainty"] == "0.0" || fields[of+".certainty"] == "0" {
		return sw, false
	}
	// the name of the dictionary; the version behind it is ours, because "-"
	// stands there for one that is not known
	parts := strings.SplitN(fields[of+".cpe23"], ":", 6)
	if len(parts) < 4 || len(parts[1]) != 2 {
		return sw, true
	}
	n, err := cpe.Parse(strings.Join(parts[:4], ":"))
	if err != nil || n[cpe.Vendor].IsAny() || n[cpe.Product].IsAny() {
		return sw, true
	}
	sw.Vendor, sw.Product = n[cpe.Vendor].Text(), n[cpe.Product].Text()
	if sw.Version == "" && len(parts) > 4 && parts[4] != "-" && parts[4] != "*" && showable(parts[4]) {
		sw.Version = parts[4]
	}
	sw.CPE = exactCPE(string(n[cpe.Part]), sw.Vendor, sw.Product, sw.Version, "")
	return sw, true
}
