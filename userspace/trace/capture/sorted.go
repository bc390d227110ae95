package capture

import (
	"bytes"
	"container/heap"
	"time"
)

const (
	// window is how far files may be out of order. The datagrams of each worker are recorded in order, a few
	// milliseconds of one worker and then of the next. More than that happens only if the disk was stuck.
	window = time.Second
	// maxHeld and maxHeldBytes bound the memory for sorting. A second of 65,000 datagrams of 400 bytes takes 26 MB.
	maxHeld      = 1 << 16
	maxHeldBytes = 64 << 20
)

// Sorted returns datagrams in the order of their time, if they are at most a second out of order. With equal times, the
// one that was read first comes first.
type Sorted struct {
	next   func(*Datagram) error
	held   held
	bytes  int // of the payloads held
	newest time.Time
	read   uint64
	err    error
}

// NewSorted returns a Sorted that reads from next. next returns io.EOF after the last datagram.
func NewSorted(next func(*Datagram) error) *Sorted { return &Sorted{next: next} }

// Next returns the next datagram. The caller owns its payload. It returns io.EOF after the last datagram. Another error
// of the source comes after everything that was read before it.
func (s *Sorted) Next(d *Datagram) error {
	for s.err == nil && len(s.held) < maxHeld && s.bytes < maxHeldBytes && (len(s.held) == 0 || s.newest.Sub(s.held[0].Time) < window) {
		var in Datagram
		if s.err = s.next(&in); s.err != nil {
			break
		}
		in.Payload = bytes.Clone(in.Payload)
		heap.Push(&s.held, numbered{in, s.read})
		s.read++
		s.bytes += len(in.Payload)
		if in.Time.After(s.newest) {
			s.newest = in.Time
		}
	}
	if len(s.held) == 0 {
		return s.err // set: the loop runs until something is held or next fails
	}
	*d = heap.Pop(&s.held).(numbered).Datagram
	s.bytes -= len(d.Payload)
	return nil
}

type numbered struct {
	Datagram
	number uint64
}

// held is a heap.
type held []numbered

func (h held) Len() int { return len(h) }
func (h held) Less(i, j int) bool {
	if !h[i].Time.Equal(h[j].Time) {
		return h[i].Time.Before(h[j].Time)
	}
	return h[i].number < h[j].number
}
func (h held) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *held) Push(x any)   { *h = append(*h, x.(numbered)) }
func (h *held) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	(*h)[last] = numbered{}
	*h = (*h)[:last]
	return x
}
