package stream

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fakeClock stands still until the test moves it. A timer sends on asked when it is made.
type fakeClock struct {
	mu    sync.Mutex
	now   time.Time
	timer chan time.Time
	asked chan time.Duration
}

func newFakeClock() *fakeClock {
	return &fakeClock{now: time.Unix(1e9, 0), asked: make(chan time.Duration, 100)}
}

func (f *fakeClock) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fakeClock) Timer(d time.Duration) (<-chan time.Time, func() bool) {
	f.mu.Lock()
	f.timer = make(chan time.Time, 1)
	c := f.timer
	f.mu.Unlock()
	f.asked <- d
	return c, func() bool { return true }
}

// pass lets the pause end that was asked for.
func (f *fakeClock) pass(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
	f.timer <- f.now
}

func (f *fakeClock) advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

func TestBackoff(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		failures uint64
		jitter   float64
		want     time.Duration
	}{
		{0, 0.5, 500 * ms}, {1, 0.5, 500 * ms}, {2, 0.5, 1000 * ms}, {3, 0.5, 2000 * ms}, {5, 0.5, 8000 * ms},
		{6, 0.5, 10_000 * ms}, {1 << 60, 0.5, 10_000 * ms}, {1, 0, 375 * ms}, {1, 1, 625 * ms}, {9, 1, 12_500 * ms},
	} {
		if got := backoff(500*ms, 10*time.Second, c.failures, c.jitter); got != c.want {
			t.Errorf("after %d failures, jitter %v: %v, want %v", c.failures, c.jitter, got, c.want)
		}
	}
}

// closedPort returns a URL on which nobody listens.
func closedPort(t *testing.T) URL {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return URL{Addr: unmapped(l.Addr())}
}

func TestRedial(t *testing.T) {
	clock, w, n := newFakeClock(), &watcher{}, &notices{}
	client := open(t, Config{Handler: w, Notice: n.tell, Clock: clock, Jitter: func() float64 { return 0.5 }})
	u := closedPort(t)
	local := netip.MustParseAddr("127.0.0.7")
	peer, err := client.Dial(Dial{URL: u, Local: local})
	if err != nil {
		t.Fatal(err)
	}
	pause := func(want time.Duration) {
		t.Helper()
		if got := <-clock.asked; got != want {
			t.Errorf("pause of %v, want %v", got, want)
		}
	}
	pause(500 * time.Millisecond)
	st := peer.Status()
	if st.Connected || st.Reason != DialFailed || !errors.Is(st.Err, syscall.ECONNREFUSED) || st.Attempts != 1 ||
		!st.Next.Equal(clock.Now().Add(500*time.Millisecond)) {
		t.Errorf("%+v", st)
	}
	if peer.Conn() != nil || !errors.Is(peer.Send(packet(1, 50)), ErrNotConnected) {
		t.Error("connected")
	}
	clock.pass(500 * time.Millisecond)
	pause(time.Second)
	clock.pass(time.Second)
	pause(2 * time.Second)
	// The peer begins to listen, and something tells that it lives: no need to wait.
	server := open(t, Config{})
	l, err := server.Listen(t.Context(), u, 0)
	if err != nil {
		t.Fatal(err)
	}
	peer.Retry()
	await(t, "the connection", func() bool { return peer.Conn() != nil })
	c := peer.Conn()
	if c.Local().Addr() != local || c.Remote() != u.Addr || !c.Dialed() || c.TLS() || c.Peer() != peer || c.ID() == 0 {
		t.Errorf("%+v", c.Status())
	}
	await(t, "the other end", func() bool { return len(server.Status().Conns) == 1 })
	if other := server.Status().Conns[0]; other.Remote != c.Local() || other.Dialed {
		t.Errorf("%+v", other)
	}
	// It ends young, without a packet: that is a failure like the others.
	c.Close()
	pause(4 * time.Second)
	clock.pass(4 * time.Second)
	await(t, "the connection", func() bool { return peer.Conn() != nil })
	// It ends old: back to the shortest pause.
	clock.advance(DefaultStable)
	peer.Conn().Close()
	pause(500 * time.Millisecond)
	clock.pass(500 * time.Millisecond)
	await(t, "the connection", func() bool { return peer.Conn() != nil })
	if st := peer.Status(); st.Failures != 0 || st.Attempts != 6 || !st.Next.IsZero() || st.Reason != Closed {
		t.Errorf("%+v", st)
	}
	peer.Close()
	reason(t, client, Closed, 3)
	await(t, "the end of the peer", func() bool { return len(client.Status().Peers) == 0 })
	await(t, "events", func() bool { return len(w.endings()) == 3 })
	if len(w.conns()) != 3 || len(n.all()) != 1 || n.all()[0].String() != "connection to "+u.Addr.String()+": connect failed: connect: connection refused" {
		t.Errorf("%d connected, notices %v", len(w.conns()), n.all())
	}
	l.Close()
}

// A connection that brought packets was wanted, however short it was.
func TestPacketsResetBackoff(t *testing.T) {
	clock := newFakeClock()
	client := open(t, Config{Clock: clock, Jitter: func() float64 { return 0.5 }})
	got := collect(client, 4)
	server := open(t, Config{Handler: &watcher{onConnect: func(c *Conn) {
		c.Send(packet(0, 100))
		c.Close()
	}}})
	peer, err := client.Dial(Dial{URL: listen(t, server, "bin")})
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if d := <-clock.asked; d != 500*time.Millisecond {
			t.Errorf("pause of %v", d)
		}
		clock.pass(0)
	}
	peer.Close()
	client.Stop()
	<-got.done
	if got.count() < 4 {
		t.Errorf("%d packets", got.count())
	}
}

// Two members as OpenSIPS nodes are: each dials the other, and both connections are one source.
func TestTwoConnectionsOneSource(t *testing.T) {
	a, b := open(t, Config{}), open(t, Config{})
	ua, ub := listen(t, a, "bin"), listen(t, b, "bin")
	got := collect(a, 4)
	toA, err := b.Dial(Dial{URL: ua})
	if err != nil {
		t.Fatal(err)
	}
	toB, err := a.Dial(Dial{URL: ub})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "both connections", func() bool { return toA.Conn() != nil && toB.Conn() != nil && len(b.Status().Conns) == 2 })
	for i := range uint64(10) {
		if err := toA.Send(packet(i, 100)); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "packets", func() bool { return got.count() == 10 })
	// An answer on the connection that the other side opened.
	for _, c := range connsOf(b) {
		if !c.Dialed() {
			await(t, "the handshake", func() bool { return c.Send(packet(10, 100)) == nil })
		}
	}
	await(t, "the answer", func() bool { return got.count() == 11 })
	got.inOrder(t, 11)
	if len(got.sources) != 1 {
		t.Errorf("sources %v", got.sources)
	}
	a.Stop()
	<-got.done
}

func connsOf(s *Stream) (list []*Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		list = append(list, c)
	}
	return list
}

func TestDialRefusesNonsense(t *testing.T) {
	s := open(t, Config{})
	v4 := netip.MustParseAddrPort("127.0.0.1:1")
	for name, d := range map[string]Dial{
		"nothing":      {},
		"unspecified":  {URL: URL{Addr: netip.MustParseAddrPort("0.0.0.0:1")}},
		"port 0":       {URL: URL{Addr: netip.MustParseAddrPort("127.0.0.1:0")}},
		"two families": {URL: URL{Addr: v4}, Local: netip.MustParseAddr("::1")},
	} {
		if _, err := s.Dial(d); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	// A source address that the host does not have fails at each attempt, and tells so.
	p, err := s.Dial(Dial{URL: URL{Addr: v4}, Local: netip.MustParseAddr("192.0.2.1")})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "an attempt", func() bool { return errors.Is(p.Status().Err, syscall.EADDRNOTAVAIL) })
}

func TestListenErrors(t *testing.T) {
	s := open(t, Config{})
	u := listen(t, s, "bin")
	_, err := s.Listen(t.Context(), u, 0)
	var le *ListenError
	if !errors.As(err, &le) || !errors.Is(err, syscall.EADDRINUSE) || err.Error() != u.String()+" is in use: another process listens there" {
		t.Error(err)
	}
	_, err = s.Listen(t.Context(), URL{Addr: netip.MustParseAddrPort("192.0.2.1:5555")}, 0)
	if !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Error(err)
	}
	if l, err := s.Listen(t.Context(), URL{Addr: netip.MustParseAddrPort("[::1]:0")}, 0); err == nil {
		write(connect(t, l.URL()), packet(1, 50)) // left over for Close
		await(t, "the connection", func() bool { return s.Status().Totals.Read.Packets == 1 })
	} else {
		t.Logf("no IPv6 here: %v", err)
	}
}

// An address is free again after Close of its listener, and the connections stay.
func TestListenerClose(t *testing.T) {
	s := open(t, Config{})
	l, err := s.Listen(t.Context(), URL{Addr: netip.MustParseAddrPort("127.0.0.1:0")}, 0)
	if err != nil {
		t.Fatal(err)
	}
	peer := connect(t, l.URL())
	await(t, "the connection", func() bool { return len(s.Status().Conns) == 1 })
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", l.URL().Addr.String()); err == nil {
		c.Close()
		t.Error("still listens")
	}
	write(peer, packet(1, 100))
	await(t, "a packet", func() bool { return s.Status().Totals.Read.Packets == 1 })
}
