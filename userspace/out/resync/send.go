package resync

import (
	"context"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/out/snapshot"
)

// sendEntries sends the entries that were copied.
func (s *Session) sendEntries(ctx context.Context) error {
	now := uint32(time.Now().Unix())
	for i := range s.entries.Ended {
		if err := s.sendEntry(ctx, &s.entries.Ended[i], now); err != nil {
			return err
		}
	}
	if s.line.gather {
		s.line.sort()
		s.line.put()
	}
	for i := range s.entries.Dialogs {
		if err := s.sendEntry(ctx, &s.entries.Dialogs[i], now); err != nil {
			return err
		}
	}
	if s.line.gather {
		s.line.sort()
	}
	return s.flush(ctx)
}

func (s *Session) sendEntry(ctx context.Context, e *snapshot.Entry, now uint32) error {
	s.pass.Visited++
	body := s.entries.Body(e)
	subject := Subject{
		Kind: dialog.Update, State: e.State, Start: e.Start, Timeout: e.Timeout, Origin: e.Origin, Body: body,
		Layout: e.Layout,
	}
	if e.State == dialog.Ended {
		subject.Kind, subject.Name = dialog.Delete, body
	}
	if s.cfg.Filter != nil && !s.cfg.Filter(subject) {
		s.pass.Filtered++
		return nil
	}
	if e.State.Live() && e.Timeout <= now {
		s.pass.Expired++
		return nil
	}
	held, err := s.send(ctx, s.shield, changes.Layout(e.Layout), subject.Kind, body, s.entries.Key(e))
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

// sendChange sends a change that the tail told of.
func (s *Session) sendChange(ctx context.Context, c *changes.Change) error {
	s.summary.TailEvents++
	if s.cfg.Filter != nil && !s.cfg.Filter(subjectOf(c)) {
		return nil
	}
	kind := c.Kind
	if kind == dialog.Create {
		kind = dialog.Update
	}
	_, err := s.send(ctx, s.live, c.Layout, kind, c.Body(), c.Key())
	return err
}

// subjectOf describes a change to a filter.
func subjectOf(c *changes.Change) Subject {
	subject := Subject{Kind: c.Kind, State: c.State, Origin: c.Source, Body: c.Body(), Layout: layout.ID(c.Layout)}
	var v layout.View
	switch {
	case c.Kind == dialog.Delete:
		subject.Name = subject.Body
	case c.Kind == dialog.Value || c.Kind == dialog.CSeq:
	case layout.Parse(subject.Layout, subject.Body, &v) == layout.NoFault:
		subject.Start, subject.Timeout = v.Number(layout.Start), v.Number(layout.Timeout)
		subject.Name = c.Key()
	}
	return subject
}

// send puts one change into the batch: a deletion, or a snapshot in the way in which the session sends it.
func (s *Session) send(
	ctx context.Context, sh *shield.Shield, layout changes.Layout, kind dialog.Kind, body, key dialog.Packed,
) (shield.Reason, error) {
	replace := s.cfg.Replace && kind != dialog.Delete
	if replace {
		kind = dialog.Create
	}
	var out shield.Outgoing
	b, err := s.line.open(ctx)
	if err != nil {
		return shield.Passed, err
	}
	s.change = changes.Change{
		Capability: changes.Dialogs, Layout: layout, Kind: kind, Bytes: body, BodySpan: changes.Span{To: uint32(len(body))},
	}
	b.buf, out = sh.Process(b.buf, &s.change)
	if out.Held != shield.Passed {
		return out.Held, nil
	}
	if replace && out.Kind == dialog.Create {
		from := len(b.buf)
		b.buf = sh.Dialect().Append(b.buf, dialog.Delete, key)
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
