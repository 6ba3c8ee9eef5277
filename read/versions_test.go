package read

import (
	"reflect"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/cve"
)

func oneProduct(version, less, lessEqual, at, status string) cve.Product {
	v := cve.Version{Version: version, LessThan: less, LessThanOrEqual: lessEqual, Status: status}
	if at != "" {
		v.Changes = []cve.Change{{At: at, Status: "unaffected"}}
	}
	return cve.Product{Versions: []cve.Version{v}}
}

// The examples of the CVE Record Format and what CNAs write beside it.
func TestVersions(t *testing.T) {
	const a, u, q = vedette.StatusAffected, vedette.StatusUnaffected, vedette.StatusUnknown
	type R = vedette.Range
	for _, c := range []struct {
		name    string
		product cve.Product
		want    []R
		rest    vedette.Status
	}{
		{"one version", oneProduct("1.2.3", "", "", "", "affected"), []R{{Status: a, Exact: "1.2.3"}}, ""},
		{"version 0 is a version", oneProduct("0", "", "", "", "affected"), []R{{Status: a, Exact: "0"}}, ""},
		{"any", oneProduct("*", "", "", "", "affected"), []R{{Status: a, Exact: "*"}}, ""},
		{"any in words", oneProduct("All versions", "", "", "", "affected"), []R{{Status: a, Exact: "*"}}, ""},
		{"interval", oneProduct("1.0", "2.0", "", "", "affected"), []R{{Status: a, From: "1.0", To: "2.0"}}, ""},
		{"interval from the first", oneProduct("0", "2.0", "", "", "affected"), []R{{Status: a, To: "2.0"}}, ""},
		{"unspecified start", oneProduct("unspecified", "2.0", "", "", "affected"), []R{{Status: a, To: "2.0"}}, ""},
		{"included end", oneProduct("1.0", "", "2.0", "", "affected"), []R{{Status: a, From: "1.0", To: "2.0", ToIncl: true}}, ""},
		{"one version as interval", oneProduct("2.0", "", "2.0", "", "affected"), []R{{Status: a, Exact: "2.0"}}, ""},
		{"no end", oneProduct("3", "", "*", "", "unaffected"), []R{{Status: u, From: "3"}}, ""},
		{"everything", oneProduct("0", "*", "", "", "affected"), []R{{Status: a, Exact: "*"}}, ""},
		{"a line", oneProduct("5.4.10", "", "5.4.*", "", "unaffected"), []R{{Status: u, From: "5.4.10", To: "5.4.*", ToIncl: true}}, ""},
		{"an end that is not named", oneProduct("10.0", "publication", "", "", "affected"), []R{{Status: q, From: "10.0"}}, ""},
		{"operator in the end", oneProduct("1", "", "<=9.3.0", "", "affected"), []R{{Status: a, From: "1", To: "9.3.0", ToIncl: true}}, ""},
		{"change", oneProduct("1.0", "3.0", "", "2.4", "affected"),
			[]R{{Status: a, From: "1.0", To: "2.4", Fixed: "2.4"}, {Status: u, From: "2.4", To: "3.0"}}, ""},
		{"change at the start", oneProduct("1.0", "3.0", "", "1.0", "affected"), []R{{Status: u, From: "1.0", To: "3.0"}}, ""},
		{"comparison", oneProduct(">= 1.0, < 1.4", "", "", "", "affected"), []R{{Status: a, From: "1.0", To: "1.4"}}, ""},
		{"equals", oneProduct("= 1.4", "", "", "", "affected"), []R{{Status: a, Exact: "1.4"}}, ""},
		{"above", oneProduct("> 1.4", "", "", "", "affected"), []R{{Status: a, From: "1.4", FromExcl: true}}, ""},
		{"and earlier", oneProduct("8.0.27 and prior", "", "", "", "affected"), []R{{Status: a, To: "8.0.27", ToIncl: true}}, ""},
		{"before", oneProduct("prior to v7.1", "", "", "", "affected"), []R{{Status: a, To: "v7.1"}}, ""},
		{"fixed in", oneProduct("Fixed in 7.1", "", "", "", "affected"), []R{{Status: a, To: "7.1", Fixed: "7.1"}}, ""},
		{"to", oneProduct("1.0.0 to 1.3.7", "", "", "", "affected"), []R{{Status: a, From: "1.0.0", To: "1.3.7", ToIncl: true}}, ""},
		{"dash", oneProduct("12.1.1 - 12.1.3", "", "", "", "affected"), []R{{Status: a, From: "12.1.1", To: "12.1.3", ToIncl: true}}, ""},
		{"list", oneProduct("1.0, 1.1", "", "", "", "affected"), []R{{Status: a, Exact: "1.0"}, {Status: a, Exact: "1.1"}}, ""},
		{"a product line", oneProduct("WCD9380", "", "", "", "affected"), []R{{Status: a, Exact: "WCD9380"}}, ""},
		{"all versions below", oneProduct("All versions < V1.0.15", "", "", "", "affected"), []R{{Status: a, To: "V1.0.15"}}, ""},
		{"all versions between", oneProduct("All versions >= V4.0 < V4.2", "", "", "", "affected"), []R{{Status: a, From: "V4.0", To: "V4.2"}}, ""},
		{"operators in both fields", oneProduct(">= 3.3.0", "", "<= 4.4.11", "", "affected"), []R{{Status: a, From: "3.3.0", To: "4.4.11", ToIncl: true}}, ""},
		{"unclear operators", oneProduct(">= 3.0.0, 3.5.0", "", "", "", "affected"), []R{{Status: a, Exact: ">= 3.0.0, 3.5.0"}}, ""},
		{"nothing named", oneProduct("n/a", "", "", "", "affected"), []R{{Status: a, Exact: "n/a"}}, ""},
	} {
		vs := cnaVersions(c.product)
		if !reflect.DeepEqual(vs.ranges, c.want) || vs.defaultOf(c.product) != c.rest {
			t.Errorf("%s: got %+v, rest %q; want %+v, rest %q", c.name, vs.ranges, vs.defaultOf(c.product), c.want, c.rest)
		}
	}
}

// When an entry cannot be compared, what lies in no range is not unaffected.
func TestVagueVersionsAreNotUnaffected(t *testing.T) {
	for text, want := range map[string]vedette.Status{
		"1.2": vedette.StatusUnaffected, "n/a": vedette.StatusUnknown, "see the vendor's page": vedette.StatusUnknown,
	} {
		p := oneProduct(text, "", "", "", "affected")
		p.Default = "unaffected"
		if got := cnaVersions(p).defaultOf(p); got != want {
			t.Errorf("%q: rest is %q, want %q", text, got, want)
		}
	}
}

// Red Hat states the distribution and means one of its packages.
func TestRedHatPackage(t *testing.T) {
	p := cve.Product{
		Vendor: "Red Hat", Product: "Red Hat Enterprise Linux 9", PackageName: "openssh", CollectionURL: redHatPackages + "/",
		CPEs: []string{"cpe:/o:redhat:enterprise_linux:9::baseos", "cpe:/a:redhat:enterprise_linux:9::appstream"}, Default: "affected",
		Versions: []cve.Version{{Version: "0:8.7p1-38.el9_4.1", Status: "unaffected", LessThan: "*", Type: "rpm"}},
	}
	got := cnaAffected(p)
	if len(got) != 2 || got[0].Scheme != "rpm" || got[0].Product != "openssh" || got[0].Ecosystem != "Red Hat:enterprise_linux:9::baseos" ||
		got[1].Ecosystem != "Red Hat:enterprise_linux:9::appstream" {
		t.Fatalf("%+v", got)
	}
	want := []vedette.Range{
		{Status: vedette.StatusAffected, To: "0:8.7p1-38.el9_4.1", Type: "rpm", Fixed: "0:8.7p1-38.el9_4.1"},
		{Status: vedette.StatusUnaffected, From: "0:8.7p1-38.el9_4.1", Type: "rpm"},
	}
	if !reflect.DeepEqual(got[0].Ranges, want) || got[0].Default != vedette.StatusAffected {
		t.Errorf("%+v", got[0])
	}
}

// A fix is named only where the record says that the end is unaffected.
func TestFixed(t *testing.T) {
	p := oneProduct("1.0", "2.0", "", "", "affected")
	if r := cnaVersions(p).ranges[0]; r.Fixed != "" {
		t.Errorf("fixed %q out of nothing", r.Fixed)
	}
	p.Default = "unaffected"
	if r := cnaVersions(p).ranges[0]; r.Fixed != "2.0" {
		t.Errorf("fixed %q, want 2.0", r.Fixed)
	}
	p.Default = "affected"
	p.Versions = append(p.Versions, cve.Version{Version: "2.0", Status: "unaffected"})
	if r := cnaVersions(p).ranges[0]; r.Fixed != "2.0" {
		t.Errorf("fixed %q, want 2.0", r.Fixed)
	}
}
