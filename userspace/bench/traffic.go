package bench

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1/generate"
)

// The addresses of all traffic are of the network that RFC 2544 sets aside for benchmarks.

func listener() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 0, 2}), 5556)
}

// senders is how many proxies the packets come from.
const senders = 8

// senderPort is the source port of all of them.
const senderPort = 5555

// steering is what all hashes are made with. In service its key is random.
func steering() packets.Steering {
	return packets.Steering{K0: 0x0706050403020100, K1: 0x0f0e0d0c0b0a0908}
}

// seed makes every run the same.
const seed = 4

// traffic makes up packets of proxies that have many calls in progress. Updates and deletions are of any of these
// calls, so that they meet records that no cache holds: the hard case.
type traffic struct {
	start  uint32 // Unix seconds; the dialogs expire twelve hours later
	proxy  *generate.Generator
	random *rand.Rand
	live   []generate.Call
	next   uint64
	turn   int
}

func newTraffic() *traffic {
	now := time.Now().Unix()
	return &traffic{
		start:  uint32(now),
		proxy:  newProxy(0),
		random: rand.New(rand.NewPCG(seed, 0)),
	}
}

// newProxy returns a generator of packets whose dialogs last so many seconds longer than usual.
func newProxy(longer uint32) *generate.Generator {
	return generate.New(seed, generate.Options{Large: largeShare, Lifetime: lifetime + longer})
}

// lifetime is that of a dialog in OpenSIPS, in seconds.
const lifetime = 12 * 3600

// largeShare is the share of calls that have 28 routes.
const largeShare = 0.03

// create appends the creation of a new call.
func (t *traffic) create(dst []byte) ([]byte, uint64) {
	c := generate.Call{Number: t.next, Start: t.start, Phase: generate.Create}
	t.next++
	t.live = append(t.live, c)
	return t.proxy.Append(dst, c), c.Number
}

// update appends an update of any call: its confirmation, or a re-INVITE.
func (t *traffic) update(dst []byte) ([]byte, uint64) {
	c := &t.live[t.random.IntN(len(t.live))]
	if c.Phase == generate.Create {
		c.Phase = generate.Confirm
	} else {
		c.Phase = generate.Refresh
		c.Refreshes++
	}
	return t.proxy.Append(dst, *c), c.Number
}

// end appends the deletion of any call.
func (t *traffic) end(dst []byte) ([]byte, uint64) {
	i, last := t.random.IntN(len(t.live)), len(t.live)-1
	c := t.live[i]
	t.live[i] = t.live[last]
	t.live = t.live[:last]
	c.Phase = generate.Delete
	return t.proxy.Append(dst, c), c.Number
}

// mixed appends the next packet of a stream of creations, updates and deletions, one third each.
func (t *traffic) mixed(dst []byte) ([]byte, uint64) {
	t.turn++
	switch t.turn % 3 {
	case 1:
		return t.create(dst)
	case 2:
		return t.update(dst)
	}
	return t.end(dst)
}

// sourceOf is where the packets of a call come from.
func sourceOf(call uint64) packets.Endpoint {
	return packets.Endpoint{Addr: [16]byte{10: 0xff, 11: 0xff, 12: 198, 13: 18, 14: 1, 15: 1 + byte(call%senders)}, Port: senderPort}
}

// Offsets in a frame.
const (
	ethSize     = 14
	ipSize      = 20
	frameHeader = ethSize + ipSize + 8
)

// framer puts packets into Ethernet frames.
type framer struct {
	headers [senders][frameHeader]byte
}

// newFramer makes frames from one Ethernet address to another, to an IPv4 address and port.
func newFramer(from, to [6]byte, destination netip.AddrPort) *framer {
	f := &framer{}
	be := binary.BigEndian
	for i := range f.headers {
		h := f.headers[i][:]
		copy(h, to[:])
		copy(h[6:], from[:])
		be.PutUint16(h[12:], 0x0800)
		ip := h[ethSize:]
		ip[0], ip[8], ip[9] = 0x45, 64, 17 // no options; time to live; UDP
		source, at := sourceOf(uint64(i)), destination.Addr().As4()
		copy(ip[12:], source.Addr[12:])
		copy(ip[16:], at[:])
		be.PutUint16(ip[20:], senderPort)
		be.PutUint16(ip[22:], destination.Port())
	}
	return f
}

// begin appends the headers of a frame of that call; finish, given the frame with its payload, sets the lengths. The
// UDP checksum is left out, as IPv4 allows.
func (f *framer) begin(dst []byte, call uint64) []byte {
	return append(dst, f.headers[call%senders][:]...)
}

func (f *framer) finish(frame []byte) {
	be := binary.BigEndian
	ip := frame[ethSize:]
	be.PutUint16(ip[2:], uint16(len(ip)))
	be.PutUint16(ip[24:], uint16(len(ip)-ipSize))
	var sum uint32
	for i := 0; i < ipSize; i += 2 {
		if i != 10 {
			sum += uint32(be.Uint16(ip[i:]))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	be.PutUint16(ip[10:], ^uint16(sum))
}
