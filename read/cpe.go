package read

import "github.com/vedette-hub/vedette/format/cpe"

// parseCPE reads a CPE name that tells a product; placeholders like
// "cpe:2.3:a:null:null" tell none.
func parseCPE(s string) (cpe.Name, bool) {
	n, err := cpe.Parse(s)
	if err != nil {
		return n, false
	}
	for _, v := range []cpe.Attr{n[cpe.Vendor], n[cpe.Product]} {
		if v.IsAny() || v == cpe.NA || v == "null" {
			return n, false
		}
	}
	return n, true
}

// anyVersion is the name without version and update.
func anyVersion(n cpe.Name) cpe.Name {
	n[cpe.Version], n[cpe.Update] = cpe.Any, cpe.Any
	return n
}
