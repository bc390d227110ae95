package serving

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// grace is how long running requests may take when the server stops.
const grace = time.Second

// Until serves requests on l with s until ctx ends. Then it gives running requests a second and waits for their
// handlers to return. http.Server doesn't do that: neither Shutdown nor Close waits for the handlers of connections
// that it cuts. Until closes l and wraps s.Handler. It returns the error of http.Server.Serve, or nil if ctx has ended.
func Until(ctx context.Context, s *http.Server, l net.Listener) error {
	return UntilBy(ctx, s, l, s.Serve)
}

// UntilBy is Until with something else than s.Serve, such as one that adds TLS. Like it, serve must return
// http.ErrServerClosed after the end.
func UntilBy(ctx context.Context, s *http.Server, l net.Listener, serve func(net.Listener) error) error {
	var handlers handlers
	answer := s.Handler
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !handlers.begin() {
			panic(http.ErrAbortHandler) // closes the connection without a log line
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
	err := serve(l)
	if !stop() {
		<-down
	}
	handlers.end()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// handlers counts running handlers. A connection may have read its request just before it is closed. Such a late
// request is refused.
type handlers struct {
	mu      sync.Mutex // guards ended, and running against an addition beside Wait
	ended   bool
	running sync.WaitGroup
}

// begin counts one more handler. It returns false after the end.
func (h *handlers) begin() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return false
	}
	h.running.Add(1)
	return true
}

// end refuses new handlers and waits for the running ones.
func (h *handlers) end() {
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	h.running.Wait()
}
