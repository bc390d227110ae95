package opensipstest

import (
	"encoding/binary"
	"hash/crc32"

	"binrepd/dialog"
)

const (
	create = 1
	update = 2
	remove = 3
)

// reader reads fields by position, as the binaries do.
type reader struct {
	rest     []byte
	cut      bool // a field lay past the end
	negative bool // a length below zero
}

func (r *reader) number() uint32 {
	if len(r.rest) < 4 {
		r.cut = true
		return 0
	}
	n := binary.LittleEndian.Uint32(r.rest)
	r.rest = r.rest[4:]
	return n
}

func (r *reader) text() string {
	n := int32(r.number())
	switch {
	case r.cut:
		return ""
	case n < 0:
		r.negative = true
		return ""
	case int(n) > len(r.rest):
		r.cut = true
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

// open checks what the binaries check in front of a packet and returns the command and the fields of one for dialogs.
func open(packet []byte) (command uint32, r reader, ok bool) {
	if len(packet) < 18 || string(packet[:4]) != "P4CK" ||
		^crc32.ChecksumIEEE(packet[8:]) != binary.LittleEndian.Uint32(packet[4:]) {
		return 0, r, false
	}
	r.rest = packet[8:]
	if module := r.text(); r.cut || r.negative || module != "dialog" {
		return 0, r, false
	}
	command = r.number()
	return command, r, true
}

func (r *reader) key() (d dialog.Details) {
	d.CallID, d.FromTag, d.ToTag = r.text(), r.text(), r.text()
	return d
}

func (r *reader) snapshot() dialog.Details {
	d := r.key()
	d.FromURI, d.ToURI = r.text(), r.text()
	d.HID, d.Start = r.number(), r.number()
	state := r.number()
	d.State = dialog.State(min(state, 255))
	d.CallerSocket, d.CalleeSocket = r.text(), r.text()
	d.CallerCSeq, d.CalleeCSeq = r.text(), r.text()
	d.CallerRouteSet, d.CalleeRouteSet = r.text(), r.text()
	d.CallerContact, d.CalleeContact = r.text(), r.text()
	d.MangledFrom, d.MangledTo = r.text(), r.text()
	d.Vars, d.Profiles = r.text(), r.text()
	d.UserFlags, d.Flags, d.Timeout = r.number(), r.number(), r.number()
	d.CallerGenCSeq, d.CalleeGenCSeq = r.number(), r.number()
	return d
}
