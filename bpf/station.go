package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"
)

// MaxStations is how many MAC addresses the program knows.
const MaxStations = int(binrepdLimitMAX_STATIONS)

// stations returns the MAC addresses at which the host receives, by interface and tags, as far as frames to them come by an
// interface of followed.
func (h *host) stations(followed []int) (list []binrepdStation) {
	for i := range h.devices {
		d := &h.devices[i]
		var mac [8]byte
		copy(mac[:], d.mac[:])
		for _, p := range h.under(d) {
			s := binrepdStation{Interface: uint32(p.index), Tags: p.tags, Mac: binary.LittleEndian.Uint64(mac[:])}
			if d.ethernet && (d.up || d.index == p.index) && h.passes(p.index, followed) && !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
	}
	return list
}

// passes reports whether a program on one of the interfaces followed sees the frames of the interface. A bond runs its program
// at its members.
func (h *host) passes(index int, followed []int) bool {
	if slices.Contains(followed, index) {
		return true
	}
	d := h.at(index)
	return d != nil && d.master != 0 && slices.Contains(followed, d.master)
}

// homes returns the VLANs on which the listen addresses live. Those of a loopback interface live on all.
func (h *host) homes(listeners []netip.AddrPort, followed []int) (list []binrepdHome) {
	listens := func(addr netip.Addr) bool {
		return slices.ContainsFunc(listeners, func(l netip.AddrPort) bool {
			return l.Addr() == addr || l.Addr().IsUnspecified() && l.Addr().Is4() == addr.Is4()
		})
	}
	var everywhere []netip.Addr
	for i := range h.devices {
		if d := &h.devices[i]; d.loopback || d.hollow() {
			everywhere = append(everywhere, d.addresses...)
		}
	}
	for i := range h.devices {
		d := &h.devices[i]
		if !d.up {
			continue
		}
		for _, p := range h.under(d) {
			if p.tags == 0 || !h.passes(p.index, followed) {
				continue
			}
			for _, addr := range slices.Concat(d.addresses, everywhere) {
				home := binrepdHome{Interface: uint32(p.index), Tags: p.tags, Addr: addr.As16()}
				if listens(addr) && !addr.IsLoopback() && !slices.Contains(list, home) {
					list = append(list, home)
				}
			}
		}
	}
	return list
}

// setStations tells the program the stations. It returns how many did not fit. Frames to these go to the kernel. Without any,
// the program doesn't look at MAC addresses and VLANs.
func (p *Program) setStations(list []binrepdStation) (left int, err error) {
	var all [MaxStations]binrepdStation
	n := copy(all[:], list)
	if err := errors.Join(p.objects.Stations.Set(all), p.objects.StationCount.Set(uint32(n))); err != nil {
		return 0, fmt.Errorf("MAC addresses of the host: %w", err)
	}
	return len(list) - n, nil
}

// setMayMerge tells the program whether an interface has it in generic mode.
func (p *Program) setMayMerge(yes bool) error {
	n := uint32(0)
	if yes {
		n = 1
	}
	if err := p.objects.MayMerge.Set(n); err != nil {
		return fmt.Errorf("search for merged datagrams: %w", err)
	}
	return nil
}

// mapSet keeps the keys of a map equal to a list.
type mapSet[K comparable] struct {
	entries *ebpf.Map
	current map[K]bool
}

// set puts what is missing and deletes what is too much. It returns how many did not fit.
func (m *mapSet[K]) set(list []K) (left int, err error) {
	want := make(map[K]bool, len(list))
	for _, key := range list {
		want[key] = true
	}
	for key := range m.current { // first, since the map may be full
		if !want[key] {
			if err := m.entries.Delete(key); err != nil {
				return 0, fmt.Errorf("map of the XDP program: %w", err)
			}
			delete(m.current, key)
		}
	}
	if m.current == nil {
		m.current = make(map[K]bool, len(list))
	}
	for key := range want {
		if m.current[key] {
			continue
		}
		if len(m.current) >= int(m.entries.MaxEntries()) {
			left++
			continue
		}
		if err := m.entries.Put(key, uint8(1)); err != nil {
			return 0, fmt.Errorf("map of the XDP program: %w", err)
		}
		m.current[key] = true
	}
	return left, nil
}
