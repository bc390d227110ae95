package engine

import "sync/atomic"

// Progress tells how far one of the engine's goroutines is. One that is at work at two looks, with the same Steps, did nothing in between.
type Progress struct {
	Name string
	// Steps grows with all that it does: by two a batch for a worker; for expiry, which takes the lock of every shard once a second, by each
	// time that it takes one.
	Steps  uint64
	AtWork bool // has a batch in hand, or is in the middle of a round
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

// steps counts beginnings and ends of work: it is odd while there is some in hand. One goroutine writes it, everybody may read it.
type steps struct{ n atomic.Uint64 }

func (s *steps) begin() { s.n.Add(1) }
func (s *steps) end()   { s.n.Add(1) }

func (s *steps) progress(name string) Progress {
	n := s.n.Load()
	return Progress{Name: name, Steps: n, AtWork: n%2 == 1}
}
