//go:build !linux

package opensipstest

import "net"

// setReadBuffer asks for n bytes of receive buffer.
func setReadBuffer(conn *net.UDPConn, n int) error { return conn.SetReadBuffer(n) }
