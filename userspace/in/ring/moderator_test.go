package ring

import (
	"math"
	"testing"
	"time"

	"binrepd/bpf"
)

// settle lets m see a steady rate, in records a second, until it has forgotten what was before.
func (m *moderator) settle(rate float64) (length time.Duration) {
	const step = time.Millisecond
	for range 10 * recall / step {
		length = m.next(uint64(rate*step.Seconds()), step)
	}
	return length
}

// TestModerator: the nap gathers some hundred records, never lasts longer than the bound, and there is none at low
// rates.
func TestModerator(t *testing.T) {
	const ms, us = time.Millisecond, time.Microsecond
	for _, c := range []struct {
		bound time.Duration
		rate  float64 // records a second
		want  time.Duration
	}{
		{0, 1e6, 0}, // switched off
		{-ms, 1e6, 0},
		{ms, 0, 0},
		{ms, 1000, 0}, // one record a nap is better off with a wake-up
		{ms, 3000, 0},
		{ms, 5000, ms},
		{ms, 50_000, ms},
		{ms, 200_000, ms},
		{ms, 400_000, 640 * us},
		{ms, 1_000_000, 256 * us},
		{500 * us, 5000, 0},
		{500 * us, 50_000, 500 * us},
		{10 * ms, 1000, 10 * ms},
		{10 * ms, 50_000, 5120 * us},
	} {
		m := moderator{bound: c.bound}
		if got := m.settle(c.rate); math.Abs(float64(got-c.want)) > float64(us) {
			t.Errorf("bound %v, %.0f records a second: a nap of %v, want %v", c.bound, c.rate, got, c.want)
		}
	}
}

// TestModeratorFollows the rate: traffic that stops ends the naps soon, one record after a long time begins none, and
// calls in quick succession tell nothing new.
func TestModeratorFollows(t *testing.T) {
	m := moderator{bound: time.Millisecond}
	m.settle(50_000)
	var naps time.Duration
	for m.next(0, time.Millisecond) > 0 {
		if naps += time.Millisecond; naps > 10*recall {
			t.Fatal("naps without end, though nothing comes")
		}
	}
	if naps < time.Millisecond {
		t.Error("no nap: a pause between two bursts isn't the end of traffic")
	}
	if got := m.next(1, time.Minute); got != 0 {
		t.Errorf("a nap of %v after one record in a minute", got)
	}
	rate := m.rate
	for range 100 {
		m.next(0, 0)
	}
	if m.rate != rate {
		t.Errorf("the rate changed from %v to %v in no time", rate, m.rate)
	}
	if got := m.settle(400_000); got > 700*time.Microsecond || got < 600*time.Microsecond {
		t.Errorf("a nap of %v after the rate rose", got)
	}
}

func TestModeratorNoAllocation(t *testing.T) {
	m := moderator{bound: time.Millisecond}
	if n := testing.AllocsPerRun(100, func() { m.next(100, time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestNapFlag: a position is never one of the other states of the flag, also where it wraps around.
func TestNapFlag(t *testing.T) {
	const lap = bpf.WakeSlot << 32
	for position, want := range map[uint64]uint32{
		0: 2, bpf.WakeSlot: 2, 2 * bpf.WakeSlot: 2, 3 * bpf.WakeSlot: 3, lap - 1: math.MaxUint32, lap: 2, lap + bpf.WakeSlot: 2, lap + 640: 10,
	} {
		if got := napFlag(position); got != want {
			t.Errorf("position %d: %d, want %d", position, got, want)
		}
	}
}

// TestNapRoom: an eighth of the ring ends a nap, and what the smallest ring has is left for the wake-up.
func TestNapRoom(t *testing.T) {
	const least = 1 << 15
	for size, want := range map[uint64]uint64{least: 0, 2 * least: least / 4, 64 << 20: 8 << 20} {
		if got := napRoom(size, least); got != want {
			t.Errorf("a ring of %d bytes: %d, want %d", size, got, want)
		}
		if most := min(size/tailShare, size-least); size > least && size-most-napRoom(size, least) < least {
			t.Errorf("a ring of %d bytes with a tail leaves too little", size)
		}
	}
}

// TestMayNap: with GOMAXPROCS in the environment there may be no place beside those of the consumers.
func TestMayNap(t *testing.T) {
	if mayNap(1, 1) || mayNap(2, 4) || !mayNap(2, 1) || !mayNap(6, 4) {
		t.Error("a nap may take the last place, or may not though there are more")
	}
}
