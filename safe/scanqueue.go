package safe

import (
	"container/heap"
	"time"
)

// ready are the addresses of a scan that may send: who sent longest ago is next.
type ready struct{ queue }

// resting are those that wait for their brakes: who wakes first is next.
type resting struct{ queue }

func (q *ready) add(h *scanHost) {
	h.queued, h.key = true, h.turn
	heap.Push(&q.queue, h)
}

func (q *resting) add(h *scanHost, wake time.Time) {
	h.queued, h.wake, h.key = true, wake, wake.UnixNano()
	heap.Push(&q.queue, h)
}

// take takes out who is next and not done; nil without one.
func (q *queue) take() *scanHost {
	for len(*q) > 0 {
		h := heap.Pop(q).(*scanHost)
		h.queued = false
		if !h.over {
			return h
		}
	}
	return nil
}

// due takes out an address whose time came; nil without one.
func (q *resting) due(now time.Time) *scanHost {
	if len(q.queue) == 0 || q.queue[0].wake.After(now) {
		return nil
	}
	return q.take()
}

// queue is a heap of addresses by their keys.
type queue []*scanHost

// Len, Less, Swap, Push and Pop are for package heap.
func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].key < q[j].key }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push appends.
func (q *queue) Push(h any) { *q = append(*q, h.(*scanHost)) }

// Pop takes the last one off.
func (q *queue) Pop() any {
	n := len(*q) - 1
	h := (*q)[n]
	(*q)[n] = nil
	*q = (*q)[:n]
	return h
}
