package capture

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/gopacket/gopacket/layers"

	"binrepd/userspace/wire/bin2"
)

// Bounds of the memory for connections, and of the time that a missing segment is waited for, by the clock of the
// capture.
const (
	maxFlows   = 1 << 15
	maxWaiting = 1 << 20 // bytes of a flow behind a gap
	gapTime    = window / 2
	idleTime   = 10 * time.Minute
	farAway    = 1 << 26 // a sequence number so far from the expected one is that of another connection
)

// flows puts the segments of TCP connections together, and cuts packets of generation 2 from the bytes.
//
// gopacket has a package for that, reassembly. It doesn't fit: it keeps a connection until both sides have ended it, and
// drops what a later connection between the same ports says. A recording has one side only. A segment here costs a map
// look-up and a copy.
type flows struct {
	all   map[endpoints]*flow
	swept time.Time
	ready []Datagram // complete packets that nobody has taken yet; the first of them are taken
	taken int
	// gaps counts missing pieces, and skipped the bytes that are part of no packet, in connections that had packets before.
	gaps, skipped uint64
}

type endpoints struct{ source, target netip.AddrPort }

// flow is one direction of a connection.
//
//	rest:  | packets that were taken | bytes of the next packet |
//	       0                         used
type flow struct {
	next    uint32 // the sequence number that is to come
	rest    []byte
	used    int
	first   uint32 // the sequence number of the SYN, if begun
	begun   bool
	ended   bool
	synced  bool // a packet begins at used
	found   bool // there was a packet
	waiting []segment
	held    int // bytes of waiting
	last    time.Time
}

// segment waits for one before it.
type segment struct {
	seq  uint32
	data []byte
	at   time.Time
}

func newFlows() *flows { return &flows{all: map[endpoints]*flow{}} }

// take moves the next complete packet to out.
func (fs *flows) take(out *Datagram) bool {
	if fs.taken == len(fs.ready) {
		fs.ready, fs.taken = fs.ready[:0], 0
		return false
	}
	*out = fs.ready[fs.taken]
	fs.taken++
	return true
}

// add takes a segment. The packets that it completes are ready after it. All that was ready before must have been taken.
func (fs *flows) add(source, target netip.AddrPort, tcp *layers.TCP, at time.Time) {
	name := endpoints{source, target}
	f, seq := fs.all[name], tcp.Seq
	if f == nil {
		if len(tcp.Payload) == 0 && !tcp.SYN {
			return
		}
		fs.sweep(at)
		if len(fs.all) >= maxFlows {
			return
		}
		f = &flow{next: seq}
		fs.all[name] = f
	}
	f.last = at
	if tcp.SYN {
		if !f.begun || f.first != seq || f.ended { // not the same one again
			fs.giveUp(name, f)
			*f = flow{next: seq + 1, first: seq, begun: true, last: at, synced: true}
		}
		seq++
	}
	if d := far(seq, f.next); d > farAway || d < -farAway {
		fs.giveUp(name, f)
		f.restart(fs, seq)
	}
	fs.insert(name, f, segment{seq, tcp.Payload, at})
	f.ended = f.ended || tcp.FIN || tcp.RST
}

// far returns how far a sequence number lies behind another (RFC 9293, section 3.4).
func far(seq, next uint32) int { return int(int32(seq - next)) }

// insert takes a segment that is due, or keeps it.
func (fs *flows) insert(name endpoints, f *flow, s segment) {
	if d := far(s.seq, f.next); d < 0 { // sent again
		if -d >= len(s.data) {
			return
		}
		s.seq, s.data = f.next, s.data[-d:]
	}
	if len(s.data) == 0 {
		return
	}
	if s.seq != f.next {
		s.data = bytes.Clone(s.data)
		at, _ := slices.BinarySearchFunc(f.waiting, s.seq, func(w segment, seq uint32) int { return cmp.Compare(far(w.seq, seq), 0) })
		f.waiting = slices.Insert(f.waiting, at, s)
		f.held += len(s.data)
		for len(f.waiting) > 0 && (f.held > maxWaiting || s.at.Sub(f.waiting[0].at) > gapTime) {
			fs.jump(name, f)
		}
		return
	}
	fs.deliver(name, f, s)
	fs.catchUp(name, f)
}

// catchUp takes those that have waited and are due now.
func (fs *flows) catchUp(name endpoints, f *flow) {
	for len(f.waiting) > 0 && far(f.waiting[0].seq, f.next) <= 0 {
		s := f.waiting[0]
		f.waiting = f.waiting[1:]
		f.held -= len(s.data)
		if d := -far(s.seq, f.next); d < len(s.data) {
			fs.deliver(name, f, segment{f.next, s.data[d:], s.at})
		}
	}
}

// jump gives up what is missing before the first segment that waits.
func (fs *flows) jump(name endpoints, f *flow) {
	f.restart(fs, f.waiting[0].seq)
	if f.found {
		fs.gaps++
	}
	fs.catchUp(name, f)
}

// giveUp takes all that waits, with its gaps.
func (fs *flows) giveUp(name endpoints, f *flow) {
	for len(f.waiting) > 0 {
		fs.jump(name, f)
	}
}

// restart goes on at another place of the stream. A packet that has begun is lost.
func (f *flow) restart(fs *flows, seq uint32) {
	if f.found {
		fs.skipped += uint64(len(f.rest) - f.used)
	}
	f.next, f.rest, f.used, f.synced = seq, nil, 0, false // a new slice: packets that are ready may lie in the old one
}

// deliver appends bytes to the stream and cuts packets.
func (fs *flows) deliver(name endpoints, f *flow, s segment) {
	if len(fs.ready) == fs.taken && f.used > 0 {
		f.rest, f.used = f.rest[:copy(f.rest, f.rest[f.used:])], 0
	}
	f.rest = append(f.rest, s.data...)
	f.next += uint32(len(s.data))
	for f.used < len(f.rest) {
		n := fs.cut(f)
		if n == 0 {
			return
		}
		f.found = true
		end := f.used + n
		fs.ready = append(fs.ready, Datagram{
			Time: s.at, Source: name.source, Destination: name.target, Payload: f.rest[f.used:end:end], TCP: true,
		})
		f.used = end
	}
}

// cut returns the length of the packet at used, or 0 if it isn't complete. It passes over what is no packet.
func (fs *flows) cut(f *flow) int {
	for f.used < len(f.rest) {
		b := f.rest[f.used:]
		n, err := bin2.Next(b)
		if err == nil && n > 0 && !f.synced {
			if _, bad := bin2.Parse(b[:n]); bad != nil {
				err = bad
			}
		}
		if err == nil {
			f.synced = f.synced || n > 0
			return n
		}
		f.synced = false
		skip := 1
		if at := bytes.IndexByte(b[1:], 'P'); at >= 0 {
			skip += at
		} else {
			skip = len(b)
		}
		if f.found {
			fs.skipped += uint64(skip)
		}
		f.used += skip
	}
	return 0
}

// sweep forgets flows that have said nothing for long.
func (fs *flows) sweep(now time.Time) {
	if d := now.Sub(fs.swept); d < gapTime && d > -gapTime && len(fs.all) < maxFlows {
		return
	}
	fs.swept = now
	for name, f := range fs.all {
		if d := now.Sub(f.last); d > idleTime || d < -idleTime || f.ended && d > gapTime {
			fs.giveUp(name, f)
			delete(fs.all, name)
		}
	}
}

// finish takes all that waits, at the end of the last file.
func (fs *flows) finish() {
	for name, f := range fs.all {
		fs.giveUp(name, f)
	}
	clear(fs.all)
	slices.SortStableFunc(fs.ready, func(a, b Datagram) int { // the map has no order
		return cmp.Or(a.Time.Compare(b.Time), a.Source.Compare(b.Source), a.Destination.Compare(b.Destination))
	})
}
