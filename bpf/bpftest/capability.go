package bpftest

import (
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// WithCapabilities runs fn on a thread whose only effective capabilities are these (CAP_... of x/sys/unix). It calls
// RequireKernel. fn must not call t.FailNow.
func WithCapabilities(t testing.TB, fn func(), numbers ...int) {
	t.Helper()
	RequireKernel(t)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends and takes its capabilities with it
		err := only(numbers)
		if err == nil {
			fn()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func only(numbers []int) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	data[0].Effective, data[1].Effective = 0, 0
	for _, n := range numbers {
		data[n/32].Effective |= 1 << (n % 32)
	}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	return nil
}
