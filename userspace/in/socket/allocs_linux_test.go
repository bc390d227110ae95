//go:build !portable

package socket

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"binrepd/userspace/in/packets"
)

func TestNoAllocation(t *testing.T) {
	families(t, func(t *testing.T, local netip.AddrPort) {
		s := listen(t, local, Config{})
		dead := deadEndpoint(t, local)
		var refusals int
		from := newSender(t, local, Config{})
		from.Watch(func(packets.Endpoint, error) { refusals++ })
		m := make([]packets.Message, 300) // more than a batch
		for i := range m {
			m[i] = packets.Message{Payload: packet("call", i), To: endpoint(s)}
		}
		m[7].To = dead
		b := packets.NewBatch(64)
		allocs := testing.AllocsPerRun(50, func() {
			if n, err := from.Send(m); n != len(m) || err != nil {
				t.Fatalf("sent %d: %v", n, err)
			}
			for got := 0; got < len(m)-1; got += len(b.Packets) {
				if got > 0 {
					s.Release(b)
				}
				if err := s.Receive(b); err != nil {
					t.Fatal(err)
				}
			}
			s.Release(b)
		})
		if allocs != 0 {
			t.Errorf("%.0f allocations for %d datagrams sent and received", allocs, len(m))
		}
		if refusals == 0 {
			t.Error("the dead destination never showed")
		}
	})
}

// BenchmarkReceive compares what one datagram of a dialog's usual size costs, from a full receive buffer to the caller,
// with what it costs a receiver that reads one by one as package net offers. Filling the buffer is not timed.
func BenchmarkReceive(b *testing.B) {
	b.Run("naive", func(b *testing.B) {
		conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback4))
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetReadBuffer(4 << 20); err != nil {
			b.Fatal(err)
		}
		buf := make([]byte, 65535)
		benchReceive(b, conn, func(n int) {
			for range n {
				if _, _, err := conn.ReadFromUDP(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
	for _, size := range []int{1, 8, 32, 64, 128, 256, 512} {
		b.Run(fmt.Sprint("batch=", size), func(b *testing.B) {
			s := listen(b, loopback4, Config{Batch: size, Steering: packets.Steering{K0: 1, K1: 2}})
			batch := packets.NewBatch(size)
			benchReceive(b, s.conn, func(n int) {
				for n > 0 {
					if err := s.Receive(batch); err != nil {
						b.Fatal(err)
					}
					n -= len(batch.Packets)
					s.Release(batch)
				}
			})
		})
	}
}

// benchReceive fills the buffer of conn, again and again, and times receive, which is called with the number of
// datagrams that wait.
func benchReceive(b *testing.B, conn *net.UDPConn, receive func(n int)) {
	const truesize = 1536 // an upper bound of what the kernel charges for a datagram of 350 bytes
	raw, err := conn.SyscallConn()
	if err != nil {
		b.Fatal(err)
	}
	var room int
	if ctl := raw.Control(func(fd uintptr) {
		room, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
	}); ctl != nil || err != nil {
		b.Fatal(ctl, err)
	}
	payload := packet("a84b4c76e66710@pc33.example.com", 0)
	payload = append(payload, make([]byte, 350-len(payload))...)
	to := packets.EndpointOf(conn.LocalAddr().(*net.UDPAddr).AddrPort())
	m := make([]packets.Message, min(2048, room/truesize))
	for i := range m {
		m[i] = packets.Message{Payload: payload, To: to}
	}
	from := newSender(b, loopback4, Config{})
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; {
		n := min(left, len(m))
		b.StopTimer()
		if sent, err := from.Send(m[:n]); sent != n || err != nil {
			b.Fatalf("sent %d of %d: %v", sent, n, err)
		}
		b.StartTimer()
		receive(n)
		left -= n
	}
}

// BenchmarkSend is the cost of a message handed to the kernel, which on loopback is that of its delivery, too.
func BenchmarkSend(b *testing.B) {
	for _, size := range []int{1, 16, 128, 512} {
		b.Run(fmt.Sprint("batch=", size), func(b *testing.B) {
			s := listen(b, loopback4, Config{ReceiveBuffer: 1}) // full at once: drops are cheap
			from := newSender(b, loopback4, Config{Batch: size})
			m := make([]packets.Message, size)
			for i := range m {
				m[i] = packets.Message{Payload: make([]byte, 350), To: endpoint(s)}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for left := b.N; left > 0; left -= size {
				if n, err := from.Send(m[:min(left, size)]); err != nil {
					b.Fatalf("sent %d: %v", n, err)
				}
			}
		})
	}
}
