package thread

import (
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// onThread runs fn on a new thread, which ends afterwards.
func onThread(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends and its settings with it
		fn()
	}()
	<-done
}

func TestPrompt(t *testing.T) {
	onThread(func() {
		before, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			t.Error(err)
			return
		}
		if err := Prompt(); err != nil {
			t.Error(err)
		}
		after, err := unix.SchedGetAttr(0, 0)
		if err != nil || after.Policy != before.Policy || after.Nice != before.Nice {
			t.Errorf("%+v became %+v, %v", before, after, err)
		}
		// Kernels before 6.12 report and keep 0.
		if before.Runtime != 0 && after.Runtime != promptSlice {
			t.Errorf("the slice is %d ns", after.Runtime)
		}
	})
}

func TestPin(t *testing.T) {
	allowed, err := Allowed()
	if err != nil || len(allowed) == 0 {
		t.Fatalf("%v, %v", allowed, err)
	}
	last := allowed[len(allowed)-1]
	onThread(func() {
		if err := Pin(last); err != nil {
			t.Error(err)
		}
		if now, err := Allowed(); err != nil || !slices.Equal(now, []int{last}) {
			t.Errorf("pinned to %d, may run on %v, %v", last, now, err)
		}
		if err := Unpin(allowed); err != nil {
			t.Error(err)
		}
		if now, err := Allowed(); err != nil || !slices.Equal(now, allowed) {
			t.Errorf("not pinned any more, may run on %v, %v", now, err)
		}
		if err := Pin(maxCPU); err == nil {
			t.Skipf("this machine has a CPU %d", maxCPU)
		}
	})
	if after, err := Allowed(); err != nil || !slices.Equal(after, allowed) {
		t.Errorf("other threads may run on %v now, before on %v; %v", after, allowed, err)
	}
}

func TestParseCPUs(t *testing.T) {
	for _, c := range []struct {
		text string
		want []int
	}{{"0", []int{0}}, {"0,2", []int{0, 2}}, {"4-7,12", []int{4, 5, 6, 7, 12}}, {"3,1", []int{3, 1}}, {"1023", []int{1023}}} {
		if got, err := ParseCPUs(c.text); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, %v", c.text, got, err)
		}
	}
	for _, text := range []string{"", ",", "a", "1-", "-1", "3-1", "1,1", "1-3,2", "1024", "0-4294967296", "1 2"} {
		if got, err := ParseCPUs(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}
