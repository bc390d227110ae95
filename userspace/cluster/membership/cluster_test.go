package membership_test

import (
	"container/heap"
	"slices"
	"testing"
	"time"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/wire/bin2"
)

// net is a network of machines: what one sends arrives at another after a while, in order of time.
type net struct {
	t        testing.TB
	now      time.Time
	machines map[int32]*membership.Machine
	queue    flights
	random   uint64
	// seen are the events of each machine.
	seen map[int32][]membership.Event
}

type flight struct {
	at       time.Time
	from, to int32
	packet   bin2.Packet
}

type flights []flight

func (f flights) Len() int           { return len(f) }
func (f flights) Less(i, j int) bool { return f[i].at.Before(f[j].at) }
func (f flights) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *flights) Push(x any)        { *f = append(*f, x.(flight)) }
func (f *flights) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

// next is a small random number: xorshift64.
func (n *net) next(limit int) int {
	n.random ^= n.random << 13
	n.random ^= n.random >> 7
	n.random ^= n.random << 17
	return int(n.random % uint64(limit))
}

func (n *net) start(c membership.Config) {
	n.t.Helper()
	m, err := membership.New(n.now, c)
	if err != nil {
		n.t.Fatal(err)
	}
	n.machines[c.Node] = m
}

// deliver sends what a machine put out. A connection's number is the node at its other end.
func (n *net) deliver(id int32, out *membership.Output) {
	n.seen[id] = append(n.seen[id], out.Events...)
	for _, s := range out.Sends {
		target := s.Node
		if target == 0 {
			target = int32(s.Connection)
		}
		if n.machines[target] == nil {
			n.machines[id].SendFailed(n.now, target, &membership.Output{})
			continue
		}
		after := time.Duration(100+n.next(3000)) * time.Microsecond
		at := s.At
		if at.Before(n.now) {
			at = n.now
		}
		heap.Push(&n.queue, flight{at.Add(after), id, target, slices.Clone(s.Packet)})
	}
}

// run lets time pass.
func (n *net) run(d time.Duration) {
	n.t.Helper()
	end := n.now.Add(d)
	for n.now.Before(end) {
		at := end
		for _, m := range n.machines {
			if next := m.Next(); next.Before(at) {
				at = next
			}
		}
		if len(n.queue) > 0 && !n.queue[0].at.After(at) {
			f := heap.Pop(&n.queue).(flight)
			if f.at.After(n.now) {
				n.now = f.at
			}
			if m := n.machines[f.to]; m != nil {
				var out membership.Output
				if o := m.Receive(n.now, membership.Origin{Addr: addr(f.from), Connection: uint64(f.from)}, f.packet, &out); o.Reason == membership.Malformed {
					n.t.Fatalf("%+v", o)
				}
				n.deliver(f.to, &out)
			}
			continue
		}
		if at.After(n.now) {
			n.now = at
		}
		for id, m := range n.machines {
			if !m.Next().After(n.now) {
				var out membership.Output
				m.Tick(n.now, &out)
				n.deliver(id, &out)
			}
		}
	}
}

func (n *net) wantUp(nodes ...int32) {
	n.t.Helper()
	for _, id := range nodes {
		s := n.machines[id].Status()
		if len(s.Nodes) != len(nodes)-1 {
			n.t.Errorf("node %d knows %d nodes, want %d", id, len(s.Nodes), len(nodes)-1)
		}
		for _, other := range s.Nodes {
			if other.LinkState != membership.Up {
				n.t.Errorf("%d sees %d as %s", id, other.Node, other.LinkState)
			}
			if len(other.Capabilities) != 1 || other.Capabilities[0].State != "Ok" {
				n.t.Errorf("%d knows of %d the capabilities %+v", id, other.Node, other.Capabilities)
			}
		}
	}
}

// TestClusterOfMachines: five nodes, of which each but the first knows only the first, find each other. One is
// restarted and is seen to be; one goes away and comes back.
func TestClusterOfMachines(t *testing.T) {
	for _, links := range [...]bool{false, true} {
		n := &net{t: t, now: began, machines: map[int32]*membership.Machine{}, random: 88172645463325252, seen: map[int32][]membership.Event{}}
		setup := func(id int32) membership.Config {
			c := membership.Config{Cluster: cluster, Node: id, URL: url(id), Learn: true, AnnounceLinks: true,
				Capabilities: []membership.Capability{{Name: dialogs, Synced: true}}}
			if id == 5 {
				c.AnnounceLinks = links
			}
			if id != 1 {
				c.Peers = []membership.Peer{peer(1)}
			}
			return c
		}
		for id := int32(1); id <= 5; id++ {
			n.start(setup(id))
			n.run(time.Duration(n.next(1000)) * time.Millisecond)
		}
		n.run(20 * time.Second)
		n.wantUp(1, 2, 3, 4, 5)
		// Node 2 is restarted.
		delete(n.machines, 2)
		n.run(3 * time.Second)
		n.start(setup(2))
		n.run(20 * time.Second)
		n.wantUp(1, 2, 3, 4, 5)
		for _, id := range [...]int32{1, 3, 4, 5} {
			if got := count(n.seen[id], membership.NewLife, 2); got != 1 {
				t.Errorf("node %d saw %d restarts of node 2", id, got)
			}
			for _, other := range [...]int32{1, 3, 4, 5} {
				if got := count(n.seen[id], membership.NewLife, other); got != 0 {
					t.Errorf("node %d saw a restart of node %d", id, other)
				}
			}
		}
		// Node 4 is away until it is down.
		away := n.machines[4]
		delete(n.machines, 4)
		n.run(30 * time.Second)
		if s := n.machines[1].Status().Nodes[2]; s.Node != 4 || s.LinkState != membership.Down {
			t.Errorf("%+v", s)
		}
		n.machines[4] = away
		n.run(70 * time.Second)
		n.wantUp(1, 2, 3, 4, 5)
		if links {
			for _, s := range n.machines[1].Status().Nodes {
				if len(s.Neighbours) != 4 {
					t.Errorf("node %d has the neighbours %v", s.Node, s.Neighbours)
				}
			}
		}
		if links {
			continue
		}
		for _, s := range n.machines[1].Status().Nodes {
			if s.Node == 5 && len(s.Neighbours) != 0 {
				t.Errorf("node 5 announced the neighbours %v", s.Neighbours)
			}
		}
	}
}

func count(events []membership.Event, kind membership.EventKind, node int32) (n int) {
	for _, e := range events {
		if e.Kind == kind && e.Node == node {
			n++
		}
	}
	return n
}
