package resync_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/out/resync"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/wire/bin1"
)

// rule is a policy with one rule, so that sockets that it doesn't name are counted.
var rule = shield.Policy{Rewrites: []shield.SocketRewrite{{Old: "udp:10.0.0.1:5060", New: home}}}

// TestLiveCallsComeFirst: ends, of which there may be a hundred times as many, wait until all live calls are at the standby.
func TestLiveCallsComeFirst(t *testing.T) {
	for name, rate := range map[string]int{"paced": 4000, "at most": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAppliance(t, 0)
				for n := range 3000 {
					a.takeDetails(dialog.Create, call(n))
					if n%30 != 0 {
						a.takeDetails(dialog.Delete, call(n))
					}
				}
				l := &lengthsSent{}
				s, err := resync.New(resync.Config{Table: a.table, Sink: l, OpenTail: a.tail, To: standby, Rate: rate, Passes: 1})
				if err != nil {
					t.Fatal(err)
				}
				sum, err := s.Run(context.Background())
				if err != nil || sum.Dialogs != 100 || sum.Deletions != 2900 {
					t.Fatalf("%+v, %v", sum, err)
				}
				first := 0
				for first < len(l.kinds) && l.kinds[first] != dialog.Delete {
					first++
				}
				for _, kind := range l.kinds[first:] {
					if kind != dialog.Delete {
						t.Fatalf("a live call behind the first of %d ends", sum.Deletions)
					}
				}
			})
		})
	}
}

// TestWhichEnds: all, those from a moment on, or none. Ends that come during the sync are always sent.
func TestWhichEnds(t *testing.T) {
	for name, c := range map[string]struct {
		from                func(begin time.Time) uint32
		deletions, skipped  uint64
		total, stillStandby int
	}{
		"all":    {func(time.Time) uint32 { return 0 }, 20, 0, 120, 0},
		"recent": {func(b time.Time) uint32 { return uint32(b.Unix()) + 5 }, 10, 10, 120, 10},
		"none":   {func(time.Time) uint32 { return resync.NoEnds }, 0, 20, 100, 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, begin := newAppliance(t, 0), time.Now()
				l := newWire(home)
				for n := range 121 {
					a.takeDetails(dialog.Create, call(n))
					d := call(n)
					l.standby.Handle(bin1.Append(nil, dialog.Create, d.AppendPacked(nil)), begin.Unix())
				}
				calls := a.live()
				for n := range 10 {
					a.takeDetails(dialog.Delete, call(n))
				}
				time.Sleep(10 * time.Second) // of the test's own clock
				for n := range 10 {
					a.takeDetails(dialog.Delete, call(10+n))
				}
				once := false
				l.meanwhile = func(int) {
					if !once {
						once = true
						a.takeDetails(dialog.Delete, call(120))
					}
				}
				s, err := a.sync(l, func(cfg *resync.Config) { cfg.EndsFrom = c.from(begin) })
				if err != nil || s.Deletions < c.deletions || s.Deletions > c.deletions+1 || s.Skipped != c.skipped {
					t.Errorf("%+v, %v", s, err)
				}
				if got := len(l.standby.Live()); got != 100+c.stillStandby {
					t.Errorf("the standby has %d of %d", got, len(calls))
				}
				if s.Total != uint64(c.total)+1 {
					t.Errorf("%d entries were expected", s.Total)
				}
			})
		})
	}
}

// TestAnEndThatWouldHitALiveCall: a later call has the same Call-ID, with the tags in the other order. A deletion names them in either order.
func TestAnEndThatWouldHitALiveCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAppliance(t, 0)
		old, now := call(1), call(1)
		old.Start -= 100
		now.FromTag, now.ToTag = old.ToTag, old.FromTag
		a.takeDetails(dialog.Create, old)
		a.takeDetails(dialog.Delete, old)
		a.takeDetails(dialog.Create, now)
		if len(a.live()) != 1 {
			t.Skip("the table keeps only one of the two")
		}
		l := newWire(home)
		s, err := a.sync(l, nil)
		if got := l.standby.Live(); err != nil || len(got) != 1 || got[0].FromTag != now.FromTag {
			t.Errorf("the standby has %v: %+v, %v", got, s, err)
		}
	})
}

// TestTheTimeLeftCountsEverything: dialogs that take several packets each, and ends that take one.
func TestTheTimeLeftCountsEverything(t *testing.T) {
	for name, c := range map[string]struct{ live, ended int }{"mostly ends": {100, 3900}, "mostly calls": {2000, 100}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAppliance(t, 0)
				for n := range c.live + c.ended {
					a.takeDetails(dialog.Create, call(n))
					if n >= c.live {
						a.takeDetails(dialog.Delete, call(n))
					}
				}
				var reports []resync.Progress
				s, err := a.sync(newWire(home), func(cfg *resync.Config) {
					cfg.Rate, cfg.Passes, cfg.Replace = 1000, 1, true
					cfg.OnProgress = func(p resync.Progress) { reports = append(reports, p) }
				})
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range reports[len(reports)/4 : len(reports)-1] { // at the beginning, much of what was read waits
					if got, want := p.Elapsed+p.Remaining(), s.Duration; got < want*3/4 || got > want*5/4 {
						t.Fatalf("after %v, %v are left of %v", p.Elapsed, p.Remaining(), want)
					}
				}
			})
		})
	}
}
