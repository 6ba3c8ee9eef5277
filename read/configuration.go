package read

import (
	"strings"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/cpe"
	"github.com/vedette-hub/vedette/format/nvd"
)

// configurations turns NVD configurations (and CPE applicability of the CVE
// Record Format 5.1, which has their shape) into affected products: one per
// vulnerable product of each configuration, with the other nodes of an AND as
// requirements. A negated configuration or node says what must not be there:
// it makes no product affected by itself.
func configurations(cs []nvd.Configuration) []vedette.Affected {
	var out []vedette.Affected
	for _, c := range cs {
		if c.Negate {
			continue
		}
		if !strings.EqualFold(c.Operator, "AND") {
			out = append(out, nodeGroup(c.Nodes, nil)...)
			continue
		}
		for i := range c.Nodes {
			out = append(out, nodeGroup(c.Nodes[i:i+1], func() []vedette.Require { return otherNodes(c.Nodes, i) })...)
		}
	}
	return out
}

// nodeGroup makes one Affected per vulnerable product of nodes joined by OR.
func nodeGroup(nodes []nvd.Node, requires func() []vedette.Require) []vedette.Affected {
	var out []vedette.Affected
	at := map[string]int{}
	var needs []vedette.Require
	for _, n := range nodes {
		if n.Negate {
			continue
		}
		for i, m := range n.Matches {
			name, ok := parseCPE(m.Criteria)
			if !m.Vulnerable || !ok {
				continue
			}
			key := anyVersion(name).String()
			k, known := at[key]
			if !known {
				if requires != nil && needs == nil {
					needs = requires()
				}
				k = len(out)
				at[key] = k
				out = append(out, vedette.Affected{
					Vendor: name[cpe.Vendor].Text(), Product: name[cpe.Product].Text(),
					Scheme: "cpe", CPE: key, Requires: needs,
				})
			}
			out[k].Ranges = append(out[k].Ranges, matchRange(name, m))
			if strings.EqualFold(n.Operator, "AND") && len(n.Matches) > 1 {
				out[k].Requires = append(out[k].Requires[:len(out[k].Requires):len(out[k].Requires)], besides(n, i)...)
			}
		}
	}
	return out
}

// otherNodes are the conditions the nodes other than i put on an asset.
func otherNodes(nodes []nvd.Node, i int) []vedette.Require {
	var out []vedette.Require
	for j, n := range nodes {
		if j == i {
			continue
		}
		if r, ok := require(n.Matches, n.Operator, n.Negate); ok {
			out = append(out, r)
		}
	}
	return out
}

// besides are the other matches of a node that joins them by AND.
func besides(n nvd.Node, i int) []vedette.Require {
	rest := append(append([]nvd.Match(nil), n.Matches[:i]...), n.Matches[i+1:]...)
	r, ok := require(rest, "AND", false)
	if !ok {
		return nil
	}
	return []vedette.Require{r}
}

func require(ms []nvd.Match, operator string, negate bool) (vedette.Require, bool) {
	r := vedette.Require{Negate: negate, All: strings.EqualFold(operator, "AND") && len(ms) > 1}
	for _, m := range ms {
		if name, ok := parseCPE(m.Criteria); ok {
			r.Any = append(r.Any, vedette.CPEMatch{CPE: anyVersion(name).String(), Range: matchRange(name, m)})
		}
	}
	return r, len(r.Any) > 0
}

// matchRange is the interval of a match, or its version: "*" is any, "-" is
// the CPE value NA and no version at all.
func matchRange(name cpe.Name, m nvd.Match) vedette.Range {
	r := vedette.Range{Status: vedette.StatusAffected}
	if m.StartIncl != "" || m.StartExcl != "" || m.EndIncl != "" || m.EndExcl != "" {
		r.From, r.To = m.StartIncl, m.EndExcl
		if m.StartExcl != "" {
			r.From, r.FromExcl = m.StartExcl, true
		}
		if m.EndIncl != "" {
			r.To, r.ToIncl = m.EndIncl, true
		}
		return r
	}
	r.Exact = name[cpe.Version].Text()
	if u := name[cpe.Update]; !u.IsAny() {
		r.Update = u.Text()
	}
	return r
}
