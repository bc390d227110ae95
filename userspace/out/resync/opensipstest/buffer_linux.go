package opensipstest

import (
	"net"

	"golang.org/x/sys/unix"
)

// setReadBuffer asks for n bytes of receive buffer, beyond net.core.rmem_max where the process may (socket(7)).
func setReadBuffer(conn *net.UDPConn, n int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var refused error
	if err := raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, n)
	}); err != nil {
		return err
	}
	if refused != nil {
		return conn.SetReadBuffer(n)
	}
	return nil
}
