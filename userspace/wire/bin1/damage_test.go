package bin1_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
)

// Offsets in a dialog packet.
const (
	offSum     = 4
	offName    = 8
	offCommand = 18
	offFields  = 22
)

// sign puts the right checksum into packet.
func sign(packet []byte) []byte {
	binary.LittleEndian.PutUint32(packet[offSum:], bin1.Checksum(packet))
	return packet
}

// with returns a signed copy of packet with number at offset off.
func with(packet []byte, off int, number uint32) []byte {
	packet = bytes.Clone(packet)
	binary.LittleEndian.PutUint32(packet[off:], number)
	return sign(packet)
}

func verdict(packet []byte) bin1.Verdict {
	var ev dialog.Event
	return bin1.Decode(packet, &ev)
}

// fieldOffsets walks a good packet without the decoder and returns where its lengths and its state lie.
func fieldOffsets(packet []byte) (lengths []int, state int) {
	off := offFields
	for i := range fieldNames {
		if off == len(packet) {
			break // a deletion
		}
		switch {
		case i == 7:
			state = off
			off += 4
		case i == 5 || i == 6 || i >= 20:
			off += 4
		default:
			lengths = append(lengths, off)
			off += 4 + int(binary.LittleEndian.Uint32(packet[off:]))
		}
	}
	return lengths, state
}

func TestTruncationAtEveryByte(t *testing.T) {
	for name, packet := range goodPackets(t) {
		for cut := range packet {
			want := bin1.BadChecksum
			if cut < bin1.MinSize {
				want = bin1.Short
			}
			if got := verdict(packet[:cut:cut]); got != want {
				t.Errorf("%s cut to %d bytes: %v, want %v", name, cut, got, want)
			}
			if cut < bin1.MinSize {
				continue
			}
			// A sender, or somebody else, may as well have signed what is there.
			switch got := verdict(sign(bytes.Clone(packet[:cut:cut]))); got {
			case bin1.Truncated, bin1.LengthPastEnd:
			default:
				t.Errorf("%s cut to %d bytes and signed: %v", name, cut, got)
			}
		}
	}
}

func TestTrailingBytes(t *testing.T) {
	for name, packet := range goodPackets(t) {
		for n := 1; n <= 9; n++ {
			longer := append(bytes.Clone(packet), make([]byte, n)...)
			if got := verdict(longer); got != bin1.BadChecksum {
				t.Errorf("%s with %d bytes more: %v", name, n, got)
			}
			if got := verdict(sign(longer)); got != bin1.TrailingBytes {
				t.Errorf("%s with %d bytes more, signed: %v", name, n, got)
			}
		}
	}
}

func TestEveryLengthField(t *testing.T) {
	for name, packet := range goodPackets(t) {
		lengths, _ := fieldOffsets(packet)
		if len(lengths) != 3 && len(lengths) != 17 {
			t.Fatalf("%s: %d lengths", name, len(lengths))
		}
		for i, off := range lengths {
			is := binary.LittleEndian.Uint32(packet[off:])
			left := uint32(len(packet) - off - 4)
			for _, n := range []uint32{math.MaxInt32, left + 1, left + 1<<16} {
				if got := verdict(with(packet, off, n)); got != bin1.LengthPastEnd {
					t.Errorf("%s, length %d is %d: %v", name, i, n, got)
				}
			}
			for _, n := range []int32{-1, -4, -int32(off), math.MinInt32, math.MinInt32 + int32(is)} {
				if got := verdict(with(packet, off, uint32(n))); got != bin1.NegativeLength {
					t.Errorf("%s, length %d is %d: %v", name, i, n, got)
				}
			}
			// What these make of the rest is chance, but it can't be a dialog: only one way leads exactly to the end.
			for _, n := range []uint32{0, is + 1, is - 1, left} {
				if n == is {
					continue
				}
				if got := verdict(with(packet, off, n)); got == bin1.Dialog {
					t.Errorf("%s, length %d is %d instead of %d: %v", name, i, n, is, got)
				}
			}
		}
	}
}

func TestEveryBitOfTheChecksumCounts(t *testing.T) {
	for name, packet := range goodPackets(t) {
		for bit := range len(packet) * 8 {
			broken := bytes.Clone(packet)
			broken[bit/8] ^= 1 << (bit % 8)
			want := bin1.BadChecksum
			if bit/8 < offSum {
				want = bin1.NotBIN
			}
			if got := verdict(broken); got != want {
				t.Fatalf("%s with bit %d turned: %v, want %v", name, bit, got, want)
			}
		}
	}
}

func TestCapabilityName(t *testing.T) {
	packet := goodPackets(t)["V01"]
	left := uint32(len(packet) - offName - 4)
	for n, want := range map[uint32]bin1.Verdict{
		0: bin1.BadCapability, math.MaxUint32: bin1.BadCapability, math.MaxInt32: bin1.BadCapability, left + 1: bin1.BadCapability,
		left: bin1.Truncated, left - 3: bin1.Truncated, left - 4: bin1.OtherCapability, 5: bin1.OtherCapability, 7: bin1.OtherCapability,
	} {
		broken := with(packet, offName, n)
		if got := verdict(broken); got != want {
			t.Errorf("name of %d bytes: %v, want %v", n, got, want)
		}
		if name := bin1.Capability(broken); (name == nil) != (want == bin1.BadCapability) || name != nil && len(name) != int(n) {
			t.Errorf("name of %d bytes: got one of %d", n, len(name))
		}
	}
	for name, want := range map[string]bin1.Verdict{
		"Dialog": bin1.OtherCapability, "DIALOG": bin1.OtherCapability, "dialof": bin1.OtherCapability, "\x00ialog": bin1.OtherCapability, "dialog": bin1.Dialog,
	} {
		other := bytes.Clone(packet)
		copy(other[offName+4:], name)
		if got := verdict(sign(other)); got != want {
			t.Errorf("capability %q: %v, want %v", name, got, want)
		}
	}
	for size := range bin1.MinSize {
		if name := bin1.Capability(packet[:size]); name != nil {
			t.Errorf("a capability in %d bytes: %q", size, name)
		}
	}
}

func TestCommand(t *testing.T) {
	for name, packet := range goodPackets(t) {
		for _, command := range []uint32{0, 4, 5, 6, 255, 1 << 8, 1<<8 | 4, 1<<16 | 2, 1<<24 | 3, math.MaxInt32, math.MaxUint32} {
			if got := verdict(with(packet, offCommand, command)); got != bin1.BadCommand {
				t.Errorf("%s as command %d: %v", name, command, got)
			}
		}
	}
	packets := goodPackets(t)
	if got := verdict(with(packets["V01"], offCommand, uint32(dialog.Delete))); got != bin1.TrailingBytes {
		t.Errorf("a creation as deletion: %v", got)
	}
	if got := verdict(with(packets["V03"], offCommand, uint32(dialog.Create))); got != bin1.Truncated {
		t.Errorf("a deletion as creation: %v", got)
	}
	for size := bin1.MinSize; size < offFields; size++ {
		if got := verdict(sign(bytes.Clone(packets["V01"][:size]))); got != bin1.Truncated {
			t.Errorf("%d bytes: %v", size, got)
		}
	}
}

func TestState(t *testing.T) {
	for name, packet := range goodPackets(t) {
		_, off := fieldOffsets(packet)
		if off == 0 {
			continue
		}
		for state := range uint32(7) {
			var ev dialog.Event
			got := bin1.Decode(with(packet, off, state), &ev)
			if state < 1 || state > 5 {
				if got != bin1.BadState {
					t.Errorf("%s in state %d: %v", name, state, got)
				}
			} else if got != bin1.Dialog || ev.State != dialog.State(state) {
				t.Errorf("%s in state %d: %v, state %v", name, state, got, ev.State)
			}
		}
		for _, state := range []uint32{99, 1<<8 | 3, 1<<16 | 4, math.MaxUint32} {
			if got := verdict(with(packet, off, state)); got != bin1.BadState {
				t.Errorf("%s in state %d: %v", name, state, got)
			}
		}
	}
}

func TestEmptyCallID(t *testing.T) {
	for kind, d := range map[dialog.Kind]dialog.Details{
		dialog.Create: {FromTag: "f", State: dialog.Answered}, dialog.Update: {State: dialog.Early}, dialog.Delete: {ToTag: "t"},
	} {
		body := d.AppendPacked(nil)
		if kind == dialog.Delete {
			body = d.AppendKey(nil)
		}
		if got := verdict(bin1.Append(nil, kind, body)); got != bin1.EmptyCallID {
			t.Errorf("%v: %v", kind, got)
		}
	}
}

// bigEndian re-encodes a good packet as a big-endian sender would have sent it.
func bigEndian(packet []byte) []byte {
	out := bytes.Clone(packet)
	swap := func(off int) {
		binary.BigEndian.PutUint32(out[off:], binary.LittleEndian.Uint32(packet[off:]))
	}
	swap(offName)
	swap(offCommand)
	lengths, state := fieldOffsets(packet)
	for _, off := range lengths {
		swap(off)
	}
	if state > 0 {
		for _, off := range []int{state - 8, state - 4, state} {
			swap(off)
		}
		for off := len(packet) - 20; off < len(packet); off += 4 {
			swap(off)
		}
	}
	binary.BigEndian.PutUint32(out[offSum:], bin1.Checksum(out))
	return out
}

func TestBigEndian(t *testing.T) {
	for name, packet := range goodPackets(t) {
		big := bigEndian(packet)
		if got := verdict(big); got != bin1.BigEndian {
			t.Errorf("%s: %v", name, got)
		}
		big[len(big)-1] ^= 1
		if got := verdict(big); got != bin1.BadChecksum {
			t.Errorf("%s, damaged: %v", name, got)
		}
	}
}

func TestLargestPacket(t *testing.T) {
	d := dialog.Details{CallID: "c", State: dialog.Confirmed, Vars: "v#"}
	fill := bin1.MaxSize - bin1.Size(d.AppendPacked(nil))
	d.Vars += strings.Repeat("x", fill-1) + "|"
	packet := bin1.Append(nil, dialog.Create, d.AppendPacked(nil))
	if len(packet) != bin1.MaxSize {
		t.Fatalf("%d bytes", len(packet))
	}
	var ev dialog.Event
	if got := bin1.Decode(packet, &ev); got != bin1.Dialog || ev.Body.Details() != d {
		t.Errorf("%v", got)
	}
	zeros := make([]byte, bin1.MaxSize)
	if got := verdict(zeros); got != bin1.NotBIN {
		t.Errorf("zeros: %v", got)
	}
	copy(zeros, "P4CK")
	if got := verdict(sign(zeros)); got != bin1.BadCapability {
		t.Errorf("signed zeros: %v", got)
	}
	copy(zeros[offName:], "\x06\x00\x00\x00dialog\x01")
	if got := verdict(sign(zeros)); got != bin1.TrailingBytes {
		t.Errorf("a creation of zeros: %v", got)
	}
}

// The smallest packets that the specification gives for each command.
func TestSmallestPackets(t *testing.T) {
	d := dialog.Details{CallID: "c", State: dialog.Answered}
	if n := len(bin1.Append(nil, dialog.Create, d.AppendPacked(nil))); n != 122+1 {
		t.Errorf("creation of %d bytes", n)
	}
	if n := len(bin1.Append(nil, dialog.Delete, d.AppendKey(nil))); n != 34+1 {
		t.Errorf("deletion of %d bytes", n)
	}
}

func TestVerdictNames(t *testing.T) {
	seen := map[string]bool{}
	for v := range bin1.Verdicts {
		if name := v.String(); name == "" || name == "invalid" || seen[name] {
			t.Errorf("verdict %d is named %q", v, name)
		} else {
			seen[name] = true
		}
	}
	if name := bin1.Verdicts.String(); name != "invalid" {
		t.Errorf("no verdict is named %q", name)
	}
}
