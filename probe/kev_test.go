package probe

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/kev"
	"github.com/vedette-hub/vedette/format/recog"
	"github.com/vedette-hub/vedette/product"
	"github.com/vedette-hub/vedette/safe"
)

// kevMonths is how far back the share is taken.
const kevMonths = 24

// onHosts are products of the catalogue that no network service shows: what
// runs on desktops, phones and inside other software. They stay in the share
// and are named beside it, so that the rest is seen.
var onHosts = []string{"apple: ", "android: ", "qualcomm: ", "samsung: mobile", "arm: mali", "google: chromium", "mozilla: ", "linux: kernel",
	"adobe: acrobat", "adobe: flash", "microsoft: windows", "microsoft: office", "microsoft: outlook", "microsoft: word", "microsoft: publisher", "microsoft: project",
	"microsoft: internet explorer", "microsoft: win32k", "microsoft: dwm", "microsoft: smartscreen", "microsoft: streaming", "microsoft: .net", "microsoft: partner center",
	"microsoft: power pages", "7-zip", "rarlab", "kingsoft", "twilio", "vmware: tools", "red hat: polkit", "gnu: ", "imagemagick", "justice av", "fortra: cobalt", "jquery", "oracle: java",
	"spreadsheet", "xstream", "audinate"}

// TestExploitedProducts prints the share of the exploited vulnerabilities of
// the last two years whose product our rules can tell, alone and with Recog.
func TestExploitedProducts(t *testing.T) {
	var doc struct {
		Vulnerabilities []kev.Entry `json:"vulnerabilities"`
	}
	if err := json.Unmarshal(testData(t, "vuln/kev-2025-02-25.json.gz"), &doc); err != nil {
		t.Fatal(err)
	}
	newest := ""
	for _, e := range doc.Vulnerabilities {
		newest = max(newest, e.Added)
	}
	at, err := time.Parse(time.DateOnly, newest)
	if err != nil {
		t.Fatal(err)
	}
	since := at.AddDate(0, -kevMonths, 0).Format(time.DateOnly)
	own, withRecog := ownNames(t), recogNames(t)
	total, network, byOwn, byBoth, netOwn, netBoth := 0, 0, 0, 0, 0, 0
	missing := map[string]int{}
	for _, e := range doc.Vulnerabilities {
		if e.Added <= since {
			continue
		}
		total++
		name := strings.TrimSpace(e.Vendor) + ": " + strings.TrimSpace(e.Product)
		onHost := slices.ContainsFunc(onHosts, func(p string) bool { return strings.HasPrefix(strings.ToLower(name), p) })
		n := product.Normalise(vedette.ProductName{Vendor: e.Vendor, Product: e.Product})
		ours := own[strings.ToLower(name)] || own[plainName(n)]
		both := ours || withRecog[plainName(n)]
		if ours {
			byOwn++
		}
		if both {
			byBoth++
		} else {
			missing[fmt.Sprintf("%s%s", map[bool]string{true: "(host) "}[onHost], name)]++
		}
		if !onHost {
			network++
			netOwn += map[bool]int{true: 1}[ours]
			netBoth += map[bool]int{true: 1}[both]
		}
	}
	share := func(n, of int) string { return fmt.Sprintf("%d of %d (%.1f %%)", n, of, 100*float64(n)/float64(of)) }
	t.Logf("KEV %s to %s: own rules tell the product of %s, with Recog %s", since, newest, share(byOwn, total), share(byBoth, total))
	t.Logf("of those that a network service can show: own rules %s, with Recog %s", share(netOwn, network), share(netBoth, network))
	names := slices.SortedFunc(maps.Keys(missing), func(a, b string) int {
		if missing[a] != missing[b] {
			return missing[b] - missing[a]
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		t.Logf("  not told: %2d %s", missing[name], name)
	}
	if netOwn*100 < network*90 {
		t.Errorf("own rules tell less than nine of ten")
	}
}

func plainName(n vedette.ProductName) string { return n.Vendor + "/" + n.Product }

// ownNames are the products of our rules: by the name of the rule, and as the
// catalogue writes them.
func ownNames(t *testing.T) map[string]bool {
	rules, err := ownRules()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, r := range rules {
		out[plainName(product.Normalise(vedette.ProductName{Vendor: r.vendor, Product: r.name}))] = true
		for _, k := range r.Known {
			out[strings.ToLower(k)] = true
		}
	}
	return out
}

// recogNames are the products of the pack, by their own and their CPE names.
func recogNames(t *testing.T) map[string]bool {
	out := map[string]bool{}
	pack := recogPack(t)
	for name, f := range pack {
		_, err := recog.Parse(safe.NewXML(strings.NewReader(string(f.Data)), safe.Limits{}), func(f recog.Fingerprint) error {
			params := map[string]string{}
			for _, p := range f.Params {
				if p.Pos == 0 {
					params[p.Name] = p.Value
				}
			}
			for _, of := range [...]string{"service", "service.component", "os", "hw"} {
				if of == "os" && kernels[letters(params["os.product"])] {
					continue
				}
				out[plainName(product.Normalise(vedette.ProductName{Vendor: params[of+".vendor"], Product: params[of+".product"]}))] = true
				if sw, ok := packProduct(params, of); ok {
					out[plainName(product.Normalise(vedette.ProductName{Vendor: sw.Vendor, Product: sw.Product}))] = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	delete(out, "/")
	return out
}
