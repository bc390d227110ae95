package bpf

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

// testHost has two network cards in a bond with a VLAN, in which there is another VLAN and a macvlan; a card with a bridge; a
// tunnel without Ethernet; and an address on lo.
func testHost() *host {
	addrs := func(list ...string) (all []netip.Addr) {
		for _, a := range list {
			all = append(all, netip.MustParseAddr(a))
		}
		return all
	}
	mac := func(last byte) [6]byte { return [6]byte{2, 0, 0, 0, 0, last} }
	return &host{devices: []device{
		{index: 1, names: []string{"lo"}, kind: "device", loopback: true, up: true, addresses: addrs("127.0.0.1", "::1", "10.9.0.1")},
		{index: 2, names: []string{"eth0"}, kind: "device", ethernet: true, up: true, mac: mac(2), master: 4},
		{index: 3, names: []string{"eth1"}, kind: "device", ethernet: true, up: true, mac: mac(2), master: 4},
		{index: 4, names: []string{"bond0"}, kind: "bond", ethernet: true, up: true, mac: mac(2), addresses: addrs("10.0.0.1")},
		{index: 5, names: []string{"bond0.7"}, kind: "vlan", ethernet: true, up: true, mac: mac(2), parent: 4, tag: 7, addresses: addrs("10.1.0.1", "fd01::1")},
		{index: 6, names: []string{"inner"}, kind: "vlan", ethernet: true, up: true, mac: mac(2), parent: 5, tag: 8, addresses: addrs("10.2.0.1")},
		{index: 7, names: []string{"vrrp"}, kind: "macvlan", ethernet: true, up: true, mac: mac(7), parent: 5, addresses: addrs("10.3.0.1")},
		{index: 8, names: []string{"eth2"}, kind: "device", ethernet: true, up: true, mac: mac(8), master: 9},
		{index: 9, names: []string{"br0"}, kind: "bridge", ethernet: true, up: true, mac: mac(9), addresses: addrs("10.4.0.1")},
		{index: 10, names: []string{"tun0"}, kind: "tuntap", up: true, addresses: addrs("10.5.0.1")},
		{index: 11, names: []string{"down"}, kind: "vlan", ethernet: true, mac: mac(11), parent: 9, tag: 9 | serviceTag, addresses: addrs("10.6.0.1")},
	}}
}

func TestEntrances(t *testing.T) {
	h := testHost()
	for listen, want := range map[string][]int{
		"10.0.0.1": {4}, "10.1.0.1": {4}, "fd01::1": {4}, "10.2.0.1": {4}, "10.3.0.1": {4}, "10.4.0.1": {9}, "10.5.0.1": nil,
		"10.6.0.1": {9}, "10.7.0.1": nil, "10.9.0.1": {4, 9}, "127.0.0.1": {1}, "127.0.0.53": {1}, "::1": {1}, "0.0.0.0": {4, 9}, "::": {4, 9},
	} {
		if got := h.entrancesTo(netip.MustParseAddr(listen)); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", listen, got, want)
		}
	}
}

func TestStations(t *testing.T) {
	h := testHost()
	var got []string
	for _, s := range h.stations([]int{4, 9}) {
		got = append(got, fmt.Sprintf("%d/%x/%d", s.Interface, s.Tags, byte(s.Mac>>40)))
	}
	slices.Sort(got)
	// A bond runs the program at its members, a bridge at itself.
	want := []string{
		"2/0/2", "2/7/2", "2/7/7", "2/70008/2", "3/0/2", "3/7/2", "3/7/7", "3/70008/2", "4/0/2", "4/7/2", "4/7/7", "4/70008/2",
		"8/0/8", "8/0/9", "9/0/9",
	}
	if !slices.Equal(got, want) {
		t.Errorf("stations\n%v, want\n%v", got, want)
	}
	if left := h.stations([]int{10}); len(left) != 0 {
		t.Errorf("stations of a tunnel: %v", left)
	}
}

func TestHomes(t *testing.T) {
	h := testHost()
	homes := func(followed []int, listeners ...string) (list []string) {
		for _, one := range h.homes(addrPorts(listeners...), followed) {
			list = append(list, fmt.Sprintf("%d/%x/%v", one.Interface, one.Tags, netip.AddrFrom16(one.Addr).Unmap()))
		}
		slices.Sort(list)
		return list
	}
	for _, c := range []struct {
		listen string
		want   []string
	}{
		{"10.0.0.1:1", nil},
		{"10.1.0.1:1", []string{"2/7/10.1.0.1", "3/7/10.1.0.1", "4/7/10.1.0.1"}},
		{"10.2.0.1:1", []string{"2/70008/10.2.0.1", "3/70008/10.2.0.1", "4/70008/10.2.0.1"}},
		{"10.3.0.1:1", []string{"2/7/10.3.0.1", "3/7/10.3.0.1", "4/7/10.3.0.1"}},
		{"10.6.0.1:1", nil}, // its VLAN is down
		{"10.9.0.1:1", []string{"2/7/10.9.0.1", "2/70008/10.9.0.1", "3/7/10.9.0.1", "3/70008/10.9.0.1", "4/7/10.9.0.1", "4/70008/10.9.0.1"}},
		{"[::]:1", []string{"2/7/fd01::1", "3/7/fd01::1", "4/7/fd01::1"}},
	} {
		if got := homes([]int{4}, c.listen); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.listen, got, c.want)
		}
	}
}

// TestStack ends although interfaces stand on each other in a circle, which a kernel that changes meanwhile may report.
func TestStack(t *testing.T) {
	h := &host{devices: []device{
		{index: 1, names: []string{"a"}, kind: "macvlan", ethernet: true, parent: 2, up: true},
		{index: 2, names: []string{"b"}, kind: "macvlan", ethernet: true, parent: 1, up: true},
	}}
	if list := h.under(&h.devices[0]); len(list) != maxStack+1 {
		t.Errorf("%v", list)
	}
	if list := h.entrances(&h.devices[0]); len(list) != 1 {
		t.Errorf("%v", list)
	}
}
