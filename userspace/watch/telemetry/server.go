package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"time"

	"binrepd/userspace/watch/serving"
)

// bounds are what clients can take.
type bounds struct {
	connections               int // for one more, the longest idle one is closed
	header, read, write, idle time.Duration
	patience                  time.Duration // with a client that takes nothing, if another one needs its place
	headerBytes               int
}

// standard are the bounds in service. A Prometheus server keeps one connection, and asks each 15 to 60 seconds; a page in a browser keeps
// up to six.
func standard() bounds {
	return bounds{
		connections: 64, headerBytes: 16 << 10,
		header: 5 * time.Second, read: 10 * time.Second, write: 30 * time.Second,
		patience: time.Second,     // a scraper gives up after ten
		idle:     2 * time.Minute, // above the usual interval of scrapes, so that they find their connection open
	}
}

// Server is the HTTP server of the metrics address. It has the pages that were added by Handle.
type Server struct {
	http     http.Server
	mux      *http.ServeMux
	listener net.Listener
}

// Listen takes the address, but doesn't answer before Serve. Errors are those of net.ListenConfig.Listen.
func Listen(ctx context.Context, address netip.AddrPort, log *slog.Logger) (*Server, error) {
	return listen(ctx, address, standard(), log)
}

func listen(ctx context.Context, address netip.AddrPort, b bounds, log *slog.Logger) (*Server, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address.String())
	if err != nil {
		return nil, err
	}
	p := newClients(l, b.connections, b.patience)
	s := &Server{mux: http.NewServeMux(), listener: p}
	s.http = http.Server{
		Handler:           s.mux,
		ReadHeaderTimeout: b.header,
		ReadTimeout:       b.read,
		WriteTimeout:      b.write,
		IdleTimeout:       b.idle,
		MaxHeaderBytes:    b.headerBytes,
		ConnState:         p.changed,
		// What clients do wrong must not fill the log.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Handle adds a page for a pattern of http.ServeMux. All are added before Serve. A page that takes longer than 30 seconds to
// send moves its own deadline (http.ResponseController).
func (s *Server) Handle(pattern string, h http.Handler) { s.mux.Handle(pattern, h) }

// HandleProfiles adds the profiles of the Go runtime under /debug/pprof/.
func (s *Server) HandleProfiles() {
	s.mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	s.mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	s.mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	s.mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	s.mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}

// Address is where the server listens.
func (s *Server) Address() net.Addr { return s.listener.Addr() }

// Serve answers until ctx ends, then lets running requests end for a second.
func (s *Server) Serve(ctx context.Context) error {
	if err := serving.Until(ctx, &s.http, s.listener); err != nil {
		return fmt.Errorf("metrics server: %w", err)
	}
	return nil
}

// Close frees the address if Serve was never called. A nil Server has none.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}
	if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil // Serve has closed it
}
