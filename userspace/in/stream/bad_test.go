package stream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"binrepd/userspace/in/packets"
)

// notices remembers what Config.Notice was told.
type notices struct {
	mu   sync.Mutex
	list []Notice
}

func (n *notices) tell(one Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, one)
}

func (n *notices) all() []Notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Notice(nil), n.list...)
}

// closed waits until the other side has closed c.
func closed(t testing.TB, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := io.Copy(io.Discard, c); isTimeout(err) || n > 0 {
		t.Fatalf("connection still open, or %d bytes came: %v", n, err)
	}
}

func withLength(p []byte, n uint32) []byte {
	p[4], p[5], p[6], p[7] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
	return p
}

func TestWrongFrames(t *testing.T) {
	good := packet(7, 100)
	for name, c := range map[string]struct {
		bytes  []byte
		reason Reason
		err    error
		want   string // in the text of the notice
	}{
		"first byte":        {[]byte("Q"), WrongMarker, ErrMarker, "begins with bytes 51,"},
		"fourth byte":       {[]byte("P4CX"), WrongMarker, ErrMarker, "begins with bytes 50344358"},
		"control bytes":     {[]byte("\x1b[2J"), WrongMarker, ErrMarker, "1b5b324a"},
		"TLS":               {[]byte("\x16\x03\x01\x02\x00\x01"), WrongMarker, ErrMarker, "speaks TLS"},
		"length 0":          {withLength(packet(0, 40), 0), TooShort, ErrTooShort, "0 bytes, less than 17"},
		"length 16":         {withLength(packet(0, 40), 16), TooShort, ErrTooShort, "16 bytes"},
		"length 65536":      {withLength(packet(0, 40), 65536), TooLong, ErrTooLong, "more than 65535"},
		"length 4 GiB":      {withLength(packet(0, 40), 1<<32-1), TooLong, ErrTooLong, "4294967295 bytes"},
		"big-endian length": {withLength(packet(0, 40), 40<<24), TooLong, ErrTooLong, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, n := &watcher{}, &notices{}
			s := open(t, Config{Handler: w, Notice: n.tell})
			got := collect(s, 4)
			peer := connect(t, listen(t, s, "bin"))
			write(peer, append(append([]byte(nil), good...), c.bytes...))
			reason(t, s, c.reason, 1)
			closed(t, peer)
			s.Stop()
			<-got.done
			if len(got.numbers) != 1 || got.numbers[0] != 7 {
				t.Errorf("packets %v, want the good one", got.numbers)
			}
			if e := w.endings(); len(e) != 1 || e[0].reason != c.reason || !errors.Is(e[0].err, c.err) {
				t.Errorf("%+v", e)
			}
			list := n.all()
			if len(list) != 1 || list[0].Reason != c.reason || !strings.Contains(list[0].String(), c.want) ||
				!strings.HasPrefix(list[0].String(), "connection from 127.0.0.1:") {
				t.Errorf("notices %v, want one with %q", list, c.want)
			}
			if d := s.Status().Reasons[c.reason].Dropped; d != (Count{0, uint64(len(c.bytes))}) {
				t.Errorf("%+v dropped", d)
			}
		})
	}
}

// A packet that is cut at any byte, followed by silence, by the end, or by a reset.
func TestCutAtEveryByte(t *testing.T) {
	for _, c := range []struct {
		name   string
		reason Reason
		then   func(*net.TCPConn)
	}{
		{"silence", SlowPacket, func(*net.TCPConn) {}},
		{"end", Incomplete, func(c *net.TCPConn) { c.Close() }},
		{"half-close", Incomplete, func(c *net.TCPConn) { c.CloseWrite() }},
		{"reset", Reset, func(c *net.TCPConn) { refuse(c) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			timeout := time.Minute
			if c.reason == SlowPacket {
				timeout = 100 * time.Millisecond
			}
			s := open(t, Config{Limits: Limits{PacketTimeout: timeout, MaxConnsPerAddress: 100}})
			u := listen(t, s, "bin")
			whole := packet(1, 40)
			var bytes uint64
			for cut := 1; cut < len(whole); cut++ {
				peer := connect(t, u)
				write(peer, whole[:cut])
				bytes += uint64(cut)
				if c.reason == Reset { // which throws away what has not been read
					await(t, "the bytes", func() bool { return s.Status().Totals.Read.Bytes == bytes })
				}
				c.then(peer)
			}
			reason(t, s, c.reason, uint64(len(whole)-1))
			if d := s.Status().Reasons[c.reason].Dropped; d != (Count{0, bytes}) {
				t.Errorf("%+v dropped, want %d bytes", d, bytes)
			}
		})
	}
}

// Bytes that keep coming do not prolong the time for a packet.
func TestTrickleEnds(t *testing.T) {
	s := open(t, Config{Limits: Limits{PacketTimeout: 200 * time.Millisecond}})
	peer := connect(t, listen(t, s, "bin"))
	write(peer, packet(0, 650))
	slow, sent := packet(1, 650), 0
	began := time.Now()
	for ; sent < len(slow); sent++ {
		if write(peer, slow[sent:sent+1]) != nil {
			break
		}
		time.Sleep(5 * time.Millisecond) // the speed of the peer
	}
	if sent == len(slow) || time.Since(began) < 200*time.Millisecond {
		t.Errorf("%d bytes were taken in %v", sent, time.Since(began))
	}
	reason(t, s, SlowPacket, 1)
}

func TestSilent(t *testing.T) {
	s := open(t, Config{Limits: Limits{FirstTimeout: 50 * time.Millisecond}})
	closed(t, connect(t, listen(t, s, "bin")))
	reason(t, s, Silent, 1)
}

func TestIdle(t *testing.T) {
	s := open(t, Config{Limits: Limits{IdleTimeout: 300 * time.Millisecond}})
	peer := connect(t, listen(t, s, "bin"))
	began := time.Now()
	write(peer, packet(0, 50))
	closed(t, peer)
	reason(t, s, Idle, 1)
	if d := time.Since(began); d < 300*time.Millisecond {
		t.Errorf("idle after %v", d)
	}
}

// What is sent keeps a connection from being idle, too.
func TestSendingIsNotIdle(t *testing.T) {
	w := &watcher{}
	s := open(t, Config{Handler: w, Limits: Limits{IdleTimeout: 400 * time.Millisecond}})
	peer := connect(t, listen(t, s, "bin"))
	write(peer, packet(0, 50))
	await(t, "the connection", func() bool { return len(w.conns()) == 1 })
	began := time.Now()
	for time.Since(began) < 800*time.Millisecond {
		if err := w.conns()[0].Send(packet(1, 50)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	go io.Copy(io.Discard, peer)
	reason(t, s, Idle, 1)
}

// 1,000 connections from 100 addresses; make chaos opens 10,000.
func TestTooManyConnections(t *testing.T) {
	each := 50 // of 20 workers
	if os.Getenv("BINREPD_CHAOS") == "1" {
		each = 500
	}
	n := &notices{}
	s := open(t, Config{Notice: n.tell, Limits: Limits{MaxConns: 150, MaxConnsPerAddress: 2}})
	u := listen(t, s, "bin")
	var kept []net.Conn
	var mu sync.Mutex
	var wg sync.WaitGroup
	for worker := range 20 {
		wg.Go(func() {
			for i := range each {
				d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(fmt.Sprintf("127.0.1.%d:0", 1+worker*5+i%5)))}
				c, err := d.Dial("tcp", u.Addr.String())
				if err != nil {
					continue // the reset came before connect had returned
				}
				if write(c, packet(1, 50)) != nil {
					c.Close()
					continue
				}
				c.SetReadDeadline(time.Now().Add(time.Millisecond))
				if _, err := c.Read(make([]byte, 1)); errors.Is(err, io.EOF) || !isTimeout(err) {
					c.Close()
					continue
				}
				mu.Lock()
				kept = append(kept, c)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	await(t, "all are accepted", func() bool { return s.Status().Accepted == uint64(20*each) })
	await(t, "the refusals", func() bool { return len(s.Status().Conns) == 150 })
	await(t, "their count", func() bool {
		st := s.Status()
		return st.Reasons[TooMany].Conns+st.Reasons[TooManyOfAddress].Conns == uint64(20*each-150)
	})
	st := s.Status()
	if st.Blocks > 150 {
		t.Errorf("%d blocks for 150 connections", st.Blocks)
	}
	if st.Reasons[TooMany].Conns == 0 || st.Reasons[TooManyOfAddress].Conns == 0 || len(n.all()) != 2 {
		t.Errorf("%+v, notices %v", st.Reasons, n.all())
	}
	for _, c := range kept {
		c.Close()
	}
	// Places become free again.
	await(t, "the end of all", func() bool { return len(s.Status().Conns) == 0 })
	write(connect(t, u), packet(1, 50))
	await(t, "a new one", func() bool { return len(s.Status().Conns) == 1 })
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

func TestAdmit(t *testing.T) {
	n := &notices{}
	var verdict atomic.Uint32
	verdict.Store(uint32(packets.Denied))
	s := open(t, Config{Notice: n.tell, Admit: func(e packets.Endpoint) packets.Admission {
		if e.AddrPort().Addr() != netip.MustParseAddr("127.0.0.1") || e.Port == 0 {
			t.Errorf("asked about %s", e)
		}
		return packets.Admission(verdict.Load())
	}})
	u := listen(t, s, "bin")
	try := func(r Reason, n uint64) {
		if c, err := net.Dial("tcp", u.Addr.String()); err == nil { // else the reset came before connect had returned
			defer c.Close()
		}
		reason(t, s, r, n)
	}
	try(Denied, 1)
	verdict.Store(uint32(packets.RateLimited))
	try(RateLimited, 1)
	try(RateLimited, 2)
	if list := n.all(); len(list) != 2 || list[0].Reason != Denied || list[1].Reason != RateLimited {
		t.Errorf("notices %v", list)
	}
}
