package shield

import (
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1/bin1test"
)

// TestExpiredIsHeldBack: a snapshot whose timeout has passed stays here; the end of such a dialog goes out.
func TestExpiredIsHeldBack(t *testing.T) {
	const now = 1_000
	s, err := New(Policy{Now: func() time.Time { return time.Unix(now, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	process := func(s *Shield, kind dialog.Kind, body []byte) ([]byte, Outgoing) {
		c := bin1test.Unframed(kind, body)
		return s.Process(nil, &c)
	}
	for timeout, want := range map[uint32]Reason{0: Expired, now - 1: Expired, now: Expired, now + 1: Passed} {
		d := dialog.Details{CallID: "c", State: dialog.Confirmed, Timeout: timeout}
		for _, kind := range []dialog.Kind{dialog.Create, dialog.Update} {
			if _, out := process(s, kind, d.AppendPacked(nil)); out.Held != want {
				t.Errorf("%s with timeout %d at %d: %s, want %s", kind, timeout, now, out.Held, want)
			}
		}
		if _, out := process(s, dialog.Delete, d.AppendKey(nil)); out.Held != Passed {
			t.Errorf("deletion: %s", out.Held)
		}
		d.State = dialog.Ended
		if _, out := process(s, dialog.Update, d.AppendPacked(nil)); out.Held != Passed || out.Kind != dialog.Delete {
			t.Errorf("end: %s, %s", out.Held, out.Kind)
		}
	}
}
