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
	var handlers sync.WaitGroup
	answer := s.Handler
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handlers.Add(1)
		defer handlers.Done()
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
	handlers.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
