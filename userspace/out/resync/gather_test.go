package resync_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/socket"
	"binrepd/userspace/out/resync"
	"binrepd/userspace/wire/bin1"
)

// lengthsSent keeps what kind and length each message of a session has.
type lengthsSent struct {
	kinds   []dialog.Kind
	lengths []int
}

func (l *lengthsSent) Send(m []packets.Message) (int, error) {
	for i := range m {
		var ev dialog.Event
		if v := bin1.Decode(m[i].Payload, &ev); v != bin1.Dialog {
			return i, fmt.Errorf("a packet that is %v", v)
		}
		l.kinds, l.lengths = append(l.kinds, ev.Kind), append(l.lengths, len(m[i].Payload))
	}
	return len(m), nil
}

// TestWithoutAPaceByLength: snapshots before deletions, of each the longest first.
func TestWithoutAPaceByLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAppliance(t, 0)
		a.fill(newProxy(1, 3000), 3000)
		for i, d := range a.live() {
			if i%10 == 0 {
				a.takeDetails(dialog.Delete, d)
			}
		}
		l := &lengthsSent{}
		s, err := resync.New(resync.Config{Table: a.table, Sink: l, OpenTail: a.tail, To: standby})
		if err != nil {
			t.Fatal(err)
		}
		sum, err := s.Run(context.Background())
		if err != nil || sum.Deletions < 300 || sum.Dialogs != 2700 || len(l.kinds) != int(sum.Packets) {
			t.Fatalf("%+v, %v", sum, err)
		}
		for i := range l.kinds {
			if (l.kinds[i] == dialog.Delete) != (i >= int(sum.Dialogs)) {
				t.Fatalf("message %d of %d deletions and %d snapshots: %v", i, sum.Deletions, sum.Dialogs, l.kinds[i])
			}
			if i > 0 && i != int(sum.Dialogs) && l.lengths[i] > l.lengths[i-1] {
				t.Fatalf("message %d of %d bytes comes behind one of %d", i, l.lengths[i], l.lengths[i-1])
			}
		}
	})
}

// TestReplaceTogether: a dialog's deletion is followed by its creation.
func TestReplaceTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAppliance(t, 0)
		a.fill(newProxy(1, 3000), 3000)
		l := &lengthsSent{}
		s, err := resync.New(resync.Config{Table: a.table, Sink: l, OpenTail: a.tail, To: standby, Replace: true})
		if err != nil {
			t.Fatal(err)
		}
		if sum, err := s.Run(context.Background()); err != nil || sum.Dialogs != 3000 {
			t.Fatalf("%+v, %v", sum, err)
		}
		for i, deleted := int(0), false; i < len(l.kinds); i++ {
			if l.kinds[i] == dialog.Create && !deleted {
				t.Fatalf("message %d: a creation without a deletion before it", i)
			}
			deleted = l.kinds[i] == dialog.Delete
		}
	})
}

// TestManyChunksWhileCallsGoOn is TestTheStandbyHasTheStateOfTheEnd with a table of several chunks.
func TestManyChunksWhileCallsGoOn(t *testing.T) {
	const dialogs = 10_000
	synctest.Test(t, func(t *testing.T) {
		a := newAppliance(t, 0)
		p, random := newProxy(7, dialogs), seeded(7)
		a.fill(p, dialogs)
		l := newWire(ours)
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
		tail := &watched{a: a, mu: &mu, meanwhile: l.meanwhile}
		s, err := a.sync(l, func(c *resync.Config) {
			c.OpenTail = func() resync.Tail { tail.Tail = a.tail(); return tail }
		})
		if err != nil || !s.Complete || s.TailEvents < dialogs/10 || s.Overruns != 0 || s.Packets != uint64(l.packets) {
			t.Fatalf("%+v, %v", s, err)
		}
		a.compare(l, tail.live, false)
	})
}

// TestOverARealSocket hands a table over on the loopback: nearly everything leaves in runs, and all of it arrives.
func TestOverARealSocket(t *testing.T) {
	const dialogs = 20_000
	a, r := newAppliance(t, 0), newReplica(t)
	if bytes, clipped := r.socket.ReceiveBuffer(); clipped {
		const lacking = "no privilege for more than %d bytes of receive buffer, which %d dialogs don't fit into"
		if os.Getenv("BINREPD_REQUIRE_KERNEL") == "1" { // as bpftest has it, importing which would have all tests here run alone
			t.Fatalf("BINREPD_REQUIRE_KERNEL=1 forbids to skip: "+lacking, bytes, dialogs)
		}
		t.Skipf("SKIPPED: "+lacking+" (BINREPD_REQUIRE_KERNEL=1 makes this a failure)", bytes, dialogs)
	}
	a.fill(newProxy(1, dialogs), dialogs)
	sender, err := socket.NewSender(context.Background(), netip.MustParseAddrPort("127.0.0.1:0"), socket.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	s, err := resync.New(resync.Config{
		Table: a.table, Sink: sender, OpenTail: a.tail, To: packets.EndpointOf(r.socket.LocalAddr()),
	})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := s.Run(context.Background())
	if err != nil || sum.Dialogs != dialogs {
		t.Fatalf("%+v, %v", sum, err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		s := r.engine.Status()
		if s.Table.Live() == dialogs {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d have come", s.Table.Live(), dialogs)
		}
	}
	if st := sender.Stats(); st.Sent != sum.Packets || st.Merged < st.Sent*9/10 {
		t.Errorf("%+v", st)
	}
}
