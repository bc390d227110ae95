package egress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/packets/packetstest"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const standby, other = "192.0.2.1:5556", "192.0.2.2:5556"

func endpoint(address string) packets.Endpoint {
	return packets.EndpointOf(netip.MustParseAddrPort(address))
}

// lines is a log in memory.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

func newEgress(t testing.TB, cfg Config) *Egress {
	t.Helper()
	if cfg.Journal == 0 {
		cfg.Journal = minSegments * segmentSize
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		e.Close(ended)
	})
	return e
}

func add(t testing.TB, e *Egress, d Destination) {
	t.Helper()
	if err := e.Add(d); err != nil {
		t.Fatal(err)
	}
}

const never = 1<<32 - 1 // a timeout that has not passed

// change makes an update of dialog n, which came from source.
func change(n int, source string) changes.Change {
	d := dialog.Details{CallID: fmt.Sprint(n), FromTag: "f", ToTag: "t", State: dialog.Confirmed, Timeout: never, CallerSocket: "udp:10.0.0.1:5060"}
	return changeOf(dialog.Update, d, source)
}

func changeOf(kind dialog.Kind, d dialog.Details, source string) changes.Change {
	body := dialog.Packed(d.AppendPacked(nil))
	if kind == dialog.Delete {
		body = d.AppendKey(nil)
	}
	c := bin1test.Change(bin1.Append(nil, kind, body))
	c.Sender.Endpoint = endpoint(source)
	return c
}

func forward(e *Egress, list ...changes.Change) { e.Forward(list) }

// rest waits until all that was forwarded has been sent, or waits for something else than the pause between two looks into the journal. Within
// a bubble of synctest, whose clock goes on when nobody has anything to do.
func rest() {
	time.Sleep(3 * linger)
	synctest.Wait()
}

func callID(m packets.Message) string {
	var ev dialog.Event
	if v := bin1.Decode(m.Payload, &ev); v != bin1.Dialog {
		return v.String()
	}
	id, _ := ev.Key.Part()
	return string(id)
}

func only(t testing.TB, e *Egress) DestinationStatus {
	t.Helper()
	s := e.Status()
	if len(s.Destinations) != 1 {
		t.Fatalf("%d destinations", len(s.Destinations))
	}
	return s.Destinations[0]
}

func sum(s DestinationStatus) uint64 {
	n := s.Queued + s.Dropped + s.Own + s.Lost + s.HeldBack()
	for _, c := range s.Sent {
		n += c
	}
	return n
}

func TestEachChangeGoesToEachDestinationOnceAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := packetstest.NewSink()
		e := newEgress(t, Config{Sink: sink})
		forward(e, change(0, other)) // before there is a destination
		add(t, e, Destination{Address: standby})
		add(t, e, Destination{Address: other})
		var want []string
		for n := range 1000 {
			source := "198.51.100.1:5555"
			if n%10 == 0 {
				source = other
			}
			c := change(n, source)
			forward(e, c)
			want = append(want, string(c.Packet()))
			clear(c.Bytes) // Forward keeps nothing that it is given
			if n%300 == 0 {
				rest()
			}
		}
		time.Sleep(time.Second)
		got := map[packets.Endpoint][]string{}
		for _, m := range sink.Sent() {
			got[m.To] = append(got[m.To], string(m.Payload))
		}
		if len(got) != 2 || strings.Join(got[endpoint(standby)], "") != strings.Join(want, "") {
			t.Errorf("%d destinations; the first got %d packets", len(got), len(got[endpoint(standby)]))
		}
		k := 0
		for n, w := range want {
			if n%10 == 0 {
				continue // it came from there
			}
			if got[endpoint(other)][k] != w {
				t.Fatalf("packet %d differs", n)
			}
			k++
		}
		if k != len(got[endpoint(other)]) {
			t.Errorf("%d packets, want %d", len(got[endpoint(other)]), k)
		}
		s := e.Status()
		if s.Sent[dialog.Update] != 1000 || s.Destinations[1].Own != 100 || s.Destinations[1].Sent[dialog.Update] != 900 {
			t.Errorf("%+v", s)
		}
		for _, d := range s.Destinations {
			if d.State != Up || sum(d) != 1000 || d.Queued != 0 {
				t.Errorf("%+v", d)
			}
		}
	})
}

func TestTotalsCountEventsNotDestinations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEgress(t, Config{Sink: packetstest.NewSink()})
		add(t, e, Destination{Address: standby})
		add(t, e, Destination{Address: other})
		live := dialog.Details{CallID: "1", State: dialog.Answered, Timeout: never}
		ended, early := live, live
		ended.State, early.State = dialog.Ended, dialog.Early
		for kind, d := range map[dialog.Kind]dialog.Details{dialog.Create: live, dialog.Update: ended, dialog.Delete: live} {
			forward(e, changeOf(kind, d, "198.51.100.1:5555"))
		}
		forward(e, changeOf(dialog.Update, early, "198.51.100.1:5555"))
		if err := e.Remove(other); err != nil {
			t.Fatal(err)
		}
		forward(e, changeOf(dialog.Create, live, standby)) // comes from the only one left
		rest()
		if got := e.Status().Sent; got != [dialog.Kinds]uint64{0, 1, 0, 2} {
			t.Errorf("create, update, delete sent: %v", got[1:])
		}
		d := only(t, e)
		if d.Sent != [dialog.Kinds]uint64{0, 1, 0, 2} || d.Held[shield.BeingSetUp] != 1 || d.Own != 1 || sum(d) != 5 {
			t.Errorf("%+v", d)
		}
	})
}

func TestDropOldestIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := packetstest.NewSink()
		e := newEgress(t, Config{Sink: sink})
		resume := sink.Hold()
		add(t, e, Destination{Address: standby})
		const total = 20_000 // some 3.6 MB through a journal of 1 MiB
		for n := range total {
			forward(e, change(n, other))
			if n == 10 {
				rest() // it holds the first few in its hand now
			}
		}
		before := only(t, e)
		if before.Dropped == 0 || sum(before) != total {
			t.Fatalf("held up: %+v", before)
		}
		resume()
		time.Sleep(time.Second)
		d := only(t, e)
		sent := sink.Sent()
		if d.Dropped != before.Dropped || d.Queued != 0 || sum(d) != total || uint64(len(sent)) != d.Sent[dialog.Update] {
			t.Fatalf("%d sent: %+v", len(sent), d)
		}
		// What was in its hand, then a gap of exactly Dropped, then the newest, without a gap.
		next, gap := 0, 0
		for _, m := range sent {
			if got := callID(m); got != fmt.Sprint(next) {
				if gap++; gap > 1 {
					t.Fatalf("packet %s, want %d", got, next)
				}
				next += int(d.Dropped)
				if got != fmt.Sprint(next) {
					t.Fatalf("behind the gap is %s, want %d", got, next)
				}
			}
			next++
		}
		if next != total || gap != 1 {
			t.Errorf("ends at %d, %d gaps", next, gap)
		}
	})
}

// gated is a sink in which one destination's messages wait.
type gated struct {
	*packetstest.Sink
	slow packets.Endpoint
	gate chan struct{}
}

func (g *gated) Send(m []packets.Message) (int, error) {
	if m[0].To == g.slow {
		<-g.gate
	}
	return g.Sink.Send(m)
}

func TestASlowDestinationCostsTheOthersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &gated{packetstest.NewSink(), endpoint(standby), make(chan struct{})}
		e := newEgress(t, Config{Sink: sink})
		add(t, e, Destination{Address: standby})
		add(t, e, Destination{Address: other})
		const total = 50_000
		for n := range total {
			forward(e, change(n, "198.51.100.1:5555"))
			if n%1000 == 999 {
				time.Sleep(time.Millisecond)
			}
		}
		time.Sleep(time.Second)
		s := e.Status().Destinations
		if s[1].Sent[dialog.Update] != total || s[1].Dropped != 0 {
			t.Errorf("the other: %+v", s[1])
		}
		if s[0].Sent[dialog.Update] != 0 || s[0].Dropped == 0 || sum(s[0]) != total {
			t.Errorf("the slow one: %+v", s[0])
		}
		for i, m := range sink.Sent() {
			if m.To != endpoint(other) || callID(m) != fmt.Sprint(i) {
				t.Fatalf("message %d is %s to %v", i, callID(m), m.To)
			}
		}
		close(sink.gate)
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := packetstest.NewSink()
		e := newEgress(t, Config{Sink: sink})
		add(t, e, Destination{Address: standby, Rate: 1000})
		for n := range 3000 {
			forward(e, change(n, other))
		}
		most, last := 0, 0
		for range 2500 {
			time.Sleep(time.Millisecond)
			synctest.Wait()
			now := len(sink.Sent())
			most, last = max(most, now-last), now
		}
		if last < 2400 || last > 2510 || most > 6 {
			t.Errorf("%d in 2.5 s at 1000/s, up to %d in a millisecond", last, most)
		}
	})
}

func TestCloseSendsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := packetstest.NewSink()
		e := newEgress(t, Config{Sink: sink, Resolve: new(names).resolve})
		add(t, e, Destination{Address: standby, Rate: 1000})
		add(t, e, Destination{Address: "unresolved.example:5556"})
		for n := range 1000 {
			forward(e, change(n, other))
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		e.Close(ctx)
		if n := len(sink.Sent()); n != 1000 || ctx.Err() != nil {
			t.Errorf("%d of 1000 sent, %v", n, ctx.Err())
		}
		if err := e.Add(Destination{Address: other}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Add after Close: %v", err)
		}
	})
}

func TestCloseEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := packetstest.NewSink()
		sink.Refuse(func(packets.Message) error { return packets.ErrNoRoute })
		e := newEgress(t, Config{Sink: sink})
		add(t, e, Destination{Address: standby, Rate: 1})
		for n := range 1000 {
			forward(e, change(n, other))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		e.Close(ctx)
	})
}

func TestAddRefuses(t *testing.T) {
	e := newEgress(t, Config{Sink: packetstest.NewSink()})
	add(t, e, Destination{Address: standby})
	for _, d := range []Destination{
		{}, {Address: "host"}, {Address: ":5556"}, {Address: "host:"}, {Address: "host:0"}, {Address: "host:70000"},
		{Address: "::1:5556"}, {Address: other, Rate: -1},
		{Address: other, Policy: shield.Policy{Rewrites: []shield.SocketRewrite{{}}}},
	} {
		if err := e.Add(d); err == nil || !strings.Contains(err.Error(), d.Address) {
			t.Errorf("%+v: %v", d, err)
		}
	}
	if err := e.Add(Destination{Address: standby}); !errors.Is(err, ErrExists) {
		t.Errorf("twice the same: %v", err)
	}
	if err := e.Remove(other); !errors.Is(err, ErrUnknown) {
		t.Errorf("removing what is not there: %v", err)
	}
	for _, cfg := range []Config{{}, {Sink: packetstest.NewSink(), Journal: 1000}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("took %+v", cfg)
		}
	}
}
