package donor

import (
	"binrepd/dialog/layout"
	"binrepd/userspace/wire/bin2"
)

// dialog sends one dialog.
func (r *Run) dialog(id layout.ID, body []byte) error {
	var reason Reason
	var sockets [2][]byte
	r.body, reason, sockets = r.encoder.Dialog(r.body[:0], id, body, uint32(r.now.Unix()))
	if reason != Passed {
		r.hold(reason, sockets)
		return nil
	}
	r.marks.add(r.callHash(r.cfg.Peer.Layout, r.body))
	if r.cfg.Plain {
		return r.plain()
	}
	p := &r.cfg.Peer
	if r.cfg.Push {
		if r.packet, reason = p.appendLive(r.packet[:0], r.encoder.pushed(), r.body); reason != Passed {
			r.hold(reason, sockets)
			return nil
		}
		r.summary.Dialogs++
		return r.send(r.packet)
	}
	r.summary.Dialogs++
	w := bin2.BeginSync(r.packet[:0], p.SyncVersion, p.Dialect, bin2.Dialogs.String(), int32(p.Layout.Version()))
	w.Chunk(r.body, p.SyncVersion)
	return r.finish(&w)
}

// plain puts the dialog in a packet with others.
func (r *Run) plain() error {
	if len(r.chunks)+len(r.body) > 32<<10 {
		if err := r.flushPlain(); err != nil {
			return err
		}
	}
	r.summary.Dialogs++
	r.chunks = layout.AppendChunk(r.chunks, r.cfg.Peer.SyncVersion, r.body)
	return nil
}

func (r *Run) flushPlain() error {
	if len(r.chunks) == 0 {
		return nil
	}
	p := &r.cfg.Peer
	w := bin2.BeginSync(r.packet[:0], p.SyncVersion, p.Dialect, bin2.Dialogs.String(), int32(p.Layout.Version()))
	w.Raw(r.chunks)
	r.chunks = r.chunks[:0]
	return r.finish(&w)
}

// finish sends the packet that w has begun.
func (r *Run) finish(w *bin2.Writer) error {
	var err error
	if r.packet, err = w.EndTrailer(r.cfg.Peer.Trailer); err != nil {
		return err
	}
	return r.send(r.packet)
}

func (r *Run) send(packet []byte) error {
	r.quota--
	r.room -= len(packet)
	r.summary.Bytes += len(packet)
	return r.out(packet)
}

// end sends SYNC_END. An answer without any dialog has none: if the table is empty, it would end all calls of a requester
// that has some.
func (r *Run) end() error {
	r.phase = repairing
	r.until = r.now.Add(r.cfg.Window)
	r.queue.round = r.now.Add(apart)
	for h := range r.chains {
		r.chains[h] = r.now
	}
	if r.cfg.Push {
		if r.cfg.DryRun || r.summary.Dialogs == 0 {
			r.phase, r.summary.Ended = ended, r.now
		}
		return nil
	}
	if r.summary.Dialogs == 0 {
		r.phase = ended
		r.summary.Ended = r.now
		r.summary.Failed = "there was no dialog to send"
		return nil
	}
	p := &r.cfg.Peer
	m := bin2.SyncEnd{Trailer: p.Trailer, Version: p.SyncVersion, Capability: []byte(bin2.Dialogs.String()), Total: int32(r.summary.Dialogs)}
	var err error
	if r.packet, err = m.Append(r.packet[:0], p.Dialect); err != nil {
		return err
	}
	r.summary.Told = true
	if err := r.send(r.packet); err != nil || !r.cfg.Plain {
		return err
	}
	r.phase = ended
	r.summary.Ended = r.now
	return nil
}
