package resync

import (
	"context"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/wire/bin1"
)

// sendChunk sends the entries that were copied.
func (s *Session) sendChunk(ctx context.Context) error {
	now := uint32(time.Now().Unix())
	for i := range s.chunk.deletions {
		if err := s.sendEntry(ctx, &s.chunk.deletions[i], now); err != nil {
			return err
		}
	}
	if s.line.gather {
		s.line.sort()
		s.line.put()
	}
	for i := range s.chunk.snapshots {
		if err := s.sendEntry(ctx, &s.chunk.snapshots[i], now); err != nil {
			return err
		}
	}
	if s.line.gather {
		s.line.sort()
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
	if bin1.Decode(packet, &ev) != bin1.Dialog {
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
	replace := s.cfg.Replace && kind != dialog.Delete
	if replace {
		kind = dialog.Create
	}
	var out shield.Outgoing
	b, err := s.line.open(ctx)
	if err != nil {
		return shield.Passed, err
	}
	b.buf, out = sh.Process(b.buf, kind, body, nil)
	if out.Held != shield.Passed {
		return out.Held, nil
	}
	if replace && out.Kind == dialog.Create {
		from := len(b.buf)
		b.buf = bin1.Append(b.buf, dialog.Delete, key)
		b.messages = append(b.messages, packets.Message{Payload: b.buf[from:], To: s.cfg.To})
	}
	b.messages = append(b.messages, packets.Message{Payload: out.Packet, To: s.cfg.To})
	if len(b.messages) >= s.line.size {
		s.line.put()
		s.report(false)
	}
	return out.Held, nil
}

// flush puts what is collected in line, and looks at the clock and the context.
func (s *Session) flush(ctx context.Context) error {
	s.line.put()
	s.report(false)
	return ctx.Err()
}
