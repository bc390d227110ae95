package store

import (
	"fmt"
	"sync"
	"testing"
)

// TestNeverMoreDealtThanMapped reads the sizes while chunks are taken and the usable part grows with every 32nd.
func TestNeverMoreDealtThanMapped(t *testing.T) {
	a, err := newArena(4 << 30) // addresses, not memory: nothing is touched
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.close(); err != nil {
			t.Error(err)
		}
	}()
	done := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		for {
			if dealt, mapped := a.sizes(); dealt > mapped {
				t.Errorf("%d bytes dealt out of %d", dealt, mapped)
				return
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	taken := 0
	for {
		if _, ok := a.take(0); !ok {
			break
		}
		taken++
	}
	close(done)
	looking.Wait()
	if dealt, mapped := a.sizes(); taken == 0 || dealt != taken*chunkSize || mapped < dealt {
		t.Errorf("%d chunks taken, %d bytes dealt out of %d", taken, dealt, mapped)
	}
}

// An arena deals out its limit and no more, and says how much that is.
func TestArenaLimit(t *testing.T) {
	a, err := newArena(3 * chunkSize)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	var got []string
	for range 4 {
		n, ok := a.take(0)
		got = append(got, fmt.Sprint(n, ok))
	}
	if want := "[0 true 1 true 2 true 0 false]"; fmt.Sprint(got) != want {
		t.Errorf("took %v, want %v", got, want)
	}
	a.put(1)
	if _, ok := a.take(1); ok {
		t.Error("took the last chunk, although it was reserved")
	}
	if n, ok := a.take(0); n != 1 || !ok {
		t.Errorf("took %d %v, want chunk 1 again", n, ok)
	}
	a.prepare()
	if dealt, mapped := a.sizes(); dealt != 3*chunkSize || mapped != growStep {
		t.Errorf("%d dealt, %d mapped", dealt, mapped)
	}
}

// Memory prepared ahead is dealt out next, and when half of it is, low says so.
func TestArenaPrepare(t *testing.T) {
	a, err := newArena(0)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	a.prepare()
	_, before := a.sizes()
	if before != leastAhead {
		t.Errorf("%d bytes prepared, want %d", before, leastAhead)
	}
	for n := range before / chunkSize {
		a.take(0)
		if early := n < before/chunkSize/2; len(a.low) == 1 == early {
			t.Fatalf("%d of %d chunks taken, %d times low", n+1, before/chunkSize, len(a.low))
		}
	}
	if _, mapped := a.sizes(); mapped != before {
		t.Errorf("%d bytes mapped, want no more than the %d prepared", mapped, before)
	}
	for range 20 * growStep / chunkSize { // faster than prepare
		a.take(0)
	}
	<-a.low
	a.prepare()
	dealt, mapped := a.sizes()
	if mapped < dealt+leastAhead || mapped >= dealt+leastAhead+growStep {
		t.Errorf("%d bytes dealt, %d mapped, want %d ahead", dealt, mapped, leastAhead)
	}
	a.take(0)
	if len(a.low) != 0 {
		t.Error("memory is low just after it was prepared")
	}
}
