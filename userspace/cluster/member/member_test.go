package member_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"binrepd/userspace/cluster/member"
	"binrepd/userspace/cluster/member/membertest"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const cluster, me = 1, 3

func address(id int32) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, byte(10 + id)}) }

// await waits until a condition holds.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// table is a Filler, and the consumer of what a Member delivers.
type table struct {
	mu     sync.Mutex
	calls  []string
	counts map[packets.Sender]int
	errs   []string
}

func (f *table) SyncRequested(cluster int32) { f.note(fmt.Sprint("sync of cluster ", cluster)) }

func (f *table) note(call string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
}

func (f *table) said() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.calls, ", ")
}

func (f *table) count(node int32) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[packets.Sender{Cluster: cluster, Node: uint32(node)}]
}

// consume takes what the Member delivers, as the engine does, until it ends.
func (f *table) consume(m *member.Member) {
	b := packets.NewBatch(64)
	for {
		if err := m.Receive(b); err != nil {
			if !errors.Is(err, net.ErrClosed) {
				f.mu.Lock()
				f.errs = append(f.errs, err.Error())
				f.mu.Unlock()
			}
			return
		}
		f.mu.Lock()
		for i := range b.Packets {
			f.counts[b.Packets[i].Sender]++
		}
		f.mu.Unlock()
		m.Release(b)
	}
}

// times are short, so that tests are.
func times() member.Times {
	return member.Times{PingInterval: 200 * time.Millisecond, PingTimeout: 100 * time.Millisecond, NodeTimeout: 500 * time.Millisecond,
		Silence: 300 * time.Millisecond, Overtake: 50 * time.Millisecond, Settle: 5 * time.Millisecond, Pause: 10 * time.Millisecond,
		RetryMin: 10 * time.Millisecond, RetryMax: 50 * time.Millisecond, Patience: 300 * time.Millisecond}
}

func config(t testing.TB, nodes ...*membertest.Node) member.Config {
	t.Helper()
	c := member.Config{Cluster: cluster, Node: me, Listen: stream.URL{Addr: netip.AddrPortFrom(address(me), 0)}, Times: times(),
		Log: slog.New(slog.DiscardHandler), Limits: stream.Limits{BackoffMin: 20 * time.Millisecond, BackoffMax: 100 * time.Millisecond}}
	for _, n := range nodes {
		u, err := stream.ParseURL(n.URL())
		if err != nil {
			t.Fatal(err)
		}
		c.Peers = append(c.Peers, member.Peer{Node: n.ID(), URL: u})
	}
	return c
}

// join opens a Member and consumes what it delivers.
func join(t testing.TB, c member.Config) (*member.Member, *table) {
	t.Helper()
	f := &table{counts: map[packets.Sender]int{}}
	c.Filler = f
	m, err := member.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	var consumer sync.WaitGroup
	consumer.Go(func() { f.consume(m) })
	t.Cleanup(func() {
		m.Stop()
		consumer.Wait()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		for _, e := range f.errs {
			t.Error(e)
		}
	})
	return m, f
}

func node(m *member.Member, id int32) member.NodeStatus {
	for _, n := range m.Status().Nodes {
		if n.Node == id {
			return n
		}
	}
	return member.NodeStatus{}
}

func up(m *member.Member, id int32) func() bool {
	return func() bool { return node(m, id).LinkState == membership.Up }
}

func model(t testing.TB, id int32, change func(*membertest.Config)) *membertest.Node {
	t.Helper()
	c := membertest.Config{Cluster: cluster, ID: id, Addr: address(id), Learn: true, Synced: true, Quick: true}
	if change != nil {
		change(&c)
	}
	return membertest.Start(t, c)
}

func chunks(n int) (list [][]byte) {
	for i := range n {
		list = append(list, fmt.Appendf(nil, "dialog %d", i))
	}
	return list
}

// TestJoinIsLearned: two nodes that don't know the member learn it, it goes up at both, and it gets their packets under
// the source of the trailer.
func TestJoinIsLearned(t *testing.T) {
	one := model(t, 1, func(c *membertest.Config) { c.Donor.Chunks = chunks(45) })
	two := model(t, 2, func(c *membertest.Config) { c.Peers = map[int32]string{1: one.URL()} })
	// A model node tells of a node once, to those that are up then. So the two must know each other first.
	await(t, "the two see each other", func() bool { return one.Sees(2) == membership.Up && two.Sees(1) == membership.Up })
	m, f := join(t, config(t, one)) // it is told of node 1 only
	await(t, "both are up", func() bool { return up(m, 1)() && up(m, 2)() })
	await(t, "both see the member", func() bool { return one.Sees(me) == membership.Up && two.Sees(me) == membership.Up })
	await(t, "the first sync", func() bool { return m.Status().Sync.Done > 0 })
	s := m.Status().Sync
	if !s.Last.Complete || s.Incomplete != "" || !strings.HasPrefix(s.Text, "complete: ") {
		t.Errorf("%+v", s)
	}
	if got := f.said(); !strings.HasPrefix(got, "sync of cluster 1") {
		t.Errorf("the table was told %q", got)
	}
	before := f.count(2)
	await(t, "packets of node 2", func() bool {
		if err := two.SendDialog(me, 3, 4, []byte("x")); err != nil {
			t.Log(err)
		}
		return f.count(2) > before
	})
	for _, n := range [...]*membertest.Node{one, two} {
		for _, o := range n.Status().Nodes {
			if o.Node != me {
				continue
			}
			if len(o.Capabilities) != 1 || o.Capabilities[0].State != "not synced" || len(o.Neighbours) != 0 {
				t.Errorf("node %d was told %+v", n.ID(), o)
			}
		}
	}
}

// TestSyncTotals: what makes a sync complete, and what doesn't.
func TestSyncTotals(t *testing.T) {
	for name, test := range map[string]struct {
		donor membertest.Donor
		want  string // in the words of the failure; empty: complete
	}{
		"right":     {membertest.Donor{Chunks: chunks(45)}, ""},
		"empty":     {membertest.Donor{}, ""},
		"too few":   {membertest.Donor{Chunks: chunks(45), Excess: 2}, "it announced 47 dialogs and only 45 came"},
		"too many":  {membertest.Donor{Chunks: chunks(45), Excess: -3}, "it announced 42 dialogs and sent 45"},
		"silent":    {membertest.Donor{Silent: true}, "it didn't answer for"},
		"stops":     {membertest.Donor{Chunks: chunks(45), Stop: 30}, "it stopped after 30 dialogs"},
		"one chunk": {membertest.Donor{Chunks: chunks(45), PerPacket: 1}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t, model(t, 1, func(c *membertest.Config) { c.Donor, c.Quick = test.donor, false }))
			c.Times.PingTimeout = 5 * time.Second // a busy machine is no lost link
			m, f := join(t, c)
			await(t, "a sync has ended", func() bool { return !m.Status().Sync.Last.Ended.IsZero() })
			s := m.Status().Sync
			if s.Last.Complete != (test.want == "") || !strings.Contains(s.Last.Text, test.want) {
				t.Errorf("%+v", s.Last)
			}
			if (s.Incomplete == "") != (test.want == "") {
				t.Errorf("incomplete: %q", s.Incomplete)
			}
			if got := f.said(); !strings.HasPrefix(got, "sync of cluster 1") {
				t.Errorf("the table was told %q", got)
			}
		})
	}
}

// TestOtherDonor: when the first donor fails, the second is asked, and the state is complete again.
func TestOtherDonor(t *testing.T) {
	for name, donor := range map[string]membertest.Donor{
		"silent": {Silent: true}, "wrong total": {Chunks: chunks(4), Excess: 1}, "goes away": {Before: func(n *membertest.Node, _ int32) { go n.Stop() }, Silent: true},
	} {
		t.Run(name, func(t *testing.T) {
			one := model(t, 1, func(c *membertest.Config) { c.Donor = donor })
			two := model(t, 2, func(c *membertest.Config) {
				c.Peers, c.Donor.Chunks = map[int32]string{1: one.URL()}, chunks(10)
				c.Synced = false
			})
			m, _ := join(t, config(t, one, two))
			await(t, "node 1 was asked", func() bool { return one.Asked() > 0 })
			two.SetSynced(true)
			await(t, "a sync of node 2", func() bool { s := m.Status().Sync; return s.Last.Complete && s.Last.Donor == 2 })
			if s := m.Status().Sync; s.Incomplete != "" || s.Failed == 0 || s.Last.Chunks != 10 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestNoDonor: a cluster in which nobody announces complete dialogs makes the state incomplete after a while.
func TestNoDonor(t *testing.T) {
	one := model(t, 1, func(c *membertest.Config) { c.Synced = false })
	m, _ := join(t, config(t, one))
	await(t, "incomplete", func() bool { return strings.HasPrefix(m.Status().Sync.Incomplete, "no node has offered a sync for ") })
	if _, err := m.Sync(t.Context(), 0); err == nil {
		t.Error("a sync by hand was begun")
	}
	one.SetSynced(true)
	await(t, "the sync", func() bool { s := m.Status().Sync; return s.Done == 1 && s.Incomplete == "" })
}

// TestGaps: each event after which packets may be missing leads to one more sync.
func TestGaps(t *testing.T) {
	one := model(t, 1, func(c *membertest.Config) { c.Donor.Chunks = chunks(3) })
	m, _ := join(t, config(t, one))
	await(t, "the first sync", func() bool { return m.Status().Sync.Done == 1 && up(m, 1)() })
	one.Cut()
	await(t, "a sync after the cut", func() bool { return m.Status().Sync.Done > 1 && m.Status().Sync.State == member.SyncIdle })
	done := m.Status().Sync.Done
	port := one.Port()
	one.Stop()
	await(t, "the node is down", func() bool { return node(m, 1).LinkState == membership.Down })
	model(t, 1, func(c *membertest.Config) { c.Donor.Chunks = chunks(5); c.Port = port })
	await(t, "a sync after the restart", func() bool { s := m.Status().Sync; return s.Done > done && s.Last.Chunks == 5 })
	await(t, "the restart is seen", func() bool { return node(m, 1).Restarts == 1 })
}

// TestSyncByHand: of a node, and of any.
func TestSyncByHand(t *testing.T) {
	one := model(t, 1, func(c *membertest.Config) { c.Donor.Chunks = chunks(3) })
	two := model(t, 2, func(c *membertest.Config) {
		c.Donor.Chunks = chunks(8)
		c.Synced = false
		c.Peers = map[int32]string{1: one.URL()}
	})
	m, _ := join(t, config(t, one, two))
	await(t, "the first sync", func() bool { return m.Status().Sync.Done > 0 && up(m, 2)() })
	for from, want := range map[int32]int{0: 3, 1: 3, 2: 8} {
		r, err := m.Sync(t.Context(), from)
		if err != nil || !r.Complete || r.Chunks != want || r.Reason != "asked for by an operator" {
			t.Errorf("from %d: %+v, %v", from, r, err)
		}
	}
	if _, err := m.Sync(t.Context(), 9); err == nil || err.Error() != "node 9 of cluster 1 isn't up" {
		t.Error(err)
	}
}

// TestFixed: with configured nodes only, a stranger is neither learned nor heard, and its connections are refused.
func TestFixed(t *testing.T) {
	one := model(t, 1, nil)
	c := config(t, one)
	c.Fixed = true
	m, _ := join(t, c)
	await(t, "node 1 is up", up(m, 1))
	model(t, 2, func(c *membertest.Config) { c.Peers = map[int32]string{me: m.URL().String()} })
	await(t, "the stranger is refused", func() bool { return m.Status().Stream.Reasons[stream.Denied].Conns > 0 })
	if s := m.Status(); len(s.Nodes) != 1 {
		t.Errorf("%+v", s.Nodes)
	}
}

// TestTags: who is active, who was before, and a conflict.
func TestTags(t *testing.T) {
	one := model(t, 1, nil)
	two := model(t, 2, func(c *membertest.Config) { c.Peers = map[int32]string{1: one.URL()} })
	m, _ := join(t, config(t, one, two))
	await(t, "both are up", func() bool { return up(m, 1)() && up(m, 2)() })
	claim := func(n *membertest.Node) {
		t.Helper()
		await(t, "the tag is active at the node", func() bool {
			if err := n.Claim(me, "vip"); err != nil {
				return false
			}
			tags := m.Status().Tags
			return len(tags) == 1 && tags[0].Active == n.ID()
		})
	}
	claim(one)
	claim(two)
	if tag := m.Status().Tags[0]; tag.Previous != 1 || tag.Conflicts == 0 || tag.Tag != "vip" || tag.State != "backup" {
		t.Errorf("%+v", tag)
	}
}

func TestValidate(t *testing.T) {
	good := func() member.Config {
		return member.Config{Cluster: 1, Node: 3, Listen: parse(t, "bin:10.0.0.3"), Peers: []member.Peer{{Node: 1, URL: parse(t, "bin:10.0.0.1")}}}
	}
	c := good()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*member.Config){
		"cluster 0: an id is 1 to 65535":                     func(c *member.Config) { c.Cluster = 0 },
		"node -1: an id is 1 or more":                        func(c *member.Config) { c.Node = -1 },
		"not an address of one host":                         func(c *member.Config) { c.Listen = parse(t, "bin:0.0.0.0") },
		"a bins URL needs a certificate":                     func(c *member.Config) { c.Peers[0].URL.TLS = true },
		"peer 3 is this node itself":                         func(c *member.Config) { c.Peers[0].Node = 3 },
		"is the listen address of this node":                 func(c *member.Config) { c.Peers[0].URL = c.Listen },
		"given twice":                                        func(c *member.Config) { c.Peers = append(c.Peers, c.Peers[0]) },
		"of two families":                                    func(c *member.Config) { c.Peers[0].URL = parse(t, "bin:[2001:db8::1]") },
		"a pinned certificate needs bins URLs on both sides": func(c *member.Config) { c.Peers[0].Pins = []string{"x"} },
		"no peers, and none may be learned":                  func(c *member.Config) { c.Peers, c.Fixed = nil, true },
	} {
		c := good()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func parse(t testing.TB, s string) stream.URL {
	t.Helper()
	u, err := stream.ParseURL(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
