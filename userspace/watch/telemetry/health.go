package telemetry

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"binrepd/userspace/watch/control"
)

// hung is how long nothing may move where something waits. A worker takes a batch in milliseconds; this allows for a host that
// is short of processor time.
const hung = 10 * time.Second

// Health tells whether the process works. It looks at nothing itself and so waits for nobody: somebody calls Sample about once a
// second, and when those calls cease, that is a sign, too.
type Health struct {
	mu        sync.Mutex
	at        time.Time // of the last sample
	consumers []standing
	stopping  bool
}

// standing is a consumer, and since when it has done no step although something waits for it.
type standing struct {
	Consumer
	since time.Time
}

// Sample takes over how far the consumers are. They come in the same order each time, new ones behind.
func (h *Health) Sample(now time.Time, consumers []Consumer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = now
	h.consumers = h.consumers[:min(len(h.consumers), len(consumers))]
	for i, c := range consumers {
		if i == len(h.consumers) {
			h.consumers = append(h.consumers, standing{c, now})
			continue
		}
		s := &h.consumers[i]
		if !c.stands(&s.Consumer) {
			s.since = now
		}
		s.Consumer = c
	}
}

// Stopping says that the end has begun. Rings may then be left unread, for the next process.
func (h *Health) Stopping() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopping = true
}

// Check returns what is wrong, or nil.
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
			return fmt.Errorf("%s has stood still for %s: %s", c.Name, since.Truncate(time.Second), c.Waits)
		}
	}
	return nil
}

// ServeHTTP answers 200 and ok, or 503 and what is wrong.
func (h *Health) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if err := h.Check(time.Now()); err != nil {
		answer(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, http.StatusOK, "ok")
}

// Readiness answers with the word of status: 200 for those with which scripts go on, 503 with the reason for the others, and
// 503 while the process stops.
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
		text := string(s.Word)
		if s.Reason != "" {
			text += ": " + s.Reason
		}
		answer(w, code, text)
	})
}

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	fmt.Fprintln(w, text)
}
