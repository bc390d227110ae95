package resync

import (
	"bytes"
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
	s.again = s.again[:0]
	for i := range s.entries.Dialogs {
		if err := s.sendEntry(ctx, &s.entries.Dialogs[i], now); err != nil {
			return err
		}
	}
	if s.line.gather {
		s.line.sort()
	}
	// The updates go behind all creations of the step, not each behind its creation: a receiver with several processes could handle two
	// neighbours at the same time.
	for _, e := range s.again {
		body := s.entries.Body(e)
		if _, err := s.put(ctx, s.repeats, changes.Layout(e.Layout), dialog.Update, body, nil, e.Origin); err != nil {
			return err
		}
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
		s.endsVisited++
	}
	switch {
	case s.cfg.Filter != nil && !s.cfg.Filter(subject):
		s.pass.Filtered++
		return nil
	case e.State.Live() && e.Timeout <= now:
		s.pass.Expired++
		return nil
	case subject.Kind == dialog.Delete && e.Layout == layout.UDP && s.alive(body):
		s.pass.Skipped++
		return nil
	}
	held, err := s.send(ctx, s.shield, changes.Layout(e.Layout), subject.Kind, body, s.entries.Key(e), e.Origin)
	switch {
	case err != nil || held != shield.Passed:
		return err
	case subject.Kind == dialog.Delete:
		s.pass.Deletions++
	default:
		s.pass.Dialogs++
		if s.repeat {
			s.again = append(s.again, e)
		}
	}
	return nil
}

// alive reports whether a live dialog has the Call-ID and the tags of an end, in either order. The end would hit that dialog, which
// was sent before. key is in the layout of generation 1.
func (s *Session) alive(key dialog.Packed) (found bool) {
	callID, rest := key.Part()
	from, rest := rest.Part()
	to, _ := rest.Part()
	s.cfg.Table.Get(s.cfg.Steering.CallID(callID), callID, func(v *dialog.View) bool {
		_, a, b := v.Names()
		found = v.State().Live() && (bytes.Equal(a, from) && bytes.Equal(b, to) || bytes.Equal(a, to) && bytes.Equal(b, from))
		return !found
	})
	return found
}

// sendChange sends a change that the tail told of.
func (s *Session) sendChange(ctx context.Context, c *changes.Change) error {
	s.summary.TailEvents++
	if s.cfg.Filter != nil && !s.cfg.Filter(subjectOf(c)) {
		return nil
	}
	kind := c.Kind
	if kind == dialog.Create || kind == dialog.Chunk {
		kind = dialog.Update
	}
	held, err := s.send(ctx, s.live, c.Layout, kind, c.Body(), c.Key(), c.Source)
	if err != nil || held != shield.Passed || kind != dialog.Update || !s.repeatTail {
		return err
	}
	// Right behind it: further back it would undo a later change of the same dialog.
	_, err = s.put(ctx, s.repeats, c.Layout, kind, c.Body(), nil, c.Source)
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

// send puts one change into the batch: a deletion, or a snapshot in the way in which the session sends it. key is that of the dialog.
func (s *Session) send(
	ctx context.Context, sh *shield.Shield, layout changes.Layout, kind dialog.Kind, body, key dialog.Packed, origin uint16,
) (shield.Reason, error) {
	if s.cfg.Replace && kind != dialog.Delete && layout == sh.Dialect().Layout() {
		return s.put(ctx, sh, layout, dialog.Create, body, key, origin)
	}
	return s.put(ctx, sh, layout, kind, body, nil, origin)
}

// put puts one change into the batch. If remove is a key, the deletion of that dialog goes before the creation. origin is the
// number of the source that told of it.
func (s *Session) put(
	ctx context.Context, sh *shield.Shield, layout changes.Layout, kind dialog.Kind, body, remove dialog.Packed, origin uint16,
) (shield.Reason, error) {
	var out shield.Outgoing
	b, err := s.line.open(ctx)
	if err != nil {
		return shield.Passed, err
	}
	s.change = changes.Change{
		Capability: changes.Dialogs, Layout: layout, Kind: kind, Bytes: body, BodySpan: changes.Span{To: uint32(len(body))},
	}
	if s.peer { // without a stamp, but in layouts of generation 2, too
		s.change.Sender = s.cfg.Sender(origin)
		b.buf, out = sh.ProcessStamped(b.buf, &s.change)
	} else {
		b.buf, out = sh.Process(b.buf, &s.change)
	}
	if out.Held != shield.Passed {
		return out.Held, nil
	}
	if remove != nil && out.Kind == dialog.Create {
		from := len(b.buf)
		b.buf = sh.Dialect().Append(b.buf, dialog.Delete, remove)
		b.messages = append(b.messages, packets.Message{Payload: b.buf[from:], To: s.cfg.To})
		s.sent.Add(b.buf[from:])
	}
	b.messages = append(b.messages, packets.Message{Payload: out.Packet, To: s.cfg.To})
	s.sent.Add(out.Packet)
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
