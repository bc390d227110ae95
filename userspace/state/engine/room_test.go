package engine

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

// roomRig is an engine whose clock goes with the packets.
func roomRig(t *testing.T, sources int) (r *rig, clock *atomic.Int64) {
	clock = new(atomic.Int64)
	clock.Store(testNow * int64(time.Second))
	r = newRig(t, sources, func(c *Config) { c.Now = func() time.Time { return time.Unix(0, clock.Load()) } })
	r.room = roomRules{}
	return r, clock
}

// await polls until the condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !condition(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func address(i int) string { return fmt.Sprintf("10.%d.%d.%d:5555", i>>16, i>>8&255, i&255) }

// TestRegisterMakesRoom: a source that comes late gets a place, those that were silent longest lose theirs, and their dialogs don't pass
// for those of a later one (fault 19).
func TestRegisterMakesRoom(t *testing.T) {
	r, clock := roomRig(t, 1)
	r.start(t)
	proxy := bin1test.NewProxy(3, bin1test.Realistic(testNow, 30))
	known := func(i int) bool {
		_, ok := r.origins.find(packets.Sender{Endpoint: packets.EndpointOf(netip.MustParseAddrPort(address(i)))})
		return ok
	}
	call := uint64(0)
	feed := func(i int) {
		d := from(address(i), 0, proxy.AppendPacket(nil, call, bin1test.Create))
		d.Received = clock.Add(int64(time.Millisecond))
		call++
		r.sources[0].Feed(d)
		await(t, "the event", func() bool { return total(r.Sources()).Events == call })
	}
	const steady = 7
	for range CountsFrom {
		feed(steady)
	}
	for i := range MaxOrigins + 600 {
		if i != steady {
			feed(i)
		}
	}
	last := MaxOrigins + 600
	await(t, "a place for another source", func() bool { feed(last); return known(last) })
	if known(0) {
		t.Error("the source that was silent longest has its place still")
	}
	if !known(steady) {
		t.Error("a source of many events was forgotten before strays")
	}
	s := r.finish(t)
	if sum := total(s.Sources); sum.Events != call || sum.Applied != call {
		t.Errorf("sources add up to %d events, %d applied, want %d", sum.Events, sum.Applied, call)
	}
	checkOrigins(t, r, func(callID string) string { return "" })
}

// checkOrigins compares the source of each dialog with the one that sent it, which want tells, or with none.
func checkOrigins(t *testing.T, r *rig, want func(callID string) string) {
	t.Helper()
	var cur dialog.Cursor
	for more := true; more; {
		more = r.cfg.Table.Scan(&cur, func(v *dialog.View) {
			n := v.Origin()
			if n == OtherOrigin {
				return
			}
			sender := r.Sender(n)
			if number, ok := r.origins.find(sender); !ok || number != n {
				t.Errorf("a dialog of number %d, which is nobody's", n)
			}
			callID, _, _ := v.Names()
			if w := want(string(callID)); w != "" && sender.String() != w {
				t.Errorf("a dialog of %s counts as one of %s", w, sender)
			}
		})
	}
}

// TestRegisterModel: thousands of sources come in any order over several workers. No dialog ever names a source that didn't send it, and
// the sums are exact.
func TestRegisterModel(t *testing.T) {
	const workers, senders, rounds, batch = 3, 5000, 300, 64
	r, clock := roomRig(t, workers)
	r.start(t)
	proxy := bin1test.NewProxy(3, bin1test.Realistic(testNow, 30))
	random := rand.New(rand.NewPCG(1, 2))
	sent := map[string]string{} // by Call-ID
	events := uint64(0)
	for round := range rounds {
		for w := range workers {
			for range batch {
				at := address(random.IntN(senders/rounds*(round+1) + 10))
				var ev dialog.Event
				d := from(at, 0, proxy.AppendPacket(nil, events, bin1test.Create))
				if v := bin1.Decode(d.Payload, &ev); v != bin1.Dialog {
					t.Fatal(v)
				}
				sent[string(ev.CallID())] = at
				d.Received = clock.Add(int64(time.Millisecond))
				events++
				r.sources[w].Feed(d)
			}
		}
		await(t, "the batches", func() bool { return total(r.Sources()).Events == events })
	}
	if used := len(r.Sources()); used > MaxOrigins {
		t.Errorf("%d sources", used)
	}
	s := r.finish(t)
	if sum := total(s.Sources); sum.Events != events {
		t.Errorf("sources add up to %d events, want %d", sum.Events, events)
	}
	checkOrigins(t, r, func(callID string) string { return sent[callID] })
	if r.origins.generation.Load() < 6 {
		t.Errorf("made room %d times only", r.origins.generation.Load()/2)
	}
}

// TestRefreshAllocatesNothing: what a batch does for the register costs no memory, in a new generation neither.
func TestRefreshAllocatesNothing(t *testing.T) {
	o := newOrigins()
	s := new(senders)
	s.init(o)
	from := packets.Sender{Endpoint: packets.EndpointOf(netip.MustParseAddrPort("192.0.2.1:5555"))}
	n := s.origin(&from, 1)
	if allocs := testing.AllocsPerRun(100, func() {
		o.generation.Add(1)
		s.refresh()
		if s.origin(&from, 1) != n {
			t.Fatal("another number")
		}
		s.good(n, 1)
		s.changed(n, dialog.Create)
		s.flush()
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// TestFileKeepsItsNumbers: a number that a file has asked for isn't taken away while its dialogs are applied.
func TestFileKeepsItsNumbers(t *testing.T) {
	o := newOrigins()
	from := packets.Sender{Endpoint: packets.EndpointOf(netip.MustParseAddrPort("192.0.2.1:5555"))}
	n := o.number(from, 10, true)
	o.number(from, 100, true)
	if struck := o.strike([]uint16{n}, 50); len(struck) != 0 {
		t.Error("struck")
	}
	if struck := o.strike([]uint16{n}, 100); len(struck) != 1 {
		t.Error("not struck")
	}
}
