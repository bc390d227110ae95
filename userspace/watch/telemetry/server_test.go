package telemetry

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waiting that would otherwise never end. It is not a measure of speed.
const patience = time.Minute

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

// started starts a server with these limits and pages. It ends with the test.
func started(t *testing.T, b bounds, pages func(*Server)) *Server {
	t.Helper()
	s, err := listen(t.Context(), anyPort, b, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	pages(s)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// get requests a page over a new connection.
func get(t *testing.T, s *Server, path string) (status int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	r, err := client.Get("http://" + s.Address().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func connect(t *testing.T, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func page(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}

func TestServer(t *testing.T) {
	s := started(t, standard(), func(s *Server) {
		s.Handle("GET /a", page("one"))
		s.Handle("GET /{$}", page("root"))
	})
	for path, want := range map[string]string{"/a": "one", "/": "root"} {
		if status, body := get(t, s, path); status != http.StatusOK || body != want {
			t.Errorf("%s: %d %q", path, status, body)
		}
	}
	for _, path := range []string{"/b", "/debug/pprof/", "/debug/pprof/cmdline"} {
		if status, _ := get(t, s, path); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
}

func TestProfiles(t *testing.T) {
	s := started(t, standard(), (*Server).HandleProfiles)
	for path, want := range map[string]string{
		"/debug/pprof/": "goroutine", "/debug/pprof/heap?debug=1": "heap profile", "/debug/pprof/cmdline": os.Args[0],
	} {
		if status, body := get(t, s, path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.80q", path, status, body)
		}
	}
}

// TestSilentClients: connections without a request fill the server's places, and are closed.
func TestSilentClients(t *testing.T) {
	b := standard()
	b.connections, b.header = 4, patience // not the reason that they are closed
	s := started(t, b, func(s *Server) { s.Handle("/", page("here")) })
	for range 3 * b.connections {
		connect(t, s)
	}
	if status, body := get(t, s, "/"); status != http.StatusOK || body != "here" {
		t.Errorf("%d %q", status, body)
	}
}

// TestIdleClients: clients that asked once and keep their connection make room for the next client, the one idle
// longest first.
func TestIdleClients(t *testing.T) {
	b := standard()
	b.connections, b.idle = 4, patience
	s := started(t, b, func(s *Server) { s.Handle("/", page("here")) })
	ask := func(c net.Conn) error {
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			return err
		}
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err
		}
		defer r.Body.Close()
		_, err = io.Copy(io.Discard, r.Body)
		return err
	}
	idle := make([]net.Conn, b.connections)
	for i := range idle {
		idle[i] = connect(t, s)
		if err := ask(idle[i]); err != nil {
			t.Fatal(err)
		}
	}
	if status, body := get(t, s, "/"); status != http.StatusOK || body != "here" {
		t.Errorf("%d %q", status, body)
	}
	closed := 0
	for _, c := range idle {
		if ask(c) != nil {
			closed++
		}
	}
	if closed != 1 {
		t.Errorf("%d of %d idle connections were closed for one client", closed, len(idle))
	}
}

// TestDeafClient: a client that asks for a large page and reads nothing is disconnected. Meanwhile others are served.
func TestDeafClient(t *testing.T) {
	b := standard()
	b.connections, b.write = 2, 100*time.Millisecond
	large := strings.Repeat("x", 8<<20) // more than the buffers of both sides hold
	s := started(t, b, func(s *Server) {
		s.Handle("/large", page(large))
		s.Handle("/small", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// Only this client should meet the limit, however busy the machine is.
			if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience)); err != nil {
				t.Error(err)
			}
			page("here").ServeHTTP(w, r)
		}))
	})
	deaf := connect(t, s)
	if _, err := io.WriteString(deaf, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if status, body := get(t, s, "/small"); status != http.StatusOK || body != "here" {
			t.Errorf("%d %q", status, body)
		}
	}
	// It was cut off if it got less than it asked for.
	r, err := http.ReadResponse(bufio.NewReader(waitThenRead(t, deaf, 4*b.write)), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if n, err := io.Copy(io.Discard, r.Body); err == nil || n >= int64(len(large)) {
		t.Errorf("%d of %d bytes, %v", n, len(large), err)
	}
}

// waitThenRead reads from c after a pause that is longer than the server's write deadline. It plays a slow client.
func waitThenRead(t *testing.T, c net.Conn, pause time.Duration) io.Reader {
	t.Helper()
	timer := time.NewTimer(pause)
	defer timer.Stop()
	<-timer.C
	return c
}

// TestStop: an endless request doesn't keep the server from ending, and no handler outlives Serve.
func TestStop(t *testing.T) {
	s, err := Listen(t.Context(), anyPort, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	asked, ended := make(chan struct{}), make(chan struct{})
	s.Handle("/", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
		close(ended)
	}))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	if _, err := io.WriteString(connect(t, s), "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-asked
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	select {
	case <-ended:
	default:
		t.Error("Serve returned before the handler")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAddressInUse(t *testing.T) {
	s, err := Listen(t.Context(), anyPort, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(s.Address().String())
	if _, err := Listen(t.Context(), at, slog.New(slog.DiscardHandler)); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("taken twice: %v", err)
	}
	if err := s.Close(); err != nil { // never served
		t.Error(err)
	}
	again, err := Listen(t.Context(), at, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
