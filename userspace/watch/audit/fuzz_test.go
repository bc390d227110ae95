package audit

import (
	"testing"

	"binrepd/dialog/layout"
	"binrepd/userspace/mi"
)

// FuzzAppend: whatever a proxy says, what is built is a dialog in its layout, and compares as equal with what it says.
func FuzzAppend(f *testing.F) {
	f.Add("a@x", "f", "t", "udp:192.0.2.1:5060", "name", `a|b#c\d`, int64(100), int64(200), uint64(5<<32|7), false)
	f.Add("\x1b[31m", "", "", "", "dlgX_shtag", "vip", int64(1), int64(-1), uint64(0), true)
	f.Add("a@x", "f", "t", "udp:tag", "n", "12345678901", int64(1)<<40, int64(3), uint64(1), true)
	f.Fuzz(func(t *testing.T, callID, from, to, text, name, value string, start, timeout int64, id uint64, number bool) {
		d := mi.Dialog{
			State: 4, CallID: callID, ID: id, Start: start, Timeout: timeout, From: text, To: value, Flags: text,
			Caller:  mi.Leg{Tag: from, Contact: value, Socket: text, CSeq: value, SDP: text},
			Callees: []mi.Leg{{Tag: to, Routes: value, Socket: text, CSeq: text}},
			Values:  []mi.Value{{Name: name, Value: value, Number: number}}, Profiles: []mi.Value{{Name: name, Value: value}},
		}
		for _, l := range []layout.ID{layout.UDP, layout.Bin1Plain, layout.Bin1TwoSDP, layout.Bin4Typed} {
			b, ok := Append(nil, &d, l)
			if !ok {
				continue
			}
			var v layout.View
			if fault := layout.Parse(l, b, &v); fault != layout.NoFault {
				t.Fatalf("%s: %s", l, fault)
			}
			for p := v.Values(); ; {
				if !p.Next() {
					if p.Err() != nil {
						t.Fatalf("%s: %v", l, p.Err())
					}
					break
				}
			}
		}
	})
}
