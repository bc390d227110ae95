package stream

// Reason tells why a connection ended, was refused, or why packets were dropped. Only append to the list.
type Reason uint8

const (
	None Reason = iota

	// The peer, or the network, ended the connection.
	PeerClosed // between two packets
	Incomplete // the peer closed within a packet
	Reset
	TimedOut   // keepalive, or TCP_USER_TIMEOUT: the peer does not answer
	ReadFailed // any other error of reading

	// The peer sent what no member sends.
	WrongMarker
	TooShort
	TooLong

	// The peer is too slow, or does nothing.
	SlowPacket // a packet was not complete within PacketTimeout of its first byte
	Silent     // accepted, and no packet within FirstTimeout
	Idle       // no byte in either direction for IdleTimeout
	Stuck      // the peer does not read: a write did not end within WriteTimeout
	WriteFailed

	// TLS.
	HandshakeFailed
	HandshakeSlow    // not done within HandshakeTimeout
	NotTLS           // the peer sent something that is not TLS
	PeerCertificate  // this side refused the peer's certificate, or the peer gave none
	OwnCertificate   // the peer refused the certificate of this side
	DialFailed       // a connection could not be opened
	Denied           // Config.Admit denied the address
	RateLimited      // Config.Admit limited the address
	TooMany          // more than MaxConns
	TooManyOfAddress // more than MaxConnsPerAddress
	AcceptFailed     // the system gave no connection: usually out of file descriptors

	// This side ended the connection.
	Refused // the handler answered Disconnect
	Closed  // Conn.Close or Peer.Close
	Stopped // Stream.Stop

	// Packets were dropped, the connection goes on.
	QueueFull // the consumer is slow
	Rejected  // the handler answered Reject
	SendFull  // the outgoing queue is full
	Unsent    // still in the outgoing queue when the connection ended
	Unread    // still in the queue of the Source at Close

	reasons // how many there are
)

var reasonNames = [reasons]string{
	None:             "none",
	PeerClosed:       "closed by the peer",
	Incomplete:       "closed by the peer within a packet",
	Reset:            "reset by the peer",
	TimedOut:         "peer does not answer",
	ReadFailed:       "read failed",
	WrongMarker:      "wrong marker",
	TooShort:         "packet too short",
	TooLong:          "packet too long",
	SlowPacket:       "packet took too long",
	Silent:           "no packet after connect",
	Idle:             "idle",
	Stuck:            "peer does not read",
	WriteFailed:      "write failed",
	HandshakeFailed:  "TLS handshake failed",
	HandshakeSlow:    "TLS handshake took too long",
	NotTLS:           "peer does not speak TLS",
	PeerCertificate:  "certificate of the peer refused",
	OwnCertificate:   "certificate refused by the peer",
	DialFailed:       "connect failed",
	Denied:           "address not allowed",
	RateLimited:      "address over its rate",
	TooMany:          "too many connections",
	TooManyOfAddress: "too many connections of one address",
	AcceptFailed:     "accept failed",
	Refused:          "refused by the member",
	Closed:           "closed by this side",
	Stopped:          "stopped",
	QueueFull:        "consumer too slow",
	Rejected:         "rejected by the member",
	SendFull:         "outgoing queue full",
	Unsent:           "connection ended before sending",
	Unread:           "not received before close",
}

// String returns a few words for logs and labels, the same in every version.
func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return "unknown"
}

// MarshalText makes a Reason a word in JSON, as a value and as a key.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Reasons returns all reasons but None, for tables.
func Reasons() []Reason {
	all := make([]Reason, 0, reasons-1)
	for r := None + 1; r < reasons; r++ {
		all = append(all, r)
	}
	return all
}
