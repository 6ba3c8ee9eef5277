package product

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/vedette-hub/vedette"
)

// maxRecog bounds one fingerprint file, in bytes.
const maxRecog = 16 << 20

// Recog reads one fingerprint file of the Recog project (recog/xml/*.xml, see
// its README "Contributing": service.vendor, service.product, service.cpe23,
// and the same for os, hw and service.component) and returns the aliases it
// states between vendor and product as written and the CPE name.
func Recog(file string, r io.Reader) ([]vedette.Alias, error) {
	d := xml.NewDecoder(io.LimitReader(r, maxRecog))
	var out []vedette.Alias
	seen := map[[2]vedette.ProductName]bool{}
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		start, ok := t.(xml.StartElement)
		if !ok || start.Name.Local != "fingerprint" {
			continue
		}
		var f struct {
			Params []struct {
				Pos   string `xml:"pos,attr"`
				Name  string `xml:"name,attr"`
				Value string `xml:"value,attr"`
			} `xml:"param"`
		}
		if err := d.DecodeElement(&f, &start); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		params := map[string]string{}
		for _, p := range f.Params {
			if p.Pos == "0" {
				params[p.Name] = p.Value
			}
		}
		for _, of := range [...]string{"service", "os", "hw", "service.component"} {
			from, to, ok := recogPair(params, of)
			if ok && !seen[[2]vedette.ProductName{from, to}] {
				seen[[2]vedette.ProductName{from, to}] = true
				out = append(out, vedette.Alias{From: from, To: to, Reason: "recog " + file, Proposed: !Kin(from, to) && !curated(from, to)})
			}
		}
	}
}

// recogPair is the pair of names that a fingerprint gives for one thing.
// Values that are filled in from the banner ("{service.version}") name nothing here.
func recogPair(params map[string]string, of string) (from, to vedette.ProductName, ok bool) {
	vendor, product := params[of+".vendor"], params[of+".product"]
	parts := strings.SplitN(params[of+".cpe23"], ":", 5)
	if len(parts) < 4 || vendor == "" || product == "" || strings.Contains(vendor+product+parts[2]+parts[3], "{") {
		return from, to, false
	}
	from = Normalise(vedette.ProductName{Vendor: vendor, Product: product})
	to, ok = FromCPE(strings.Join(parts[:4], ":"))
	return from, to, ok && from.Product != "" && from != to
}

// curated says whether a pair that people put into the fingerprints may be taken
// without words in common ("iLO" is Integrated Lights-Out): no number and no word
// that makes another product of a line may tell the names apart.
func curated(a, b vedette.ProductName) bool {
	if digits(a.Product) != digits(b.Product) {
		return false
	}
	x, y := words(a.Product), words(b.Product)
	for _, pair := range [][2][]string{{x, y}, {y, x}} {
		for _, w := range pair[0] {
			if apart[w] && !containsWord(pair[1], w) {
				return false
			}
		}
	}
	return true
}
