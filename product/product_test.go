package product

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/vedette-hub/vedette"
)

func TestNormalise(t *testing.T) {
	for _, c := range []struct{ scheme, vendor, product, want string }{
		{"cna", "Apache Software Foundation", "Apache HTTP Server", "apache/http_server"},
		{"cpe", "apache", "http_server", "apache/http_server"},
		{"cna", "The Apache Software Foundation", "Apache  HTTP-Server ", "apache/http_server"},
		{"cna", "Palo Alto Networks", "PAN-OS", "paloaltonetworks/pan_os"},
		{"cpe", "paloaltonetworks", "pan-os", "paloaltonetworks/pan_os"},
		{"cna", "Microsoft Corporation", "Microsoft Exchange Server", "microsoft/exchange_server"},
		{"cna", "MongoDB Inc.", "MongoDB C# Driver", "mongodb/c#_driver"},
		{"cpe", "x", "c++", "x/c++"},
		{"cpe", "x", "c", "x/c"},
		{"cna", "D-Link", "DIR-645 Firmware", "dlink/dir_645"},
		{"cpe", "dlink", "dir-645_firmware", "dlink/dir_645"},
		{"cna", "drEryk sp. z o.o.", "drEryk Gabinet", "dreryk/gabinet"},
		{"cna", "Dassault Systèmes", "eDrawings", "dassault/edrawings"},
		{"cna", "Intel Corporation", "Intel(R) Quartus(R) Prime", "intel/quartus_prime"},
		{"cna", "n/a", "FastAdmin", "fastadmin"},
		{"cna", "n/a", "n/a", ""},
		{"cna", "Example GmbH & Co. KG", "Example", "example/example"},
		{"cna", "Software AG", "webMethods", "softwareag/webmethods"},
		{"cna", "Ｆｕｌｌ", "Ｗｉｄｅ", "full/wide"},
		{"deb", "debian", "php8.2", "php"},
		{"deb", "", "postgresql-15", "postgresql"},
		{"deb", "", "libssh2", "libssh2"},
		{"deb", "ubuntu", "apache2", "apache2"},
		{"pypi", "", "Flask_App.Builder", "flask-app-builder"},
		{"golang", "github.com/gogs", "gogs", "github.com/gogs/gogs"},
		{"golang", "", "github.com/gogs/gogs", "github.com/gogs/gogs"},
		{"npm", "@babel", "traverse", "@babel/traverse"},
		{"maven", "org.apache.logging.log4j", "log4j-core", "org.apache.logging.log4j:log4j-core"},
	} {
		if got := Normalise(vedette.ProductName{Scheme: c.scheme, Vendor: c.vendor, Product: c.product}).String(); got != c.want {
			t.Errorf("Normalise(%s, %q, %q) = %q, want %q", c.scheme, c.vendor, c.product, got, c.want)
		}
	}
}

func TestNormaliseIsIdempotent(t *testing.T) {
	word := rapid.SampledFrom([]string{"Inc.", "Corp", "software", "The", "Apache", "apache", "HTTP", "firmware", "_firmware",
		"n/a", "N/A", "unknown", "D-Link", "sp.", "z", "o.o.", "(R)", "C++", ".net", "É", "İ", "-", "_", "/", "8.2", "php", "postgresql-", "!", "ß"})
	text := rapid.OneOf(rapid.String(), rapid.Custom(func(t *rapid.T) string {
		s := ""
		for _, w := range rapid.SliceOfN(word, 0, 6).Draw(t, "words") {
			s += w + rapid.SampledFrom([]string{" ", "", "_", "-"}).Draw(t, "gap")
		}
		return s
	}))
	scheme := rapid.SampledFrom([]string{"", "cpe", "cna", "deb", "pypi", "golang", "npm", "maven", "rpm"})
	rapid.Check(t, func(t *rapid.T) {
		n := vedette.ProductName{Scheme: scheme.Draw(t, "scheme"), Vendor: text.Draw(t, "vendor"), Product: text.Draw(t, "product")}
		once := Normalise(n)
		if twice := Normalise(once); twice != once {
			t.Fatalf("%#v becomes %#v, then %#v", n, once, twice)
		}
	})
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		sw   vedette.Software
		want []string
	}{
		{vedette.Software{Vendor: "OpenBSD", Product: "OpenSSH", CPE: "cpe:/a:openbsd:openssh:8.4p1"}, []string{"openbsd/openssh"}},
		{vedette.Software{Product: "OpenSSH", Version: "8.4p1", Distro: "debian:11"}, []string{"openssh", "deb:openssh"}},
		{vedette.Software{Product: "openssh-server", Ecosystem: "Debian:12", PURL: "pkg:deb/debian/openssh-server@1%3A9.2p1-2?arch=amd64&upstream=openssh"},
			[]string{"deb:openssh-server", "deb:openssh"}},
		{vedette.Software{Product: "Django", Ecosystem: "PyPI"}, []string{"pypi:django"}},
		{vedette.Software{Product: "gogs", PURL: "pkg:golang/github.com/gogs/gogs@v0.12.0"}, []string{"golang:github.com/gogs/gogs", "gogs"}},
		{vedette.Software{Product: "x", CPE: "cpe:2.3:a:*:*:*:*:*:*:*:*:*:*"}, []string{"x"}},
		{vedette.Software{CPE: "nonsense", PURL: "nonsense"}, nil},
	} {
		var got []string
		for _, n := range Names(c.sw) {
			s := n.String()
			if n.Scheme != "" {
				s = n.Scheme + ":" + s
			}
			got = append(got, s)
		}
		if len(got) != len(c.want) {
			t.Errorf("Names(%+v) = %q, want %q", c.sw, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("Names(%+v) = %q, want %q", c.sw, got, c.want)
			}
		}
	}
}

// TestShipped checks that what a scanner says and what sources say meet.
func TestShipped(t *testing.T) {
	c := NewClasses(Shipped())
	one := func(sw vedette.Software) vedette.ProductName { return Names(sw)[0] }
	cpeName := func(s string) vedette.ProductName {
		n, ok := FromCPE("cpe:/a:" + s)
		if !ok {
			t.Fatalf("%s is no CPE name", s)
		}
		return n
	}
	for _, pair := range []struct {
		sw  vedette.Software
		cpe string
	}{
		{vedette.Software{Product: "Apache httpd"}, "apache:http_server"},
		{vedette.Software{Product: "OpenSSH"}, "openbsd:openssh"},
		{vedette.Software{Product: "Microsoft IIS httpd"}, "microsoft:internet_information_services"},
		{vedette.Software{Product: "ProFTPD"}, "proftpd:proftpd"},
		{vedette.Software{Product: "nginx"}, "f5:nginx"},
		{vedette.Software{Product: "nginx"}, "nginx:nginx"},
		{vedette.Software{Product: "php8.2", Ecosystem: "Debian:12"}, "php:php"},
		{vedette.Software{Product: "postgresql-15", Ecosystem: "Debian:12"}, "postgresql:postgresql"},
		{vedette.Software{Product: "bind9", Ecosystem: "Ubuntu:22.04:LTS"}, "isc:bind"},
		{vedette.Software{Vendor: "Sun", Product: "JRE"}, "oracle:jre"},
		{vedette.Software{Vendor: "Pulse Secure", Product: "Pulse Connect Secure"}, "ivanti:connect_secure"},
	} {
		if !c.Same(one(pair.sw), cpeName(pair.cpe)) {
			t.Errorf("%+v does not meet %s", pair.sw, pair.cpe)
		}
	}
	for _, pair := range [][2]string{{"oracle:mysql", "mariadb:mariadb"}, {"apache:http_server", "apache:tomcat"},
		{"oracle:jre", "oracle:jdk"}, {"openssl:openssl", "openbsd:openssh"}, {"redis:redis", "lfprojects:valkey"},
		{"powerdns:recursor", "powerdns:authoritative_server"}} {
		if c.Same(cpeName(pair[0]), cpeName(pair[1])) {
			t.Errorf("%s and %s are one product", pair[0], pair[1])
		}
	}
	targets := map[string]bool{}
	for _, a := range Shipped() {
		targets[a.To.String()] = true
	}
	t.Logf("%d aliases, %d targets, %d classes", len(Shipped()), len(targets), c.Len())
}

func TestClasses(t *testing.T) {
	name := func(s string) vedette.ProductName { return vedette.ProductName{Product: s} }
	c := NewClasses([]vedette.Alias{{From: name("a"), To: name("b")}, {From: name("c"), To: name("d")}},
		[]vedette.Alias{{From: name("d"), To: name("B")}, {From: name("e"), To: name("a"), Proposed: true}, {From: name("n/a"), To: name("a")}})
	if c.Len() != 1 || len(c.Members(c.Class(name("c")))) != 4 || c.Class(name("e")) != -1 {
		t.Errorf("classes: %d, members %v", c.Len(), c.Members(0))
	}
	if all := c.All(name("d")); len(all) != 4 || all[0] != name("d") {
		t.Errorf("All = %v", all)
	}
	if all := c.All(name("e")); len(all) != 1 || c.Members(-1) != nil || c.Same(name(""), name("")) {
		t.Errorf("a name without an alias is not alone: %v", all)
	}
}

func TestStated(t *testing.T) {
	v := vedette.Vulnerability{ID: "CVE-2024-0001", Affected: []vedette.Affected{
		{Scheme: "cna", Vendor: "Example Widgets", Product: "Turbo Encabulator Suite", Same: []string{"cpe:2.3:a:example:turbo_encabulator:1:*:*:*:*:*:*:*", "cpe:2.3:a:example:turbo_encabulator:2:*:*:*:*:*:*:*"}},
		{Scheme: "cna", Vendor: "Chipmaker", Product: "MT1234", Same: []string{"cpe:2.3:o:google:android:12:*:*:*:*:*:*:*"}},
		{Scheme: "cna", Vendor: "Example", Product: "Two", Same: []string{"cpe:2.3:a:example:two_a:1:*:*:*:*:*:*:*", "cpe:2.3:a:example:two_b:1:*:*:*:*:*:*:*"}},
		{Scheme: "cna", Vendor: "Example", Product: "Box 10", Same: []string{"cpe:2.3:a:example:box:*:*:*:*:*:*:*:*"}},
		{Scheme: "cna", Vendor: "Example", Product: "Box 11", Same: []string{"cpe:2.3:a:example:box:*:*:*:*:*:*:*:*"}},
		{Scheme: "cna", Vendor: "Example", Product: "Plain", Same: []string{"cpe:2.3:a:example:plain:*:*:*:*:*:*:*:*"}},
	}}
	got := Stated(v)
	if len(got) != 2 || got[0].Proposed || got[0].To.String() != "example/turbo_encabulator" || !got[1].Proposed || got[0].Reason != "stated by the CNA of CVE-2024-0001 beside its CPE" {
		t.Errorf("Stated = %+v", got)
	}
}

func TestKin(t *testing.T) {
	name := func(v, p string) vedette.ProductName { return vedette.ProductName{Vendor: v, Product: p} }
	for _, c := range []struct {
		a, b vedette.ProductName
		want bool
	}{
		{name("curl", "libcurl"), name("haxx", "libcurl"), true},
		{name("golangorg", "crypto"), name("golang", "crypto"), true},
		{name("a", "vpn"), name("b", "vpn"), false},
		{name("example", "box_10"), name("example", "box"), false},
		{name("example", "box_server"), name("example", "box"), false},
		{name("example", "box_suite"), name("example", "box"), true},
		{name("chipmaker", "mt1234"), name("google", "android"), false},
	} {
		if Kin(c.a, c.b) != c.want || Kin(c.b, c.a) != c.want {
			t.Errorf("Kin(%s, %s) is not %t", c.a, c.b, c.want)
		}
	}
}

func TestDoubt(t *testing.T) {
	name := func(s string) vedette.ProductName { return vedette.ProductName{Product: s} }
	list := []vedette.Alias{{From: name("a"), To: name("b")}, {From: name("c"), To: name("d")}, {From: name("a"), To: name("e")}}
	got := Doubt(list)
	if !got[0].Proposed || got[1].Proposed || !got[2].Proposed || list[0].Proposed {
		t.Errorf("Doubt = %+v", got)
	}
}

func TestPropose(t *testing.T) {
	use := func(v, p string, cve ...string) NameUse {
		return NameUse{Name: vedette.ProductName{Scheme: "cpe", Vendor: v, Product: p}, Weaknesses: cve}
	}
	known := []NameUse{use("example", "turbo_encabulator", "CVE-2024-0001"), use("examplewidgets", "turboencabulator", "CVE-2024-0001"),
		use("", "turbo encabulator"), use("acme", "vpn"), use("zenith", "vpn"), use("example", "box_10"), use("example", "box_11"),
		use("example", "gyroscope"), use("example", "gyroscop")}
	got := Propose(known, nil)
	pairs := map[string]float64{}
	for i, p := range got {
		if !p.Alias.Proposed || len(p.Reasons) == 0 || p.Weight <= 0 || p.Weight >= 1 || i > 0 && p.Weight > got[i-1].Weight {
			t.Errorf("proposal %+v", p)
		}
		pairs[p.Alias.From.String()+" "+p.Alias.To.String()] = p.Weight
	}
	if len(pairs) != 4 || pairs["example/turbo_encabulator examplewidgets/turboencabulator"] < 0.8 || pairs["example/gyroscope example/gyroscop"] == 0 {
		t.Errorf("proposals: %v", pairs)
	}
	joined := NewClasses([]vedette.Alias{{From: known[0].Name, To: known[1].Name}, {From: known[0].Name, To: known[2].Name}})
	if left := Propose(known, joined); len(left) != 1 {
		t.Errorf("proposals between joined names: %+v", left)
	}
}

func TestRecog(t *testing.T) {
	const doc = `<?xml version="1.0"?><fingerprints><fingerprint pattern="x">
		<param pos="0" name="service.vendor" value="Example Widgets"/><param pos="0" name="service.product" value="Turbo"/>
		<param pos="1" name="service.version"/><param pos="0" name="service.cpe23" value="cpe:/a:example:turbo:{service.version}"/>
		<param pos="0" name="os.vendor" value="Example"/><param pos="0" name="os.product" value="{os.x}"/><param pos="0" name="os.cpe23" value="cpe:/o:example:{os.x}"/>
		</fingerprint></fingerprints>`
	got, err := Recog("f.xml", strings.NewReader(doc))
	if err != nil || len(got) != 1 || got[0].From.String() != "examplewidgets/turbo" || got[0].To.String() != "example/turbo" || got[0].Proposed {
		t.Errorf("Recog = %+v, %v", got, err)
	}
	if _, err := Recog("f.xml", strings.NewReader("<fingerprints><fingerprint>")); err == nil {
		t.Error("a cut file was read")
	}
}
