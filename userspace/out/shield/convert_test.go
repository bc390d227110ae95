package shield_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
	"binrepd/userspace/changes"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/wire/bin1"
)

// calls is a table of one call.
type calls struct {
	body  []byte
	id    layout.ID
	alive bool
}

func (c calls) Whole(dst []byte, _ *changes.Change) ([]byte, layout.ID, bool) {
	return append(dst, c.body...), c.id, c.body != nil
}

func (c calls) Alive(*layout.Deletion) bool { return c.alive }

// generation2 returns a call of generation 2 that is in progress, and the layout of it.
func generation2(t testing.TB, id layout.ID, caller string) []byte {
	t.Helper()
	var v layout.View
	body := layouttest.Dialog(rand.New(rand.NewPCG(1, 5)), id)
	for f, s := range map[layout.Field]string{
		layout.CallID: "call", layout.CallerSocket: caller, layout.CalleeSocket: "udp:10.0.0.1:5060", layout.CallerRouteSet: "", layout.CalleeRouteSet: "",
	} {
		layout.Parse(id, body, &v)
		body, _ = v.AppendWith(nil, f, []byte(s))
	}
	if layout.Parse(id, body, &v) != layout.NoFault {
		t.Fatal("no dialog")
	}
	v.SetNumber(layout.State, 4)
	v.SetNumber(layout.Timeout, uint32(time.Now().Unix())+3600)
	return body
}

func changeOf(kind dialog.Kind, id layout.ID, body []byte) changes.Change {
	return changes.Change{
		Capability: changes.Dialogs, Kind: kind, State: dialog.Confirmed, Layout: changes.Layout(id), Bytes: body,
		BodySpan: changes.Span{To: uint32(len(body))},
	}
}

// TestConvertedKinds: what each message of generation 2 becomes for a proxy of generation 1.
func TestConvertedKinds(t *testing.T) {
	const id = layout.Bin4Typed
	plain, tagged, wss := generation2(t, id, "udp:10.0.0.1:5060"), generation2(t, id, "udp:edge"), generation2(t, id, "wss:10.0.0.1:443")
	value, _ := (&layout.ValueChange{CallID: []byte("call"), HID: 1, Name: []byte("a"), Type: layout.Text, Text: []byte("b")}).Append(nil, 4)
	cseq, _ := (&layout.CSeqChange{CallID: []byte("call"), HID: 1, Number: 7}).Append(nil, 4)
	end, _ := (&layout.Deletion{CallID: []byte("call"), FromTag: []byte("a"), ToTag: []byte("b"), HID: 1}).Append(nil, 4)
	here, rule := calls{body: plain, id: id}, shield.SocketRewrite{Old: "udp:edge", New: "udp:10.0.0.9:5060"}
	for _, c := range [...]struct {
		name    string
		dialogs shield.Dialogs
		kind    dialog.Kind
		body    []byte
		rules   []shield.SocketRewrite
		held    shield.Reason
		becomes dialog.Kind
	}{
		{"create", here, dialog.Create, plain, nil, shield.Passed, dialog.Create},
		{"update", here, dialog.Update, plain, nil, shield.Passed, dialog.Update},
		{"chunk of a sync", here, dialog.Chunk, plain, nil, shield.Passed, dialog.Update},
		{"value", here, dialog.Value, value, nil, shield.Passed, dialog.Update},
		{"CSeq", here, dialog.CSeq, cseq, nil, shield.Passed, dialog.Update},
		{"value of a call that has ended", calls{}, dialog.Value, value, nil, shield.NotHere, 0},
		{"end", here, dialog.Delete, end, nil, shield.Passed, dialog.Delete},
		{"end of one of two", calls{alive: true}, dialog.Delete, end, nil, shield.Looped, 0},
		{"tag of a socket", here, dialog.Update, tagged, nil, shield.SocketTag, 0},
		{"tag that a rule names", here, dialog.Update, tagged, []shield.SocketRewrite{rule}, shield.Passed, dialog.Update},
		{"protocol", here, dialog.Update, wss, nil, shield.SocketProtocol, 0},
		{"nonsense", here, dialog.Update, []byte("x"), nil, shield.Malformed, 0},
		{"nonsensical end", here, dialog.Delete, []byte("x"), nil, shield.Malformed, 0},
		{"not wanted", nil, dialog.Update, plain, nil, shield.OtherLayout, 0},
	} {
		sh, err := shield.New(shield.Policy{Convert: c.dialogs, Rewrites: c.rules})
		if err != nil {
			t.Fatal(err)
		}
		change := changeOf(c.kind, id, c.body)
		_, out := sh.Process(nil, &change)
		if out.Held != c.held || out.Held == shield.Passed && out.Kind != c.becomes {
			t.Errorf("%s: held %v, kind %v", c.name, out.Held, out.Kind)
		}
		var ev dialog.Event
		if out.Held == shield.Passed && (bin1.Decode(out.Packet, &ev) != bin1.Dialog || ev.Kind != c.becomes || string(ev.CallID()) != "call") {
			t.Errorf("%s: the packet says %v of %q", c.name, ev.Kind, ev.CallID())
		}
		if r := sh.Report(); (r.Lost.Converted == 1) != (c.held == shield.Passed && c.becomes != dialog.Delete) || r.Held[c.held] != 1 {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
	for text, old := range map[string]string{"udp:edge=udp:10.0.0.2:5060": "udp:edge", "tls:edge-1=tls:10.0.0.2:5061": "tls:edge-1"} {
		if r, err := shield.ParseRewrite(text); err != nil || r.Old != old {
			t.Errorf("%s: %+v, %v", text, r, err)
		}
	}
	for _, bad := range [...]string{"udp:10.0.0.1=udp:10.0.0.2:5060", "udp:edge=udp:core", "udp:=udp:10.0.0.2:5060", "edge=udp:10.0.0.2:5060"} {
		if r, err := shield.ParseRewrite(bad); err == nil {
			t.Errorf("%s was taken: %+v", bad, r)
		}
	}
}

// TestConversionAllocatesNothing for dialogs of any layout.
func TestConversionAllocatesNothing(t *testing.T) {
	for _, id := range layouttest.Layouts() {
		body := generation2(t, id, "udp:10.0.0.1:5060")
		sh, _ := shield.New(shield.Policy{Convert: calls{body: body, id: id}})
		change, buffer := changeOf(dialog.Update, id, body), make([]byte, 0, 1<<16)
		if n := testing.AllocsPerRun(20, func() { sh.Process(buffer, &change) }); n > 0 {
			t.Errorf("%v: %v allocations", id, n)
		}
	}
}

// BenchmarkConversion compares what a dialog of 3.6 costs to decode with what it costs to convert it.
func BenchmarkConversion(b *testing.B) {
	const id = layout.Bin4Typed
	body := generation2(b, id, "udp:10.0.0.1:5060")
	var v layout.View
	var r layout.Report
	buffer := make([]byte, 0, 1<<16)
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			layout.Parse(id, body, &v)
		}
	})
	for _, to := range [...]layout.ID{layout.UDP, layout.Bin1TwoSDP, layout.Bin4Untyped, layout.Bin5} {
		b.Run("decode and convert to "+to.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				layout.Parse(id, body, &v)
				v.Convert(buffer, to, &r)
			}
		})
	}
	sh, _ := shield.New(shield.Policy{Convert: calls{body: body, id: id}})
	change := changeOf(dialog.Update, id, body)
	b.Run("fan-out to udp", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sh.Process(buffer, &change)
		}
	})
}
