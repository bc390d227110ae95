package engine

import (
	"math/rand/v2"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
	"binrepd/userspace/state/conflicts"
	"binrepd/userspace/wire/bin2"
)

// tagged returns a confirmed dialog with the tag vip.
func tagged(rng *rand.Rand, seq string) []byte {
	var f layout.Fields
	layouttest.Fill(rng, layout.Bin4Typed, &f)
	f.Strings[layout.CallID], f.Numbers[layout.State] = []byte("call-"+seq), uint32(dialog.Confirmed)
	f.Strings[layout.Values] = []byte("dlgX_shtag#1#vip|")
	f.Numbers[layout.Start], f.Numbers[layout.Timeout] = testNow-10, testNow+3600
	b, _ := f.Append(nil, layout.Bin4Typed)
	return b
}

func endOf(t *testing.T, node int32, body []byte) bin2.Packet {
	t.Helper()
	var v layout.View
	if f := layout.Parse(layout.Bin4Typed, body, &v); f != layout.NoFault {
		t.Fatal(f)
	}
	m := layout.Deletion{CallID: v.Bytes(layout.CallID), FromTag: v.Bytes(layout.FromTag), ToTag: v.Bytes(layout.ToTag),
		HID: v.Number(layout.HID), HasHID: true}
	b, _ := m.Append(nil, 4)
	return packet2(t, node, 4, "dialog-dlg-repl", 3, b)
}

// TestSplit: node 1 had the tag, node 2 claims it, and both go on. Without a fence the events of node 1 are applied and
// listed; with one they are refused and counted. The account adds up.
func TestSplit(t *testing.T) {
	for _, fence := range []bool{false, true} {
		m := newMemberRig(t)
		book := conflicts.New(fence, time.Millisecond)
		m.cfg.Conflicts = book
		rng := rand.New(rand.NewPCG(1, 4))
		both, one, quiet, ended := tagged(rng, "both"), tagged(rng, "one"), tagged(rng, "quiet"), tagged(rng, "ended")
		packet := func(node int32, kind int32, body []byte) bin2.Packet {
			return packet2(t, node, 4, "dialog-dlg-repl", kind, body)
		}
		m.take(packet(1, 1, both), packet(1, 1, one), packet(1, 1, quiet), packet(1, 1, ended))
		if s, _ := book.Sums(); s.Events != 0 {
			t.Fatalf("before the split: %+v", s)
		}
		book.Claim(time.Unix(testNow-60, 0), 1, 2, "vip", 1)
		// A call that ends at a node in backup is no conflict.
		m.take(endOf(t, 1, quiet))
		before := m.Status()
		if s, _ := book.Sums(); s.Events != 0 || before.Table.Live() != 3 {
			t.Fatalf("in backup: %+v", s)
		}
		changed := func(body []byte, cseq string) []byte {
			var v layout.View
			if f := layout.Parse(layout.Bin4Typed, body, &v); f != layout.NoFault {
				t.Fatal(f)
			}
			b, _ := v.AppendWith(nil, layout.CallerCSeq, []byte(cseq))
			return b
		}
		m.take(packet(2, 2, changed(both, "2000")))
		m.take(packet(1, 2, changed(both, "3000")), packet(1, 2, changed(one, "3000")), endOf(t, 1, ended))
		s, sides := book.Sums()
		if s.Events != 3 || s.Dialogs != 3 || s.Both != 1 || len(sides) != 1 || sides[0].Node != 1 || sides[0].Tag != "vip" {
			t.Errorf("fence %v: %+v, %+v", fence, s, sides)
		}
		status := m.Status()
		total, live := status.Total(), 2
		want := uint64(0)
		if fence {
			live, want = 3, 3
		}
		if status.Table.Live() != live || s.Refused != want || total.Outcome(dialog.Fenced) != want || total.Sum() != total.Received {
			t.Errorf("fence %v: %d dialogs, %+v, account %+v", fence, status.Table.Live(), s, total)
		}
		for _, d := range book.List() {
			if d.Older != 1 || d.Newer != 2 || d.Both != (d.CallID == "call-both") || (d.Refused > 0) != fence || d.ByOlder != 1 {
				t.Errorf("fence %v: %+v", fence, d)
			}
		}
		// The node takes the tag back: then its events are right, and those of the other aren't.
		book.Claim(time.Unix(testNow-30, 0), 1, 1, "vip", 2)
		m.take(packet(1, 2, changed(one, "4000")), packet(2, 2, changed(one, "5000")))
		if s, _ := book.Sums(); s.Events != 4 {
			t.Errorf("fence %v: %+v", fence, s)
		}
	}
}

// TestDisputesCostNothing: nodes that have nothing to do with a moved tag cost no memory, and neither do older claimants
// in backup.
func TestDisputesCostNothing(t *testing.T) {
	m := newMemberRig(t)
	book := conflicts.New(false, 0)
	m.cfg.Conflicts = book
	rng := rand.New(rand.NewPCG(1, 5))
	body := tagged(rng, "x")
	p := packet2(t, 1, 4, "dialog-dlg-repl", 1, body)
	m.take(p)
	for _, claim := range []bool{false, true} {
		if claim {
			book.Claim(time.Unix(testNow-60, 0), 1, 2, "vip", 1)
		}
		if n := testing.AllocsPerRun(100, func() { m.take(p) }); n != 0 {
			t.Errorf("claimed %v: %v allocations", claim, n)
		}
	}
}
