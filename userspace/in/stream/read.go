package stream

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"binrepd/userspace/in/packets"
)

const (
	// readRoom is the least room in bytes to read into; with less a new block is begun. It is what one TLS record
	// holds.
	readRoom = 16 << 10
	// settle is how often a connection that holds memory looks whether it can give it back.
	settle = time.Second
)

// reader is the state of reading. It belongs to the connection's goroutine.
//
//	block:  | runs in the queue | whole packets | part of one | free |
//	        0                   r                             w
type reader struct {
	block  *block // nil: idle
	r, w   int
	since  time.Time // when the first byte of the packet at r came, if r < w
	second bool      // the packet at r was late, and got a second chance
	parked *block    // full of queued packets, and outside of the budget: no packet is queued until it is resolved
	seen   bool      // a whole packet has come
	armed  time.Time
	first  [16]byte

	source    packets.Sender // of packets from now on
	runSource packets.Sender // of the run that is being cut

	gap struct {
		open           bool
		packets, bytes uint64
	}
}

// read reads until the connection ends.
func (c *Conn) read() (Reason, error) {
	c.arm(c.next(time.Now()))
	for {
		n, err := c.fill()
		now := time.Now()
		if n > 0 {
			c.lastRead.Store(int64(now.Sub(c.began)))
			c.counts.read.bytes.Add(uint64(n))
			if reason, err := c.cut(now); reason != None {
				return reason, err
			}
		}
		if err != nil {
			if reason, err := c.why(err, now); reason != None {
				return reason, err
			}
		}
	}
}

// fill reads into the block. An idle connection has none: it gets one when something has arrived.
func (c *Conn) fill() (int, error) {
	if c.block == nil {
		return c.firstFill()
	}
	c.room()
	n, err := c.in.Read(c.block.buf[c.w:])
	c.w += n
	return n, err
}

func (c *Conn) firstFill() (n int, err error) {
	if c.tls == nil {
		err = c.sock.wait(c.first[:])
	} else {
		// What TLS has read ahead is not seen at the socket, so the first bytes are read and moved.
		n, err = c.in.Read(c.first[:])
	}
	if err != nil {
		return 0, err
	}
	c.block, c.r, c.w = c.stream.pool.get(), 0, n
	copy(c.block.buf, c.first[:n])
	if at := time.Now().Add(c.tickTime()); at.Before(c.armed) {
		c.arm(at)
	}
	return n, nil
}

// room makes room for the next read. Where nobody needs the block any more it is used again from its start. Otherwise
// the part of a packet at its end moves to the next block, once: a packet fits into half a block.
func (c *Conn) room() {
	b := c.block
	alone := b.alone()
	if alone && c.r == c.w {
		c.r, c.w = 0, 0
	}
	if len(b.buf)-c.w >= min(readRoom, len(b.buf)/4) {
		return
	}
	to := b
	if !alone {
		to = c.stream.pool.get()
	}
	copy(to.buf, b.buf[c.r:c.w])
	c.w -= c.r
	c.r = 0
	if to != b {
		c.block = to
		c.parked = b // mayQueue resolves it, or holds back
		c.mayQueue()
	}
}

// mayQueue tells whether packets may be queued. They may not while the connection's last block is full of queued
// packets and the budget has no place for it.
func (c *Conn) mayQueue() bool {
	b := c.parked
	if b == nil {
		return true
	}
	p := &c.stream.pool
	if !b.alone() {
		if !p.reserve() {
			return false
		}
		b.reserved = true
	}
	c.parked = nil
	p.letGo(b)
	return true
}

// cut takes the whole packets out of what has been read, asks the handler about each, and queues runs of them.
func (c *Conn) cut(now time.Time) (Reason, error) {
	h, limit := c.stream.cfg.Handler, c.stream.cfg.Limits.MaxPacket
	b := c.block.buf
	first, start, packets, total := c.r, c.r, 0, 0
	var ended Reason
	var cause error
	for ended == None && c.r < c.w {
		n, err := Cut(b[c.r:c.w], limit)
		if err != nil {
			ended, cause = reasonOf(err), err
			break
		}
		if n == 0 || n > c.w-c.r {
			break
		}
		total++
		verdict := Deliver
		if h != nil {
			end := c.r + n
			verdict = h.Packet(c, b[c.r:end:end])
			if c.source != c.runSource {
				c.queue(start, c.r, packets, now)
				start, packets, c.runSource = c.r, 0, c.source
			}
		}
		if verdict == Deliver {
			packets++
			c.r += n
			continue
		}
		c.queue(start, c.r, packets, now)
		c.r += n
		start, packets = c.r, 0
		switch verdict {
		case Reject:
			c.drop(Rejected, 1, n)
		case Disconnect:
			ended = Refused
			fallthrough
		default:
			c.counts.consumed.add(1, uint64(n))
		}
	}
	c.queue(start, c.r, packets, now)
	if c.recording != nil {
		end := c.r
		if cause != nil {
			end = c.w
		}
		c.recording.Record(b[first:end:end], now.UnixNano())
	}
	c.counts.read.packets.Add(uint64(total))
	c.counts.partial.Store(uint64(c.w - c.r))
	if total > 0 {
		c.seen = true
	}
	if total > 0 || c.since.IsZero() {
		c.since, c.second = now, false
	}
	if c.r == c.w {
		c.since = time.Time{}
	}
	return ended, cause
}

// queue hands packets that lie at [from, to) of the block to the consumer, or drops them: the newest go, and the reader
// never waits.
func (c *Conn) queue(from, to, packets int, now time.Time) {
	if packets == 0 {
		return
	}
	ok := c.mayQueue()
	if ok {
		c.block.refs.Add(1)
		r := run{c.block, from, to, now.UnixNano(), c.runSource, c.listener}
		if ok = c.stream.queue.push(&r); !ok {
			c.block.refs.Add(-1) // not the last: the reader has one
		}
	}
	if !ok {
		c.drop(QueueFull, packets, to-from)
		c.gap.packets += uint64(packets)
		c.gap.bytes += uint64(to - from)
		if !c.gap.open {
			c.gap.open = true
			c.stream.notice(QueueFull, c.remote, c.dialed, nil)
			c.tellGap(Gap{Packets: c.gap.packets, Bytes: c.gap.bytes})
		}
		return
	}
	c.counts.queued.add(uint64(packets), uint64(to-from))
	if c.gap.open {
		c.endGap()
	}
}

// endGap ends the gap when at most half of every bound is taken.
func (c *Conn) endGap() {
	p := &c.stream.pool
	if c.mayQueue() && c.stream.queue.light() && p.used.Load() <= p.budget/2 {
		c.gapOver()
	}
}

func (c *Conn) gapOver() {
	g := Gap{Over: true, Packets: c.gap.packets, Bytes: c.gap.bytes}
	c.gap.open, c.gap.packets, c.gap.bytes = false, 0, 0
	c.tellGap(g)
}

func (c *Conn) tellGap(g Gap) {
	if h := c.stream.cfg.Handler; h != nil {
		h.Gap(c, g)
	}
}

// drop counts what was read and not passed on.
func (c *Conn) drop(reason Reason, packets, bytes int) {
	c.counts.dropped.add(uint64(packets), uint64(bytes))
	c.stream.dropped(reason, uint64(packets), uint64(bytes))
}

// why finds the reason behind an error of reading. None: go on.
func (c *Conn) why(err error, now time.Time) (Reason, error) {
	switch {
	case errors.Is(err, errDrained):
		return Stopped, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return c.tick(now)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		// TLS without close_notify is no news: the length of each packet shows a cut.
		if c.w > c.r {
			return Incomplete, nil
		}
		return PeerClosed, nil
	}
	if reason := alertReason(err); reason != None {
		return reason, err
	}
	// The writer has often seen the end before, and tells less. A peer that is stuck, or Close, came first.
	if reason, cause := c.failed(); reason != None && reason != WriteFailed {
		return reason, cause
	}
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		if c.tls != nil && c.dialed && !c.seen {
			return Reset, errLate
		}
		return Reset, nil
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return TimedOut, nil
	case errors.Is(err, net.ErrClosed):
		return Closed, nil
	}
	return ReadFailed, err
}

// tick looks at everything that depends on time, and at the wishes of others. It runs when the read deadline has
// passed.
func (c *Conn) tick(now time.Time) (Reason, error) {
	if reason, cause := c.failed(); reason != None {
		return reason, cause
	}
	if c.stream.stopped() {
		c.sock.drain()
		return None, nil
	}
	if reason := c.late(now); reason != None {
		// If this process itself stood still, the bytes are there and have not been read. That is no fault of the peer.
		if c.second || arrived(c.sock.raw) == 0 {
			return reason, nil
		}
		c.second = true
		c.arm(now.Add(c.tickTime()))
		return None, nil
	}
	c.mayQueue()
	if c.gap.open {
		c.endGap()
	}
	if c.block != nil && c.r == c.w && c.block.alone() {
		c.stream.pool.letGo(c.block)
		c.block, c.r, c.w = nil, 0, 0
	}
	c.arm(c.next(now))
	return None, nil
}

// late returns the limit in time that the peer has passed.
func (c *Conn) late(now time.Time) Reason {
	l := &c.stream.cfg.Limits
	switch {
	case c.w > c.r && now.Sub(c.since) >= l.PacketTimeout:
		return SlowPacket
	case !c.dialed && !c.seen && now.Sub(c.began) >= l.FirstTimeout:
		return Silent
	case now.Sub(c.active()) >= l.IdleTimeout:
		return Idle
	}
	return None
}

// active returns when the last byte went in either direction.
func (c *Conn) active() time.Time {
	return c.began.Add(time.Duration(max(c.lastRead.Load(), c.lastWrite.Load())))
}

// next returns when the next tick is due.
func (c *Conn) next(now time.Time) time.Time {
	l := &c.stream.cfg.Limits
	at := c.active().Add(l.IdleTimeout)
	sooner := func(t time.Time) {
		if t.Before(at) {
			at = t
		}
	}
	if !c.dialed && !c.seen {
		sooner(c.began.Add(l.FirstTimeout))
	}
	if c.w > c.r {
		sooner(c.since.Add(l.PacketTimeout))
	}
	if c.block != nil || c.parked != nil || c.gap.open {
		sooner(now.Add(c.tickTime()))
	}
	return at
}

// tickTime is the longest time between two ticks of a connection that holds memory. No packet can begin and be late
// without one.
func (c *Conn) tickTime() time.Duration { return min(settle, c.stream.cfg.Limits.PacketTimeout) }
