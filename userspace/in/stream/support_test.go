package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"binrepd/userspace/in/packets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// smallest is the length of a test packet without filler.
const smallest = 12 + 4 + 4 + 8

// packet returns a packet of capability "test" that carries a number, of size bytes in all.
func packet(number uint64, size int) []byte {
	p := make([]byte, max(size, smallest))
	copy(p, "P4CK")
	binary.LittleEndian.PutUint32(p[4:], uint32(len(p)))
	p[8], p[10] = 1, 4
	copy(p[12:], "test")
	binary.LittleEndian.PutUint64(p[20:], number)
	for i := smallest; i < len(p); i++ {
		p[i] = byte(number) + byte(i)
	}
	return p
}

// number reads the number of a packet and checks every byte of it.
func number(p []byte) (uint64, error) {
	if len(p) < smallest {
		return 0, fmt.Errorf("packet of %d bytes", len(p))
	}
	n := binary.LittleEndian.Uint64(p[20:])
	if want := packet(n, len(p)); string(want) != string(p) {
		return 0, fmt.Errorf("packet %d of %d bytes is not as it was sent", n, len(p))
	}
	return n, nil
}

// watcher is a Handler that remembers. Its hooks may be nil.
type watcher struct {
	onPacket  func(c *Conn, p []byte) Verdict
	onConnect func(c *Conn)

	mu        sync.Mutex
	connected []*Conn
	gone      []ending
	gaps      []Gap
}

type ending struct {
	conn   *Conn
	reason Reason
	err    error
}

func (w *watcher) Connected(c *Conn) {
	w.mu.Lock()
	w.connected = append(w.connected, c)
	w.mu.Unlock()
	if w.onConnect != nil {
		w.onConnect(c)
	}
}

func (w *watcher) Packet(c *Conn, p []byte) Verdict {
	if w.onPacket == nil {
		return Deliver
	}
	return w.onPacket(c, p)
}

func (w *watcher) Gap(_ *Conn, g Gap) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gaps = append(w.gaps, g)
}

func (w *watcher) Disconnected(c *Conn, reason Reason, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = append(w.gone, ending{c, reason, err})
}

func (w *watcher) conns() []*Conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*Conn(nil), w.connected...)
}

func (w *watcher) endings() []ending {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]ending(nil), w.gone...)
}

func (w *watcher) allGaps() []Gap {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Gap(nil), w.gaps...)
}

// await waits until ok.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// open returns a Stream that is closed at the end of the test, when its account must add up.
func open(t testing.TB, cfg Config) *Stream {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		balanced(t, s)
	})
	return s
}

// listen listens on a free port of loopback.
func listen(t testing.TB, s *Stream, scheme string) URL {
	t.Helper()
	u, err := ParseURL(scheme + ":127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Listen(t.Context(), u, 3)
	if err != nil {
		t.Fatal(err)
	}
	return l.URL()
}

// connect opens a plain connection as a peer does that is no Stream.
func connect(t testing.TB, u URL) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", u.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// write sends all of b; the other side may have closed.
func write(c io.Writer, b []byte) error {
	_, err := c.Write(b)
	return err
}

// collector receives in a goroutine of its own.
type collector struct {
	mu      sync.Mutex
	numbers []uint64
	sources map[packets.Sender]int
	errs    []error
	err     error // of Receive
	done    chan struct{}
}

func collect(s *Stream, size int) *collector {
	c := &collector{sources: make(map[packets.Sender]int), done: make(chan struct{})}
	go func() {
		defer close(c.done)
		b := packets.NewBatch(size)
		for {
			err := s.Receive(b)
			c.mu.Lock()
			if err != nil {
				c.err = err
				c.mu.Unlock()
				return
			}
			for _, d := range b.Packets {
				n, err := number(d.Payload)
				if err != nil {
					c.errs = append(c.errs, err)
				}
				if d.Received == 0 {
					c.errs = append(c.errs, errors.New("no time of receipt"))
				}
				c.numbers = append(c.numbers, n)
				c.sources[d.Sender]++
			}
			c.mu.Unlock()
			s.Release(b)
		}
	}()
	return c
}

func (c *collector) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.numbers)
}

// inOrder fails unless the numbers are 0, 1, 2 ... n-1.
func (c *collector) inOrder(t testing.TB, n int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.errs) > 0 {
		t.Fatal(c.errs[0])
	}
	if len(c.numbers) != n {
		t.Fatalf("%d packets, want %d", len(c.numbers), n)
	}
	for i, got := range c.numbers {
		if got != uint64(i) {
			t.Fatalf("packet %d is number %d", i, got)
		}
	}
}

// balanced checks the account of a Stream at rest, as Status describes it.
func balanced(t testing.TB, s *Stream) {
	t.Helper()
	st := s.Status()
	n := st.Totals
	for _, c := range append([]ConnCounts{n}, connCounts(st)...) {
		if got := c.Queued.Packets + c.Consumed.Packets + c.Dropped.Packets; got != c.Read.Packets {
			t.Errorf("%d packets read, %d accounted for: %+v", c.Read.Packets, got, c)
		}
		if got := c.Queued.Bytes + c.Consumed.Bytes + c.Dropped.Bytes + c.Partial; got != c.Read.Bytes {
			t.Errorf("%d bytes read, %d accounted for: %+v", c.Read.Bytes, got, c)
		}
	}
	var dropped, unsent Count
	var ended uint64
	for r, c := range st.Reasons {
		ended += c.Conns
		switch r {
		case Unread:
		case SendFull, Unsent:
			unsent.add(c.Dropped)
		default:
			dropped.add(c.Dropped)
		}
	}
	if dropped != n.Dropped || unsent != n.Unsent {
		t.Errorf("dropped by reason %+v and %+v, in all %+v and %+v", dropped, unsent, n.Dropped, n.Unsent)
	}
	if open := uint64(len(st.Conns)); st.Accepted+st.Dialed != open+ended {
		t.Errorf("%d accepted and %d dialled, but %d open and %d ended: %+v", st.Accepted, st.Dialed, open, ended, st.Reasons)
	}
	if st.Waiting == 0 {
		got := st.Delivered
		got.add(st.Reasons[Unread].Dropped)
		if got != n.Queued {
			t.Errorf("%+v queued, %+v delivered or unread", n.Queued, got)
		}
	}
	if len(st.Conns) == 0 && st.Waiting == 0 && (st.Blocks != 0 || st.Reserved != 0) {
		t.Errorf("%d blocks in use and %d reserved without connections", st.Blocks, st.Reserved)
	}
}

func connCounts(st Status) (list []ConnCounts) {
	for _, c := range st.Conns {
		list = append(list, c.Counts)
	}
	return list
}

// reason waits until n connections have ended for r.
func reason(t testing.TB, s *Stream, r Reason, n uint64) {
	t.Helper()
	await(t, fmt.Sprintf("%d connections that ended as %q", n, r), func() bool {
		return s.Status().Reasons[r].Conns >= n
	})
	if got := s.Status().Reasons[r].Conns; got != n {
		t.Errorf("%d connections ended as %q, want %d", got, r, n)
	}
}
