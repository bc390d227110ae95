package engine

import (
	"math/rand/v2"
	"testing"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin2"
	"binrepd/userspace/wire/bin2/bin2test"
)

// listen2 is an engine of which one worker is driven by hand, with a UDP listener.
func listen2(t *testing.T) *memberRig {
	r := newRig(t, 0, func(c *Config) { c.Steering, c.Batch = steering, 16 })
	m := &memberRig{r, newWorker(r.Engine, Input{})}
	r.workers = []*worker{m.w}
	return m
}

// hear does with datagrams what a worker does with those of a batch.
func (m *memberRig) hear(list ...packets.Packet) {
	for len(list) > 0 {
		n := min(len(list), cap(m.w.batch.Packets))
		m.w.batch.Packets = append(m.w.batch.Packets[:0], list[:n]...)
		m.w.decode()
		m.w.apply(testNow)
		m.w.chunks(testNow)
		m.w.account()
		list = list[n:]
	}
}

// TestSteeringOfGeneration2: rings and sockets know a datagram only by its steering hash. It is the hash by which the engine chooses
// a shard, so that all packets of a call go to one ring and to its shards.
func TestSteeringOfGeneration2(t *testing.T) {
	for _, name := range []string{"2.4/S1", "3.6/S1", "4.0/S1"} {
		t.Run(name, func(t *testing.T) {
			m, events := listen2(t), 0
			for i, p := range bin2test.Load(t, name).Packets {
				d, ev := from("192.0.2.7:5555", 0, p.Packet), dialog.Event{}
				if m.w.decode2(&d, &ev) != isEvent {
					continue
				}
				if events++; d.Hash != ev.Hash {
					t.Fatalf("packet %d: steered by %#x, the engine has %#x", i, d.Hash, ev.Hash)
				}
			}
			if events < 500 {
				t.Errorf("%d events", events)
			}
		})
	}
}

// TestLayoutsOfDatagrams: appliances pass on packets of nodes with different releases. The layout is found for each appliance and
// node by itself, whatever came between.
func TestLayoutsOfDatagrams(t *testing.T) {
	m, rng := listen2(t), rand.New(rand.NewPCG(7, 1))
	senders := []struct {
		address string
		node    int32
		layout  layout.ID
	}{
		{"192.0.2.7:5555", 1, layout.Bin1TwoSDP}, {"192.0.2.7:5555", 2, layout.Bin1Plain}, {"192.0.2.8:5555", 1, layout.Bin1FourSDP},
		{"192.0.2.8:5555", 2, layout.Bin4Untyped}, {"192.0.2.9:5555", 2, layout.Bin4Typed}, {"[2001:db8::9]:5555", 2, layout.Bin5},
	}
	want := map[layout.ID]int{}
	for range 20 {
		for _, s := range senders {
			want[s.layout]++
			m.hear(from(s.address, 0, packet2(t, s.node, int16(s.layout.Version()), "dialog-dlg-repl", 1, layouttest.Dialog(rng, s.layout))))
		}
	}
	got := map[layout.ID]int{}
	var cur dialog.Cursor
	for more := true; more; {
		more = m.table.Scan(&cur, func(v *dialog.View) { got[v.Layout()]++ })
	}
	s := m.Status()
	for id, n := range want {
		// As long as nothing tells the two layouts of version 4 apart, a dialog may be taken for either: they differ only in texts.
		if id.Version() != 4 && got[id] != n {
			t.Errorf("%d dialogs in layout %s, want %d", got[id], id, n)
		}
	}
	if n := got[layout.Bin4Typed] + got[layout.Bin4Untyped]; n != 40 {
		t.Errorf("%d dialogs of version 4", n)
	}
	if total := s.Total(); total.Outcome(dialog.Applied) != 120 || total.Sum() != total.Received {
		t.Errorf("account %+v", total)
	}
	if len(s.Nodes) != len(senders) {
		t.Fatalf("nodes %+v", s.Nodes)
	}
	for i, n := range s.Nodes {
		if n.Sender.Endpoint.String() != senders[i].address || n.Node != senders[i].node || n.Layout != senders[i].layout || !n.Decided {
			t.Errorf("node %+v, want %+v", n, senders[i])
		}
	}
}

// TestBadDatagramsOfGeneration2: what can't be read is refused, and counted by a reason of generation 2.
func TestBadDatagramsOfGeneration2(t *testing.T) {
	m, rng := listen2(t), rand.New(rand.NewPCG(7, 2))
	body := layouttest.Dialog(rng, layout.Bin1TwoSDP)
	good := packet2(t, 2, 1, "dialog-dlg-repl", 1, body)
	unknown := packet2(t, 2, 1, "dialog-dlg-repl", 1, body[:len(body)-2])
	huge := packet2(t, 2, 1, "dialog-dlg-repl", 1, body)
	huge[4], huge[7] = 0, 0x7f
	for _, c := range []struct {
		name   string
		packet []byte
		want   bin2.Verdict
	}{
		{"a body that fits no layout", unknown, bin2.UnknownLayout},
		{"cut in its body", good[:len(good)-30], bin2.BadPacket},
		{"cut behind its name", good[:30], bin2.BadPacket},
		{"a wrong length", huge, bin2.BadPacket},
		{"more than one packet", append(good[:len(good):len(good)], good...), bin2.BadPacket},
		{"a version of no release", packet2(t, 2, 77, "dialog-dlg-repl", 1, body), bin2.BadVersion},
		{"a type of no release", packet2(t, 2, 1, "dialog-dlg-repl", 99, body), bin2.BadCommand},
	} {
		before := m.w.count.intakes[1]
		m.hear(from("192.0.2.7:5555", 1, c.packet))
		after := m.w.count.intakes[1]
		if after.Verdicts2[c.want] != before.Verdicts2[c.want]+1 || after.Sum() != before.Sum()+1 || after.Received != after.Sum() {
			t.Errorf("%s: not counted as %s: %v", c.name, c.want, after.Verdicts2)
		}
	}
	if n := len(contents(m.table)); n != 0 {
		t.Errorf("%d dialogs", n)
	}
	m.hear(from("192.0.2.7:5555", 1, good))
	if total := m.w.count.intakes[1]; total.Outcome(dialog.Applied) != 1 {
		t.Errorf("the next good one: %+v", total)
	}
}
