package engine

import (
	"sync"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1/bin1test"
)

// outlet keeps what it was given: the packets, and the changes without their bytes.
type outlet struct {
	mu      sync.Mutex
	packets []string
	changes []changes.Change
}

func (o *outlet) Forward(list []changes.Change) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range list {
		o.packets = append(o.packets, string(c.Packet()))
		c.Bytes = nil
		o.changes = append(o.changes, c)
	}
}

func TestOutletGetsWhatChangedInOrder(t *testing.T) {
	out := &outlet{}
	r := newRig(t, 1, func(c *Config) { c.Outlet = out; c.Batch = 8 })
	r.start(t)
	proxy := bin1test.NewProxy(3, bin1test.Realistic(testNow, 30))
	var sent []string
	byCall := map[string][]string{}
	for range 600 {
		p := proxy.Next(nil)
		sent = append(sent, string(p))
		call := string(packets.SteeringKey(p))
		byCall[call] = append(byCall[call], string(p))
		d := from("198.51.100.1:5555", 0, p)
		r.sources[0].Feed(d, d) // the second is a duplicate and stays here
	}
	r.finish(t)
	if len(out.packets) != len(sent) {
		t.Fatalf("%d packets left, want %d", len(out.packets), len(sent))
	}
	for _, p := range out.packets {
		call := string(packets.SteeringKey([]byte(p)))
		if len(byCall[call]) == 0 || byCall[call][0] != p {
			t.Fatalf("call %s: out of order or changed", call)
		}
		byCall[call] = byCall[call][1:]
	}
}

// TestChangesAreStamped: several workers number their changes without a gap, those of one call in their order, and every change says
// where it came from.
func TestChangesAreStamped(t *testing.T) {
	const sources, events = 3, 500
	out := &outlet{}
	r := newRig(t, sources, func(c *Config) { c.Outlet = out; c.Batch = 8; c.Origin = 77 })
	r.start(t)
	node := packets.Sender{Cluster: 1, Node: 3}
	for i, s := range r.sources {
		proxy := bin1test.NewProxy(uint64(i+1), bin1test.Realistic(testNow, 30))
		for range events {
			p := from("198.51.100.1:5555", 0, proxy.Next(nil))
			if i == 0 {
				p.Sender = node
			}
			s.Feed(p)
		}
	}
	s := r.finish(t)
	seen, last, numbers := map[uint64]bool{}, map[string]uint64{}, map[uint16]packets.Sender{}
	for i, c := range out.changes {
		call := string(packets.SteeringKey([]byte(out.packets[i])))
		if c.Origin != 77 || c.Seq < 1 || c.Seq > uint64(len(out.changes)) || seen[c.Seq] || c.Seq <= last[call] {
			t.Fatalf("change %d of %d has stamp %+v, the one before of its call %d", i, len(out.changes), c.Stamp, last[call])
		}
		seen[c.Seq], last[call] = true, c.Seq
		if known, ok := numbers[c.Source]; c.Source == OtherOrigin || ok && known != c.Sender {
			t.Fatalf("change %d is of %v, and source %d is %v", i, c.Sender, c.Source, known)
		}
		numbers[c.Source] = c.Sender
	}
	total := s.Total()
	if len(out.changes) < events || uint64(len(out.changes)) != total.Applied()+total.Outcome(dialog.Unknown) || len(s.Sources) != 2 || numbers[1] == numbers[2] {
		t.Errorf("%d changes from %d sources: %+v", len(out.changes), len(s.Sources), total.Outcomes)
	}
}

// TestAnOriginOfItsOwn: an engine that is told no number takes one that no other has.
func TestAnOriginOfItsOwn(t *testing.T) {
	seen := map[uint64]bool{0: true}
	for range 8 {
		if n := newRig(t, 1, nil).cfg.Origin; seen[n] {
			t.Errorf("the number %d again", n)
		} else {
			seen[n] = true
		}
	}
}
