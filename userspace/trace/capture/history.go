package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"slices"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1"
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

// Entry is one datagram of a call.
type Entry struct {
	Time             time.Time
	Source, Listener netip.AddrPort
	Bytes            int
	// Verdict is bin1.Dialog for a good packet. For other packets only the fields above are set.
	Verdict bin1.Verdict
	Kind    dialog.Kind
	// Details of a snapshot. For a deletion only the tags are set.
	Details dialog.Details
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
	needle := append(binary.LittleEndian.AppendUint32(nil, uint32(len(callID))), callID...)
	short := callID[:min(len(callID), packets.MaxSteeringKey)]
	var list []Entry
	var d Datagram
	var ev dialog.Event
	var err error
	kept := 0 // bytes of good packets
	for {
		if err = next(&d); err != nil {
			break
		}
		if key := packets.SteeringKey(d.Payload); key != nil && !bytes.Equal(key, short) {
			continue
		}
		e := Entry{Time: d.Time, Source: d.Source, Listener: d.Destination, Bytes: len(d.Payload)}
		if e.Verdict = bin1.Decode(d.Payload, &ev); e.Verdict == bin1.Dialog {
			if is, _ := ev.Key.Part(); !bytes.Equal(is, callID) {
				continue
			}
			if kept += len(d.Payload); kept > maxHistoryBytes {
				err = ErrTooLong
				break
			}
			e.Kind = ev.Kind
			if ev.Kind == dialog.Delete {
				_, rest := ev.Key.Part()
				from, rest := rest.Part()
				to, _ := rest.Part()
				e.Details.FromTag, e.Details.ToTag = string(from), string(to)
			} else {
				e.Details = ev.Body.Details()
			}
		} else if !bytes.Contains(d.Payload, needle) {
			continue
		}
		if len(list) == MaxHistory {
			err = ErrTooLong
			break
		}
		list = append(list, e)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	slices.SortStableFunc(list, func(a, b Entry) int { return a.Time.Compare(b.Time) })
	compare(list)
	return list, err
}

// compare fills in the changes. An early dialog without a to-tag counts as the beginning of the answered dialog.
func compare(list []Entry) {
	last := map[string]*dialog.Details{}
	for i := range list {
		e := &list[i]
		if e.Verdict != bin1.Dialog || e.Kind == dialog.Delete {
			continue
		}
		before := last[e.Details.FromTag+"\x00"+e.Details.ToTag]
		if before == nil {
			before = last[e.Details.FromTag+"\x00"]
		}
		if before == nil {
			e.First = true
		} else {
			e.Changes = changes(before, &e.Details)
		}
		last[e.Details.FromTag+"\x00"+e.Details.ToTag] = &e.Details
	}
}

func changes(was, is *dialog.Details) (list []Change) {
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
	return list
}
