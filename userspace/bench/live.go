package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	cilium "github.com/cilium/ebpf/link"

	"binrepd/bpf"
	"binrepd/userspace/in/ring"
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

// way is a way into an appliance whose cost is measured.
type way struct {
	name     string
	rings    int // 0: the socket
	coalesce time.Duration
	*path
	// What was measured at the current rate.
	kernel []float64
	before taken
}

// liveStage sends live frames over veth pairs and measures all processor time that they cost, in the kernel and in
// user space. What it costs to make a frame is found by dropping it instead of sending it, and is taken off.
func liveStage(ctx context.Context, s *session) (err error) {
	dialogs := min(s.cfg.Dialogs, liveDialogs)
	ways := []*way{
		{name: "XDP path", rings: 1, coalesce: ring.DefaultCoalesce},
		{name: "XDP path, coalesce 0", rings: 1},
		{name: "socket path"},
	}
	var paths []*path
	defer func() {
		for _, p := range slices.Backward(paths) {
			err = errors.Join(err, p.close())
		}
	}()
	for _, w := range ways {
		if w.path, err = newPath(ctx, s.events(lossEvents), dialogs, w.rings, w.coalesce); err != nil {
			return err
		}
		paths = append(paths, w.path)
	}
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
	nowhere, dropped := paths[len(ways)], paths[len(ways)+1]
	detach, err := attachDrop(dropped.link)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, detach()) }()

	idle := newTraffic()
	var ignore encoded
	ignore.make(s.events(liveEvents), idle.create)
	t := liveTrial{nowhere: nowhere, dropped: dropped, ways: ways, idle: idle.mixed}
	for _, t.rate = range liveRates {
		if err := s.livePaths(ctx, &t); err != nil {
			return err
		}
	}
	return s.loss(ctx, ways[0].path)
}

// liveTrial is the comparison at one rate: of frames that go nowhere, are dropped at the other end, or reach an
// appliance in one of several ways, the socket among them.
type liveTrial struct {
	rate             int
	nowhere, dropped *path
	ways             []*way
	idle             func([]byte) ([]byte, uint64) // frames for the first two
}

func (s *session) livePaths(ctx context.Context, t *liveTrial) error {
	n := s.events(liveEvents)
	if t.rate < liveRates[1] {
		n /= 2 // the same bursts take longer
	}
	send := func(p *path, next func([]byte) ([]byte, uint64)) func() (lap, error) {
		return func() (lap, error) {
			r, err := p.sendAll(ctx, n, t.rate, liveChunk, next)
			return r.lap(), err
		}
	}
	list := []contender{{"made", send(t.nowhere, t.idle)}, {"dropped", send(t.dropped, t.idle)}}
	for _, w := range t.ways {
		w.kernel, w.before = nil, w.taken()
		list = append(list, contender{w.name, func() (lap, error) {
			r, err := w.sendAll(ctx, n, t.rate, liveChunk, w.appliance.mixed)
			w.kernel = append(w.kernel, per(r.sent.cpu, r.frames))
			return r.lap(), err
		}})
	}
	all, err := s.compare(ctx, list...)
	if err != nil {
		return err
	}
	s.liveRows(t, all)
	return nil
}

// liveRows reports the laps of livePaths.
func (s *session) liveRows(t *liveTrial, all []laps) {
	const own = 2 // contenders that are no way
	made, at := all[0].cpu(), fmt.Sprintf("at %d events a second", t.rate)
	// Sending a frame and dropping it at the other end may cost less than dropping it unsent, which gives its memory
	// back by a longer way.
	s.row(Row{Case: "XDP_DROP of the same frames", CPU: max(all[1].cpu()-made, 0), Allocs: -1, Note: at + ", kernel only, beyond what making them costs"})
	var socket float64
	for i, w := range t.ways {
		if w.rings == 0 {
			socket = all[own+i].cpu() - made
		}
	}
	for i, w := range t.ways {
		cost, taken := all[own+i].cpu()-made, w.taken()
		s.row(Row{
			Case: w.name, Dialogs: len(w.appliance.live), CPU: cost, Allocs: -1,
			Note: fmt.Sprintf("%s, %.0f ns of it where frames are received; %s", at, median(w.kernel[1:])-made, taken.since(w.before)),
		})
		if w.coalesce > 0 { // the default; the other way shows what it saves
			bound := w.coalesce.Seconds() * 1e3
			s.atMost(fmt.Sprintf("processor time an event, %s / socket path, %s", w.name, at), cost/socket, 1.0/3)
			s.atMost(fmt.Sprintf("latency p50, ms, %s, %s", w.name, at), taken.latencySince(w.before, 0.5), bound)
			s.atMost(fmt.Sprintf("latency p99, ms, %s, %s", w.name, at), taken.latencySince(w.before, 0.99), bound+1)
		}
	}
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
