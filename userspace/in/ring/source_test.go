package ring

import (
	"encoding/binary"
	"math"
	"sync/atomic"
	"testing"

	"binrepd/bpf"
	"binrepd/userspace/in/packets"
)

// sample makes a record as the program does. Its header says that it has length bytes of payload.
func sample(payload string, length uint32, class int) []byte {
	b := make([]byte, bpf.RecordHeader+class)
	binary.NativeEndian.PutUint64(b[bpf.RecordReceived:], 1)
	binary.NativeEndian.PutUint32(b[bpf.RecordLength:], length)
	binary.NativeEndian.PutUint32(b[bpf.RecordHash:], 0xabcdef)
	b[bpf.RecordAddr] = 0x20
	binary.NativeEndian.PutUint16(b[bpf.RecordPort:], 5555)
	b[bpf.RecordListener] = 7
	copy(b[bpf.RecordHeader:], payload)
	return b
}

// inMemory makes a Source for ordinary memory. It can't sleep.
func inMemory(m *memory) *Source {
	s := &Source{mapping: &mapping{flag: new(atomic.Uint32)}, ring: m.ring(), limit: math.MaxUint64}
	s.back.begin(&m.consumer, nil)
	return s
}

func (m *memory) put(sample []byte) {
	at, ok := m.reserve(sample)
	if !ok {
		panic("no room")
	}
	m.submit(at, len(sample))
}

// TestRefused refuses records whose payload would reach past them, and continues after them.
func TestRefused(t *testing.T) {
	m := newMemory(4096)
	m.put(sample("whole", 5, 8))
	m.put(sample("too long", 9, 8))
	m.put(sample("", math.MaxUint32, 8))
	m.put(make([]byte, bpf.RecordHeader-1))
	m.put(nil)
	m.put(sample("to the end", 10, 10))
	s := inMemory(m)
	b := packets.NewBatch(16)
	if err := s.Receive(b); err != nil {
		t.Fatal(err)
	}
	if len(b.Packets) != 2 || string(b.Packets[0].Payload) != "whole" || string(b.Packets[1].Payload) != "to the end" {
		t.Errorf("received %v", b.Packets)
	}
	d := b.Packets[0]
	if d.Hash != 0xabcdef || d.Intake != 7 || d.Sender.Port != 5555 || d.Sender.Addr[0] != 0x20 || cap(d.Payload) != 5 {
		t.Errorf("received %+v", d)
	}
	if got := s.stats.refused.Load(); got != 4 {
		t.Errorf("%d refused, want 4", got)
	}
	if got, want := s.stats.records.Load(), uint64(2); got != want {
		t.Errorf("%d records, want %d", got, want)
	}
}

// TestReleaseOnce gives the space back when the batch is released, and not before.
func TestReleaseOnce(t *testing.T) {
	m := newMemory(4096)
	for range 5 {
		m.put(sample("payload", 7, 8))
	}
	s := inMemory(m)
	b := packets.NewBatch(2)
	for _, want := range []int{2, 2, 1} {
		before := m.consumer.Load()
		if err := s.Receive(b); err != nil {
			t.Fatal(err)
		}
		if len(b.Packets) != want {
			t.Fatalf("%d datagrams, want %d", len(b.Packets), want)
		}
		if m.consumer.Load() != before {
			t.Error("space given back while it is lent out")
		}
		s.Release(b)
		if got := m.consumer.Load() - before; got != uint64(want)*56 {
			t.Errorf("%d bytes given back", got)
		}
	}
}

// TestReceiveNoAllocation receives and releases without any allocation.
func TestReceiveNoAllocation(t *testing.T) {
	m := newMemory(1 << 16)
	s := inMemory(m)
	b := packets.NewBatch(64)
	one := sample("payload", 7, 400)
	allocations := testing.AllocsPerRun(100, func() {
		for range 100 {
			m.put(one)
		}
		for range 2 {
			if err := s.Receive(b); err != nil {
				t.Error(err)
			}
			s.Release(b)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations a run", allocations)
	}
}

func TestBatchWithoutRoom(t *testing.T) {
	if err := inMemory(newMemory(64)).Receive(new(packets.Batch)); err == nil {
		t.Error("a batch without room was filled")
	}
}

// TestClock follows the wall clock within the accuracy of reading two clocks one after the other. It keeps the
// difference between times that are close together.
func TestClock(t *testing.T) {
	var c clock
	now, offset := readClocks()
	if got := c.epoch(now) - (now + offset); got > 1e9 || got < -1e9 {
		t.Errorf("off by %d ns", got)
	}
	a, b := c.epoch(now), c.epoch(now+1000)
	if b-a != 1000 {
		t.Errorf("1000 ns became %d", b-a)
	}
	c.offset = 0 // as if the wall clock had been set since
	if got := c.epoch(now + 2*clockAge); got < offset {
		t.Errorf("the offset was not read again: %d", got)
	}
}
