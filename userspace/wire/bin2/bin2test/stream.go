package bin2test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket/layers"

	"binrepd/userspace/wire/bin2"
)

// flow is one direction of a connection.
type flow struct{ from, to netip.AddrPort }

func (f flow) reverse() flow { return flow{f.to, f.from} }

// assembler puts the segments of all TCP streams of a capture in order.
type assembler struct {
	current     map[flow]*stream
	connections map[flow]int
	opened      int
	all         []*stream
}

// stream is one direction of one connection: bytes in order and when they were seen.
type stream struct {
	flow
	connection int
	base       uint32 // sequence number of the first byte
	bytes      []byte
	arrived    []arrival
	early      map[uint32]segment // by offset; waiting for what is missing before them
}

type segment struct {
	data []byte
	at   time.Time
}

// arrival tells when the bytes up to end were there.
type arrival struct {
	end int
	at  time.Time
}

func (a *assembler) add(f flow, tcp *layers.TCP, at time.Time) {
	s := a.current[f]
	first := tcp.Seq
	if tcp.SYN {
		first++
	}
	if s == nil || tcp.SYN && s.base != first {
		number, known := a.connections[f.reverse()]
		if tcp.SYN && !tcp.ACK || !known {
			number = a.opened
			a.opened++
		}
		a.connections[f] = number
		s = &stream{flow: f, connection: number, base: first, early: map[uint32]segment{}}
		a.current[f] = s
		a.all = append(a.all, s)
	}
	if len(tcp.Payload) > 0 {
		s.add(first-s.base, segment{tcp.Payload, at})
	}
}

func (s *stream) add(offset uint32, g segment) {
	if have, ok := s.early[offset]; !ok || len(have.data) < len(g.data) {
		s.early[offset] = g
	}
	for moved := true; moved; {
		moved = false
		for o, waiting := range s.early {
			if int(o) > len(s.bytes) {
				continue
			}
			delete(s.early, o)
			if end := int(o) + len(waiting.data); end > len(s.bytes) {
				s.bytes = append(s.bytes, waiting.data[len(s.bytes)-int(o):]...)
				s.arrived = append(s.arrived, arrival{len(s.bytes), g.at})
			}
			moved = true
		}
	}
}

// packets cuts the stream; rest is the number of bytes of a packet that never became whole.
func (s *stream) packets() (packets []Packet, rest int, err error) {
	arrived := s.arrived
	for pos := 0; pos < len(s.bytes); {
		n, err := bin2.Next(s.bytes[pos:])
		if err != nil {
			return nil, 0, fmt.Errorf("%v to %v, byte %d: %w", s.from, s.to, pos, err)
		}
		if n == 0 {
			return packets, len(s.bytes) - pos, nil
		}
		p, err := bin2.Parse(s.bytes[pos : pos+n])
		if err != nil {
			return nil, 0, fmt.Errorf("%v to %v, byte %d: %w", s.from, s.to, pos, err)
		}
		for pos += n; arrived[0].end < pos; {
			arrived = arrived[1:]
		}
		packets = append(packets, Packet{Time: arrived[0].at, From: s.from, To: s.to, Connection: s.connection, Packet: p})
	}
	return packets, 0, nil
}
