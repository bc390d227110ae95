package ring

import (
	"encoding/binary"

	"binrepd/bpf"
)

// tally keeps, where rings outlive the process, how many records of each listener have been read of one ring. See
// bpf.TallySize for the form. The zero value keeps nothing.
type tally struct {
	slots  [2][]byte // mapped
	turn   int       // the slot to write next
	counts [bpf.MaxListeners]uint64
}

// newTally goes on from the slot that belongs to position.
func newTally(memory []byte, position uint64) tally {
	t := tally{slots: [2][]byte{memory[:bpf.TallySlot], memory[bpf.TallySlot:bpf.TallySize]}}
	slot := t.slots[0]
	if binary.NativeEndian.Uint64(slot) == position {
		t.turn = 1
	} else {
		slot = t.slots[1]
	}
	for i := range t.counts {
		t.counts[i] = binary.NativeEndian.Uint64(slot[8+8*i:])
	}
	return t
}

func (t *tally) count(listener uint8) { t.counts[listener%uint8(len(t.counts))]++ }

// write notes what was read before position, to which the consumer moves next.
func (t *tally) write(position uint64) {
	slot := t.slots[t.turn]
	if slot == nil {
		return
	}
	t.turn ^= 1
	for i, n := range t.counts {
		binary.NativeEndian.PutUint64(slot[8+8*i:], n)
	}
	binary.NativeEndian.PutUint64(slot, position)
}

// sum returns how many records that are.
func (t *tally) sum() (n uint64) {
	for _, c := range t.counts {
		n += c
	}
	return n
}
