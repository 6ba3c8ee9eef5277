package match

import (
	"fmt"
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// This file alone knows github.com/google/osv-scalibr/semantic.

// Order compares two versions of one ecosystem: -1, 0 or 1.
type Order func(a, b string) (int, error)

// OrderOf returns the order of an OSV ecosystem (OSV schema, "Defined
// ecosystems"; a release suffix as in "Debian:12" does not count); "" is
// upstream order. Of an ecosystem nobody knows every comparison fails.
func OrderOf(ecosystem string) Order {
	if ecosystem == "" {
		return compareUpstream
	}
	return func(a, b string) (int, error) { return compareIn(ecosystem, a, b) }
}

// Compare orders two versions as their ecosystem does. It wraps ErrUnorderable
// when there is no certain answer.
func Compare(ecosystem, a, b string) (int, error) {
	if ecosystem == "" {
		return compareUpstream(a, b)
	}
	return compareIn(ecosystem, a, b)
}

func compareUpstream(a, b string) (int, error) {
	v, err := ParseVersion(a)
	if err != nil {
		return 0, err
	}
	w, err := ParseVersion(b)
	if err != nil {
		return 0, err
	}
	return v.Compare(&w)
}

// compareIn guards the library: a version in the wild may be any text.
func compareIn(ecosystem, a, b string) (c int, err error) {
	defer func() {
		if p := recover(); p != nil {
			c, err = 0, fmt.Errorf("%w: %q and %q in %s", ErrUnorderable, a, b, ecosystem)
		}
	}()
	if err := plausible(a); err != nil {
		return 0, err
	}
	if err := plausible(b); err != nil {
		return 0, err
	}
	v, err := semantic.Parse(a, ecosystem)
	if err != nil {
		return 0, fmt.Errorf("%w: %q in %s: %v", ErrUnorderable, a, ecosystem, err)
	}
	c, err = v.CompareStr(b)
	if err != nil {
		return 0, fmt.Errorf("%w: %q in %s: %v", ErrUnorderable, b, ecosystem, err)
	}
	return min(max(c, -1), 1), nil
}

// plausible refuses what no ecosystem calls a version, before a lenient parser guesses.
func plausible(s string) error {
	if s == "" || len(s) > maxVersion || !strings.ContainsAny(s, "0123456789") {
		return fmt.Errorf("%w: %q is no version", ErrUnorderable, s[:min(len(s), 40)])
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '!' || s[i] > '~' {
			return fmt.Errorf("%w: %q holds %q", ErrUnorderable, s[:min(len(s), 40)], s[i])
		}
	}
	return nil
}
