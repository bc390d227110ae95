package layout_test

import (
	"math/rand/v2"
	"testing"

	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
)

// Everything that runs for each event allocates nothing.
func TestAllocations(t *testing.T) {
	var v layout.View
	var d layout.Detector
	var f layout.Fields
	var r layout.Report
	buffer := make([]byte, 0, layout.MaxBody)
	every(t, 3, func(t *testing.T, _ *rand.Rand, id layout.ID, body []byte) {
		value := layout.ValueChange{Name: []byte("account"), Type: layout.Text, Text: []byte("x|y")}
		integer := layout.ValueChange{Name: []byte("number"), Type: layout.Integer, Int: -7}
		for name, run := range map[string]func(){
			"Parse":    func() { layout.Parse(id, body, &v) },
			"Detector": func() { d.Parse(id.Version(), body, &v) },
			"walks": func() {
				for p := v.Values(); p.Next(); {
				}
				for p := v.Profiles(); p.Next(); {
				}
				for w := v.FlagsOf(); w.Next(); {
				}
				for w := layout.RoutesOf(v.Bytes(layout.CallerRouteSet)); w.Next(); {
				}
				v.Tag()
			},
			"ApplyValue":  func() { v.ApplyValue(buffer[:0], &value); v.ApplyValue(buffer[:0], &integer) },
			"ApplyCSeq":   func() { v.ApplyCSeq(&layout.CSeqChange{Tag: v.Bytes(layout.FromTag), Number: 3}) },
			"SameContent": func() { v.SameContent(body) },
			"encode":      func() { v.CopyTo(&f); f.Append(buffer[:0], id) },
			"AppendJSON":  func() { v.AppendJSON(buffer[:0], layout.Print{HashSize: 4096}) },
			"Convert": func() {
				for to := layout.UDP; to < layout.IDs; to++ {
					v.Convert(buffer[:0], to, &r)
				}
			},
		} {
			layout.Parse(id, body, &v)
			if n := testing.AllocsPerRun(20, run); n != 0 {
				t.Errorf("%s: %v allocations", name, n)
			}
		}
	})
}

func TestMessagesAllocateNothing(t *testing.T) {
	buffer := make([]byte, 0, layout.MaxBody)
	var v layout.View
	var deletion layout.Deletion
	var cseq layout.CSeqChange
	var value layout.ValueChange
	for _, version := range [...]layout.Version{4, 5} {
		for _, r := range readers() {
			b := r.sample(version)
			if n := testing.AllocsPerRun(20, func() {
				layout.KindOf(version, 4, b)
				layout.ParseDeletion(version, b, &deletion)
				deletion.Append(buffer[:0], version)
				layout.ParseCSeq(version, b, &cseq)
				cseq.Append(buffer[:0], version)
				layout.ParseValue(version, b, &value)
				value.Append(buffer[:0], version)
				for w := layout.ProfileCountsOf(b); w.Next(); {
				}
			}); n != 0 {
				t.Errorf("%s: %v allocations", r.name, n)
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for version, id := range map[int16]layout.ID{layout.SyncUnsized: layout.Bin1TwoSDP, layout.SyncCounted: layout.Bin4Typed} {
		b, _ := layout.AppendSync(nil, version, []byte(capability), id.Version())
		for range 3 {
			b = layout.AppendChunk(b, version, layouttest.Dialog(rng, id))
		}
		if n := testing.AllocsPerRun(20, func() {
			s, _ := layout.ParseSync(version, b)
			for s.Next() {
				layout.Parse(id, s.Chunk, &v)
			}
		}); n != 0 {
			t.Errorf("sync %d: %v allocations", version, n)
		}
	}
}

// BenchmarkParse reads the dialogs that the specifications have, one of each generation.
func BenchmarkParse(b *testing.B) {
	for _, x := range vectors(b) {
		if x.Name[0] != 'V' && x.number > 2 || x.Name[0] == 'V' && x.Name != "V1 dialog create with vars and profiles" || x.Name[0] == 'X' ||
			x.cap != "dialog-dlg-repl" && x.cap != "dialog" {
			continue
		}
		b.Run(x.id.String(), func(b *testing.B) {
			var v layout.View
			b.SetBytes(int64(len(x.body)))
			b.ReportAllocs()
			for b.Loop() {
				if layout.Parse(x.id, x.body, &v) != layout.NoFault {
					b.Fatal("refused")
				}
			}
		})
	}
}

// BenchmarkWork measures what the table and a donor do with a dialog of version 4.
func BenchmarkWork(b *testing.B) {
	var body []byte
	for _, x := range vectors(b) {
		if x.id == layout.Bin4Typed && x.number == 2 {
			body = x.body
		}
	}
	var v, w layout.View
	var d layout.Detector
	var r layout.Report
	buffer := make([]byte, 0, layout.MaxBody)
	layout.Parse(layout.Bin4Typed, body, &v)
	value := layout.ValueChange{Name: []byte("account"), Type: layout.Text, Text: []byte("another")}
	for _, c := range [...]struct {
		name string
		run  func()
	}{
		{"detect", func() { d.Parse(4, body, &w) }},
		{"value", func() { v.ApplyValue(buffer[:0], &value) }},
		{"same", func() { v.SameContent(body) }},
		{"json", func() { v.AppendJSON(buffer[:0], layout.Print{HashSize: 4096}) }},
		{"convert to udp", func() { v.Convert(buffer[:0], layout.UDP, &r) }},
		{"convert to 2.4", func() { v.Convert(buffer[:0], layout.Bin1TwoSDP, &r) }},
		{"convert to untyped", func() { v.Convert(buffer[:0], layout.Bin4Untyped, &r) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.run()
			}
		})
	}
}
