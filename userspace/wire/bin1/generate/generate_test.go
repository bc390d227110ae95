package generate

import (
	"bytes"
	"slices"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
)

const testNow = 1_800_000_000

func TestSizesFollowTheCaptures(t *testing.T) {
	g := New(1, Options{Large: 0.03})
	var sizes []int
	large := 0
	for call := range uint64(10_000) {
		n := len(g.Append(nil, Call{Number: call, Start: testNow, Phase: Confirm}))
		if sizes = append(sizes, n); n > 1500 {
			large++
		}
	}
	slices.Sort(sizes)
	// 376 is the median of the captures.
	if median := sizes[len(sizes)/2]; median < 366 || median > 386 {
		t.Errorf("median %d bytes, want about 376; smallest %d, largest %d", median, sizes[0], sizes[len(sizes)-1])
	}
	if large < 200 || large > 400 {
		t.Errorf("%d of 10000 packets are large, want about 300", large)
	}
	small := New(1, Options{})
	for call := range uint64(1000) {
		if n := len(small.Append(nil, Call{Number: call, Phase: Create})); n > 1000 {
			t.Fatalf("call %d has a packet of %d bytes without the option Large", call, n)
		}
	}
}

func TestPhases(t *testing.T) {
	g := New(1, Options{Lifetime: 100, CallerSocket: "udp:10.0.0.1:5060", CalleeSocket: "tcp:10.0.0.2:5061", Name: "here"})
	var created, confirmed, refreshed, deleted dialog.Event
	for phase, ev := range map[Phase]*dialog.Event{Create: &created, Confirm: &confirmed, Refresh: &refreshed, Delete: &deleted} {
		if v := bin1.Decode(g.Append(nil, Call{Number: 5, Start: testNow, Phase: phase, Refreshes: 1}), ev); v != bin1.Dialog {
			t.Fatalf("%v decodes as %v", phase, v)
		}
		if !bytes.Equal(ev.Key, created.Key) && created.Key != nil {
			t.Errorf("%v has another key", phase)
		}
	}
	a, b, c := created.Body.Details(), confirmed.Body.Details(), refreshed.Body.Details()
	if created.Kind != dialog.Create || a.State != dialog.Answered || a.Start != testNow || a.Timeout != testNow+100 ||
		a.CallerSocket != "udp:10.0.0.1:5060" || a.CalleeSocket != "tcp:10.0.0.2:5061" {
		t.Errorf("created: %v, %+v", created.Kind, a)
	}
	if confirmed.Kind != dialog.Update || b.State != dialog.Confirmed || b.Timeout-a.Timeout > 1 {
		t.Errorf("confirmed: %v, %+v", confirmed.Kind, b)
	}
	if c.CalleeCSeq <= b.CalleeCSeq || len(c.CalleeCSeq) != len(b.CalleeCSeq) || c.Timeout != b.Timeout+refreshLater {
		t.Errorf("refreshed: %+v", c)
	}
	if deleted.Kind != dialog.Delete {
		t.Errorf("deleted: %v", deleted.Kind)
	}
	// Except for state, timeout and CSeq the three are the same dialog.
	b.State, b.Timeout, c.State, c.Timeout, c.CalleeCSeq = a.State, a.Timeout, a.State, a.Timeout, a.CalleeCSeq
	if a != b || a != c {
		t.Errorf("the dialog changes:\n%+v\n%+v\n%+v", a, b, c)
	}
}

func TestFirst(t *testing.T) {
	for _, share := range []float64{0, 0.02, 1} {
		g := New(1, Options{SkippedCreates: share})
		skipped := 0
		for call := range uint64(10_000) {
			if g.First(call) == Confirm {
				skipped++
			}
		}
		if want := int(share * 10_000); skipped < want*3/4 || skipped > want*5/4 {
			t.Errorf("%d of 10000 creations are skipped, want about %d", skipped, want)
		}
	}
}

func TestPhaseNames(t *testing.T) {
	for phase, want := range map[Phase]string{0: "none", Create: "create", Confirm: "confirm", Refresh: "refresh", Delete: "delete", Delete + 1: "invalid"} {
		if got := phase.String(); got != want {
			t.Errorf("phase %d is %q, want %q", phase, got, want)
		}
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	g := New(1, Options{Large: 0.5})
	buf := make([]byte, 0, 4096)
	for _, phase := range [...]Phase{Create, Confirm, Refresh, Delete} {
		c := Call{Phase: phase, Start: testNow}
		if n := testing.AllocsPerRun(1000, func() { buf = g.Append(buf[:0], c); c.Number++ }); n > 0 {
			t.Errorf("%v: Append allocates %v times", phase, n)
		}
	}
}
