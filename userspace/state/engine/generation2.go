package engine

import (
	"slices"
	"sync/atomic"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin2"
)

// MaxNodes is for how many nodes each worker keeps in mind in which layout they send: senders of datagrams can be forged.
// Those beyond are served, but each packet of theirs is read as if it was their first.
const MaxNodes = 1024

// node names the maker of a packet of generation 2: who it came from, and who that says made it.
type node struct {
	sender        packets.Sender
	cluster, node int32
}

// speaker is a node, and what one worker knows of its layout.
type speaker struct {
	node
	decoder bin2.Decoder
	shown   atomic.Uint32 // layout, and decided
}

// decided marks a layout that no other fits.
const decided = 1 << 8

// speakers are those of one worker.
type speakers struct {
	known map[node]*speaker
	last  *speaker                   // made the packet before
	guest speaker                    // one for whom there is no room
	list  atomic.Pointer[[]*speaker] // for Status
}

func (s *speakers) init() {
	s.known = map[node]*speaker{}
	s.last = &s.guest
	s.list.Store(new([]*speaker))
}

// of returns the speaker that made a packet.
func (s *speakers) of(d *packets.Packet) *speaker {
	n := node{sender: d.Sender}
	if d.Sender.Port != 0 { // as decode2 leaves it
		n.sender = packets.Sender{Endpoint: d.Sender.Endpoint}
	}
	if p, err := bin2.Parse(d.Payload); err == nil {
		n.cluster, n.node, _ = p.Sender()
	}
	if s.last.node == n && s.last != &s.guest {
		return s.last
	}
	known := s.known[n]
	switch {
	case known != nil:
	case len(s.known) >= MaxNodes:
		s.guest.node, s.guest.decoder = n, bin2.Decoder{}
		return &s.guest
	default:
		known = &speaker{node: n}
	}
	s.last = known
	return known
}

// learned is called after a good packet of dialogs. It puts a new node on the list, and shows its layout.
func (s *speakers) learned(sp *speaker) {
	id, ok := sp.decoder.Layout()
	shown := uint32(id)
	if ok {
		shown |= decided
	}
	if shown == sp.shown.Load() || sp == &s.guest {
		return
	}
	sp.shown.Store(shown)
	if s.known[sp.node] == nil {
		s.known[sp.node] = sp
		list := append(slices.Clone(*s.list.Load()), sp)
		s.list.Store(&list)
	}
}

// NodeStatus is what is known of a node that sends dialogs of generation 2.
type NodeStatus struct {
	Sender        packets.Sender
	Cluster, Node int32 // as its packets say
	Layout        layout.ID
	Decided       bool // no other layout fits what it sent
}

func nodesOf(workers []*worker) (list []NodeStatus) {
	at := map[node]int{}
	for _, w := range workers {
		for _, sp := range *w.speakers.list.Load() {
			shown := sp.shown.Load()
			s := NodeStatus{sp.sender, sp.cluster, sp.node.node, layout.ID(shown), shown&decided != 0}
			i, twice := at[sp.node]
			switch {
			case !twice:
				at[sp.node] = len(list)
				list = append(list, s)
			case s.Decided && !list[i].Decided:
				list[i] = s
			}
		}
	}
	return list
}

// isGeneration2 tells a packet of generation 2 by the intake that it came in by: streams and clusters bring nothing else.
func (w *worker) isGeneration2(d *packets.Packet) bool {
	if k := w.engine.kinds[d.Intake%packets.MaxIntakes]; k == packets.Stream || k == packets.Cluster {
		return true
	}
	return bin2.IsPacket(d.Payload)
}

// decode2 reads a packet of generation 2. One that came in a datagram was passed on by another appliance: its sender becomes the
// node that made it.
func (w *worker) decode2(d *packets.Packet, ev *dialog.Event) verdict {
	sp := w.speakers.of(d)
	datagram := w.engine.kinds[d.Intake%packets.MaxIntakes] == packets.Listener
	v := sp.decoder.Decode(d.Payload, ev)
	if v == bin2.Event && !datagram && bin2.Packet(d.Payload).HasTail() {
		return verdictOf2(bin2.BadCommand) // a node is no appliance
	}
	if datagram && (v == bin2.Event || v == bin2.Chunks) {
		d.Sender.Cluster, d.Sender.Node = uint16(sp.cluster), uint32(sp.node.node)
	}
	if v == bin2.Event {
		w.speakers.learned(sp)
		ev.Hash = w.engine.cfg.Steering.CallID(ev.CallID())
	}
	return verdictOf2(v)
}

// SyncRequested is called when the nodes of a cluster are asked for their dialogs. From now on chunks of that cluster leave
// alone what live events tell of.
func (e *Engine) SyncRequested(cluster int32) {
	since := e.cfg.Table.BeginSync()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.syncs[cluster] = since
}

func (e *Engine) sinceOf(cluster int32) uint8 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.syncs[cluster]
}

// chunks applies the dialogs in the sync packets of the batch, behind the events of the batch: live events win.
func (w *worker) chunks(now int64) {
	for i := range w.batch.Packets {
		if w.verdicts[i] != isChunks {
			continue
		}
		d := &w.batch.Packets[i]
		c := &w.count.intakes[d.Intake%packets.MaxIntakes]
		sp := w.speakers.of(d)
		walk := sp.decoder.ChunksOf(d.Payload)
		since := w.engine.sinceOf(walk.Cluster)
		ev := &w.events[i]
		for walk.Next(ev) {
			if walk.Verdict != bin2.Event {
				c.RefusedChunks++
				w.engine.notices.first(verdictOf2(walk.Verdict), d)
				continue
			}
			ev.Hash, ev.Since = w.engine.cfg.Steering.CallID(ev.CallID()), since
			ev.Origin = w.senders.origin(&d.Sender, d.Received)
			w.chunk(d, ev, now)
			c.Chunks[ev.Outcome]++
		}
		w.speakers.learned(sp)
	}
}

func (w *worker) chunk(d *packets.Packet, ev *dialog.Event, now int64) {
	s := w.engine.cfg.Table.Lock(w.engine.cfg.Table.ShardOf(ev.Hash))
	defer s.Unlock()
	w.one[0] = ev
	s.Apply(w.one[:], now)
	if w.engine.cfg.Outlet != nil && ev.Changed() {
		w.group.changed = w.group.changed[:1]
		c := &w.group.changed[0]
		*c = changes.Change{}
		bin2.Describe(c, nil, ev)
		c.Sender, c.Source = d.Sender, ev.Origin
		w.engine.Forward(w.group.changed)
	}
}
