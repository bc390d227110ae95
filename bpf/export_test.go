package bpf

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Station and Home are what the program knows of the host, for tests outside of the package.
type (
	Station struct {
		Interface int
		Tags      uint32
		MAC       [6]byte
	}
	Home struct {
		Interface int
		Tags      uint32
		Address   netip.Addr
	}
)

// SetHost tells the program what Follow would tell it.
func (p *Program) SetHost(stations []Station, homes []Home, own []netip.Addr, mayMerge bool) error {
	var s []binrepdStation
	for _, one := range stations {
		var mac [8]byte
		copy(mac[:], one.MAC[:])
		s = append(s, binrepdStation{Interface: uint32(one.Interface), Tags: one.Tags, Mac: binary.LittleEndian.Uint64(mac[:])})
	}
	var h []binrepdHome
	for _, one := range homes {
		h = append(h, binrepdHome{Interface: uint32(one.Interface), Tags: one.Tags, Addr: one.Address.As16()})
	}
	var o []binrepdSource
	for _, one := range own {
		o = append(o, binrepdSource{Addr: one.As16()})
	}
	_, err := p.setStations(s)
	_, err2 := p.homes.set(h)
	_, err3 := p.own.set(o)
	return errors.Join(err, err2, err3, p.setMayMerge(mayMerge))
}
