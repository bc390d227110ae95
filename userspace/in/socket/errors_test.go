package socket

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"binrepd/userspace/in/packets"
)

// TestErrorsMatchTheResultsOfASink: each errno matches at most one result, keeps its own words, and is still that errno.
func TestErrorsMatchTheResultsOfASink(t *testing.T) {
	results := []error{packets.ErrRefused, packets.ErrNoRoute, packets.ErrFull}
	for errno, want := range map[syscall.Errno]error{
		syscall.ECONNREFUSED: packets.ErrRefused,
		syscall.ENETUNREACH:  packets.ErrNoRoute, syscall.EHOSTUNREACH: packets.ErrNoRoute, syscall.ENETDOWN: packets.ErrNoRoute,
		syscall.EHOSTDOWN: packets.ErrNoRoute, syscall.EACCES: packets.ErrNoRoute, syscall.EPERM: packets.ErrNoRoute,
		syscall.ENOBUFS: packets.ErrFull, syscall.ENOMEM: packets.ErrFull, syscall.EAGAIN: packets.ErrFull,
		syscall.EMSGSIZE: nil, syscall.EINVAL: nil,
	} {
		err := fmt.Errorf("send: %w", sendError(errno))
		for _, r := range results {
			if errors.Is(err, r) != (r == want) {
				t.Errorf("%v matches %q: %t", errno, r, errors.Is(err, r))
			}
		}
		if !errors.Is(err, errno) || err.Error() != "send: "+errno.Error() {
			t.Errorf("%v became %v", errno, err)
		}
	}
}
