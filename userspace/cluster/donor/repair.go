package donor

import (
	"encoding/binary"
	"hash/maphash"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
)

// marks remembers the Call-IDs of a Run in one bit of 16 for each. Now and then it takes one for another, and then the
// requester gets an end of a dialog that it doesn't know, of which it takes no notice.
type marks struct {
	bits []uint64
	mask uint64
}

const bitsPerDialog = 16

func (m *marks) init(dialogs int) {
	size := 1 << 12
	for size < dialogs*bitsPerDialog {
		size *= 2
	}
	m.bits, m.mask = make([]uint64, size/64), uint64(size-1)
}

func (m *marks) add(h uint64)      { m.bits[h&m.mask/64] |= 1 << (h % 64) }
func (m *marks) has(h uint64) bool { return m.bits[h&m.mask/64]>>(h%64)&1 != 0 }

// callHash hashes the Call-ID with which a key or a body begins.
func (r *Run) callHash(id layout.ID, key []byte) uint64 {
	head, size := 2, 0
	if id <= layout.UDP {
		head = 4
	}
	if len(key) >= head {
		if size = int(binary.LittleEndian.Uint16(key)); head == 4 {
			size = int(binary.LittleEndian.Uint32(key))
		}
		size = min(max(size, 0), len(key)-head)
		key = key[head : head+size]
	}
	return maphash.Bytes(r.seed, key)
}

// keep puts the message that tells of a change in the queue of repairs.
func (r *Run) keep(c *changes.Change) error {
	body, kind, reason := r.encoder.Message(r.body[:0], c)
	r.body = body
	if reason != Passed {
		r.summary.held[reason]++
		return nil
	}
	return r.keepBody(kind, body)
}

// keepDialog puts a message with the whole dialog in the queue of repairs.
func (r *Run) keepDialog(kind layout.Kind, c *changes.Change) error {
	body, reason, sockets := r.encoder.Dialog(r.body[:0], layout.ID(c.Layout), c.Body(), uint32(r.now.Unix()))
	r.body = body
	if reason != Passed {
		r.hold(reason, sockets)
		return nil
	}
	r.marks.add(r.callHash(r.cfg.Peer.Layout, body))
	return r.keepBody(kind, body)
}

func (r *Run) keepBody(kind layout.Kind, body []byte) error {
	p := &r.cfg.Peer
	q := &r.queue
	from := len(q.bytes)
	var reason Reason
	if q.bytes, reason = p.appendLive(q.bytes, kind, body); reason != Passed {
		r.summary.held[reason]++
		return nil
	}
	if r.phase == scanning && len(q.bytes) > maxRepairs {
		packet := q.bytes[from:]
		q.bytes = q.bytes[:from]
		r.summary.Repairs++
		return r.send(packet)
	}
	q.list = append(q.list, waiting{r.callHash(p.Layout, body), from, len(q.bytes)})
	return nil
}

// apart is the time between two repairs of one dialog. The processes of a node overtake each other by up to 40 ms, so an
// end could come before the update that was sent before it.
const apart = 50 * time.Millisecond

// queue holds packets for the requester, in the order of the changes that they tell of. It is sent in rounds, with one
// packet for each dialog in a round.
type queue struct {
	bytes []byte
	list  []waiting
	at    int       // in list: what is before it is sent, or is in later
	later []waiting // for the next round
	round time.Time // when the next round may begin
	in    map[uint64]struct{}
}

type waiting struct {
	call     uint64
	from, to int
}

// idle tells whether nothing can be sent at now.
func (q *queue) idle(now time.Time) bool {
	return now.Before(q.round) || q.at == len(q.list) && len(q.later) == 0
}

// empty tells whether nothing waits.
func (q *queue) empty() bool { return q.at == len(q.list) && len(q.later) == 0 }

// begin begins a round if one is due.
func (q *queue) begin(now time.Time) {
	if now.Before(q.round) || q.empty() {
		return
	}
	q.later = append(q.later, q.list[q.at:]...)
	q.list, q.later, q.at = q.later, q.list[:0], 0
	clear(q.in)
	q.round = now.Add(apart)
}

// next returns the next packet of the round, nil if there is none.
func (q *queue) next() (w waiting, ok bool) {
	if q.in == nil {
		q.in = map[uint64]struct{}{}
	}
	for q.at < len(q.list) {
		w = q.list[q.at]
		q.at++
		if _, twice := q.in[w.call]; !twice {
			q.in[w.call] = struct{}{}
			return w, true
		}
		q.later = append(q.later, w)
	}
	if len(q.later) == 0 {
		q.bytes, q.list, q.at = q.bytes[:0], q.list[:0], 0
	}
	return w, false
}

// repair sends the repairs that wait, and follows the journal until the window behind the end of the answer is over.
func (r *Run) repair() error {
	if err := r.follow(); err != nil {
		return err
	}
	if err := r.findEnds(); err != nil {
		return err
	}
	q := &r.queue
	q.begin(r.now)
	for r.quota > 0 && r.room > 0 {
		w, ok := q.next()
		if !ok {
			break
		}
		r.summary.Repairs++
		if _, chained := r.chains[w.call]; chained {
			r.chains[w.call] = r.now
		}
		if err := r.send(q.bytes[w.from:w.to]); err != nil {
			return err
		}
	}
	if q.empty() && !r.now.Before(r.repairsEnd()) {
		r.phase = ended
		r.summary.Ended = r.now
	}
	return nil
}

// repairsEnd returns when nothing more can be missing: a window after the end of the answer, and after the last value that
// was repeated.
func (r *Run) repairsEnd() time.Time {
	end := r.until
	for _, last := range r.chains {
		if e := last.Add(r.cfg.Window); e.After(end) {
			end = e
		}
	}
	if bound := r.until.Add((maxChain - 1) * r.cfg.Window); end.After(bound) {
		return bound
	}
	return end
}

// findEnds looks for ends in the table if changes were lost. The table remembers an end for a minute.
func (r *Run) findEnds() error {
	if !r.rescan {
		return nil
	}
	r.rescan = false
	var cursor dialog.Cursor
	for more := true; more; {
		r.entries.Reset()
		more = r.cfg.Table.Scan(&cursor, r.entries.Add)
		for i := range r.entries.Ended {
			c := &r.entries.Ended[i]
			name := r.entries.Body(c)
			if int64(c.Updated) < r.began.Unix() || !r.marks.has(r.callHash(c.Layout, name)) {
				continue
			}
			body, kind, reason := r.encoder.end(r.body[:0], c.Layout, name, 0)
			if r.body = body; reason != Passed {
				r.summary.held[reason]++
				continue
			}
			if err := r.keepBody(kind, body); err != nil {
				return err
			}
		}
	}
	return nil
}
