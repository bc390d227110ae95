package audit

import (
	"math"
	"strconv"
	"strings"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/mi"
)

// LayoutFor returns the layout into which a proxy's dialogs are built: the smallest that holds everything that its
// management interface gives, and in which its live events come as well, as far as the version tells.
func LayoutFor(dialect mi.Dialect, version string) layout.ID {
	if dialect == mi.RPC {
		return layout.Bin4Typed // four SDPs, and types of variables
	}
	switch major, minor := release(version); {
	case major == 2 && minor >= 4:
		return layout.Bin1TwoSDP
	case major == 2 && minor >= 2:
		return layout.Bin1Plain
	}
	return layout.UDP
}

// release reads "OpenSIPS (2.4.11 (x86_64/linux))".
func release(version string) (major, minor int) {
	_, number, _ := strings.Cut(version, "(")
	parts := strings.SplitN(number, ".", 3)
	if len(parts) < 2 {
		return 0, 0
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil {
		return 0, 0
	}
	return major, minor
}

// Lacks says what a dialog that was built from the management interface doesn't have. It never gives these.
const Lacks = "internal flags (BYE on timeout, pings), the last CSeqs that the proxy made, rewritten From and To URIs, names of routes"

// Append appends the dialog in a layout to dst, for an event. ok is false if no event can tell of it: it isn't answered,
// or a field is too long. What the management interface doesn't tell is empty or 0 (see Lacks), and so are user flags of
// which only the names are known.
func Append(dst []byte, d *mi.Dialog, id layout.ID) (out []byte, ok bool) {
	if !d.Answered() || len(d.Callees) == 0 || d.CallID == "" || !fits(d.Start) || !fits(d.Timeout) {
		return dst, false
	}
	callee := calleeOf(d)
	var f layout.Fields
	for field, value := range map[layout.Field]string{
		layout.CallID: d.CallID, layout.FromTag: d.Caller.Tag, layout.ToTag: callee.Tag, layout.FromURI: d.From, layout.ToURI: d.To,
		layout.CallerSocket: d.Caller.Socket, layout.CalleeSocket: callee.Socket,
		layout.CallerCSeq: d.Caller.CSeq, layout.CalleeCSeq: callee.CSeq,
		layout.CallerRouteSet: d.Caller.Routes, layout.CalleeRouteSet: callee.Routes,
		layout.CallerContact: d.Caller.Contact, layout.CalleeContact: callee.Contact,
		layout.CallerSDP: d.Caller.SDP, layout.CallerSentSDP: d.Caller.SentSDP,
		layout.CalleeSDP: callee.SDP, layout.CalleeSentSDP: callee.SentSDP,
	} {
		f.Strings[field] = []byte(value)
	}
	f.Strings[layout.Values] = appendValues(nil, d.Values, id.Typed(), true)
	if !d.ProfilesLost {
		f.Strings[layout.Profiles] = appendValues(nil, d.Profiles, id.Typed(), false)
	}
	f.Numbers[layout.HID] = uint32(d.ID)
	f.Numbers[layout.Start] = uint32(d.Start)
	f.Numbers[layout.State] = uint32(d.State)
	f.Numbers[layout.Timeout] = uint32(d.Timeout)
	if mask, err := strconv.ParseUint(d.Flags, 10, 32); err == nil && !d.FlagNames {
		f.Numbers[layout.UserFlags] = uint32(mask)
	}
	out, fault := f.Append(dst, id)
	return out, fault == layout.NoFault && len(out)-len(dst) <= dialog.MaxBody
}

func fits(seconds int64) bool { return seconds >= 0 && seconds <= math.MaxUint32 }

// appendValues writes a list. In variables of 3.x it undoes the escapes, which is right unless a value had a backslash
// in front of an x and two digits of its own.
func appendValues(dst []byte, list []mi.Value, typed, variables bool) []byte {
	for _, v := range list {
		if v.Name == "" {
			continue
		}
		if n, err := strconv.ParseInt(v.Value, 10, 32); v.Number && err == nil {
			dst = layout.AppendIntPair(dst, typed, []byte(v.Name), int32(n))
			continue
		}
		value := v.Value
		if variables && typed {
			value = unescape(value)
		}
		dst = layout.AppendPair(dst, typed, []byte(v.Name), []byte(value))
	}
	return dst
}
