package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// The tally of a ring counts the consumed records by listener. It divides the counters of the program into the part
// that an earlier process has accounted for and the part that this process must account for. A tally has two slots, of
// a u64 and MaxListeners u64 each: the consumer's position, and how many records of each listener came before it.
// Before the consumer moves its position, it writes the slot that doesn't hold the current one. So whenever the process
// dies, one of the slots has the position that the kernel knows, and with it the right numbers.
const (
	TallySlot = 256 // bytes; a multiple of a cache line
	TallySize = 2 * TallySlot
)

// newTally makes the map. The consumers map it into their memory.
func newTally() (*ebpf.Map, error) {
	return ebpf.NewMap(&ebpf.MapSpec{
		Name: "binrepd_tally", Type: ebpf.Array, KeySize: 4, ValueSize: TallySize, MaxEntries: uint32(MaxRings), Flags: unix.BPF_F_MMAPABLE,
	})
}

// consumed returns how many records, by listener, the earlier process had consumed when it ended.
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

var errTally = errors.New("it doesn't match the ring's position")

// consumerPosition returns the position up to which the ring has been consumed.
func consumerPosition(ring *ebpf.Map) (uint64, error) {
	page, err := unix.Mmap(ring.FD(), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return 0, fmt.Errorf("map consumer page: %w", err)
	}
	return binary.NativeEndian.Uint64(page), unix.Munmap(page)
}
