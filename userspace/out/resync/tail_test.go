package resync_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"binrepd/dialog"
	"binrepd/userspace/out/resync"
	"binrepd/userspace/out/shield"
)

// TestSocketsOfChangesAreTold: what is sent behind the table may have sockets that no rule names, too, which no dialog in the table had when it
// was its turn.
func TestSocketsOfChangesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAppliance(t, 0)
		for n := range 100 {
			a.takeDetails(dialog.Create, call(n))
		}
		l, once := newWire(home), false
		l.meanwhile = func(int) {
			if d := call(200); !once {
				once, d.CalleeSocket = true, "tls:10.0.0.1:5061"
				a.takeDetails(dialog.Create, d)
				a.takeDetails(dialog.Delete, d)
			}
		}
		s, err := a.sync(l, func(c *resync.Config) {
			c.Policy = shield.Policy{Rewrites: []shield.SocketRewrite{{Old: "udp:10.0.0.1:5060", New: home}}}
		})
		if err != nil || s.TailEvents != 2 || s.Tail.Unmatched != 1 || fmt.Sprint(s.Tail.Sockets) != "[{tls:10.0.0.1:5061 1}]" {
			t.Errorf("%+v, %v", s, err)
		}
		if s.Unmatched != 0 || len(s.Sockets) != 0 {
			t.Errorf("of the table: %+v", s.Report)
		}
	})
}
