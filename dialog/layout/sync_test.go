package layout_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
)

const capability = "dialog-dlg-repl"

// Chunks of every layout and of every version of the sync come back as they went in.
func TestSync(t *testing.T) {
	for _, id := range layouttest.Layouts() {
		if id == layout.UDP {
			continue // generation 1 has no sync
		}
		for version := int16(layout.SyncUnsized); version <= layout.SyncCounted; version++ {
			if version == layout.SyncUnsized && id.Version() != 1 {
				continue // releases without sizes send version 1 only
			}
			rng := rand.New(rand.NewPCG(uint64(version), uint64(id)))
			b, _ := layout.AppendSync(nil, version, []byte(capability), id.Version())
			var bodies [][]byte
			for range 20 {
				bodies = append(bodies, layouttest.Dialog(rng, id))
				b = layout.AppendChunk(b, version, bodies[len(bodies)-1])
			}
			s, fault := layout.ParseSync(version, b)
			if fault != layout.NoFault || string(s.Capability) != capability || s.Version != id.Version() {
				t.Fatalf("%v, sync %d: %v, %q, version %d", id, version, fault, s.Capability, s.Version)
			}
			n := 0
			for ; s.Next(); n++ {
				if !bytes.Equal(s.Chunk, bodies[n]) {
					t.Fatalf("%v, sync %d: chunk %d is %q, want %q", id, version, n, s.Chunk, bodies[n])
				}
			}
			if n != len(bodies) || s.Fault() != layout.NoFault {
				t.Errorf("%v, sync %d: %d chunks, %v", id, version, n, s.Fault())
			}
			for n := range b { // never panics, never loops
				if s, fault := layout.ParseSync(version, b[:n:n]); fault == layout.NoFault {
					for s.Next() {
					}
				}
			}
		}
	}
}

// A chunk whose content is broken costs no other one.
func TestSyncBrokenChunk(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	for version, id := range map[int16]layout.ID{layout.SyncUnsized: layout.Bin1Plain, layout.SyncCounted: layout.Bin4Typed} {
		good := layouttest.Dialog(rng, id)
		b, _ := layout.AppendSync(nil, version, []byte(capability), id.Version())
		for _, body := range [...][]byte{good, good[:len(good)-5], good} {
			b = layout.AppendChunk(b, version, body)
		}
		s, _ := layout.ParseSync(version, b)
		var d layout.Detector
		var v layout.View
		var got []layout.Fault
		for s.Next() {
			got = append(got, d.Parse(s.Version, s.Chunk, &v))
		}
		if len(got) != 3 || got[0] != layout.NoFault || got[1] == layout.NoFault || got[2] != layout.NoFault || s.Fault() != layout.NoFault {
			t.Errorf("sync %d: %v, %v", version, got, s.Fault())
		}
	}
}

func TestSyncFaults(t *testing.T) {
	head, _ := layout.AppendSync(nil, 3, []byte(capability), 4)
	with := func(tail string) []byte { return append(bytes.Clone(head), tail...) }
	for what, c := range map[string]struct {
		b    []byte
		want layout.Fault
	}{
		"cut in a chunk's head": {with("\x01\x00\x00"), layout.CutShort},
		"wrong marker":          {with("\x00\x00\x00\x00\xb5\x4a\x05\x07"), layout.BadMarker},
		"chunk past the end":    {with("\x02\x00\x00\x00\xb5\x4a\x05\x06x"), layout.PastEnd},
		"chunk of 4 GB":         {with("\xff\xff\xff\xff\xb5\x4a\x05\x06x"), layout.PastEnd},
		"nothing":               {with(""), layout.NoFault},
	} {
		s, fault := layout.ParseSync(3, c.b)
		if fault != layout.NoFault || s.Next() || s.Fault() != c.want {
			t.Errorf("%s: %v, %v", what, fault, s.Fault())
		}
	}
	for version, want := range map[int16]layout.Fault{0: layout.NoSuchVersion, 4: layout.NoSuchVersion, -1: layout.NoSuchVersion, 3: layout.NoFault} {
		if _, fault := layout.ParseSync(version, head); fault != want {
			t.Errorf("sync version %d: %v", version, fault)
		}
		if _, fault := layout.AppendSync(nil, version, nil, 4); fault != want {
			t.Errorf("encode sync version %d: %v", version, fault)
		}
	}
}
