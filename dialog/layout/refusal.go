package layout

import "bytes"

// Refusal says why a dialog can't be sent in a layout although it can be written in it.
type Refusal uint8

const (
	NotRefused     Refusal = iota
	NoSocket               // a socket is empty; receivers of generation 2 refuse such a dialog
	SocketTag              // a socket is given by its tag, which the releases of the layout don't know
	SocketProtocol         // a socket has a protocol that the releases of the layout don't know
	Refusals
)

var refusalNames = [Refusals]string{"none", "no_socket", "socket_tag", "socket_protocol"}

// String returns the name of the refusal in status and metrics.
func (r Refusal) String() string {
	if r < Refusals {
		return refusalNames[r]
	}
	return "invalid"
}

// refusal judges the sockets.
func (v *View) refusal(to ID) Refusal {
	for _, f := range [...]Field{CallerSocket, CalleeSocket} {
		if r := JudgeSocket(v.Bytes(f), to); r != NotRefused {
			return r
		}
	}
	return NotRefused
}

// JudgeSocket tells why the releases of a layout would not know a socket.
func JudgeSocket(socket []byte, to ID) Refusal {
	proto, rest, _ := bytes.Cut(socket, []byte{':'})
	switch {
	case len(socket) == 0:
		if to != UDP {
			return NoSocket
		}
	case to < Bin1FourSDP && !hasPort(rest):
		return SocketTag
	case to == UDP && string(proto) != "udp" && string(proto) != "tcp" && string(proto) != "tls" && string(proto) != "sctp":
		return SocketProtocol
	}
	return NotRefused
}

// hasPort tells address:port from the tag of a socket.
func hasPort(s []byte) bool {
	n := len(s)
	for n > 0 && s[n-1] >= '0' && s[n-1] <= '9' {
		n--
	}
	return n > 1 && n < len(s) && s[n-1] == ':'
}
