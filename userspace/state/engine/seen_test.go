package engine

import (
	"math/rand/v2"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

// TestSeenIsASet compares the window with a set of all numbers, in an order that is up to a window away from sorted.
func TestSeenIsASet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, reach := range []uint64{1, 63, 64, 65, 1000, window - 1} {
		var s seen
		known := map[uint64]bool{}
		top := uint64(0)
		for range 20_000 {
			if rng.IntN(3) == 0 {
				top += 1 + rng.Uint64N(200)
			}
			seq := max(top-min(top, rng.Uint64N(reach)), 1)
			if got, want := s.firstLocked(changes.Stamp{Origin: 5, Seq: seq}), !known[seq]; got != want {
				t.Fatalf("reach %d: %d below %d is new: %v, want %v", reach, seq, top, got, want)
			}
			known[seq] = true
		}
	}
}

func TestSeenForgets(t *testing.T) {
	var s seen
	first := func(origin, seq uint64) bool { return s.firstLocked(changes.Stamp{Origin: origin, Seq: seq}) }
	if !first(1, 1<<40) || first(1, 1<<40) || first(1, 2) || first(1, 1<<40-window) || !first(1, 1<<40-window+1) {
		t.Error("what is older than the window is not known")
	}
	for i := range uint64(confirmed) {
		if !first(1, 1<<64-1-i) || first(1, 1<<64-1-i) {
			t.Errorf("%d below the last number", i)
		}
	}
	if first(1, 1<<64-1) || first(1, 1<<41) {
		t.Error("the last number")
	}
	for origin := uint64(2); origin <= maxPeers; origin++ {
		first(origin, 1)
	}
	if first(1, 1<<64-1) || first(2, 1) {
		t.Error("forgotten though there is room")
	}
	first(100, 1) // in the place of 3, which was silent longest
	if first(1, 1<<64-1) || first(2, 1) || first(100, 1) || !first(3, 1) {
		t.Error("not the one that was silent longest is forgotten")
	}
}

// TestAForgedNumberHidesLittle: huge numbers of a known origin, one or many of them, hide at most some events of that origin.
func TestAForgedNumberHidesLittle(t *testing.T) {
	for _, forged := range []uint64{1, confirmed - 1, confirmed, 1000} {
		var s seen
		for seq := uint64(1); seq <= 1000; seq++ {
			s.firstLocked(changes.Stamp{Origin: 5, Seq: seq})
		}
		for i := range forged {
			s.firstLocked(changes.Stamp{Origin: 5, Seq: 1<<60 + i})
		}
		hidden := 0
		for seq := uint64(1001); seq <= 2000; seq++ {
			if !s.firstLocked(changes.Stamp{Origin: 5, Seq: seq}) {
				hidden++
			}
			if s.firstLocked(changes.Stamp{Origin: 5, Seq: seq}) {
				t.Fatalf("%d is new twice", seq)
			}
		}
		if want := 0; forged >= confirmed && hidden >= confirmed || forged < confirmed && hidden != want {
			t.Errorf("%d forged numbers hid %d events", forged, hidden)
		}
	}
}

// TestStampedEvents: an event of another appliance counts once and is passed on with its stamp. Its own come back as duplicates.
func TestStampedEvents(t *testing.T) {
	out := &outlet{}
	r := newRig(t, 1, func(c *Config) { c.Outlet = out; c.Batch = 8; c.Origin = 77 })
	r.start(t)
	const calls = 20
	proxy := bin1test.NewProxy(1, bin1test.Realistic(testNow, calls))
	events := 0
	for i := range calls {
		packet := proxy.Next(nil)
		var ev dialog.Event
		if bin1.Decode(packet, &ev) != bin1.Dialog {
			t.Fatal("no event")
		}
		stamp := func(origin uint64) packets.Packet {
			c := changes.Change{Stamp: changes.Stamp{Origin: origin, Seq: uint64(i + 1)}, Moment: testNow}
			return from("198.51.100.1:5556", 0, bin1.Dialect{}.AppendStamped(nil, ev.Kind, ev.Body, &c))
		}
		r.sources[0].Feed(stamp(77), stamp(5), stamp(5))
		events += 3
	}
	s := r.finish(t)
	total := s.Total()
	if total.Sum() != uint64(events) || total.Outcome(dialog.Duplicate) != 2*calls || len(out.changes) != calls {
		t.Errorf("%d changes of %d events: %+v", len(out.changes), events, total.Outcomes)
	}
	for i, c := range out.changes {
		if c.Origin != 5 || c.Seq < 1 || c.Seq > calls || c.Framed {
			t.Errorf("change %d: %+v", i, c)
		}
	}
}

// TestHellosAreHeard: they are counted, and make nobody a source of events.
func TestHellosAreHeard(t *testing.T) {
	heard := 0
	r := newRig(t, 1, func(c *Config) { c.Hear = func(*packets.Packet) { heard++ } })
	r.start(t)
	h := bin1.Hello{Origin: 3, Nonce: 4}
	r.sources[0].Feed(from("198.51.100.1:5556", 0, h.Append(nil)))
	s := r.finish(t)
	total := s.Total()
	if heard != 1 || len(s.Sources) != 0 || s.Capabilities[bin1.OwnCapability] != 1 || total.Verdicts[bin1.OtherCapability] != 1 {
		t.Errorf("heard %d: %+v", heard, s)
	}
}
