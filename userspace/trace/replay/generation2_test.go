package replay

import (
	"bytes"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
	"binrepd/userspace/trace/capture"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin2"
	"binrepd/userspace/wire/bin2/bin2test"
)

// TestMarksAreRemoved: an event that an appliance has marked is sent as the proxy sent it.
func TestMarksAreRemoved(t *testing.T) {
	d := dialog.Details{CallID: "call", FromTag: "f", ToTag: "t", State: dialog.Confirmed, Start: 5, Timeout: 7}
	bodies := map[dialog.Kind][]byte{dialog.Create: d.AppendPacked(nil), dialog.Update: d.AppendPacked(nil), dialog.Delete: d.AppendKey(nil)}
	hello := bin1.Hello{Nonce: 1}
	list := []capture.Datagram{{Payload: hello.Append(nil)}}
	var want [][]byte
	for _, kind := range []dialog.Kind{dialog.Create, dialog.Update, dialog.Delete} {
		c := changes.Change{Stamp: changes.Stamp{Origin: 77, Seq: 5}}
		marked := bin1.Dialect{}.AppendStamped(nil, kind, bodies[kind], &c)
		plain := bin1.Append(nil, kind, bodies[kind])
		list = append(list, capture.Datagram{Payload: marked}, capture.Datagram{Payload: plain})
		want = append(want, plain, plain)
	}
	s := &sink{}
	sum, err := Run(t.Context(), Config{Next: listOf(list), Sink: s, To: to})
	if err != nil || sum.Unmarked != 3 || sum.Internal != 1 || sum.Sent != 6 {
		t.Fatalf("%+v %v", sum, err)
	}
	for i := range want {
		if !bytes.Equal(s.sent[i], want[i]) {
			t.Errorf("packet %d: %q, want %q", i, s.sent[i], want[i])
		}
	}
}

// TestCluster replays captures of real clusters: of what node 1 sent, all but what is about the cluster is sent, the
// dialogs of a sync as updates, and with --shift-time their times are moved, and nothing else.
func TestCluster(t *testing.T) {
	for _, name := range []string{"2.4/S2", "3.6/S2"} {
		for _, shift := range []bool{false, true} {
			t.Run(name, func(t *testing.T) { replayCluster(t, name, shift) })
		}
	}
}

func replayCluster(t *testing.T, name string, shift bool) {
	r := capture.NewReader(filepath.Join(bin2test.Folder(t), filepath.FromSlash(name)+".pcap"))
	defer r.Close()
	s := &sink{}
	node := netip.MustParseAddr("10.98.0.1")
	var want [][]byte
	var internal, dialogs uint64
	var learned bin2.Decoder
	sum, err := Run(t.Context(), Config{
		Next: capture.NewSorted(func(d *capture.Datagram) error {
			for {
				if err := r.Next(d); err != nil || d.Source.Addr() == node {
					return err
				}
			}
		}).Next, Sink: s, To: to, Shift: shift,
		Want: func(d *capture.Datagram) bool {
			var ev dialog.Event
			switch p := bin2.Packet(d.Payload); p.Capability() {
			case bin2.Internal:
				internal++
			case bin2.Extra:
				if learned.Decode(p, &ev) != bin2.Chunks {
					internal++
				}
				for w := learned.ChunksOf(p); w.Next(&ev); dialogs++ {
					want = append(want, bytes.Clone(ev.Body))
				}
			default:
				want = append(want, bytes.Clone(p.Body()))
			}
			return true
		},
	})
	if err != nil || sum.Internal != internal || sum.Chunks != dialogs || dialogs < 400 || sum.Sent != uint64(len(want)) || (sum.Shifted > 0) != shift {
		t.Fatalf("%+v %v, want %d packets, %d internal ones, %d dialogs of syncs", sum, err, len(want), internal, dialogs)
	}
	var d bin2.Decoder
	moved := uint32(sum.Moved / time.Second)
	var shifted uint64
	for i, packet := range s.sent {
		p, err := bin2.Parse(packet)
		if err != nil {
			t.Fatal(i, err)
		}
		var ev dialog.Event
		if d.Decode(packet, &ev) == bin2.Event && (ev.Kind == dialog.Create || ev.Kind == dialog.Update) && shift {
			var is, was layout.View
			if layout.Parse(ev.Layout, ev.Body, &is) != layout.NoFault || layout.Parse(ev.Layout, want[i], &was) != layout.NoFault {
				t.Fatalf("packet %d is no dialog any more", i)
			}
			for _, f := range []layout.Field{layout.Start, layout.Timeout} {
				if is.Number(f) != was.Number(f)+moved {
					t.Fatalf("packet %d: %s is %d, was %d, moved by %d", i, f, is.Number(f), was.Number(f), moved)
				}
				is.SetNumber(f, was.Number(f))
			}
			shifted++
		}
		if !bytes.Equal(p.Body(), want[i]) {
			t.Fatalf("packet %d: %q, want %q", i, p.Body(), want[i])
		}
	}
	if shifted != sum.Shifted {
		t.Errorf("%d dialogs have other times, and %d were counted", shifted, sum.Shifted)
	}
}
