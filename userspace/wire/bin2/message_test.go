package bin2_test

import (
	"encoding/binary"
	"testing"

	"binrepd/userspace/wire/bin2"
	"binrepd/userspace/wire/bin2/bin2test"
)

// TestCutAndLonger cuts a body at every byte and makes it longer: each is refused with the right reason, and never
// read past its end.
func TestCutAndLonger(t *testing.T) {
	for _, name := range vectorNames(t) {
		p := vector(t, name)
		kind, _, _ := bin2.KindOf(p, 0)
		if kind == bin2.NoKind || kind == bin2.KindSync {
			continue // the chunks of a sync end where the body ends
		}
		body, end := p.Body(), len(p)-16-len(p.Name())-len(p.Body())
		make := func(body []byte) bin2.Packet {
			w := bin2.Begin(nil, p.Version(), string(p.Name()), p.Type())
			w.Raw(body)
			w.Raw(p[len(p)-end:])
			b, err := w.End()
			if err != nil {
				t.Fatal(err)
			}
			made, err := bin2.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			return made
		}
		for cut := range body {
			m := bin2test.New(kind)
			if err := m.Decode(make(body[:cut])); err != bin2.Truncated && err != bin2.Leftover && err != bin2.BadCount {
				t.Errorf("%s cut to %d bytes: %v, %+v", name, cut, err, m)
			}
		}
		m := bin2test.New(kind)
		if err := m.Decode(make(append(body[:len(body):len(body)], 0))); err != bin2.Leftover {
			t.Errorf("%s with one byte more: %v", name, err)
		}
	}
}

// TestCounts writes other numbers over each count.
func TestCounts(t *testing.T) {
	for _, test := range [...]struct {
		name   string
		offset int // of the count in the body
		limit  uint32
	}{
		{"pong-2", 8, bin2.MaxNodes},
		{"ls_update", 24, bin2.MaxPath},
		{"full_top_update", 16, bin2.MaxNodes},
		{"full_top_update", 36, bin2.MaxNeighbours},
		{"cap_update-3", 8, bin2.MaxNodes},
		{"cap_update-3", 16, bin2.MaxCaps},
		{"mi_cmd", 7, bin2.MaxParams},
	} {
		for _, n := range [...]uint32{test.limit, test.limit + 1, 1 << 31, 1<<32 - 1} {
			p := vector(t, test.name)
			kind, _, _ := bin2.KindOf(p, 0)
			binary.LittleEndian.PutUint32(p.Body()[test.offset:], n)
			want := bin2.BadCount
			if n == test.limit {
				want = bin2.Truncated
			}
			m := bin2test.New(kind)
			// A CAP_UPDATE is read in two forms and has the fault of the one with a sequence number.
			if err := m.Decode(p); err != want && (kind != bin2.KindCaps || err == nil) {
				t.Errorf("%s with the count %d at %d: %v, want %v", test.name, n, test.offset, err, want)
			}
		}
	}
}

func TestBits(t *testing.T) {
	for _, test := range [...]struct {
		name   string
		offset int
	}{
		{"ls_update", 20},
		{"full_top_update", 24},
		{"cap_update-3", 37},
	} {
		p := vector(t, test.name)
		kind, _, _ := bin2.KindOf(p, 0)
		binary.LittleEndian.PutUint32(p.Body()[test.offset:], 2)
		if err := bin2test.New(kind).Decode(p); err == nil {
			t.Errorf("%s with the state 2 is accepted", test.name)
		}
	}
}

// TestKindOf has the types with two meanings, in both forms.
func TestKindOf(t *testing.T) {
	trailer := bin2.Trailer{Cluster: 1, Source: 2, Destination: 3}
	oldest, old := bin2.Dialect{Numbering: bin2.Old, SyncVersion: 1}, bin2.Dialect{Numbering: bin2.Old, SyncVersion: 2}
	middle, latest := bin2.Dialect{Numbering: bin2.New, SyncVersion: 2}, bin2.Dialect{Numbering: bin2.New, SyncVersion: 3}
	name := []byte("dialog-dlg-repl")
	all := [...]struct {
		kind    bin2.Kind
		message bin2test.Message
	}{
		{bin2.KindRemove, &bin2.RemoveNode{Trailer: trailer, Node: 4}},
		{bin2.KindGeneric, &bin2.Generic{Trailer: trailer, Request: true, Tag: []byte("t"), Message: []byte("m")}},
		{bin2.KindGeneric, &bin2.Generic{Trailer: trailer}},
		{bin2.KindCommand, &bin2.Command{Trailer: trailer, Name: []byte("which")}},
		{bin2.KindCommand, &bin2.Command{Trailer: trailer, Name: []byte("which"), Params: bin2.Params{}.Append(name)}},
		{bin2.KindSyncRequest, &bin2.SyncRequest{Trailer: trailer, Capability: name}},
		{bin2.KindSync, &bin2.Sync{Trailer: trailer, Capability: name, Chunks: []byte{4, 0, 0, 0, 0xb5, 0x4a, 5, 6, 1, 2, 3, 4}}},
		{bin2.KindSyncEnd, &bin2.SyncEnd{Trailer: trailer, Capability: name}},
		{bin2.KindTag, &bin2.TagActive{Trailer: trailer, Tag: []byte("vip")}},
	}
	for _, m := range all {
		for _, d := range [...]bin2.Dialect{oldest, old, middle, latest} {
			b, err := m.message.Append(nil, d)
			if m.kind == bin2.KindRemove && d.Numbering == bin2.Old {
				if err != bin2.UnknownType || b != nil {
					t.Errorf("an old REMOVE_NODE: %v", err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			p, err := bin2.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			if kind, numbering, err := bin2.KindOf(p, 0); kind != m.kind || numbering != d.Numbering || err != nil {
				t.Errorf("%v of %s, type %d: read as %v of numbering %d, %v", m.kind, d.Releases(), p.Type(), kind, numbering, err)
			}
			checkAgain(t, p)
			var seen bin2.Dialect
			if !seen.Observe(p) || seen.Numbering != d.Numbering || seen.SyncVersion != 0 && seen.SyncVersion != d.SyncVersion {
				t.Errorf("%v of %s shows %+v", m.kind, d.Releases(), seen)
			}
		}
	}
	for _, capability := range [...]string{"clusterer-internal", "clusterer-extra"} {
		for _, number := range [...]int32{-1, 14, 100, 1 << 30} {
			w := bin2.Begin(nil, 1, capability, number)
			b, _ := w.EndTrailer(trailer)
			p, err := bin2.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			if kind, _, err := bin2.KindOf(p, 0); kind != bin2.NoKind || err != bin2.UnknownType {
				t.Errorf("%s type %d is %v, %v", capability, number, kind, err)
			}
		}
	}
}

func TestCapUpdateForms(t *testing.T) {
	empty := bin2.NodeCapsList{}.Append(7, bin2.Caps{})
	full := empty.Append(9, caps(capState{"a", true}, capState{"bcd", false}))
	for _, test := range [...]bin2.CapUpdate{
		{Nodes: empty}, {Nodes: full},
		{HasSeq: true, Seq: 1, Timestamp: 1795399636, Nodes: empty},
		{HasSeq: true, Timestamp: 1795399636},
		{HasSeq: true, Seq: 3, Timestamp: 1795399636, Nodes: full, WantReply: true},
	} {
		test.Path = ids(7)
		b, err := test.Append(nil, bin2.Dialect{})
		if err != nil {
			t.Fatal(err)
		}
		p, _ := bin2.Parse(b)
		var got bin2.CapUpdate
		if err := got.Decode(p); err != nil || got.HasSeq != test.HasSeq || got.Nodes.Len() != test.Nodes.Len() || got.Seq != test.Seq {
			t.Errorf("%+v reads as %+v, %v", test, got, err)
		}
	}
}

func TestDialect(t *testing.T) {
	var d bin2.Dialect
	for _, step := range [...]struct{ vector, releases string }{
		{"ping", "unknown"},
		{"dlg_deleted", "unknown"},
		{"remove_node", "3.2 to 4.0"},
		{"cap_update", "3.2.4 to 4.0"},
		{"sync_req", "3.3 to 4.0"},
		{"cap_update-3", "2.4 to 3.1.6"}, // the node came back with another release
		{"sync_req-2", "2.4.7 to 2.4.11, 3.0.1 to 3.1.6"},
		{"shtag_active", "3.2 to 4.0"},
		{"sync", "3.3 to 4.0"},
	} {
		before := d.Releases()
		if changed := d.Observe(vector(t, step.vector)); d.Releases() != step.releases || changed != (before != step.releases) {
			t.Errorf("after %s: %+v, %s, changed %v; want %s", step.vector, d, d.Releases(), changed, step.releases)
		}
		if d.Observe(vector(t, step.vector)) {
			t.Errorf("%s changes the dialect twice", step.vector)
		}
	}
}

// TestOldTagActive tells the tag message of 2.4 from a CSEQ of 3.0.0, which has the same type and version.
func TestOldTagActive(t *testing.T) {
	packet := func(version int16, number int32, fields ...string) bin2.Packet {
		w := bin2.Begin(nil, version, "dialog-dlg-repl", number)
		for _, f := range fields {
			w.Text(f)
		}
		b, _ := w.EndTrailer(bin2.Trailer{})
		p, err := bin2.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if tag, ok := bin2.OldTagActive(packet(1, 4, "vip")); !ok || string(tag) != "vip" {
		t.Errorf("%q, %v", tag, ok)
	}
	for _, p := range [...]bin2.Packet{packet(1, 4, "call", "a", "b"), packet(4, 4, "vip"), packet(1, 5, "vip"), vector(t, "shtag_active")} {
		if tag, ok := bin2.OldTagActive(p); ok {
			t.Errorf("%x is for the tag %q", []byte(p), tag)
		}
	}
}

func TestNothingAllocates(t *testing.T) {
	buf := make([]byte, 0, bin2.MaxSize)
	for _, name := range vectorNames(t) {
		p := vector(t, name)
		kind, _, _ := bin2.KindOf(p, 0)
		m := bin2test.New(kind)
		var d bin2.Dialect
		if n := testing.AllocsPerRun(100, func() {
			if n, err := bin2.Next(p); n != len(p) || err != nil {
				t.Error(n, err)
			}
			q, err := bin2.Parse(p)
			if err != nil {
				t.Error(err)
			}
			q.Trailer()
			q.Sender()
			d.Observe(q)
			bin2.AppendPassedOn(buf, q, 9)
			if m == nil {
				return
			}
			if err := m.Decode(q); err != nil {
				t.Error(err)
			}
			if _, err := m.Append(buf, d); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
