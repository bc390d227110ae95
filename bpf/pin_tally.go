package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// The tally of a ring: what has been given back of it, by listener, so that the counters of the program can be told apart into
// what is gone with an earlier process and what this one has to account for. It is two slots of a u64 and MaxListeners u64 each:
// the consumer's position, and how many records of each listener came before. Before the consumer moves
// its position it writes the slot that doesn't hold the present one. Whenever it dies, one of the slots has the position that the kernel knows,
// and with it the right numbers.
const (
	TallySlot = 256 // bytes, cache lines of its own
	TallySize = 2 * TallySlot
)

// newTally makes the map, which the consumers map.
func newTally() (*ebpf.Map, error) {
	return ebpf.NewMap(&ebpf.MapSpec{
		Name: "binrepd_tally", Type: ebpf.Array, KeySize: 4, ValueSize: TallySize, MaxEntries: uint32(MaxRings), Flags: unix.BPF_F_MMAPABLE,
	})
}

// consumed returns how many records had been read, by listener, when the process ended from which the rings were taken over.
func consumed(rings []*ebpf.Map, tally *ebpf.Map) (sum [MaxListeners]uint64, err error) {
	for i, r := range rings {
		position, err := consumerPosition(r)
		if err != nil {
			return sum, fmt.Errorf("ring %d: %w", i, err)
		}
		value, err := tally.LookupBytes(uint32(i))
		if err != nil || len(value) != TallySize {
			return sum, fmt.Errorf("tally of ring %d: %w", i, errors.Join(err, errTally))
		}
		slot := value[:TallySlot]
		if binary.NativeEndian.Uint64(slot) != position {
			slot = value[TallySlot:]
		}
		if binary.NativeEndian.Uint64(slot) != position {
			return sum, fmt.Errorf("tally of ring %d: %w", i, errTally)
		}
		for l := range sum {
			sum[l] += binary.NativeEndian.Uint64(slot[8+8*l:])
		}
	}
	return sum, nil
}

var errTally = errors.New("it doesn't belong to the ring")

// consumerPosition reads up to where the ring has been read.
func consumerPosition(ring *ebpf.Map) (uint64, error) {
	page, err := unix.Mmap(ring.FD(), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return 0, fmt.Errorf("map consumer page: %w", err)
	}
	return binary.NativeEndian.Uint64(page), unix.Munmap(page)
}
