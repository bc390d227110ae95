package capture

import (
	"slices"
	"testing"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/wire/bin2"
)

// nodePacket is a packet of node 2 about a dialog.
func nodePacket(t *testing.T, capability bin2.Capability, version int16, number int32, body []byte) []byte {
	t.Helper()
	w := bin2.Begin(nil, version, capability.String(), number)
	w.Raw(body)
	packet, err := w.EndTrailer(bin2.Trailer{Cluster: 1, Source: 2, Destination: 3})
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

// TestHistory2: the history of a call of generation 2 has its packets of every kind, VALUE and CSEQ as well, which name
// only the Call-ID and h_id, and its dialogs in syncs; and none of another call.
func TestHistory2(t *testing.T) {
	f := &layout.Fields{}
	set := func(field layout.Field, text string) { f.Strings[field] = []byte(text) }
	body := func() []byte {
		b, fault := f.Append(nil, layout.Bin4Typed)
		if fault != layout.NoFault {
			t.Fatal(fault)
		}
		return b
	}
	f.Numbers[layout.State], f.Numbers[layout.HID], f.Numbers[layout.Timeout] = 3, 7, begin+60
	set(layout.CallID, "call2")
	other := body()
	set(layout.CallID, "call")
	set(layout.FromTag, "f")
	set(layout.ToTag, "t")
	created := body()
	f.Numbers[layout.State] = 4
	set(layout.Values, "a#1#b|")
	set(layout.CallerSDP, "v=0")
	updated := body()
	f.Numbers[layout.HID] = 8
	looped := body()
	message := func(append func([]byte, layout.Version) ([]byte, layout.Fault)) []byte {
		b, fault := append(nil, 4)
		if fault != layout.NoFault {
			t.Fatal(fault)
		}
		return b
	}
	value := layout.ValueChange{CallID: []byte("call"), HID: 7, Name: []byte("n"), Type: layout.Integer, Int: -3}
	removed := layout.ValueChange{CallID: []byte("call"), HID: 7, Name: []byte("n")}
	cseq := layout.CSeqChange{CallID: []byte("call"), OtherTag: []byte("f"), Tag: []byte("t"), HID: 7, Number: 9}
	deleted := layout.Deletion{CallID: []byte("call"), FromTag: []byte("f"), ToTag: []byte("t"), HID: 7}
	sync, _ := layout.AppendSync(nil, 3, []byte(bin2.Dialogs.String()), 4)
	for _, chunk := range [][]byte{other, updated, looped} {
		sync = layout.AppendChunk(sync, 3, chunk)
	}
	cut := nodePacket(t, bin2.Dialogs, 4, 2, updated[:len(updated)-3])
	dialogPacket := func(number int32, body []byte) []byte { return nodePacket(t, bin2.Dialogs, 4, number, body) }
	list, err := History(listOf([]Datagram{
		at(0, dialogPacket(1, created)), at(1, dialogPacket(1, other)), at(2, dialogPacket(5, message(value.Append))),
		at(3, dialogPacket(2, updated)), at(4, dialogPacket(4, message(cseq.Append))), at(5, cut),
		at(6, nodePacket(t, bin2.Extra, 3, 11, sync)), at(7, dialogPacket(5, message(removed.Append))),
		at(8, dialogPacket(3, message(deleted.Append))),
	}), []byte("call"))
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		ms      int64
		kind    dialog.Kind // 0: bad
		hid     uint32
		name    string
		value   string
		changed []string
		first   bool
	}{
		{0, dialog.Create, 7, "", "", nil, true},
		{2, dialog.Value, 7, "n", "-3", nil, false},
		{3, dialog.Update, 7, "", "", []string{"state", "vars", "caller_in_sdp"}, false},
		{4, dialog.CSeq, 7, "t", "9", nil, false},
		{5, 0, 0, "", "", nil, false},
		{6, dialog.Chunk, 7, "", "", nil, false},
		{6, dialog.Chunk, 8, "", "", nil, true},
		{7, dialog.Value, 7, "n", "", nil, false},
		{8, dialog.Delete, 7, "", "", nil, false},
	}
	if len(list) != len(want) {
		t.Fatalf("%d entries: %+v", len(list), list)
	}
	for i, w := range want {
		e := list[i]
		var changed []string
		for _, c := range e.Changes {
			changed = append(changed, c.Field)
		}
		if e.Time.UnixMilli() != begin*1000+w.ms || e.Good != (w.kind != 0) || e.Kind != w.kind || e.Details.HID != w.hid || e.Name != w.name ||
			e.Value != w.value || e.First != w.first || e.Cluster != 1 || e.Node != 2 || !slices.Equal(changed, w.changed) {
			t.Errorf("entry %d: %+v, want %+v", i, e, w)
		}
	}
	if e := list[4]; e.Verdict != "length_past_end" && e.Verdict != "truncated" {
		t.Errorf("the cut packet: %s", e.Verdict)
	}
	if !list[7].Removed || list[1].Removed || list[8].Details.ToTag != "t" || list[0].Layout != layout.Bin4Typed {
		t.Errorf("%+v", list)
	}
}
