package bin2_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
	"binrepd/userspace/changes"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin2"
)

// packet2 makes a packet of a capability.
func packet2(t testing.TB, version int16, capability string, number int32, body []byte) []byte {
	t.Helper()
	w := bin2.Begin(nil, version, capability, number)
	w.Raw(body)
	p, err := w.EndTrailer(bin2.Trailer{Cluster: 1, Source: 2, Destination: 3})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDecodeDialogs(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, id := range layouttest.Layouts() {
		if id == layout.UDP {
			continue
		}
		version := int16(id.Version())
		var d bin2.Decoder
		body := layouttest.Dialog(rng, id)
		var v layout.View
		layout.Parse(id, body, &v)
		deletion := layout.Deletion{CallID: v.Bytes(layout.CallID), FromTag: v.Bytes(layout.FromTag), ToTag: v.Bytes(layout.ToTag), HID: 5}
		gone, _ := deletion.Append(nil, id.Version())
		change := layout.CSeqChange{CallID: v.Bytes(layout.CallID), OtherTag: []byte("o"), Tag: []byte("t"), HID: 5, Number: 9}
		cseq, _ := change.Append(nil, id.Version())
		number, _ := layout.CSeq.Number(id.Version())
		for _, c := range []struct {
			number int32
			body   []byte
			kind   dialog.Kind
		}{{1, body, dialog.Create}, {2, body, dialog.Update}, {3, gone, dialog.Delete}, {number, cseq, dialog.CSeq}} {
			p := packet2(t, version, "dialog-dlg-repl", c.number, c.body)
			var ev dialog.Event
			got := d.Decode(p, &ev)
			if got != bin2.Event || ev.Kind != c.kind || string(ev.Body) != string(c.body) || string(ev.CallID()) != string(deletion.CallID) {
				t.Errorf("%v, type %d: %v, %+v", id, c.number, got, ev)
				continue
			}
			var change changes.Change
			bin2.Describe(&change, p, &ev)
			if string(change.Body()) != string(c.body) || string(change.Key()) != string(ev.Key) || string(change.Packet()) != string(p) ||
				layout.ID(change.Layout) != ev.Layout {
				t.Errorf("%v, type %d: described as %+v", id, c.number, change)
			}
			if !bin2.IsPacket(p) {
				t.Errorf("%v, type %d is taken for generation 1", id, c.number)
			}
			// A packet that is cut or longer is refused, whatever its length says.
			for n := range len(p) {
				if v := d.Decode(p[:n], &ev); v != bin2.BadPacket {
					t.Fatalf("%v, cut at %d: %v", id, n, v)
				}
			}
			longer := packet2(t, version, "dialog-dlg-repl", c.number, append(c.body[:len(c.body):len(c.body)], 0))
			if v := d.Decode(longer, &ev); v == bin2.Event || v == bin2.OtherPacket || v == bin2.Chunks {
				t.Errorf("%v, type %d, a byte more: %v", id, c.number, v)
			}
		}
	}
}

func TestDecodeOthers(t *testing.T) {
	value, _ := (&layout.ValueChange{CallID: []byte("c"), Name: []byte("n"), Type: layout.Integer, Int: 3}).Append(nil, 4)
	noCall, _ := (&layout.Deletion{}).Append(nil, 4)
	tag, _ := layout.AppendTag(nil, []byte("vip"))
	sync, _ := layout.AppendSync(nil, 3, []byte("dialog-dlg-repl"), 4)
	contacts, _ := layout.AppendSync(nil, 3, []byte("usrloc-contact-repl"), 4)
	for _, c := range []struct {
		name       string
		version    int16
		capability string
		number     int32
		body       []byte
		want       bin2.Verdict
	}{
		{"a value", 4, "dialog-dlg-repl", 5, value, bin2.Event},
		{"a value of version 3", 3, "dialog-dlg-repl", 5, value, bin2.BadCommand},
		{"version 6", 6, "dialog-dlg-repl", 1, value, bin2.BadVersion},
		{"version 0", 0, "dialog-dlg-repl", 1, value, bin2.BadVersion},
		{"version 260", 260, "dialog-dlg-repl", 1, value, bin2.BadVersion},
		{"version -1", -1, "dialog-dlg-repl", 1, value, bin2.BadVersion},
		{"type 9", 4, "dialog-dlg-repl", 9, value, bin2.BadCommand},
		{"no Call-ID", 4, "dialog-dlg-repl", 3, noCall, bin2.EmptyCallID},
		{"a tag", 1, "dialog-dlg-repl", 4, tag, bin2.OtherPacket},
		{"contacts", 3, "usrloc-contact-repl", 1, value, bin2.OtherPacket},
		{"a sync", 3, "clusterer-extra", 11, sync, bin2.Chunks},
		{"a sync of contacts", 3, "clusterer-extra", 11, contacts, bin2.OtherPacket},
	} {
		var d bin2.Decoder
		var ev dialog.Event
		if got := d.Decode(packet2(t, c.version, c.capability, c.number, c.body), &ev); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	seen := map[string]bool{}
	for v := range bin2.Verdicts {
		if name := v.String(); name == "invalid" || seen[name] {
			t.Errorf("verdict %d is called %q", v, name)
		} else {
			seen[name] = true
		}
	}
	for f := range layout.Faults {
		if v := bin2.VerdictOf(f); (v == bin2.Event) != (f == layout.NoFault) {
			t.Errorf("%v is %v", f, v)
		}
	}
	if bin2.Verdicts.String() != "invalid" || bin2.VerdictOf(layout.Faults) == bin2.Event {
		t.Error("what is out of range has a name")
	}
}

// A packet of generation 1 is never taken for one of generation 2, whatever its byte order. One of generation 2 that was cut is
// still one.
func TestIsPacket(t *testing.T) {
	d := dialog.Details{CallID: "c", State: dialog.Answered}
	first := bin1.Append(nil, dialog.Create, d.AppendPacked(nil))
	bigEndian := bytes.Clone(first)
	copy(bigEndian[8:], "\x00\x00\x00\x06dialog")
	long := append([]byte("P4CK\xff\xff\xff\xff\x00\x00\x0f\x00dialog-dlg-repX"), first...)
	for _, p := range [][]byte{first, bigEndian, long, nil, make([]byte, 100)} {
		if bin2.IsPacket(p) {
			t.Errorf("%q is taken for one of generation 2", p)
		}
	}
	second := packet2(t, 4, "dialog-dlg-repl", 1, []byte("body"))
	for n := range len(second) + 1 {
		if got, want := bin2.IsPacket(second[:n]), n >= 12+15; got != want {
			t.Errorf("the first %d bytes: %v", n, got)
		}
	}
	odd := bytes.Replace(second, []byte("repl"), []byte("repX"), 1) // a name that nobody knows, and the right size
	if !bin2.IsPacket(odd) || bin2.IsPacket(odd[:len(odd)-1]) {
		t.Error("of another capability")
	}
}

// Chunks come out as events; a broken one costs no other.
func TestChunksOf(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	for version := int16(layout.SyncUnsized); version <= layout.SyncCounted; version++ {
		id := layout.Bin4Typed
		if version == layout.SyncUnsized {
			id = layout.Bin1TwoSDP
		}
		body, _ := layout.AppendSync(nil, version, []byte("dialog-dlg-repl"), id.Version())
		good := layouttest.Dialog(rng, id)
		for _, chunk := range [][]byte{good, good[:len(good)-3], good} {
			body = layout.AppendChunk(body, version, chunk)
		}
		whole := len(body)
		body = append(body, "rest of a chunk"...)
		number := int32(11)
		if version < 3 {
			number = 10
		}
		for _, b := range [][]byte{body, body[:whole]} {
			p := packet2(t, version, "clusterer-extra", number, b)
			var d bin2.Decoder
			var ev dialog.Event
			w := d.ChunksOf(p)
			events, bad := 0, 0
			for w.Next(&ev) {
				if w.Verdict != bin2.Event {
					bad++
					continue
				}
				if events++; ev.Kind != dialog.Chunk || string(ev.Body) != string(good) {
					t.Errorf("version %d: %+v", version, ev)
				}
			}
			if events < 1 || bad < 1 || w.Cluster != 1 || w.Source != 2 || w.Next(&ev) {
				t.Errorf("version %d: %d events, %d refused, of %d", version, events, bad, w.Source)
			}
		}
		var d bin2.Decoder
		var ev dialog.Event
		if w := d.ChunksOf([]byte("no packet")); w.Next(&ev) {
			t.Error("a chunk of nothing")
		}
	}
}

// Decoding takes nothing from the heap.
func TestDecodeAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 4))
	p := packet2(t, 4, "dialog-dlg-repl", 1, layouttest.Dialog(rng, layout.Bin4Typed))
	var d bin2.Decoder
	var ev dialog.Event
	if n := testing.AllocsPerRun(100, func() { d.Decode(p, &ev) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDecode(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 5))
	f.Add(packet2(f, 4, "dialog-dlg-repl", 1, layouttest.Dialog(rng, layout.Bin4Typed)))
	body, _ := layout.AppendSync(nil, 3, []byte("dialog-dlg-repl"), 4)
	f.Add(packet2(f, 3, "clusterer-extra", 11, layout.AppendChunk(body, 3, layouttest.Dialog(rng, layout.Bin4Typed))))
	table, err := dialog.NewTable(dialog.Config{Shards: 1, MaxDialogs: 1000, MaxWaiting: 100})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { table.Close() })
	f.Fuzz(func(t *testing.T, p []byte) {
		s := table.Lock(0)
		defer s.Unlock()
		var d bin2.Decoder
		var ev dialog.Event
		evs := []*dialog.Event{&ev}
		switch v := d.Decode(p, &ev); {
		case v >= bin2.Verdicts:
			t.Errorf("verdict %d", v)
		case v == bin2.Event:
			s.Apply(evs, 1_795_000_000)
			s.Apply(evs, 1_795_000_000)
		}
		for w := d.ChunksOf(p); w.Next(&ev); {
			if w.Verdict == bin2.Event {
				s.Apply(evs, 1_795_000_000)
			}
		}
	})
}
