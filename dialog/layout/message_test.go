package layout_test

import (
	"bytes"
	"testing"

	"binrepd/dialog/layout"
)

// Numbers of messages by version: section 4.1 of the specification of generation 2.
func TestKinds(t *testing.T) {
	cseq1, _ := (&layout.CSeqChange{CallID: []byte("c"), OtherTag: []byte("a"), Tag: []byte("b"), Number: 7}).Append(nil, 1)
	tag, _ := layout.AppendTag(nil, []byte("vip"))
	for _, c := range [...]struct {
		version layout.Version
		number  int32
		body    []byte
		kind    layout.Kind
		fault   layout.Fault
	}{
		{0, 1, nil, layout.Created, 0}, {0, 2, nil, layout.Updated, 0}, {0, 3, nil, layout.Deleted, 0},
		{0, 4, nil, 0, layout.NoSuchType}, {0, 5, nil, 0, layout.NoSuchType}, {4, 0, nil, 0, layout.NoSuchType}, {4, 6, nil, 0, layout.NoSuchType},
		{4, -1, nil, 0, layout.NoSuchType}, {6, 1, nil, 0, layout.NoSuchVersion},
		{1, 4, tag, layout.TagActive, 0}, {1, 4, cseq1, layout.CSeq, 0}, {1, 5, cseq1, layout.CSeq, 0},
		{2, 4, nil, layout.CSeq, 0}, {3, 4, nil, layout.CSeq, 0}, {4, 4, nil, layout.CSeq, 0}, {5, 4, nil, layout.CSeq, 0},
		{2, 5, nil, 0, layout.NoSuchType}, {3, 5, nil, 0, layout.NoSuchType}, {4, 5, nil, layout.Value, 0}, {5, 5, nil, layout.Value, 0},
	} {
		if kind, fault := layout.KindOf(c.version, c.number, c.body); kind != c.kind || fault != c.fault {
			t.Errorf("version %d, number %d: %v, %v; want %v, %v", c.version, c.number, kind, fault, c.kind, c.fault)
		}
	}
	for version := layout.Version(0); version <= layout.LastVersion+1; version++ {
		for kind := layout.NoKind; kind < layout.Kinds; kind++ {
			number, ok := kind.Number(version)
			body := []byte(nil)
			if kind == layout.TagActive {
				body = tag
			}
			if back, fault := layout.KindOf(version, number, body); ok && (back != kind || fault != layout.NoFault) {
				t.Errorf("%v is %d in version %d, which is %v", kind, number, version, back)
			}
		}
	}
}

// reader reads one kind of message, and encodes it again if that went well.
type reader struct {
	name     string
	versions []layout.Version
	sample   func(version layout.Version) []byte
	read     func(version layout.Version, b []byte) (again []byte, fault layout.Fault)
}

func readers() []reader {
	encode := func(b []byte, _ layout.Fault) []byte { return b }
	return []reader{
		{
			"deleted", []layout.Version{0, 1, 2, 3, 4, 5},
			func(v layout.Version) []byte {
				return encode((&layout.Deletion{CallID: []byte("c"), FromTag: []byte("a"), ToTag: []byte("b"), HID: 7}).Append(nil, v))
			},
			func(v layout.Version, b []byte) ([]byte, layout.Fault) {
				var m layout.Deletion
				fault := layout.ParseDeletion(v, b, &m)
				return encode(m.Append(nil, v)), fault
			},
		},
		{
			"cseq", []layout.Version{1, 2, 3, 4, 5},
			func(v layout.Version) []byte {
				return encode((&layout.CSeqChange{CallID: []byte("c"), OtherTag: []byte("a"), Tag: []byte("b"), HID: 7, Number: 9}).Append(nil, v))
			},
			func(v layout.Version, b []byte) ([]byte, layout.Fault) {
				var m layout.CSeqChange
				fault := layout.ParseCSeq(v, b, &m)
				return encode(m.Append(nil, v)), fault
			},
		},
		value("text", layout.ValueChange{CallID: []byte("c"), HID: 7, Name: []byte("n"), Type: layout.Text, Text: []byte("x|y")}),
		value("integer", layout.ValueChange{CallID: []byte("c"), HID: 7, Name: []byte("n"), Type: layout.Integer, Int: -5}),
		value("removal", layout.ValueChange{CallID: []byte("c"), HID: 7, Name: []byte("n")}),
		{
			"tag", []layout.Version{1},
			func(layout.Version) []byte { return encode(layout.AppendTag(nil, []byte("vip"))) },
			func(_ layout.Version, b []byte) ([]byte, layout.Fault) {
				tag, fault := layout.ParseTag(b)
				return encode(layout.AppendTag(nil, tag)), fault
			},
		},
	}
}

func value(name string, m layout.ValueChange) reader {
	return reader{
		"value " + name, []layout.Version{4, 5},
		func(v layout.Version) []byte { b, _ := m.Append(nil, v); return b },
		func(v layout.Version, b []byte) ([]byte, layout.Fault) {
			var m layout.ValueChange
			fault := layout.ParseValue(v, b, &m)
			again, _ := m.Append(nil, v)
			return again, fault
		},
	}
}

// Each message reads back, no truncation of it does, nor does it with a byte more.
func TestMessages(t *testing.T) {
	for _, r := range readers() {
		for _, version := range r.versions {
			b := r.sample(version)
			if again, fault := r.read(version, b); fault != layout.NoFault || !bytes.Equal(again, b) {
				t.Errorf("%s, version %d: %v, %q encoded again %q", r.name, version, fault, b, again)
			}
			for n := range b {
				if _, fault := r.read(version, b[:n:n]); fault == layout.NoFault {
					t.Errorf("%s, version %d: the first %d bytes of %d are accepted", r.name, version, n, len(b))
				}
			}
			if _, fault := r.read(version, append(bytes.Clone(b), 0)); fault != layout.Trailing {
				t.Errorf("%s, version %d, a byte more: %v", r.name, version, fault)
			}
		}
	}
}

func TestMessageFaults(t *testing.T) {
	var deletion layout.Deletion
	var cseq layout.CSeqChange
	var value layout.ValueChange
	name := func(m *layout.ValueChange) []byte { b, _ := m.Append(nil, 4); return b }
	bad := name(&layout.ValueChange{CallID: []byte("c"), Name: []byte("n")})
	bad[len(bad)-4] = 3
	for what, c := range map[string][2]layout.Fault{
		"deletion without a Call-ID": {layout.ParseDeletion(3, make([]byte, 6), &deletion), layout.NoCallID},
		"deletion of version 6":      {layout.ParseDeletion(6, make([]byte, 10), &deletion), layout.NoSuchVersion},
		"cseq without a Call-ID":     {layout.ParseCSeq(3, make([]byte, 10), &cseq), layout.NoCallID},
		"cseq of generation 1":       {layout.ParseCSeq(0, make([]byte, 16), &cseq), layout.NoSuchVersion},
		"value of version 3":         {layout.ParseValue(3, bad, &value), layout.NoSuchVersion},
		"value of type 3":            {layout.ParseValue(4, bad, &value), layout.BadValueType},
		"value without a name":       {layout.ParseValue(4, name(&layout.ValueChange{CallID: []byte("c")}), &value), layout.BadName},
		"value without a Call-ID":    {layout.ParseValue(4, name(&layout.ValueChange{Name: []byte("n")}), &value), layout.NoCallID},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %v, want %v", what, c[0], c[1])
		}
	}
	long := bytes.Repeat([]byte("x"), layout.MaxBody+1)
	for what, encode := range map[string]func([]byte) ([]byte, layout.Fault){
		"deletion": func(b []byte) ([]byte, layout.Fault) { return (&layout.Deletion{CallID: long}).Append(b, 0) },
		"cseq":     func(b []byte) ([]byte, layout.Fault) { return (&layout.CSeqChange{CallID: long}).Append(b, 4) },
		"value":    func(b []byte) ([]byte, layout.Fault) { return (&layout.ValueChange{Text: long}).Append(b, 4) },
		"tag":      func(b []byte) ([]byte, layout.Fault) { return layout.AppendTag(b, long) },
		"count":    func(b []byte) ([]byte, layout.Fault) { return (&layout.ProfileCount{Name: long}).Append(b) },
		"sync":     func(b []byte) ([]byte, layout.Fault) { return layout.AppendSync(b, 3, long, 4) },
	} {
		if b, fault := encode([]byte("front")); fault != layout.TooLong || string(b) != "front" {
			t.Errorf("%s of 64 KB: %v, %d bytes", what, fault, len(b))
		}
	}
}

func TestProfileCounts(t *testing.T) {
	rows := []layout.ProfileCount{
		{Name: []byte("tot"), Count: 4},
		{Name: []byte("caller"), HasValue: true, Value: []byte("alice"), Count: 1},
		{Name: []byte("empty"), HasValue: true, Count: -1},
	}
	var b []byte
	for i := range rows {
		b, _ = rows[i].Append(b)
	}
	ends := map[int]bool{0: true}
	w := layout.ProfileCountsOf(b)
	for i := range rows {
		if !w.Next() || !w.Row.Same(&rows[i]) || w.Row.Count != rows[i].Count {
			t.Fatalf("row %d: %+v, %v", i, w.Row, w.Fault())
		}
		whole, _ := w.Row.Append(nil)
		ends[len(whole)+max(0, lastOf(ends))] = true
	}
	if w.Next() || w.Fault() != layout.NoFault {
		t.Fatalf("a row too many, %v", w.Fault())
	}
	for n := range b {
		w := layout.ProfileCountsOf(b[:n:n])
		for w.Next() {
		}
		if (w.Fault() == layout.NoFault) != ends[n] {
			t.Errorf("the first %d bytes: %v", n, w.Fault())
		}
	}
	b[5] = 2 // has a value
	if w = layout.ProfileCountsOf(b); w.Next() || w.Fault() != layout.BadCount {
		t.Errorf("neither with nor without a value: %v", w.Fault())
	}
}

func lastOf(m map[int]bool) (last int) {
	for n := range m {
		last = max(last, n)
	}
	return last
}

// Any bytes as any message of any version: no panic, and what is accepted encodes to the same bytes.
func FuzzMessages(f *testing.F) {
	for _, r := range readers() {
		for _, version := range r.versions {
			f.Add(uint8(version), r.sample(version))
		}
	}
	for _, x := range vectors(f) {
		f.Add(uint8(x.version), x.body)
	}
	f.Fuzz(func(t *testing.T, version uint8, b []byte) {
		for _, r := range readers() {
			if again, fault := r.read(layout.Version(version), b); fault == layout.NoFault && !bytes.Equal(again, b) {
				t.Fatalf("%s: encoded again %q", r.name, again)
			}
		}
		var counts []byte
		w := layout.ProfileCountsOf(b)
		for w.Next() {
			counts, _ = w.Row.Append(counts)
		}
		if w.Fault() == layout.NoFault && !bytes.Equal(counts, b) {
			t.Fatalf("counts encoded again %q", counts)
		}
		s, fault := layout.ParseSync(int16(version), b)
		if fault != layout.NoFault {
			return
		}
		again, _ := layout.AppendSync(nil, int16(version), s.Capability, s.Version)
		for s.Next() {
			again = layout.AppendChunk(again, int16(version), s.Chunk)
		}
		if s.Fault() == layout.NoFault && !bytes.Equal(again, b) {
			t.Fatalf("sync encoded again %q", again)
		}
	})
}
