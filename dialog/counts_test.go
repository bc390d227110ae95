package dialog

import (
	"testing"
	"time"
)

// TestCountsHoldUpNobody: Counts takes no lock that a change takes.
func TestCountsHoldUpNobody(t *testing.T) {
	table := newTable(t, Config{Shards: 4})
	for i, d := range []Details{
		{CallID: "answered", FromTag: "a", ToTag: "b", State: Answered, Start: 1, Timeout: epoch + 100},
		{CallID: "confirmed", FromTag: "a", ToTag: "b", State: Confirmed, Start: 1, Timeout: epoch + 100},
		{CallID: "early", FromTag: "a", State: Early, Start: 1, Timeout: epoch + 100},
	} {
		ev := snapshotEvent(t, Create, d)
		ev.Hash = uint32(i) << 30
		s := table.Lock(table.ShardOf(ev.Hash))
		s.Apply([]*Event{ev}, epoch)
		s.Unlock()
	}
	want := table.Counts()
	if want.Answered != 1 || want.Confirmed != 1 || want.Early != 1 || want.Bytes == 0 || want.Dealt == 0 || want.Mapped < want.Dealt {
		t.Errorf("%+v", want)
	}
	for i := range table.Shards() {
		table.Lock(i)
	}
	var got Counts
	counted := make(chan struct{})
	go func() { got = table.Counts(); close(counted) }()
	select {
	case <-counted:
	case <-time.After(time.Minute): // no measure of speed
		t.Error("Counts waits for a lock that a change takes")
	}
	for i := range table.Shards() {
		table.shards.At(i).Unlock()
	}
	<-counted
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
