package bpf

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Mark records, in one of two places, which state a saved table has: it was saved at this time, it includes the first
// consumed records of all rings together, and overflows frames had found their ring full by then (Program.Overflows).
func (p *Pin) Mark(place int, saved time.Time, consumed, overflows uint64) error {
	if p.meta == nil {
		return nil
	}
	value := make([]byte, metaSize)
	for i, n := range [...]uint64{uint64(saved.UnixNano()), consumed, overflows} {
		binary.NativeEndian.PutUint64(value[8*i:], n)
	}
	if err := p.meta.Put(uint32(1+place&1), value); err != nil {
		return fmt.Errorf("mark what is saved: %w", err)
	}
	return nil
}

// Marked returns the mark of the table saved at this time: how many records it includes, and how many frames had found
// their ring full.
func (p *Pin) Marked(saved time.Time) (consumed, overflows uint64, ok bool) {
	if p.meta == nil {
		return 0, 0, false
	}
	for place := range uint32(2) {
		value, err := p.meta.LookupBytes(1 + place)
		if err == nil && len(value) >= 24 && int64(binary.NativeEndian.Uint64(value)) == saved.UnixNano() {
			return binary.NativeEndian.Uint64(value[8:]), binary.NativeEndian.Uint64(value[16:]), true
		}
	}
	return 0, 0, false
}
