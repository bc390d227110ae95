package control

import (
	"net/netip"
	"strconv"
	"unicode/utf8"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1"
)

// Dialog is one line of `binrepd dialogs list --json`. It has the keys and types of OpenSIPS's dlg_list, followed by
// fields that dlg_list doesn't have.
type Dialog struct {
	CallID         Text     `json:"callid"`
	FromURI        Text     `json:"from_uri"`
	ToURI          Text     `json:"to_uri"`
	State          uint8    `json:"state"`
	UserFlags      string   `json:"user_flags"`
	Start          uint32   `json:"timestart"` // Unix seconds
	Timeout        uint32   `json:"timeout"`   // Unix seconds
	CallerTag      Text     `json:"caller_tag"`
	CallerContact  Text     `json:"caller_contact"`
	CalleeCSeq     Text     `json:"callee_cseq"` // of the last request that the callee sent
	CallerRouteSet Text     `json:"caller_route_set"`
	CallerSocket   Text     `json:"caller_bind_addr"`
	Callees        []Callee `json:"CALLEES"`

	HID         uint32          `json:"h_id"`
	Flags       uint32          `json:"flags"`
	Vars        map[string]Text `json:"vars"`
	Profiles    []Profile       `json:"profiles"`
	RawVars     Text            `json:"vars_raw,omitempty"`     // instead of vars, if unreadable or a name isn't UTF-8
	RawProfiles Text            `json:"profiles_raw,omitempty"` // instead of profiles, for the same reasons
	MangledFrom Text            `json:"mangled_from_uri"`
	MangledTo   Text            `json:"mangled_to_uri"`
	Origin      string          `json:"origin"`  // source address and port of the last change
	Updated     uint32          `json:"updated"` // Unix seconds of the last change here
}

// Callee is the callee's side of a dialog. BIN carries only the callee that answered.
type Callee struct {
	Tag        Text `json:"callee_tag"`
	Contact    Text `json:"callee_contact"`
	CallerCSeq Text `json:"caller_cseq"` // of the last request that the caller sent
	RouteSet   Text `json:"callee_route_set"`
	Socket     Text `json:"callee_bind_addr"`
}

// Profile is the membership of a dialog in a profile.
type Profile struct {
	Name  Text `json:"name"`
	Value Text `json:"value,omitempty"`
}

// newDialog renders a dialog. The two CSeq fields are swapped: dlg_list names the side that sends the requests, and the
// wire format names the side that receives them.
func newDialog(v *dialog.View, origin netip.AddrPort) Dialog {
	d := v.Body().Details()
	out := Dialog{
		CallID: Text(d.CallID), FromURI: Text(d.FromURI), ToURI: Text(d.ToURI),
		State: uint8(d.State), UserFlags: strconv.FormatUint(uint64(d.UserFlags), 10),
		Start: d.Start, Timeout: d.Timeout,
		CallerTag: Text(d.FromTag), CallerContact: Text(d.CallerContact), CalleeCSeq: Text(d.CallerCSeq),
		CallerRouteSet: Text(d.CallerRouteSet), CallerSocket: Text(d.CallerSocket),
		Callees: []Callee{{
			Tag: Text(d.ToTag), Contact: Text(d.CalleeContact), CallerCSeq: Text(d.CalleeCSeq),
			RouteSet: Text(d.CalleeRouteSet), Socket: Text(d.CalleeSocket),
		}},
		HID: d.HID, Flags: d.Flags,
		MangledFrom: Text(d.MangledFrom), MangledTo: Text(d.MangledTo),
		Origin: originName(origin), Updated: v.Updated(),
	}
	out.Vars, out.RawVars = variables(d.Vars)
	out.Profiles, out.RawProfiles = profiles(d.Profiles)
	return out
}

func originName(a netip.AddrPort) string {
	if !a.IsValid() {
		return "other"
	}
	return a.String()
}

// senderName is originName for the sender of packets.
func senderName(s packets.Sender) string {
	if s == (packets.Sender{}) {
		return originName(netip.AddrPort{})
	}
	return s.String()
}

// variables parses a list of variables. If a name occurs twice, the last value counts, as in OpenSIPS. A list with
// wrong syntax is returned raw. So is a list with a name that isn't UTF-8: keys of JSON objects can't hold other bytes,
// and two different names could look the same.
func variables(list string) (vars map[string]Text, raw Text) {
	vars = map[string]Text{}
	p := bin1.PairsOf([]byte(list))
	legible := true
	for p.Next() {
		name := p.Name.String()
		legible = legible && utf8.ValidString(name)
		vars[name] = Text(p.Value.String())
	}
	if p.Err() != nil || !legible {
		return map[string]Text{}, Text(list)
	}
	return vars, ""
}

// profiles parses a list of profiles. A name may occur several times with different values.
func profiles(list string) (out []Profile, raw Text) {
	out = []Profile{}
	p := bin1.PairsOf([]byte(list))
	for p.Next() {
		out = append(out, Profile{Name: Text(p.Name.String()), Value: Text(p.Value.String())})
	}
	if p.Err() != nil {
		return []Profile{}, Text(list)
	}
	return out, ""
}
