package donortest

import (
	"fmt"
	"slices"
	"time"

	"binrepd/dialog/layout"
	"binrepd/userspace/wire/bin2"
)

// Release is what differs between releases.
type Release struct {
	Name        string
	Layout      layout.ID
	SyncVersion int16
	Dialect     bin2.Dialect
	Values      bool // it knows VALUE
	Timeout     bool // it gives a sync up after 15 s
	DropsLocal  bool // at the end of a sync it ends its own dialogs that were not in it
	// Burst is how many packets within 5 ms it can take; 0: any number.
	Burst int
}

// Releases returns a model of each release that matters.
func Releases() []Release {
	old := bin2.Dialect{Numbering: bin2.Old, CapForm: bin2.WithoutSeq, SyncVersion: 2}
	mid := bin2.Dialect{Numbering: bin2.New, CapForm: bin2.WithSeq, SyncVersion: 2}
	now := bin2.Dialect{Numbering: bin2.New, CapForm: bin2.WithSeq, SyncVersion: 3}
	return []Release{
		{Name: "2.4", Layout: layout.Bin1TwoSDP, SyncVersion: 2, Dialect: old},
		{Name: "3.0", Layout: layout.Bin2Plain, SyncVersion: 2, Dialect: old},
		{Name: "3.2", Layout: layout.Bin4Untyped, SyncVersion: 2, Dialect: mid, Timeout: true, DropsLocal: true},
		{Name: "3.4", Layout: layout.Bin4Typed, SyncVersion: 3, Dialect: now, Timeout: true, DropsLocal: true},
		{Name: "3.6", Layout: layout.Bin4Typed, SyncVersion: 3, Dialect: now, Timeout: true, DropsLocal: true, Values: true},
		{Name: "4.0", Layout: layout.Bin4Typed, SyncVersion: 3, Dialect: now, Timeout: true, DropsLocal: true, Values: true, Burst: 256},
		{Name: "next", Layout: layout.Bin5, SyncVersion: 3, Dialect: now, Timeout: true, DropsLocal: true, Values: true, Burst: 256},
	}
}

// syncTimeout is that of 3.3 and later.
const syncTimeout = 15 * time.Second

// Requester is a node. Its fields are for tests to read.
type Requester struct {
	Release Release
	// Sockets are its listeners; a dialog with another one is refused. Empty: all are taken.
	Sockets []string
	// Dialogs are the bodies by name (Name).
	Dialogs map[string][]byte

	Synced    bool
	Running   bool // SYNC_IN_PROGRESS
	Chunks    int  // iterated since the last end
	Total     int32
	Refused   int // dialogs
	Errors    int // messages about dialogs that it doesn't know
	Reset     bool
	Malformed []string

	local   map[string]bool // its own calls, which no peer has confirmed
	queue   [][]byte
	heard   time.Time
	slot    time.Time
	inSlot  int
	endSeen bool
	view    layout.View
}

// NewRequester returns a node that has just started.
func NewRequester(r Release) *Requester {
	return &Requester{Release: r, Dialogs: map[string][]byte{}, local: map[string]bool{}}
}

// Name returns how the release tells dialogs apart.
func (q *Requester) Name(callID, from, to []byte, hid uint32) string {
	if q.Release.Layout.Version() >= 4 {
		return fmt.Sprintf("%s %d", callID, hid)
	}
	return fmt.Sprintf("%s %s %s", callID, from, to)
}

// NameOf returns the name of a dialog.
func (q *Requester) NameOf(body []byte) string {
	if f := layout.Parse(q.Release.Layout, body, &q.view); f != layout.NoFault {
		return "unreadable: " + f.String()
	}
	return q.Name(q.view.Bytes(layout.CallID), q.view.Bytes(layout.FromTag), q.view.Bytes(layout.ToTag), q.view.Number(layout.HID))
}

// Accept makes a call of its own.
func (q *Requester) Accept(body []byte) {
	name := q.NameOf(body)
	q.Dialogs[name], q.local[name] = slices.Clone(body), true
}

// Tick lets time pass.
func (q *Requester) Tick(now time.Time) {
	if q.Running && q.Release.Timeout && now.Sub(q.heard) > syncTimeout {
		q.Running, q.endSeen, q.Chunks = false, false, 0
		q.deliver()
	}
}

// Receive takes a packet.
func (q *Requester) Receive(now time.Time, b []byte) {
	if q.Reset {
		return
	}
	if q.Release.Burst > 0 {
		if now.Sub(q.slot) > 5*time.Millisecond {
			q.slot, q.inSlot = now, 0
		}
		if q.inSlot++; q.inSlot > q.Release.Burst {
			q.Reset = true
			return
		}
	}
	p, err := bin2.Parse(b)
	if err != nil {
		q.Malformed = append(q.Malformed, err.Error())
		return
	}
	switch p.Capability() {
	case bin2.Extra:
		q.extra(now, p)
	case bin2.Dialogs:
		if q.Running {
			q.queue = append(q.queue, slices.Clone(b))
			return
		}
		q.live(p)
	}
}

func (q *Requester) extra(now time.Time, p bin2.Packet) {
	if p.Version() != q.Release.SyncVersion {
		return
	}
	kind, _, err := bin2.KindOf(p, q.Release.Dialect.Numbering)
	if err != nil {
		q.Malformed = append(q.Malformed, err.Error())
		return
	}
	switch kind {
	case bin2.KindSync:
		var m bin2.Sync
		if err := m.Decode(p); err != nil {
			q.Malformed = append(q.Malformed, err.Error())
			return
		}
		if !q.Synced {
			q.Running = true
		}
		q.heard = now
		if layout.Version(m.DataVersion) == q.Release.Layout.Version() {
			q.chunks(p)
		}
	case bin2.KindSyncEnd:
		var m bin2.SyncEnd
		if err := m.Decode(p); err != nil {
			q.Malformed = append(q.Malformed, err.Error())
			return
		}
		q.endSeen, q.Total = true, m.Total
	default:
		return
	}
	if q.endSeen && (q.Release.SyncVersion < 3 || int(q.Total) == q.Chunks) {
		q.done()
	}
}

// chunks takes the dialogs of a packet. One that is refused aborts the rest.
func (q *Requester) chunks(p bin2.Packet) {
	s, f := layout.ParseSync(p.Version(), p.Body())
	for f == layout.NoFault && s.Next() {
		q.Chunks++
		if !q.create(s.Chunk) {
			return
		}
	}
	if f = s.Fault(); f != layout.NoFault {
		q.Malformed = append(q.Malformed, f.String())
	}
}

// done ends a sync.
func (q *Requester) done() {
	q.Synced, q.Running, q.endSeen, q.Chunks = true, false, false, 0
	q.deliver()
	if q.Release.DropsLocal {
		for name := range q.local {
			delete(q.Dialogs, name)
		}
		clear(q.local)
	}
}

func (q *Requester) deliver() {
	queue := q.queue
	q.queue = nil
	for _, b := range queue {
		p, err := bin2.Parse(b)
		if err == nil {
			q.live(p)
		}
	}
}

// create takes a dialog, and tells whether it isn't refused. One that is known stays as it is, and counts as confirmed.
func (q *Requester) create(body []byte) bool {
	name := q.NameOf(body)
	if q.view.Body() == nil || len(name) > 11 && name[:11] == "unreadable:" {
		q.Malformed = append(q.Malformed, name)
		return false
	}
	if _, known := q.Dialogs[name]; known {
		delete(q.local, name)
		return true
	}
	for _, f := range [...]layout.Field{layout.CallerSocket, layout.CalleeSocket} {
		if s := string(q.view.Bytes(f)); s == "" || len(q.Sockets) > 0 && !slices.Contains(q.Sockets, s) {
			q.Refused++
			return false
		}
	}
	q.Dialogs[name] = slices.Clone(body)
	return true
}

// live takes a live packet.
func (q *Requester) live(p bin2.Packet) {
	version := layout.Version(p.Version())
	kind, f := layout.KindOf(version, p.Type(), p.Body())
	if f != layout.NoFault {
		q.Malformed = append(q.Malformed, f.String())
		return
	}
	switch kind {
	case layout.Created:
		q.create(p.Body())
	case layout.Updated:
		name := q.NameOf(p.Body())
		if _, known := q.Dialogs[name]; known {
			q.Dialogs[name] = slices.Clone(p.Body())
			return
		}
		q.create(p.Body())
	case layout.Deleted:
		var m layout.Deletion
		if layout.ParseDeletion(version, p.Body(), &m) == layout.NoFault {
			name := q.Name(m.CallID, m.FromTag, m.ToTag, m.HID)
			delete(q.Dialogs, name)
			delete(q.local, name)
		}
	case layout.CSeq:
		var m layout.CSeqChange
		if layout.ParseCSeq(version, p.Body(), &m) == layout.NoFault {
			if body := q.known(q.Name(m.CallID, m.OtherTag, m.Tag, m.HID)); body != nil {
				q.view.SetNumber(layout.CalleeGenCSeq, m.Number) // the tests change that of the callee
			}
		}
	case layout.Value:
		var m layout.ValueChange
		if !q.Release.Values || layout.ParseValue(version, p.Body(), &m) != layout.NoFault {
			return
		}
		name := q.Name(m.CallID, nil, nil, m.HID)
		if body := q.known(name); body != nil {
			if out, changed, f := q.view.ApplyValue(nil, &m); f == layout.NoFault && changed == layout.Done {
				q.Dialogs[name] = out
			}
		}
	}
}

// known makes the view that of a dialog that is known.
func (q *Requester) known(name string) []byte {
	body := q.Dialogs[name]
	if body == nil || layout.Parse(q.Release.Layout, body, &q.view) != layout.NoFault {
		q.Errors++
		return nil
	}
	return body
}
