package bench

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"testing"

	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/statuspage"
	"binrepd/userspace/watch/telemetry"
)

// serveMetrics stands in for the command, which has more to show.
func serveMetrics(ctx context.Context, w Watched) (netip.AddrPort, func() error, error) {
	log := slog.New(slog.DiscardHandler)
	s, err := telemetry.Listen(ctx, netip.MustParseAddrPort("127.0.0.1:0"), log)
	if err != nil {
		return netip.AddrPort{}, nil, err
	}
	address := netip.MustParseAddrPort(s.Address().String())
	recent := telemetry.NewRecent(func() telemetry.Picture { return telemetry.Picture{Engine: w.Engine.Status()} })
	s.Handle("GET /metrics", telemetry.Exposition(log, telemetry.NewCollector(recent.Picture)))
	s.Handle("/", statuspage.Handler(statuspage.Config{
		Status: func() control.Status { return recent.Picture().Status }, Trend: &statuspage.Trend{}, Bound: address,
	}))
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	return address, func() error {
		cancel()
		return errors.Join(<-served, s.Close())
	}, nil
}

func TestCutHead(t *testing.T) {
	for _, c := range []struct {
		answer     string
		head, body int
		fails      bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nVary: a\r\n\r\nbody", 48, 12, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n", -1, 0, false},
		{"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 12\r\n\r\n", 0, 0, true},
		{"HTTP/1.1 200 OK\r\nVary: a\r\n\r\n", 0, 0, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", 0, 0, true},
	} {
		head, body, err := cutHead([]byte(c.answer))
		if (err != nil) != c.fails || !c.fails && (head != c.head || body != c.body) {
			t.Errorf("%q: %d, %d, %v", c.answer, head, body, err)
		}
	}
}
