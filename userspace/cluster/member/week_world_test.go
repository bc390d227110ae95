package member

import (
	"container/heap"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/stream"
	"binrepd/userspace/wire/bin2"
)

// us is the number of the member in the model.
const us = 100

// happening is something that is due.
type happening struct {
	at    time.Time
	order int
	do    func()
}

type agenda []happening

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at.Before(a[j].at) || a[i].at.Equal(a[j].at) && a[i].order < a[j].order
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(happening)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// weekNode is a model proxy.
type weekNode struct {
	id      int32
	machine *membership.Machine // nil: the process is dead
	paused  time.Time           // until then it does nothing
	cut     int                 // counts the cuts of its link to us; odd: the link is cut
	synced  time.Time           // when it announced that in this life
	empty   bool                // it has restarted, and says that it is synced although it has nothing (W3)
	arrives map[int32]time.Time // when the last packet to another one arrives: a connection keeps its order
}

// weekCall is a call that lives at its proxy.
type weekCall struct {
	owner  int32
	hid    uint32
	state  uint32
	made   time.Time
	untold bool // something of it was lost
}

// weekWorld is a cluster with its clock: model proxies, and a Member whose connections are the model's. All that the
// member decides is its own code: the machine, the fill, the events, the table.
type weekWorld struct {
	t      testing.TB
	rng    *rand.Rand
	now    time.Time
	agenda agenda
	order  int

	nodes    map[int32]*weekNode
	member   *Member
	arrives  map[int32]time.Time // of what we send
	table    *dialog.Table
	decoders map[int32]*bin2.Decoder
	since    uint8

	calls    map[string]*weekCall
	lostEnds map[string]*lostEnd // by Call-ID

	made     uint32
	restarts int
	syncs    int
	weakness bool // donors have weaknesses
	gaps     weekGaps
}

func newWeekWorld(t testing.TB, seed uint64, nodes int) *weekWorld {
	t.Helper()
	table, err := dialog.NewTable(dialog.Config{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	w := &weekWorld{t: t, rng: rand.New(rand.NewPCG(seed, 11)), now: time.Unix(1_795_000_000, 0), nodes: map[int32]*weekNode{},
		arrives: map[int32]time.Time{}, table: table, decoders: map[int32]*bin2.Decoder{}, calls: map[string]*weekCall{}, lostEnds: map[string]*lostEnd{},
		gaps:     weekGaps{owned: map[int32][]ownSync{}, answered: map[int32][]ownSync{}},
		weakness: true}
	c := Config{Cluster: 1, Node: us, Listen: stream.URL{Addr: netip.AddrPortFrom(weekAddr(us), 5566)}}
	c.Times.complete()
	c.Judge = weekJudge{w}
	for id := int32(1); id <= int32(nodes); id++ {
		w.nodes[id] = &weekNode{id: id, arrives: map[int32]time.Time{}}
		c.Peers = append(c.Peers, Peer{Node: id, URL: stream.URL{Addr: netip.AddrPortFrom(weekAddr(id), 5566)}})
	}
	w.member = &Member{cfg: c, log: slog.New(slog.DiscardHandler), wake: make(chan struct{}, 1), nodes: map[int32]*node{}, url: c.Listen}
	w.member.fill.times = c.Times
	w.member.donation.init(w.now, &c.Donor)
	if w.member.machine, err = membership.New(w.now, c.machine(c.Listen)); err != nil {
		t.Fatal(err)
	}
	w.member.fill.want(w.now, "joined the cluster", 0)
	for id := range w.nodes {
		w.member.nodes[id] = &node{}
	}
	for id := int32(1); id <= int32(nodes); id++ {
		w.begin(w.nodes[id])
	}
	return w
}

func weekAddr(id int32) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(id)}) }

func weekURL(id int32) string { return "bin:" + weekAddr(id).String() + ":5566" }

// after does something later.
func (w *weekWorld) after(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.agenda, happening{w.now.Add(d), w.order, do})
}

// upTo returns a random time below d.
func (w *weekWorld) upTo(d time.Duration) time.Duration { return time.Duration(w.rng.Int64N(int64(d))) }

// begin starts the process of a node. A restarted one isn't synced at first.
func (w *weekWorld) begin(n *weekNode) {
	c := membership.Config{Cluster: 1, Node: n.id, URL: weekURL(n.id), Learn: true, AnnounceLinks: true,
		Capabilities: []membership.Capability{{Name: Capability}}, Peers: []membership.Peer{{Node: us, URL: weekURL(us)}}}
	for id := range w.nodes {
		if id != n.id {
			c.Peers = append(c.Peers, membership.Peer{Node: id, URL: weekURL(id)})
		}
	}
	slices.SortFunc(c.Peers, func(a, b membership.Peer) int { return int(a.Node - b.Node) })
	m, err := membership.New(w.now, c)
	if err != nil {
		w.t.Fatal(err)
	}
	n.machine = m
	w.linkChanged(n, true)
	w.after(time.Second+w.upTo(3*time.Second), func() {
		if n.machine == m {
			n.synced = w.now
			var out membership.Output
			m.SetCapability(w.now, Capability, true, &out)
			w.perform(n.id, &out)
		}
	})
}

// linkChanged tells both ends of the link between a node and us that its connections are there, or have ended.
func (w *weekWorld) linkChanged(n *weekNode, is bool) {
	m := w.member
	known := m.nodes[n.id]
	if is && n.machine != nil && n.cut%2 == 0 {
		known.conns = make([]*stream.Conn, 1)
		m.machine.Connected(w.now, n.id)
	} else if len(known.conns) > 0 {
		known.conns = nil
		m.machine.Disconnected(w.now, n.id)
		m.gapLocked(w.now, n.id, "a connection ended")
		if n.machine != nil {
			n.machine.Disconnected(w.now, us)
		}
	}
}

// perform sends what a machine puts out, and lets a node answer requests for a sync.
func (w *weekWorld) perform(from int32, out *membership.Output) {
	for _, s := range out.Sends {
		to := s.Node
		if to == 0 {
			to = int32(s.Connection)
		}
		w.after(max(s.At.Sub(w.now), 0), func() { w.send(from, to, slices.Clone(s.Packet), nil) })
	}
	for _, e := range out.Events {
		if from != us && e.Kind == membership.SyncRequested && e.Text == Capability {
			w.answer(w.nodes[from], e.Node, e.Version)
		}
	}
}

// machineOf returns the machine of a node; nil: it is dead.
func (w *weekWorld) machineOf(id int32) *membership.Machine {
	if id == us {
		return w.member.machine
	}
	if n := w.nodes[id]; n != nil {
		return n.machine
	}
	return nil
}

// linkOf returns the node whose link to us a packet takes; nil if it takes none.
func (w *weekWorld) linkOf(from, to int32) *weekNode {
	if from == us {
		return w.nodes[to]
	}
	if to == us {
		return w.nodes[from]
	}
	return nil
}

// send sends a packet on the connection from one node to another. lost is called if it doesn't arrive.
func (w *weekWorld) send(from, to int32, packet bin2.Packet, lost func()) {
	sender, target, link := w.machineOf(from), w.machineOf(to), w.linkOf(from, to)
	if lost == nil {
		lost = func() {}
	}
	if sender == nil || target == nil || link != nil && link.cut%2 == 1 {
		lost()
		if sender != nil {
			var out membership.Output
			sender.SendFailed(w.now, to, &out)
			w.performOf(from, &out)
		}
		return
	}
	arrives := w.arrives
	if from != us {
		arrives = w.nodes[from].arrives
	}
	at := w.now.Add(100*time.Microsecond + w.upTo(3*time.Millisecond))
	if last := arrives[to]; last.After(at) {
		at = last
	}
	arrives[to] = at
	cut := 0
	if link != nil {
		cut = link.cut
	}
	var arrive func()
	arrive = func() {
		switch n := w.nodes[to]; {
		case w.machineOf(to) != target || w.machineOf(from) != sender || link != nil && link.cut != cut:
			lost()
		case n != nil && n.paused.After(w.now):
			w.after(n.paused.Sub(w.now), arrive)
		default:
			w.receive(from, to, packet)
		}
	}
	w.after(at.Sub(w.now), arrive)
}

// performOf is perform, and for us the events as well.
func (w *weekWorld) performOf(id int32, out *membership.Output) {
	if id == us {
		w.member.eventsLocked(w.now, out)
	}
	w.perform(id, out)
}

func (w *weekWorld) receive(from, to int32, p bin2.Packet) {
	var out membership.Output
	o := w.machineOf(to).Receive(w.now, membership.Origin{Addr: weekAddr(from), Connection: uint64(from)}, p, &out)
	if o.Reason == membership.Malformed {
		w.t.Fatalf("node %d takes a packet of node %d for malformed", to, from)
	}
	w.performOf(to, &out)
	if m := w.member; to == us && o.Verdict == membership.Deliver && (o.Kind == bin2.NoKind || m.fill.expects(o.Source) && ofDialogs(p, o.Kind)) {
		w.apply(o.Source, p)
		if p.Capability() == bin2.Extra {
			m.watch.look(o.Source, p)
			m.chunksSeen(o.Source, p)
		}
		for i := range m.watch.parts {
			m.fill.take(w.now, &m.watch.parts[i])
		}
		m.watch.parts = m.watch.parts[:0]
	}
}

// apply applies a packet to the table as the engine does.
func (w *weekWorld) apply(source int32, p bin2.Packet) {
	d := w.decoders[source]
	if d == nil {
		d = &bin2.Decoder{}
		w.decoders[source] = d
	}
	one := func(ev *dialog.Event) {
		ev.Origin = uint16(source)
		ev.Hash = packets.Steering{}.CallID(ev.CallID())
		s := w.table.Lock(w.table.ShardOf(ev.Hash))
		s.Apply([]*dialog.Event{ev}, w.now.Unix())
		s.Unlock()
	}
	var ev dialog.Event
	switch v := d.Decode(p, &ev); v {
	case bin2.Event:
		one(&ev)
	case bin2.Chunks:
		for walk := d.ChunksOf(p); walk.Next(&ev); {
			if walk.Verdict != bin2.Event {
				w.t.Fatalf("a chunk is %v", walk.Verdict)
			}
			ev.Since = w.since
			one(&ev)
		}
	case bin2.OtherPacket:
	default:
		w.t.Fatalf("a packet of node %d is %v", source, v)
	}
}

// syncStep does what Member.syncStep does.
func (w *weekWorld) syncStep() {
	m := w.member
	if !w.begins() {
		return
	}
	m.gaps.asked(w.now, m.cfg.Cluster, m.fill.run.donor)
	w.since = w.table.BeginSync()
	var out membership.Output
	if err := m.machine.RequestSync(w.now, m.fill.run.donor, Capability, &out); err != nil && m.fill.run.donor != 0 {
		m.fill.fail(w.now, err.Error())
	}
	w.performOf(us, &out)
}

// run lets time pass.
func (w *weekWorld) run(d time.Duration) {
	end := w.now.Add(d)
	for w.now.Before(end) {
		next := end
		sooner := func(t time.Time) {
			if !t.IsZero() && t.Before(next) {
				next = t
			}
		}
		if len(w.agenda) > 0 {
			sooner(w.agenda[0].at)
		}
		sooner(w.member.machine.Next())
		sooner(w.member.fill.next())
		for _, n := range w.nodes {
			if n.machine != nil {
				due := n.machine.Next()
				if due.Before(n.paused) {
					due = n.paused
				}
				sooner(due)
			}
		}
		if next.After(w.now) {
			if next.Unix()/10 != w.now.Unix()/10 {
				w.table.Expire(next.Unix())
			}
			w.now = next
		}
		for len(w.agenda) > 0 && !w.agenda[0].at.After(w.now) {
			heap.Pop(&w.agenda).(happening).do()
		}
		for id := int32(1); id <= int32(len(w.nodes)); id++ {
			if n := w.nodes[id]; n.machine != nil && !n.paused.After(w.now) && !n.machine.Next().After(w.now) {
				var out membership.Output
				n.machine.Tick(w.now, &out)
				w.perform(id, &out)
			}
		}
		if !w.member.machine.Next().After(w.now) {
			var out membership.Output
			w.member.machine.Tick(w.now, &out)
			w.performOf(us, &out)
		}
		if next := w.member.fill.next(); !next.IsZero() && !next.After(w.now) {
			w.syncStep()
		}
	}
}

// body returns what is said of a call.
func (c *weekCall) body(callID string) []byte {
	f := &layout.Fields{}
	f.Strings[layout.CallID], f.Strings[layout.FromTag], f.Strings[layout.ToTag] = []byte(callID), []byte("f"), []byte("t")
	f.Strings[layout.Values] = []byte("dlgX_shtag#1#vip|")
	f.Numbers[layout.HID], f.Numbers[layout.State], f.Numbers[layout.Start], f.Numbers[layout.Timeout] = c.hid, c.state, 1_795_000_000, 2_100_000_000
	body, fault := f.Append(nil, layout.Bin4Typed)
	if fault != layout.NoFault {
		panic(fmt.Sprint("a call of the model: ", fault))
	}
	return body
}
