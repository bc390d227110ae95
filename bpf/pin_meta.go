package bpf

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// metaSize is the size of an entry of the map of that name: the longest description, with a margin. Entry 0 is the description as
// JSON behind its length, a u32; the others are marks: a time and two numbers, u64 each.
const (
	metaSize    = 2048
	metaEntries = 3
)

// meta describes what is pinned. A process takes over what has the same description as what it would make; only the
// steering key may be another.
type meta struct {
	// Layout stands for how records lie in a ring.
	Layout    string           `json:"layout"`
	Key       [2]uint64        `json:"key"`
	Rings     int              `json:"rings"`
	RingSize  int              `json:"ring_size"`
	Listeners []netip.AddrPort `json:"listeners"`
}

// newMeta describes what cfg, which is complete, asks for.
func newMeta(cfg Config) meta {
	return meta{
		Layout: layout(), Key: [2]uint64{cfg.K0, cfg.K1},
		Rings: cfg.Rings, RingSize: cfg.RingSize, Listeners: cfg.Listeners,
	}
}

// layout is a hash of everything on which the reader of a ring relies. The first number is raised when the meaning of any of
// it changes while its place does not. Whether maps have the right form is checked when a program is loaded for them.
func layout() string {
	sum := sha256.Sum256(fmt.Append(nil, 1, RecordReceived, RecordLength, RecordHash, RecordAddr, RecordPort, RecordListener,
		RecordHeader, SleeperSize, TallySize, MaxRings, MaxListeners, MaxKey))
	return hex.EncodeToString(sum[:8])
}

// compare tells what differs.
func (m meta) compare(want meta) error {
	switch {
	case m.Layout != want.Layout:
		return fmt.Errorf("it was made by a version with another layout of records (%s, now %s)", m.Layout, want.Layout)
	case m.Rings != want.Rings:
		return fmt.Errorf("it has %d rings, and there are to be %d", m.Rings, want.Rings)
	case m.RingSize != want.RingSize:
		return fmt.Errorf("its rings are of %d bytes, and are to be of %d", m.RingSize, want.RingSize)
	case !slices.Equal(m.Listeners, want.Listeners):
		return fmt.Errorf("it is for %v, and is to be for %v", m.Listeners, want.Listeners)
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
		return m, fmt.Errorf("%s: damaged", pinMeta)
	}
	if err := json.Unmarshal(value[4:4+size], &m); err != nil {
		return m, fmt.Errorf("%s: %w", pinMeta, err)
	}
	return m, nil
}

// checkMap checks the form of a map that no program declares.
func (m meta) checkMap(name string, one *ebpf.Map) error {
	ok := true
	switch {
	case name == pinTally:
		ok = one.Type() == ebpf.Array && one.ValueSize() == TallySize && int(one.MaxEntries()) == MaxRings && one.Flags()&unix.BPF_F_MMAPABLE != 0
	case strings.HasPrefix(name, pinRing):
		ok = one.Type() == ebpf.RingBuf && int(one.MaxEntries()) == m.RingSize
	}
	if !ok {
		return fmt.Errorf("%s is something else", name)
	}
	return nil
}
