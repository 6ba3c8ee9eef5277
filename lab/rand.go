package lab

import "math"

// random is a small generator whose numbers are the same on every machine and
// with every version of Go (SplitMix64, Steele, Lea and Flood 2014).
type random struct{ state uint64 }

func newRandom(seed uint64, stream string) *random {
	r := &random{seed}
	for i := 0; i < len(stream); i++ {
		r.state = r.state*0x100000001b3 ^ uint64(stream[i])
		r.next()
	}
	return r
}

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// under is a number from 0 to n-1.
func (r *random) under(n int) int { return int(r.next() % uint64(max(n, 1))) }

// float is a number from 0 to 1, without 1.
func (r *random) float() float64 { return float64(r.next()>>11) / (1 << 53) }

// chance is true with probability p.
func (r *random) chance(p float64) bool { return r.float() < p }

// backwards is a small number, of the given mean, that is mostly near 0.
func (r *random) backwards(mean float64) int { return int(-mean * math.Log(1-r.float())) }

// choice draws indexes by weight.
type choice struct{ sums []float64 }

func newChoice(n int, weight func(int) float64) choice {
	c := choice{make([]float64, n)}
	sum := 0.0
	for i := range c.sums {
		sum += weight(i)
		c.sums[i] = sum
	}
	return c
}

func (c choice) draw(r *random) int {
	x := r.float() * c.sums[len(c.sums)-1]
	lo, hi := 0, len(c.sums)-1
	for lo < hi {
		if mid := (lo + hi) / 2; c.sums[mid] <= x {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}
