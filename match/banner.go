package match

import (
	"strings"

	"github.com/vedette-hub/vedette"
)

// bannerDistros are the words by which banners name a distribution.
var bannerDistros = []struct{ word, distro string }{
	{"debian", "debian"}, {"ubuntu", "ubuntu"}, {"raspbian", "raspbian"}, {"red hat enterprise linux", "rhel"}, {"red hat", "rhel"}, {"rhel", "rhel"},
	{"centos", "centos"}, {"almalinux", "almalinux"}, {"rocky linux", "rocky"}, {"fedora", "fedora"}, {"suse", "suse"},
	{"opensuse", "opensuse"}, {"freebsd", "freebsd"}, {"amazon linux", "amazon"}, {"oracle linux", "oraclelinux"}, {"alpine", "alpine"},
}

// Unpack reads what a version text tells of its packaging into Distro and
// PackageVersion: "8.4p1 Debian 5+deb11u3" (OpenSSH), "2.4.56 (Debian)" (HTTP
// Server header), "8.0.36-0ubuntu0.22.04.1" (MySQL greeting). Software that
// already tells its packaging, or has none, is returned as it is.
func Unpack(sw vedette.Software) vedette.Software {
	if sw.Distro != "" || sw.Ecosystem != "" || len(sw.Version) > maxVersion || !strings.ContainsAny(sw.Version, "-( ") {
		return sw
	}
	v := sw.Version
	low := strings.ToLower(v)
	for _, d := range bannerDistros {
		i := wordIn(low, d.word)
		if i < 2 {
			continue
		}
		end := i + len(d.word)
		before := strings.TrimRight(v[:i], " -_(")
		after := strings.Trim(v[end:], " -_)")
		if before == "" || !isDigit(before[len(before)-1]) && !isLetter(before[len(before)-1]) {
			continue
		}
		sw.Distro, sw.Version = d.distro, before
		switch {
		case sw.PackageVersion != "":
		case after != "" && isDigit(after[0]) && strings.IndexByte(after, ' ') < 0:
			sw.PackageVersion = before + "-" + after
		case packaged(before):
			sw.PackageVersion, sw.Version = before, upstreamOf(before)
		}
		return withRelease(sw)
	}
	if packaged(v) {
		sw.Distro, sw.PackageVersion, sw.Version = "debian", v, upstreamOf(v)
		if strings.Contains(low, "ubuntu") {
			sw.Distro = "ubuntu"
		}
		return withRelease(sw)
	}
	return sw
}

// wordIn finds a word that stands alone: the ubuntu of "4ubuntu0.5" does not.
func wordIn(s, word string) int {
	for at := 0; ; {
		i := strings.Index(s[at:], word)
		if i < 0 {
			return -1
		}
		i += at
		end := i + len(word)
		if (i == 0 || !isLetter(s[i-1]) && !isDigit(s[i-1])) && (end == len(s) || !isLetter(s[end])) {
			return i
		}
		at = end
	}
}

// packaged says whether a version is that of a Debian or Ubuntu package: it has
// a revision that names its distribution (deb-version(7)).
func packaged(v string) bool {
	i := strings.LastIndexByte(v, '-')
	return i > 0 && strings.IndexByte(v, ' ') < 0 && (debRelease(v) != "" || strings.Contains(v[i:], "ubuntu"))
}

// withRelease adds the release that a package version names.
func withRelease(sw vedette.Software) vedette.Software {
	family := distroNames[sw.Distro]
	if r := releaseIn(family, sw.PackageVersion); r != "" {
		sw.Distro += ":" + r
	}
	return sw
}
