package resync_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/resync"
	"binrepd/userspace/wire/arrival"
)

// answering is another binrepd: it applies what it is sent, after a while, and answers questions.
type answering struct {
	to      *appliance
	count   arrival.Count
	late    []packets.Message      // taken, but not handled yet
	lose    func() bool            // of packets
	deaf    func() bool            // whether a question gets lost
	besides func(c *arrival.Count) // what others send meanwhile
	asked   int
}

func (a *answering) Send(messages []packets.Message) (int, error) {
	for _, m := range messages {
		if a.lose == nil || !a.lose() {
			m.Payload = append([]byte(nil), m.Payload...)
			a.late = append(a.late, m)
		}
	}
	return len(messages), nil
}

// Arrived implements resync.Peer. Between two questions it handles 100 packets.
func (a *answering) Arrived(ctx context.Context, wait time.Duration) (arrival.Count, bool) {
	if a.asked++; a.deaf != nil && a.deaf() {
		time.Sleep(wait)
		return arrival.Count{}, false
	}
	for n := 0; n < 100 && len(a.late) > 0; n++ {
		a.to.take(a.late[0].Payload)
		a.count.Add(a.late[0].Payload)
		a.late = a.late[1:]
	}
	if a.besides != nil {
		a.besides(&a.count)
	}
	return a.count, ctx.Err() == nil
}

// TestTheArrivalIsConfirmed by another binrepd, or what is missing is told.
func TestTheArrivalIsConfirmed(t *testing.T) {
	const calls = 1000
	random := seeded(1)
	for name, c := range map[string]struct {
		change func(*answering)
		want   resync.Arrival
	}{
		"all":                     {func(*answering) {}, resync.All},
		"questions get lost":      {func(a *answering) { a.deaf = func() bool { return a.asked%3 != 0 } }, resync.All},
		"packets get lost":        {func(a *answering) { a.lose = func() bool { return random.IntN(50) == 0 } }, resync.Missing},
		"an OpenSIPS":             {func(a *answering) { a.deaf = func() bool { return true } }, resync.NotConfirmed},
		"it stops answering":      {func(a *answering) { a.deaf = func() bool { return a.asked > 1 } }, resync.NotConfirmed},
		"events from elsewhere":   {func(a *answering) { a.besides = func(c *arrival.Count) { c.Events += 100 } }, resync.Unclear},
		"one replaced by another": {func(a *answering) { a.besides = func(c *arrival.Count) { c.Digest++ } }, resync.Unclear},
	} {
		for mode, rate := range map[string]int{"paced": 4000, "at most": 0} {
			t.Run(name+", "+mode, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b := newAppliance(t, 0), newAppliance(t, 0)
					for n := range calls {
						a.takeDetails(dialog.Create, call(n))
					}
					there := &answering{to: b}
					c.change(there)
					s, err := resync.New(resync.Config{
						Table: a.table, Sink: there, Peer: there, OpenTail: a.tail, To: standby, Rate: rate, Passes: 2,
					})
					if err != nil {
						t.Fatal(err)
					}
					sum, err := s.Run(context.Background())
					if sum.Arrival != c.want || !sum.Complete || errors.Is(err, resync.ErrMissing) != (c.want == resync.Missing) {
						t.Fatalf("%s, want %s: %+v, %v", sum.Arrival, c.want, sum, err)
					}
					if missing := sum.Missing; (missing > 0) != (c.want == resync.Missing) || missing > calls/10 {
						t.Errorf("%d of %d missing", missing, sum.LastPass)
					}
					if c.want == resync.All && len(b.live()) != calls {
						t.Errorf("all arrived, and it has %d", len(b.live()))
					}
				})
			})
		}
	}
}

// TestAllEndsGoToAnotherBinrepd, for which an end that it doesn't know costs nothing. An OpenSIPS gets those that it can know.
func TestAllEndsGoToAnotherBinrepd(t *testing.T) {
	for name, deaf := range map[string]bool{"binrepd": false, "OpenSIPS": true} {
		synctest.Test(t, func(t *testing.T) {
			a := newAppliance(t, 0)
			for n := range 10 {
				a.takeDetails(dialog.Create, call(n))
				a.takeDetails(dialog.Delete, call(n))
			}
			there := &answering{to: newAppliance(t, 0), deaf: func() bool { return deaf }}
			sum, err := a.sync(nil, func(c *resync.Config) {
				c.Sink, c.Peer, c.EndsFrom, c.AllEndsToPeer = there, there, resync.NoEnds, true
			})
			if want := map[bool]uint64{false: 10, true: 0}[deaf]; err != nil || sum.Deletions != want {
				t.Errorf("%s: %+v, %v", name, sum, err)
			}
		})
	}
}

// TestNothingIsSentWithoutAWay: as long as the kernel looks for the neighbour it drops what is sent, and a sync that ends before that claims
// that all was sent.
func TestNothingIsSentWithoutAWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAppliance(t, 0)
		a.takeDetails(dialog.Create, call(1))
		l := newWire(home)
		unknown := errors.New("no host answers")
		sum, err := a.sync(l, func(c *resync.Config) {
			c.Reach = func(context.Context) error { time.Sleep(3 * time.Second); return unknown }
		})
		if !errors.Is(err, resync.ErrUnreachable) || !errors.Is(err, unknown) || sum.Complete || l.packets != 0 {
			t.Errorf("%d packets: %+v, %v", l.packets, sum, err)
		}
	})
}
