package bpf

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// metaSize is the size of an entry of the meta map: the longest description, with a margin. Entry 0 is the length of
// the description as a u32, followed by the description as JSON. Entries 1 and 2 are marks: a time and two numbers, u64
// each. The last entry names the programs that fill the rings (putPrograms).
const (
	metaSize     = 2048
	metaPrograms = 3
	metaEntries  = 4
)

var errMeta = errors.New("it is damaged")

// meta describes the pinned state. A process takes over state that has the description of what it would make itself.
// Only the steering key may differ.
type meta struct {
	// Layout identifies the layout of records in a ring.
	Layout    string           `json:"layout"`
	Key       [2]uint64        `json:"key"`
	Rings     int              `json:"rings"`
	RingSize  int              `json:"ring_size"`
	Listeners []netip.AddrPort `json:"listeners"`
}

// newMeta returns the description for cfg, which must be complete.
func newMeta(cfg Config) meta {
	return meta{
		Layout: layout(), Key: [2]uint64{cfg.K0, cfg.K1},
		Rings: cfg.Rings, RingSize: cfg.RingSize, Listeners: cfg.Listeners,
	}
}

// layout returns a hash of everything that the reader of a ring relies on. Raise the first number when the meaning of a
// field changes but its place does not. The form of the maps is checked when a program is loaded for them.
func layout() string {
	sum := sha256.Sum256(fmt.Append(nil, 1, RecordReceived, RecordLength, RecordHash, RecordAddr, RecordPort, RecordListener,
		RecordHeader, SleeperSize, TallySize, MaxRings, MaxListeners, MaxKey))
	return hex.EncodeToString(sum[:8])
}

// compare returns an error that names the first difference.
func (m meta) compare(want meta) error {
	switch {
	case m.Layout != want.Layout:
		return fmt.Errorf("a version with another record layout made it (%s, now %s)", m.Layout, want.Layout)
	case m.Rings != want.Rings:
		return fmt.Errorf("it has %d rings, and %d are wanted", m.Rings, want.Rings)
	case m.RingSize != want.RingSize:
		return fmt.Errorf("its rings have %d bytes, and %d are wanted", m.RingSize, want.RingSize)
	case !slices.Equal(m.Listeners, want.Listeners):
		return fmt.Errorf("it is for the listen addresses %v, and %v are wanted", m.Listeners, want.Listeners)
	}
	return nil
}

func newMetaMap(m meta) (*ebpf.Map, error) {
	text, err := json.Marshal(m)
	if err != nil || len(text) > metaSize-4 {
		return nil, fmt.Errorf("description of %d bytes for pins: %w", len(text), err)
	}
	value := make([]byte, metaSize)
	binary.NativeEndian.PutUint32(value, uint32(len(text)))
	copy(value[4:], text)
	return ebpf.NewMap(&ebpf.MapSpec{
		Name: "binrepd_meta", Type: ebpf.Array, KeySize: 4, ValueSize: metaSize, MaxEntries: metaEntries,
		Contents: []ebpf.MapKV{{Key: uint32(0), Value: value}},
	})
}

func readMeta(from *ebpf.Map) (m meta, err error) {
	if from.Type() != ebpf.Array || from.ValueSize() != metaSize || from.MaxEntries() != metaEntries {
		return m, fmt.Errorf("%s: made by another version", pinMeta)
	}
	value, err := from.LookupBytes(uint32(0))
	if err != nil {
		return m, fmt.Errorf("%s: %w", pinMeta, err)
	}
	size := binary.NativeEndian.Uint32(value)
	if size > metaSize-4 {
		return m, fmt.Errorf("%s: %w", pinMeta, errMeta)
	}
	if err := json.Unmarshal(value[4:4+size], &m); err != nil {
		return m, fmt.Errorf("%s: %w", pinMeta, err)
	}
	return m, nil
}

// checkMap checks the form of a map that the program doesn't declare.
func (m meta) checkMap(name string, one *ebpf.Map) error {
	ok := true
	switch {
	case name == pinTally:
		ok = one.Type() == ebpf.Array && one.ValueSize() == TallySize && int(one.MaxEntries()) == MaxRings && one.Flags()&unix.BPF_F_MMAPABLE != 0
	case strings.HasPrefix(name, pinRing):
		ok = one.Type() == ebpf.RingBuf && int(one.MaxEntries()) == m.RingSize
	}
	if !ok {
		return fmt.Errorf("%s has the wrong type or size", name)
	}
	return nil
}
