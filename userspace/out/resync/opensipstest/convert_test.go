package opensipstest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/out/snapshot"
	"binrepd/userspace/wire/bin2"
)

// converter is a table with a shield that converts for a proxy of generation 1.
type converter struct {
	t       testing.TB
	table   *dialog.Table
	hash    packets.Steering
	decoder bin2.Decoder
	shield  *shield.Shield
	proxy   *Receiver
	held    map[shield.Reason]int
}

func newConverter(t testing.TB, at int64, sockets ...string) *converter {
	table, err := dialog.NewTable(dialog.Config{Shards: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	c := &converter{t: t, table: table, hash: packets.Steering{K0: 1, K1: 2}, held: map[shield.Reason]int{}}
	c.proxy = New(Config{Sockets: sockets, Started: at - 3600})
	if c.shield, err = shield.New(shield.Policy{
		Convert: snapshot.Lookup{Table: table, Hash: c.hash.CallID}, Now: func() time.Time { return time.Unix(at, 0) },
	}); err != nil {
		t.Fatal(err)
	}
	return c
}

// apply plays an event on the table, and gives the proxy what the shield makes of the change.
func (c *converter) apply(packet []byte, at int64) {
	var ev dialog.Event
	if c.decoder.Decode(packet, &ev) != bin2.Event {
		return
	}
	ev.Hash = c.hash.CallID(ev.CallID())
	s := c.table.Lock(c.table.ShardOf(ev.Hash))
	s.Apply([]*dialog.Event{&ev}, at)
	s.Unlock()
	if !ev.Changed() {
		return
	}
	var change changes.Change
	bin2.Describe(&change, packet, &ev)
	_, out := c.shield.Process(nil, &change)
	if c.held[out.Held]++; out.Held == shield.Passed {
		c.proxy.Handle(out.Packet, at)
	}
}

// live returns the calls of the table that are in progress, by Call-ID and tags.
func (c *converter) live() map[string]bool {
	names := map[string]bool{}
	var cur dialog.Cursor
	for more := true; more; {
		more = c.table.Scan(&cur, func(v *dialog.View) {
			if id, from, to := v.Names(); v.State().Live() {
				names[fmt.Sprintf("%s %s %s", id, from, to)] = true
			}
		})
	}
	return names
}

// TestConvertedFromEveryLayout: a proxy of generation 1 takes what the shield makes of dialogs of every layout of generation
// 2, and takes no harm. Sockets that it can't know are held back.
func TestConvertedFromEveryLayout(t *testing.T) {
	for _, id := range layouttest.Layouts() {
		if id == layout.UDP {
			continue
		}
		t.Run(id.String(), func(t *testing.T) {
			c := newConverter(t, now, home)
			rng := rand.New(rand.NewPCG(1, uint64(id)))
			var v layout.View
			var bodies [][]byte
			for n := 0; n < 300; n++ {
				body := layouttest.Dialog(rng, id)
				for f, s := range map[layout.Field]string{
					layout.CallID: fmt.Sprint("call-", n), layout.CallerSocket: home, layout.CalleeSocket: home,
					layout.CallerRouteSet: "<sip:192.0.2.1;lr>", layout.CalleeRouteSet: "",
				} {
					layout.Parse(id, body, &v)
					if n%50 == 7 && f == layout.CalleeSocket {
						s = "udp:edge"
					}
					body, _ = v.AppendWith(nil, f, []byte(s))
				}
				layout.Parse(id, body, &v)
				v.SetNumber(layout.State, uint32(3+n%2))
				v.SetNumber(layout.Start, uint32(now))
				v.SetNumber(layout.Timeout, uint32(now+3600))
				v.SetNumber(layout.Flags, 0)
				bodies = append(bodies, body)
				change := changes.Change{
					Capability: changes.Dialogs, Kind: dialog.Update, State: dialog.State(v.Number(layout.State)), Layout: changes.Layout(id), Bytes: body,
					BodySpan: changes.Span{To: uint32(len(body))}, KeySpan: changes.Span{To: uint32(len(v.Key()))},
				}
				_, out := c.shield.Process(nil, &change)
				if c.held[out.Held]++; out.Held == shield.Passed {
					c.proxy.Handle(out.Packet, now)
				}
			}
			if f := c.proxy.Faults(); f != (Faults{}) {
				t.Errorf("%+v", f)
			}
			got := c.proxy.Live()
			if len(got) != c.held[shield.Passed] || len(got) < 150 || c.held[shield.SocketTag] == 0 {
				t.Errorf("%d dialogs, held back %v", len(got), c.held)
			}
			for _, d := range got {
				var n int
				if _, err := fmt.Sscanf(d.CallID, "call-%d", &n); err != nil {
					t.Fatal(err)
				}
				layout.Parse(id, bodies[n], &v)
				if d.FromTag != string(v.Bytes(layout.FromTag)) || d.HID != v.Number(layout.HID) || d.CalleeContact != string(v.Bytes(layout.CalleeContact)) ||
					d.Timeout != v.Number(layout.Timeout) {
					t.Fatalf("%+v", d)
				}
			}
			if l := c.shield.Report().Lost; l.Converted != uint64(c.held[shield.Passed]) || len(l.ByName()) == 0 {
				t.Errorf("%+v", l)
			}
		})
	}
}

// socketsOf returns the sockets in the dialogs of a capture.
func socketsOf(list []layouttest.Packet) (sockets []string) {
	var d layout.Detector
	var v layout.View
	for i := range list {
		if p := &list[i]; p.Capability == "dialog-dlg-repl" && d.Parse(layout.Version(p.Version), p.Body, &v) == layout.NoFault {
			sockets = append(sockets, string(v.Bytes(layout.CallerSocket)), string(v.Bytes(layout.CalleeSocket)))
		}
	}
	return sockets
}

// TestConvertedCaptures plays what real proxies of 2.4 to 4.0 sent. A proxy of generation 1 that gets it converted has the
// same calls at the end.
func TestConvertedCaptures(t *testing.T) {
	for _, file := range layouttest.Captures(t, "tcp/*/S1.pcap") {
		list, err := layouttest.Packets(file, 5566)
		if err != nil {
			t.Fatal(err)
		}
		const at = 1_795_399_700
		c := newConverter(t, at, socketsOf(list)...)
		n := 0
		for i := range list {
			p := &list[i]
			if p.Capability != "dialog-dlg-repl" || p.Source() != 1 {
				continue
			}
			w := bin2.Begin(nil, p.Version, p.Capability, p.Type)
			w.Raw(p.Body)
			packet, err := w.EndTrailer(bin2.Trailer{Cluster: 1, Source: 1, Destination: 2})
			if err != nil {
				t.Fatal(err)
			}
			c.apply(packet, at)
			n++
		}
		if f := c.proxy.Faults(); f != (Faults{}) || n == 0 {
			t.Errorf("%s: %d packets, %+v", file, n, f)
		}
		want := c.live()
		for _, d := range c.proxy.Live() {
			name := fmt.Sprintf("%s %s %s", d.CallID, d.FromTag, d.ToTag)
			if !want[name] {
				t.Errorf("%s: %s is a ghost", file, name)
			}
			delete(want, name)
		}
		if len(want) > 0 {
			t.Errorf("%s: %d of the calls are missing; held back %v", file, len(want), c.held)
		}
	}
}
