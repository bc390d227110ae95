package stream

import (
	"errors"
	"os"
	"sync"
	"time"
)

const (
	// maxWrite bounds one write, so that WriteTimeout means progress: whole packets up to 64 KiB, or one packet.
	maxWrite = 64 << 10
	// keptBuffer is the largest buffer in bytes that a connection keeps for its next burst. It has two.
	keptBuffer = 256 << 10
	// lastWords is how long a peer that no longer takes data may tell why.
	lastWords = 500 * time.Millisecond
)

// outbox is the bounded outgoing queue of a connection: packets side by side in one buffer, while a second one is being
// written. When it is full, the newest packet is refused. The writing goroutine begins with the first packet: most
// accepted connections never send.
type outbox struct {
	mu      sync.Mutex
	changed sync.Cond
	pending []byte
	writing int // bytes of the other buffer that are not written yet
	packets int // in pending and writing
	started bool
	ended   bool // nothing is taken any more
	abort   bool // nothing is written any more
	done    bool // the writer has ended
	err     error
}

func (o *outbox) init() { o.changed.L = &o.mu }

// Send puts a copy of one packet into the outgoing queue. It never waits. It fails with ErrSendFull, with
// ErrNotConnected when the connection ends, and with ErrNotPacket if the packet's own length is not its length.
func (c *Conn) Send(packet []byte) error {
	if n, err := Cut(packet, c.stream.cfg.Limits.MaxPacket); err != nil || n != len(packet) || n == 0 {
		return ErrNotPacket
	}
	err := c.enqueue(packet)
	if err == ErrSendFull {
		c.stream.notice(SendFull, c.remote, c.dialed, nil)
	}
	return err
}

func (c *Conn) enqueue(packet []byte) error {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.ended:
		return ErrNotConnected // not counted: the account of the connection may be closed
	case len(o.pending)+o.writing+len(packet) > c.stream.cfg.Limits.SendBytes:
		c.counts.unsent.add(1, uint64(len(packet)))
		c.stream.dropped(SendFull, 1, uint64(len(packet)))
		return ErrSendFull
	}
	o.pending = append(o.pending, packet...)
	o.packets++
	if !o.started {
		o.started = true
		c.stream.all.Go(c.write)
	}
	o.changed.Signal()
	return nil
}

// write is the writing goroutine.
func (c *Conn) write() {
	o := &c.out
	defer func() {
		o.mu.Lock()
		o.done, o.ended = true, true
		o.mu.Unlock()
		o.changed.Broadcast()
	}()
	var spare []byte
	for {
		o.mu.Lock()
		for len(o.pending) == 0 && !o.ended {
			o.changed.Wait()
		}
		if len(o.pending) == 0 || o.abort {
			o.mu.Unlock()
			return
		}
		batch := o.pending
		o.pending, o.writing = spare[:0], len(batch)
		o.mu.Unlock()
		for rest := batch; len(rest) > 0; {
			n, packets := chunk(rest)
			if err := c.writeChunk(rest[:n]); err != nil {
				c.writeFailed(err)
				return
			}
			c.counts.sent.add(uint64(packets), uint64(n))
			rest = rest[n:]
			o.mu.Lock()
			o.writing -= n
			o.packets -= packets
			stop := o.abort
			o.mu.Unlock()
			if stop {
				return
			}
		}
		spare = batch
		if cap(spare) > keptBuffer {
			spare = nil
		}
	}
}

// chunk returns how many bytes, and packets, go with the next write.
func chunk(b []byte) (n, packets int) {
	for n < len(b) {
		l := length(b[n:])
		if packets > 0 && n+l > maxWrite {
			break
		}
		n += l
		packets++
	}
	return n, packets
}

func (c *Conn) writeChunk(b []byte) error {
	now := time.Now()
	c.sock.SetWriteDeadline(now.Add(c.stream.cfg.Limits.WriteTimeout))
	var err error
	if c.tls != nil {
		_, err = c.tls.conn.Write(b)
	} else {
		_, err = c.sock.Write(b)
	}
	c.lastWrite.Store(int64(time.Since(c.began)))
	return err
}

// writeFailed ends the connection. The reader decides on the reason: what the peer said last tells more than a broken
// pipe.
func (c *Conn) writeFailed(err error) {
	o := &c.out
	o.mu.Lock()
	o.err = err
	o.mu.Unlock()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.fail(Stuck, nil, 0)
		return
	}
	c.fail(WriteFailed, err, lastWords)
}

// close ends the writer and waits for it. If clean, it writes what it has first. close returns what was not sent.
func (o *outbox) close(clean bool) (packets, bytes uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.abort = !clean
	o.changed.Broadcast()
	for o.started && !o.done {
		o.changed.Wait()
	}
	packets, bytes = uint64(o.packets), uint64(len(o.pending)+o.writing)
	o.pending, o.packets, o.writing = nil, 0, 0
	return packets, bytes
}

// waiting returns what is in the outgoing queue.
func (o *outbox) waiting() (packets, bytes uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return uint64(o.packets), uint64(len(o.pending) + o.writing)
}

// Waiting returns how many packets and bytes wait in the outgoing queue. A caller that has much to send looks at it, so
// that the queue is never full.
func (c *Conn) Waiting() (packets, bytes uint64) { return c.out.waiting() }
