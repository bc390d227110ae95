package ring_test

import (
	"encoding/binary"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"binrepd/bpf"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/ring"
)

// consume receives until the source ends. It returns a channel that then has the error, and counts what came.
func consume(s *ring.Source, count *atomic.Uint64, seen func(*packets.Batch)) <-chan error {
	done := make(chan error, 1)
	go func() {
		b := packets.NewBatch(512)
		for {
			if err := s.Receive(b); err != nil {
				done <- err
				return
			}
			if seen != nil {
				seen(b)
			}
			count.Add(uint64(len(b.Packets)))
			s.Release(b)
		}
	}()
	return done
}

// await gives up after so long that a test which gets there has failed.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !condition(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s", what)
		}
	}
}

// untilNaps sends until the consumer naps instead of sleeping, and returns how many frames that took.
func untilNaps(t *testing.T, p *bpf.Program, s *ring.Source, naps uint64) (sent uint64) {
	t.Helper()
	f, naps := frame(1, 100), naps+s.Stats().Naps
	await(t, "nap", func() bool {
		for range 20 {
			if answer, err := send(p, f); err != nil || answer != xdpDrop {
				t.Fatalf("answer %d, %v", answer, err)
			}
			sent++
		}
		return s.Stats().Naps >= naps
	})
	return sent
}

// TestModeration: while traffic lasts the consumer naps and everything arrives. When traffic stops, it sleeps, and then
// one frame wakes it.
func TestModeration(t *testing.T) {
	p, s := open(t, 1<<20, ring.Config{Spin: -1, Backstop: time.Hour, Coalesce: time.Millisecond})
	var count atomic.Uint64
	done := consume(s, &count, nil)
	for range 3 {
		sent := count.Load() + untilNaps(t, p, s, 20)
		await(t, "end of the records", func() bool { return count.Load() == sent })
		sleeps := s.Stats().Sleeps
		await(t, "sleep", func() bool { return s.Stats().Sleeps > sleeps })
		naps := s.Stats().Naps
		if _, err := send(p, frame(2, 100)); err != nil {
			t.Fatal(err)
		}
		await(t, "wake-up", func() bool { return count.Load() == sent+1 })
		if extra := s.Stats().Naps - naps; extra > 1 {
			t.Errorf("%d naps for a single frame", extra)
		}
	}
	s.Stop()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if st := s.Stats(); st.LateWakeups != 0 || st.Fill != 0 {
		t.Errorf("%+v", st)
	}
}

// TestTrickle sends frames one by one, about as fast as naps just pay off. Half of them must be delivered within the
// bound; what the system adds, because the machine is busy, doesn't reach half of them.
func TestTrickle(t *testing.T) {
	const bound = 10 * time.Millisecond
	p, s := open(t, 1<<20, ring.Config{Spin: -1, Backstop: time.Hour, Coalesce: bound})
	var count, within atomic.Uint64
	done := consume(s, &count, func(b *packets.Batch) {
		now := time.Now().UnixNano()
		for _, d := range b.Packets {
			if now-d.Received <= int64(bound) {
				within.Add(1)
			}
		}
	})
	f, sent := frame(1, 100), uint64(0)
	for next := time.Now(); s.Stats().Naps < 30 || sent < 500; next = next.Add(time.Millisecond) {
		if _, err := send(p, f); err != nil {
			t.Fatal(err)
		}
		if sent++; sent > 20_000 {
			t.Fatalf("no naps: %+v", s.Stats())
		}
		time.Sleep(time.Until(next))
	}
	await(t, "end of the records", func() bool { return count.Load() == sent })
	if got := within.Load(); got < sent/2 {
		t.Errorf("only %d of %d were delivered within %v", got, sent, bound)
	}
	s.Stop()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// TestANapEndsAtItsPosition: the program clears the flag of a consumer that naps when the producer has got that far,
// not before.
func TestANapEndsAtItsPosition(t *testing.T) {
	const record = 4096
	p, _ := open(t, 1<<18, ring.Config{})
	f := frame(1, 4000)
	position := uint64(0)
	for _, records := range []uint64{8, 1, 3} {
		want := uint32((position + records*record) / bpf.WakeSlot)
		flag := make([]byte, bpf.SleeperSize)
		binary.NativeEndian.PutUint32(flag, want)
		if err := p.Sleepers().Put(uint32(0), flag); err != nil {
			t.Fatal(err)
		}
		for n := range records {
			if err := p.Sleepers().Lookup(uint32(0), flag); err != nil {
				t.Fatal(err)
			}
			if got := binary.NativeEndian.Uint32(flag); got != want {
				t.Errorf("woken after %d of %d records", n, records)
			}
			if answer, err := send(p, f); err != nil || answer != xdpDrop {
				t.Fatalf("answer %d, %v", answer, err)
			}
		}
		if err := p.Sleepers().Lookup(uint32(0), flag); err != nil {
			t.Fatal(err)
		}
		if got := binary.NativeEndian.Uint32(flag); got != bpf.Awake {
			t.Errorf("the flag is %d after %d records, want %d", got, records, bpf.Awake)
		}
		position += records*record + bpf.WakeSlot
	}
}

// TestAnEighthEndsANap: a nap is to gather 256 records, of which this ring holds no more than 64. The consumer is woken
// when about an eighth of the ring is full, and no record finds the ring full.
func TestAnEighthEndsANap(t *testing.T) {
	const size, record = 256 << 10, 4096
	p, s := open(t, size, ring.Config{Spin: -1, Backstop: time.Hour, Coalesce: time.Hour})
	var count atomic.Uint64
	done := consume(s, &count, nil)
	f, sent := frame(1, 4000), uint64(0)
	for s.Stats().Naps < 50 {
		answer, err := send(p, f)
		if err != nil || answer != xdpDrop {
			t.Fatalf("frame %d: answer %d, %v; %+v", sent, answer, err, s.Stats())
		}
		if sent++; sent-count.Load() > size/8/record+1 {
			await(t, "wake-up", func() bool { return sent-count.Load() <= size/8/record+1 })
		}
	}
	if high := s.Stats().HighWater; high < size/8-record {
		t.Errorf("the consumer was woken at %d bytes, want an eighth of %d", high, size)
	}
	s.Stop() // ends a nap at once
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if count.Load() != sent {
		t.Errorf("%d of %d delivered", count.Load(), sent)
	}
}
