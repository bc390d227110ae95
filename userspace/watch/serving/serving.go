package serving

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// grace is how long requests that are being answered may take when the server stops.
const grace = time.Second

// Until answers on l with s until ctx ends, then lets running requests end for a second, and waits for their handlers: neither
// Shutdown nor Close of http.Server waits for those of connections that it cuts. It closes l, and wraps s.Handler. The error is that of
// http.Server.Serve; an end by ctx is none.
func Until(ctx context.Context, s *http.Server, l net.Listener) error {
	var handlers handlers
	answer := s.Handler
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !handlers.begin() {
			panic(http.ErrAbortHandler) // closes the connection, without a word in the log
		}
		defer handlers.running.Done()
		answer.ServeHTTP(w, r)
	})
	down := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(down)
		brief, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if s.Shutdown(brief) != nil {
			s.Close()
		}
	})
	err := s.Serve(l)
	if !stop() {
		<-down
	}
	handlers.end()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// handlers counts those that run. A connection that has read its request just before it is closed comes late; it is not let in after the end.
type handlers struct {
	mu      sync.Mutex // guards ended, and running against an addition beside Wait
	ended   bool
	running sync.WaitGroup
}

// begin counts one more, unless the end has come.
func (h *handlers) begin() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return false
	}
	h.running.Add(1)
	return true
}

// end lets no more begin, and waits for those that run.
func (h *handlers) end() {
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	h.running.Wait()
}
