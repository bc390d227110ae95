package resync

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/time/rate"

	"binrepd/dialog"
	"binrepd/userspace/bin"
	"binrepd/userspace/datagram"
	"binrepd/userspace/shield"
)

const (
	// sendBatch is how many messages are handed to the sink at once.
	sendBatch = 128
	// Where this host's queue is full, sending is tried again so often, after so long.
	fullTries, fullPause = 50, 2 * time.Millisecond
)

// sender collects packets and sends them in batches at the session's pace.
type sender struct {
	chunkSize int
	limiter   *rate.Limiter // nil: no limit
	buf       []byte
	messages  []datagram.Message
	first     time.Time // when the first packet was sent

	packets, bytes, failures uint64
}

func (t *sender) init(cfg *Config) {
	t.chunkSize = sendBatch
	if cfg.Rate > 0 {
		// A millisecond's worth at a time, and no more than five to catch up: 20 packets at 4,000 a second, which fit
		// into a socket buffer of the usual 208 KiB many times.
		t.chunkSize = min(max(cfg.Rate/1000, 1), sendBatch)
		t.limiter = rate.NewLimiter(rate.Limit(cfg.Rate), max(cfg.Rate/200, t.chunkSize))
	}
}

// sendChunk sends the entries that were copied.
func (s *Session) sendChunk(ctx context.Context) error {
	now := uint32(time.Now().Unix())
	for i := range s.chunk.deletions {
		if err := s.sendEntry(ctx, &s.chunk.deletions[i], now); err != nil {
			return err
		}
	}
	for i := range s.chunk.snapshots {
		if err := s.sendEntry(ctx, &s.chunk.snapshots[i], now); err != nil {
			return err
		}
	}
	return s.flush(ctx)
}

func (s *Session) sendEntry(ctx context.Context, e *entry, now uint32) error {
	s.pass.Visited++
	body := s.chunk.body(e)
	subject := Subject{
		Kind: dialog.Update, State: e.state, Start: e.start, Timeout: e.timeout, Origin: e.origin, Body: body,
	}
	if e.state == dialog.Ended {
		subject.Kind = dialog.Delete
	}
	if s.cfg.Filter != nil && !s.cfg.Filter(subject) {
		s.pass.Filtered++
		return nil
	}
	if e.state.Live() && e.timeout <= now {
		s.pass.Expired++
		return nil
	}
	held, err := s.send(ctx, s.shield, subject.Kind, body, s.chunk.key(e))
	switch {
	case err != nil || held != shield.Passed:
		return err
	case subject.Kind == dialog.Delete:
		s.pass.Deletions++
	default:
		s.pass.Dialogs++
	}
	return nil
}

// sendChange sends what the tail told.
func (s *Session) sendChange(ctx context.Context, kind dialog.Kind, origin uint16, packet []byte) error {
	s.summary.TailEvents++
	var ev dialog.Event
	if bin.Decode(packet, &ev) != bin.Dialog {
		return nil // whatever was forwarded had been decoded
	}
	if s.cfg.Filter != nil && !s.cfg.Filter(Subject{
		Kind: kind, State: ev.State, Start: ev.Start, Timeout: ev.Timeout, Origin: origin, Body: ev.Body,
	}) {
		return nil
	}
	if kind == dialog.Create {
		kind = dialog.Update
	}
	_, err := s.send(ctx, s.live, kind, ev.Body, ev.Key)
	return err
}

// send puts one change into the batch: a deletion, or a snapshot as the session's way of sending wants it.
func (s *Session) send(ctx context.Context, sh *shield.Shield, kind dialog.Kind, body, key dialog.Packed) (shield.Reason, error) {
	if len(s.messages) == 0 { // nothing waits in the buffer
		s.buf = s.buf[:0]
	}
	replace := s.cfg.Replace && kind != dialog.Delete
	if replace {
		kind = dialog.Create
	}
	var out shield.Outgoing
	s.buf, out = sh.Process(s.buf, kind, body, nil)
	if out.Held != shield.Passed {
		return out.Held, nil
	}
	if replace && out.Kind == dialog.Create {
		from := len(s.buf)
		s.buf = bin.Append(s.buf, dialog.Delete, key)
		if err := s.put(ctx, s.buf[from:]); err != nil {
			return out.Held, err
		}
	}
	return out.Held, s.put(ctx, out.Packet)
}

func (s *Session) put(ctx context.Context, packet []byte) error {
	s.messages = append(s.messages, datagram.Message{Payload: packet, To: s.cfg.To})
	if len(s.messages) < s.chunkSize {
		return nil
	}
	return s.flushBatch(ctx)
}

// flush sends what is collected, and looks at the clock and the context.
func (s *Session) flush(ctx context.Context) error {
	if len(s.messages) > 0 {
		return s.flushBatch(ctx)
	}
	s.report(false)
	return ctx.Err()
}

// flushBatch sends the batch, at the session's pace.
func (s *Session) flushBatch(ctx context.Context) error {
	messages := s.messages
	s.messages = s.messages[:0]
	if err := s.await(ctx, len(messages)); err != nil {
		return err
	}
	err := s.transmit(ctx, messages)
	s.report(false)
	return err
}

// await waits until n packets may go.
func (t *sender) await(ctx context.Context, n int) error {
	if t.limiter != nil {
		if delay := t.limiter.ReserveN(time.Now(), n).Delay(); delay > 0 {
			select {
			case <-time.After(delay):
			case <-ctx.Done():
			}
		}
	}
	return ctx.Err()
}

func (s *Session) transmit(ctx context.Context, messages []datagram.Message) error {
	select {
	case err := <-s.refuse:
		if err := verdict(err); err != nil {
			return err
		}
	default:
	}
	if s.first.IsZero() && !s.cfg.DryRun {
		s.first = time.Now()
	}
	for tries := 0; len(messages) > 0; {
		n, err := len(messages), error(nil)
		if !s.cfg.DryRun {
			n, err = s.cfg.Sink.Send(messages)
		}
		for i := range messages[:n] {
			s.bytes += uint64(len(messages[i].Payload))
		}
		s.packets += uint64(n)
		if n > 0 {
			tries = 0
		}
		messages = messages[n:]
		if err == nil && len(messages) > 0 {
			err = io.ErrShortWrite
		}
		if err == nil {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err := verdict(err); err != nil {
			return err
		}
		if queueFull(err) && tries < fullTries {
			tries++
			select {
			case <-time.After(fullPause):
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		s.failures++
		messages = messages[1:]
	}
	return nil
}

func queueFull(err error) bool {
	return errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.EAGAIN)
}

// verdict tells whether an error of sending means that it is useless to go on.
func verdict(err error) error {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return ErrNobodyAnswers
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETDOWN),
		errors.Is(err, syscall.EHOSTDOWN), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return errors.Join(ErrUnreachable, err)
	}
	return nil
}
