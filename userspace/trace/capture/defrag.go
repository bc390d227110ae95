package capture

import (
	"net/netip"
	"time"

	"github.com/gopacket/gopacket/ip4defrag"
	"github.com/gopacket/gopacket/ip6defrag"
	"github.com/gopacket/gopacket/layers"
)

const (
	// fragmentTime is how long a fragment may be missing. Linux waits as long (net.ipv4.ipfrag_time).
	fragmentTime = 30 * time.Second
	// forgetEvery is the interval of checks for fragments that have waited that long.
	forgetEvery = time.Second
)

// reassembly puts fragments together, by the clock of the capture. It discards what is incomplete after fragmentTime.
// Otherwise that would take memory for ever, and could be joined with a later datagram that has the same number.
type reassembly struct {
	v4     *ip4defrag.IPv4Defragmenter
	v6     [2]generation // the newer one first
	looked time.Time
}

// generation holds the IPv6 datagrams that began within one period of fragmentTime. gopacket dates them by the clock of
// this host, which says nothing about a file. So a whole generation is discarded at once: each datagram after one to
// two times fragmentTime.
type generation struct {
	parts *ip6defrag.IPv6Defragmenter
	begun time.Time
	held  map[fragmented]struct{} // datagrams with a fragment in parts
}

// fragmented identifies a datagram that came in fragments.
type fragmented struct {
	source, destination netip.Addr
	id                  uint32
}

func newReassembly() *reassembly {
	r := &reassembly{}
	r.reset(time.Time{})
	return r
}

// reset discards everything.
func (r *reassembly) reset(now time.Time) {
	r.v4, r.looked = ip4defrag.NewIPv4Defragmenter(), now
	r.v6 = [2]generation{newGeneration(now), newGeneration(now)}
}

func newGeneration(now time.Time) generation {
	return generation{ip6defrag.NewIPv6Defragmenter(), now, map[fragmented]struct{}{}}
}

// overIPv4 takes a fragment and keeps it. It returns the datagram that the fragment completes, or nil.
func (r *reassembly) overIPv4(part *layers.IPv4, now time.Time) (*layers.IPv4, error) {
	r.forget(now)
	return r.v4.DefragIPv4WithTimestamp(part, now)
}

// overIPv6 is the same for IPv6. It keeps the payload of part.
func (r *reassembly) overIPv6(ip *layers.IPv6, part *layers.IPv6Fragment, now time.Time) *layers.IPv6 {
	r.forget(now)
	name := fragmented{id: part.Identification}
	name.source, _ = netip.AddrFromSlice(ip.SrcIP)
	name.destination, _ = netip.AddrFromSlice(ip.DstIP)
	g := &r.v6[0]
	if _, older := r.v6[1].held[name]; older {
		g = &r.v6[1]
	}
	whole := g.parts.DefragIPv6(ip, part)
	if whole == nil {
		g.held[name] = struct{}{}
	} else {
		delete(g.held, name)
	}
	return whole
}

// forget discards datagrams that have been incomplete for too long.
func (r *reassembly) forget(now time.Time) {
	since := now.Sub(r.looked)
	switch {
	case since < -fragmentTime: // a file from an earlier time
		r.reset(now)
		return
	case since < forgetEvery:
		return
	}
	r.looked = now
	r.v4.DiscardOlderThan(now.Add(-fragmentTime))
	switch age := now.Sub(r.v6[0].begun); {
	case age >= 2*fragmentTime:
		r.v6 = [2]generation{newGeneration(now), newGeneration(now)}
	case age >= fragmentTime:
		r.v6 = [2]generation{newGeneration(now), r.v6[0]}
	}
}
