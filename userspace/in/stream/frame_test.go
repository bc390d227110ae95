package stream

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/in/packets"
)

func TestParseURL(t *testing.T) {
	for in, want := range map[string]string{
		"bin:192.0.2.1:5566":        "bin:192.0.2.1:5566",
		"bins:192.0.2.1:5566":       "bins:192.0.2.1:5566",
		"bin:192.0.2.1":             "bin:192.0.2.1:5555",
		"bins:192.0.2.1":            "bins:192.0.2.1:5556",
		"bin:[2001:db8::1]:1":       "bin:[2001:db8::1]:1",
		"bins:[2001:db8::1]":        "bins:[2001:db8::1]:5556",
		"bin:0.0.0.0:0":             "bin:0.0.0.0:0",
		"bin:[::ffff:192.0.2.1]:77": "bin:192.0.2.1:77",
	} {
		u, err := ParseURL(in)
		if err != nil || u.String() != want {
			t.Errorf("%s: %s, %v, want %s", in, u, err, want)
			continue
		}
		if again, err := ParseURL(u.String()); again != u || err != nil {
			t.Errorf("%s: %v, %v the second time", in, again, err)
		}
	}
	for _, in := range []string{
		"", "bin", "bin:", "bins:", "tcp:192.0.2.1:1", "BIN:192.0.2.1:1", "bin:host:5555", "bin:192.0.2.1:65536", "bin:192.0.2.1:x",
		"bin:2001:db8::1", "bin:[192.0.2.1]", "bin:[::1", "bin:::1]", "bin:/192.0.2.1", " bin:192.0.2.1", "bin:192.0.2.1:\x1b[2J",
		"bin:" + strings.Repeat("1", 1000),
	} {
		u, err := ParseURL(in)
		if err == nil {
			t.Errorf("%q gives %s", in, u)
		} else if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) || len(err.Error()) > 300 {
			t.Errorf("%q: hostile text in %q", in, err)
		}
	}
}

func TestCut(t *testing.T) {
	p := packet(1, 300)
	for n := range p {
		want := 0
		if n >= headerLength {
			want = 300
		}
		if got, err := Cut(p[:n], MaxPacket); got != want || err != nil {
			t.Errorf("%d bytes: %d, %v", n, got, err)
		}
	}
	if got, err := Cut(append(p, "anything"...), 300); got != 300 || err != nil {
		t.Error(got, err)
	}
	if _, err := Cut(p, 299); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
	for n := 1; n <= len(p); n++ {
		bad := bytes.Clone(p)
		bad[min(n, 4)-1] ^= 1
		if _, err := Cut(bad[:n], MaxPacket); !errors.Is(err, ErrMarker) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if n, err := Cut(withLength(packet(1, 50), MinPacket), MaxPacket); n != MinPacket || err != nil {
		t.Error(n, err)
	}
}

func TestReasonsHaveNames(t *testing.T) {
	seen := make(map[string]Reason)
	for _, r := range Reasons() {
		if other, twice := seen[r.String()]; twice || r.String() == "" {
			t.Errorf("reasons %d and %d are both %q", r, other, r)
		}
		seen[r.String()] = r
	}
	if len(seen) != int(reasons)-1 || Reason(200).String() != "unknown" {
		t.Errorf("%d names", len(seen))
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, l := range map[string]Limits{
		"small block":       {Block: 2*MaxPacket - 1},
		"no packet":         {MaxPacket: 16},
		"negative":          {MaxConns: -1},
		"negative time":     {IdleTimeout: -time.Second},
		"too many reads":    {QueueReads: 1 << 30},
		"negative bytes":    {QueueBytes: -5},
		"enormous block":    {Block: 1 << 31},
		"negative per addr": {MaxConnsPerAddress: -1},
	} {
		if s, err := New(Config{Limits: l}); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

func TestNoticeWithoutAddress(t *testing.T) {
	if s := (Notice{Reason: AcceptFailed}).String(); s != "listener: accept failed" {
		t.Error(s)
	}
	n := Notice{Reason: Idle, Remote: netip.MustParseAddrPort("192.0.2.1:5")}
	if s := n.String(); s != "connection from 192.0.2.1:5: idle" {
		t.Error(s)
	}
}

// chunks gives data in pieces of the lengths that sizes tell, again and again.
type chunks struct {
	data  []byte
	sizes []byte
	i     int
}

func (c *chunks) Read(b []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := 1
	if len(c.sizes) > 0 {
		n += int(c.sizes[c.i%len(c.sizes)])
		c.i++
	}
	n = copy(b, c.data[:min(n, len(c.data))])
	c.data = c.data[n:]
	return n, nil
}

// readAll runs the reading of a connection on data without a socket. Every batch is taken at once, or none until the
// end.
func readAll(t testing.TB, s *Stream, in io.Reader, lag bool) (got [][]byte, reason Reason) {
	c := &Conn{stream: s, in: in, began: time.Now()}
	c.block = s.pool.get()
	b := packets.NewBatch(3)
	take := func() {
		for s.queue.length() > 0 || s.queue.next < s.queue.n {
			if err := s.Receive(b); err != nil {
				t.Fatal(err)
			}
			for _, d := range b.Packets {
				got = append(got, bytes.Clone(d.Payload))
			}
			s.Release(b)
		}
	}
	for {
		n, err := c.fill()
		if n > 0 {
			c.counts.read.bytes.Add(uint64(n))
			if reason, _ = c.cut(time.Unix(1, 1)); reason != None {
				break
			}
		}
		if err != nil {
			reason, _ = c.why(err, time.Now())
			break
		}
		if !lag {
			take()
		}
	}
	take()
	c.leave(reason)
	s.mu.Lock()
	s.past.add(c.counts.sums())
	s.mu.Unlock()
	return got, reason
}

// slowCut reads like the rule.
func slowCut(data []byte, limit int) (packets [][]byte, reason Reason) {
	for len(data) > 0 {
		for i := range min(4, len(data)) {
			if data[i] != "P4CK"[i] {
				return packets, WrongMarker
			}
		}
		if len(data) < 8 {
			return packets, Incomplete
		}
		n := int64(data[4]) | int64(data[5])<<8 | int64(data[6])<<16 | int64(data[7])<<24
		switch {
		case n < 17:
			return packets, TooShort
		case n > int64(limit):
			return packets, TooLong
		case n > int64(len(data)):
			return packets, Incomplete
		}
		packets = append(packets, data[:n])
		data = data[n:]
	}
	return packets, PeerClosed
}

func FuzzCut(f *testing.F) {
	var good []byte
	for i := range uint64(20) {
		good = append(good, packet(i, 28+int(i)*7)...)
	}
	f.Add(good, []byte{0}, false)
	f.Add(good, []byte{255, 3, 90}, true)
	f.Add(append(bytes.Clone(good), "P4CX"...), []byte{30}, true)
	f.Add(append(bytes.Clone(good), withLength(packet(1, 40), 16)...), []byte{100}, false)
	f.Add(append(bytes.Clone(good), withLength(packet(1, 40), 1<<32-1)...), []byte{200}, true)
	f.Add(good[:len(good)-1], []byte{77, 1}, false)
	const limit = 200
	f.Fuzz(func(t *testing.T, data, sizes []byte, lag bool) {
		if len(data) > 1<<16 {
			return
		}
		// 64 KiB are at most 3,855 packets.
		s, err := New(Config{Limits: Limits{Block: 2 * limit, MaxPacket: limit, QueueReads: 4096}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		got, reason := readAll(t, s, &chunks{data: data, sizes: sizes}, lag)
		want, wantReason := slowCut(data, limit)
		if reason != wantReason || len(got) != len(want) {
			t.Fatalf("%d packets, %s, want %d, %s", len(got), reason, len(want), wantReason)
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("packet %d is %x, want %x", i, got[i], want[i])
			}
		}
		balancedFuzz(t, s)
	})
}

// balancedFuzz is balanced, for a connection that was never counted as accepted.
func balancedFuzz(t *testing.T, s *Stream) {
	n := s.Status().Totals
	if n.Read.Bytes != n.Queued.Bytes+n.Dropped.Bytes || n.Read.Packets != n.Queued.Packets || n.Partial != 0 {
		t.Fatalf("%+v", n)
	}
	if out := s.pool.out.Load(); out != 0 || s.pool.used.Load() != 0 {
		t.Fatalf("%d blocks in use", out)
	}
}

// endless gives the same packets again and again, split anywhere.
type endless struct {
	data []byte
	at   int
	size int
}

func (e *endless) Read(b []byte) (n int, err error) {
	for want := min(len(b), e.size); n < want; {
		k := copy(b[n:want], e.data[e.at:])
		n += k
		e.at = (e.at + k) % len(e.data)
	}
	return n, nil
}

// The way from the socket to the batch allocates nothing, with and without a consumer that lags.
func TestReadAllocatesNothing(t *testing.T) {
	var data []byte
	for i := range uint64(100) {
		data = append(data, packet(i, 650)...)
	}
	for name, lag := range map[string]int{"consumer at once": 1, "consumer lags": 40} {
		t.Run(name, func(t *testing.T) {
			s, err := New(Config{Handler: &watcher{}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			c := &Conn{stream: s, in: &endless{data: data, size: 20_011}, began: time.Now()}
			c.block = s.pool.get()
			b := packets.NewBatch(64)
			received := 0
			step := func() {
				for range lag {
					if _, err := c.fill(); err != nil {
						t.Fatal(err)
					}
					if r, err := c.cut(time.Now()); r != None {
						t.Fatal(r, err)
					}
				}
				for s.queue.length() > 0 || s.queue.next < s.queue.n {
					if err := s.Receive(b); err != nil {
						t.Fatal(err)
					}
					received += len(b.Packets)
					s.Release(b)
				}
			}
			step()
			step()
			if n := testing.AllocsPerRun(100, step); n > 0 {
				t.Errorf("%v allocations", n)
			}
			if received < 100*lag*30 {
				t.Errorf("%d packets", received)
			}
			s.pool.letGo(c.block)
		})
	}
}

// The same over a real socket, plain and TLS, reading and sending.
func TestConnectionAllocatesNothing(t *testing.T) {
	for _, scheme := range []string{"bin", "bins"} {
		t.Run(scheme, func(t *testing.T) {
			pki := testTLS(t)
			a, b := open(t, Config{TLS: pki}), open(t, Config{TLS: pki})
			peer, err := b.Dial(Dial{URL: listen(t, a, scheme)})
			if err != nil {
				t.Fatal(err)
			}
			await(t, "the connection", func() bool { return peer.Conn() != nil })
			batch, p := packets.NewBatch(64), packet(1, 650)
			conn := peer.Conn()
			const each = 200
			step := func() {
				for range each {
					if err := conn.Send(p); err != nil {
						t.Fatal(err)
					}
				}
				for got := 0; got < each; {
					if err := a.Receive(batch); err != nil {
						t.Fatal(err)
					}
					got += len(batch.Packets)
					a.Release(batch)
				}
			}
			for range 10 {
				step()
			}
			// A write sets a timer of the poller, and TLS keeps a buffer in a pool that the collector empties: not
			// for each packet.
			if n := testing.AllocsPerRun(50, step); n > each/20 {
				t.Errorf("%v allocations for %d packets", n, each)
			}
		})
	}
}
