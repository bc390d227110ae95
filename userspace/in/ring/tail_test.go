package ring

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"pgregory.net/rapid"

	"binrepd/bpf"
	"binrepd/userspace/in/packets"
)

// recordOf returns a record with a payload of that size. Every byte is derived from the number.
func recordOf(number uint32, size int) []byte {
	b := make([]byte, bpf.RecordHeader+size)
	binary.NativeEndian.PutUint32(b[bpf.RecordLength:], uint32(size))
	binary.NativeEndian.PutUint32(b[bpf.RecordHash:], number)
	b[bpf.RecordListener] = byte(number % uint32(bpf.MaxListeners))
	for i := range size {
		b[bpf.RecordHeader+i] = byte(number)
	}
	return b
}

// TestTail performs the steps of kernel, source and tail in random order. The tail must see all that the source has
// finished with, complete and in order, or say how many records it has missed. The tail and the tally must always match
// the position that the kernel knows.
func TestTail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 2048
		m := newMemory(size)
		kept := make([]byte, bpf.TallySize)
		var back giveBack
		back.begin(&m.consumer, kept)
		source := m.ring()
		tail := newTail(&back, m.ring(), size/tailShare)
		batch := packets.NewBatch(rapid.IntRange(1, 6).Draw(t, "batch"))
		var (
			sent, done, seen uint32 // numbers of what comes next
			taken            counts
			inHand           bool
			positions        = []uint64{0} // of each record, and of the next one
		)
		receive := func(t *rapid.T) {
			seen += uint32(tail.Receive(batch))
			inHand = len(batch.Packets) > 0
			for i, d := range batch.Packets {
				if d.Hash != seen+uint32(i) || d.Intake != uint8(d.Hash%uint32(bpf.MaxListeners)) {
					t.Fatalf("saw number %d of listener %d, want number %d", d.Hash, d.Intake, seen+uint32(i))
				}
			}
		}
		release := func(t *rapid.T) {
			n := uint32(len(batch.Packets))
			whole := true
			for i, d := range batch.Packets {
				whole = whole && bytes.Equal(d.Payload, bytes.Repeat([]byte{byte(seen + uint32(i))}, len(d.Payload)))
			}
			if intact := tail.Release(batch); intact && !whole {
				t.Fatalf("%d from number %d were overwritten and are called intact", n, seen)
			}
			seen += n
			inHand = false
		}
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				for range rapid.IntRange(1, 10).Draw(t, "n") {
					b := recordOf(sent, rapid.IntRange(0, 100).Draw(t, "size"))
					at, ok := m.reserve(b)
					if !ok {
						return
					}
					if rapid.IntRange(0, 9).Draw(t, "discard") == 0 {
						m.discard(at, len(b))
						continue
					}
					m.submit(at, len(b))
					positions = append(positions, m.producer.Load())
					sent++
				}
			},
			"take": func(t *rapid.T) {
				source.look()
				for range rapid.IntRange(1, 8).Draw(t, "n") {
					b, err := source.take(math.MaxUint64)
					if err != nil {
						t.Fatal(err)
					}
					if b == nil {
						break
					}
					taken.add(b[bpf.RecordListener])
					done++
				}
				back.done(source.next, &taken)
			},
			"receive": func(t *rapid.T) {
				if !inHand {
					receive(t)
				}
			},
			"release": func(t *rapid.T) {
				if inHand {
					release(t)
				}
			},
			"": func(t *rapid.T) {
				consumer := m.consumer.Load()
				if behind := source.next - consumer; behind > size/tailShare {
					t.Fatalf("the tail holds %d bytes", behind)
				}
				if seen > done || consumer > source.next {
					t.Fatalf("seen %d, done %d", seen, done)
				}
				if given := back.given.Load(); positions[given] > consumer || given+1 < uint64(len(positions)) && positions[given+1] <= consumer {
					t.Fatalf("%d are given back at position %d", given, consumer)
				}
				if again := newTally(kept, consumer); again.sum() != back.given.Load() {
					t.Fatalf("the tally says %d, given back are %d", again.sum(), back.given.Load())
				}
			},
		})
		if inHand {
			release(t)
		}
		if rapid.Bool().Draw(t, "read to the end") {
			for receive(t); inHand; receive(t) {
				release(t)
			}
			if seen != done || m.consumer.Load() != source.next {
				t.Fatalf("of %d, %d are accounted for, up to %d of %d", done, seen, m.consumer.Load(), source.next)
			}
		}
		back.end()
		if tail.Receive(batch) != 0 || len(batch.Packets) > 0 || m.consumer.Load() != source.next || back.tally.counts != taken {
			t.Fatal("cut off and not at the end")
		}
	})
}
