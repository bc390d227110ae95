package record

import (
	"encoding/binary"
	"math"
	"net/netip"
	"sync"
)

// maxSegment is the most payload in bytes of one segment: what an IPv4 packet has room for, rounded down. Longer packets
// take several.
const maxSegment = 65000

// Connections takes the packets of connections. All connections share one Tap, behind a lock that each takes once for
// what one read brought.
type Connections struct {
	mu     sync.Mutex // guards what is below, and the worker's side of tap
	tap    *Tap
	closed bool
}

// Connection takes the packets that come in on one connection. It writes each as a TCP segment from the peer, whatever
// segments it came in. The sequence numbers count the bytes of all packets, recorded or not: what is missing in the files
// shows as a gap. A connection begins with a SYN and ends with a FIN.
//
// Its methods belong to one goroutine.
type Connection struct {
	all  *Connections
	head [ipAt + ipv6Header + tcpHeader]byte // for IPv4 the last 20 bytes are not used
	size int                                 // of head in use
	ipv6 bool
	seq  uint32
}

// Flags of TCP (RFC 9293, section 3.1).
const (
	flagFIN = 1 << 0
	flagSYN = 1 << 1
	flagPSH = 1 << 3
	flagACK = 1 << 4
)

// Begin returns the Connection of a peer. group is the number of an entry of Config.Streams, dialed tells that this side
// opened the connection, and received is the time in nanoseconds since the Unix epoch.
func (s *Connections) Begin(group int, remote, local netip.AddrPort, dialed bool, received int64) *Connection {
	// The first number differs between connections, so that no reader takes the SYN of one for that of another again.
	c := &Connection{all: s, ipv6: !remote.Addr().Is4(), seq: uint32(received)}
	number := len(s.tap.templates) + group
	le, be := binary.LittleEndian, binary.BigEndian
	b := c.head[:]
	le.PutUint32(b[0:], blockType)
	le.PutUint32(b[8:], uint32(number))
	putEther(b[blockHead:], c.ipv6)
	ip := b[ipAt:]
	c.size = ipAt + ipv4Header + tcpHeader
	if from, to := remote.Addr(), local.Addr(); c.ipv6 {
		c.size = ipAt + ipv6Header + tcpHeader
		ip[0] = 6 << 4
		ip[6], ip[7] = protocolTCP, hops
		source, target := from.As16(), to.As16()
		copy(ip[8:], source[:])
		copy(ip[24:], target[:])
	} else {
		ip[0] = 4<<4 | ipv4Header/4
		ip[6] = 0x40 // don't fragment: it needs no identification
		ip[8], ip[9] = hops, protocolTCP
		source, target := from.As4(), to.Unmap().As4()
		copy(ip[12:], source[:])
		copy(ip[16:], target[:])
	}
	tcp := b[c.size-tcpHeader:]
	be.PutUint16(tcp[0:], remote.Port())
	be.PutUint16(tcp[2:], local.Port())
	be.PutUint32(tcp[8:], 1) // as if this side had said nothing behind its SYN
	tcp[12] = tcpHeader / 4 << 4
	be.PutUint16(tcp[14:], math.MaxUint16) // window
	flags := byte(flagSYN)
	if dialed {
		flags |= flagACK
	}
	c.mark(flags, received)
	return c
}

// End says that the connection has ended.
func (c *Connection) End(received int64) { c.mark(flagFIN|flagACK, received) }

// mark writes a segment without data. It is no packet, so nothing counts it.
func (c *Connection) mark(flags byte, received int64) {
	s := c.all
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if b := s.tap.room(c.length(0)); b != nil {
		c.encode(b, nil, flags, received)
		s.tap.publish()
	}
	c.seq++
}

// Record takes what one read brought: whole packets, side by side. Behind them may be bytes that are no packet, after
// which the connection ends; they are recorded, but not counted.
func (c *Connection) Record(data []byte, received int64) {
	s := c.all
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(data) > 0 {
		n, counted := wholePacket(data)
		c.record(data[:n:n], counted, received)
		data = data[n:]
	}
	if !s.closed {
		s.tap.copied.Store(s.tap.kept)
		s.tap.publish()
	}
}

// wholePacket returns the size of the packet at the front of b, from its marker and length (spec bin-tcp, 1.1), and 1. Of
// bytes that are no packet it returns all, and 0.
func wholePacket(b []byte) (size int, packets uint64) {
	if len(b) >= 8 && string(b[:4]) == "P4CK" {
		if n := binary.LittleEndian.Uint32(b[4:]); n >= 8 && uint64(n) <= uint64(len(b)) {
			return int(n), 1
		}
	}
	return len(b), 0
}

// record writes one packet. If there is no room for a part of it, the rest is left out as well.
func (c *Connection) record(packet []byte, counted uint64, received int64) {
	t := c.all.tap
	if c.all.closed {
		t.drops[atStop].Add(counted)
		return
	}
	seq := c.seq
	for rest := packet; len(rest) > 0; {
		part := rest[:min(len(rest), maxSegment)]
		b := t.room(c.length(len(part)))
		if b == nil {
			c.seq = seq + uint32(len(packet))
			t.dropFull(counted)
			return
		}
		c.encode(b, part, flagPSH|flagACK, received)
		c.seq += uint32(len(part))
		rest = rest[len(part):]
	}
	t.count += int(counted)
	t.kept += counted
}

// length returns the size of the block for a segment with n bytes of payload.
func (c *Connection) length(n int) int { return (c.size+n+3)&^3 + blockTail }

// encode writes the block of a segment into b, which has the size that length returns. The writer completes the checksum
// of TCP.
func (c *Connection) encode(b, payload []byte, flags byte, received int64) {
	le, be := binary.LittleEndian, binary.BigEndian
	le.PutUint64(b[len(b)-8:], uint64(len(b))<<32)
	copy(b, c.head[:c.size])
	frame := uint32(c.size - blockHead + len(payload))
	le.PutUint32(b[4:], uint32(len(b)))
	le.PutUint32(b[12:], uint32(uint64(received)>>32))
	le.PutUint32(b[16:], uint32(received))
	le.PutUint32(b[20:], frame)
	le.PutUint32(b[24:], frame)
	ip, tcp := b[ipAt:], b[c.size-tcpHeader:]
	if c.ipv6 {
		be.PutUint16(ip[4:], uint16(tcpHeader+len(payload)))
	} else {
		be.PutUint16(ip[2:], uint16(ipv4Header+tcpHeader+len(payload)))
		be.PutUint16(ip[10:], ^onesSum(ip[:ipv4Header], nil, 0))
	}
	be.PutUint32(tcp[4:], c.seq)
	tcp[13] = flags
	copy(b[c.size:], payload)
}

// close makes all connections stop using the tap.
func (s *Connections) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}
