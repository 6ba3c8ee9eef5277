package match

import (
	"strings"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/cpe"
)

// fit says whether a candidate is about this kind of the product at all.
type fit uint8

const (
	fits fit = iota
	maybe
	misses
)

// openEnd ends a CPE name that narrows by nothing after version and update.
const openEnd = ":*:*:*:*:*:*"

// narrow compares the attributes of a candidate's CPE name, other than version
// and update, with those of the software (NISTIR 7696 §6). What the software
// does not tell is open: it makes the match possible where it matters.
func narrow(sw *cpe.Name, seenCPE bool, a *vedette.Affected) (fit, string) {
	if a.CPE == "" || !seenCPE && strings.HasSuffix(a.CPE, openEnd) {
		return fits, ""
	}
	want, err := cpe.Parse(a.CPE)
	if err != nil {
		return fits, ""
	}
	result, reason := fits, ""
	for i := cpe.Edition; i <= cpe.Other; i++ {
		w := want[i]
		if w.IsAny() || i == cpe.Language {
			continue
		}
		have := cpe.Any
		if seenCPE && !sw[i].IsAny() {
			have = sw[i]
		}
		switch r := cpe.Compare(w, have); {
		case r == cpe.Equal || r == cpe.Superset:
		case have == cpe.Any && w == cpe.NA: // "no edition" is how the plain product is written
		case have == cpe.Any:
			result, reason = maybe, "the "+cpe.AttrName(i)+" "+w.Text()+" that the range is limited to was not seen"
		case have == cpe.NA && i != cpe.TargetSW && i != cpe.TargetHW:
			result, reason = maybe, "the "+cpe.AttrName(i)+" "+w.Text()+" that the range is limited to was not stated"
		case r == cpe.Disjoint:
			return misses, "the range is for " + cpe.AttrName(i) + " " + w.Text() + ", the software has " + have.Text()
		}
	}
	if !seenCPE || want[cpe.Part].IsAny() || sw[cpe.Part].IsAny() || want[cpe.Part] == sw[cpe.Part] {
		return result, reason
	}
	if sw[cpe.Part] == "h" || want[cpe.Part] == "h" {
		return narrowHardware(sw, &want, result, reason)
	}
	return maybe, "the range is for part " + string(want[cpe.Part]) + " and the software was named as part " + string(sw[cpe.Part])
}

// narrowHardware: a device was seen and its firmware is vulnerable, or the reverse.
func narrowHardware(sw, want *cpe.Name, f fit, reason string) (fit, string) {
	if firmwareOf(string(want[cpe.Product])) == firmwareOf(string(sw[cpe.Product])) {
		if sw[cpe.Part] == "h" {
			return maybe, "the device was seen, its firmware was not"
		}
		return f, reason
	}
	return misses, "the range is for part " + string(want[cpe.Part]) + ", the software is part " + string(sw[cpe.Part])
}

func firmwareOf(product string) string { return strings.TrimSuffix(product, "_firmware") }

// families of operating systems as CNAs write them in platforms[].
var families = []struct{ word, family string }{
	{"windows", "Windows"}, {"win32", "Windows"}, {"macos", "macOS"}, {"mac os", "macOS"}, {"os x", "macOS"},
	{"linux", "Linux"}, {"debian", "Linux"}, {"ubuntu", "Linux"}, {"red hat", "Linux"}, {"rhel", "Linux"},
	{"android", "Android"}, {"ios", "iOS"}, {"solaris", "Solaris"}, {"aix", "AIX"}, {"freebsd", "FreeBSD"},
}

// narrowPlatform reads platforms[] of a CVE record (CVE Record Format 5.x):
// they narrow only when all of them name operating systems.
func narrowPlatform(sw *vedette.Software, target string, a *vedette.Affected) (fit, string) {
	if len(a.Platforms) == 0 {
		return fits, ""
	}
	own := ""
	if sw.Distro != "" || sw.PackageVersion != "" {
		own = "Linux"
	} else if target != "" {
		own = familyOf(target)
	}
	var named []string
	for _, p := range a.Platforms {
		f := familyOf(p)
		if f == "" || f == own {
			return fits, ""
		}
		if len(named) == 0 || named[len(named)-1] != f {
			named = append(named, f)
		}
	}
	if len(named) > 2 {
		return fits, "" // Windows, Linux, macOS: everything it runs on
	}
	list := strings.Join(named, " and ")
	if own != "" {
		return maybe, "the source limits it to " + list + ", the software was seen on " + own
	}
	return maybe, "the source limits it to " + list + ", and the platform was not seen"
}

func familyOf(platform string) string {
	p := strings.ToLower(platform)
	for _, f := range families {
		if strings.HasPrefix(p, f.word) {
			return f.family
		}
	}
	return ""
}
