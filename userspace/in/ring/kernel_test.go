package ring_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/ring"
)

// steering is the steering key of all tests here.
var steering = packets.Steering{K0: 1, K1: 2}

// open loads the program with a listener at the address of the captures, and opens one ring of the given size.
func open(t testing.TB, size int, cfg ring.Config) (*bpf.Program, *ring.Source) {
	t.Helper()
	bpftest.RequireKernel(t)
	p, err := bpf.Load(bpf.Config{
		Rings: 1, RingSize: size, K0: steering.K0, K1: steering.K1,
		Listeners: []netip.AddrPort{netip.MustParseAddrPort("10.99.0.2:5556")},
	})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	s, err := ring.Open(p, 0, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), s.Close(), p.Close()); err != nil {
			t.Error(err)
		}
	})
	return p, s
}

// frame returns a frame with a BIN packet of that many bytes that contains number.
func frame(number uint32, size int) []byte {
	payload := make([]byte, size)
	copy(payload, "P4CK")
	binary.LittleEndian.PutUint32(payload[14:], number)
	return bpftest.Frame{
		From: netip.MustParseAddrPort("10.99.0.1:5555"), To: netip.MustParseAddrPort("10.99.0.2:5556"), Payload: payload,
	}.Bytes()
}

func number(d packets.Packet) uint32 { return binary.LittleEndian.Uint32(d.Payload[14:]) }

// Return codes of XDP programs.
const (
	xdpDrop = 1
	xdpPass = 2
)

// send runs the program once on the frame and returns its return code.
func send(p *bpf.Program, frame []byte) (uint32, error) {
	return p.XDP().Run(&ebpf.RunOptions{Data: frame})
}

// TestCaptures delivers the payload of every whole frame, byte for byte and in order.
func TestCaptures(t *testing.T) {
	for _, name := range bpftest.Captures() {
		t.Run(name, func(t *testing.T) {
			frames := bpftest.Capture(t, name)
			p, s := open(t, 4<<20, ring.Config{})
			var want [][]byte
			before := time.Now()
			for _, f := range frames {
				answer, err := send(p, f)
				if err != nil {
					t.Fatal(err)
				}
				if answer == xdpDrop {
					want = append(want, f[42:])
				}
			}
			after := time.Now()
			s.Stop()
			b := packets.NewBatch(64)
			got, bytesIn := 0, 0
			for {
				err := s.Receive(b)
				if errors.Is(err, net.ErrClosed) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range b.Packets {
					if got >= len(want) || !bytes.Equal(d.Payload, want[got]) {
						t.Fatalf("datagram %d is %x", got, d.Payload)
					}
					if h := steering.Hash(d.Payload, d.Sender.Endpoint); d.Hash != h || d.Sender.String() != "10.99.0.1:5555" || d.Intake != 0 {
						t.Fatalf("datagram %d: %+v, want hash %#x", got, d, h)
					}
					// The clocks are read one after the other, and the wall clock is slewed, so the margin is generous.
					at := time.Unix(0, d.Received)
					if at.Before(before.Add(-time.Second)) || at.After(after.Add(time.Second)) {
						t.Fatalf("received at %v, not between %v and %v", at, before, after)
					}
					got++
					bytesIn += len(d.Payload)
				}
				s.Release(b)
			}
			st := s.Stats()
			if got != len(want) || st.Records != uint64(got) || st.Bytes != uint64(bytesIn) || st.Refused != 0 || st.Fill != 0 || st.HighWater == 0 {
				t.Errorf("%d of %d datagrams, %d bytes; %+v", got, len(want), bytesIn, st)
			}
		})
	}
}

// TestRingFull fills the ring. Frames that don't fit are passed and counted, those that fit are delivered, and then
// there is room again.
func TestRingFull(t *testing.T) {
	p, s := open(t, 1<<16, ring.Config{})
	b := packets.NewBatch(100)
	for round := range uint32(3) {
		steered, passed := uint32(0), uint64(0)
		for passed < 10 {
			answer, err := send(p, frame(steered, 1000))
			if err != nil {
				t.Fatal(err)
			}
			if answer == xdpDrop {
				steered++
			} else {
				passed++
			}
		}
		if want := uint32(1<<16) / 1280; steered > want || steered < want-2 {
			t.Errorf("%d records of 1280 bytes in a ring of 64 KiB", steered)
		}
		c, err := p.Counters()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := c.Listeners[0][bpf.RingFull], 10*uint64(round+1); got != want {
			t.Errorf("%d counted as ring full, want %d", got, want)
		}
		if st := s.Stats(); st.Fill != uint64(steered)*1280 || st.Size != 1<<16 {
			t.Errorf("after %d records: %+v", steered, st)
		}
		if err := s.Receive(b); err != nil {
			t.Fatal(err)
		}
		for i, d := range b.Packets {
			if number(d) != uint32(i) {
				t.Fatalf("datagram %d is number %d", i, number(d))
			}
		}
		if len(b.Packets) != int(steered) {
			t.Errorf("%d of %d delivered", len(b.Packets), steered)
		}
		s.Release(b)
	}
}

// TestStop wakes a sleeping Receive. From then on each Receive returns net.ErrClosed.
func TestStop(t *testing.T) {
	_, s := open(t, 1<<16, ring.Config{Spin: -1, Backstop: time.Hour})
	done := make(chan error, 1)
	b := packets.NewBatch(1)
	go func() { done <- s.Receive(b) }()
	for s.Stats().Sleeps == 0 {
		time.Sleep(time.Millisecond) // Receive is then probably about to sleep
	}
	s.Stop()
	s.Stop()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Receive after Stop: %v", err)
	}
	if err := s.Receive(b); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Receive after that: %v", err)
	}
}

// TestStopDrains delivers what was in the ring at Stop, and nothing later.
func TestStopDrains(t *testing.T) {
	p, s := open(t, 1<<16, ring.Config{})
	for i := range uint32(3) {
		if _, err := send(p, frame(i, 100)); err != nil {
			t.Fatal(err)
		}
	}
	s.Stop()
	b := packets.NewBatch(2)
	if err := s.Receive(b); err != nil || len(b.Packets) != 2 {
		t.Fatalf("%v, %d datagrams", err, len(b.Packets))
	}
	if _, err := send(p, frame(3, 100)); err != nil { // the program is still attached
		t.Fatal(err)
	}
	s.Release(b)
	if err := s.Receive(b); err != nil || len(b.Packets) != 1 || number(b.Packets[0]) != 2 {
		t.Fatalf("%v, %d datagrams", err, len(b.Packets))
	}
	s.Release(b)
	if err := s.Receive(b); !errors.Is(err, net.ErrClosed) {
		t.Errorf("at the end: %v", err)
	}
}

// TestCloseProgramFirst uses the ring after the program is closed.
func TestCloseProgramFirst(t *testing.T) {
	p, s := open(t, 1<<16, ring.Config{})
	if _, err := send(p, frame(1, 100)); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	b := packets.NewBatch(2)
	if err := s.Receive(b); err != nil || len(b.Packets) != 1 {
		t.Errorf("%v, %d datagrams", err, len(b.Packets))
	}
	s.Release(b)
}

func TestOpenNoSuchRing(t *testing.T) {
	p, _ := open(t, 1<<16, ring.Config{})
	for _, index := range []int{-1, 1} {
		if s, err := ring.Open(p, index, ring.Config{}); err == nil {
			t.Errorf("opened ring %d of 1", index)
			_ = s.Close()
		}
	}
}
