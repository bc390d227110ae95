package socket

import (
	"errors"
	"net"
	"testing"
	"time"

	"binrepd/userspace/in/packets"
)

func TestStopWakesReceive(t *testing.T) {
	s := listen(t, loopback4, Config{})
	result := make(chan error, 1)
	go func() { result <- s.Receive(packets.NewBatch(4)) }()
	s.Stop() // before, while or after Receive begins to wait: all must end alike
	s.Stop()
	if err := <-result; err != net.ErrClosed {
		t.Errorf("Receive: %v, want net.ErrClosed", err)
	}
	if err := s.Receive(packets.NewBatch(4)); err != net.ErrClosed {
		t.Errorf("Receive after Stop: %v, want net.ErrClosed", err)
	}
}

func TestStopWakesReceiveThatWaits(t *testing.T) {
	s := listen(t, loopback4, Config{})
	from := newSender(t, loopback4, Config{})
	first, result := make(chan struct{}), make(chan error, 1)
	go func() {
		b := packets.NewBatch(4)
		err := s.Receive(b)
		s.Release(b)
		close(first)
		if err == nil {
			err = s.Receive(b)
		}
		result <- err
	}()
	send(t, from, endpoint(s), []byte("x"))
	<-first
	time.AfterFunc(10*time.Millisecond, s.Stop) // most probably it waits by then; it must end either way
	if err := <-result; err != net.ErrClosed {
		t.Errorf("Receive: %v, want net.ErrClosed", err)
	}
}

func TestStopDeliversWhatHadArrived(t *testing.T) {
	s := listen(t, loopback4, Config{Batch: 8})
	from := newSender(t, loopback4, Config{})
	const n = 100
	for i := range n {
		send(t, from, endpoint(s), packet("c", i))
	}
	s.Stop()
	b := packets.NewBatch(8)
	got := 0
	for {
		err := s.Receive(b)
		if err != nil {
			if err != net.ErrClosed {
				t.Errorf("Receive: %v, want net.ErrClosed", err)
			}
			break
		}
		for _, d := range b.Packets {
			if number(d.Payload) != got {
				t.Fatalf("datagram %d came at place %d", number(d.Payload), got)
			}
			got++
		}
		s.Release(b)
	}
	if got != n {
		t.Errorf("%d delivered after Stop, want the %d that had arrived", got, n)
	}
}

func TestSendAfterStopAndClose(t *testing.T) {
	s, to := listen(t, loopback4, Config{}), listen(t, loopback4, Config{})
	s.Stop()
	send(t, s, endpoint(to), []byte("still"))
	if d := collect(t, to, 1, 1)[0]; string(d.Payload) != "still" {
		t.Errorf("got %q", d.Payload)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Send([]packets.Message{{To: endpoint(to)}}); n != 0 || err != net.ErrClosed {
		t.Errorf("Send after Close: %d, %v, want net.ErrClosed", n, err)
	}
	if err := s.Receive(packets.NewBatch(1)); err != net.ErrClosed {
		t.Errorf("Receive after Close: %v, want net.ErrClosed", err)
	}
	if s.Close() == nil {
		t.Error("second Close is silent")
	}
	if st := s.Stats(); st.Sent != 1 || st.SendErrors != (ErrorCounts{}) {
		t.Errorf("stats after Close %+v", st)
	}
	if s.Poll() != 0 {
		t.Error("errors reaped after Close")
	}
}

func TestSenderNeverReceives(t *testing.T) {
	s := newSender(t, loopback4, Config{})
	if err := s.Receive(packets.NewBatch(1)); err != net.ErrClosed {
		t.Errorf("Receive of a sender: %v, want net.ErrClosed", err)
	}
}

func TestBatchWithoutRoom(t *testing.T) {
	s := listen(t, loopback4, Config{})
	if err := s.Receive(packets.NewBatch(0)); !errors.Is(err, errNoRoom) {
		t.Errorf("Receive: %v, want %v", err, errNoRoom)
	}
}
