package audit

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/mi"
)

// Difference is a field that differs. Its name is that of OpenSIPS's dlg_list.
type Difference struct{ Field, Here, Proxy string }

// timeoutSlack is by how many seconds a timeout may differ: the proxy works it out when it is asked, and when it sends.
const timeoutSlack = 2

// Compare returns the fields in which an answered dialog of a proxy differs from the one of the table, which has its
// tags. It leaves out what differs by nature:
//
//   - States 3 and 4: a node in backup never tells of the ACK.
//   - Timeouts by up to 2 s.
//   - CSeqs that are newer at the proxy: not every request within a call makes it tell. 0 there or here says nothing.
//   - The sharing tag, and the order of variables and profiles.
//   - Names of user flags, where the table has their numbers.
//   - How 3.x writes variables: byte 0xE9 as \xe9.
//   - What the layout, or the interface of the release, doesn't have.
func Compare(d *mi.Dialog, v *dialog.View) (list []Difference) {
	var have layout.View
	if layout.Parse(max(v.Layout(), layout.UDP), v.Body(), &have) != layout.NoFault {
		return nil
	}
	differ := func(field, here, proxy string) { list = append(list, Difference{field, here, proxy}) }
	text := func(field string, f layout.Field, proxy string) {
		if here := have.Bytes(f); string(here) != proxy {
			differ(field, string(here), proxy)
		}
	}
	number := func(field string, f layout.Field, proxy, slack int64) {
		if here := int64(have.Number(f)); here > proxy+slack || here < proxy-slack {
			differ(field, strconv.FormatInt(here, 10), strconv.FormatInt(proxy, 10))
		}
	}
	if d.ID != 0 {
		number("h_id", layout.HID, int64(uint32(d.ID)), 0)
	}
	number("timestart", layout.Start, d.Start, 0)
	number("timeout", layout.Timeout, d.Timeout, timeoutSlack)
	text("from_uri", layout.FromURI, d.From)
	text("to_uri", layout.ToURI, d.To)
	callee := calleeOf(d)
	legs := [...]struct {
		leg                                       *mi.Leg
		contact, routes, socket, cseq, sdp, sent  string
		atContact, atRoutes, atSocket, atCSeq, at layout.Field
		atSent                                    layout.Field
	}{
		{
			&d.Caller, "caller_contact", "caller_route_set", "caller_bind_addr", "callee_cseq", "caller_sdp", "caller_sent_sdp",
			layout.CallerContact, layout.CallerRouteSet, layout.CallerSocket, layout.CallerCSeq, layout.CallerSDP, layout.CallerSentSDP,
		},
		{
			callee, "callee_contact", "callee_route_set", "callee_bind_addr", "caller_cseq", "callee_sdp", "callee_sent_sdp",
			layout.CalleeContact, layout.CalleeRouteSet, layout.CalleeSocket, layout.CalleeCSeq, layout.CalleeSDP, layout.CalleeSentSDP,
		},
	}
	for _, l := range legs {
		text(l.contact, l.atContact, l.leg.Contact)
		text(l.routes, l.atRoutes, l.leg.Routes)
		if socket := have.Bytes(l.atSocket); hasPort(socket) { // otherwise the wire has the tag of a socket
			text(l.socket, l.atSocket, l.leg.Socket)
		}
		if here := have.Bytes(l.atCSeq); older(l.leg.CSeq, string(here)) {
			differ(l.cseq, string(here), l.leg.CSeq)
		}
		for _, s := range [...]struct {
			field string
			at    layout.Field
			proxy string
		}{{l.sdp, l.at, l.leg.SDP}, {l.sent, l.atSent, l.leg.SentSDP}} {
			if s.proxy != "" && len(have.Bytes(s.at)) > 0 {
				text(s.field, s.at, s.proxy)
			}
		}
	}
	if mask, err := strconv.ParseUint(d.Flags, 10, 32); err == nil && !d.FlagNames {
		number("user_flags", layout.UserFlags, int64(mask), 0)
	}
	if d.Values != nil {
		if here, ok := sorted(have.Values(), false); ok {
			if there := plain(d.Values, true); !slices.Equal(here, there) {
				differ("values", strings.Join(here, " "), strings.Join(there, " "))
			}
		}
	}
	if d.Profiles != nil && !d.ProfilesLost {
		if here, ok := sorted(have.Profiles(), true); ok {
			if there := plain(d.Profiles, false); !slices.Equal(here, there) {
				differ("profiles", strings.Join(here, " "), strings.Join(there, " "))
			}
		}
	}
	return list
}

// calleeOf returns the callee who answered. An answered dialog has one.
func calleeOf(d *mi.Dialog) *mi.Leg {
	if len(d.Callees) == 0 {
		return &mi.Leg{}
	}
	return &d.Callees[0]
}

// hasPort tells udp:10.0.0.1:5060 from udp:tag.
func hasPort(socket []byte) bool { return bytes.Count(socket, []byte(":")) >= 2 || len(socket) == 0 }

// older reports whether the proxy's CSeq is older than the one here.
func older(proxy, here string) bool {
	p, err1 := strconv.ParseUint(proxy, 10, 32)
	h, err2 := strconv.ParseUint(here, 10, 32)
	return err1 == nil && err2 == nil && p != 0 && p < h
}

// sorted returns name=value of a list, in order. ok is false if the list has wrong syntax.
func sorted(p layout.Pairs, profiles bool) (list []string, ok bool) {
	for p.Next() {
		name := p.Name
		if profiles {
			name, _ = layout.Profile(name)
		} else if name.Equal([]byte(layout.TagName)) {
			continue
		}
		value := p.Value.String()
		if !profiles {
			value = unescape(value)
		}
		list = append(list, name.String()+"="+value)
	}
	slices.Sort(list)
	return list, p.Err() == nil
}

// plain is sorted for what the management interface gave.
func plain(values []mi.Value, variables bool) (list []string) {
	for _, v := range values {
		value := v.Value
		if variables {
			if v.Name == layout.TagName {
				continue
			}
			value = unescape(value)
		}
		list = append(list, v.Name+"="+value)
	}
	slices.Sort(list)
	return list
}

// unescape undoes the escapes that 3.x writes into variables. A backslash that was there before isn't doubled, so the
// text is ambiguous: a comparison must unescape both sides.
func unescape(value string) string {
	if !strings.Contains(value, `\`) {
		return value
	}
	var out []byte
	for i := 0; i < len(value); i++ {
		if value[i] != '\\' || i+1 == len(value) {
			out = append(out, value[i])
			continue
		}
		switch c := value[i+1]; c {
		case 't':
			out = append(out, '\t')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'x':
			if i+4 > len(value) {
				out = append(out, '\\')
				continue
			}
			n, err := strconv.ParseUint(value[i+2:i+4], 16, 8)
			if err != nil {
				out = append(out, '\\')
				continue
			}
			out = append(out, byte(n))
			i += 2
		default:
			out = append(out, '\\')
			continue
		}
		i++
	}
	return string(out)
}
