package engine

import "sync/atomic"

// Progress tells how far one of the engine's goroutines is. A goroutine that is busy at two checks with the same Steps made no
// progress in between.
type Progress struct {
	Name string
	// Steps grows with the work done: for a worker by two a batch, for expiry with each lock of a shard that it takes.
	Steps  uint64
	AtWork bool // it has a batch, or is in the middle of a round
}

// Progress looks at all workers, and at expiry. It waits for none of them.
func (e *Engine) Progress() []Progress {
	e.mu.Lock()
	workers := e.workers
	e.mu.Unlock()
	list := make([]Progress, 0, len(workers)+1)
	for _, w := range workers {
		list = append(list, w.steps.progress("worker of "+w.input.Name))
	}
	expiry := e.steps.progress("expiry")
	expiry.Steps += e.cfg.Table.ExpiryLocks()
	return append(list, expiry)
}

// steps counts beginnings and ends of work: it is odd during work. One goroutine writes it, any may read it.
type steps struct{ n atomic.Uint64 }

func (s *steps) begin() { s.n.Add(1) }
func (s *steps) end()   { s.n.Add(1) }

func (s *steps) progress(name string) Progress {
	n := s.n.Load()
	return Progress{Name: name, Steps: n, AtWork: n%2 == 1}
}
