package match

import (
	"testing"

	"github.com/vedette-hub/vedette"
)

func TestUnpack(t *testing.T) {
	for _, c := range []struct{ in, version, distro, pkg string }{
		{"8.4p1 Debian 5+deb11u3", "8.4p1", "debian:11", "8.4p1-5+deb11u3"},
		{"8.4p1 Debian-5+deb11u3", "8.4p1", "debian:11", "8.4p1-5+deb11u3"},
		{"9.2p1 Debian 2", "9.2p1", "debian", "9.2p1-2"},
		{"8.2p1 Ubuntu 4ubuntu0.5", "8.2p1", "ubuntu", "8.2p1-4ubuntu0.5"},
		{"2.4.56 (Debian)", "2.4.56", "debian", ""},
		{"1.18.0 (Ubuntu)", "1.18.0", "ubuntu", ""},
		{"9.16.48-Debian", "9.16.48", "debian", ""},
		{"9.18.12-0ubuntu0.22.04.1-Ubuntu", "9.18.12", "ubuntu:22.04", "9.18.12-0ubuntu0.22.04.1"},
		{"8.0.36-0ubuntu0.22.04.1", "8.0.36", "ubuntu:22.04", "8.0.36-0ubuntu0.22.04.1"},
		{"8.2.7-1~deb12u1", "8.2.7", "debian:12", "8.2.7-1~deb12u1"},
		{"2.4.37 (Red Hat Enterprise Linux)", "2.4.37", "rhel", ""},
		{"2.4.6 (CentOS)", "2.4.6", "centos", ""},
		{"7.5", "7.5", "", ""}, {"", "", "", ""}, {"-", "-", "", ""}, {"Debian", "Debian", "", ""}, {"1.0.2k-fips", "1.0.2k-fips", "", ""},
		{"1.2 debianised", "1.2 debianised", "", ""},
	} {
		got := Unpack(vedette.Software{Product: "x", Version: c.in})
		if got.Version != c.version || got.Distro != c.distro || got.PackageVersion != c.pkg {
			t.Errorf("Unpack(%q) = %q, %q, %q", c.in, got.Version, got.Distro, got.PackageVersion)
		}
	}
	told := vedette.Software{Version: "8.4p1 Debian 5", Distro: "ubuntu"}
	if Unpack(told) != told {
		t.Error("what a source tells was changed")
	}
}
