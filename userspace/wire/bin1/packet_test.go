package bin1_test

import (
	"bytes"
	"fmt"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

// Every packet of real senders, decoded and encoded, is what it was, both as a whole and field by field.
func TestCapturesDecodeAndEncode(t *testing.T) {
	for _, c := range bin1test.Captures(t) {
		t.Run(c.Name, func(t *testing.T) {
			counts := map[bin1.Verdict]int{}
			var ev dialog.Event
			for i, d := range c.Datagrams {
				v := bin1.Decode(d.Payload, &ev)
				counts[v]++
				switch v {
				case bin1.Dialog:
					checkRoundTrip(t, fmt.Sprintf("datagram %d", i), d.Payload, &ev)
				case bin1.OtherCapability:
					if name := bin1.Capability(d.Payload); string(name) != "ul" {
						t.Errorf("datagram %d: capability %q", i, name)
					}
				default:
					t.Errorf("datagram %d: %v", i, v)
				}
			}
			if counts[bin1.Dialog] == 0 {
				t.Error("no dialog packet")
			}
		})
	}
}

func checkRoundTrip(t *testing.T, name string, packet []byte, ev *dialog.Event) {
	t.Helper()
	if again := bin1.Append(nil, ev.Kind, ev.Body); !bytes.Equal(again, packet) {
		t.Errorf("%s encodes as\n%x, was\n%x", name, again, packet)
	}
	if ev.Kind == dialog.Delete {
		return
	}
	d := ev.Body.Details()
	if again := d.AppendPacked(nil); !bytes.Equal(again, ev.Body) {
		t.Errorf("%s, its fields %+v pack as\n%x, were\n%x", name, d, again, ev.Body)
	}
	for _, list := range []string{d.Vars, d.Profiles} {
		if again, err := rewrite([]byte(list)); err != nil || string(again) != list {
			t.Errorf("%s, list %q: %v, written again %q", name, list, err, again)
		}
	}
}

// What an Event held before must not show through.
func TestDecodeTwiceIntoOneEvent(t *testing.T) {
	packets := goodPackets(t)
	for first, p := range packets {
		for second, q := range packets {
			var fresh, used dialog.Event
			if bin1.Decode(p, &used) != bin1.Dialog || bin1.Decode(q, &fresh) != bin1.Dialog {
				t.Fatal("a good vector is refused")
			}
			used.Hash, used.Origin, used.Outcome = 7, 7, dialog.Late
			bin1.Decode(q, &used)
			if fmt.Sprintf("%+v", used) != fmt.Sprintf("%+v", fresh) {
				t.Errorf("%s after %s: %+v, want %+v", second, first, used, fresh)
			}
		}
	}
}

// Views lie in the packet and end with it: an append to one must not write behind the packet, where
// another datagram may be.
func TestViews(t *testing.T) {
	for name, packet := range goodPackets(t) {
		ring := append(bytes.Clone(packet), "next datagram"...)
		packet = ring[:len(packet)]
		var ev dialog.Event
		bin1.Decode(packet, &ev)
		if &ev.Body[0] != &packet[22] || &ev.Key[0] != &packet[22] || len(ev.Body) != len(packet)-22 {
			t.Errorf("%s: key and body are no views of the fields", name)
		}
		views := map[string][]byte{"body": ev.Body, "key": ev.Key, "capability": bin1.Capability(packet)}
		for what, view := range views {
			if cap(view) != len(view) {
				t.Errorf("%s: %s can be extended by %d bytes in place", name, what, cap(view)-len(view))
			}
		}
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	d := dialog.Details{CallID: "c", State: dialog.Confirmed}
	body := d.AppendPacked(nil)
	alone := bin1.Append(nil, dialog.Update, body)
	both := bin1.Append(bin1.Append([]byte("front"), dialog.Update, body), dialog.Update, body)
	if want := "front" + string(alone) + string(alone); string(both) != want {
		t.Errorf("got\n%x, want\n%x", both, want)
	}
}

func TestNoAllocation(t *testing.T) {
	for name, packet := range goodPackets(t) {
		var ev dialog.Event
		if n := testing.AllocsPerRun(100, func() { bin1.Decode(packet, &ev) }); n > 0 {
			t.Errorf("%s: Decode allocates %v times", name, n)
		}
		buf := make([]byte, 0, len(packet))
		if n := testing.AllocsPerRun(100, func() { bin1.Append(buf, ev.Kind, ev.Body) }); n > 0 {
			t.Errorf("%s: Append allocates %v times", name, n)
		}
		broken := packet[:len(packet)-1]
		if n := testing.AllocsPerRun(100, func() { bin1.Decode(broken, &ev) }); n > 0 {
			t.Errorf("%s: Decode of a broken packet allocates %v times", name, n)
		}
	}
}

// The sizes: a deletion, the median of real senders, and a call with 28 routes.
func BenchmarkDecode(b *testing.B) {
	for _, name := range []string{"V03", "V01", "V15"} {
		packet := goodPackets(b)[name]
		b.Run(fmt.Sprintf("%dB", len(packet)), func(b *testing.B) {
			b.SetBytes(int64(len(packet)))
			var ev dialog.Event
			for b.Loop() {
				if bin1.Decode(packet, &ev) != bin1.Dialog {
					b.Fatal("refused")
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, name := range []string{"V03", "V01", "V15"} {
		packet := goodPackets(b)[name]
		b.Run(fmt.Sprintf("%dB", len(packet)), func(b *testing.B) {
			b.SetBytes(int64(len(packet)))
			var ev dialog.Event
			bin1.Decode(packet, &ev)
			buf := make([]byte, 0, len(packet))
			for b.Loop() {
				buf = bin1.Append(buf[:0], ev.Kind, ev.Body)
			}
		})
	}
}
