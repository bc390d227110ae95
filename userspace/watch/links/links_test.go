package links

import (
	"errors"
	"maps"
	"testing"
	"testing/fstest"

	"github.com/vishvananda/netlink"

	"binrepd/bpf/bpftest"
)

// sample is one reading of eth0, and what the backlogs dropped.
type sample struct {
	Reading
	backlog uint64
}

func TestWatcher(t *testing.T) {
	up := func(dropped, missed uint64) Reading {
		return Reading{Index: 3, Link: Up, Dropped: dropped, Missed: missed}
	}
	queue := func(n uint64) Reading {
		return Reading{Index: 3, Link: Up, Missed: n, Queues: map[string]uint64{"rx_out_of_buffer": n, "rx_no_buffer": 5}}
	}
	for _, test := range []struct {
		name    string
		samples []sample
		want    State
	}{
		{"what was lost before the start is no loss", []sample{{up(1000, 1000), 1000}}, State{Link: Up}},
		{"nothing is lost", []sample{{up(5, 5), 5}, {up(5, 5), 5}}, State{Link: Up}},
		{"missed", []sample{{up(0, 5), 0}, {up(0, 8), 0}, {up(0, 9), 0}}, State{Link: Up, Lost: 4, Missed: 4}},
		{"a few frames that nothing handles", []sample{{up(0, 0), 0}, {up(10, 0), 0}, {up(20, 0), 0}}, State{Link: Up, Dropped: 20}},
		{"many dropped", []sample{{up(0, 0), 0}, {up(30, 0), 0}}, State{Link: Up, Lost: 30, Dropped: 30}},
		{"a full backlog drops a few", []sample{{up(0, 0), 7}, {up(4, 0), 9}}, State{Link: Up, Lost: 2, Dropped: 4}},
		{"a full backlog of another interface", []sample{{up(0, 0), 0}, {up(0, 0), 90}}, State{Link: Up}},
		{"queues", []sample{{queue(2), 0}, {queue(6), 0}}, State{Link: Up, Lost: 4, Missed: 4, Queues: map[string]uint64{"rx_out_of_buffer": 4}}},
		{
			"XDP takes", []sample{
				{Reading{Index: 3, Link: Up, Dropped: 100, TakenAsDropped: 100}, 0}, {Reading{Index: 3, Link: Up, Dropped: 220, TakenAsDropped: 200}, 0},
			}, State{Link: Up, Lost: 20, Dropped: 20},
		},
		{"a counter that goes back", []sample{{up(100, 100), 100}, {up(3, 3), 3}, {up(3, 4), 3}}, State{Link: Up, Lost: 1, Missed: 1}},
		{"down", []sample{{up(0, 0), 0}, {Reading{Index: 3, Link: Down}, 0}}, State{Link: Down}},
		{"gone", []sample{{up(0, 7), 0}, {Reading{}, 0}}, State{Link: Missing}},
		{"a new interface of this name begins at zero", []sample{{up(0, 7), 0}, {Reading{}, 0}, {Reading{Index: 4, Link: Up, Missed: 2}, 0}}, State{Link: Up, Lost: 2, Missed: 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var w Watcher
			for _, s := range test.samples {
				w.Sample([]string{"eth0"}, []Reading{s.Reading}, s.backlog)
			}
			got := w.States()[0]
			if got.Name != "eth0" || got.Link != test.want.Link || got.Lost != test.want.Lost || got.Dropped != test.want.Dropped ||
				got.Missed != test.want.Missed || !maps.Equal(got.Queues, test.want.Queues) {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

// TestWatchedInterfacesChange: interfaces come and go.
func TestWatchedInterfacesChange(t *testing.T) {
	var w Watcher
	w.Sample([]string{"eth0"}, []Reading{{Index: 1, Link: Up}}, 0)
	w.Sample([]string{"eth1"}, []Reading{{Index: 2, Link: Up, Missed: 9}}, 0)
	if s := w.States(); len(s) != 1 || s[0].Name != "eth1" || s[0].Lost != 0 {
		t.Errorf("%+v: what eth1 lost before it was watched is no loss", s)
	}
}

func TestDriverCounters(t *testing.T) {
	var r Reading
	r.driver("virtio_net", map[string]uint64{"rx_queue_0_drops": 90, "rx_queue_0_xdp_drops": 40, "rx_queue_1_xdp_drops": 50})
	if r.TakenAsDropped != 90 || len(r.Queues) != 0 {
		t.Errorf("virtio_net: %+v", r)
	}
	r = Reading{}
	r.driver("veth", map[string]uint64{"rx_queue_0_xdp_drops": 40, "peer_ifindex": 3})
	if r.TakenAsDropped != 0 || len(r.Queues) != 0 {
		t.Errorf("veth doesn't count what XDP took as dropped: %+v", r)
	}
	for name, want := range map[string]bool{
		"rx_out_of_buffer": true, "rx_discards_phy": true, "rx_no_dma_resources": true, "rx_missed_errors": true, "port.rx_discards": true,
		"rx0_xdp_overrun": false, "tx_fifo_errors": false, "rx_packets": false, "queue_0_rx_overruns": true,
	} {
		if got := meansNoRoom(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestBacklog(t *testing.T) {
	root := fstest.MapFS{"proc/net/softnet_stat": {Data: []byte("0000a1b2 0000000a 00000000\n00000001 00000010\n\n")}}
	if n := Backlog(root); n != 26 {
		t.Errorf("%d", n)
	}
	if n := Backlog(fstest.MapFS{}); n != 0 {
		t.Errorf("%d without the file", n)
	}
}

// TestRead follows the link of a real interface through its states.
func TestRead(t *testing.T) {
	ns := bpftest.NewNamespace(t)
	ns.Do(func() error {
		check := func(want Link) {
			t.Helper()
			if r := Read("bin0"); r.Link != want || (r.Index == 0) != (want == Missing) {
				t.Errorf("%+v, want link %d", r, want)
			}
		}
		check(Missing)
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "bin0"}, PeerName: "bin1"}
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		check(Down)
		peer, err := netlink.LinkByName("bin1")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(veth); err != nil {
			return err
		}
		check(NoCarrier)
		err = netlink.LinkSetUp(peer)
		check(Up)
		return errors.Join(err, netlink.LinkDel(veth))
	})
}
