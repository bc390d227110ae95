package engine

import (
	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin2"
)

// none marks the end of a list in a group.
const none = -1

// worker takes the batches of one source to the table. All its fields belong to its goroutine, except published and steps, which
// others may read.
type worker struct {
	engine *Engine
	input  Input
	batch  *packets.Batch
	begun  int64 // when Run began, in Unix nanoseconds

	// For each packet of the batch: what it says, and how decoding went.
	events   []dialog.Event
	verdicts []verdict

	group   group
	stamped []int32 // of the batch, those that come from other appliances

	senders  senders
	speakers speakers
	one      [1]*dialog.Event // for chunks
	count    tally
	published
	disputes     disputes
	replacements replacements
	steps        steps
}

// group sorts the events of a batch by shard without moving them: lists threaded through next.
type group struct {
	head, tail []int32 // by shard; head none: no event
	next       []int32 // by event
	touched    []int32 // shards that have events, in order of first arrival
	events     []*dialog.Event
	indices    []int32 // of events, in the batch

	changed []changes.Change
}

func newWorker(e *Engine, in Input) *worker {
	n, shards := e.cfg.Batch, e.cfg.Table.Shards()
	w := &worker{
		engine: e, input: in, batch: packets.NewBatch(n),
		events: make([]dialog.Event, n), verdicts: make([]verdict, n), stamped: make([]int32, 0, n),
		group: group{
			head: make([]int32, shards), tail: make([]int32, shards),
			next: make([]int32, n), touched: make([]int32, 0, min(n, shards)),
			events: make([]*dialog.Event, 0, n), indices: make([]int32, 0, n),
			changed: make([]changes.Change, 0, n),
		},
	}
	for i := range w.group.head {
		w.group.head[i] = none
	}
	w.senders.init(e.origins)
	w.speakers.init()
	w.published.init()
	return w
}

// run works until the source ends and returns the source's error, net.ErrClosed after a Stop.
func (w *worker) run() error {
	for {
		if err := w.input.Source.Receive(w.batch); err != nil {
			return err
		}
		w.steps.begin()
		w.senders.refresh()
		if w.input.Recorder != nil {
			w.input.Recorder.Record(w.batch.Packets)
		}
		now, _ := w.engine.clock.unix()
		w.decode()
		w.apply(now)
		w.chunks(now)
		w.account()
		w.replaced()
		w.input.Source.Release(w.batch)
		w.steps.end()
	}
}

// decode reads every packet of the batch into its event and links the good ones into the lists of their shards.
func (w *worker) decode() {
	w.stamped = w.stamped[:0]
	for i := range w.batch.Packets {
		d, ev := &w.batch.Packets[i], &w.events[i]
		if w.isGeneration2(d) {
			w.verdicts[i] = w.decode2(d, ev)
		} else {
			w.verdicts[i] = verdict(bin1.Decode(d.Payload, ev))
			ev.Hash = d.Hash
		}
		if w.verdicts[i] == isEvent && ev.Peer != 0 {
			w.stamped = append(w.stamped, int32(i))
		}
	}
	w.dropKnown()
	g := &w.group
	shards := w.engine.cfg.Table.Shards()
	for i := range w.batch.Packets {
		d := &w.batch.Packets[i]
		ev := &w.events[i]
		if w.verdicts[i] != isEvent {
			continue
		}
		ev.Origin = w.senders.origin(&d.Sender, d.Received)
		w.senders.good(ev.Origin, d.Received)
		if ev.Peer == 0 && w.engine.kinds[d.Intake%packets.MaxIntakes] == packets.Listener {
			// A sync sends no stamps; live changes of another appliance have one.
			w.senders.plain(w.senders.endpoint(ev.Origin, &d.Sender, d.Received), d.Payload)
		}
		if ev.Kind == dialog.Create {
			w.senders.began(ev.Origin, ev.Start, d.Received)
		}
		if ev.Outcome != dialog.NoOutcome {
			continue
		}
		shard := packets.Spread(ev.Hash, shards)
		if g.head[shard] == none {
			g.head[shard] = int32(i)
			g.touched = append(g.touched, int32(shard))
		} else {
			g.next[g.tail[shard]] = int32(i)
		}
		g.tail[shard] = int32(i)
		g.next[i] = none
	}
	// Before the table changes: then a reader that finds a dialog finds its source, too.
	w.senders.flush()
}

// dropKnown makes duplicates of the events that this appliance took in itself, and of those of other appliances that came
// already.
func (w *worker) dropKnown() {
	if len(w.stamped) == 0 {
		return
	}
	seen := &w.engine.seen
	seen.mu.Lock()
	defer seen.mu.Unlock()
	for _, i := range w.stamped {
		stamp := stampOf(w.batch.Packets[i].Payload, &w.events[i])
		if stamp.Origin == w.engine.cfg.Origin || !seen.firstLocked(stamp) {
			w.events[i].Outcome = dialog.Duplicate
		}
	}
}

func stampOf(packet []byte, ev *dialog.Event) changes.Stamp {
	if ev.Layout == layout.UDP {
		return bin1.StampOf(packet)
	}
	return bin2.StampOf(packet)
}

// apply takes each touched shard once: lock, apply, hand on what changed, unlock.
func (w *worker) apply(now int64) {
	g := &w.group
	w.disputes.begin(w.engine.cfg.Conflicts)
	for _, shard := range g.touched {
		g.events, g.indices = g.events[:0], g.indices[:0]
		for i := g.head[shard]; i != none; i = g.next[i] {
			g.events = append(g.events, &w.events[i])
			g.indices = append(g.indices, i)
		}
		g.head[shard] = none
		s := w.engine.cfg.Table.Lock(int(shard))
		w.judge(s)
		s.Apply(g.events, now)
		w.noteDisputes(s)
		if w.engine.cfg.Outlet != nil {
			w.forward()
		}
		s.Unlock()
	}
	g.touched = g.touched[:0]
}

// forward hands the changes of the group that was just applied to the outlet.
func (w *worker) forward() {
	g := &w.group
	g.changed = g.changed[:0]
	for n, ev := range g.events {
		if !ev.Changed() && !ev.Confirms {
			continue
		}
		d := &w.batch.Packets[g.indices[n]]
		g.changed = g.changed[:len(g.changed)+1]
		c := &g.changed[len(g.changed)-1]
		*c = changes.Change{}
		if ev.Layout == layout.UDP {
			bin1.Describe(c, d.Payload, ev)
		} else {
			bin2.Describe(c, d.Payload, ev)
		}
		c.Sender, c.Source, c.Began = d.Sender, ev.Origin, ev.Outcome == dialog.Recovered
	}
	w.engine.Forward(g.changed)
}

// account counts one verdict or one outcome for every packet of the batch, and publishes the sums.
func (w *worker) account() {
	applied := w.engine.cfg.Now().UnixNano()
	for i := range w.batch.Packets {
		d := &w.batch.Packets[i]
		c := &w.count.intakes[d.Intake%packets.MaxIntakes]
		c.Received++
		c.Bytes += uint64(len(d.Payload))
		v := w.verdicts[i]
		if v == isEvent {
			ev := &w.events[i]
			c.Outcomes[ev.Kind][ev.Outcome]++
			if ev.Changed() {
				w.senders.changed(ev.Origin, ev.Kind)
			}
			// What waited for this process, in inherited rings or in the sockets, says nothing about its speed.
			if d.Received >= w.begun {
				w.count.latency.Observe(applied - d.Received)
			}
			continue
		}
		if v2, ok := v.of2(); ok {
			c.Verdicts2[v2]++
		} else {
			c.Verdicts[v]++
		}
		w.reject(v, d)
	}
	w.count.batches.Observe(len(w.batch.Packets))
	w.senders.flush()
	w.publish(&w.count, len(w.engine.cfg.Intakes))
}

// reject is the slow path of account, for a packet that is no dialog event.
func (w *worker) reject(v verdict, d *packets.Packet) {
	switch v {
	case verdict(bin1.OtherCapability):
		name := bin1.Capability(d.Payload)
		w.count.capabilities.add(name)
		if string(name) == bin1.OwnCapability { // another appliance asks or answers, which makes it no source of events
			if w.engine.cfg.Hear != nil {
				w.engine.cfg.Hear(d)
			}
			return
		}
		w.senders.good(w.senders.origin(&d.Sender, d.Received), d.Received)
		return
	case isChunks:
		w.senders.good(w.senders.origin(&d.Sender, d.Received), d.Received)
		return
	case verdictOf2(bin2.OtherPacket):
		w.count.capabilities.add(bin2.Packet(d.Payload).Name())
		w.senders.good(w.senders.origin(&d.Sender, d.Received), d.Received)
		return
	}
	w.senders.bad(d.Sender)
	w.engine.notices.first(v, d)
}
