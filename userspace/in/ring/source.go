package ring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"

	"binrepd/bpf"
	"binrepd/userspace/in/packets"
)

// Config tunes a Source. The zero value is right for most uses.
type Config struct {
	// Spin is how long Receive looks for new records before it sleeps. 0 means DefaultSpin; a negative value means that
	// it sleeps at once. A longer time saves wake-ups under steady load and costs processor time.
	Spin time.Duration
	// Backstop is how long Receive sleeps before it looks by itself; 0 means DefaultBackstop. It finds nothing then,
	// unless the wake-up protocol is broken (Stats.LateWakeups).
	Backstop time.Duration
	// Coalesce is for how long records may wait while traffic lasts, so that the consumer wakes for many at once
	// (moderator). 0 means that the first record wakes it.
	// There are no naps if Go has no more places (GOMAXPROCS) than there are rings.
	Coalesce time.Duration
}

const (
	// DefaultSpin is about the time that a wake-up costs both sides together.
	DefaultSpin = 10 * time.Microsecond
	// DefaultBackstop is so long that it costs nothing.
	DefaultBackstop = time.Second
	// DefaultCoalesce gathers some hundred records at all but low rates, where wake-ups cost little.
	DefaultCoalesce = time.Millisecond
)

// Source reads one ring. It is a packets.Source: one goroutine calls Receive and Release; any goroutine may call the
// other methods.
type Source struct {
	config  Config
	buffer  *ebpf.Map
	mapping *mapping
	poller  *poller

	ring      ring
	stuck     stuck
	moderator moderator
	cycle     cycle
	room      uint64 // bytes of records at which a nap ends
	clock     clock
	limit     uint64 // where the drain after Stop ends
	taken     counts // counts of what is before ring.next

	back      giveBack
	inherited uint64 // end of the records that were in the ring when it was opened

	stats   counters
	stopped atomic.Bool

	mu     sync.Mutex // guards Stats, Stop and Close
	closed bool
}

var _ packets.Source = (*Source)(nil)

// Open makes a Source for ring number index of p. It keeps the ring open by itself, so p may be closed first.
func Open(p *bpf.Program, index int, cfg Config) (*Source, error) {
	rings := p.Rings()
	if index < 0 || index >= len(rings) {
		return nil, fmt.Errorf("ring %d: there are %d", index, len(rings))
	}
	if cfg.Spin == 0 {
		cfg.Spin = DefaultSpin
	}
	if cfg.Backstop <= 0 {
		cfg.Backstop = DefaultBackstop
	}
	buffer, err := rings[index].Clone()
	if err != nil {
		return nil, fmt.Errorf("ring %d: %w", index, err)
	}
	mapped, err := mapRing(buffer, p.Sleepers(), p.Tally(), index)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ring %d: %w", index, err), buffer.Close())
	}
	poller, err := newPoller(buffer.FD())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ring %d: %w", index, err), mapped.unmap(), buffer.Close())
	}
	s := &Source{config: cfg, buffer: buffer, mapping: mapped, poller: poller, ring: mapped.ring(), stuck: stuck{patience: patience}, limit: math.MaxUint64}
	if mayNap(runtime.GOMAXPROCS(0), len(rings)) {
		s.moderator.bound = cfg.Coalesce
	}
	s.room = napRoom(uint64(buffer.MaxEntries()), uint64(bpf.LeastRingSize()))
	s.inherited = s.ring.producer.Load()
	var kept []byte
	if mapped.tallies != nil {
		kept = mapped.tallies[index*bpf.TallySize:]
	}
	s.back.begin(s.ring.consumer, kept)
	s.taken = s.back.tally.counts
	return s, nil
}

// Receive fills b with views of the records in the ring. See packets.Source. It doesn't allocate.
func (s *Source) Receive(b *packets.Batch) error {
	b.Packets = b.Packets[:0]
	if cap(b.Packets) == 0 {
		return errors.New("ring: batch has no room")
	}
	for {
		if s.stopped.Load() && s.limit == math.MaxUint64 {
			s.ring.look()
			s.limit = s.ring.end
		}
		naps, err := s.moderate()
		if err != nil {
			return err
		}
		if err := s.fill(b); err != nil {
			return err
		}
		if len(b.Packets) > 0 {
			return nil
		}
		s.release() // give back skipped records
		if s.ring.next >= s.limit {
			return net.ErrClosed
		}
		if naps && !s.ring.busy() {
			continue
		}
		if err := s.wait(); err != nil {
			return err
		}
	}
}

// Release gives the records of b back to the kernel.
func (s *Source) Release(b *packets.Batch) {
	b.Packets = b.Packets[:0]
	s.release()
}

func (s *Source) release() { s.back.done(s.ring.next, &s.taken) }

// fill appends the ready records to b.
func (s *Source) fill(b *packets.Batch) error {
	if !s.ring.look() {
		return nil
	}
	if used := s.ring.end - s.back.consumer.Load(); used > s.stats.high.Load() {
		s.stats.high.Store(used)
	}
	var bytes, refused uint64
	ds := b.Packets
	for len(ds) < cap(ds) {
		sample, err := s.ring.take(s.limit)
		if err != nil {
			return err
		}
		if sample == nil {
			break
		}
		ds = ds[:len(ds)+1]
		d := &ds[len(ds)-1]
		if !view(sample, d) {
			ds = ds[:len(ds)-1]
			refused++
			continue
		}
		d.Received = s.clock.epoch(d.Received)
		s.taken.add(d.Intake)
		bytes += uint64(len(d.Payload))
	}
	b.Packets = ds
	add(&s.stats.records, uint64(len(ds)))
	add(&s.stats.bytes, bytes)
	add(&s.stats.refused, refused)
	return nil
}

// view sets d from the record in sample, with Received in monotonic time. It returns false if the record is shorter
// than its header says.
func view(sample []byte, d *packets.Packet) bool {
	if len(sample) < bpf.RecordHeader {
		return false
	}
	header, payload := sample[:bpf.RecordHeader], sample[bpf.RecordHeader:]
	length := binary.NativeEndian.Uint32(header[bpf.RecordLength:])
	if uint64(length) > uint64(len(payload)) {
		return false
	}
	d.Payload = payload[:length:length]
	d.Sender = packets.Sender{Endpoint: packets.Endpoint{
		Addr: [16]byte(header[bpf.RecordAddr:]), Port: binary.NativeEndian.Uint16(header[bpf.RecordPort:]),
	}}
	d.Intake = header[bpf.RecordListener]
	d.Hash = binary.NativeEndian.Uint32(header[bpf.RecordHash:])
	d.Received = int64(binary.NativeEndian.Uint64(header[bpf.RecordReceived:]))
	return true
}

// Stop ends the source. Receive delivers what is in the ring at that time and then returns net.ErrClosed. Records that
// the program adds later are not delivered, so detach the program first.
func (s *Source) Stop() {
	s.stopped.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		_ = s.poller.wake() // fails only on a bad descriptor, and this one is good
	}
}

// Stats returns the counts so far.
func (s *Source) Stats() Stats {
	st := Stats{
		Records:     s.stats.records.Load(),
		Bytes:       s.stats.bytes.Load(),
		Refused:     s.stats.refused.Load(),
		Sleeps:      s.stats.sleeps.Load(),
		Naps:        s.stats.naps.Load(),
		LateWakeups: s.stats.late.Load(),
		Consumed:    s.back.given.Load(),
		HighWater:   s.stats.high.Load(),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Size = uint64(s.buffer.MaxEntries())
	if !s.closed {
		// In this order the difference is never negative.
		done := s.back.position.Load()
		st.Fill = s.ring.producer.Load() - done
		st.Inherited = s.inherited - min(done, s.inherited)
	}
	return st
}

// Close unmaps the ring. It is idempotent. It must not be called while Receive may still run.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.back.end()
	return errors.Join(s.poller.close(), s.mapping.unmap(), s.buffer.Close())
}
