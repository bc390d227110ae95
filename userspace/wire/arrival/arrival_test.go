package arrival_test

import (
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/wire/arrival"
	"binrepd/userspace/wire/bin1"
)

// TestBytes: the bytes of both packets. They must stay, because two versions of binrepd talk to each other.
func TestBytes(t *testing.T) {
	for name, c := range map[string]struct {
		message arrival.Message
		want    string
	}{
		"question": {arrival.Message{Nonce: 0x0102030405060708, Port: 0x1234},
			"5034434b" + "f8e2a633" + "07000000" + "62696e72657064" + "10000000" + "01000000" + "0807060504030201" + "34120000"},
		"answer": {arrival.Message{Answer: true, Nonce: 1, Count: arrival.Count{Events: 2, Digest: 3}},
			"5034434b" + "d4fae106" + "07000000" + "62696e72657064" + "11000000" + "01000000" + "0100000000000000" + "00000000" + "0200000000000000" + "0300000000000000"},
	} {
		packet := c.message.Append(nil)
		if got := hex.EncodeToString(packet); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if got, ok := arrival.Parse(packet); !ok || got != c.message {
			t.Errorf("%s: %+v, %t", name, got, ok)
		}
		if got, ok := arrival.Parse(append(packet[:len(packet):len(packet)], 0)); ok {
			t.Errorf("%s with a byte that the checksum doesn't cover: %+v", name, got)
		}
		var ev dialog.Event
		if v := bin1.Decode(packet, &ev); v != bin1.OtherCapability {
			t.Errorf("%s: %s", name, v)
		}
		for n := range packet {
			if _, ok := arrival.Parse(packet[:n]); ok {
				t.Errorf("%s: %d bytes of it are one, too", name, n)
			}
		}
	}
}

// TestTheDigestTellsWhatIsMissing: the order of packets doesn't matter, and any other packet in the place of one does.
func TestTheDigestTellsWhatIsMissing(t *testing.T) {
	var all [][]byte
	for n := range 100 {
		d := dialog.Details{CallID: string(rune('a' + n)), FromTag: "f", ToTag: "t"}
		all = append(all, bin1.Append(nil, dialog.Delete, d.AppendKey(nil)))
	}
	count := func(list [][]byte) (c arrival.Count) {
		for _, p := range list {
			c.Add(p)
		}
		return c
	}
	sent := count(all)
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if got := count(all); got != sent {
		t.Errorf("%+v in another order, want %+v", got, sent)
	}
	all[3] = all[4]
	if got := count(all); got.Events != sent.Events || got.Digest == sent.Digest {
		t.Errorf("one twice and one missing: %+v and %+v", got, sent)
	}
	if n := testing.AllocsPerRun(100, func() { sent.Add(all[0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, m := range []arrival.Message{{Nonce: 7}, {Answer: true, Nonce: 9, Count: arrival.Count{Events: 1, Digest: 2}}} {
		f.Add(m.Append(nil))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		m, ok := arrival.Parse(packet)
		if !ok {
			return
		}
		if again, ok := arrival.Parse(m.Append(nil)); !ok || again != m {
			t.Errorf("%+v became %+v", m, again)
		}
	})
}
