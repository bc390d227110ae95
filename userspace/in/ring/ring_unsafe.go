package ring

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"binrepd/bpf"
)

// loadUint32 loads the word at offset at, which must be a multiple of 4, in host byte order. Later loads can't move
// before this one. That is needed because the kernel clears the busy bit after it has written the record.
func loadUint32(b []byte, at uint64) uint32 {
	return atomic.LoadUint32((*uint32)(unsafe.Pointer(&b[at : at+4][0])))
}

// position returns the first 8 bytes of a page as a position.
func position(page []byte) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&page[:8][0]))
}

// mapping is a ring buffer and its sleep flag, mapped into our address space.
type mapping struct {
	consumer []byte // one page, writable
	producer []byte // one page and the data twice, read-only
	sleepers []byte // the flags of all rings, writable
	tallies  []byte // the tallies of all rings, writable; nil if nothing outlives the process
	flag     *atomic.Uint32
}

// mapRing maps the ring buffer, the sleep flag of ring number index, and the tallies unless they are nil.
func mapRing(buffer, sleepers, tallies *ebpf.Map, index int) (*mapping, error) {
	m := new(mapping)
	page := os.Getpagesize()
	size := int(buffer.MaxEntries())
	flags := (int(sleepers.MaxEntries())*bpf.SleeperSize + page - 1) &^ (page - 1)
	var err error
	if m.consumer, err = unix.Mmap(buffer.FD(), 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("map consumer page: %w", err)
	}
	if m.producer, err = unix.Mmap(buffer.FD(), int64(page), page+2*size, unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return nil, errors.Join(fmt.Errorf("map data pages: %w", err), m.unmap())
	}
	if m.sleepers, err = unix.Mmap(sleepers.FD(), 0, flags, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, errors.Join(fmt.Errorf("map sleep flags: %w", err), m.unmap())
	}
	if tallies != nil {
		if m.tallies, err = unix.Mmap(tallies.FD(), 0, int(tallies.MaxEntries())*bpf.TallySize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
			return nil, errors.Join(fmt.Errorf("map tallies: %w", err), m.unmap())
		}
	}
	m.flag = (*atomic.Uint32)(unsafe.Pointer(&m.sleepers[index*bpf.SleeperSize]))
	return m, nil
}

// ring returns a ring that walks the mapped memory.
func (m *mapping) ring() ring {
	return newRing(m.producer[os.Getpagesize():], position(m.producer), position(m.consumer))
}

func (m *mapping) unmap() error {
	var errs []error
	for _, b := range [][]byte{m.consumer, m.producer, m.sleepers, m.tallies} {
		if b != nil {
			errs = append(errs, unix.Munmap(b))
		}
	}
	*m = mapping{}
	return errors.Join(errs...)
}
