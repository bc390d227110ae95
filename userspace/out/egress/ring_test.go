package egress_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/packets/packetstest"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/wire/bin1/bin1test"
)

// appliance is an engine, a table and a fan-out, with a fake socket at address.
type appliance struct {
	address string
	source  *packetstest.Source
	table   *dialog.Table
	egress  *egress.Egress
}

// network delivers what an appliance sends to the one that it is for.
type network struct {
	from       packets.Endpoint
	appliances map[packets.Endpoint]*appliance
}

func (n network) Send(messages []packets.Message) (int, error) {
	for i, m := range messages {
		to := n.appliances[m.To]
		if to == nil {
			return i, errors.New("nobody is there")
		}
		to.source.Feed(arrived(m.Payload, n.from))
	}
	return len(messages), nil
}

func arrived(payload []byte, from packets.Endpoint) packets.Packet {
	return packets.Packet{Payload: payload, Sender: packets.Sender{Endpoint: from}, Hash: packets.Steering{}.Hash(payload, from)}
}

func (a *appliance) details() (list []dialog.Details) {
	var cur dialog.Cursor
	for more := true; more; {
		more = a.table.Scan(&cur, func(v *dialog.View) {
			if v.State().Live() {
				list = append(list, v.Body().Details())
			}
		})
	}
	return list
}

// connect starts appliances, of which number i sends to those that links[i] names.
func connect(t *testing.T, links [][]int) (list []*appliance) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	byEndpoint := map[packets.Endpoint]*appliance{}
	ended := make(chan error, len(links))
	for i := range links {
		a := &appliance{address: fmt.Sprintf("192.0.2.%d:5556", i+1), source: packetstest.NewSource()}
		here := netip.MustParseAddrPort(a.address)
		byEndpoint[packets.EndpointOf(here)] = a
		quiet := slog.New(slog.DiscardHandler)
		var err error
		if a.table, err = dialog.NewTable(dialog.Config{}); err != nil {
			t.Fatal(err)
		}
		if a.egress, err = egress.New(egress.Config{
			Sink: network{from: packets.EndpointOf(here), appliances: byEndpoint}, Log: quiet,
		}); err != nil {
			t.Fatal(err)
		}
		e, err := engine.New(engine.Config{Table: a.table, Intakes: packets.Listeners([]netip.AddrPort{here}), Outlet: a.egress, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, a)
		go func() { ended <- e.Run(ctx, []engine.Input{{Source: a.source, Name: a.address}}) }()
	}
	for i, to := range links {
		for _, k := range to {
			if err := list[i].egress.Add(egress.Destination{Address: list[k].address}); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Cleanup(func() {
		cancel()
		for range list {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		for _, a := range list {
			a.egress.Close(ctx)
			a.table.Close()
		}
	})
	return list
}

func (a *appliance) sent(t *testing.T) (n uint64) {
	for _, d := range a.egress.Status().Destinations {
		if d.Queued != 0 || d.Dropped != 0 || d.Lost != 0 {
			t.Errorf("%s to %s: %d queued, %d dropped, %d lost", a.address, d.Address, d.Queued, d.Dropped, d.Lost)
		}
		for _, c := range d.Sent {
			n += c
		}
	}
	return n
}

var shapes = map[string]struct {
	links [][]int
	// packets tells how many each sends of one event that reaches the first.
	packets []uint64
}{
	"a pair":          {[][]int{{1}, {0}}, []uint64{1, 0}},
	"a ring of three": {[][]int{{1}, {2}, {0}}, []uint64{1, 1, 1}},
	"a chain":         {[][]int{{1}, {2}, {}}, []uint64{1, 1, 0}},
}

func TestOneEventDiesOut(t *testing.T) {
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				list := connect(t, shape.links)
				proxy := bin1test.NewProxy(1, bin1test.Realistic(time.Now().Unix(), 10))
				list[0].source.Feed(arrived(proxy.Next(nil), packets.Endpoint{Port: 5555}))
				time.Sleep(10 * time.Second)
				for i, a := range list {
					if n := a.sent(t); n != shape.packets[i] {
						t.Errorf("number %d sent %d packets, want %d", i, n, shape.packets[i])
					}
					if n := len(a.details()); n != 1 {
						t.Errorf("number %d has %d dialogs", i, n)
					}
				}
			})
		})
	}
}

// TestTablesBecomeEqual lets real traffic into different members of each shape, the full mesh among them.
func TestTablesBecomeEqual(t *testing.T) {
	captures := bin1test.Captures(t)
	mesh := [][]int{{1, 2}, {0, 2}, {0, 1}}
	for name, links := range map[string][][]int{"a pair": shapes["a pair"].links, "a ring of three": shapes["a ring of three"].links, "a mesh": mesh} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				list := connect(t, links)
				var expected []bin1test.Listed
				events := uint64(0)
				for i, c := range captures {
					expected = append(expected, c.Expected...)
					for _, d := range c.Datagrams {
						list[i%len(list)].source.Feed(arrived(d.Payload, packets.Endpoint{Port: uint16(i + 1)}))
						events++
					}
				}
				time.Sleep(time.Minute)
				for i, a := range list {
					for _, difference := range bin1test.Diff(a.details(), expected) {
						t.Errorf("number %d: %s", i, difference)
					}
					if n := a.sent(t); n > events*uint64(len(links[i])) {
						t.Errorf("number %d sent %d packets of %d events", i, n, events)
					}
				}
				before := list[0].sent(t)
				time.Sleep(time.Hour / 4)
				if now := list[0].sent(t); now != before {
					t.Errorf("an echo: %d packets more", now-before)
				}
			})
		})
	}
}
