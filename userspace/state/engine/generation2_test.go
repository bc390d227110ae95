package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1/bin1test"
	"binrepd/userspace/wire/bin2"
)

// packet2 makes a packet of a node of cluster 1.
func packet2(t testing.TB, node int32, version int16, capability string, number int32, body []byte) bin2.Packet {
	t.Helper()
	w := bin2.Begin(nil, version, capability, number)
	w.Raw(body)
	p, err := w.EndTrailer(bin2.Trailer{Cluster: 1, Source: node, Destination: member})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Datagrams of both generations come in by one listener, each as its own bytes say.
func TestBothGenerationsInDatagrams(t *testing.T) {
	out := &outlet{}
	r := newRig(t, 1, func(c *Config) { c.Outlet, c.Steering = out, steering })
	proxy := bin1test.NewProxy(1, bin1test.Options{Now: testNow, Calls: 2})
	rng := rand.New(rand.NewPCG(1, 2))
	r.start(t)
	first := proxy.AppendPacket(nil, 0, bin1test.Create)
	body := layouttest.Dialog(rng, layout.Bin4Typed)
	second := packet2(t, 2, 4, "dialog-dlg-repl", 1, body)
	sync, _ := layout.AppendSync(nil, 3, []byte("dialog-dlg-repl"), 4)
	sync = layout.AppendChunk(sync, 3, layouttest.Dialog(rng, layout.Bin4Typed))
	sync = layout.AppendChunk(sync, 3, []byte("no dialog"))
	for _, p := range [][]byte{
		first, second, packet2(t, 2, 3, "clusterer-extra", 11, sync), packet2(t, 2, 1, "usrloc-contact-repl", 1, nil),
		packet2(t, 2, 9, "dialog-dlg-repl", 1, body), second[:len(second)-1],
	} {
		r.sources[0].Feed(from("192.0.2.7:5555", 0, p))
	}
	s := r.finish(t)
	total := s.Total()
	if s.Table.Live() != 3 || total.Applied() != 2 || total.Chunks[dialog.Applied] != 1 || total.RefusedChunks != 1 ||
		total.Verdicts2[bin2.Chunks] != 1 || total.Verdicts2[bin2.BadVersion] != 1 || total.OtherCapability() != 1 ||
		s.Capabilities["usrloc-contact-repl"] != 1 || total.Sum() != 6 {
		t.Errorf("%d dialogs, account %+v, capabilities %v", s.Table.Live(), total, s.Capabilities)
	}
	if len(s.Nodes) != 1 || s.Nodes[0].Node != 2 || s.Nodes[0].Layout != layout.Bin4Typed {
		t.Errorf("nodes %+v", s.Nodes)
	}
	if len(out.changes) != 3 {
		t.Fatalf("%d changes", len(out.changes))
	}
	for _, c := range out.changes {
		if want := (c.Layout == 1) || layout.ID(c.Layout) == layout.Bin4Typed; !want || c.Kind == dialog.Chunk == c.Framed {
			t.Errorf("change %+v", c)
		}
	}
}

// Nodes beyond the bound are served. The register doesn't grow.
func TestManyNodes(t *testing.T) {
	m := newMemberRig(t)
	rng := rand.New(rand.NewPCG(1, 3))
	const nodes = MaxNodes + 50
	for n := range nodes {
		m.take(packet2(t, int32(n+1), 4, "dialog-dlg-repl", 1, layouttest.Dialog(rng, layout.Bin4Typed)))
	}
	if s := m.Status(); s.Table.Live() != nodes || len(s.Nodes) != MaxNodes || len(m.w.speakers.known) != MaxNodes {
		t.Errorf("%d dialogs, %d nodes", s.Table.Live(), len(s.Nodes))
	}
}

// What is no packet of generation 2 is refused on a stream, even if it were one of generation 1.
func TestStreamsBringGeneration2Only(t *testing.T) {
	m := newMemberRig(t)
	proxy := bin1test.NewProxy(1, bin1test.Options{Now: testNow, Calls: 1})
	p := proxy.AppendPacket(nil, 0, bin1test.Create)
	m.w.batch.Packets = append(m.w.batch.Packets[:0], packets.Packet{Payload: p})
	m.w.decode()
	m.w.apply(testNow)
	m.w.chunks(testNow)
	m.w.account()
	if total := m.w.count.intakes[0]; total.Verdicts2[bin2.BadPacket] != 1 || len(contents(m.table)) != 0 {
		t.Errorf("account %+v", total)
	}
}

// Packets of generation 2 take nothing from the heap on their way to the table.
func TestGeneration2AllocatesNothing(t *testing.T) {
	m := newMemberRig(t)
	rng := rand.New(rand.NewPCG(1, 4))
	sync, _ := layout.AppendSync(nil, 3, []byte("dialog-dlg-repl"), 4)
	var list []packets.Packet
	for n := range 12 {
		body := layouttest.Dialog(rng, layout.Bin4Typed)
		sync = layout.AppendChunk(sync, 3, layouttest.Dialog(rng, layout.Bin4Typed))
		value := layout.ValueChange{CallID: fmt.Append(nil, "nobody", n), Name: []byte("n"), Type: layout.Text, Text: []byte("v")}
		change, _ := value.Append(nil, 4)
		list = append(list, packets.Packet{Payload: packet2(t, 2, 4, "dialog-dlg-repl", 1, body)},
			packets.Packet{Payload: packet2(t, 2, 4, "dialog-dlg-repl", 5, change)})
	}
	list = append(list[:15], packets.Packet{Payload: packet2(t, 2, 3, "clusterer-extra", 11, sync)})
	round := func() {
		m.w.batch.Packets = append(m.w.batch.Packets[:0], list...)
		m.w.decode()
		m.w.apply(testNow)
		m.w.chunks(testNow)
		m.w.account()
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}
