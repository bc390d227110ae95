package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"

	cilium "github.com/cilium/ebpf/link"

	"binrepd/bpf"
)

const (
	// liveDialogs is how many dialogs are live where traffic crosses a link.
	liveDialogs = 200_000
	// liveEvents is how many events are in a round of the traffic that the two ways in are compared with.
	liveEvents = 100_000
	// lossRate and lossEvents are the traffic that must not be lost.
	lossRate, lossEvents = 1_000_000, 1_000_000
	// liveChunk is how many frames come in one burst.
	liveChunk = 64
	// lossChunk is the same where as many as possible are to come: each system call allocates memory for its first 64
	// frames, and then uses that again.
	lossChunk = 1024
)

// liveRates are the events a second that the two ways in are compared at: from a busy site's to what the socket path
// can bear.
var liveRates = [...]int{50_000, 200_000, 400_000}

// liveStage sends live frames over veth pairs and measures all processor time that they cost, in the kernel and in
// user space. What it costs to make a frame is found by dropping it instead of sending it, and is taken off.
func liveStage(ctx context.Context, s *session) (err error) {
	dialogs := min(s.cfg.Dialogs, liveDialogs)
	var paths []*path
	defer func() {
		for _, p := range slices.Backward(paths) {
			err = errors.Join(err, p.close())
		}
	}()
	for _, rings := range [...]int{1, 0} {
		p, err := newPath(ctx, s.events(lossEvents), dialogs, rings)
		if err != nil {
			return err
		}
		paths = append(paths, p)
	}
	xdp, plain := paths[0], paths[1]
	for _, answer := range [...]int32{xdpDrop, xdpTx} {
		p := &path{}
		paths = append(paths, p)
		if p.link, err = newLink(""); err != nil {
			return err
		}
		if err := p.prepare(s.events(liveEvents), answer); err != nil {
			return err
		}
	}
	nowhere, dropped := paths[2], paths[3]
	detach, err := attachDrop(dropped.link)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, detach()) }()

	idle := newTraffic()
	var ignore encoded
	ignore.make(s.events(liveEvents), idle.create)
	t := liveTrial{nowhere: nowhere, dropped: dropped, xdp: xdp, plain: plain, idle: idle.mixed}
	for _, t.rate = range liveRates {
		if err := s.livePaths(ctx, &t); err != nil {
			return err
		}
	}
	return s.loss(ctx, xdp)
}

// liveTrial is the comparison at one rate: of frames that go nowhere, are dropped at the other end, or reach an
// appliance by XDP or by its socket.
type liveTrial struct {
	rate                         int
	nowhere, dropped, xdp, plain *path
	idle                         func([]byte) ([]byte, uint64) // frames for the first two
}

func (s *session) livePaths(ctx context.Context, t *liveTrial) error {
	var kernel []float64 // what the XDP path costs in the kernel
	n := s.events(liveEvents)
	if t.rate < liveRates[1] {
		n /= 2 // the same bursts take longer
	}
	send := func(p *path, next func([]byte) ([]byte, uint64)) func() (lap, error) {
		return func() (lap, error) {
			r, err := p.sendAll(ctx, n, t.rate, liveChunk, next)
			if p == t.xdp {
				kernel = append(kernel, per(r.sent.cpu, r.frames))
			}
			return r.lap(), err
		}
	}
	xdpBefore, plainBefore := t.xdp.taken(), t.plain.taken()
	all, err := s.compare(ctx,
		contender{"made", send(t.nowhere, t.idle)},
		contender{"dropped", send(t.dropped, t.idle)},
		contender{"xdp", send(t.xdp, t.xdp.appliance.mixed)},
		contender{"socket", send(t.plain, t.plain.appliance.mixed)},
	)
	if err != nil {
		return err
	}
	made := all[0].cpu()
	drop, viaXDP, viaSocket := all[1].cpu()-made, all[2].cpu()-made, all[3].cpu()-made
	at, dialogs := fmt.Sprintf("at %d events a second", t.rate), len(t.xdp.appliance.live)
	// Sending a frame and dropping it at the other end may cost less than dropping it unsent, which gives its memory
	// back by a longer way.
	s.row(Row{Case: "XDP_DROP of the same frames", CPU: max(drop, 0), Allocs: -1, Note: at + ", kernel only, beyond what making them costs"})
	s.row(Row{Case: "XDP path, kernel", CPU: median(kernel[1:]) - made, Allocs: -1, Note: at + "; waking the consumer included"})
	s.row(Row{Case: "XDP path", Dialogs: dialogs, CPU: viaXDP, Allocs: -1, Note: at + ", kernel and user space; " + t.xdp.taken().since(xdpBefore)})
	s.row(Row{Case: "socket path", Dialogs: dialogs, CPU: viaSocket, Allocs: -1, Note: at + ", kernel and user space; " + t.plain.taken().since(plainBefore)})
	s.atMost(fmt.Sprintf("processor time an event, XDP path / socket path, %s", at), viaXDP/viaSocket, 1.0/3)
	return nil
}

// attachDrop puts a program on the near end that drops everything.
func attachDrop(l *link) (detach func() error, err error) {
	drop, err := newProgram("binrepd_drop", dropProgram())
	if err != nil {
		return nil, err
	}
	var attached cilium.Link
	err = inNamespace(l.near, func() (err error) {
		attached, err = cilium.AttachXDP(cilium.XDPOptions{Program: drop, Interface: l.nearIndex, Flags: cilium.XDPDriverMode})
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("attach: %w", err), drop.Close())
	}
	return func() error { return errors.Join(attached.Close(), drop.Close()) }, nil
}

// loss offers as much as the appliance must bear, and looks whether everything is in its account.
func (s *session) loss(ctx context.Context, p *path) error {
	before, err := p.appliance.program.Counters()
	if err != nil {
		return err
	}
	r, err := p.send(ctx, s.events(lossEvents), lossRate, lossChunk, p.appliance.mixed)
	if err != nil {
		return err
	}
	after, err := p.appliance.program.Counters()
	if err != nil {
		return err
	}
	offered := float64(r.frames) / r.wall.Seconds()
	steered := after.Total()[bpf.Steered] - before.Total()[bpf.Steered]
	s.row(Row{
		Case: "offered over veth", Dialogs: len(p.appliance.live), PerSecond: offered, NS: 1e9 / offered, Allocs: -1,
		Note: fmt.Sprintf("%d sent, %d through the ring, %d received; ring at most %d %% full", r.frames, steered, r.received,
			p.appliance.rings[0].Stats().HighWater*100/liveRingSize),
	})
	s.atLeast("events a second offered over veth", offered, 0.98*lossRate)
	s.atMost("lost of these", float64(r.frames-r.received), 0)
	return nil
}
