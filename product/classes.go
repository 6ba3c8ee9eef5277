package product

import "github.com/vedette-hub/vedette"

// Classes are the products: sets of names that accepted aliases join. They are
// built once and read by many goroutines.
type Classes struct {
	class   map[vedette.ProductName]int
	members [][]vedette.ProductName
}

// NewClasses joins the names of the aliases, transitively. Proposed aliases are left out.
func NewClasses(aliases ...[]vedette.Alias) *Classes {
	ids := map[vedette.ProductName]int{}
	var order []vedette.ProductName
	var parent []int
	id := func(n vedette.ProductName) int {
		i, ok := ids[n]
		if !ok {
			i = len(parent)
			ids[n], parent, order = i, append(parent, i), append(order, n)
		}
		return i
	}
	root := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	for _, list := range aliases {
		for _, a := range list {
			from, to := Normalise(a.From), Normalise(a.To)
			if a.Proposed || from.Product == "" || to.Product == "" {
				continue
			}
			i, j := root(id(from)), root(id(to))
			if i != j {
				parent[max(i, j)] = min(i, j) // the order of the aliases gives the numbers
			}
		}
	}
	c := &Classes{class: ids}
	number := make([]int, len(order))
	for i, n := range order {
		r := root(i)
		if r == i {
			number[i] = len(c.members)
			c.members = append(c.members, nil)
		}
		k := number[r]
		c.members[k] = append(c.members[k], n)
		ids[n] = k
	}
	return c
}

// Class is the number of the product of a normalised name, -1 when no alias
// knows it: then it is alone with names equal to it.
func (c *Classes) Class(n vedette.ProductName) int {
	if k, ok := c.class[n]; ok {
		return k
	}
	return -1
}

// Len is the number of classes.
func (c *Classes) Len() int { return len(c.members) }

// Members lists the names of a class in the order of the aliases. The caller must not change it.
func (c *Classes) Members(class int) []vedette.ProductName {
	if class < 0 || class >= len(c.members) {
		return nil
	}
	return c.members[class]
}

// All lists every name of the product of n, n itself first: the keys to look ranges up by.
func (c *Classes) All(n vedette.ProductName) []vedette.ProductName {
	out := []vedette.ProductName{n}
	for _, m := range c.Members(c.Class(n)) {
		if m != n {
			out = append(out, m)
		}
	}
	return out
}

// Same says whether two normalised names are of one product.
func (c *Classes) Same(a, b vedette.ProductName) bool {
	if a == b {
		return a.Product != ""
	}
	k := c.Class(a)
	return k >= 0 && k == c.Class(b)
}
