package ring

import (
	"fmt"
	"testing"

	"binrepd/userspace/in/packets"
)

// BenchmarkReceive walks a ring in ordinary memory, a batch at a time. It measures the consumer's cost for a datagram,
// without the cost of fetching it from another processor's cache.
func BenchmarkReceive(b *testing.B) {
	for _, size := range []int{1, 32, 512} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			m := newMemory(1 << 20)
			one := sample("payload", 7, 400)
			full := 0
			for ; ; full++ {
				at, ok := m.reserve(one)
				if !ok {
					break
				}
				m.submit(at, len(one))
			}
			s := inMemory(m)
			batch := packets.NewBatch(size)
			received := 0
			for b.Loop() {
				if s.ring.next == m.producer.Load() { // start again
					m.consumer.Store(0)
					s.ring = m.ring()
				}
				if err := s.Receive(batch); err != nil {
					b.Fatal(err)
				}
				received += len(batch.Packets)
				s.Release(batch)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(received), "ns/datagram")
		})
	}
}
