package ring

import (
	"encoding/binary"

	"binrepd/bpf"
)

// counts are records by listener.
type counts [bpf.MaxListeners]uint64

func (c *counts) add(listener uint8) { c[listener%uint8(len(c))]++ }

// sum returns the number of records of all listeners.
func (c *counts) sum() (n uint64) {
	for _, one := range c {
		n += one
	}
	return n
}

// tally counts the records of one ring that have been given back, by listener. If rings outlive the process, it is in
// memory that does, too. bpf.TallySize describes its form.
type tally struct {
	counts
	slots [2][]byte // mapped; nil if nothing outlives the process
	turn  int       // the slot to write next
}

// newTally continues from the slot that has this position.
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

// write records the counts before position. The consumer moves to position next.
func (t *tally) write(position uint64, c *counts) {
	t.counts = *c
	slot := t.slots[t.turn]
	if slot == nil {
		return
	}
	t.turn ^= 1
	for i, n := range c {
		binary.NativeEndian.PutUint64(slot[8+8*i:], n)
	}
	binary.NativeEndian.PutUint64(slot, position)
}
