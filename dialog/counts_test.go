package dialog

import (
	"testing"
	"time"
)

// TestCountsHoldUpNobody: whoever counts takes no lock that a change takes, and looks at no dialog, so that it doesn't matter how many there are.
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
	type memory struct{ slab, index []byte }
	var taken []memory
	for i := range table.shards {
		s := table.Lock(i)
		taken = append(taken, memory{s.slab.mem, s.index.mem})
		s.slab.mem, s.index.mem = nil, nil // to look at a dialog would panic
	}
	table.arena.mu.Lock()
	var got Counts
	counted := make(chan struct{})
	go func() { got = table.Counts(); close(counted) }()
	select {
	case <-counted:
	case <-time.After(time.Minute): // no measure of speed
		t.Error("whoever counts waits for a lock that a change takes")
	}
	table.arena.mu.Unlock()
	for i, m := range taken {
		s := &table.shards[i]
		s.slab.mem, s.index.mem = m.slab, m.index
		s.Unlock()
	}
	<-counted
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
