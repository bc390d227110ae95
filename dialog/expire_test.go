package dialog

import (
	"fmt"
	"testing"
	"time"

	"binrepd/userspace/state/store"
)

func TestExpire(t *testing.T) {
	const hour = 3600
	live := Details{CallID: "live", FromTag: "a", ToTag: "b", State: Answered, Timeout: epoch + hour}
	early := Details{CallID: "early", FromTag: "a", State: Early, Timeout: epoch - hour}
	gone := Details{CallID: "gone", FromTag: "a", ToTag: "b"}
	table := newTable(t, Config{Tombstone: 10 * time.Second, EarlyTimeout: 20500 * time.Millisecond, ExpiryGrace: 30 * time.Second})
	apply(t, table, epoch, snapshotEvent(t, Create, live), snapshotEvent(t, Update, early), deleteEvent(t, gone))
	apply(t, table, epoch+9, deleteEvent(t, gone)) // repeating it doesn't prolong
	apply(t, table, epoch+9, snapshotEvent(t, Update, early))
	for _, c := range []struct {
		now  int64
		want Expired
	}{
		{epoch - hour, Expired{}},
		{epoch + 9, Expired{}},
		{epoch + 10, Expired{Tombstones: 1}},
		{epoch + 20, Expired{}},
		{epoch + 21, Expired{Early: 1}},
		{epoch + hour + 29, Expired{}},
		{epoch + hour + 30, Expired{Live: 1}},
		{epoch + hour + 30, Expired{}},
	} {
		if got := table.Expire(c.now); got != c.want {
			t.Errorf("at %+d: expired %+v, want %+v", c.now-epoch, got, c.want)
		}
	}
	if c := table.Counts(); c.Live()+c.Early+c.Tombstones+c.Bytes != 0 {
		t.Errorf("left %+v", c)
	}
}

func TestExpireMovesWithTheTimeout(t *testing.T) {
	table := newTable(t, Config{ExpiryGrace: -1})
	d := Details{CallID: "c", FromTag: "a", ToTag: "b", State: Confirmed, Timeout: epoch + 100}
	apply(t, table, epoch, snapshotEvent(t, Create, d))
	d.Timeout = epoch + 200
	apply(t, table, epoch, snapshotEvent(t, Update, d))
	if got := table.Expire(epoch + 199); got != (Expired{}) {
		t.Errorf("prolonged, but expired %+v", got)
	}
	d.Timeout = epoch + 150
	apply(t, table, epoch, snapshotEvent(t, Update, d))
	if got := table.Expire(epoch + 150); got != (Expired{Live: 1}) {
		t.Errorf("shortened, but expired %+v", got)
	}
}

// Times at the end of 32 bits saturate: nothing goes too early.
func TestExpireSaturates(t *testing.T) {
	table := newTable(t, Config{Tombstone: 1000000 * time.Hour, ExpiryGrace: 1000000 * time.Hour})
	d := Details{CallID: "c", FromTag: "a", ToTag: "b", State: Confirmed, Timeout: 1<<32 - 1}
	apply(t, table, epoch, snapshotEvent(t, Create, d), deleteEvent(t, Details{CallID: "d"}))
	if got := table.Expire(store.MaxDeadline - 1); got != (Expired{}) {
		t.Errorf("expired %+v", got)
	}
	apply(t, table, 1<<40, deleteEvent(t, Details{CallID: "e"}))
	apply(t, table, -5, snapshotEvent(t, Update, Details{CallID: "f", State: Early}))
	if got := table.Expire(-1); got != (Expired{}) {
		t.Errorf("before the epoch: expired %+v", got)
	}
	if got := table.Expire(1 << 40); got != (Expired{Live: 1, Tombstones: 2, Early: 1}) {
		t.Errorf("after all time: expired %+v", got)
	}
}

// A timeout beyond all reason doesn't keep a dialog for ever. Ten years, which proxies do write, are believed.
func TestExpireClampsTimeouts(t *testing.T) {
	const year = 365 * 24 * 3600
	table := newTable(t, Config{ExpiryGrace: -1})
	for i, timeout := range []uint32{epoch + 10*year, epoch + 20*year, epoch + 25*year, 1<<32 - 1} {
		apply(t, table, epoch, snapshotEvent(t, Create, Details{CallID: fmt.Sprint(i), State: Confirmed, Timeout: timeout}))
	}
	if n := table.Counts().Clamped; n != 2 {
		t.Errorf("%d timeouts clamped, want 2", n)
	}
	latest := int64(epoch + DefaultMaxLifetime/time.Second)
	for _, step := range []struct {
		at   int64
		want int
	}{{epoch + 10*year - 1, 0}, {epoch + 10*year, 1}, {epoch + 20*year, 1}, {latest - 1, 0}, {latest, 2}} {
		if got := table.Expire(step.at); got != (Expired{Live: step.want}) {
			t.Errorf("at %d expired %+v, want %d", step.at-epoch, got, step.want)
		}
	}
}

// Entries of one chain expire one by one, and the others can still be found.
func TestExpireInsideAChain(t *testing.T) {
	table := newTable(t, Config{ExpiryGrace: -1})
	const many = 100
	for n := range many {
		apply(t, table, epoch, snapshotEvent(t, Create, Details{
			CallID: "c", FromTag: fmt.Sprint(n), State: Answered, Timeout: uint32(epoch + n*37%many),
		}))
	}
	for now := range many {
		if got := table.Expire(int64(epoch + now)); got != (Expired{Live: 1}) {
			t.Fatalf("at %+d: expired %+v, want one", now, got)
		}
		left := 0
		table.Get(steer("c"), []byte("c"), func(v *View) bool {
			if left++; v.Timeout() <= uint32(epoch+now) {
				t.Errorf("at %+d: one of %+d is left", now, v.Timeout()-epoch)
			}
			return true
		})
		if left != many-1-now {
			t.Fatalf("at %+d: %d left, want %d", now, left, many-1-now)
		}
	}
}
