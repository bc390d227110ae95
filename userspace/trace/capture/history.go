package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin2"
)

const (
	// MaxHistory is the maximum number of entries in a history. No real call sends so many packets, but forged packets
	// might.
	MaxHistory = 100_000
	// maxHistoryBytes is the maximum total size of the good packets in a history. Their strings are kept, and may have
	// 64 KiB each.
	maxHistoryBytes = 128 << 20
)

// ErrTooLong says that a history exceeds these limits. The entries before it are returned.
var ErrTooLong = errors.New("history: too many datagrams of this call: the later ones are left out")

// Entry is one packet of a call, or one dialog of a sync.
type Entry struct {
	Time             time.Time
	Source, Listener netip.AddrPort
	Bytes            int
	// Good tells a well-formed packet about a dialog. Verdict is what binrepd says of it: of generation 1 the name of a
	// bin1.Verdict, of generation 2 that of a bin2.Verdict. For other packets only these and the fields above are set.
	Good    bool
	Verdict string
	Kind    dialog.Kind
	// Layout is that of the dialog. Cluster and Node tell who made a packet of generation 2; they are 0 in generation 1.
	Layout        layout.ID
	Cluster, Node int32
	// Details of a snapshot. For a deletion only tags and h_id are set, and for a Value only h_id.
	Details dialog.Details
	// More are the fields of a snapshot of generation 2 that Details has no place for; numbers are decimal.
	More map[layout.Field]string
	// Name and Value of a Value: the variable, and what it is now. Of a CSeq: the tag of the leg, and the number.
	Name, Value string
	Removed     bool // a Value that removes the variable
	// Changes since the previous snapshot of the same dialog. First is true if there was none.
	Changes []Change
	First   bool
}

// Change is a changed field.
type Change struct {
	Field      string // the name of the field in the JSON of dialogs
	Was, Is    string // values of strings
	Old, New   uint32 // values of numbers
	Number     bool
	UnixSecond bool // true for a number that is a time
}

// History reads datagrams from next until io.EOF, and returns those of one call, good and bad, in the order of their
// time. A bad packet belongs to the call if its steering key is the Call-ID, or, if it has none, if the Call-ID with
// its length occurs anywhere in it.
func History(next func(*Datagram) error, callID []byte) ([]Entry, error) {
	h := history{callID: callID, nodes: map[netip.Addr]*bin2.Decoder{}}
	h.needle1 = append(binary.LittleEndian.AppendUint32(nil, uint32(len(callID))), callID...)
	h.needle2 = append(binary.LittleEndian.AppendUint16(nil, uint16(len(callID))), callID...)
	var d Datagram
	var err error
	for err == nil {
		if err = next(&d); err == nil {
			err = h.read(&d)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	slices.SortStableFunc(h.list, func(a, b Entry) int { return a.Time.Compare(b.Time) })
	compare(h.list)
	return h.list, err
}

// history collects the entries of a call.
type history struct {
	callID           []byte
	needle1, needle2 []byte // the Call-ID behind its length, as it lies in packets of each generation
	nodes            map[netip.Addr]*bin2.Decoder
	list             []Entry
	kept             int // bytes of good packets
	ev               dialog.Event
}

// read takes a datagram.
func (h *history) read(d *Datagram) error {
	e := Entry{Time: d.Time, Source: d.Source, Listener: d.Destination, Bytes: len(d.Payload)}
	if d.TCP || bin2.IsPacket(d.Payload) {
		return h.read2(d, &e)
	}
	short := h.callID[:min(len(h.callID), packets.MaxSteeringKey)]
	if key := packets.SteeringKey(d.Payload); key != nil && !bytes.Equal(key, short) {
		return nil
	}
	verdict := bin1.Decode(d.Payload, &h.ev)
	e.Verdict = verdict.String()
	if verdict != bin1.Dialog {
		if !bytes.Contains(d.Payload, h.needle1) {
			return nil
		}
		return h.add(&e)
	}
	if !bytes.Equal(h.ev.CallID(), h.callID) {
		return nil
	}
	e.Good, e.Kind, e.Layout = true, h.ev.Kind, layout.UDP
	if h.ev.Kind == dialog.Delete {
		_, rest := h.ev.Key.Part()
		from, rest := rest.Part()
		to, _ := rest.Part()
		e.Details.FromTag, e.Details.ToTag = string(from), string(to)
	} else {
		e.Details = h.ev.Body.Details()
	}
	return h.add(&e)
}

// add appends an entry, within the limits.
func (h *history) add(e *Entry) error {
	if e.Good {
		h.kept += e.Bytes
	}
	if h.kept > maxHistoryBytes || len(h.list) == MaxHistory {
		return ErrTooLong
	}
	h.list = append(h.list, *e)
	return nil
}

// compare fills in the changes. An early dialog without a to-tag counts as the beginning of the answered dialog.
func compare(list []Entry) {
	last := map[string]*Entry{}
	for i := range list {
		e := &list[i]
		if !e.Snapshot() {
			continue
		}
		hid := "" // a looped call of generation 2 has several dialogs with the same tags
		if e.Layout != layout.UDP {
			hid = strconv.Itoa(int(e.Details.HID))
		}
		before := last[e.Details.FromTag+"\x00"+e.Details.ToTag+"\x00"+hid]
		if before == nil {
			before = last[e.Details.FromTag+"\x00\x00"+hid]
		}
		if before == nil {
			e.First = true
		} else {
			e.Changes = changes(before, e)
		}
		last[e.Details.FromTag+"\x00"+e.Details.ToTag+"\x00"+hid] = e
	}
}

// Snapshot tells whether the entry has all fields of its dialog.
func (e *Entry) Snapshot() bool {
	return e.Good && (e.Kind == dialog.Create || e.Kind == dialog.Update || e.Kind == dialog.Chunk)
}

func changes(before, now *Entry) (list []Change) {
	was, is := &before.Details, &now.Details
	text := func(field, a, b string) {
		if a != b {
			list = append(list, Change{Field: field, Was: a, Is: b})
		}
	}
	number := func(field string, a, b uint32, unix bool) {
		if a != b {
			list = append(list, Change{Field: field, Old: a, New: b, Number: true, UnixSecond: unix})
		}
	}
	number("state", uint32(was.State), uint32(is.State), false)
	number("timestart", was.Start, is.Start, true)
	number("timeout", was.Timeout, is.Timeout, true)
	text("callee_tag", was.ToTag, is.ToTag)
	text("callee_cseq", was.CalleeCSeq, is.CalleeCSeq)
	text("caller_cseq", was.CallerCSeq, is.CallerCSeq)
	text("from_uri", was.FromURI, is.FromURI)
	text("to_uri", was.ToURI, is.ToURI)
	text("caller_contact", was.CallerContact, is.CallerContact)
	text("callee_contact", was.CalleeContact, is.CalleeContact)
	text("caller_route_set", was.CallerRouteSet, is.CallerRouteSet)
	text("callee_route_set", was.CalleeRouteSet, is.CalleeRouteSet)
	text("caller_bind_addr", was.CallerSocket, is.CallerSocket)
	text("callee_bind_addr", was.CalleeSocket, is.CalleeSocket)
	text("mangled_from_uri", was.MangledFrom, is.MangledFrom)
	text("mangled_to_uri", was.MangledTo, is.MangledTo)
	text("vars", was.Vars, is.Vars)
	text("profiles", was.Profiles, is.Profiles)
	number("user_flags", was.UserFlags, is.UserFlags, false)
	number("flags", was.Flags, is.Flags, false)
	number("hash_id", was.HID, is.HID, false)
	number("caller_generated_cseq", was.CallerGenCSeq, is.CallerGenCSeq, false)
	number("callee_generated_cseq", was.CalleeGenCSeq, is.CalleeGenCSeq, false)
	for f := range layout.NumFields {
		text(f.String(), before.More[f], now.More[f])
	}
	return list
}
