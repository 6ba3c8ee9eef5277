package safe

import (
	"container/heap"
	"time"
)

// turns are the addresses of a scan that may send, in the order in which they asked.
type turns struct {
	list []*scanHost
	head int
}

func (q *turns) len() int { return len(q.list) - q.head }

func (q *turns) add(h *scanHost) {
	if q.head > 0 && len(q.list) == cap(q.list) {
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
	h.queued = true
	q.list = append(q.list, h)
}

// back gives the address that was next its turn back.
func (q *turns) back(h *scanHost) {
	if q.head == 0 {
		q.add(h)
		return
	}
	h.queued = true
	q.head--
	q.list[q.head] = h
}

// next is the address whose turn it is and that is not done; nil without one.
func (q *turns) next() *scanHost {
	for q.head < len(q.list) {
		h := q.list[q.head]
		q.list[q.head] = nil
		q.head++
		h.queued = false
		if !h.refused {
			return h
		}
	}
	q.list, q.head = q.list[:0], 0
	return nil
}

// resting are the addresses that wait for their brakes, the next to wake first.
type resting []*scanHost

func (q *resting) add(h *scanHost, wake time.Time) {
	h.wake, h.queued = wake, true
	heap.Push(q, h)
}

// due takes out an address whose time came; nil without one.
func (q *resting) due(now time.Time) *scanHost {
	if len(*q) == 0 || (*q)[0].wake.After(now) {
		return nil
	}
	return heap.Pop(q).(*scanHost)
}

// Len, Less, Swap, Push and Pop are for package heap.
func (q resting) Len() int           { return len(q) }
func (q resting) Less(i, j int) bool { return q[i].wake.Before(q[j].wake) }
func (q resting) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push appends.
func (q *resting) Push(h any) { *q = append(*q, h.(*scanHost)) }

// Pop takes the last one off.
func (q *resting) Pop() any {
	n := len(*q) - 1
	h := (*q)[n]
	(*q)[n] = nil
	*q = (*q)[:n]
	return h
}
