package bridge

import (
	"math/rand/v2"
	"testing"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
	"binrepd/userspace/changes"
	"binrepd/userspace/cluster/donor"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin2"
)

const now = 1_795_000_000

func TestParseRule(t *testing.T) {
	for text, want := range map[string]Rule{"1:2": {1, 2, ""}, "7:65535:vip": {7, 65535, "vip"}} {
		if r, err := ParseRule(text); err != nil || r != want || r.String() != text {
			t.Errorf("%s: %+v, %v", text, r, err)
		}
	}
	for _, bad := range []string{"", "1", "1:", ":2", "1:1", "0:2", "1:x", "1:2:", "-1:2"} {
		if _, err := ParseRule(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestSource(t *testing.T) {
	name := Rule{From: 1, To: 2}.Announced()
	if from, ok := Source(name, 2); !ok || from != 1 {
		t.Errorf("%s: %d, %v", name, from, ok)
	}
	for _, bad := range []string{"", "dialog-dlg-repl", "binrepd-bridge-", "binrepd-bridge-1", "binrepd-bridge-x-2", "binrepd-bridge-1-3"} {
		if _, ok := Source(bad, 2); ok {
			t.Errorf("%q is a bridge", bad)
		}
	}
}

func body(t testing.TB, callID, tag string) []byte {
	t.Helper()
	var f layout.Fields
	layouttest.Fill(rand.New(rand.NewPCG(1, 2)), layout.Bin4Typed, &f)
	f.Strings[layout.CallID], f.Numbers[layout.State] = []byte(callID), uint32(dialog.Confirmed)
	f.Strings[layout.CallerSocket], f.Strings[layout.CalleeSocket] = []byte("udp:10.0.0.1:5060"), []byte("udp:10.0.0.1:5060")
	f.Numbers[layout.Start], f.Numbers[layout.Timeout] = now-10, now+3600
	f.Strings[layout.Values] = nil
	if tag != "" {
		f.Strings[layout.Values] = []byte("dlgX_shtag#1#" + tag + "|")
	}
	b, fault := f.Append(nil, layout.Bin4Typed)
	if fault != layout.NoFault {
		t.Fatal(fault)
	}
	return b
}

// change makes what the journal says of an event of a node.
func change(t testing.TB, cluster uint16, node uint32, kind dialog.Kind, b []byte) *changes.Change {
	t.Helper()
	var v layout.View
	if f := layout.Parse(layout.Bin4Typed, b, &v); f != layout.NoFault {
		t.Fatal(f)
	}
	c := &changes.Change{Capability: changes.Dialogs, Kind: kind, Layout: changes.Layout(layout.Bin4Typed), Sender: packets.Sender{Cluster: cluster, Node: node}}
	key := uint32(len(v.Key()))
	c.Bytes, c.KeySpan, c.BodySpan = b, changes.Span{To: key}, changes.Span{To: uint32(len(b))}
	if kind == dialog.Delete {
		m := layout.Deletion{CallID: v.Bytes(layout.CallID), FromTag: v.Bytes(layout.FromTag), ToTag: v.Bytes(layout.ToTag),
			HID: v.Number(layout.HID), HasHID: true}
		c.Bytes, _ = m.Append(nil, layout.Bin4Typed.Version())
		c.BodySpan.To = uint32(len(c.Bytes))
	}
	return c
}

// sink counts the packets to a node, and checks that they name it and this appliance, in its layout.
type sink struct {
	t       *testing.T
	id      layout.ID
	packets int
}

func (s *sink) target(cluster, node int32) Target {
	return Target{
		Peer: donor.Peer{Trailer: bin2.Trailer{Cluster: cluster, Source: 9, Destination: node}, Layout: s.id},
		Send: func(b []byte) error {
			p, err := bin2.Parse(b)
			if err != nil {
				s.t.Error(err)
				return nil
			}
			if tr, ok := p.Trailer(); !ok || tr != (bin2.Trailer{Cluster: cluster, Source: 9, Destination: node}) {
				s.t.Errorf("trailer %+v", tr)
			}
			if int16(s.id.Version()) != p.Version() {
				s.t.Errorf("version %d, want %d", p.Version(), s.id.Version())
			}
			s.packets++
			return nil
		},
	}
}

// TestPasses: a call of the first cluster reaches each node of the second, in its layout; other calls don't.
func TestPasses(t *testing.T) {
	b := New(Rule{From: 1, To: 2})
	old, recent := &sink{t: t, id: layout.Bin1TwoSDP}, &sink{t: t, id: layout.Bin5}
	x := body(t, "x", "vip")
	b.Change(change(t, 1, 1, dialog.Create, x), now)
	if b.Held[NoNode] != 1 {
		t.Errorf("%+v", b.Counts)
	}
	b.Know([]Target{old.target(2, 1), recent.target(2, 2)}, nil)
	for _, k := range []dialog.Kind{dialog.Create, dialog.Update, dialog.Delete} {
		b.Change(change(t, 1, 1, k, x), now)
	}
	b.Change(change(t, 3, 1, dialog.Create, x), now)
	b.Change(change(t, 2, 1, dialog.Create, x), now)
	if old.packets != 3 || recent.packets != 3 || b.Packets != 6 || b.Changes != 4 {
		t.Errorf("%d and %d packets, %+v", old.packets, recent.packets, b.Counts)
	}
}

// TestTag: with a tag only its calls pass, and so do their ends, which don't name the tag.
func TestTag(t *testing.T) {
	b := New(Rule{From: 1, To: 2, Tag: "vip"})
	s := &sink{t: t, id: layout.Bin4Typed}
	b.Know([]Target{s.target(2, 1)}, nil)
	for _, x := range [][]byte{body(t, "a", "vip"), body(t, "b", "other"), body(t, "c", "")} {
		for _, k := range []dialog.Kind{dialog.Create, dialog.Update, dialog.Delete} {
			b.Change(change(t, 1, 1, k, x), now)
		}
	}
	if s.packets != 3 || b.Held[OtherTag] != 6 || len(b.others) != 0 {
		t.Errorf("%d packets, %+v, %d others", s.packets, b.Counts, len(b.others))
	}
}

// TestLoops: rings of clusters, and several appliances between the same two. Every packet that a bridge sends comes to all
// other appliances of that cluster as a change. A call costs a bounded number of packets: each bridge out of its cluster
// passes it on once.
func TestLoops(t *testing.T) {
	for name, rules := range map[string][][]string{
		"two appliances, both ways": {{"1:2", "2:1"}, {"1:2", "2:1"}},
		"a ring in one appliance":   {{"1:2", "2:3", "3:1"}},
		"a ring of appliances":      {{"1:2"}, {"2:3"}, {"3:1"}},
		"two rings":                 {{"1:2", "2:3", "3:1"}, {"1:2", "2:3", "3:1"}},
	} {
		type bridge struct {
			*Bridge
			appliance int
		}
		var all []bridge
		for a, list := range rules {
			for _, text := range list {
				r, err := ParseRule(text)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, bridge{New(r), a})
			}
		}
		sent, wanted := 0, 0
		var hop func(cluster int32, from int, node uint32, x []byte)
		for i := range all {
			me := all[i]
			if me.rule.From == 1 {
				wanted++
			}
			// An appliance is node 100 and its number in each cluster, and announces what it passes on.
			bridges := map[int32]bool{}
			for _, o := range all {
				if _, ok := Source(o.rule.Announced(), me.rule.From); ok {
					bridges[int32(100+o.appliance)] = true
				}
			}
			me.Know([]Target{{Peer: donor.Peer{Trailer: bin2.Trailer{Cluster: me.rule.To, Source: 9, Destination: 1}, Layout: layout.Bin4Typed},
				Send: func([]byte) error {
					if sent++; sent > 100 {
						t.Fatalf("%s: packets circulate", name)
					}
					hop(me.rule.To, me.appliance, uint32(100+me.appliance), body(t, "x", "vip"))
					return nil
				}}}, bridges)
		}
		hop = func(cluster int32, from int, node uint32, x []byte) {
			for _, o := range all {
				if o.appliance != from { // no node gets its own packets
					o.Change(change(t, uint16(cluster), node, dialog.Create, x), now)
				}
			}
		}
		hop(1, -1, 1, body(t, "x", "vip"))
		if sent != wanted {
			t.Errorf("%s: %d packets, want %d", name, sent, wanted)
		}
	}
}

// TestAllocations: passing on allocates nothing.
func TestAllocations(t *testing.T) {
	b := New(Rule{From: 1, To: 2, Tag: "vip"})
	b.Know([]Target{{Peer: donor.Peer{Trailer: bin2.Trailer{Cluster: 2, Source: 9, Destination: 1}, Layout: layout.Bin5}, Send: func([]byte) error { return nil }}}, nil)
	c := change(t, 1, 1, dialog.Update, body(t, "x", "vip"))
	if n := testing.AllocsPerRun(100, func() { b.Change(c, now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
