package egress

import (
	"encoding/binary"
	"fmt"

	"binrepd/userspace/wire/bin1"
)

// maxNamed bounds the bytes of a Call-ID in the log.
const maxNamed = 128

// nameTooLong leaves a note of d.change, the first that is too long for a packet. All are counted by the shield.
func (d *destination) nameTooLong() {
	d.named = true
	key, prefix, n := d.change.Key(), 2, 0
	if d.change.Layout == bin1.Layout {
		prefix = 4
	}
	if len(key) >= prefix {
		n = int(binary.LittleEndian.Uint16(key))
		key = key[prefix:]
	}
	n = min(n, len(key), maxNamed)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tooLong = fmt.Sprintf("%+q, %d bytes", key[:n], len(d.change.Bytes))
	d.pokeWatch()
}

// takeTooLong returns the note, once.
func (d *destination) takeTooLong() (note string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	note, d.tooLong = d.tooLong, ""
	return note
}
