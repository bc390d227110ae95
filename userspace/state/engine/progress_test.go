package engine

import (
	"testing"
	"time"

	"binrepd/userspace/wire/bin1/bin1test"
)

// TestProgress: a stuck worker is reported as busy at the same step for ever. One that goes on or waits for packets is not.
func TestProgress(t *testing.T) {
	outlet := &stalled{stopped: make(chan struct{}), goOn: make(chan struct{})}
	r := newRig(t, 2, func(c *Config) { c.Outlet = outlet })
	r.start(t)
	proxy := bin1test.NewProxy(1, bin1test.Options{Now: testNow})
	for call := range uint64(2) {
		r.sources[1].Feed(from("192.0.2.7:5555", 0, proxy.AppendPacket(nil, 1+call, bin1test.Create)))
		<-outlet.stopped
		for range 2 {
			for i, want := range []Progress{{"worker of source 0", 0, false}, {"worker of source 1", 1 + 2*call, true}} {
				if got := r.Progress()[i]; got != want {
					t.Errorf("in the middle of batch %d: %+v, want %+v", call, got, want)
				}
			}
		}
		outlet.goOn <- struct{}{}
		if err := r.sources[1].WaitReleased(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r.finish(t)
	for i, want := range []Progress{{"worker of source 0", 0, false}, {"worker of source 1", 4, false}} {
		if got := r.Progress()[i]; got != want {
			t.Errorf("at the end: %+v, want %+v", got, want)
		}
	}
}

// TestProgressOfExpiry: expiry shows that a lock of the table hangs, even if no event wants it.
func TestProgressOfExpiry(t *testing.T) {
	r := newRig(t, 0, nil)
	look := func() Progress {
		list := r.Progress()
		return list[len(list)-1]
	}
	if p := look(); p != (Progress{Name: "expiry"}) {
		t.Errorf("at first: %+v", p)
	}
	shard := r.table.Lock(3)
	ended := make(chan struct{})
	go func() { r.Expire(); close(ended) }()
	before := look()
	for deadline := time.Now().Add(patience); before.Steps != 1+3; before = look() { // it has begun, and taken three locks
		if time.Now().After(deadline) {
			shard.Unlock()
			t.Fatalf("waited in vain for expiry to come to the lock that hangs: %+v", before)
		}
	}
	if p := look(); !p.AtWork || p != before {
		t.Errorf("while a lock hangs: %+v after %+v", p, before)
	}
	shard.Unlock()
	<-ended
	if p := look(); p.AtWork || p.Steps <= before.Steps {
		t.Errorf("at the end: %+v after %+v", p, before)
	}
}
