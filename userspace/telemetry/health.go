package telemetry

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"binrepd/userspace/control"
)

// hung is how long nothing may move where something waits. A worker takes a batch in milliseconds; this allows for a host that
// is short of processor time.
const hung = 10 * time.Second

// Health tells whether the process works. It never waits for a lock of the packet path itself, so that it can tell of one that
// hangs: somebody calls Sample about once a second, and when those calls cease, that is the sign.
type Health struct {
	mu       sync.Mutex
	at       time.Time // of the last sample
	rings    []progress
	stopping bool
}

// progress of one ring.
type progress struct {
	records uint64
	at      time.Time // when it was last seen to be empty, or to have been read
	fill    uint64
}

// Sample takes over how far the consumers are. Taking s has shown that no lock of the packet path hangs.
func (h *Health) Sample(now time.Time, s *control.Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = now
	if len(h.rings) != len(s.Rings) {
		h.rings = make([]progress, len(s.Rings))
	}
	for i, r := range s.Rings {
		p := &h.rings[i]
		if p.at.IsZero() || r.Fill == 0 || r.Records != p.records {
			p.at = now
		}
		p.records, p.fill = r.Records, r.Fill
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
		return fmt.Errorf("the counters could not be read for %s: a consumer hangs", since.Truncate(time.Second))
	}
	for i, p := range h.rings {
		if since := h.at.Sub(p.at); since >= hung {
			return fmt.Errorf("ring %d has not been read for %s, and %d bytes wait in it", i, since.Truncate(time.Second), p.fill)
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
