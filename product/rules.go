package product

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
)

//go:embed rules.txt
var rulesText string

// rules are the rules of rules.txt.
type rules struct {
	blank, suffix, opening map[string]bool
	vendor                 map[string]string
	packages               []string
	letters                map[rune]string
}

var theRules = sync.OnceValue(func() *rules {
	r, err := readRules(rulesText)
	if err != nil {
		panic("product: rules.txt: " + err.Error()) // embedded: a test reads it
	}
	return r
})

func readRules(text string) (*rules, error) {
	r := &rules{blank: map[string]bool{}, suffix: map[string]bool{}, opening: map[string]bool{},
		vendor: map[string]string{}, letters: map[rune]string{}}
	sets := map[string]map[string]bool{"blank": r.blank, "suffix": r.suffix, "opening": r.opening}
	for i, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if len(f) < 2 {
			return nil, fmt.Errorf("line %d: a kind without values", i+1)
		}
		switch set := sets[f[0]]; {
		case set != nil:
			for _, w := range f[1:] {
				set[w] = true
			}
		case f[0] == "package":
			r.packages = append(r.packages, f[1:]...)
		case f[0] == "vendor":
			for _, w := range f[2:] {
				if old, ok := r.vendor[w]; ok {
					return nil, fmt.Errorf("line %d: %s is already %s", i+1, w, old)
				}
				r.vendor[w] = f[1]
			}
		case f[0] == "letter" && len(f) == 3:
			for _, c := range f[2] {
				r.letters[c] = f[1]
			}
		default:
			return nil, fmt.Errorf("line %d: unknown kind %q", i+1, f[0])
		}
	}
	for from, to := range r.vendor {
		if _, ok := r.vendor[to]; ok {
			return nil, fmt.Errorf("%s is renamed to %s, which is renamed again", from, to)
		}
	}
	return r, nil
}
