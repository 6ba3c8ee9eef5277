package product

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"github.com/vedette-hub/vedette"
)

//go:embed aliases.txt
var aliasesText string

var shipped = sync.OnceValue(func() []vedette.Alias {
	list, err := readAliases(aliasesText)
	if err != nil {
		panic("product: aliases.txt: " + err.Error()) // embedded: a test reads it
	}
	return list
})

// Shipped lists the aliases that come with the program: source packages of
// Debian and Ubuntu, renamed vendors, texts of scanners. All names are normalised.
func Shipped() []vedette.Alias { return append([]vedette.Alias(nil), shipped()...) }

// readAliases reads the format that the head of aliases.txt describes.
func readAliases(text string) ([]vedette.Alias, error) {
	var out []vedette.Alias
	kind, rule := "", ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] == '[' {
			f := strings.Fields(strings.Trim(line, "[]"))
			if len(f) != 2 {
				return nil, fmt.Errorf("line %d: a section has a kind and a name", i+1)
			}
			kind, rule = f[0], f[1]
			continue
		}
		to, list, ok := strings.Cut(line, ": ")
		vendor, product, slash := strings.Cut(to, "/")
		if !ok || !slash || kind == "" {
			return nil, fmt.Errorf("line %d: want vendor/product: name; name", i+1)
		}
		target := Normalise(vedette.ProductName{Scheme: "cpe", Vendor: vendor, Product: product})
		for _, name := range strings.Split(list, ";") {
			from := aliasName(kind, strings.TrimSpace(name))
			if from.Product == "" || target.Product == "" {
				return nil, fmt.Errorf("line %d: %q names nothing", i+1, name)
			}
			if from != target {
				out = append(out, vedette.Alias{From: from, To: target, Reason: "rule " + rule})
			}
		}
	}
	return out, nil
}

func aliasName(kind, name string) vedette.ProductName {
	switch kind {
	case "text":
		return Normalise(vedette.ProductName{Product: name})
	case "cpe":
		v, p, _ := strings.Cut(name, "/")
		return Normalise(vedette.ProductName{Scheme: "cpe", Vendor: v, Product: p})
	}
	return Normalise(vedette.ProductName{Scheme: kind, Product: name})
}
