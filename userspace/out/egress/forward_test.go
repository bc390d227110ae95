package egress

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets/packetstest"
)

func TestForwardDoesNotAllocate(t *testing.T) {
	sink := packetstest.NewSink()
	e := newEgress(t, Config{Sink: sink})
	resume := sink.Hold() // so that the fake's copies don't count
	defer resume()
	list := batch(64)
	forward := func() { e.Forward(list) }
	if n := testing.AllocsPerRun(1000, forward); n != 0 {
		t.Errorf("without destinations: %v allocations", n)
	}
	add(t, e, Destination{Address: standby})
	tail := e.Tail()
	defer tail.Close()
	forward()
	if err := sink.WaitHeld(context.Background()); err != nil {
		t.Fatal(err)
	}
	// Once around the journal: one segment is pinned, the writer replaces it.
	for range 200 {
		forward()
	}
	if n := testing.AllocsPerRun(1000, forward); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func batch(n int) (list []changes.Change) {
	for i := range n {
		list = append(list, changeOf(dialog.Update, dialog.Details{
			CallID: fmt.Sprint(i), State: dialog.Confirmed, Timeout: never, CallerSocket: "udp:10.0.0.1:5060",
			CallerContact: fmt.Sprintf("sip:%0250d", i), // to the size of a real one
		}, other))
	}
	return list
}

// TestDestinationsComeAndGo is for the race detector.
func TestDestinationsComeAndGo(t *testing.T) {
	sink := packetstest.NewSink()
	e := newEgress(t, Config{Sink: sink})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			list := batch(8)
			for {
				select {
				case <-stop:
					return
				default:
					e.Forward(list)
					sink.Report(endpoint(standby), context.DeadlineExceeded)
				}
			}
		})
	}
	for i := range 40 {
		address := fmt.Sprintf("192.0.2.%d:5556", i%4)
		add(t, e, Destination{Address: address})
		tail := e.Tail()
		tail.Read(tail.Head(), func(*changes.Change) error { return nil })
		for d := only(t, e); d.Bytes+d.Own == 0; d = only(t, e) {
			time.Sleep(time.Millisecond)
		}
		tail.Close()
		if err := e.Remove(address); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
}

func BenchmarkForward(b *testing.B) {
	for _, readers := range []int{0, 1, 4} {
		for _, size := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("tails=%d/batch=%d", readers, size), func(b *testing.B) {
				e := newEgress(b, Config{Sink: packetstest.NewSink(), Journal: DefaultJournal})
				for range readers {
					tail := e.Tail()
					defer tail.Close()
				}
				list := batch(size)
				b.SetBytes(int64(len(list[0].Bytes)))
				for b.Loop() {
					e.Forward(list)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/event")
			})
		}
	}
}
