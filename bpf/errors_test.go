package bpf

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestErrorTexts: errors say what a user can do, and keep no advice of the library for programmers (fault 32).
func TestErrorTexts(t *testing.T) {
	advice := fmt.Errorf("map create: %w (MEMLOCK may be too low, consider rlimit.RemoveMemlock)", unix.EPERM)
	for _, test := range []struct {
		err  error
		want string
	}{
		{&PermissionError{Op: "load", Missing: []string{"CAP_BPF"}, Err: advice}, "load: operation not permitted: CAP_BPF missing"},
		{&PermissionError{Op: "load", Err: advice}, "load: operation not permitted, though no capability is missing: a user namespace, seccomp or lockdown forbids it"},
		{&PermissionError{Op: "load", Missing: []string{"CAP_BPF"}, Err: errors.New("why")}, "load: why: CAP_BPF missing"},
		{(&Config{Rings: 4, RingSize: 1 << 30}).ringError(2, fmt.Errorf("map create: %w", unix.ENOMEM)),
			"no memory for 4 ring buffers of 1048576 KiB each: cannot allocate memory; choose a smaller --ring-size, or fewer --rings"},
	} {
		if test.err.Error() != test.want {
			t.Errorf("%q, want %q", test.err, test.want)
		}
	}
	err := (&Config{Rings: 4, RingSize: 1 << 20}).ringError(2, fmt.Errorf("map create: %w", unix.EINVAL))
	if !errors.Is(err, unix.EINVAL) || strings.Contains(err.Error(), "--ring-size") {
		t.Errorf("%v", err)
	}
}
