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

	"github.com/prometheus/exporter-toolkit/web"

	"binrepd/userspace/watch/serving"
)

// bounds are the limits for clients.
type bounds struct {
	connections               int // for one more, the one idle longest is closed
	header, read, write, idle time.Duration
	patience                  time.Duration // for a client that reads nothing, if another one needs its place
	headerBytes               int
}

// standard returns the limits in production. A Prometheus server keeps one connection and scrapes every 15 to 60
// seconds. A page in a browser keeps up to six connections.
func standard() bounds {
	return bounds{
		connections: 64, headerBytes: 16 << 10,
		header: 5 * time.Second, read: 10 * time.Second, write: 30 * time.Second,
		patience: time.Second,     // a scraper gives up after ten seconds
		idle:     2 * time.Minute, // above the usual interval of scrapes, so that their connection stays open
	}
}

// Server is the HTTP server of the metrics address. It serves the pages that Handle has added.
type Server struct {
	http     http.Server
	mux      *http.ServeMux
	listener net.Listener
	secured  string // file of Secure; empty: plain HTTP
	log      *slog.Logger
}

// Listen opens the address. It serves nothing before Serve. Errors are those of net.ListenConfig.Listen.
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
	s := &Server{mux: http.NewServeMux(), listener: p, log: log}
	s.http = http.Server{
		Handler:           s.mux,
		ReadHeaderTimeout: b.header,
		ReadTimeout:       b.read,
		WriteTimeout:      b.write,
		IdleTimeout:       b.idle,
		MaxHeaderBytes:    b.headerBytes,
		ConnState:         p.changed,
		// Errors of clients must not fill the log.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Handle adds a page for a pattern of http.ServeMux. Call it before Serve. A page that takes longer than 30 seconds to
// send must extend its own deadline (http.ResponseController).
func (s *Server) Handle(pattern string, h http.Handler) { s.mux.Handle(pattern, h) }

// HandleProfiles adds the profiles of the Go runtime under /debug/pprof/.
func (s *Server) HandleProfiles() {
	s.mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	s.mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	s.mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	s.mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	s.mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}

// Secure makes Serve use TLS, passwords and rate limits as a file says, in the form that Prometheus and its exporters
// share (exporter-toolkit, docs/web-configuration.md). Certificates and users are read again for new connections. Call it
// before Serve.
func (s *Server) Secure(file string) error {
	if err := web.Validate(file); err != nil {
		return err
	}
	s.secured = file
	return nil
}

// Address returns the listen address.
func (s *Server) Address() net.Addr { return s.listener.Addr() }

// Serve serves requests until ctx ends. Then it gives running requests a second to end.
func (s *Server) Serve(ctx context.Context) error {
	serve := s.http.Serve
	if s.secured != "" {
		flags := &web.FlagConfig{WebConfigFile: &s.secured}
		serve = func(l net.Listener) error { return web.Serve(l, &s.http, flags, s.log) }
	}
	if err := serving.UntilBy(ctx, &s.http, s.listener, serve); err != nil {
		return fmt.Errorf("metrics server: %w", err)
	}
	return nil
}

// Close closes the address if Serve was never called. A nil Server is allowed.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}
	if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil // Serve has closed it
}
