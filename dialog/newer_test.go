package dialog

import "testing"

func TestCompareCSeqs(t *testing.T) {
	for _, c := range []struct {
		caller, callee           string // of a
		otherCaller, otherCallee string // of b
		want                     int
	}{
		{"1", "1", "1", "1", 0},
		{"2", "1", "1", "1", 1},
		{"1", "1", "1", "2", -1},
		{"2", "2", "1", "1", 2},
		{"2", "1", "1", "2", 0},          // grown on one side each: nothing tells
		{"0", "1", "102", "1", 0},        // 0 is not known, not older
		{"0", "2", "102", "1", 1},        // and the other side tells alone
		{"", "1", "5", "1", 0},           // not there
		{"x", "1", "5", "1", 0},          // no number
		{"9", "1", "10", "1", -1},        // numbers, not text
		{"007", "1", "7", "1", 0},        // the same number
		{"4294967296", "1", "5", "1", 0}, // beyond 32 bits: no CSeq
		{"4294967295", "1", "5", "1", 1},
	} {
		a := Details{CallID: "c", FromURI: "sip:x", CallerSocket: "udp:1.2.3.4:5060", CallerCSeq: c.caller, CalleeCSeq: c.callee}
		b := Details{CallID: "c", ToURI: "sip:yy", CallerCSeq: c.otherCaller, CalleeCSeq: c.otherCallee}
		if got := compareCSeqs(a.AppendPacked(nil), b.AppendPacked(nil)); got != c.want {
			t.Errorf("%s/%s against %s/%s: %d, want %d", c.caller, c.callee, c.otherCaller, c.otherCallee, got, c.want)
		}
	}
}

func TestPast(t *testing.T) {
	var p past
	for hash := uint16(1); hash <= pastContents+1; hash++ {
		if p = p.with(hash); !p.has(hash) {
			t.Errorf("%d is forgotten at once", hash)
		}
	}
	if p.has(1) || !p.has(2) {
		t.Errorf("%v: the oldest goes first", p)
	}
}
