package match

import (
	"strconv"
	"strings"

	"github.com/vedette-hub/vedette"
)

// rangeText is a range as a person says it.
func rangeText(r *vedette.Range) string {
	switch {
	case r.Exact != "" && !isEvery(r.Exact):
		if r.Update != "" && r.Update != "*" && r.Update != "-" {
			return "version " + short(r.Exact) + " " + r.Update
		}
		return "version " + short(r.Exact)
	case every(r):
		return "every version"
	}
	end := "before " + r.To
	if r.ToIncl {
		end = r.To
	}
	from := r.From
	if r.FromExcl {
		from = "after " + from
	}
	switch {
	case isFirst(r.From) && r.ToIncl:
		return "range up to " + end
	case isFirst(r.From):
		return "range " + end
	case isLast(r.To):
		return "range from " + from
	}
	return "range " + from + " to " + end
}

// sayInside is the sentence for a version in an affected range.
func sayInside(version, source string, r *vedette.Range) string {
	said := " (" + source + ", " + rangeText(r) + ")"
	switch {
	case every(r):
		return "every version is named as affected" + " (" + source + ")"
	case r.Exact != "":
		return "version " + version + " is named as affected" + said
	case isLast(r.To):
		return "version " + version + " is not below " + r.From + said
	case r.ToIncl:
		return "version " + version + " is not above " + r.To + said
	}
	return "version " + version + " is below " + r.To + said
}

// sayOutside is the sentence for a version that no affected range holds.
func sayOutside(version, source string, ranges []vedette.Range) string {
	n, last := 0, -1
	for i := range ranges {
		if ranges[i].Status != vedette.StatusUnaffected {
			n, last = n+1, i
		}
	}
	switch n {
	case 0:
		return "no affected version is named (" + source + ")"
	case 1:
		return "version " + version + " is outside (" + source + ", " + rangeText(&ranges[last]) + ")"
	}
	return "version " + version + " is in none of " + strconv.Itoa(n) + " affected ranges (" + source + ")"
}

// short keeps what a source wrote into a version field readable.
func short(s string) string {
	if len(s) <= 60 {
		return s
	}
	return strings.ToValidUTF8(s[:57], "") + "..."
}
