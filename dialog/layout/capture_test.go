package layout_test

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"testing"

	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
)

const port = 5566 // of BIN in the captures

// Every dialog message of every capture is read to its last byte and encodes to the same bytes.
func TestCapturesOfClusters(t *testing.T) {
	want := map[string]layout.ID{"2.4": layout.Bin1TwoSDP, "3.6": layout.Bin4Typed, "4.0": layout.Bin4Typed}
	for _, file := range layouttest.Captures(t, "tcp/*/*.pcap") {
		release := filepath.Base(filepath.Dir(file))
		t.Run(release+"/"+filepath.Base(file), func(t *testing.T) {
			packets, err := layouttest.Packets(file, port)
			if err != nil {
				t.Fatal(err)
			}
			detectors := map[uint32]*layout.Detector{}
			messages := 0
			for i := range packets {
				p := &packets[i]
				d := detectors[p.Source()]
				if d == nil {
					d = &layout.Detector{}
					detectors[p.Source()] = d
				}
				messages += readAgain(t, p, d)
			}
			if messages < 200 {
				t.Errorf("%d messages", messages)
			}
			for source, d := range detectors {
				if id, decided := d.Layout(); id != layout.None && (!decided || id != want[release] || d.Changes() != 0) {
					t.Errorf("node %d: layout %v, decided %v, %d changes", source, id, decided, d.Changes())
				}
			}
		})
	}
}

// readAgain reads a packet, encodes it again, and returns the number of dialog messages in it.
func readAgain(t *testing.T, p *layouttest.Packet, d *layout.Detector) int {
	t.Helper()
	var v layout.View
	dialog := func(version layout.Version, body []byte) {
		t.Helper()
		if fault := d.Parse(version, body, &v); fault != layout.NoFault {
			t.Fatalf("frame %d: %v: %q", p.Frame, fault, body)
		}
		reencoded(t, &v)
		for _, pairs := range [...]layout.Pairs{v.Values(), v.Profiles()} {
			for pairs.Next() {
			}
			if pairs.Err() != nil {
				t.Fatalf("frame %d: %v in %q", p.Frame, pairs.Err(), body)
			}
		}
	}
	version := layout.Version(p.Version)
	var again []byte
	fault := layout.NoFault
	switch {
	case p.Capability == "clusterer-extra" && bytes.HasPrefix(p.Body, []byte("\x0f\x00dialog-dlg-repl")) && len(p.Body) > 4+17+4:
		s, fault := layout.ParseSync(p.Version, p.Body)
		again, _ = layout.AppendSync(nil, p.Version, s.Capability, s.Version)
		n := 0
		for ; s.Next(); n++ {
			dialog(s.Version, s.Chunk)
			again = layout.AppendChunk(again, p.Version, s.Chunk)
		}
		if fault != layout.NoFault || s.Fault() != layout.NoFault || !bytes.Equal(again, p.Body) {
			t.Fatalf("frame %d: sync: %v, %v", p.Frame, fault, s.Fault())
		}
		return n
	case p.Capability == "dialog-prof-repl":
		w := layout.ProfileCountsOf(p.Body)
		for w.Next() {
			again, _ = w.Row.Append(again)
		}
		fault = w.Fault()
	case p.Capability != "dialog-dlg-repl":
		return 0
	default:
		var kind layout.Kind
		kind, fault = layout.KindOf(version, p.Type, p.Body)
		d.Message(version, kind)
		switch kind {
		case layout.Created, layout.Updated:
			dialog(version, p.Body)
			return 1
		case layout.Deleted:
			var m layout.Deletion
			fault = layout.ParseDeletion(version, p.Body, &m)
			again, _ = m.Append(nil, version)
		case layout.CSeq:
			var m layout.CSeqChange
			fault = layout.ParseCSeq(version, p.Body, &m)
			again, _ = m.Append(nil, version)
		case layout.Value:
			var m layout.ValueChange
			fault = layout.ParseValue(version, p.Body, &m)
			again, _ = m.Append(nil, version)
		case layout.TagActive:
			var tag []byte
			tag, fault = layout.ParseTag(p.Body)
			again, _ = layout.AppendTag(nil, tag)
		}
	}
	if fault != layout.NoFault || !bytes.Equal(again, p.Body) {
		t.Fatalf("frame %d: %v; encoded again %q, was %q", p.Frame, fault, again, p.Body)
	}
	return 1
}

func TestCapturesOfUDP(t *testing.T) {
	for _, file := range layouttest.Captures(t, "*.pcap") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			datagrams, err := layouttest.Datagrams(file)
			if err != nil {
				t.Fatal(err)
			}
			var v layout.View
			var m layout.Deletion
			n := 0
			for i, b := range datagrams {
				if len(b) < 22 || string(b[12:18]) != "dialog" {
					continue
				}
				n++
				body := b[22:]
				if binary.LittleEndian.Uint32(b[18:]) != 3 {
					if fault := layout.Parse(layout.UDP, body, &v); fault != layout.NoFault {
						t.Fatalf("datagram %d: %v", i, fault)
					}
					reencoded(t, &v)
					continue
				}
				fault := layout.ParseDeletion(0, body, &m)
				if again, _ := m.Append(nil, 0); fault != layout.NoFault || !bytes.Equal(again, body) {
					t.Fatalf("datagram %d: %v", i, fault)
				}
			}
			if n < 600 {
				t.Errorf("%d dialog datagrams", n)
			}
		})
	}
}
