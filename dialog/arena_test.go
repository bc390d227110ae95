package dialog

import (
	"sync"
	"testing"
)

// TestNeverMoreDealtThanMapped looks at the sizes while chunks are taken, and the usable part grows with every 32nd.
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
