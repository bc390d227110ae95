package dialog

import (
	"bytes"
	"encoding/binary"

	"binrepd/dialog/layout"
)

// key is a packed key, or bytes that begin with one: Call-ID, from-tag and to-tag, each after its length. Lengths have 4
// bytes in generation 1 and 2 bytes in generation 2.
type key struct {
	b    []byte
	wide bool
}

// wide reports whether the lengths of a layout have 4 bytes.
func wide(id layout.ID) bool { return id <= layout.UDP }

// hasHID reports whether messages in the layout name their dialog by h_id as well: those of version 4 and later do.
// Earlier ones name it by its tags alone.
func hasHID(id layout.ID) bool { return id >= layout.Bin4Untyped }

// key returns the key of the event.
func (ev *Event) key() key { return key{ev.Key, wide(ev.Layout)} }

// part returns the string at the front, and what is behind it. It takes Call-ID, from-tag and to-tag in turn.
func (k key) part() (s []byte, rest key) {
	if k.wide {
		end := 4 + binary.LittleEndian.Uint32(k.b)
		return k.b[4:end], key{k.b[end:], true}
	}
	if len(k.b) < 2 { // a Value names no tags
		return nil, key{}
	}
	end := 2 + int(binary.LittleEndian.Uint16(k.b))
	return k.b[2:end], key{k.b[end:], false}
}

// equal reports whether two whole keys are the same.
func (k key) equal(l key) bool {
	if k.wide == l.wide {
		return bytes.Equal(k.b, l.b)
	}
	for range keyFields {
		var a, b []byte
		a, k = k.part()
		b, l = l.part()
		if !bytes.Equal(a, b) {
			return false
		}
	}
	return true
}

// sameCallID reports whether the Call-IDs are equal.
func (k key) sameCallID(l key) bool {
	a, _ := k.part()
	b, _ := l.part()
	return bytes.Equal(a, b)
}

// sameCaller reports whether Call-IDs and from-tags are equal.
func (k key) sameCaller(l key) bool {
	a, k := k.part()
	b, l := l.part()
	if !bytes.Equal(a, b) {
		return false
	}
	a, _ = k.part()
	b, _ = l.part()
	return bytes.Equal(a, b)
}

// names reports whether the Call-IDs are equal and one of k's tags is l's from-tag.
func (k key) names(l key) bool {
	a, k := k.part()
	b, l := l.part()
	if !bytes.Equal(a, b) {
		return false
	}
	from, k := k.part()
	to, _ := k.part()
	caller, _ := l.part()
	return bytes.Equal(from, caller) || bytes.Equal(to, caller)
}

// mirrors reports whether k is l with the tags in the other order.
func (k key) mirrors(l key) bool {
	if k.wide == l.wide && len(k.b) != len(l.b) {
		return false
	}
	a, k := k.part()
	b, l := l.part()
	if !bytes.Equal(a, b) {
		return false
	}
	from, k := k.part()
	to, _ := k.part()
	otherFrom, l := l.part()
	otherTo, _ := l.part()
	return bytes.Equal(from, otherTo) && bytes.Equal(to, otherFrom)
}

// is reports whether the entry is the dialog or tombstone with the key of ev.
func (e entry) is(ev *Event) bool {
	if wide(e.layout()) && wide(ev.Layout) {
		return bytes.Equal(e.key().b, ev.Key)
	}
	return e.state() != waits && e.key().equal(ev.key()) && e.sameHID(ev)
}

// sameHID reports whether the entry has the h_id of ev, as far as both tell.
func (e entry) sameHID(ev *Event) bool {
	return !hasHID(e.layout()) || !hasHID(ev.Layout) || e.hid() == ev.HID
}
