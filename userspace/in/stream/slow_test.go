package stream

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"binrepd/userspace/in/packets"
)

// A consumer that stands still never stops the reader: what does not fit is dropped and counted, the handler still
// sees every packet, and after the gap the connection goes on as before.
func TestSlowConsumer(t *testing.T) {
	for name, limits := range map[string]Limits{
		"bytes": {Block: 4096, MaxPacket: 1000, QueueBytes: 16 << 10},
		"reads": {Block: 4096, MaxPacket: 1000, QueueReads: 3, QueueBytes: 1 << 30},
	} {
		t.Run(name, func(t *testing.T) {
			w, n := &watcher{}, &notices{}
			var pings int
			w.onPacket = func(_ *Conn, p []byte) Verdict {
				if p[8] == 2 {
					pings++ // one goroutine
					return Consume
				}
				return Deliver
			}
			s := open(t, Config{Handler: w, Notice: n.tell, Limits: limits})
			peer := connect(t, listen(t, s, "bin"))
			ping := packet(0, 50)
			ping[8] = 2
			const sent = 2000
			for i := range uint64(sent) {
				write(peer, packet(i, 500))
				write(peer, ping)
			}
			await(t, "everything read", func() bool { return s.Status().Totals.Read.Packets == 2*sent })
			st := s.Status()
			if pings != sent || st.Totals.Consumed.Packets != sent {
				t.Errorf("%d pings", pings)
			}
			lost := st.Reasons[QueueFull].Dropped
			if lost.Packets == 0 || st.Totals.Queued.Packets == 0 || lost.Bytes != lost.Packets*500 {
				t.Fatalf("%+v queued, %+v dropped", st.Totals.Queued, lost)
			}
			if st.Blocks > 2+st.Budget || st.Reserved > st.Budget || st.Waiting > st.Room {
				t.Errorf("%d blocks, %d reserved of %d", st.Blocks, st.Reserved, st.Budget)
			}
			if g := w.allGaps(); len(g) != 1 || g[0].Over {
				t.Fatalf("gaps %+v", g)
			}
			if list := n.all(); len(list) != 1 || list[0].Reason != QueueFull {
				t.Errorf("notices %v", list)
			}
			// The consumer comes back: it gets the oldest packets, in order.
			got := collect(s, 5)
			queued := int(st.Totals.Queued.Packets)
			await(t, "what was queued", func() bool { return got.count() == queued })
			got.inOrder(t, queued)
			// The end of the gap is told without further packets.
			await(t, "the end of the gap", func() bool { return len(w.allGaps()) == 2 })
			if g := w.allGaps()[1]; g != (Gap{Over: true, Packets: lost.Packets, Bytes: lost.Bytes}) {
				t.Errorf("gap %+v, dropped %+v", g, lost)
			}
			for i := range uint64(100) {
				write(peer, packet(i, 500))
				await(t, "a packet", func() bool { return got.count() == queued+int(i)+1 })
			}
			if g := w.allGaps(); len(g) != 2 {
				t.Errorf("gaps %+v", g)
			}
			s.Stop()
			<-got.done
		})
	}
}

// A gap that is open when the connection ends is told to be over before the end.
func TestGapEndsWithConnection(t *testing.T) {
	w := &watcher{}
	s := open(t, Config{Handler: w, Limits: Limits{QueueReads: 1}})
	peer := connect(t, listen(t, s, "bin"))
	for i := range 3 {
		write(peer, packet(uint64(i), 100))
		await(t, "the packet", func() bool { return s.Status().Totals.Read.Packets == uint64(i+1) })
	}
	peer.Close()
	reason(t, s, PeerClosed, 1)
	await(t, "the end", func() bool { return len(w.endings()) == 1 })
	if g := w.allGaps(); len(g) != 2 || !g[1].Over || g[1].Packets != 2 {
		t.Errorf("gaps %+v", g)
	}
	s.Close()
	if u := s.Status().Reasons[Unread].Dropped; u != (Count{1, 100}) {
		t.Errorf("%+v unread", u)
	}
}

// An idle connection gives its block back.
func TestIdleConnectionHoldsNoBlock(t *testing.T) {
	for _, scheme := range []string{"bin", "bins"} {
		t.Run(scheme, func(t *testing.T) {
			pki := testTLS(t)
			// The timeout is also how often a connection looks.
			s := open(t, Config{TLS: pki, Limits: Limits{PacketTimeout: 20 * time.Millisecond}})
			got := collect(s, 5)
			u := listen(t, s, scheme)
			peer := net.Conn(nil)
			if scheme == "bin" {
				peer = connect(t, u)
			} else {
				peer = dialTLS(t, u, pki)
			}
			for i := range 3 {
				write(peer, packet(uint64(i), 100))
				await(t, "the packet", func() bool { return got.count() == i+1 })
				await(t, "no block in use", func() bool { return s.Status().Blocks == 0 })
			}
			got.inOrder(t, 3)
			s.Stop()
			<-got.done
		})
	}
}

// When this process stood still, what has arrived meanwhile is not late.
func TestOwnPauseIsNoFault(t *testing.T) {
	w := &watcher{}
	entered, leave := make(chan struct{}), make(chan struct{})
	w.onPacket = func(_ *Conn, p []byte) Verdict {
		if n, _ := number(p); n == 0 {
			close(entered)
			<-leave
		}
		return Deliver
	}
	s := open(t, Config{Handler: w, Limits: Limits{PacketTimeout: 50 * time.Millisecond}})
	got := collect(s, 5)
	peer := connect(t, listen(t, s, "bin"))
	second := packet(1, 100)
	write(peer, append(packet(0, 100), second[:50]...))
	<-entered
	write(peer, second[50:])
	time.Sleep(100 * time.Millisecond) // the pause
	close(leave)
	await(t, "both packets", func() bool { return got.count() == 2 })
	got.inOrder(t, 2)
	s.Stop()
	<-got.done
}

func TestSend(t *testing.T) {
	w := &watcher{}
	s := open(t, Config{Handler: w})
	peer := connect(t, listen(t, s, "bin"))
	await(t, "the connection", func() bool { return len(w.conns()) == 1 })
	c := w.conns()[0]
	for name, bad := range map[string][]byte{
		"nothing": nil, "half": packet(1, 50)[:49], "two": append(packet(1, 50), packet(2, 50)...), "marker": []byte("P5CK56789012345678"),
	} {
		if err := c.Send(bad); !errors.Is(err, ErrNotPacket) {
			t.Errorf("%s: %v", name, err)
		}
	}
	const n = 5000
	go func() {
		for i := range uint64(n) {
			p := packet(i, 30+int(i%700))
			for c.Send(p) != nil { // the queue is full
				time.Sleep(time.Millisecond)
			}
			clear(p) // Send has copied it
		}
	}()
	for i := range uint64(n) {
		p := make([]byte, 30+int(i%700))
		if _, err := io.ReadFull(peer, p); err != nil {
			t.Fatal(err)
		}
		if got, err := number(p); got != i || err != nil {
			t.Fatalf("packet %d is number %d, %v", i, got, err)
		}
	}
	await(t, "the count", func() bool { return s.Status().Totals.Sent.Packets == n })
	if st := c.Status(); st.LastWrite.IsZero() || !st.LastRead.IsZero() || st.Waiting != (Count{}) || !st.Ready || st.Dialed {
		t.Errorf("%+v", st)
	}
	c.Close()
	closed(t, peer)
	reason(t, s, Closed, 1)
	if err := c.Send(packet(1, 50)); !errors.Is(err, ErrNotConnected) {
		t.Error(err)
	}
}

// A peer that does not read: Send never waits, its queue is bounded, and the connection ends.
func TestStuckPeer(t *testing.T) {
	w, n := &watcher{}, &notices{}
	s := open(t, Config{Handler: w, Notice: n.tell, Limits: Limits{WriteTimeout: 200 * time.Millisecond, SendBytes: 1 << 20}})
	peer := connect(t, listen(t, s, "bin"))
	peer.SetReadBuffer(4096)
	await(t, "the connection", func() bool { return len(w.conns()) == 1 })
	c := w.conns()[0]
	var err error
	p := packet(1, MaxPacket)
	for err == nil || errors.Is(err, ErrSendFull) {
		err = c.Send(p)
		if st := c.Status(); st.Waiting.Bytes > 1<<20 {
			t.Fatalf("%+v wait", st.Waiting)
		}
	}
	if !errors.Is(err, ErrNotConnected) {
		t.Error(err)
	}
	reason(t, s, Stuck, 1)
	st := s.Status()
	if st.Reasons[SendFull].Dropped.Packets == 0 || st.Reasons[Unsent].Dropped.Packets == 0 {
		t.Errorf("%+v", st.Reasons)
	}
	if len(n.all()) != 2 {
		t.Errorf("notices %v", n.all())
	}
}

// What the socket holds when Stop is called is delivered, and nothing that comes later.
func TestStopDeliversWhatHasArrived(t *testing.T) {
	for _, scheme := range []string{"bin", "bins"} {
		t.Run(scheme, func(t *testing.T) {
			w := &watcher{}
			entered, leave := make(chan struct{}), make(chan struct{})
			var once sync.Once
			w.onPacket = func(*Conn, []byte) Verdict {
				once.Do(func() {
					close(entered)
					<-leave
				})
				return Deliver
			}
			pki := testTLS(t)
			s := open(t, Config{Handler: w, TLS: pki})
			u := listen(t, s, scheme)
			var peer net.Conn
			if scheme == "bin" {
				peer = connect(t, u)
			} else {
				peer = dialTLS(t, u, pki)
			}
			write(peer, packet(0, 100))
			<-entered // the reader stands still
			const n = 800
			for i := range uint64(n - 1) {
				write(peer, packet(i+1, 100))
			}
			write(peer, packet(n, 100)[:60])
			c := w.conns()[0]
			await(t, "all in the socket", func() bool { return arrived(c.sock.raw) >= (n-1)*100+60 })
			s.Stop()
			write(peer, packet(n, 100)[60:]) // too late, or just not: it arrives in any case before the next line
			close(leave)
			got := collect(s, 64)
			<-got.done
			if !errors.Is(got.err, net.ErrClosed) {
				t.Error(got.err)
			}
			if k := got.count(); k != n && k != n+1 {
				t.Fatalf("%d packets, want %d", k, n)
			}
			got.inOrder(t, got.count())
			s.Close()
			if e := w.endings(); len(e) != 1 || e[0].reason != Stopped {
				t.Errorf("%+v", e)
			}
		})
	}
}

// Peers that never stop sending do not keep Stop from ending.
func TestStopUnderLoad(t *testing.T) {
	s := open(t, Config{})
	u := listen(t, s, "bin")
	got := collect(s, 64)
	var wg sync.WaitGroup
	for range 4 {
		peer := connect(t, u)
		wg.Go(func() {
			p := packet(1, 650)
			for write(peer, p) == nil {
			}
		})
	}
	await(t, "traffic", func() bool { return got.count() > 10_000 })
	s.Stop()
	s.Stop()
	<-got.done
	if !errors.Is(got.err, net.ErrClosed) || len(got.errs) > 0 {
		t.Error(got.err, got.errs)
	}
	s.Close()
	wg.Wait()
	st := s.Status()
	if st.Reasons[Stopped].Conns != 4 || st.Delivered != st.Totals.Queued {
		t.Errorf("%+v", st)
	}
	if err := s.Receive(packets.NewBatch(1)); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if _, err := s.Listen(t.Context(), u, 0); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if _, err := s.Dial(Dial{URL: u}); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// What waits in the outgoing queue is sent at Stop.
func TestStopSendsTheRest(t *testing.T) {
	w := &watcher{}
	s := open(t, Config{Handler: w})
	peer := connect(t, listen(t, s, "bin"))
	await(t, "the connection", func() bool { return len(w.conns()) == 1 })
	for i := range uint64(100) {
		if err := w.conns()[0].Send(packet(i, 20_000)); err != nil {
			t.Fatal(err)
		}
	}
	s.Stop()
	all, err := io.ReadAll(peer)
	if len(all) != 100*20_000 || err != nil {
		t.Errorf("%d bytes, %v", len(all), err)
	}
}
