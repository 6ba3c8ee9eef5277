package match

import (
	"strings"

	"github.com/vedette-hub/vedette"
)

// distro is what is known of the packaging of one software.
type distro struct {
	family   string // OSV ecosystem without a release: "Debian"; "" is not packaged
	release  string // "11", "22.04", "" unknown
	inferred bool   // the release was read from the package version
	pkg      string // package version, "" unknown
	banner   bool   // pkg comes from a banner and may lack its epoch
	upstream string // the vendor's version inside the package version
}

// distroNames are the ids of os-release(5) and of banners, as OSV ecosystems.
var distroNames = map[string]string{
	"debian": "Debian", "ubuntu": "Ubuntu", "alpine": "Alpine", "rhel": "Red Hat", "redhat": "Red Hat", "red hat": "Red Hat",
	"rocky": "Rocky Linux", "almalinux": "AlmaLinux", "alma": "AlmaLinux", "suse": "SUSE", "sles": "SUSE", "opensuse": "openSUSE",
	"mageia": "Mageia", "openeuler": "openEuler", "wolfi": "Wolfi", "chainguard": "Chainguard",
}

// codenames of releases that banners and documents use instead of numbers.
var codenames = map[string]string{
	"stretch": "9", "buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14",
	"xenial": "16.04", "bionic": "18.04", "focal": "20.04", "jammy": "22.04", "noble": "24.04",
}

// isDistro says whether an OSV ecosystem is a distribution, whose packages carry backported fixes.
func isDistro(ecosystem string) bool {
	base, _, _ := strings.Cut(ecosystem, ":")
	switch base {
	case "Debian", "Ubuntu", "Alpine", "Red Hat", "Rocky Linux", "AlmaLinux", "SUSE", "openSUSE", "Mageia", "openEuler",
		"Wolfi", "Chainguard", "Alpaquita", "MinimOS":
		return true
	}
	return false
}

func distroOf(sw vedette.Software) distro {
	var d distro
	switch {
	case isDistro(sw.Ecosystem):
		d.family, d.release = splitEcosystem(sw.Ecosystem)
		d.pkg = sw.PackageVersion
		if d.pkg == "" && sw.Version != "-" && sw.Version != "*" {
			d.pkg = sw.Version
		}
		d.upstream = upstreamOf(d.pkg)
	case sw.Distro != "":
		name, release, _ := strings.Cut(strings.ToLower(sw.Distro), ":")
		d.family = distroNames[name]
		if d.family == "" {
			d.family = sw.Distro // one without a tracker: nothing can be proved
		}
		d.release, d.pkg, d.upstream, d.banner = release, sw.PackageVersion, sw.Version, true
	case sw.PackageVersion != "" && debRelease(sw.PackageVersion) != "":
		d.family, d.pkg, d.upstream, d.banner = "Debian", sw.PackageVersion, sw.Version, true
	default:
		return d
	}
	if n, ok := codenames[d.release]; ok {
		d.release = n
	}
	if d.upstream == "" {
		d.upstream = upstreamOf(d.pkg)
	}
	if d.release == "" && d.pkg != "" {
		if d.release = releaseIn(d.family, d.pkg); d.release != "" {
			d.inferred = true
		}
	}
	return d
}

func splitEcosystem(e string) (family, release string) {
	family, release, _ = strings.Cut(e, ":")
	release, _, _ = strings.Cut(release, ":")
	return family, strings.TrimPrefix(release, "v")
}

// upstreamOf takes epoch and revision off a package version (deb-version(7),
// and the release of rpm and apk alike).
func upstreamOf(pkg string) string {
	v := withoutEpoch(pkg)
	if i := strings.LastIndexByte(v, '-'); i > 0 {
		v = v[:i]
	}
	return v
}

// releaseIn reads the release that a package version names: the "+deb11u3" of
// Debian stable updates, the "ubuntu0.22.04.1" of Ubuntu's.
func releaseIn(family, pkg string) string {
	switch family {
	case "Debian":
		return debRelease(pkg)
	case "Ubuntu":
		i := strings.Index(pkg, "ubuntu0.")
		if i < 0 {
			return ""
		}
		p := strings.SplitN(pkg[i+len("ubuntu0."):], ".", 3)
		if len(p) > 1 && len(p[0]) == 2 && len(p[1]) >= 2 && isDigit(p[0][0]) && (p[1][:2] == "04" || p[1][:2] == "10") {
			return p[0] + "." + p[1][:2]
		}
	}
	return ""
}

func debRelease(pkg string) string {
	i := max(strings.LastIndex(pkg, "+deb"), strings.LastIndex(pkg, "~deb"))
	if i < 0 {
		return ""
	}
	rest := pkg[i+4:]
	n := 0
	for n < len(rest) && isDigit(rest[n]) {
		n++
	}
	if n == 0 || n == len(rest) || rest[n] != 'u' {
		return ""
	}
	return rest[:n]
}

// tracks says how the tracker entry concerns the software: its family, and its release.
func (d *distro) tracks(a *vedette.Affected) (family, release bool) {
	if a.Ecosystem == "" {
		return a.Scheme == "deb" && (d.family == "Debian" || d.family == "Ubuntu"), true
	}
	f, r := splitEcosystem(a.Ecosystem)
	if f != d.family {
		return false, false
	}
	if r == "" || r == d.release || strings.HasPrefix(d.release, r+".") {
		return true, true
	}
	if n, ok := codenames[r]; ok && n == d.release {
		return true, true
	}
	return true, f == "Red Hat" && d.release != "" && strings.Contains(a.Ecosystem, ":"+major(d.release)+":")
}

func major(release string) string {
	m, _, _ := strings.Cut(release, ".")
	return m
}

// judgeDistro judges a packaged software: its distribution's tracker decides,
// because the fixes of later upstream versions are ported back.
func (j *judging) judgeDistro(m *vedette.Match, ranges []Candidate) {
	d := &j.distro
	var own, others []*Candidate
	for i := range ranges {
		c := &ranges[i]
		family, release := d.tracks(&c.Affected)
		switch {
		case family && release:
			own = append(own, c)
		case family:
			others = append(others, c)
		}
	}
	if d.inferred {
		m.Reasons = append(m.Reasons, "package version "+d.pkg+" names "+d.family+" "+d.release)
	}
	if len(own) == 0 && d.release == "" {
		own = j.likelyRelease(m, others)
	}
	own = j.fitting(own)
	if len(own) == 0 {
		j.untracked(m, ranges, len(others) > 0)
		return
	}
	for i, c := range own {
		o := j.lookPackage(c)
		switch {
		case i == 0:
			m.Verdict, m.Source, m.Fixed = o.Verdict, o.Source, o.Fixed
			m.Reasons = append(m.Reasons, o.Reasons...)
		case o.Verdict == m.Verdict:
		case d.release != "": // one release, several entries: the strongest counts
			if o.Verdict.Rank() < m.Verdict.Rank() {
				m.Verdict, m.Source, m.Fixed = o.Verdict, o.Source, o.Fixed
			}
			m.Reasons = append(m.Reasons, o.Reasons...)
		default:
			m.Verdict, m.Fixed = vedette.Undetermined, ""
			m.Reasons = append(m.Reasons, o.Reasons...)
			addReason(m, "the release of "+d.family+" was not seen, and its releases differ")
			return
		}
	}
}

// likelyRelease: a banner often tells no release. The one whose fixed package
// has the same upstream version is meant; else all releases have to agree.
func (j *judging) likelyRelease(m *vedette.Match, list []*Candidate) []*Candidate {
	var same []*Candidate
	release := ""
	for _, c := range list {
		for i := range c.Affected.Ranges {
			fix := trackerFix(&c.Affected.Ranges[i])
			if fix == "" || j.distro.upstream == "" || upstreamOf(fix) != j.distro.upstream {
				continue
			}
			_, r := splitEcosystem(c.Affected.Ecosystem)
			if release != "" && r != release {
				return list
			}
			release, same = r, append(same, c)
			break
		}
	}
	if len(same) == 0 {
		return list
	}
	m.Reasons = append(m.Reasons, "upstream version "+j.distro.upstream+" is that of "+j.distro.family+" "+release)
	return same
}

// fitting keeps, of several packages of one product, those whose name fits the
// version: php8.2 for 8.2.7. When none fits, all are kept.
func (j *judging) fitting(list []*Candidate) []*Candidate {
	several := false
	for _, c := range list {
		several = several || c.Affected.Product != list[0].Affected.Product
	}
	if !several {
		return list
	}
	var exact, out []*Candidate
	for _, c := range list {
		p := c.Affected.Product
		if strings.EqualFold(p, j.sw.Product) {
			exact = append(exact, c)
		}
		stem := strings.TrimRight(p, "0123456789.")
		suffix := strings.Trim(p[len(stem):], ".")
		if suffix != "" && (j.distro.upstream == suffix || strings.HasPrefix(j.distro.upstream, suffix+".")) {
			out = append(out, c)
		}
	}
	switch {
	case len(exact) > 0:
		return exact
	case len(out) > 0:
		return out
	}
	return list
}

// untracked: no tracker speaks of this package in this release, so the upstream
// version proves only that it is not affected.
func (j *judging) untracked(m *vedette.Match, ranges []Candidate, other bool) {
	var up vedette.Match
	j.judgeUpstream(&up, ranges)
	m.Source = up.Source
	m.Reasons = append(m.Reasons, up.Reasons...)
	if up.Verdict == vedette.NotAffected {
		m.Verdict = vedette.NotAffected
		return
	}
	m.Verdict = vedette.Undetermined
	if !up.Verdict.MakesFinding() {
		return
	}
	what := "no tracker data for package " + j.sw.Product
	if other {
		what += " in release " + j.distro.release
	}
	m.Reasons = append(m.Reasons, j.distro.family+" backports fixes; "+what)
}

// lookPackage judges by one entry of the distribution's tracker.
func (j *judging) lookPackage(c *Candidate) vedette.Match {
	d, a := &j.distro, &c.Affected
	m := vedette.Match{Source: c.Source, Verdict: vedette.Undetermined}
	say := func(s ...string) { m.Reasons = append(m.Reasons, s...) }
	place := d.family
	if _, r := splitEcosystem(a.Ecosystem); r != "" {
		place += " " + r
	}
	var open, fixed *vedette.Range
	for i := range a.Ranges {
		switch r := &a.Ranges[i]; {
		case r.Status == vedette.StatusUnknown:
			say("the tracker of " + place + " has not decided (" + c.Source + ")")
			return m
		case r.Status != vedette.StatusAffected:
		case trackerFix(r) == "":
			open = r
		case fixed == nil || j.governs(a, r, fixed):
			fixed = r
		}
	}
	switch {
	case fixed == nil && open == nil && (a.Default == "" || a.Default == vedette.StatusUnaffected):
		m.Verdict = vedette.NotAffected
		say("the tracker of " + place + " says that package " + a.Product + " is not affected (" + c.Source + ")")
	case fixed != nil && trackerFix(fixed) == "0":
		m.Verdict = vedette.NotAffected
		say("no version of package " + a.Product + " in " + place + " was affected (" + c.Source + ")")
	case fixed != nil:
		j.lookFixed(&m, c, place, fixed)
	case open != nil && d.pkg != "":
		j.lookOpen(&m, c, place)
	default:
		m.Verdict = vedette.Likely
		say("the tracker of " + place + " says that package " + a.Product + " is affected and not fixed (" + c.Source + ")")
	}
	return m
}

// governs says whether, of two intervals that end in a fix, r is the one to
// judge the package by: it holds the package, or is the later one below it.
func (j *judging) governs(a *vedette.Affected, r, than *vedette.Range) bool {
	if j.distro.pkg == "" {
		return false
	}
	v := j.packageSeen()
	if v.lies(a, than) == inside {
		return false
	}
	if v.lies(a, r) == inside {
		return true
	}
	c, _, ok := v.compare(a.Ecosystem, trackerFix(r))
	d, _, ok2 := v.compare(a.Ecosystem, trackerFix(than))
	if !ok || !ok2 || c < 0 {
		return false
	}
	if d < 0 {
		return true
	}
	order, err := Compare(a.Ecosystem, trackerFix(r), trackerFix(than))
	return err == nil && order > 0
}

func trackerFix(r *vedette.Range) string {
	if r.Fixed != "" {
		return r.Fixed
	}
	if !r.ToIncl && !isLast(r.To) {
		return r.To
	}
	return ""
}

// lookOpen judges an entry that names affected versions and no fix.
func (j *judging) lookOpen(m *vedette.Match, c *Candidate, place string) {
	v := j.packageSeen()
	at := outside
	for i := range c.Affected.Ranges {
		if r := &c.Affected.Ranges[i]; r.Status == vedette.StatusAffected {
			if w := v.lies(&c.Affected, r); w == inside || at == outside {
				at = w
			}
		}
	}
	switch at {
	case inside:
		m.Verdict = vedette.Likely
		m.Reasons = append(m.Reasons, "the tracker of "+place+" says that package "+c.Affected.Product+" is affected and not fixed ("+c.Source+")")
	case outside:
		m.Verdict = vedette.NotAffected
		m.Reasons = append(m.Reasons, sayOutside(v.text, c.Source, c.Affected.Ranges))
	default:
		m.Reasons = append(m.Reasons, "package version "+v.text+" cannot be ordered ("+c.Source+")")
	}
}

// packageSeen is the package version as ranges compare it.
func (j *judging) packageSeen() seen {
	d := &j.distro
	return seen{text: d.pkg, pkg: true, noEpoch: d.banner && withoutEpoch(d.pkg) == d.pkg}
}

// lookFixed compares the package with the fixed one.
func (j *judging) lookFixed(m *vedette.Match, c *Candidate, place string, r *vedette.Range) {
	d, fix := &j.distro, trackerFix(r)
	order := c.Affected.Ecosystem
	if order == "" {
		order = d.family
	}
	m.Fixed = fix
	said := " (" + c.Source + ", " + place + ")"
	if d.pkg == "" {
		j.lookRevisionless(m, order, fix, said)
		return
	}
	v := j.packageSeen()
	if from := r.From; !isFirst(from) {
		if c, _, ok := v.compare(order, from); ok && c < 0 {
			m.Verdict, m.Fixed = vedette.NotAffected, ""
			m.Reasons = append(m.Reasons, "package version "+d.pkg+" is below "+from+", where the weakness came in"+said)
			return
		}
	}
	cmp, _, ok := v.compare(order, fix)
	if v.noEpoch && withoutEpoch(fix) != fix {
		said += ", compared without the epoch, which a banner does not show"
	}
	switch {
	case !ok:
		m.Fixed = ""
		m.Reasons = append(m.Reasons, "package version "+d.pkg+" cannot be ordered against "+fix+said)
	case cmp >= 0:
		m.Verdict = vedette.FixedByBackport
		m.Reasons = append(m.Reasons, "package version "+d.pkg+" has the fix of "+fix+said)
	default:
		m.Verdict = vedette.Likely
		m.Reasons = append(m.Reasons, "package version "+d.pkg+" is below the fixed "+fix+said)
	}
}

// lookRevisionless judges a banner that shows the distribution and the upstream
// version, but no revision: it decides only where the upstream versions differ.
func (j *judging) lookRevisionless(m *vedette.Match, order, fix, said string) {
	up := j.distro.upstream
	if up == "" {
		m.Reasons = append(m.Reasons, "no version was seen; "+fix+" is fixed"+said)
		return
	}
	c, err := Compare(order, up, upstreamOf(fix))
	switch {
	case err != nil:
		m.Reasons = append(m.Reasons, "version "+up+" cannot be ordered against "+fix+said)
	case c < 0:
		m.Verdict = vedette.Likely
		m.Reasons = append(m.Reasons, "version "+up+" is below the upstream version of the fixed "+fix+said)
	case c > 0:
		m.Verdict = vedette.FixedByBackport
		m.Reasons = append(m.Reasons, "version "+up+" is above the upstream version of the fixed "+fix+said)
	default:
		m.Reasons = append(m.Reasons, "version "+up+" is that of the fixed "+fix+", and the banner shows no package revision"+said)
	}
}
