package bpf_test

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin2"
	"binrepd/userspace/wire/bin2/bin2test"
)

// packet2 is a packet of generation 2 with these strings. It is made longer to size bytes with zeros.
func packet2(capability string, kind uint32, size int, fields ...string) []byte {
	b := binary.LittleEndian.AppendUint16([]byte("P4CK\x00\x00\x00\x00\x04\x00"), uint16(len(capability)))
	b = binary.LittleEndian.AppendUint32(append(b, capability...), kind)
	for _, f := range fields {
		b = append(binary.LittleEndian.AppendUint16(b, uint16(len(f))), f...)
	}
	b = append(b, make([]byte, max(0, size-len(b)))...)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
	return b
}

// handMade2 is the part of handMade that has packets of generation 2.
func handMade2() []madeFrame {
	const dialogs, contacts, alice = "dialog-dlg-repl", "usrloc-contact-repl", "alice@example.com"
	long := strings.Repeat("x", 300)
	v4 := func(payload []byte) []byte {
		return bpftest.Frame{From: netip.MustParseAddrPort("10.99.0.1:5555"), To: testListeners[0], Payload: payload}.Bytes()
	}
	v6 := func(payload []byte) []byte {
		return bpftest.Frame{From: netip.MustParseAddrPort("[fd00::1]:5555"), To: testListeners[1], Payload: payload}.Bytes()
	}
	tagged := bpftest.Frame{From: netip.MustParseAddrPort("10.99.0.1:5555"), To: testListeners[0],
		Payload: packet2(dialogs, 1, 700, "a-call@10.0.0.1"), Tags: []bpftest.Tag{{Type: 0x88a8, VLAN: 100}, {Type: 0x8100, VLAN: 101}}}
	list := []madeFrame{
		{"IPv4", v4(packet2(dialogs, 1, 700, "a-call@10.0.0.1", "from", "to")), bpf.Steered, 1},
		{"IPv6", v6(packet2(dialogs, 2, 700, "a-call@10.0.0.1", "from", "to")), bpf.Steered, 2},
		{"QinQ", tagged.Bytes(), bpf.Steered, 1},
		{"deletion", v4(packet2(dialogs, 3, 100, "a-call@10.0.0.1", "from", "to")), bpf.Steered, 1},
		{"value", v4(packet2(dialogs, 5, 90, "a-call@10.0.0.1")), bpf.Steered, 1},
		{"with a stamp", v4(packet2(dialogs, 256+1, 720, "a-call@10.0.0.1", "from", "to")), bpf.Steered, 1},
		{"Call-ID of 256 bytes", v4(packet2(dialogs, 1, 400, long[:256])), bpf.Steered, 1},
		{"Call-ID of 300 bytes", v4(packet2(dialogs, 1, 400, long)), bpf.Steered, 1},
		{"Call-ID to the end", v4(packet2(dialogs, 1, 0, long[:100])), bpf.Steered, 1},
		{"Call-ID past the end", v4(packet2(dialogs, 1, 0, long[:100])[:100]), bpf.Steered, 1},
		{"empty Call-ID", v4(packet2(dialogs, 1, 100, "")), bpf.Steered, 1},
		{"no fields", v4(packet2(dialogs, 1, 0)), bpf.Steered, 1},
		{"contact", v4(packet2(contacts, 3, 400, "location", alice)), bpf.Steered, 1},
		{"contact, IPv6", v6(packet2(contacts, 5, 100, "location", alice)), bpf.Steered, 2},
		{"contact, no AoR", v4(packet2(contacts, 1, 0, "location")), bpf.Steered, 1},
		{"contact, no domain", v4(packet2(contacts, 1, 100, "", alice)), bpf.Steered, 1},
		{"contact, long AoR", v4(packet2(contacts, 1, 0, "location", long)), bpf.Steered, 1},
		{"contact, domain past the end", v4(packet2(contacts, 1, 0, "location", alice)[:38]), bpf.Steered, 1},
		{"contact, AoR past the end", v4(packet2(contacts, 1, 0, "location", alice)[:60]), bpf.Steered, 1},
		{"contact with its AoR in a fragment of the buffer", v4(packet2(contacts, 1, 0, strings.Repeat("x", 5000), alice)), bpf.Steered, 1},
		{"cluster", v4(packet2("clusterer-internal", 0, 50)), bpf.Steered, 1},
		{"profile", v4(packet2("dialog-prof-repl", 4, 80, "name")), bpf.Steered, 1},
		{"another name of 15 bytes", v4(packet2("dialog-dlg-repX", 1, 80, "call")), bpf.Steered, 1},
		{"another name of 19 bytes", v4(packet2("usrloc-contact-repX", 1, 80, "location", alice)), bpf.Steered, 1},
		{"name of generation 1", v4(packet2("dialog", 1, 80, "call")), bpf.Steered, 1},
		{"merged", v4(append(packet2(dialogs, 1, 300, "one"), packet2(dialogs, 2, 300, "two")...)), bpf.Merged, 1},
		{"the longest", v4(packet2(dialogs, 1, bpf.MaxPayload, "longest")), bpf.Steered, 1},
		{"longer than that", v4(packet2(dialogs, 1, bpf.MaxPayload+1, "longest")), bpf.TooLong, 1},
	}
	for i := range list {
		list[i].name = "generation 2, " + list[i].name
	}
	return list
}

// TestCapturesOfClusters sends the packets of real clusters as datagrams. A packet about a dialog gets the hash of its Call-ID,
// which another decoder finds; the model judges all others.
func TestCapturesOfClusters(t *testing.T) {
	for _, name := range []string{"2.4/S1", "3.6/S1", "3.6/S2", "4.0/S1"} {
		t.Run(name, func(t *testing.T) {
			r := newTrial(t)
			dialogs, tooLong := 0, 0
			for i, p := range bin2test.Load(t, name).Packets {
				from := netip.MustParseAddrPort("10.99.0.1:5566")
				if len(p.Packet) > bpf.MaxPayload {
					p.Packet = p.Packet[:bpf.MaxPayload+1] // the frames of a test have a limit
					tooLong++
				}
				got := r.compare(t, bpftest.Frame{From: from, To: testListeners[0], Payload: p.Packet}.Bytes())
				var decoder bin2.Decoder
				var ev dialog.Event
				if decoder.Decode(p.Packet, &ev) != bin2.Event {
					continue
				}
				dialogs++
				if want := steering.CallID(ev.CallID()); got.verdict != bpf.Steered || got.record.hash != want {
					t.Fatalf("packet %d: %s with hash %#x, want %#x of %q", i, got.verdict, got.record.hash, want, ev.CallID())
				}
				if got.record.ring != packets.Spread(got.record.hash, 3) {
					t.Errorf("packet %d: ring %d", i, got.record.ring)
				}
			}
			if dialogs < 100 || (name == "3.6/S2") != (tooLong > 0) {
				t.Errorf("%d packets about dialogs, %d too long", dialogs, tooLong)
			}
			t.Logf("%d packets about dialogs, %d too long", dialogs, tooLong)
		})
	}
}
