package appliance

import (
	"context"
	"testing"

	"binrepd/userspace/out/resync"
	"binrepd/userspace/watch/control"
)

// TestASyncIsConfirmedByAnotherAppliance: all has arrived, and has been applied, when the sync says so.
func TestASyncIsConfirmedByAnotherAppliance(t *testing.T) {
	a, b := start(t, testConfig()), start(t, testConfig())
	a.feed(calls)
	for _, rate := range []int{0, 100_000} {
		s, err := a.Sync(context.Background(), control.SyncRequest{To: b.Listening()[0].String(), Rate: rate, Passes: 1}, func(control.SyncProgress) {})
		if err != nil || s.Arrived != control.ArrivedAll || !s.Complete {
			t.Errorf("%+v, %v", s, err)
		}
		if got := b.Status(); got.Dialogs != calls { // no waiting: it has said that all arrived
			t.Errorf("it has %d of %d", got.Dialogs, calls)
		}
	}
	for _, s := range [...]control.Status{a.Status(), b.Status()} {
		if len(s.Sources) != 1 {
			t.Errorf("questions and answers make sources: %+v", s.Sources)
		}
	}
}

// TestWordsOfAnArrival: those of the session are those of the control socket.
func TestWordsOfAnArrival(t *testing.T) {
	for a, want := range map[resync.Arrival]string{
		resync.NotConfirmed: control.NotConfirmed, resync.All: control.ArrivedAll,
		resync.Missing: control.ArrivedMissing, resync.Unclear: control.ArrivedUnclear,
	} {
		if a.String() != want {
			t.Errorf("%q, want %q", a, want)
		}
	}
}
