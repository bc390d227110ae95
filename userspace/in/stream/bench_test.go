package stream

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/stream/streamtest"
)

const benchSize = 650

// feed sends n packets in writes of 100, as fast as the other side takes them.
func feed(b *testing.B, w io.Writer, n int) {
	var chunk []byte
	for i := range 100 {
		chunk = append(chunk, packet(uint64(i), benchSize)...)
	}
	for ; n > 0; n -= 100 {
		if _, err := w.Write(chunk[:min(n, 100)*benchSize]); err != nil {
			b.Error(err)
			return
		}
	}
}

// BenchmarkStream: loopback socket to batch. The sender is a bare socket. Where the consumer lags, packets are
// dropped and counted, so the queue has room for the whole run: what is measured is the way, not the policy.
func BenchmarkStream(b *testing.B) {
	for _, conns := range []int{1, 4} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) { benchStream(b, conns, "bin", Config{}) })
	}
	b.Run("tls", func(b *testing.B) {
		ca := streamtest.NewCA(b, "ca")
		benchStream(b, 1, "bins", Config{TLS: NewTLS(ca.Issue(b, "node"), ca.Pool())})
	})
}

func benchStream(b *testing.B, conns int, scheme string, cfg Config) {
	cfg.Limits.QueueBytes = 1 << 30
	s := open(b, cfg)
	u := listen(b, s, scheme)
	var writers []io.Writer
	for range conns {
		if cfg.TLS == nil {
			writers = append(writers, connect(b, u))
			continue
		}
		writers = append(writers, dialTLS(b, u, cfg.TLS))
	}
	batch := packets.NewBatch(256)
	b.SetBytes(benchSize)
	b.ReportAllocs()
	b.ResetTimer()
	for _, w := range writers {
		go feed(b, w, b.N)
	}
	for got := 0; got < conns*b.N; {
		if err := s.Receive(batch); err != nil {
			b.Fatal(err)
		}
		for i := range batch.Packets {
			got += int(batch.Packets[i].Payload[0] / 'P')
		}
		s.Release(batch)
	}
	b.StopTimer()
	b.ReportMetric(float64(conns*b.N)/b.Elapsed().Seconds(), "packets/s")
	if d := s.Status().Totals.Dropped.Packets; d > 0 {
		b.Errorf("%d packets dropped", d)
	}
}

// BenchmarkNaive is the reader that anyone writes first: bufio, a slice for each packet, a map behind one mutex.
func BenchmarkNaive(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close()
		feed(b, c, b.N)
	}()
	c, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	var mu sync.Mutex
	table := make(map[string][]byte)
	r := bufio.NewReader(c)
	b.SetBytes(benchSize)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		head := make([]byte, headerLength)
		if _, err := io.ReadFull(r, head); err != nil {
			b.Fatal(err)
		}
		p := make([]byte, length(head))
		copy(p, head)
		if _, err := io.ReadFull(r, p[headerLength:]); err != nil {
			b.Fatal(err)
		}
		mu.Lock()
		table[string(p[20:28])] = p
		mu.Unlock()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "packets/s")
}
