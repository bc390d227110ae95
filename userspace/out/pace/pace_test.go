package pace_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"binrepd/userspace/out/pace"
)

func TestPace(t *testing.T) {
	for _, perSecond := range []int{1, 10, 4000, 100_000} {
		synctest.Test(t, func(t *testing.T) {
			p := pace.New(perSecond, 128)
			begin, sent := time.Now(), 0
			// Far more than it may send at once to catch up.
			for sent < 3*perSecond {
				if err := p.Wait(t.Context(), p.Batch()); err != nil {
					t.Fatal(err)
				}
				sent += p.Batch()
				// Everything so far, less five milliseconds' worth or two packets, takes its time.
				least := time.Duration(sent-max(perSecond/200, p.Batch()+1)) * time.Second / time.Duration(perSecond)
				if took := time.Since(begin); took < least-time.Millisecond {
					t.Fatalf("%d a second: %d packets within %v", perSecond, sent, took)
				}
			}
			if took := time.Since(begin); took > 3*time.Second {
				t.Errorf("%d a second: %d packets took %v", perSecond, sent, took)
			}
		})
	}
}

func TestBatch(t *testing.T) {
	for perSecond, want := range map[int]int{0: 128, 1: 1, 999: 1, 4000: 4, 10_000_000: 128} {
		if got := pace.New(perSecond, 128).Batch(); got != want {
			t.Errorf("%d a second: batches of %d, want %d", perSecond, got, want)
		}
	}
}

func TestNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, begin := pace.New(0, 128), time.Now()
		for range 1000 {
			if err := p.Wait(t.Context(), 128); err != nil {
				t.Fatal(err)
			}
		}
		if time.Since(begin) > 0 {
			t.Errorf("it took %v", time.Since(begin))
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace.New(1, 128)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		var err error
		n := 0
		for ; err == nil && n < 10; n++ {
			err = p.Wait(ctx, 1)
		}
		if !errors.Is(err, context.DeadlineExceeded) || n > 3 {
			t.Errorf("wait %d: %v", n, err)
		}
		if err := pace.New(0, 1).Wait(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a limit: %v", err)
		}
	})
}
