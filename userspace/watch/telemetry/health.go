package telemetry

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"binrepd/userspace/watch/control"
)

// hung is how long a consumer may do no step while work waits. A worker takes a batch in milliseconds. The rest allows
// for a host that is short of processor time.
const hung = 10 * time.Second

// Health reports whether the process works. It reads nothing itself, so it never waits for a lock. Sample is called
// about once a second. If these calls stop, that is a sign of trouble, too.
type Health struct {
	mu        sync.Mutex
	at        time.Time // of the last sample
	consumers []consumerState
	stopping  bool
}

// consumerState is a consumer, and since when it has been stuck.
type consumerState struct {
	Consumer
	since time.Time
}

// Sample records the progress of the consumers. Their order is the same each time; new ones come at the end.
func (h *Health) Sample(now time.Time, consumers []Consumer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = now
	h.consumers = h.consumers[:min(len(h.consumers), len(consumers))]
	for i, c := range consumers {
		if i == len(h.consumers) {
			h.consumers = append(h.consumers, consumerState{c, now})
			continue
		}
		s := &h.consumers[i]
		if !c.stuckSince(&s.Consumer) {
			s.since = now
		}
		s.Consumer = c
	}
}

// Stopping says that the shutdown has begun. Rings may then be left unread, for the next process.
func (h *Health) Stopping() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopping = true
}

// Check returns the problem, or nil.
func (h *Health) Check(now time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at.IsZero() || h.stopping {
		return nil
	}
	if since := now.Sub(h.at); since >= hung {
		return fmt.Errorf("the counters could not be read for %s: a lock hangs", since.Truncate(time.Second))
	}
	for _, c := range h.consumers {
		if since := h.at.Sub(c.since); since >= hung {
			return fmt.Errorf("%s has been stuck for %s: %s", c.Name, since.Truncate(time.Second), c.Waits)
		}
	}
	return nil
}

// ServeHTTP answers 200 and ok, or 503 and the problem.
func (h *Health) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if err := h.Check(time.Now()); err != nil {
		answer(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, http.StatusOK, "ok")
}

// Readiness answers with the word of status: 200 if its exit status is 0, and 503 with the reason otherwise. Problems
// beside the word are in the text and don't change the code. While the process stops it answers 503.
func (h *Health) Readiness(status func() control.Status) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h.mu.Lock()
		stopping := h.stopping
		h.mu.Unlock()
		if stopping {
			answer(w, http.StatusServiceUnavailable, "STOPPING")
			return
		}
		s := status()
		code := http.StatusOK
		if s.Word.ExitStatus() != 0 {
			code = http.StatusServiceUnavailable
		}
		answer(w, code, s.Line())
	})
}

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	fmt.Fprintln(w, text)
}
