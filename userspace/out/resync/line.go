package resync

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/pace"
)

const (
	// sendBatch is how many messages are handed to the sink at once.
	sendBatch = 128
	// batches is how many there are in a session with a pace: one that is being filled, one that is being sent, and two in between.
	batches = 4
	// A session without a pace gathers so many entries, or bytes of them, before it sends: among that many a length occurs
	// often enough for long runs (see package socket), while the memory is some 12 MB. There is one batch, so that reading and
	// sending take turns: what receives on the same host, or has no more processors than this, keeps up better.
	gatherMost, gatherBytes = 8192, 4 << 20
	// gatherRoom is spare capacity: the last step of a scan may exceed the limit.
	gatherRoom = 1.25
	// handOver is how many messages the sink is given at once. Others that send through it wait a millisecond for their turn.
	handOver = 1024
	// Where the sink's queue is full, sending is tried again up to fullTries times, after fullPause each.
	fullTries, fullPause = 50, 2 * time.Millisecond
)

// line takes packets from the goroutine that reads the table to the one that sends, in order. The former goes on reading and building while
// the latter waits for its time to send.
type line struct {
	size    int  // messages a batch
	gather  bool // the session copies up to gatherMost entries at once and sends them by length
	pace    pace.Pace
	sink    packets.Sink // nil in a dry run
	failure <-chan error // what the sink reports later

	batch *batch // being filled, or nil
	full  chan *batch
	free  chan *batch
	done  chan struct{} // closed when everything is sent

	packets, bytes, failures atomic.Uint64
	first                    time.Time // when the first packet was sent; to be read after close
}

type batch struct {
	buf      []byte
	messages []packets.Message

	starts []int             // used by sort
	sorted []packets.Message // used by sort
}

// sort orders messages by length, the longest first. Messages of one length keep their order.
func (b *batch) sort() {
	longest := 0
	for i := range b.messages {
		longest = max(longest, len(b.messages[i].Payload))
	}
	b.starts = slices.Grow(b.starts[:0], longest+1)[:longest+1]
	clear(b.starts)
	for i := range b.messages {
		b.starts[len(b.messages[i].Payload)]++
	}
	at := 0
	for size := longest; size >= 0; size-- {
		b.starts[size], at = at, at+b.starts[size]
	}
	b.sorted = slices.Grow(b.sorted[:0], len(b.messages))[:len(b.messages)]
	for _, m := range b.messages {
		b.sorted[b.starts[len(m.Payload)]] = m
		b.starts[len(m.Payload)]++
	}
	b.messages, b.sorted = b.sorted, b.messages
}

func newLine(cfg *Config, failure <-chan error) *line {
	l := &line{size: sendBatch, failure: failure, done: make(chan struct{})}
	l.gather = cfg.Rate == 0 && !cfg.Replace && !cfg.DryRun
	count := batches
	if l.gather {
		count, l.size = 1, gatherMost*gatherRoom
	}
	l.full, l.free = make(chan *batch, count), make(chan *batch, count)
	for range count {
		l.free <- new(batch)
	}
	if cfg.DryRun {
		return l
	}
	l.sink = cfg.Sink
	if cfg.Rate > 0 {
		l.pace = pace.New(cfg.Rate, sendBatch)
		l.size = l.pace.Batch() // and one with Replace, which sends two packets for a dialog
	}
	return l
}

// open returns the batch to fill.
func (l *line) open(ctx context.Context) (*batch, error) {
	if l.batch == nil {
		select {
		case l.batch = <-l.free:
			l.batch.buf, l.batch.messages = l.batch.buf[:0], l.batch.messages[:0]
			if l.gather { // growing bit by bit would cost more than all the rest
				l.batch.buf = slices.Grow(l.batch.buf, gatherBytes*gatherRoom)
				l.batch.messages = slices.Grow(l.batch.messages, gatherMost*gatherRoom)
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return l.batch, nil
}

// put gives the batch that was filled away. It never blocks: full has room for all there are.
func (l *line) put() {
	if l.batch != nil && len(l.batch.messages) > 0 {
		l.full <- l.batch
		l.batch = nil
	}
}

// sort orders the batch that is being filled; see batch.sort.
func (l *line) sort() {
	if l.batch != nil {
		l.batch.sort()
	}
}

// settle waits until everything is sent that was put. Nothing must be in the batch that is being filled.
func (l *line) settle(ctx context.Context) error {
	var all [batches]*batch
	had := 0
	if l.batch != nil {
		all[0], l.batch, had = l.batch, nil, 1
	}
	defer func() {
		for _, b := range all[:had] {
			l.free <- b
		}
	}()
	for ; had < cap(l.free); had++ {
		select {
		case all[had] = <-l.free:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// close waits until everything is sent that was put.
func (l *line) close() {
	close(l.full)
	<-l.done
}

// run sends what is put until close. At the first error that makes it useless to go on it calls fail, and sends no more.
func (l *line) run(ctx context.Context, fail func(error)) {
	defer close(l.done)
	var failed error
	for b := range l.full {
		if failed == nil {
			if failed = l.send(ctx, b.messages); failed != nil {
				fail(failed)
			}
		}
		l.free <- b
	}
}

// send sends one batch, at the line's pace.
func (l *line) send(ctx context.Context, messages []packets.Message) error {
	if err := l.pace.Wait(ctx, len(messages)); err != nil {
		return err
	}
	if l.first.IsZero() && l.sink != nil {
		l.first = time.Now()
	}
	for len(messages) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		select {
		case err := <-l.failure:
			if err := final(err); err != nil {
				return err
			}
		default:
		}
		some := messages[:min(len(messages), handOver)]
		if err := l.transmit(ctx, some); err != nil {
			return err
		}
		messages = messages[len(some):]
	}
	return nil
}

func (l *line) transmit(ctx context.Context, messages []packets.Message) error {
	if l.sink == nil {
		l.count(messages)
		return nil
	}
	for tries := 0; len(messages) > 0; {
		n, err := l.sink.Send(messages)
		l.count(messages[:n])
		if n > 0 {
			tries = 0
		}
		messages = messages[n:]
		if err == nil && len(messages) > 0 {
			err = io.ErrShortWrite
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case final(err) != nil:
			return final(err)
		case errors.Is(err, packets.ErrFull) && tries < fullTries:
			tries++
			select {
			case <-time.After(fullPause):
			case <-ctx.Done():
				return ctx.Err()
			}
		default:
			l.failures.Add(1)
			messages = messages[1:]
		}
	}
	return nil
}

func (l *line) count(messages []packets.Message) {
	bytes := 0
	for i := range messages {
		bytes += len(messages[i].Payload)
	}
	l.packets.Add(uint64(len(messages)))
	l.bytes.Add(uint64(bytes))
}

// final returns the error that ends a session if err means that it is useless to go on, and nil otherwise.
func final(err error) error {
	switch {
	case errors.Is(err, packets.ErrRefused):
		return ErrNobodyAnswers
	case errors.Is(err, packets.ErrNoRoute):
		return errors.Join(ErrUnreachable, err)
	}
	return nil
}
