package read

import (
	"reflect"
	"testing"

	"github.com/vedette-hub/vedette/format/nmapxml"
)

func TestPackaged(t *testing.T) {
	for _, c := range []struct{ version, extra, upstream, family, pkg string }{
		{"8.4p1 Debian 5+deb11u3", "protocol 2.0", "8.4p1", "debian:11", "8.4p1-5+deb11u3"},
		{"9.2p1 Debian 2+deb12u2", "", "9.2p1", "debian:12", "9.2p1-2+deb12u2"},
		{"7.9p1 Debian 10", "", "7.9p1", "debian", "7.9p1-10"},
		{"8.2p1 Ubuntu 4ubuntu0.5", "Ubuntu Linux; protocol 2.0", "8.2p1", "ubuntu", "8.2p1-4ubuntu0.5"},
		{"7.4p1 Raspbian 10+deb9u2", "", "7.4p1", "raspbian:9", "7.4p1-10+deb9u2"},
		{"2.4.41", "(Ubuntu)", "2.4.41", "ubuntu", ""},
		{"2.4.6", "(Red Hat Enterprise Linux)", "2.4.6", "redhat", ""},
		{"9.16.27-Debian", "", "9.16.27-Debian", "debian", ""},
		{"5.5.5-10.5.15-MariaDB-0+deb11u1", "", "10.5.15", "debian:11", "10.5.15-0+deb11u1"},
		{"10.6.7-MariaDB", "", "10.6.7", "", ""},
		{"7.4", "protocol 2.0", "7.4", "", ""},
		{"", "", "", "", ""},
	} {
		u, f, p := packaged(c.version, c.extra)
		if u != c.upstream || f != c.family || p != c.pkg {
			t.Errorf("packaged(%q, %q) = %q, %q, %q", c.version, c.extra, u, f, p)
		}
	}
}

// Ports that did not answer were not looked at.
func TestAnsweredPorts(t *testing.T) {
	port := func(id int, state string) nmapxml.Port {
		return nmapxml.Port{Protocol: "tcp", ID: id, State: nmapxml.State{State: state}}
	}
	extra := func(state, ports string) nmapxml.Extra {
		return nmapxml.Extra{State: state, Reasons: []nmapxml.Reason{{Protocol: "tcp", Ports: ports}}}
	}
	for _, c := range []struct {
		name string
		host nmapxml.Host
		want string
	}{
		{"all closed", nmapxml.Host{Extra: []nmapxml.Extra{extra("closed", "")}}, "1-100"},
		{"one filtered", nmapxml.Host{Ports: []nmapxml.Port{port(22, "open"), port(25, "filtered"), port(80, "open|filtered")}}, "1-24,26-79,81-100"},
		{"filtered and named", nmapxml.Host{Extra: []nmapxml.Extra{extra("filtered", "1-20,30"), extra("closed", "31")}}, "21-29,31-100"},
		{"filtered and not named", nmapxml.Host{Ports: []nmapxml.Port{port(22, "open"), port(443, "closed"), port(50, "closed")}, Extra: []nmapxml.Extra{extra("filtered", "")}}, "22,50"},
		{"named of another protocol", nmapxml.Host{Extra: []nmapxml.Extra{{State: "filtered", Reasons: []nmapxml.Reason{{Protocol: "udp", Ports: "1-50"}}}}}, "1-100"},
	} {
		got, err := answeredPorts(c.host, "tcp", []nmapxml.Span{{From: 1, To: 100}})
		if err != nil || nmapxml.Format(got) != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, nmapxml.Format(got), err, c.want)
		}
	}
}

// A scan of ports alone must not close what a version scan saw.
func TestPortScanIsAnotherCheck(t *testing.T) {
	s := scannedHost{Host: nmapxml.Host{Ports: []nmapxml.Port{{Service: nmapxml.Service{Method: "table"}}}}}
	if probed(s) {
		t.Error("a table lookup is taken for a probe")
	}
	s.Run.Args = "nmap -sV 192.0.2.0/24"
	if !probed(s) {
		t.Error("-sV is not taken for a version scan")
	}
}

func TestServiceSoftware(t *testing.T) {
	got := serviceSoftware(nmapxml.Service{
		Product: "Apache httpd", Version: "2.4.6", Extra: "(CentOS) PHP/5.4.16",
		CPEs: []string{"cpe:/a:apache:http_server:2.4.6", "cpe:/a:php:php:5.4.16", "cpe:/o:centos:centos"},
	})
	if len(got) != 2 || got[0].Product != "http_server" || got[0].Distro != "centos" || got[1].Product != "php" || got[1].Version != "5.4.16" {
		t.Errorf("%+v", got)
	}
	got = serviceSoftware(nmapxml.Service{CPEs: []string{"cpe:/o:cisco:ios:15.2"}})
	if len(got) != 1 || got[0].Product != "ios" {
		t.Errorf("%+v", got)
	}
	if got := serviceSoftware(nmapxml.Service{Name: "http", Method: "table"}); !reflect.DeepEqual(got, serviceSoftware(nmapxml.Service{})) || len(got) != 0 {
		t.Errorf("a port alone has software %+v", got)
	}
}
