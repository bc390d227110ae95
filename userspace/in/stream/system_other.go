//go:build !linux

package stream

import (
	"syscall"
	"time"
)

// setUserTimeout does nothing: only Linux has the option. Keepalive and WriteTimeout still act.
func setUserTimeout(syscall.RawConn, time.Duration) {}

// arrived returns how many bytes are read after Stop at most: the usual size of a receive buffer.
func arrived(syscall.RawConn) int { return 4 << 20 }
