//go:build !portable

package socket

import (
	"fmt"
	"testing"

	"binrepd/userspace/in/packets"
)

// BenchmarkSendRuns is the cost of a message of a dialog's usual size handed to the kernel and delivered on loopback, by
// itself and in runs of so many equal ones. Emptying the buffer is not timed.
func BenchmarkSendRuns(b *testing.B) {
	const size = 500
	for _, run := range []int{1, 20, 31, 60} {
		b.Run(fmt.Sprint("run=", run), func(b *testing.B) {
			s := listen(b, loopback4, Config{Batch: MaxBatch})
			from := newSender(b, loopback4, Config{Plain: run == 1})
			m := make([]packets.Message, 20*31*60/10)
			for i := range m {
				m[i] = packets.Message{Payload: make([]byte, size-i/run%2), To: endpoint(s)}
			}
			batch := packets.NewBatch(MaxBatch)
			b.ReportAllocs()
			b.ResetTimer()
			for left := b.N; left > 0; left -= len(m) {
				n := min(left, len(m))
				if sent, err := from.Send(m[:n]); sent != n || err != nil {
					b.Fatalf("sent %d of %d: %v", sent, n, err)
				}
				b.StopTimer()
				for n > 0 {
					if err := s.Receive(batch); err != nil {
						b.Fatal(err)
					}
					n -= len(batch.Packets)
					s.Release(batch)
				}
				b.StartTimer()
			}
		})
	}
}
