package bpf_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"binrepd/bpf"
)

// interesting are byte values at which rules change: lengths, versions, protocols, parts of types and addresses.
var interesting = []byte{0, 1, 2, 4, 5, 6, 7, 8, 17, 18, 20, 26, 40, 41, 44, 0x3f, 0x40, 0x44, 0x45, 0x46, 0x4f, 0x60, 0x7f, 0x81, 0x86, 0x88, 0xa8, 0xdd, 0xe0, 0xff}

// TestFramesRandom changes frames at random, most often in their headers, and compares the program with the model. Most
// random changes only break the checksum, so half of the IPv4 headers get a correct one again.
func TestFramesRandom(t *testing.T) {
	r := newTrial(t)
	// Changing one byte of the source is enough to be denied.
	r.allow(t, "10.99.0.0/28", "fd00::/125", "127.0.0.0/8", "::1/128")
	var bases [][]byte
	for _, c := range handMade() {
		bases = append(bases, c.frame)
	}
	seen := make(map[bpf.Verdict]int)
	rapid.Check(t, func(rt *rapid.T) {
		for range 50 { // a rapid check costs more than a frame
			frame := slices.Clone(bases[rapid.IntRange(0, len(bases)-1).Draw(rt, "frame")])
			for range rapid.IntRange(0, 4).Draw(rt, "changes") {
				at := rapid.IntRange(0, min(len(frame)-1, 110)).Draw(rt, "at")
				if rapid.Bool().Draw(rt, "any") {
					frame[at] = rapid.Byte().Draw(rt, "value")
				} else {
					frame[at] = rapid.SampledFrom(interesting).Draw(rt, "interesting value")
				}
			}
			if rapid.IntRange(0, 3).Draw(rt, "cut it") == 0 {
				frame = frame[:rapid.IntRange(14, len(frame)).Draw(rt, "size")]
			}
			if rapid.Bool().Draw(rt, "right checksum") && len(frame) >= 34 {
				fixChecksum(frame[14:])
			}
			seen[r.compare(rt, frame).verdict]++
		}
	})
	t.Logf("%v", seen)
	for v := range bpf.Verdict(bpf.Verdicts) {
		if never := v == bpf.OtherMAC || v == bpf.RingFull || v == bpf.Fault || v == bpf.RateLimited; never != (seen[v] == 0) {
			t.Errorf("%d frames got %s", seen[v], v)
		}
	}
}
