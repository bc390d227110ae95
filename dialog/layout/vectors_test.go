package layout_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
)

// A vector is a real packet of the specifications and the fields that it has; broken ones (X) have none. Keys of
// fields are the names of layout.Field.
type vector struct {
	Name   string
	Packet string
	Fields map[string]any

	id      layout.ID // UDP, or the layout that version and lists tell
	version layout.Version
	number  int32
	cap     string
	body    []byte
}

func vectors(t testing.TB) (out []vector) {
	t.Helper()
	file, err := os.Open("testdata/vectors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v vector
		dec := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		dec.UseNumber()
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		packet, err := hex.DecodeString(v.Packet)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		if v.Name[0] == 'V' || v.Name[0] == 'X' {
			v.id, v.cap, v.number, v.body = layout.UDP, "dialog", int32(binary.LittleEndian.Uint32(packet[18:])), packet[22:]
		} else {
			p, err := layouttest.NewPacket(packet)
			if err != nil {
				t.Fatalf("%s: %v", v.Name, err)
			}
			v.version, v.cap, v.number, v.body = layout.Version(p.Version), p.Capability, p.Type, p.Body
			v.id = layout.OfVersion(v.version).Last()
			if strings.Contains(v.Name, "2.4") {
				v.id = layout.Bin1TwoSDP
			}
		}
		out = append(out, v)
	}
	if len(out) < 20 {
		t.Fatalf("%d vectors", len(out))
	}
	return out
}

// checkFields compares a dialog with the fields of a vector.
func checkFields(t *testing.T, v *layout.View, want map[string]any) {
	t.Helper()
	seen := 0
	for f := range layout.NumFields {
		name := f.String()
		if v.Layout() == layout.Bin1TwoSDP {
			name = strings.Replace(name, "_in_sdp", "_sdp", 1) // 2.4 has one
		}
		w, ok := want[name]
		if ok != v.Has(f) {
			t.Errorf("%v: vector has it: %v, layout has it: %v", f, ok, v.Has(f))
		}
		if !ok {
			continue
		}
		seen++
		if f.IsNumber() {
			if n, err := w.(json.Number).Int64(); err != nil || uint32(n) != v.Number(f) {
				t.Errorf("%v is %d, want %v", f, v.Number(f), w)
			}
		} else if string(v.Bytes(f)) != w.(string) {
			t.Errorf("%v is %q, want %q", f, v.Bytes(f), w)
		}
	}
	if seen != len(want) {
		t.Errorf("%d fields compared of %d", seen, len(want))
	}
}

func reencoded(t *testing.T, v *layout.View) {
	t.Helper()
	var f layout.Fields
	v.CopyTo(&f)
	again, fault := f.Append([]byte("front"), v.Layout())
	if fault != layout.NoFault || !bytes.Equal(again[5:], v.Body()) || string(again[:5]) != "front" {
		t.Fatalf("encoded again (%v):\n%q\nwas\n%q", fault, again, v.Body())
	}
}

func TestVectors(t *testing.T) {
	for _, x := range vectors(t) {
		t.Run(x.Name, func(t *testing.T) {
			switch {
			case x.Name[0] == 'X':
				checkBroken(t, x)
			case x.cap == "dialog-prof-repl":
				checkCounts(t, x.body, x.Fields["rows"].([]any))
			case x.cap == "clusterer-extra":
				checkSync(t, x)
			default:
				kind, fault := layout.KindOf(x.version, x.number, x.body)
				if number, ok := kind.Number(x.version); fault != layout.NoFault || !ok || number != x.number {
					t.Fatalf("kind %v, %v; number %d, %v", kind, fault, number, ok)
				}
				checkMessage(t, x, kind)
			}
		})
	}
}

func checkMessage(t *testing.T, x vector, kind layout.Kind) {
	text := func(key string, is []byte) {
		t.Helper()
		if w, ok := x.Fields[key].(string); !ok || w != string(is) {
			t.Errorf("%s is %q, want %v", key, is, x.Fields[key])
		}
	}
	number := func(key string, is uint32) {
		t.Helper()
		if w, _ := x.Fields[key].(json.Number).Int64(); uint32(w) != is {
			t.Errorf("%s is %d, want %v", key, is, x.Fields[key])
		}
	}
	var again []byte
	var fault layout.Fault
	switch kind {
	case layout.Created, layout.Updated:
		var v layout.View
		var d layout.Detector
		if fault := d.Parse(x.version, x.body, &v); fault != layout.NoFault || v.Layout() != x.id {
			t.Fatalf("%v, %v", fault, v.Layout())
		}
		if fits := layout.Fitting(x.version, x.body); !fits.Has(x.id) {
			t.Errorf("fits %b", fits)
		}
		checkFields(t, &v, x.Fields)
		reencoded(t, &v)
		again = x.body
	case layout.Deleted:
		var m layout.Deletion
		if fault := layout.ParseDeletion(x.version, x.body, &m); fault != layout.NoFault {
			t.Fatal(fault)
		}
		text("callid", m.CallID)
		text("from_tag", m.FromTag)
		text("to_tag", m.ToTag)
		if m.HasHID {
			number("h_id", m.HID)
		}
		again, fault = m.Append(nil, x.version)
	case layout.CSeq:
		var m layout.CSeqChange
		if fault := layout.ParseCSeq(x.version, x.body, &m); fault != layout.NoFault {
			t.Fatal(fault)
		}
		text("callid", m.CallID)
		text("tag_other_leg", m.OtherTag)
		text("tag_updated_leg", m.Tag)
		number("h_id", m.HID)
		number("cseq", m.Number)
		again, fault = m.Append(nil, x.version)
	case layout.Value:
		var m layout.ValueChange
		if fault := layout.ParseValue(x.version, x.body, &m); fault != layout.NoFault {
			t.Fatal(fault)
		}
		text("callid", m.CallID)
		number("h_id", m.HID)
		text("name", m.Name)
		number("type", uint32(m.Type))
		switch m.Type {
		case layout.Text:
			text("value", m.Text)
		case layout.Integer:
			number("value", uint32(m.Int))
		}
		again, fault = m.Append(nil, x.version)
	default:
		t.Fatalf("kind %v", kind)
	}
	if fault != layout.NoFault || !bytes.Equal(again, x.body) {
		t.Errorf("encoded again (%v): %q, was %q", fault, again, x.body)
	}
}

func checkCounts(t *testing.T, body []byte, want []any) {
	var again []byte
	n := 0
	w := layout.ProfileCountsOf(body)
	for ; w.Next(); n++ {
		row := want[n].(map[string]any)
		value, has := row["value"]
		if string(w.Row.Name) != row["profile"] || w.Row.HasValue != has || has && string(w.Row.Value) != value {
			t.Errorf("row %d is %+v, want %v", n, w.Row, row)
		}
		if count, _ := row["count"].(json.Number).Int64(); int32(count) != w.Row.Count {
			t.Errorf("row %d counts %d, want %d", n, w.Row.Count, count)
		}
		again, _ = w.Row.Append(again)
	}
	if n != len(want) || w.Fault() != layout.NoFault || !bytes.Equal(again, body) {
		t.Errorf("%d rows of %d, %v, encoded again %q", n, len(want), w.Fault(), again)
	}
}

func checkSync(t *testing.T, x vector) {
	s, fault := layout.ParseSync(int16(x.version), x.body)
	if fault != layout.NoFault || string(s.Capability) != x.Fields["capability"] || s.Version != 4 {
		t.Fatalf("%v, capability %q, version %d", fault, s.Capability, s.Version)
	}
	again, _ := layout.AppendSync(nil, int16(x.version), s.Capability, s.Version)
	var d layout.Detector
	var v layout.View
	chunks := x.Fields["chunks"].([]any)
	n := 0
	for ; s.Next(); n++ {
		if fault := d.Parse(s.Version, s.Chunk, &v); fault != layout.NoFault {
			t.Fatalf("chunk %d: %v", n, fault)
		}
		checkFields(t, &v, chunks[n].(map[string]any))
		reencoded(t, &v)
		again = layout.AppendChunk(again, int16(x.version), s.Chunk)
	}
	if n != len(chunks) || s.Fault() != layout.NoFault || !bytes.Equal(again, x.body) {
		t.Errorf("%d chunks of %d, %v, the same encoded again: %v", n, len(chunks), s.Fault(), bytes.Equal(again, x.body))
	}
}

// checkBroken expects the first thing wrong, by the number of the vector.
func checkBroken(t *testing.T, x vector) {
	want := map[string]layout.Fault{"X7": layout.PastEnd, "X8": layout.Trailing, "X9": layout.NegativeLength, "X10": layout.CutShort}
	name, _, _ := strings.Cut(x.Name, " ")
	var v layout.View
	var m layout.Deletion
	fault := layout.Parse(layout.UDP, x.body, &v)
	if x.number == 3 {
		fault = layout.ParseDeletion(0, x.body, &m)
	}
	if fault != want[name] {
		t.Errorf("%v, want %v", fault, want[name])
	}
}
