package packets

import "sync"

// Watchers is the list of functions behind Reporter.Watch. The zero value is empty and ready.
type Watchers struct {
	mu   sync.RWMutex // guards what is below
	next int
	list map[int]func(to Endpoint, err error)
}

// Watch adds fn until stop is called. See Reporter.
func (w *Watchers) Watch(fn func(to Endpoint, err error)) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.list == nil {
		w.list = map[int]func(Endpoint, error){}
	}
	id := w.next
	w.next++
	w.list[id] = fn
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.list, id)
	}
}

// Report calls every function of the list.
func (w *Watchers) Report(to Endpoint, err error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, fn := range w.list {
		fn(to, err)
	}
}
