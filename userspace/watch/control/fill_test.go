package control

import (
	"testing"
	"time"
)

func TestFullIn(t *testing.T) {
	start := time.Unix(testNow, 0)
	const gib = 1 << 30
	// at is a status with this much memory of 1 GiB and this many dialogs of 10,000.
	at := func(memory, dialogs uint64) *Status {
		return &Status{Memory: Memory{Used: memory, Limit: gib}, Dialogs: dialogs, MaxDialogs: 10_000}
	}
	for _, c := range []struct {
		name    string
		seconds int
		status  func(second int) *Status
		want    float64 // within 5 %; -1: no prediction
	}{
		{"no growth", 400, func(int) *Status { return at(gib/2, 500) }, -1},
		{"shrinking", 400, func(s int) *Status { return at(gib/2-uint64(s), 500) }, -1},
		{"too young", 20, func(s int) *Status { return at(uint64(s)<<20, 500) }, -1},
		{"memory", 150, func(s int) *Status { return at(uint64(s)<<20, 500) }, 874},
		{"dialogs", 150, func(s int) *Status { return at(uint64(s)<<10, 5000+10*uint64(s)) }, 350},
		{"46 dialogs in 34 s", 34, func(s int) *Status { return at(uint64(s)<<16, uint64(s)*46/34) }, -1},
		{"the first few calls", 200, func(s int) *Status { return at(uint64(s)<<10, uint64(s)/25) }, -1},
		{"only lately", 1000, func(s int) *Status { return at(0, uint64(max(s-850, 0))*10) }, 1700},
		{"full", 5, func(int) *Status { return at(gib/2, 10_000) }, 0},
		{"no limit", 150, func(s int) *Status { return &Status{Dialogs: uint64(s)} }, -1},
	} {
		var h History
		for s := range c.seconds {
			h.Sample(start.Add(time.Duration(s)*time.Second), c.status(s))
		}
		now := c.status(c.seconds)
		h.Complete(start.Add(time.Duration(c.seconds)*time.Second), now)
		switch got := now.FullIn; {
		case (got == nil) != (c.want < 0):
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		case got != nil && (*got < c.want*0.95 || *got > c.want*1.05):
			t.Errorf("%s: %v, want %v", c.name, *got, c.want)
		}
	}
}
