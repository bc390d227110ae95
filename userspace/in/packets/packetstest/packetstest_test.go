package packetstest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"binrepd/userspace/in/packets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	_ packets.Source   = (*Source)(nil)
	_ packets.Reporter = (*Sink)(nil)
)

func payloads(texts ...string) (ds []packets.Packet) {
	for _, text := range texts {
		ds = append(ds, packets.Packet{Payload: []byte(text)})
	}
	return ds
}

func TestSourceDeliversInOrderUpToTheCapacity(t *testing.T) {
	s := NewSource()
	s.Feed(payloads("a", "b", "c")...)
	b := packets.NewBatch(2)
	var got []string
	for _, want := range []int{2, 1} {
		if err := s.Receive(b); err != nil {
			t.Fatal(err)
		}
		if len(b.Packets) != want {
			t.Fatalf("a batch of %d, want %d", len(b.Packets), want)
		}
		for _, d := range b.Packets {
			got = append(got, string(d.Payload))
		}
		s.Release(b)
	}
	if len(got) != 3 || got[0] != "a" || got[1] != "b" || got[2] != "c" {
		t.Fatalf("received %q", got)
	}
	if n, batches, closed := s.Released(); n != 3 || batches != 2 || closed {
		t.Fatalf("Released() = %d, %d, %t", n, batches, closed)
	}
}

func TestSourcePoisonsWhatIsReleased(t *testing.T) {
	s := NewSource()
	mine := []byte("mine")
	s.Feed(packets.Packet{Payload: mine}, packets.Packet{Payload: mine})
	b := packets.NewBatch(4)
	if err := s.Receive(b); err != nil {
		t.Fatal(err)
	}
	kept := [][]byte{b.Packets[0].Payload, b.Packets[1].Payload}
	b.Packets = b.Packets[:1] // a user that cuts the batch short is caught, too
	s.Release(b)
	for _, k := range kept {
		if !bytes.Equal(k, bytes.Repeat([]byte{Poison}, 4)) {
			t.Errorf("released payload holds %q", k)
		}
	}
	if string(mine) != "mine" {
		t.Errorf("the feeder's memory became %q", mine)
	}
}

func TestSourceDrainsAfterStop(t *testing.T) {
	s := NewSource()
	s.Feed(payloads("a")...)
	s.Stop()
	s.Stop()
	if s.Feed(payloads("b")...) {
		t.Error("took a datagram after Stop")
	}
	b := packets.NewBatch(4)
	if err := s.Receive(b); err != nil || len(b.Packets) != 1 {
		t.Fatalf("first Receive after Stop: %d datagrams, %v", len(b.Packets), err)
	}
	s.Release(b)
	for range 2 {
		if err := s.Receive(b); !errors.Is(err, net.ErrClosed) || len(b.Packets) != 0 {
			t.Fatalf("Receive after the last: %d datagrams, %v", len(b.Packets), err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, closed := s.Released(); !closed {
		t.Error("Close left no trace")
	}
}

func TestStopWakesReceive(t *testing.T) {
	s := NewSource()
	done := make(chan error)
	go func() { done <- s.Receive(packets.NewBatch(1)) }()
	s.Stop()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

func TestFailReturnsItsError(t *testing.T) {
	s, broken := NewSource(), errors.New("broken")
	s.Fail(broken)
	s.Stop()
	if err := s.Receive(packets.NewBatch(1)); !errors.Is(err, broken) {
		t.Fatal(err)
	}
}

func TestWaitReleased(t *testing.T) {
	s := NewSource()
	s.Feed(payloads("a", "b", "c")...)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.WaitReleased(ended); !errors.Is(err, context.Canceled) {
		t.Fatalf("WaitReleased with nothing released: %v", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		b := packets.NewBatch(1)
		for s.Receive(b) == nil {
			s.Release(b)
		}
	})
	if err := s.WaitReleased(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n, _, _ := s.Released(); n != 3 {
		t.Errorf("released %d of 3", n)
	}
	s.Stop()
	wg.Wait()
}

func TestSourcePanicsOnBrokenContract(t *testing.T) {
	for name, f := range map[string]func(s *Source, b *packets.Batch){
		"receive before release": func(s *Source, b *packets.Batch) { s.Receive(b); s.Receive(b) },
		"release twice":          func(s *Source, b *packets.Batch) { s.Receive(b); s.Release(b); s.Release(b) },
		"release another": func(s *Source, b *packets.Batch) {
			s.Receive(b)
			s.Release(packets.NewBatch(1))
		},
		"receive after close": func(s *Source, b *packets.Batch) { s.Close(); s.Receive(b) },
		"no room":             func(s *Source, b *packets.Batch) { s.Receive(&packets.Batch{}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			s := NewSource()
			s.Feed(payloads("a", "b")...)
			f(s, packets.NewBatch(1))
		})
	}
}

func TestSinkKeepsCopiesInOrder(t *testing.T) {
	s := NewSink()
	buf := []byte("a")
	for _, c := range []byte("abc") {
		buf[0] = c
		if n, err := s.Send([]packets.Message{{Payload: buf, To: packets.Endpoint{Port: uint16(c)}}}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	sent := s.Sent()
	if len(sent) != 3 || s.Calls() != 3 {
		t.Fatalf("%d messages in %d calls", len(sent), s.Calls())
	}
	for i, want := range "abc" {
		if string(sent[i].Payload) != string(want) || sent[i].To.Port != uint16(want) {
			t.Errorf("message %d is %q to %v", i, sent[i].Payload, sent[i].To)
		}
	}
	s.Forget()
	if len(s.Sent()) != 0 || s.Calls() != 0 {
		t.Error("Forget forgot nothing")
	}
}

func TestSinkRefuses(t *testing.T) {
	s, full := NewSink(), errors.New("full")
	s.Refuse(func(m packets.Message) error {
		if string(m.Payload) == "b" {
			return full
		}
		return nil
	})
	m := []packets.Message{{Payload: []byte("a")}, {Payload: []byte("b")}, {Payload: []byte("c")}}
	if n, err := s.Send(m); n != 1 || !errors.Is(err, full) {
		t.Fatalf("Send = %d, %v", n, err)
	}
	s.Refuse(nil)
	if n, err := s.Send(m[1:]); n != 2 || err != nil {
		t.Fatalf("Send = %d, %v", n, err)
	}
	if err := s.WaitSent(context.Background(), 3); err != nil {
		t.Fatal(err)
	}
}

func TestSinkHolds(t *testing.T) {
	s := NewSink()
	resume := s.Hold()
	var wg sync.WaitGroup
	wg.Go(func() { s.Send([]packets.Message{{Payload: []byte("a")}}) })
	if err := s.WaitHeld(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(s.Sent()) != 0 {
		t.Error("sent while held")
	}
	resume()
	resume()
	if err := s.WaitSent(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

func TestSinkReports(t *testing.T) {
	s, gone := NewSink(), errors.New("gone")
	var got []packets.Endpoint
	stop := s.Watch(func(to packets.Endpoint, err error) {
		if errors.Is(err, gone) {
			got = append(got, to)
		}
	})
	s.Report(packets.Endpoint{Port: 1}, gone)
	stop()
	stop()
	s.Report(packets.Endpoint{Port: 2}, gone)
	if len(got) != 1 || got[0].Port != 1 || s.Poll() != 0 {
		t.Errorf("reported %v", got)
	}
}
