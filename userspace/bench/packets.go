package bench

import (
	"net"

	"binrepd/userspace/in/packets"
)

// encoded is a number of encoded packets in one run of memory, so that a million of them costs the collector nothing.
type encoded struct {
	bytes  []byte
	ends   []int
	calls  []uint64
	hashes []uint32
}

// make appends n packets of next.
func (p *encoded) make(n int, next func([]byte) ([]byte, uint64)) {
	for range n {
		var call uint64
		from := len(p.bytes)
		p.bytes, call = next(p.bytes)
		p.hashes = append(p.hashes, steering().Hash(p.bytes[from:], sourceOf(call)))
		p.ends = append(p.ends, len(p.bytes))
		p.calls = append(p.calls, call)
	}
}

func (p *encoded) reset() {
	p.bytes, p.ends, p.calls, p.hashes = p.bytes[:0], p.ends[:0], p.calls[:0], p.hashes[:0]
}

func (p *encoded) len() int { return len(p.ends) }

func (p *encoded) at(i int) []byte {
	from := 0
	if i > 0 {
		from = p.ends[i-1]
	}
	return p.bytes[from:p.ends[i]:p.ends[i]]
}

// replay is a Source of packets in memory, with steering hashes computed beforehand. It belongs to one goroutine, but
// for Stop.
type replay struct {
	encoded  *encoded
	received int64
	next     int
}

func (r *replay) Receive(b *packets.Batch) error {
	b.Packets = b.Packets[:0]
	for r.next < r.encoded.len() && len(b.Packets) < cap(b.Packets) {
		b.Packets = append(b.Packets, r.encoded.datagram(r.next, r.received))
		r.next++
	}
	if len(b.Packets) == 0 {
		return net.ErrClosed
	}
	return nil
}

func (r *replay) Release(b *packets.Batch) { b.Packets = b.Packets[:0] }
func (r *replay) Stop()                    {}
func (r *replay) Close() error             { return nil }

// datagram returns packet number i as a source would deliver it.
func (p *encoded) datagram(i int, received int64) packets.Packet {
	return packets.Packet{Payload: p.at(i), Sender: packets.Sender{Endpoint: sourceOf(p.calls[i])}, Hash: p.hashes[i], Received: received}
}
