package egress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/packets/packetstest"
)

// names is a resolver whose answers a test sets.
type names struct {
	mu    sync.Mutex
	addrs []netip.Addr
	asked int
	empty bool // a name without addresses is no error
}

func (n *names) set(addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addrs = nil
	for _, a := range addrs {
		n.addrs = append(n.addrs, netip.MustParseAddr(a))
	}
}

func (n *names) resolve(context.Context, string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	if len(n.addrs) == 0 && !n.empty {
		return nil, errors.New("no such host")
	}
	return append([]netip.Addr(nil), n.addrs...), nil
}

func (n *names) calls() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked
}

func TestAnUnresolvedDestinationWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink, dns, log := packetstest.NewSink(), &names{}, &lines{}
		e := newEgress(t, Config{Sink: sink, Resolve: dns.resolve, Log: slog.New(slog.NewTextHandler(log, nil))})
		add(t, e, Destination{Address: "standby.example:5556"})
		for n := range 100 {
			forward(e, change(n, other))
		}
		time.Sleep(5 * time.Minute)
		d := only(t, e)
		if d.State != Resolving || d.Queued != 100 || d.Cause == nil || d.Endpoint.IsValid() {
			t.Errorf("%+v", d)
		}
		if n := dns.calls(); n < 10 || n > 16 { // at 0, 1, 3, 7, 15, 31 s and then every 30 s
			t.Errorf("looked up %d times in 5 minutes", n)
		}
		if log.count("\n") != 1 || log.count("not resolved") != 1 {
			t.Errorf("the log says\n%s", log.b.String())
		}
		dns.set("2001:db8::1", "192.0.2.1")
		time.Sleep(time.Minute)
		if d := only(t, e); d.State != Up || d.Endpoint.String() != standby || d.Sent[dialog.Update] != 100 {
			t.Errorf("%+v", d)
		}
		if log.count("\n") != 2 || log.count("is up") != 1 {
			t.Errorf("the log says\n%s", log.b.String())
		}
		asked := dns.calls()
		time.Sleep(time.Hour)
		if n := dns.calls() - asked; n < 110 || n > 130 {
			t.Errorf("asked %d times in an hour in which all was well", n)
		}
	})
}

// TestANameIsFollowedWhileItIsUp: the host at the old address has vanished, and nothing says so.
func TestANameIsFollowedWhileItIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink, dns, log := packetstest.NewSink(), &names{}, &lines{}
		dns.set("192.0.2.1")
		e := newEgress(t, Config{Sink: sink, Resolve: dns.resolve, Log: slog.New(slog.NewTextHandler(log, nil))})
		add(t, e, Destination{Address: "standby.example:5556"})
		time.Sleep(time.Second)
		if d := only(t, e); d.NeedsSync() {
			t.Errorf("at first: %+v", d)
		}
		dns.set("192.0.2.2")
		time.Sleep(45 * time.Second)
		d := only(t, e)
		if d.State != Up || d.Endpoint.String() != other || !d.Moved || !d.NeedsSync() || log.count("another address") != 1 {
			t.Errorf("%+v\n%s", d, log.b.String())
		}
		forward(e, change(0, "198.51.100.1:5555"))
		time.Sleep(time.Second)
		if sent := sink.Sent(); len(sent) != 2 || sent[0].To != endpoint(other) || sent[1].To != endpoint(other) { // an update, twice
			t.Errorf("sent %v", sent)
		}
		e.Syncing(endpoint(other))(true)
		if d := only(t, e); d.NeedsSync() || d.Moved {
			t.Errorf("synced: %+v", d)
		}
	})
}

func TestARefusedDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink, dns, log := packetstest.NewSink(), &names{}, &lines{}
		dns.set("192.0.2.1")
		e := newEgress(t, Config{Sink: sink, Resolve: dns.resolve, Log: slog.New(slog.NewTextHandler(log, nil))})
		add(t, e, Destination{Address: "standby.example:5556"})
		n := 0
		traffic := func(seconds int) {
			for range seconds {
				forward(e, change(n, other))
				n++
				time.Sleep(time.Second)
			}
		}
		traffic(2)
		if d := only(t, e); d.Sent[dialog.Update] != 2 || d.NeedsSync() {
			t.Errorf("at first: %+v", d)
		}
		// Each probe is refused.
		away := 26
		for i := range away {
			if i%2 == 0 {
				sink.Report(endpoint(standby), packets.ErrRefused)
			}
			sink.Report(endpoint(other), packets.ErrRefused) // about somebody else
			traffic(1)
		}
		d := only(t, e)
		if d.State != Refused || d.Refusals != 13 || d.Errors != 13 || !errors.Is(d.Cause, packets.ErrRefused) {
			t.Errorf("%+v", d)
		}
		if d.Sent[dialog.Update] != 2 || d.Queued != uint64(n-2) || d.Dropped != 0 || sum(d) != uint64(n) || d.NeedsSync() {
			t.Errorf("while it refuses: %+v", d)
		}
		if probes := len(sink.Sent()) - 2; probes < away-2 || probes > away+1 {
			t.Errorf("%d probes in %d s", probes, away)
		}
		if log.count("is refused") != 1 || log.count("is up") != 1 {
			t.Errorf("the log says\n%s", log.b.String())
		}
		time.Sleep(5 * time.Second)
		d = only(t, e)
		if d.State != Up || int(d.Sent[dialog.Update]) != n || d.Queued != 0 || !d.NeedsSync() || d.Away < 26*time.Second || d.Away > 31*time.Second {
			t.Errorf("after its return: %+v", d)
		}
		if log.count("is refused") != 1 || log.count("is up") != 2 {
			t.Errorf("the log says\n%s", log.b.String())
		}
		// A sync makes good what was missing when it began.
		synced := e.Syncing(endpoint(standby))
		e.Syncing(endpoint(other))(true)
		if !only(t, e).NeedsSync() {
			t.Error("synced by a sync to somebody else")
		}
		synced(true)
		if d := only(t, e); d.NeedsSync() || d.Away != 0 {
			t.Errorf("synced: %+v", d)
		}
		// It moves: the name leads elsewhere.
		asked := dns.calls()
		dns.set("192.0.2.2")
		sink.Report(endpoint(standby), packets.ErrRefused)
		time.Sleep(3 * time.Second)
		if d := only(t, e); d.State != Up || d.Endpoint.String() != other || dns.calls() == asked {
			t.Errorf("moved: %+v", d)
		}
		synctest.Wait()
		sink.Forget()
		forward(e, change(n, "198.51.100.1:5555"))
		time.Sleep(time.Second)
		if sent := sink.Sent(); len(sent) != 2 || sent[0].To != endpoint(other) || sent[1].To != endpoint(other) { // an update, twice
			t.Errorf("sent %v", sent)
		}
	})
}

func TestANameKeepsItsAddressWhileItIsGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink, dns := packetstest.NewSink(), &names{}
		dns.set("192.0.2.1", "192.0.2.2")
		e := newEgress(t, Config{Sink: sink, Resolve: dns.resolve})
		add(t, e, Destination{Address: "standby.example:5556"})
		time.Sleep(time.Second)
		dns.set("192.0.2.2", "192.0.2.1")
		sink.Report(endpoint(standby), packets.ErrRefused)
		time.Sleep(time.Minute)
		if d := only(t, e); d.Endpoint.String() != standby || dns.calls() < 3 {
			t.Errorf("asked %d times: %+v", dns.calls(), d)
		}
		dns.set()
		dns.mu.Lock()
		dns.empty = true
		dns.mu.Unlock()
		time.Sleep(time.Minute)
		if d := only(t, e); d.Endpoint.String() != standby {
			t.Errorf("%+v", d)
		}
	})
}

func TestAnUnreachableDestinationLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink, log := packetstest.NewSink(), &lines{}
		e := newEgress(t, Config{Sink: sink, Log: slog.New(slog.NewTextHandler(log, nil))})
		add(t, e, Destination{Address: standby})
		rest()
		sink.Refuse(func(packets.Message) error { return packets.ErrNoRoute })
		for n := range 500 {
			forward(e, change(n, other))
		}
		time.Sleep(time.Minute)
		d := only(t, e)
		if d.State != Unreachable || d.Queued != 500 || d.Unreachables == 0 || d.Lost != 0 || sum(d) != 500 {
			t.Errorf("%+v", d)
		}
		if calls := sink.Calls(); calls > 70 {
			t.Errorf("tried %d times in a minute", calls)
		}
		sink.Refuse(nil)
		time.Sleep(5 * time.Second)
		for i, m := range sink.Sent() {
			if callID(m) != fmt.Sprint(i) {
				t.Fatalf("message %d is %s", i, callID(m))
			}
		}
		if d := only(t, e); len(sink.Sent()) != 500 || d.Sent[dialog.Update] != 500 {
			t.Errorf("%d sent: %+v", len(sink.Sent()), d)
		}
		forward(e, change(500, other))
		time.Sleep(time.Second)
		if d := only(t, e); d.State != Up {
			t.Errorf("%+v", d)
		}
		if log.count("destination is unreachable") != 1 || log.count("is up") != 2 {
			t.Errorf("the log says\n%s", log.b.String())
		}
	})
}

// TestAHostThatVanished: a router says some time later that there is no way any more.
func TestAHostThatVanished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := packetstest.NewSink()
		e := newEgress(t, Config{Sink: sink})
		add(t, e, Destination{Address: standby})
		forward(e, change(0, other))
		rest()
		sink.Report(endpoint(standby), packets.ErrNoRoute)
		for n := range 9 {
			forward(e, change(n, other))
		}
		rest()
		if d := only(t, e); d.State != Unreachable || d.Queued != 9 || d.Sent[dialog.Update] != 1 || sum(d) != 10 {
			t.Errorf("%+v", d)
		}
		time.Sleep(time.Minute)
		if d := only(t, e); d.State != Up || d.Sent[dialog.Update] != 10 || !d.NeedsSync() {
			t.Errorf("%+v", d)
		}
	})
}

// TestTheQueueOfARefusedDestinationIsBounded: what no longer fits counts as dropped, and is missing there until a sync.
func TestTheQueueOfARefusedDestinationIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := packetstest.NewSink()
		e := newEgress(t, Config{Sink: sink})
		add(t, e, Destination{Address: standby})
		rest()
		sink.Report(endpoint(standby), packets.ErrRefused)
		const events = 20_000
		for n := range events {
			forward(e, change(n, other))
		}
		d := only(t, e)
		if d.Dropped == 0 || d.Queued == 0 || sum(d) != events {
			t.Errorf("%+v", d)
		}
		time.Sleep(time.Minute)
		d = only(t, e)
		if d.State != Up || d.Missed != d.Dropped || d.Sent[dialog.Update]+d.Dropped != events {
			t.Errorf("%+v", d)
		}
		e.Syncing(endpoint(standby))(true)
		if d := only(t, e); d.NeedsSync() || d.Missed != 0 || d.Dropped == 0 {
			t.Errorf("synced: %+v", d)
		}
	})
}

func TestAPausedDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := packetstest.NewSink()
		e := newEgress(t, Config{Sink: sink})
		add(t, e, Destination{Address: standby})
		rest()
		if err := e.Pause(standby, true); err != nil {
			t.Fatal(err)
		}
		for n := range 10 {
			forward(e, change(n, other))
		}
		time.Sleep(time.Minute)
		if d := only(t, e); !d.Paused || d.Queued < 9 || sum(d) != 10 || d.NeedsSync() {
			t.Errorf("%+v", d)
		}
		if err := e.Pause(standby, false); err != nil {
			t.Fatal(err)
		}
		rest()
		if d := only(t, e); d.Paused || d.Sent[dialog.Update] != 10 {
			t.Errorf("%+v", d)
		}
		if err := e.Pause(other, true); !errors.Is(err, ErrUnknown) {
			t.Errorf("error %v", err)
		}
	})
}

func TestOwnAddressesAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &names{}
		dns.set("192.0.2.1")
		e := newEgress(t, Config{
			Sink: packetstest.NewSink(), Resolve: dns.resolve,
			Own: func(to netip.AddrPort) bool { return to.String() == standby },
		})
		if err := e.Add(Destination{Address: standby}); !errors.Is(err, ErrOwn) {
			t.Errorf("error %v", err)
		}
		add(t, e, Destination{Address: "standby.example:5556"})
		time.Sleep(time.Minute)
		if d := only(t, e); d.State != Resolving || !errors.Is(d.Cause, ErrOwn) {
			t.Errorf("%+v", d)
		}
		dns.set("192.0.2.1", "192.0.2.2")
		time.Sleep(time.Minute)
		if d := only(t, e); d.State != Up || d.Endpoint.String() != other {
			t.Errorf("%+v", d)
		}
	})
}

func TestAMessageThatIsRefusedForGoodIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := packetstest.NewSink()
		e := newEgress(t, Config{Sink: sink})
		sink.Refuse(func(m packets.Message) error {
			if callID(m) == "7" {
				return errors.New("too long")
			}
			return nil
		})
		add(t, e, Destination{Address: standby})
		for n := range 20 {
			forward(e, change(n, other))
		}
		time.Sleep(time.Second)
		if d := only(t, e); d.Lost != 1 || d.Errors != 1 || d.Sent[dialog.Update] != 19 || d.State != Up || sum(d) != 20 {
			t.Errorf("%+v", d)
		}
	})
}

func TestStatesHaveNames(t *testing.T) {
	for s, want := range map[State]string{Resolving: "resolving", Up: "up", Refused: "refused", Unreachable: "unreachable", 9: "invalid"} {
		if s.String() != want {
			t.Errorf("%d is %q", s, s)
		}
	}
}
