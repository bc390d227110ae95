package membership_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/wire/bin2"
	"binrepd/userspace/wire/bin2/bin2test"
)

const (
	cluster = 1
	me      = 3
)

var began = time.Unix(1_795_000_000, 0)

func addr(id int32) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(id)}) }

func url(id int32) string { return "bin:" + addr(id).String() + ":5566" }

func peer(id int32) membership.Peer { return membership.Peer{Node: id, URL: url(id)} }

func origin(id int32) membership.Origin {
	return membership.Origin{Addr: addr(id), Connection: uint64(id) + 100}
}

func from(id int32) bin2.From { return bin2.From{Cluster: cluster, Source: id} }

func to(source, destination int32) bin2.Trailer {
	return bin2.Trailer{Cluster: cluster, Source: source, Destination: destination}
}

func ids(list ...int32) (l bin2.IDs) {
	for _, id := range list {
		l = l.Append(id)
	}
	return l
}

func packet(t testing.TB, m bin2test.Message, d bin2.Dialect) bin2.Packet {
	t.Helper()
	b, err := m.Append(nil, d)
	if err != nil {
		t.Fatal(err)
	}
	p, err := bin2.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func modulePacket(t testing.TB, trailer bin2.Trailer) bin2.Packet {
	t.Helper()
	w := bin2.Begin(nil, 4, "dialog-dlg-repl", 3)
	w.Text("a call")
	b, err := w.EndTrailer(trailer)
	if err != nil {
		t.Fatal(err)
	}
	p, err := bin2.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// world is a machine and its time.
type world struct {
	t   testing.TB
	m   *membership.Machine
	now time.Time
	// out is what the last step made.
	out membership.Output
	// dialect is what packets of peers are written in.
	dialect bin2.Dialect
}

// config is that of node 3, with the peers 1 and 2.
func config() membership.Config {
	return membership.Config{Cluster: cluster, Node: me, URL: url(me), Learn: true, Peers: []membership.Peer{peer(1), peer(2)}}
}

func newWorld(t testing.TB, c membership.Config) *world {
	t.Helper()
	m, err := membership.New(began, c)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, m: m, now: began}
}

// receive takes a message that came from a node, directly.
func (w *world) receive(source int32, m bin2test.Message) membership.Outcome {
	w.t.Helper()
	return w.receiveFrom(origin(source), m)
}

func (w *world) receiveFrom(o membership.Origin, m bin2test.Message) membership.Outcome {
	w.t.Helper()
	return w.receivePacket(o, packet(w.t, m, w.dialect))
}

func (w *world) receivePacket(o membership.Origin, p bin2.Packet) membership.Outcome {
	w.out.Reset()
	return w.m.Receive(w.now, o, p, &w.out)
}

// tick lets time pass and returns what was sent then.
func (w *world) tick(d time.Duration) []membership.Send {
	w.now = w.now.Add(d)
	w.out.Reset()
	w.m.Tick(w.now, &w.out)
	if next := w.m.Next(); !next.After(w.now) {
		w.t.Fatalf("after a tick at %v the next one is due at %v", w.now.Sub(began), next.Sub(began))
	}
	return w.out.Sends
}

// speaks shows that a node is of 3.3 or later, by a packet that changes nothing else.
func (w *world) speaks(id int32) {
	w.t.Helper()
	w.receive(id, &bin2.SyncEnd{Trailer: to(id, me), Capability: []byte(dialogs)})
}

// up brings the link to a node up.
func (w *world) up(id int32) {
	w.t.Helper()
	if w.status(id).LinkPinged() {
		w.tick(0)
	}
	if o := w.receive(id, &bin2.Pong{From: from(id)}); o.Verdict != membership.Handled {
		w.t.Fatalf("PONG: %+v", o)
	}
	if s := w.status(id); s.LinkState != membership.Up {
		w.t.Fatalf("node %d is %s", id, s.LinkState)
	}
}

type nodeStatus struct{ membership.NodeStatus }

// LinkPinged tells whether a PING is still to be sent.
func (s nodeStatus) LinkPinged() bool { return s.LastPing.IsZero() }

func (w *world) status(id int32) nodeStatus {
	for _, n := range w.m.Status().Nodes {
		if n.Node == id {
			return nodeStatus{n}
		}
	}
	return nodeStatus{}
}

// sent returns the messages of that kind that the last step made for a node.
func (w *world) sent(kind bin2.Kind, id int32) (messages []bin2test.Message) {
	w.t.Helper()
	for _, s := range w.out.Sends {
		if s.Kind == kind && s.Node == id {
			messages = append(messages, w.read(s))
		}
	}
	return messages
}

func (w *world) read(s membership.Send) bin2test.Message {
	w.t.Helper()
	p, err := bin2.Parse(s.Packet)
	if err != nil {
		w.t.Fatal(err)
	}
	m, _, err := bin2test.Decode(p, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) event(kind membership.EventKind) (membership.Event, bool) {
	at := slices.IndexFunc(w.out.Events, func(e membership.Event) bool { return e.Kind == kind })
	if at < 0 {
		return membership.Event{}, false
	}
	return w.out.Events[at], true
}

func (w *world) wantEvent(kind membership.EventKind, node int32) membership.Event {
	w.t.Helper()
	e, ok := w.event(kind)
	if !ok || e.Node != node {
		w.t.Fatalf("events %+v, want %v of node %d", w.out.Events, kind, node)
	}
	return e
}

func (w *world) wantNoEvent(kind membership.EventKind) {
	w.t.Helper()
	if e, ok := w.event(kind); ok {
		w.t.Fatalf("event %+v", e)
	}
}
