package membership_test

import (
	"testing"
	"time"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/wire/bin2"
)

// TestNoAllocations: what a reading goroutine does for each packet, and what a link costs at rest, allocates nothing.
func TestNoAllocations(t *testing.T) {
	w := newWorld(t, withCapability(false))
	w.up(1)
	w.receive(1, capsOf(1, 0, int32(w.now.Unix()), true))
	packets := map[string]bin2.Packet{
		"PING":            packet(t, &bin2.Ping{From: from(1)}, bin2.Dialect{}),
		"PING, probing":   packet(t, &bin2.Ping{From: from(1), WantNodes: true}, bin2.Dialect{}),
		"PONG":            packet(t, &bin2.Pong{From: from(1), Nodes: ids(2, 3)}, bin2.Dialect{}),
		"dialog":          modulePacket(t, to(1, me)),
		"refused":         modulePacket(t, to(1, 99)),
		"unknown PING":    packet(t, &bin2.Ping{From: from(77)}, bin2.Dialect{}),
		"UNKNOWN_ID":      packet(t, &bin2.UnknownID{From: from(77)}, bin2.Dialect{}),
		"CAP_UPDATE":      packet(t, capsOf(1, 0, int32(w.now.Unix()), true), bin2.Dialect{}),
		"SHTAG_ACTIVE":    packet(t, &bin2.TagActive{Trailer: to(1, me), Tag: []byte("vip")}, bin2.Dialect{}),
		"SYNC_REQ":        packet(t, &bin2.SyncRequest{Trailer: to(1, me), Capability: []byte(dialogs)}, bin2.Dialect{}),
		"FULL_TOP repeat": packet(t, &bin2.Topology{From: from(1), Path: ids(1)}, bin2.Dialect{}),
	}
	for name, p := range packets {
		verdict := membership.Refused
		n := testing.AllocsPerRun(100, func() {
			w.now = w.now.Add(100 * time.Millisecond)
			verdict = w.receivePacket(origin(1), p).Verdict
		})
		if n != 0 {
			t.Errorf("%s, %v: %v allocations", name, verdict, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		w.tick(max(0, w.m.Next().Sub(w.now)))
		for _, id := range [...]int32{1, 2} {
			w.receivePacket(origin(id), packets["PONG"])
		}
	}); n != 0 {
		t.Errorf("a tick: %v allocations", n)
	}
}

func BenchmarkDialogPacket(b *testing.B) {
	w := newWorld(b, config())
	w.up(1)
	p := modulePacket(b, to(1, me))
	o := origin(1)
	b.ReportAllocs()
	for b.Loop() {
		if w.m.Receive(w.now, o, p, &w.out).Verdict != membership.Deliver {
			b.Fatal("refused")
		}
	}
}

func BenchmarkPing(b *testing.B) {
	w := newWorld(b, config())
	w.up(1)
	p := packet(b, &bin2.Ping{From: from(1)}, bin2.Dialect{})
	o := origin(1)
	b.ReportAllocs()
	for b.Loop() {
		w.now = w.now.Add(time.Second)
		w.out.Reset()
		if w.m.Receive(w.now, o, p, &w.out); len(w.out.Sends) == 0 {
			b.Fatal("no PONG")
		}
	}
}
