package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	cilium "github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// generator sends frames out of an interface by live test runs (BPF_F_TEST_XDP_LIVE_FRAMES): the feeder's frames
// leave as those of a program that answers XDP_TX. It uses one thread, the caller's of send, which must be in the
// interface's namespace.
type generator struct {
	index  int
	feeder *feeder
	framer *framer
	packet []byte
	pass   *ebpf.Program
	ready  cilium.Link // pass, on the interface
	parked *parking
}

// newGenerator makes one, with room for so many bytes of frames and that answer to them, for the interface of that
// index in the namespace of the calling thread.
func newGenerator(index, memory int, answer int32, framer *framer) (_ *generator, err error) {
	g := &generator{index: index, framer: framer}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()
	if g.feeder, err = newFeeder(memory, nil, answer); err != nil {
		return nil, err
	}
	// A driver prepares its queues for XDP when a program is attached; without that the kernel refuses to send from
	// there.
	if g.pass, err = newProgram("binrepd_pass", asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()}); err != nil {
		return nil, err
	}
	g.ready, err = cilium.AttachXDP(cilium.XDPOptions{Program: g.pass, Interface: index, Flags: cilium.XDPDriverMode})
	if err != nil {
		return nil, fmt.Errorf("interface %d: prepare for sending by XDP: %w", index, err)
	}
	g.parked, err = park(g.feeder.program)
	return g, err
}

// parking is an interface that receives nothing, in a namespace of its own, with a program attached to it. A program
// that is attached somewhere has its place in the kernel's dispatcher. Any other is put there for each test run, and
// taken away again, which takes a millisecond of rewriting machine code.
type parking struct {
	ns   netns.NsHandle
	link cilium.Link
}

func park(program *ebpf.Program) (*parking, error) {
	p := &parking{ns: -1}
	err := keepNamespace(func() (err error) {
		if p.ns, err = netns.New(); err != nil {
			return err
		}
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "parked0"}, PeerName: "parked1"}
		if err = netlink.LinkAdd(veth); err != nil { // both ends stay down
			return err
		}
		end, err := netlink.LinkByName(veth.Name)
		if err != nil {
			return err
		}
		p.link, err = cilium.AttachXDP(cilium.XDPOptions{Program: program, Interface: end.Attrs().Index, Flags: cilium.XDPDriverMode})
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("park the program of the generator: %w", err), p.close())
	}
	return p, nil
}

func (p *parking) close() error {
	var errs []error
	if p.link != nil {
		errs = append(errs, p.link.Close())
	}
	if p.ns.IsOpen() {
		errs = append(errs, p.ns.Close())
	}
	return errors.Join(errs...)
}

func (g *generator) close() error {
	var errs []error
	if g.parked != nil {
		errs = append(errs, g.parked.close())
	}
	if g.ready != nil {
		errs = append(errs, g.ready.Close())
	}
	if g.pass != nil {
		errs = append(errs, g.pass.Close())
	}
	if g.feeder != nil {
		errs = append(errs, g.feeder.close())
	}
	return errors.Join(errs...)
}

// make puts frames with n packets of next in place of what was there.
func (g *generator) make(n int, next func([]byte) ([]byte, uint64)) error {
	g.feeder.reset()
	for range n {
		if err := g.feeder.frame(g.framer, &g.packet, next); err != nil {
			return err
		}
	}
	return nil
}

// sent is what a generator did.
type sent struct {
	frames    int
	wall, cpu time.Duration // cpu: in the kernel, for sending and, over a veth pair, receiving
}

// send sends all frames that were made, chunk by chunk, at so many a second, or with a rate of 0 as fast as it goes.
// The calling goroutine must be locked to a thread in the interface's namespace.
func (g *generator) send(ctx context.Context, rate, chunk int) (r sent, err error) {
	g.feeder.rewind()
	began := time.Now()
	for r.frames < g.feeder.count {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		if rate > 0 {
			awaitTime(began.Add(time.Duration(float64(r.frames) / float64(rate) * 1e9)))
		}
		n := min(chunk, g.feeder.count-r.frames)
		cpu := readClock(threadClock)
		if err := g.feeder.runLive(g.index, n); err != nil {
			return r, err
		}
		r.cpu += readClock(threadClock) - cpu
		r.frames += n
		r.wall = time.Since(began)
	}
	if !g.feeder.consumed() {
		return r, errors.New("live frames: some were not sent")
	}
	return r, nil
}

// awaitTime waits, asleep as long as that is exact enough, then awake. It doesn't yield to other goroutines, for
// which there are other threads: each time it did, Go's scheduler would set threads to looking for work, whose
// processor time the events would be charged with.
func awaitTime(at time.Time) {
	const inexact = 2 * time.Millisecond
	if left := time.Until(at); left > inexact {
		time.Sleep(left - inexact)
	}
	for time.Now().Before(at) {
	}
}

// runLive sends the next n frames out of the interface, or if the program says XDP_DROP, doesn't.
func (f *feeder) runLive(index, n int) error {
	const (
		liveFrames = 1 << 1 // BPF_F_TEST_XDP_LIVE_FRAMES
		size       = 64     // of the current frame, before it is overwritten
	)
	// The frame came in at that interface; the linear part is the whole frame.
	metadata := xdpMD{dataEnd: size, ingress: uint32(index)}
	return testRunLive(f.program.FD(), make([]byte, size), &metadata, n, liveFrames, liveBatch)
}

// liveBatch is how many frames the kernel sends at once. A veth pair takes no more than 256 before it is given time
// to receive.
const liveBatch = 64
