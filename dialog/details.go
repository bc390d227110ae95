package dialog

import "encoding/binary"

// Details is a dialog with its fields by name: the form for people, tests and generators. The table holds Packed ones.
type Details struct {
	CallID, FromTag, ToTag         string
	FromURI, ToURI                 string
	HID                            uint32
	Start                          uint32 // Unix seconds, 0 before the answer
	State                          State
	CallerSocket, CalleeSocket     string // proto:address:port
	CallerCSeq, CalleeCSeq         string
	CallerRouteSet, CalleeRouteSet string
	CallerContact, CalleeContact   string
	MangledFrom, MangledTo         string
	Vars, Profiles                 string // name#value| lists, escaped
	UserFlags, Flags               uint32
	Timeout                        uint32 // Unix seconds
	CallerGenCSeq, CalleeGenCSeq   uint32
}

// Details copies the fields of p, which must be one that ParseSnapshot accepted.
func (p Packed) Details() Details {
	f := p.Fields()
	text := func(i Field) string { return string(f.Bytes(i)) }
	return Details{
		CallID: text(CallID), FromTag: text(FromTag), ToTag: text(ToTag),
		FromURI: text(FromURI), ToURI: text(ToURI),
		HID: f.Number(HID), Start: f.Number(Start), State: State(f.Number(StateField)),
		CallerSocket: text(CallerSocket), CalleeSocket: text(CalleeSocket),
		CallerCSeq: text(CallerCSeq), CalleeCSeq: text(CalleeCSeq),
		CallerRouteSet: text(CallerRouteSet), CalleeRouteSet: text(CalleeRouteSet),
		CallerContact: text(CallerContact), CalleeContact: text(CalleeContact),
		MangledFrom: text(MangledFrom), MangledTo: text(MangledTo),
		Vars: text(Vars), Profiles: text(Profiles),
		UserFlags: f.Number(UserFlags), Flags: f.Number(Flags), Timeout: f.Number(Timeout),
		CallerGenCSeq: f.Number(CallerGenCSeq), CalleeGenCSeq: f.Number(CalleeGenCSeq),
	}
}

// AppendPacked appends d in packed form to dst.
func (d *Details) AppendPacked(dst []byte) []byte {
	dst = d.AppendKey(dst)
	dst = appendStrings(dst, d.FromURI, d.ToURI)
	dst = appendNumbers(dst, d.HID, d.Start, uint32(d.State))
	dst = appendStrings(dst, d.CallerSocket, d.CalleeSocket, d.CallerCSeq, d.CalleeCSeq,
		d.CallerRouteSet, d.CalleeRouteSet, d.CallerContact, d.CalleeContact,
		d.MangledFrom, d.MangledTo, d.Vars, d.Profiles)
	return appendNumbers(dst, d.UserFlags, d.Flags, d.Timeout, d.CallerGenCSeq, d.CalleeGenCSeq)
}

// AppendKey appends the packed key of d to dst.
func (d *Details) AppendKey(dst []byte) []byte {
	return appendStrings(dst, d.CallID, d.FromTag, d.ToTag)
}

func appendStrings(dst []byte, strings ...string) []byte {
	for _, s := range strings {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(s)))
		dst = append(dst, s...)
	}
	return dst
}

func appendNumbers(dst []byte, numbers ...uint32) []byte {
	for _, n := range numbers {
		dst = binary.LittleEndian.AppendUint32(dst, n)
	}
	return dst
}
