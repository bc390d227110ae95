package bench

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"binrepd/bpf"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/ring"
)

const (
	// roundEvents is how many events are in a round of the stages that fill a ring first: 90 MB of records.
	roundEvents = 200_000
	rigRingSize = 128 << 20
	rigMemory   = 160 << 20
)

// rig is the XDP program with its rings, and frames to put into them without a network.
type rig struct {
	program *bpf.Program
	sources []*ring.Source
	feeder  *feeder
	framer  *framer
	packet  []byte
}

// newRig loads the program with so many rings.
func newRig(rings int) (_ *rig, err error) {
	r := &rig{framer: newFramer([6]byte{2, 0, 0, 0, 0, 1}, [6]byte{2, 0, 0, 0, 0, 2}, listener())}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if r.program, err = loadProgram(rings, rigRingSize); err != nil {
		return nil, err
	}
	if r.sources, err = openRings(r.program, 0); err != nil {
		return nil, err
	}
	r.feeder, err = newFeeder(rigMemory, r.program.XDP(), 0)
	return r, err
}

func loadProgram(rings, ringSize int) (*bpf.Program, error) {
	return bpf.Load(bpf.Config{
		Rings: rings, RingSize: ringSize, K0: steering().K0, K1: steering().K1, Listeners: []netip.AddrPort{listener()},
	})
}

func openRings(p *bpf.Program, coalesce time.Duration) (sources []*ring.Source, err error) {
	for i := range p.Rings() {
		s, err := ring.Open(p, i, ring.Config{Coalesce: coalesce})
		if err != nil {
			return nil, errors.Join(err, closeRings(sources))
		}
		sources = append(sources, s)
	}
	return sources, nil
}

func closeRings(sources []*ring.Source) (err error) {
	for _, s := range sources {
		err = errors.Join(err, s.Close())
	}
	return err
}

func (r *rig) close() error {
	err := closeRings(r.sources)
	if r.feeder != nil {
		err = errors.Join(err, r.feeder.close())
	}
	if r.program != nil {
		err = errors.Join(err, r.program.Close())
	}
	return err
}

// make puts n frames with packets of next in front of the feeder, in place of what was there.
func (r *rig) make(n int, next func([]byte) ([]byte, uint64)) error {
	r.feeder.reset()
	for range n {
		if err := r.feeder.frame(r.framer, &r.packet, next); err != nil {
			return err
		}
	}
	return nil
}

// run lets the program see every frame once and returns the mean time of one. The rings must have room for all.
func (r *rig) run() (each time.Duration, err error) { return r.feeder.run(xdpDrop) }

// fill makes n frames and runs them.
func (r *rig) fill(n int, next func([]byte) ([]byte, uint64)) error {
	if err := r.make(n, next); err != nil {
		return err
	}
	_, err := r.run()
	return err
}

// drain takes n datagrams out of the first ring.
func (r *rig) drain(b *packets.Batch, n int) error {
	for n > 0 {
		if err := r.sources[0].Receive(b); err != nil {
			return fmt.Errorf("drain: %w", err)
		}
		n -= len(b.Packets)
		r.sources[0].Release(b)
	}
	return nil
}
