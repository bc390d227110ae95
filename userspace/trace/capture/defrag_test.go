package capture

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// fragments6 returns the fragments of a datagram of 3000 bytes, all of which are this letter.
func fragments6(t *testing.T, id uint32, letter byte) (frames [][]byte) {
	_, v6, u6 := udpOver(from6, to6)
	whole := serialize(t, v6, u6, gopacket.Payload(bytes.Repeat([]byte{letter}, 3000)))[40:]
	v6.NextHeader = layers.IPProtocolIPv6Fragment
	for at := 0; at < len(whole); at += 1200 {
		end := min(at+1200, len(whole))
		head := make([]byte, 8)
		head[0] = byte(layers.IPProtocolUDP)
		offset := uint16(at)
		if end < len(whole) {
			offset |= 1
		}
		binary.BigEndian.PutUint16(head[2:], offset)
		binary.BigEndian.PutUint32(head[4:], id)
		frames = append(frames, serialize(t, v6, gopacket.Payload(append(head, whole[at:end]...))))
	}
	return frames
}

// fragments4 is the same for IPv4.
func fragments4(t *testing.T, id uint32, letter byte) (frames [][]byte) {
	v4, _, u4 := udpOver(from4, to4)
	whole := serialize(t, v4, u4, gopacket.Payload(bytes.Repeat([]byte{letter}, 3000)))[20:]
	v4.Id = uint16(id)
	for at := 0; at < len(whole); at += 1200 {
		end := min(at+1200, len(whole))
		v4.FragOffset, v4.Flags = uint16(at/8), 0
		if end < len(whole) {
			v4.Flags = layers.IPv4MoreFragments
		}
		frames = append(frames, serialize(t, v4, gopacket.Payload(whole[at:end])))
	}
	return frames
}

// TestIPv6Fragments mixes the fragments of two datagrams, in the wrong order.
func TestIPv6Fragments(t *testing.T) {
	frames := append(fragments6(t, 0, 'a'), fragments6(t, 1, 'b')...)
	var mixed [][]byte
	for _, i := range []int{4, 0, 5, 2, 1, 3} {
		mixed = append(mixed, frames[i])
	}
	r := NewReader(writePcap(t, layers.LinkTypeRaw, mixed...))
	got := readAll(t, r)
	if len(got) != 2 || got[0].Payload[0] != 'a' || got[1].Payload[0] != 'b' || len(got[0].Payload) != 3000 || r.Counts.Fragments != 6 {
		t.Errorf("%d datagrams, %+v", len(got), r.Counts)
	}
}

// TestLateFragments uses the clock of the capture, not that of the host. Fragments that come within 30 seconds are
// joined. Older ones are not joined with a later datagram of the same number. Incomplete datagrams are not kept for
// ever.
func TestLateFragments(t *testing.T) {
	for name, fragments := range map[string]func(*testing.T, uint32, byte) [][]byte{"IPv4": fragments4, "IPv6": fragments6} {
		begin := time.Unix(1_500_000_000, 0)
		d := newDecoder()
		var counts Counts
		decode := func(after time.Duration, frame []byte) string {
			var out Datagram
			info := gopacket.CaptureInfo{Timestamp: begin.Add(after)}
			if !d.decode(layers.LinkTypeRaw, frame, info, &out, &counts) {
				return ""
			}
			return string(out.Payload)
		}
		first, second := fragments(t, 7, 'a'), fragments(t, 7, 'b')
		whole := string(bytes.Repeat([]byte{'a'}, 3000))
		for _, begun := range []time.Duration{0, 25 * time.Second, 61 * time.Second} { // also across the end of a generation
			decode(begun, first[0])
			decode(begun+14*time.Second, first[1])
			if got := decode(begun+29*time.Second, first[2]); got != whole {
				t.Errorf("%s: begun at %s: %d bytes", name, begun, len(got))
			}
		}
		decode(200*time.Second, first[0])
		decode(200*time.Second, first[1])
		if got := decode(261*time.Second, second[2]); got != "" {
			t.Errorf("%s: two datagrams were joined: %q", name, got)
		}
		decode(1000*time.Second, first[0])
		decode(1000*time.Second, first[1])
		if got := decode(0, second[2]); got != "" {
			t.Errorf("%s: joined with an old fragment: %q", name, got)
		}
		for id := range uint32(10_000) {
			decode(time.Duration(id)*time.Second, fragments(t, id, 'c')[0])
		}
		if held := len(d.parts.v6[0].held) + len(d.parts.v6[1].held); held > 61 {
			t.Errorf("%s: %d datagrams are held", name, held)
		}
		if n := d.parts.v4.DiscardOlderThan(begin.Add(1 << 40)); n > 32 {
			t.Errorf("%s: %d datagrams are held", name, n)
		}
	}
}
