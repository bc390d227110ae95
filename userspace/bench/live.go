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
	// liveRate and liveEvents are the traffic that the two ways in are compared with: what the socket path can bear.
	liveRate, liveEvents = 200_000, 100_000
	// lossRate and lossEvents are the traffic that must not be lost.
	lossRate, lossEvents = 1_000_000, 1_000_000
	// liveChunk is how many frames come in one burst.
	liveChunk = 64
	// lossChunk is the same where as many as possible are to come: each system call allocates memory for its first 64 frames, and then uses that
	// again.
	lossChunk = 1024
)

// liveStage sends live frames over veth pairs and measures all processor time that they cost, in the kernel and in user space. What it
// costs to make a frame is found by dropping it instead of sending it, and is taken off.
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
	var ignore packets
	ignore.make(s.events(liveEvents), idle.create)
	var kernel []float64 // what the XDP path costs in the kernel
	send := func(p *path, next func([]byte) ([]byte, uint64)) func() (lap, error) {
		return func() (lap, error) {
			r, err := p.sendAll(ctx, s.events(liveEvents), liveRate, liveChunk, next)
			if p == xdp {
				kernel = append(kernel, per(r.sent.cpu, r.frames))
			}
			return r.lap(), err
		}
	}
	xdpBefore, plainBefore := xdp.taken(), plain.taken()
	all, err := s.compare(ctx,
		contender{"made", send(nowhere, idle.mixed)},
		contender{"dropped", send(dropped, idle.mixed)},
		contender{"xdp", send(xdp, xdp.appliance.mixed)},
		contender{"socket", send(plain, plain.appliance.mixed)},
	)
	if err != nil {
		return err
	}
	made := all[0].cpu()
	drop, viaXDP, viaSocket := all[1].cpu()-made, all[2].cpu()-made, all[3].cpu()-made
	at := fmt.Sprintf("at %d events a second; kernel and user space", liveRate)
	// Sending a frame and dropping it at the other end may cost less than dropping it unsent, which gives its memory back by a longer way.
	s.row(Row{Case: "XDP_DROP of the same frames", CPU: max(drop, 0), Allocs: -1, Note: "kernel only, beyond what making them costs"})
	s.row(Row{Case: "XDP path, kernel", CPU: median(kernel[1:]) - made, Allocs: -1, Note: "waking the consumer included"})
	s.row(Row{Case: "XDP path", Dialogs: dialogs, CPU: viaXDP, Allocs: -1, Note: at + "; " + xdp.taken().since(xdpBefore)})
	s.row(Row{Case: "socket path", Dialogs: dialogs, CPU: viaSocket, Allocs: -1, Note: at + "; " + plain.taken().since(plainBefore)})
	s.atMost("processor time an event, XDP path / socket path", viaXDP/viaSocket, 1.0/3)
	return s.loss(ctx, xdp)
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
