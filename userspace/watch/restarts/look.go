package restarts

import (
	"slices"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/in/packets"
)

const (
	// recent is how long before the silence the last event of a call must have been for the call to be expected to end.
	// Calls that are older may be ghosts already.
	recent = 10 * time.Minute
	// startSlack is by how many seconds the start of a call may be wrong.
	startSlack = 3
	// mostNumbers bounds the calls of a source whose numbers are compared.
	mostNumbers = 1 << 14
	// near is how far apart the numbers of two calls in one bucket are at most, without a restart between them.
	near = 1 << 20
)

// findings are what the table tells of a suspect.
type findings struct {
	left    int // live dialogs without an event since the silence
	young   int // of these, with an event in the last minutes before it
	touched int // older dialogs that were changed or ended since
	old     []callNumber
	new     []callNumber
}

// callNumber is how OpenSIPS names a call: by bucket and number.
type callNumber struct {
	hash uint32 // the lower bits are the bucket
	hid  uint32
}

// Look reads the table, and returns the restarts that it proves. sender returns the source behind an origin number.
// Each restart is returned once.
func (w *Watch) Look(now time.Time, t *dialog.Table, sender func(uint16) packets.Sender) (found []Restart) {
	w.mu.Lock()
	suspects := map[packets.Sender]*suspect{}
	for _, src := range w.sources {
		if src.due(now) {
			src.suspect.findings = findings{}
			suspects[src.suspect.sender] = src.suspect
		}
	}
	w.mu.Unlock() // nobody else touches findings
	byNumber := map[uint16]*suspect{}
	var cur dialog.Cursor
	for more := len(suspects) > 0; more; {
		more = t.Scan(&cur, func(v *dialog.View) {
			n := v.Origin()
			s, known := byNumber[n]
			if !known {
				s = suspects[sender(n)]
				byNumber[n] = s
			}
			if s != nil {
				s.find(v)
			}
		})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, s := range suspects {
		src := w.sources[name]
		if src == nil || src.suspect != s {
			continue
		}
		s.wait *= 2
		s.next = now.Add(s.wait)
		switch src.judge(now) {
		case acquitted:
			src.suspect = nil
		case restarted:
			src.suspect = nil
			src.restart.Count++
			src.restart.Before = time.Unix(s.border()+1, 0)
			src.restart.Silent, src.restart.Left = s.to.Sub(s.from), s.findings.left
			found = append(found, src.restart)
		}
		s.findings.old, s.findings.new = nil, nil
	}
	return found
}

// find takes one entry of the table into account. It runs under a shard's lock.
func (s *suspect) find(v *dialog.View) {
	f, border := &s.findings, s.border()
	updated, start := int64(v.Updated()), int64(v.Start())-int64(s.skew/time.Second)
	older := v.Start() != 0 && start < s.from.Unix()-startSlack
	switch {
	case updated > border && older:
		f.touched++
	case v.Tombstone() || !v.State().Live():
	case updated > border:
		f.new = appendNumber(f.new, v)
	default:
		f.left++
		if updated >= s.from.Add(-recent).Unix() {
			f.young++
		}
		f.old = appendNumber(f.old, v)
	}
}

func appendNumber(list []callNumber, v *dialog.View) []callNumber {
	if len(list) == mostNumbers || v.Layout() != layout.UDP {
		return list
	}
	var l layout.View
	if layout.Parse(v.Layout(), v.Body(), &l) != layout.NoFault {
		return list
	}
	return append(list, callNumber{bucketHash(l.Bytes(layout.CallID)), l.Number(layout.HID)})
}

// bucketHash is the hash of which OpenSIPS takes the lower bits as the number of a bucket. Bytes are signed.
func bucketHash(callID []byte) (h uint32) {
	signed := func(b byte) uint32 { return uint32(int32(int8(b))) }
	for ; len(callID) >= 4; callID = callID[4:] {
		v := signed(callID[0])<<24 + signed(callID[1])<<16 + signed(callID[2])<<8 + signed(callID[3])
		h += v ^ v>>3
	}
	v := uint32(0)
	for _, b := range callID {
		v = v<<8 + signed(b)
	}
	h += v ^ v>>3
	return h + h>>11 + h>>13 + h>>23
}

// numbers compares the numbers of new calls with those of old ones in the same bucket: how many are near one, and how
// many are not. The size of the proxy's table isn't known: the smallest by which the old calls agree with each other is
// taken, and if there is none, nothing is compared.
func (f *findings) numbers() (anew, continued int) {
	for bits := 6; bits <= 16; bits++ {
		mask := uint32(1)<<bits - 1
		buckets := map[uint32][]uint32{}
		pairs, agree := 0, 0
		for _, c := range f.old {
			list := buckets[c.hash&mask]
			if len(list) > 0 {
				pairs++
				if isNear(list[len(list)-1], c.hid) {
					agree++
				}
			}
			buckets[c.hash&mask] = append(list, c.hid)
		}
		if pairs == 0 {
			return 0, 0
		}
		if agree < pairs {
			continue
		}
		for _, c := range f.new {
			list := buckets[c.hash&mask]
			switch {
			case len(list) == 0:
			case isNear(slices.Max(list), c.hid) && c.hid > slices.Max(list):
				continued++
			default:
				anew++
			}
		}
		return anew, continued
	}
	return 0, 0
}

func isNear(a, b uint32) bool { d := a - b; return d < near || -d < near }
