package member

import (
	"fmt"
	"time"

	"binrepd/dialog/layout"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin2"
)

// watch finds the packets of syncs in the batches that the engine takes. It belongs to the goroutine of the engine.
type watch struct {
	parts []part
}

// part is a packet of a sync.
type part struct {
	source int32
	chunks int
	bytes  int
	fault  string // of a chunk
	end    bool
	total  int32 // -1: the end doesn't tell
}

var _ packets.Source = (*Member)(nil)

// Receive implements packets.Source.
func (m *Member) Receive(b *packets.Batch) error {
	if err := m.stream.Receive(b); err != nil {
		return err
	}
	for i := range b.Packets {
		d := &b.Packets[i]
		// The handler has parsed it.
		switch p := bin2.Packet(d.Payload); p.Capability() {
		case bin2.Extra:
			m.watch.look(int32(d.Sender.Node), p)
			m.chunksSeen(int32(d.Sender.Node), p)
		case bin2.Profiles:
			m.profiles.take(time.Now(), int32(d.Sender.Node), p)
		}
	}
	return nil
}

// Release implements packets.Source. The batch is applied now.
func (m *Member) Release(b *packets.Batch) {
	m.stream.Release(b)
	if len(m.watch.parts) == 0 {
		return
	}
	now := time.Now()
	m.mu.Lock()
	for i := range m.watch.parts {
		m.fill.take(now, &m.watch.parts[i])
	}
	m.rouse()
	m.mu.Unlock()
	m.watch.parts = m.watch.parts[:0]
}

func (w *watch) look(source int32, p bin2.Packet) {
	kind, _, err := bin2.KindOf(p, 0)
	if err != nil {
		return
	}
	part := part{source: source, bytes: len(p)}
	switch kind {
	case bin2.KindSync:
		part.chunks, part.fault = chunksOf(p)
	case bin2.KindSyncEnd:
		var end bin2.SyncEnd
		if err := end.Decode(p); err != nil {
			part.fault = err.Error()
			break
		}
		part.end, part.total = true, -1
		if end.HasTotal() {
			part.total = end.Total
		}
	default:
		return
	}
	w.parts = append(w.parts, part)
}

// chunksOf counts the chunks of a packet, and says what is wrong with them.
func chunksOf(p bin2.Packet) (n int, fault string) {
	s, f := layout.ParseSync(p.Version(), p.Body())
	switch {
	case f != layout.NoFault:
		return 0, f.String()
	case s.Version == 0 || layout.OfVersion(s.Version) == 0: // none of its dialogs can be read, so however many there are, none arrives
		return 0, fmt.Sprintf("%s: data of version %d", layout.NoSuchVersion, s.Version)
	}
	for s.Next() {
		n++
	}
	if f := s.Fault(); f != layout.NoFault {
		return n, f.String()
	}
	return n, ""
}

// ofDialogs tells whether a packet of a sync is about dialogs.
func ofDialogs(p bin2.Packet, k bin2.Kind) bool {
	switch k {
	case bin2.KindSync:
		var s bin2.Sync
		return s.Decode(p) == nil && string(s.Capability) == Capability
	case bin2.KindSyncEnd:
		var e bin2.SyncEnd
		return e.Decode(p) == nil && string(e.Capability) == Capability
	}
	return false
}
