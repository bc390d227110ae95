package resync_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"binrepd/dialog"
	"binrepd/userspace/out/resync"
)

// TestTheStandbyKnowsTheCSeq: an OpenSIPS builds a dialog with the caller's CSeq 0, whatever the packet says. Only an update behind that sets it,
// and without it the standby's own BYE carries a number that the phone refuses.
func TestTheStandbyKnowsTheCSeq(t *testing.T) {
	for name, change := range map[string]func(*resync.Config){
		"one pass":   func(c *resync.Config) { c.Rate, c.Passes = 4000, 1 },
		"two passes": func(c *resync.Config) { c.Rate, c.Passes = 4000, 2 },
		"replace":    func(c *resync.Config) { c.Rate, c.Passes, c.Replace = 4000, 1, true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAppliance(t, 0)
				busy := func(n int) dialog.Details {
					d := call(n)
					d.CallerCSeq, d.CalleeCSeq, d.CalleeSocket = "8", "3", "udp:192.0.2.99:5060"
					if n > 0 {
						d.CalleeSocket = home
					}
					return d
				}
				for n := range 100 {
					a.takeDetails(dialog.Create, busy(n))
				}
				l, once := newWire(home), false
				l.meanwhile = func(int) { // a call that begins during the sync
					if !once {
						once = true
						a.takeDetails(dialog.Create, busy(200))
					}
				}
				s, err := a.sync(l, func(c *resync.Config) {
					change(c)
					c.Policy = rule
				})
				if err != nil {
					t.Fatal(err)
				}
				live := l.standby.Live()
				if len(live) != 100 { // without the one whose socket is not the standby's
					t.Errorf("%d dialogs", len(live))
				}
				for _, d := range live {
					if d.CallerCSeq != "8" || d.CalleeCSeq != "3" {
						t.Fatalf("%s: CSeqs %s and %s", d.CallID, d.CallerCSeq, d.CalleeCSeq)
					}
				}
				if s.Unmatched != 1 || fmt.Sprint(s.Sockets) != "[{udp:192.0.2.99:5060 1}]" {
					t.Errorf("what is sent again is counted again: %+v", s.Report)
				}
			})
		})
	}
}
