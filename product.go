package vedette

// ProductName is a vendor and product in some name space. Normalised (lower
// case, "_" for space, no legal suffixes) it is the key under which software
// and affected ranges meet; aliases join the keys of one product.
type ProductName struct {
	Scheme  string `json:"scheme,omitempty"` // "cpe", "cna", "deb", "pypi", ...; "" unknown
	Vendor  string `json:"vendor,omitempty"` // "" when the source gave none
	Product string `json:"product"`
}

// String is "vendor/product", or the product alone.
func (n ProductName) String() string {
	if n.Vendor == "" {
		return n.Product
	}
	return n.Vendor + "/" + n.Product
}

// Alias says that two names are of one product.
type Alias struct {
	From   ProductName `json:"from"`
	To     ProductName `json:"to"`
	Reason string      `json:"reason"` // "stated by the CNA beside its CPE", "rule deb-packages", ...
	// Proposed aliases match nothing until a person accepts them.
	Proposed bool `json:"proposed,omitempty"`
	// Accepted is the decision of a person: it holds whatever else is stated.
	Accepted bool `json:"accepted,omitempty"`
	// Rejected parts the two names whoever joins them.
	Rejected bool `json:"rejected,omitempty"`
}
