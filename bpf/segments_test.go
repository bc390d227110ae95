package bpf_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/socket"
)

// TestRuns sends packets of equal lengths in runs (UDP segmentation) to an interface with the program. In native mode
// the kernel splits them before the program sees them. In generic mode the program sees the whole run and leaves it to
// the kernel as too long; the socket then gets the single packets. Nothing is lost, and no run is taken as one packet.
func TestRuns(t *testing.T) {
	for _, c := range []struct {
		name, dev, from, to string
		mode                bpf.Mode
		steered             bool
	}{
		{"veth native", "in0", "10.1.0.1:0", "10.1.0.2:5556", bpf.Native, true},
		{"veth native IPv6", "in0", "[fd00::1]:0", "[fd00::2]:5556", bpf.Native, true},
		{"veth generic", "in0", "10.1.0.1:0", "10.1.0.2:5556", bpf.Generic, false},
		{"veth generic IPv6", "in0", "[fd00::1]:0", "[fd00::2]:5556", bpf.Generic, false},
		{"lo generic", "lo", "127.0.0.1:0", "127.0.0.1:5556", bpf.Generic, false},
		{"lo generic IPv6", "lo", "[::1]:0", "[::1]:5556", bpf.Generic, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			sender, receiver := pair(t, 1500)
			if c.dev == "lo" {
				sender = receiver
			}
			to := netip.MustParseAddrPort(c.to)
			p := load(t, bpf.Config{Rings: 1, RingSize: 8 << 20, Listeners: []netip.AddrPort{to}})
			rings := newDrain(t, p)
			var in, out *socket.Socket
			receiver.Do(func() (err error) {
				in, err = socket.Listen(context.Background(), to, socket.Config{})
				return err
			})
			defer in.Close()
			sender.Do(func() (err error) {
				out, err = socket.NewSender(context.Background(), netip.MustParseAddrPort(c.from), socket.Config{})
				return err
			})
			defer out.Close()
			follow(t, receiver, p, c.mode, c.dev)

			var m []packets.Message
			want := map[string]bool{}
			for length := 400; length < 1400; length += 50 {
				for i := range 60 {
					packet := binPacket(fmt.Sprintf("%d-%d", length, i), length)
					want[string(packet)] = true
					m = append(m, packets.Message{Payload: packet, To: packets.EndpointOf(to)})
				}
			}
			if n, err := out.Send(m); n != len(m) || err != nil {
				t.Fatalf("sent %d of %d: %v", n, len(m), err)
			}
			merged := out.Stats().Merged
			if merged < uint64(len(m)*3/4) {
				t.Errorf("%d of %d in runs", merged, len(m))
			}

			took := func(packet []byte) {
				if !want[string(packet)] {
					t.Fatalf("%d bytes that were not sent, or came twice: %.60q", len(packet), packet)
				}
				delete(want, string(packet))
			}
			steered := 0
			count := func() {
				for _, r := range rings.records() {
					took(r.payload)
					steered++
				}
			}
			guard := time.AfterFunc(20*time.Second, in.Stop)
			defer guard.Stop()
			if c.steered {
				bpftest.Await(t, "all records", func() bool { count(); return len(want) == 0 })
			}
			b := packets.NewBatch(64)
			received := 0
			for ; len(want) > 0; in.Release(b) {
				if err := in.Receive(b); err != nil {
					t.Fatalf("%d of %d have not come: %v", len(want), len(m), err)
				}
				received += len(b.Packets)
				for i := range b.Packets {
					took(b.Packets[i].Payload)
				}
				count()
			}
			if c.steered != (received == 0) || steered+received != len(m) || !c.steered && received < int(merged) {
				t.Errorf("%d steered, %d by the socket, of %d of which %d in runs", steered, received, len(m), merged)
			}
			counters, err := p.Counters()
			if err != nil {
				t.Fatal(err)
			}
			l := counters.Listeners[0]
			if l[bpf.Steered] != uint64(steered) || c.steered != (l[bpf.TooLong] == 0) {
				t.Errorf("counters %+v", l)
			}
		})
	}
}
