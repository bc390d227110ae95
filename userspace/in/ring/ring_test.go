package ring

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// memory is a ring buffer in ordinary memory; its methods play the kernel's part.
type memory struct {
	data               []byte
	producer, consumer atomic.Uint64
}

func newMemory(size int) *memory { return &memory{data: make([]byte, 2*size)} }

func (m *memory) ring() ring { return newRing(m.data, &m.producer, &m.consumer) }

// write writes b at a position, to both places that the position is mapped to.
func (m *memory) write(at uint64, b []byte) {
	size := uint64(len(m.data) / 2)
	for i, c := range b {
		at := (at + uint64(i)) % size
		m.data[at], m.data[at+size] = c, c
	}
}

func (m *memory) header(at uint64, word uint32) {
	size := uint64(len(m.data) / 2)
	at %= size
	storeUint32(m.data, at, word)
	storeUint32(m.data, at+size, word)
}

// reserve makes a busy record and returns its position, or false if there is no room.
func (m *memory) reserve(sample []byte) (uint64, bool) {
	at := m.producer.Load()
	step := uint64(headerSize+len(sample)+7) &^ 7
	if at+step-m.consumer.Load() > uint64(len(m.data)/2-1) {
		return 0, false // the kernel leaves one byte free, too
	}
	m.header(at, uint32(len(sample))|busyBit)
	m.write(at+headerSize, sample)
	m.producer.Store(at + step)
	return at, true
}

func (m *memory) submit(at uint64, size int)  { m.header(at, uint32(size)) }
func (m *memory) discard(at uint64, size int) { m.header(at, uint32(size)|discardBit) }

// TestWalk compares the walk with a plain queue under random operations.
func TestWalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 256
		m := newMemory(size)
		start := uint64(rapid.IntRange(0, 1000).Draw(t, "start")) &^ 7
		m.producer.Store(start)
		m.consumer.Store(start)
		r := m.ring()
		type item struct {
			at     uint64
			sample []byte
			state  string // busy, ready, discarded
		}
		var queue []item
		t.Repeat(map[string]func(*rapid.T){
			"reserve": func(t *rapid.T) {
				sample := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "sample")
				if at, ok := m.reserve(sample); ok {
					queue = append(queue, item{at: at, sample: sample, state: "busy"})
				}
			},
			"finish": func(t *rapid.T) {
				for i := range queue {
					if queue[i].state == "busy" && rapid.Bool().Draw(t, "this one") {
						if rapid.IntRange(0, 3).Draw(t, "discard") == 0 {
							m.discard(queue[i].at, len(queue[i].sample))
							queue[i].state = "discarded"
						} else {
							m.submit(queue[i].at, len(queue[i].sample))
							queue[i].state = "ready"
						}
					}
				}
			},
			"take": func(t *rapid.T) {
				if r.look() != (len(queue) > 0) {
					t.Fatalf("look says %v with %d records", !(len(queue) > 0), len(queue))
				}
				for len(queue) > 0 && queue[0].state == "discarded" {
					queue = queue[1:]
				}
				got, err := r.take(math.MaxUint64)
				if err != nil {
					t.Fatal(err)
				}
				if len(queue) == 0 || queue[0].state == "busy" {
					if got != nil {
						t.Fatalf("took %x where nothing is ready", got)
					}
					if r.busy() != (len(queue) > 0) {
						t.Fatalf("busy says %v", r.busy())
					}
					return
				}
				if got == nil || !bytes.Equal(got, queue[0].sample) || cap(got) != len(got) {
					t.Fatalf("took %x, want %x", got, queue[0].sample)
				}
				queue = queue[1:]
			},
			"release": func(t *rapid.T) { m.consumer.Store(r.next) },
			"": func(t *rapid.T) {
				if r.warm > r.end || r.warm > r.next+warmLeast+warmStep {
					t.Fatalf("drew up to %d, next %d, end %d", r.warm, r.next, r.end)
				}
				if fill := m.producer.Load() - m.consumer.Load(); fill > size || m.consumer.Load() > r.next {
					t.Fatalf("fill %d, consumer %d, next %d", fill, m.consumer.Load(), r.next)
				}
			},
		})
	})
}

// TestTakeLimit stops at the limit of the drain.
func TestTakeLimit(t *testing.T) {
	m := newMemory(256)
	for range 3 {
		at, _ := m.reserve(make([]byte, 8))
		m.submit(at, 8)
	}
	r := m.ring()
	r.look()
	for i, want := range []bool{true, true, false} {
		if got, err := r.take(32); err != nil || (got != nil) != want {
			t.Errorf("record %d up to position 32: %v, %v", i, got, err)
		}
	}
}

func TestCorrupt(t *testing.T) {
	for _, size := range []uint32{9, 57, 300, discardBit - 1, discardBit | 57, 2*discardBit - 1} {
		t.Run(fmt.Sprintf("%#x", size), func(t *testing.T) {
			m := newMemory(64)
			m.header(0, size)
			m.producer.Store(16)
			r := m.ring()
			r.look()
			if got, err := r.take(math.MaxUint64); !errors.Is(err, errCorrupt) {
				t.Errorf("took %x, %v", got, err)
			}
		})
	}
	t.Run("positions", func(t *testing.T) {
		m := newMemory(64)
		m.producer.Store(72) // more than the size of the ring
		r := m.ring()
		r.look()
		if got, err := r.take(math.MaxUint64); !errors.Is(err, errCorrupt) {
			t.Errorf("took %x, %v", got, err)
		}
	})
}

// FuzzWalk walks any memory between any positions. The walk must end and stay inside the memory.
func FuzzWalk(f *testing.F) {
	m := newMemory(64)
	at, _ := m.reserve([]byte("a record"))
	m.submit(at, 8)
	f.Add(m.data[:64], uint64(0), uint64(16))
	f.Add(m.data[:64], uint64(48), uint64(80))
	f.Add(bytes.Repeat([]byte{0xff}, 64), uint64(0), uint64(64))
	f.Add(bytes.Repeat([]byte{0, 0, 0, 0x40}, 16), uint64(0), uint64(64))
	f.Fuzz(func(t *testing.T, data []byte, consumer, producer uint64) {
		m := newMemory(64)
		m.write(0, data[:min(len(data), 64)])
		m.consumer.Store(consumer &^ 7) // always multiples of 8
		m.producer.Store(producer &^ 7)
		r := m.ring()
		r.look()
		for taken := 0; ; taken++ {
			got, err := r.take(math.MaxUint64)
			if got == nil || err != nil {
				break
			}
			if taken > 64/headerSize {
				t.Fatal("more records than fit a ring")
			}
			if r.next > r.end {
				t.Fatalf("next %d is past the end %d", r.next, r.end)
			}
		}
	})
}
