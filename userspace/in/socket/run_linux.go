//go:build !portable

package socket

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"binrepd/userspace/in/packets"
)

// A run is messages of equal length to one destination, the last of which may be shorter. The kernel takes it as one
// long message with the length of its segments, carries it through its layers at once, and cuts it into
// datagrams at the end, which costs a fraction of sending them one by one (UDP_SEGMENT, Linux 4.18).
//
// On an interface that leads back to this host, such as lo or veth, an XDP program in generic mode sees a run before it is cut.
// Ours would put it into a ring as one datagram, of which the checksum of BIN is wrong, unless it is longer than what
// goes into a ring: such it leaves to the kernel, which cuts it. So only longer runs are made.
const (
	// runAbove is bpf.MaxPayload in bytes.
	runAbove = 9232
	// runMost is the longest run in bytes: before a generic XDP program sees it the kernel copies it into one piece, with
	// 256 bytes in front and 320 behind, which in total stays within 32 KiB, the most that it provides from fragmented
	// memory without much ado (PAGE_ALLOC_COSTLY_ORDER). Longer ones gain little: see BenchmarkSendRuns.
	runMost = 31000
	// runSegments is how many the kernel takes, since 4.18; 128 since 6.9.
	runSegments = 64
	// loadMost is how many messages are loaded for one system call at most: long runs need it, and the kernel takes no
	// more vectors for one message (UIO_MAXIOV).
	loadMost = 1024
)

// run returns how many messages at the front of m are of one length to one destination, and whether to send them as one.
func (s *Socket) run(m []packets.Message) (n int, asOne bool) {
	size := len(m[0].Payload)
	if s.cfg.Plain || len(m) < 2 || size == 0 {
		return 1, false
	}
	most := min(len(m), runSegments, runMost/size)
	if most*size <= runAbove {
		return 1, false
	}
	for n = 1; n < most && len(m[n].Payload) == size && m[n].To == m[0].To; n++ {
	}
	whole, bytes := n, n*size
	if whole < most {
		if last := len(m[whole].Payload); 0 < last && last < size && bytes+last <= runMost && m[whole].To == m[0].To {
			whole, bytes = whole+1, bytes+last
		}
	}
	if whole < 2 || bytes <= runAbove || s.tx.refused.has(&m[0].To, size) {
		return n, false
	}
	return whole, true
}

const (
	// refusalTime is how long a refusal is remembered: routes and devices change, but not often.
	refusalTime = time.Minute
	// maxRefusals bounds the memory for them.
	maxRefusals = 1024
)

// refusals are the destinations to which the kernel makes no datagrams of a run, or none of that length.
type refusals map[packets.Endpoint]refusal

type refusal struct {
	size  int // of segments in bytes, from which on they are refused
	until time.Time
}

// refusesRuns tells whether an error may be about sending messages as one, so that each by itself may be taken: EINVAL and
// EMSGSIZE if a segment doesn't fit the MTU, EIO and EOPNOTSUPP if the way out can't compute checksums or is encrypted.
func refusesRuns(errno syscall.Errno) bool {
	switch errno {
	case unix.EINVAL, unix.EMSGSIZE, unix.EIO, unix.EOPNOTSUPP:
		return true
	}
	return false
}

func (r *refusals) add(to *packets.Endpoint, size int, errno syscall.Errno) {
	if *r == nil || len(*r) >= maxRefusals {
		*r = refusals{}
	}
	if errno == unix.EIO || errno == unix.EOPNOTSUPP {
		size = 0 // it is not the length
	}
	(*r)[*to] = refusal{size: size, until: time.Now().Add(refusalTime)}
}

func (r refusals) has(to *packets.Endpoint, size int) bool {
	if len(r) == 0 {
		return false
	}
	known, ok := r[*to]
	return ok && size >= known.size && time.Now().Before(known.until)
}
