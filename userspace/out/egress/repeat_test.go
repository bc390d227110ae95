package egress

import (
	"testing"
	"testing/synctest"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/packets/packetstest"
)

// TestTheFirstUpdateGoesOutTwice: a backup that may not know a call takes the CSeq from the second update only (fault 6).
func TestTheFirstUpdateGoesOutTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := packetstest.NewSink()
		e := newEgress(t, Config{Sink: sink})
		add(t, e, Destination{Address: standby})
		changes, taken := 0, 0
		tell := func(kind dialog.Kind, began bool, want int) {
			t.Helper()
			c := changeOf(kind, dialog.Details{CallID: "c", State: dialog.Confirmed, Timeout: never, CallerCSeq: "8"}, other)
			c.Began = began
			forward(e, c)
			changes++
			rest()
			sent := sink.Sent()[taken:]
			taken += len(sent)
			for _, p := range sent {
				if callID(p) != "c" || string(p.Payload) != string(c.Bytes) {
					t.Errorf("sent %q", p.Payload)
				}
			}
			if len(sent) != want || sum(only(t, e)) != uint64(changes) {
				t.Errorf("%d packets, want %d; %d changes, %+v", len(sent), want, changes, only(t, e))
			}
		}
		tell(dialog.Create, false, 1)
		tell(dialog.Update, false, 1)
		tell(dialog.Update, true, 2)
		sink.Report(endpoint(standby), packets.ErrRefused)
		time.Sleep(10 * time.Second) // it returns, and may lack calls
		taken = len(sink.Sent())
		tell(dialog.Create, false, 1)
		tell(dialog.Update, false, 2)
		e.Syncing(endpoint(standby))(false)
		tell(dialog.Update, false, 1)
		if d := only(t, e); d.Repeated != 2 || d.Sent[dialog.Update] != 4 {
			t.Errorf("%+v", d)
		}
	})
}
