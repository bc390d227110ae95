package control

import (
	"encoding/json"
	"net/netip"
	"strconv"

	"binrepd/dialog"
	"binrepd/dialog/layout"
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

	HID         uint32       `json:"h_id"`
	Flags       uint32       `json:"flags"`
	Vars        ByText[Text] `json:"vars"`
	Profiles    []Profile    `json:"profiles"`
	RawVars     Text         `json:"vars_raw,omitempty"`     // instead of vars, if the list has wrong syntax
	RawProfiles Text         `json:"profiles_raw,omitempty"` // instead of profiles, for the same reason
	MangledFrom Text         `json:"mangled_from_uri"`
	MangledTo   Text         `json:"mangled_to_uri"`
	Origin      string       `json:"origin"`  // source address and port of the last change
	Updated     uint32       `json:"updated"` // Unix seconds of the last change here
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
func newDialog(v *dialog.View, sender packets.Sender) Dialog {
	if v.Layout() != layout.UDP {
		return newDialog2(v, sender)
	}
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
		Origin: SenderName(sender), Updated: v.Updated(),
	}
	out.Vars, out.RawVars = variables(d.Vars)
	out.Profiles, out.RawProfiles = profiles(d.Profiles)
	return out
}

// newDialog2 renders a dialog of generation 2 in the same form, for pages and screens. lineOf has all of its fields.
func newDialog2(v *dialog.View, sender packets.Sender) Dialog {
	out := Dialog{Origin: SenderName(sender), Updated: v.Updated(), Vars: ByText[Text]{}, Profiles: []Profile{}}
	var d layout.View
	if layout.Parse(v.Layout(), v.Body(), &d) != layout.NoFault {
		return out
	}
	text := func(f layout.Field) Text { return Text(d.Bytes(f)) }
	out.CallID, out.FromURI, out.ToURI = text(layout.CallID), text(layout.FromURI), text(layout.ToURI)
	out.State, out.UserFlags = uint8(v.State()), strconv.FormatUint(uint64(d.Number(layout.UserFlags)), 10)
	out.Start, out.Timeout = v.Start(), d.Number(layout.Timeout)
	out.CallerTag, out.CallerContact, out.CalleeCSeq = text(layout.FromTag), text(layout.CallerContact), text(layout.CallerCSeq)
	out.CallerRouteSet, out.CallerSocket = text(layout.CallerRouteSet), text(layout.CallerSocket)
	out.Callees = []Callee{{
		Tag: text(layout.ToTag), Contact: text(layout.CalleeContact), CallerCSeq: text(layout.CalleeCSeq),
		RouteSet: text(layout.CalleeRouteSet), Socket: text(layout.CalleeSocket),
	}}
	out.HID, out.Flags = d.Number(layout.HID), d.Number(layout.Flags)
	out.MangledFrom, out.MangledTo = text(layout.MangledFrom), text(layout.MangledTo)
	p := d.Values()
	for p.Next() {
		out.Vars[p.Name.String()] = Text(p.Value.String())
	}
	if p.Err() != nil {
		out.Vars, out.RawVars = ByText[Text]{}, text(layout.Values)
	}
	p = d.Profiles()
	for p.Next() {
		name, _ := layout.Profile(p.Name)
		out.Profiles = append(out.Profiles, Profile{Name: Text(name.String()), Value: Text(p.Value.String())})
	}
	if p.Err() != nil {
		out.Profiles, out.RawProfiles = []Profile{}, text(layout.Profiles)
	}
	return out
}

// lineOf renders a dialog of generation 2 with all of its fields, under the keys of that generation's dlg_list_ctx, and
// behind them the source and the time of the last change here.
func lineOf(v *dialog.View, sender packets.Sender) json.RawMessage {
	line := []byte{'{'}
	var d layout.View
	if layout.Parse(v.Layout(), v.Body(), &d) == layout.NoFault {
		line = d.AppendMembers(line, layout.Print{})
	}
	line = append(line, `"origin":`...)
	line = layout.AppendJSONText(line, []byte(SenderName(sender)))
	line = append(line, `,"updated":`...)
	line = strconv.AppendUint(line, uint64(v.Updated()), 10)
	return append(line, '}')
}

func originName(a netip.AddrPort) string {
	if !a.IsValid() {
		return "other"
	}
	return a.String()
}

// SenderName is originName for the sender of packets.
func SenderName(s packets.Sender) string {
	if s == (packets.Sender{}) {
		return originName(netip.AddrPort{})
	}
	return s.String()
}

// variables parses a list of variables. If a name occurs twice, the last value counts, as in OpenSIPS. A list with wrong
// syntax is returned raw.
func variables(list string) (vars ByText[Text], raw Text) {
	vars = ByText[Text]{}
	p := bin1.PairsOf([]byte(list))
	for p.Next() {
		vars[p.Name.String()] = Text(p.Value.String())
	}
	if p.Err() != nil {
		return ByText[Text]{}, Text(list)
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
