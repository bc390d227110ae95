package mi

import (
	"strconv"
	"strings"
)

// Dialog is a call as a proxy lists it. Texts hold the bytes that the proxy sent.
type Dialog struct {
	// ID is hash entry x 2^32 + number. The wire carries the number only; the entry depends on the size of the proxy's
	// table.
	ID    uint64
	State int // 1 unanswered, 2 early, 3 answered without ACK, 4 confirmed, 5 ended
	Flags string
	// FlagNames: Flags holds the names of flags, in any order, as JSON-RPC has it. Otherwise it is a mask in decimal.
	FlagNames bool
	Start     int64 // seconds since 1970; 0 before the answer
	Timeout   int64 // seconds since 1970, worked out when the proxy was asked, so allow 2 s; 0 before the answer and after the end
	CallID    string
	From      string
	To        string
	Caller    Leg
	Callees   []Leg // none before a branch rings, several while several ring
	// Values and Profiles are nil unless they were asked for.
	Values   []Value
	Profiles []Value
	// ProfilesLost: the HTTP of 1.11 and 2.1 leaves the names of all but the first profile out.
	ProfilesLost bool
}

// Leg is one side of a call. CSeq of the caller's leg is what the proxy calls callee_cseq, which stands there.
type Leg struct {
	Tag, Contact, CSeq, Routes, Socket string
	SDP, SentSDP                       string
}

// Value is a variable, or a profile with its value.
type Value struct {
	Name, Value string
	Number      bool // JSON-RPC: the variable was set as a number
}

// Ended reports whether the call is over and only waits to be freed.
func (d *Dialog) Ended() bool { return d.State == 5 }

// Answered reports whether the call was answered and is not over.
func (d *Dialog) Answered() bool { return d.State == 3 || d.State == 4 }

// dialog reads a dialog from any of the forms.
func (c *Client) dialog(n *Node) Dialog {
	d := Dialog{
		State: int(n.number("state")), Flags: n.text("user_flags"), Start: n.number("timestart"), Timeout: n.number("timeout"),
		FlagNames: c.dialect == RPC,
		CallID:    n.text("callid"), From: n.text("from_uri"), To: n.text("to_uri"), ID: dialogID(n),
		Caller: Leg{
			Tag: n.text("caller_tag"), Contact: n.text("caller_contact"), CSeq: n.text("callee_cseq"),
			Routes: n.text("caller_route_set"), Socket: n.text("caller_bind_addr"),
			SDP: n.text("caller_sdp"), SentSDP: n.text("caller_sent_sdp"),
		},
	}
	if legs := n.Child("CALLEES"); legs.Name != "" {
		for i := range legs.Children {
			d.addCallee(&legs.Children[i])
		}
	} else {
		d.addCallee(n) // 1.10 has the callee's fields beside the others
	}
	context := n.Child("context")
	if context.Name == "" {
		return d
	}
	if c.dialect == Text && context.Child("values").Name == "" && context.Child("profiles").Name == "" {
		d.Values, d.Profiles = assigned(context, "value"), assigned(context, "profile")
		return d
	}
	d.Values = values(context.Child("values"))
	profiles := context.Child("profiles")
	d.Profiles = values(profiles)
	if c.dialect == OldJSON {
		for i := 1; i < len(profiles.Children); i++ {
			// The array has the name of the first profile. 2.4 gives each its own.
			d.ProfilesLost = d.ProfilesLost || profiles.Children[i].Name == profiles.Children[0].Name
		}
		if d.ProfilesLost {
			d.Profiles = d.Profiles[:1]
		}
	}
	return d
}

// addCallee leaves out the empty callee that 3.4 sends for a dialog without one.
func (d *Dialog) addCallee(n *Node) {
	leg := Leg{
		Tag: n.text("callee_tag"), Contact: n.text("callee_contact"), CSeq: n.text("caller_cseq"),
		Routes: n.text("callee_route_set"), Socket: n.text("callee_bind_addr"),
		SDP: n.text("callee_sdp"), SentSDP: n.text("callee_sent_sdp"),
	}
	if leg != (Leg{}) {
		d.Callees = append(d.Callees, leg)
	}
}

// values reads name:: value nodes, or JSON-RPC's array of objects with one member each.
func values(n *Node) []Value {
	list := []Value{}
	for i := range n.Children {
		v := &n.Children[i]
		if v.Name == "" && len(v.Children) > 0 {
			v = &v.Children[0]
		}
		list = append(list, Value{Name: v.Name, Value: v.Value, Number: v.Number})
	}
	return list
}

// assigned reads the values of 1.10: value:: name = value.
func assigned(n *Node, kind string) []Value {
	list := []Value{}
	for i := range n.Children {
		if n.Children[i].Name == kind {
			name, value, _ := strings.Cut(n.Children[i].Value, " = ")
			list = append(list, Value{Name: name, Value: value})
		}
	}
	return list
}

// dialogID reads the identifier in the form of each release: db_id, ID or dialog_id in decimal, or hash=E:N.
func dialogID(n *Node) uint64 {
	for _, name := range [...]string{"db_id", "dialog_id", "ID"} {
		if id, err := strconv.ParseUint(n.Attr(name), 10, 64); err == nil {
			return id
		}
	}
	entry, number, _ := strings.Cut(n.Attr("hash"), ":")
	e, err1 := strconv.ParseUint(entry, 10, 32)
	h, err2 := strconv.ParseUint(number, 10, 32)
	if err1 != nil || err2 != nil {
		return 0
	}
	return e<<32 | h
}
