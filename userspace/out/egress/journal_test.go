package egress

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/packets/packetstest"
)

// number makes a packet of size bytes that carries its number.
func number(n uint64, size int) []byte {
	b := make([]byte, max(size, 8))
	binary.LittleEndian.PutUint64(b, n)
	for i := 8; i < len(b); i++ {
		b[i] = byte(n)
	}
	return b
}

// numbered makes a change whose every field depends on its number.
func numbered(n uint64, packet []byte) changes.Change {
	return changes.Change{
		Stamp: changes.Stamp{Origin: n * 3, Seq: n * 5},
		Bytes: packet, BodySpan: changes.Span{From: uint32(n % 3), To: uint32(n%3 + 2)}, KeySpan: changes.Span{From: uint32(n % 2), To: 7},
		Sender: packets.Sender{
			Endpoint: packets.Endpoint{Addr: [16]byte{0: byte(n + 1), 15: byte(n)}, Port: uint16(n)}, Cluster: uint16(n + 2), Node: uint32(n * 7),
		},
		Source: uint16(n * 11), Capability: changes.Capability(n % 5), Kind: dialog.Kind(n%3 + 1), State: dialog.State(n % 6),
		Layout: changes.Layout(n % 11), Framed: n%2 == 1, Confirms: n%3 == 1, Began: n%5 < 2, Moment: uint32(n) * 7,
	}
}

func (j *journal) put(packet []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := binary.LittleEndian.Uint64(packet)
	c := numbered(n, packet)
	j.appendLocked(&c)
	j.wakeLocked()
}

// reader checks what a Tail delivers: consecutive numbers, but for gaps that are counted as dropped.
type reader struct {
	tail    *Tail
	next    uint64 // number expected if nothing is dropped
	dropped uint64 // so far
}

// check checks the run that is taken next and returns the number of changes in it.
func (r *reader) check() (n uint64, err error) {
	j := r.tail.journal
	_, foretold := r.tail.standing()
	j.mu.Lock()
	run, n := r.tail.takeLocked()
	dropped := r.tail.dropped
	j.mu.Unlock()
	if dropped != foretold {
		return 0, fmt.Errorf("%d were dropped, foretold were %d", dropped, foretold)
	}
	r.next += dropped - r.dropped
	r.dropped = dropped
	count := uint64(0)
	for len(run) > 0 {
		var c changes.Change
		run = cutChange(run, &c)
		count++
		n := binary.LittleEndian.Uint64(c.Bytes)
		if n != r.next {
			return 0, fmt.Errorf("change %d, want %d", n, r.next)
		}
		r.next++
		if want := numbered(n, number(n, len(c.Bytes))); !reflect.DeepEqual(c, want) {
			return 0, fmt.Errorf("change %d is %+v, want %+v", n, c, want)
		}
	}
	if count != n {
		return 0, fmt.Errorf("%d changes in a run of %d", count, n)
	}
	return n, nil
}

// TestJournalAgainstModel lets any number of tails read at any pace while changes are written.
func TestJournalAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := newJournal(rapid.IntRange(minSegments, 6).Draw(t, "segments"), 512)
		written := uint64(0)
		var readers []*reader
		read := func(t *rapid.T, r *reader) bool {
			n, err := r.check()
			if err != nil {
				t.Fatal(err)
			}
			return n > 0
		}
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "n") {
					j.mu.Lock()
					furnished := j.ring[0] != nil
					j.mu.Unlock()
					if !furnished {
						return // nobody reads yet
					}
					j.put(number(written, rapid.IntRange(8, 400).Draw(t, "size")))
					written++
				}
			},
			"open": func(t *rapid.T) {
				if len(readers) < 4 {
					readers = append(readers, &reader{tail: j.tail(), next: written})
				}
			},
			"read": func(t *rapid.T) {
				if len(readers) > 0 {
					read(t, rapid.SampledFrom(readers).Draw(t, "reader"))
				}
			},
			"close": func(t *rapid.T) {
				if len(readers) > 0 && rapid.IntRange(0, 4).Draw(t, "rarely") == 0 {
					i := rapid.IntRange(0, len(readers)-1).Draw(t, "reader")
					readers[i].tail.Close()
					readers[i].tail.Close()
					readers = append(readers[:i], readers[i+1:]...)
				}
			},
			"": func(t *rapid.T) {
				if int(j.readers.Load()) != len(readers) || len(j.free) > len(j.ring)+maxFree {
					t.Fatalf("%d readers, %d free segments", j.readers.Load(), len(j.free))
				}
			},
		})
		for _, r := range readers {
			for read(t, r) {
			}
			queued, _ := r.tail.standing()
			if queued != 0 || r.next != written {
				t.Fatalf("at the end: %d queued, at %d of %d", queued, r.next, written)
			}
		}
	})
}

func TestTailTakesWaits(t *testing.T) {
	j := newJournal(minSegments, 512)
	tail := j.tail()
	defer tail.Close()
	done := make(chan error)
	go func() {
		_, n, err := tail.take(context.Background())
		if err == nil && n == 0 {
			err = errors.New("took nothing")
		}
		done <- err
		_, _, err = tail.take(context.Background())
		done <- err
	}()
	j.put(number(0, 8))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	j.close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	other := newJournal(minSegments, 512).tail()
	defer other.Close()
	if _, _, err := other.take(ended); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestTailRead(t *testing.T) {
	j := newJournal(minSegments, 1024)
	tail := j.tail()
	defer tail.Close()
	for n := range uint64(10) {
		j.put(number(n, 40))
	}
	next := uint64(0)
	count := func(c *changes.Change) error {
		if n := binary.LittleEndian.Uint64(c.Bytes); n != next || c.Seq != n*5 {
			return fmt.Errorf("change %d, want %d", n, next)
		}
		next++
		return nil
	}
	head := tail.Head()
	for n := range uint64(10) {
		j.put(number(10+n, 40))
	}
	if lost, err := tail.Read(head, count); lost != 0 || err != nil || next != head {
		t.Fatalf("lost %d, %v, read up to %d of head %d", lost, err, next, head)
	}
	if lost, err := tail.Read(tail.Head(), count); lost != 0 || err != nil || next != 20 {
		t.Fatalf("lost %d, %v, read up to %d", lost, err, next)
	}
	if lost, err := tail.Read(1000, count); lost != 0 || err != nil || next != 20 {
		t.Fatalf("lost %d, %v, read up to %d", lost, err, next)
	}
	for n := range uint64(100) {
		j.put(number(20+n, 40))
	}
	var seen uint64
	lost, err := tail.Read(tail.Head(), func(*changes.Change) error { seen++; return nil })
	if err != nil || lost == 0 || lost+seen != 100 {
		t.Fatalf("lost %d, saw %d of 100, %v", lost, seen, err)
	}
	for n := range uint64(3) {
		j.put(number(120+n, 40))
	}
	broken := errors.New("broken")
	next = 120
	if _, err := tail.Read(tail.Head(), func(c *changes.Change) error {
		return errors.Join(count(c), broken)
	}); !errors.Is(err, broken) || next != 121 {
		t.Fatal(next, err)
	}
	if lost, err := tail.Read(tail.Head(), count); lost != 0 || err != nil || next != 123 {
		t.Fatalf("lost %d, %v, read up to %d", lost, err, next)
	}
	// What was given back may be overwritten, too.
	for n := range uint64(2) {
		j.put(number(123+n, 40))
	}
	if _, err := tail.Read(124, count); err != nil || next != 124 {
		t.Fatal(next, err)
	}
	for n := range uint64(100) {
		j.put(number(125+n, 40))
	}
	seen = 0
	lost, err = tail.Read(tail.Head(), func(*changes.Change) error { seen++; return nil })
	if err != nil || lost == 0 || lost+seen != 101 {
		t.Fatalf("lost %d, saw %d of 101, %v", lost, seen, err)
	}
}

// TestLookersDontWait: reading the status takes no lock that Forward takes.
func TestLookersDontWait(t *testing.T) {
	e := newEgress(t, Config{Sink: packetstest.NewSink()})
	if err := e.Add(Destination{Address: "192.0.2.1:5556"}); err != nil {
		t.Fatal(err)
	}
	e.journal.mu.Lock()
	looked := make(chan Status, 1)
	go func() { looked <- e.Status() }()
	select {
	case s := <-looked:
		e.journal.mu.Unlock()
		if len(s.Destinations) != 1 {
			t.Errorf("%d destinations", len(s.Destinations))
		}
	case <-time.After(time.Minute): // no measure of speed
		e.journal.mu.Unlock()
		<-looked
		t.Error("reading the status waits for a lock that Forward takes")
	}
}
