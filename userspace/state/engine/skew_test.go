package engine

import (
	"testing"
	"time"

	"binrepd/userspace/wire/bin1/bin1test"
)

func TestSkewWindow(t *testing.T) {
	var k skew
	k.init()
	if k.estimate() != noSkew {
		t.Error("an estimate of nothing")
	}
	base := int64(testNow) * int64(time.Second)
	for _, step := range []struct {
		second         int64
		greatest, want int64
	}{
		{0, -3, -3}, {10, 5, 5}, {59, 1, 5}, {60, 2, 5}, {119, 1, 5}, {120, 1, 2}, {500, -7, -7}, {300, -9, -9},
	} {
		k.take(step.greatest, base+step.second*int64(time.Second))
		if got := k.estimate(); got != step.want {
			t.Errorf("at second %d: %d, want %d", step.second, got, step.want)
		}
	}
}

// TestSkew gives each source a clock of its own.
func TestSkew(t *testing.T) {
	r := newRig(t, 2, nil)
	r.start(t)
	want := map[string]int64{"192.0.2.1:5555": 0, "192.0.2.2:5555": 3600, "192.0.2.3:5555": -7}
	n := uint64(0)
	for source, ahead := range want {
		proxy := bin1test.NewProxy(1, bin1test.Options{Now: testNow + ahead})
		for late := range int64(20) { // the best of them is the one that took least
			d := from(source, 0, proxy.AppendPacket(nil, n, bin1test.Create))
			d.Received = (testNow + late%5) * int64(time.Second)
			r.sources[n%2].Feed(d)
			n++
		}
	}
	updates := bin1test.NewProxy(1, bin1test.Options{Now: testNow - 500})
	r.sources[0].Feed(from("192.0.2.4:5555", 0, updates.AppendPacket(nil, n, bin1test.Confirm)))
	s := r.finish(t)
	if len(s.Sources) != 4 {
		t.Fatalf("%d sources", len(s.Sources))
	}
	for _, src := range s.Sources {
		ahead, known := want[src.Sender.String()]
		if known != (src.Skew != nil) || known && *src.Skew != time.Duration(ahead)*time.Second {
			t.Errorf("%s: %v, want %d s, %v", src.Sender, src.Skew, ahead, known)
		}
	}
}
