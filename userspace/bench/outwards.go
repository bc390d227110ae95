package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/socket"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/out/resync"
	"binrepd/userspace/state/engine"
)

// fanoutDialogs is how many dialogs are live while changes are passed on.
const fanoutDialogs = 200_000

// void is a Sink that does nothing.
type void struct{}

func (void) Send(m []packets.Message) (int, error) { return len(m), nil }

// loopback opens a socket to send from, and one on the loopback at address unread that nothing reads. end closes both.
func loopback(ctx context.Context) (sender *socket.Socket, unread netip.AddrPort, end func(), err error) {
	local := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	to, err := socket.Listen(ctx, local, socket.Config{ReceiveBuffer: 4096})
	if err != nil {
		return nil, unread, nil, err
	}
	if sender, err = socket.NewSender(ctx, local, socket.Config{}); err != nil {
		return nil, unread, nil, errors.Join(err, to.Close())
	}
	return sender, to.LocalAddr(), func() {
		sender.Close()
		to.Close()
	}, nil
}

// fanoutStage measures the cost of passing changes on. It measures the processor time of the worker that applies the
// events without a destination, and all processor time from the packet to a sink that does nothing, and to a socket
// on the loopback that nothing reads.
func fanoutStage(ctx context.Context, s *session) error {
	dialogs := min(s.cfg.Dialogs, fanoutDialogs)
	sender, unread, end, err := loopback(ctx)
	if err != nil {
		return err
	}
	defer end()
	quiet := slog.New(slog.DiscardHandler)
	var list []contender
	var ends []func() error
	defer func() {
		for _, end := range ends {
			_ = end() // after an error; otherwise all has been ended
		}
	}()
	for _, c := range [...]struct {
		name string
		sink packets.Sink
	}{{"none", nil}, {"sink", void{}}, {"socket", sender}} {
		p, err := newPopulation(shards)
		if err != nil {
			return err
		}
		ends = append(ends, p.close)
		if err := p.grow(ctx, dialogs); err != nil {
			return err
		}
		list = append(list, contender{c.name, func() (lap, error) {
			return p.fanoutLap(ctx, s.events(applyEvents), c.sink, unread, quiet)
		}})
	}
	all, err := s.compare(ctx, list...)
	if err != nil {
		return err
	}
	s.add("memory to table, no destination", dialogs, all[0])
	s.add("and to a destination, sink that does nothing", dialogs, all[1])
	s.add("and to a destination, sent through a socket", dialogs, all[2])
	return nil
}

// fanoutLap has an engine apply a round of events, passes the changes to a destination, and waits until they are sent.
func (p *population) fanoutLap(ctx context.Context, n int, sink packets.Sink, to netip.AddrPort, log *slog.Logger) (_ lap, err error) {
	p.rest()
	made := &p.made
	made.reset()
	made.make(n, p.mixed)
	var outlet changes.Outlet
	var e *egress.Egress
	if sink != nil {
		if e, err = egress.New(egress.Config{Sink: sink, Log: log}); err != nil {
			return lap{}, err
		}
		if err := e.Add(egress.Destination{Address: to.String()}); err != nil {
			return lap{}, err
		}
		outlet = e
	}
	eng, err := p.engine(outlet)
	if err != nil {
		return lap{}, err
	}
	watch := startWatch(processClock)
	err = eng.Run(ctx, []engine.Input{{Source: &replay{encoded: made, received: time.Now().UnixNano()}, Name: "replay"}})
	if e != nil {
		e.Close(ctx) // sends what waits
	}
	l := watch.stop(n)
	if e != nil {
		if d := e.Status().Destinations[0]; d.Lost+d.Dropped+d.Queued > 0 {
			err = errors.Join(err, fmt.Errorf("fan-out: %d changes lost, %d overwritten, %d not sent", d.Lost, d.Dropped, d.Queued))
		}
	}
	return l, errors.Join(err, allApplied(eng, n))
}

// syncStage sends the whole table to a sink that does nothing, which shows how fast the appliance alone is, and
// through a socket.
func syncStage(ctx context.Context, s *session) error {
	p, err := s.population(ctx, s.cfg.Dialogs)
	if err != nil {
		return err
	}
	sender, unread, end, err := loopback(ctx)
	if err != nil {
		return err
	}
	defer end()
	lapTo := func(sink packets.Sink) func() (lap, error) {
		return func() (lap, error) { return p.syncLap(ctx, sink, packets.EndpointOf(unread)) }
	}
	all, err := s.compare(ctx, contender{"sink", lapTo(void{})}, contender{"socket", lapTo(sender)})
	if err != nil {
		return err
	}
	s.add("whole table to a sink that does nothing", s.cfg.Dialogs, all[0])
	s.add("whole table through a socket", s.cfg.Dialogs, all[1])
	return nil
}

func (p *population) syncLap(ctx context.Context, sink packets.Sink, to packets.Endpoint) (lap, error) {
	e, err := egress.New(egress.Config{Sink: sink})
	if err != nil {
		return lap{}, err
	}
	defer e.Close(ctx)
	session, err := resync.New(resync.Config{
		Table: p.table, Sink: sink, To: to, OpenTail: func() resync.Tail { return e.Tail() },
	})
	if err != nil {
		return lap{}, err
	}
	watch := startWatch(processClock)
	sum, err := session.Run(ctx)
	return watch.stop(int(sum.Packets)), err
}
