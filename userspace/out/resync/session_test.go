package resync_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/out/resync"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/wire/bin1"
)

const ours = "udp:192.0.2.10:5060" // of bintest.Proxy

// TestTheStandbyHasTheStateOfTheEnd lets calls begin, go on and end between any two batches. The long form has ten courses of events for
// each way to send.
func TestTheStandbyHasTheStateOfTheEnd(t *testing.T) {
	seeds := uint64(1)
	if long() {
		seeds = 10
	}
	for name, change := range map[string]func(*resync.Config){
		"at most": nil,
		"paced":   func(c *resync.Config) { c.Rate = 4000 },
		"replace": func(c *resync.Config) { c.Replace = true },
		"slow":    func(c *resync.Config) { c.Rate, c.Passes = 500, 1 },
	} {
		for seed := range seeds {
			t.Run(fmt.Sprint(name, " ", seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := newAppliance(t, 0)
					p, random := newProxy(seed, 1200), seeded(seed)
					a.fill(p, 1000)
					// The standby knows a part already, some of it older, and calls that ended.
					l := newWire(ours)
					for i, d := range a.live() {
						if i%3 == 0 {
							l.standby.Handle(bin1.Append(nil, dialog.Create, d.AppendPacked(nil)), time.Now().Unix())
						}
					}
					var buf []byte
					var mu sync.Mutex
					l.meanwhile = func(messages int) {
						mu.Lock()
						defer mu.Unlock()
						for range messages {
							if random.IntN(4) > 0 {
								continue
							}
							buf = p.Next(buf[:0])
							if random.IntN(3) == 0 {
								buf = p.AppendRefresh(buf[:0])
							}
							a.take(buf)
						}
					}
					l.meanwhile(400)
					tail := &watched{a: a, mu: &mu, meanwhile: l.meanwhile}
					s, err := a.sync(l, func(c *resync.Config) {
						c.OpenTail = func() resync.Tail { tail.Tail = a.tail(); return tail }
						if change != nil {
							change(c)
						}
					})
					if err != nil || !s.Complete {
						t.Fatalf("%+v, %v", s, err)
					}
					if s.TailEvents == 0 || s.Overruns != 0 || s.Packets != uint64(l.packets) || s.HeldBack() != 0 {
						t.Errorf("%+v", s)
					}
					a.compare(l, tail.live, name == "replace")
				})
			})
		}
	}
}

// TestEventsOfAnotherGoroutine is the same for the race detector, in real time.
func TestEventsOfAnotherGoroutine(t *testing.T) {
	a := newAppliance(t, 0)
	p := newProxy(1, 1200)
	a.fill(p, 1000)
	l := newWire(ours)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		var buf []byte
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Microsecond):
				buf = p.Next(buf[:0])
				a.take(buf)
			}
		}
	})
	for range 3 {
		if s, err := a.sync(l, nil); err != nil || !s.Complete {
			t.Fatalf("%+v, %v", s, err)
		}
	}
	close(stop)
	wg.Wait()
	if _, err := a.sync(l, nil); err != nil {
		t.Fatal(err)
	}
	a.compare(l, a.live(), false)
}

func TestWhatIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAppliance(t, 0)
		changed, early, expired, odd, ended := call(1), call(2), call(3), call(4), call(5)
		early.State, early.ToTag, early.Start = dialog.Early, "", 0
		expired.Timeout = uint32(time.Now().Unix())
		odd.Vars = "#|"
		for _, d := range []dialog.Details{changed, early, expired, odd, ended} {
			a.takeDetails(dialog.Create, d)
		}
		a.takeDetails(dialog.Delete, ended)
		// The standby has another view of the first, and one that ended.
		stale := changed
		stale.State, stale.Vars, stale.CallerContact, stale.CalleeCSeq = dialog.Answered, "old#1|", "sip:old@x", "9"
		l := newWire(home)
		for _, d := range []dialog.Details{stale, ended} {
			l.standby.Handle(bin1.Append(nil, dialog.Create, d.AppendPacked(nil)), time.Now().Unix())
		}
		s, err := a.sync(l, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.Dialogs != 1 || s.Deletions != 1 || s.Expired != 1 || s.Packets != 2 || s.Passes != 1 ||
			s.Held[shield.BeingSetUp] != 1 || s.Held[shield.UnreadableVars] != 1 || s.Visited != 5 || s.Total != 5 {
			t.Errorf("%+v", s)
		}
		want := changed
		want.Vars, want.CallerContact = "v#1|old#1|", "sip:old@x" // what an update leaves behind
		if got := l.standby.Live(); len(got) != 1 || got[0] != want {
			t.Errorf("the standby has\n%+v, want\n%+v", got, want)
		}
		if _, err = a.sync(l, func(c *resync.Config) { c.Replace = true }); err != nil {
			t.Fatal(err)
		}
		if got := l.standby.Live(); len(got) != 1 || got[0] != changed {
			t.Errorf("replaced, the standby has\n%+v, want\n%+v", got, changed)
		}
	})
}

func TestRewritingAndItsReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAppliance(t, 0)
		for n := range 100 {
			d := call(n)
			if d.CallerSocket, d.CalleeSocket = "udp:10.0.0.1:5060", "udp:10.0.0.1:5060"; n%10 == 0 {
				d.CalleeSocket = "tcp:10.0.0.1:5060"
			}
			a.takeDetails(dialog.Create, d)
		}
		rules := func(c *resync.Config) {
			c.Policy = shield.Policy{Rewrites: []shield.SocketRewrite{{Old: "udp:10.0.0.1:5060", New: home}}}
		}
		dry := newWire(home)
		for _, l := range []*wire{dry, newWire(home)} {
			s, err := a.sync(l, func(c *resync.Config) { rules(c); c.DryRun = l == dry; c.Passes = 2 })
			if err != nil || s.Unmatched != 10 || s.Dialogs != 100 || fmt.Sprint(s.Sockets) != "[{tcp:10.0.0.1:5060 10}]" {
				t.Errorf("%+v, %v", s, err)
			}
			if l == dry {
				if l.packets != 0 || s.Packets != 100 || s.Passes != 1 {
					t.Errorf("a dry run sent %d packets: %+v", l.packets, s)
				}
				continue
			}
			if st := l.standby.Statistics(); st.Active != 90 || st.RefusedSocket != 20 {
				t.Errorf("the standby: %+v", st)
			}
		}
	})
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAppliance(t, 0)
		a.fill(newProxy(1, 3000), 2000)
		l := newWire(ours)
		var reports []resync.Progress
		begin := time.Now()
		s, err := a.sync(l, func(c *resync.Config) {
			c.Rate = 4000
			c.OnProgress = func(p resync.Progress) { reports = append(reports, p) }
		})
		took := time.Since(begin)
		if err != nil || s.Passes != resync.DefaultPasses || s.Packets < 4000 {
			t.Fatalf("%+v, %v", s, err)
		}
		want := time.Duration(s.Packets) * time.Second / 4000
		if took > want+50*time.Millisecond || took < want-50*time.Millisecond || s.Duration != took {
			t.Errorf("%d packets took %v (%v), want %v", s.Packets, took, s.Duration, want)
		}
		if l.largest > 4 {
			t.Errorf("bursts of %d packets", l.largest)
		}
		for i := 1; i < len(reports); i++ {
			if reports[i].Packets < reports[i-1].Packets || reports[i].Pass < reports[i-1].Pass {
				t.Errorf("progress goes from %+v to %+v", reports[i-1], reports[i])
			}
		}
		if n := len(reports); n < 8 || !reports[n-1].Done || reports[n-1].Packets != s.Packets {
			t.Errorf("%d reports, the last %+v", n, reports[n-1])
		} else if left := reports[n/2].Remaining(); left < took/4 || left > 3*took/4 {
			t.Errorf("half way, %v of %v were left", left, took)
		}
	})
}

func TestTwoPassesMendLosses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAppliance(t, 0)
		a.fill(newProxy(1, 5000), 5000)
		l, random := newWire(ours), seeded(1)
		l.lose = func() bool { return random.IntN(25) == 0 } // and both packets of a dialog: one of 625
		s, err := a.sync(l, func(c *resync.Config) { c.Passes = 2 })
		if err != nil || s.Passes != 2 {
			t.Fatalf("%+v, %v", s, err)
		}
		missing := s.Dialogs - uint64(len(l.standby.Live()))
		if missing == 0 || missing*300 > s.Dialogs {
			t.Errorf("%d of %d are missing", missing, s.Dialogs)
		}
	})
}

func TestFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAppliance(t, 0)
		for n := range 100 {
			a.takeDetails(dialog.Create, call(n))
		}
		a.takeDetails(dialog.Delete, call(7))
		a.takeDetails(dialog.Delete, call(11))
		l := newWire(home)
		once := false
		l.meanwhile = func(int) {
			if !once {
				once = true
				a.takeDetails(dialog.Create, call(107))
				a.takeDetails(dialog.Create, call(108))
			}
		}
		s, err := a.sync(l, func(c *resync.Config) {
			c.Filter = func(s resync.Subject) bool {
				if s.Origin != 1 || s.Kind != dialog.Delete && (s.State != dialog.Confirmed || s.Timeout == 0 || s.Start == 0) {
					t.Errorf("asked about %+v", s)
				}
				id, _ := s.Body.Part()
				return strings.HasSuffix(string(id), "7@example.org")
			}
		})
		// The two that came may have been met by the scan, too.
		if err != nil || s.Dialogs < 9 || s.Dialogs > 10 || s.Deletions != 1 || s.Filtered < 90 || s.Filtered > 91 || s.TailEvents != 2 {
			t.Errorf("%+v, %v", s, err)
		}
		if got := len(l.standby.Live()); got != 10 {
			t.Errorf("the standby has %d", got)
		}
	})
}
