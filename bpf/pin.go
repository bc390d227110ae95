package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"binrepd/userspace/host/folder"
)

// Pin is a folder of a BPF filesystem in which rings, counters and attachments outlive the process. While no process
// reads the rings, the program goes on filling them. The next process takes over what it finds there if it fits its own
// configuration. It loads its own program, which then replaces the old one on every interface in one step.
//
//	meta      the description: layout, steering key, rings, listen addresses; and marks of what was saved
//	rings, ring_0, ...   sleepers   verdicts
//	tally     how many records of each ring have been consumed, by listener (see Tally)
//	link_2    the attachment to the interface with index 2; it keeps the program and all its other maps alive
//
// A lock on the folder makes sure that only one process uses it at a time.
type Pin struct {
	dir    string
	lock   *os.File
	meta   *ebpf.Map // the pinned meta map, for marks
	found  *found
	reason string
}

// found is existing state that fits.
type found struct {
	meta meta
	maps map[string]*ebpf.Map
}

// Names in the folder. Pins can't have dots in their names.
const (
	pinMeta     = "meta"
	pinRings    = binrepdMapRings
	pinSleepers = binrepdMapSleepers
	pinVerdicts = binrepdMapVerdicts
	pinTally    = "tally"
	pinRing     = "ring_"
	pinLink     = "link_"
)

// NotBPFError says that a folder isn't in a BPF filesystem.
type NotBPFError struct{ Path string }

func (e *NotBPFError) Error() string {
	return e.Path + " is not in a BPF filesystem; make one there by: mount -t bpf bpf /sys/fs/bpf"
}

// OpenPin opens and locks the folder, and checks whether its contents fit cfg. It makes the folder if only the last
// part of the path is missing. Contents that don't fit stay until Load replaces them.
func OpenPin(dir string, cfg Config) (*Pin, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	p := &Pin{dir: dir}
	if err := p.take(true); err != nil {
		return nil, err
	}
	found, err := p.find(newMeta(cfg))
	switch {
	case err == nil:
		p.found, p.meta = found, found.maps[pinMeta]
	case errors.Is(err, fs.ErrNotExist) && !p.any():
	case errors.Is(err, fs.ErrPermission):
		return nil, errors.Join(fmt.Errorf("pinned state in %s: %w", dir, err), p.Close())
	default:
		p.reason = err.Error()
	}
	return p, nil
}

// Unpin removes everything from the folder that Pin put there, and the folder itself if it is then empty. Attachments
// end, and records that wait in the rings are lost. It returns the names of what it removed.
func Unpin(dir string) ([]string, error) {
	p := &Pin{dir: dir}
	if err := p.take(false); err != nil {
		return nil, err
	}
	removed, err := p.clear()
	if e := os.Remove(dir); e != nil && !errors.Is(e, unix.ENOTEMPTY) && !errors.Is(e, unix.EBUSY) {
		err = errors.Join(err, e)
	}
	return removed, errors.Join(err, p.Close())
}

// take opens and locks the folder.
func (p *Pin) take(create bool) error {
	if err := inBPF(p.dir, create); err != nil {
		return err
	}
	if create {
		if err := os.Mkdir(p.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("folder for pins: %w", err)
		}
	}
	f, err := folder.Lock(p.dir)
	if err != nil {
		return fmt.Errorf("folder of pins: %w", err)
	}
	p.lock = f
	return nil
}

// inBPF checks that dir is in a BPF filesystem. With parent, it checks the parent folder if dir does not exist.
func inBPF(dir string, parent bool) error {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	if parent && errors.Is(err, fs.ErrNotExist) {
		err = unix.Statfs(filepath.Dir(filepath.Clean(dir)), &st)
	}
	if err != nil {
		return fmt.Errorf("folder for pins %s: %w", dir, err)
	}
	if st.Type != unix.BPF_FS_MAGIC {
		return &NotBPFError{Path: dir}
	}
	return nil
}

// IsFileSystem reports whether dir is in a BPF filesystem.
func IsFileSystem(dir string) bool { return inBPF(dir, false) == nil }

// Adopted reports whether there is state to take over.
func (p *Pin) Adopted() bool { return p != nil && p.found != nil }

// Reason is why existing state is not taken over. It is empty if it is taken over, or if there was none.
func (p *Pin) Reason() string { return p.reason }

// Key returns the steering key of the existing state.
func (p *Pin) Key() (k0, k1 uint64, ok bool) {
	if !p.Adopted() {
		return 0, 0, false
	}
	return p.found.meta.Key[0], p.found.meta.Key[1], true
}

// find opens the existing state. The error says why it doesn't fit.
func (p *Pin) find(want meta) (_ *found, err error) {
	f := &found{maps: map[string]*ebpf.Map{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	open := func(name string) error {
		m, err := ebpf.LoadPinnedMap(filepath.Join(p.dir, name), nil)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		f.maps[name] = m
		return want.checkMap(name, m)
	}
	if err := open(pinMeta); err != nil {
		return f, err
	}
	if f.meta, err = readMeta(f.maps[pinMeta]); err != nil {
		return f, err
	}
	if err := f.meta.compare(want); err != nil {
		return f, err
	}
	names := []string{pinRings, pinSleepers, pinVerdicts, pinTally}
	for i := range want.Rings {
		names = append(names, ringName(i))
	}
	for _, name := range names {
		if err := open(name); err != nil {
			return f, err
		}
	}
	return f, nil
}

func ringName(i int) string { return fmt.Sprintf("%s%d", pinRing, i) }

func (f *found) close() error {
	var errs []error
	for _, m := range f.maps {
		errs = append(errs, m.Close())
	}
	f.maps = nil
	return errors.Join(errs...)
}

// replacements returns the existing maps that the program uses instead of new ones.
func (p *Pin) replacements() map[string]*ebpf.Map {
	r := map[string]*ebpf.Map{}
	for _, name := range []string{pinRings, pinSleepers, pinVerdicts} {
		r[name] = p.found.maps[name]
	}
	return r
}

// put pins new maps in place of old ones. Meta is removed first and pinned last. So if the process dies in between, it
// leaves nothing that looks complete.
func (p *Pin) put(m meta, maps map[string]*ebpf.Map) error {
	err := p.clearMaps()
	if err != nil {
		return err
	}
	metaMap, err := newMetaMap(m)
	if err != nil {
		return err
	}
	for name, one := range maps {
		err = errors.Join(err, one.Pin(filepath.Join(p.dir, name)))
	}
	if err == nil {
		err = metaMap.Pin(filepath.Join(p.dir, pinMeta))
	}
	if err != nil {
		return errors.Join(permission("pin in "+p.dir, err), metaMap.Close())
	}
	p.meta = metaMap
	return nil
}

// names lists the files of Pin in the folder: attachments first, and meta before the other maps.
func (p *Pin) names() (links, maps []string, err error) {
	list, err := os.ReadDir(p.dir)
	if err != nil {
		return nil, nil, fmt.Errorf("folder of pins: %w", err)
	}
	for _, e := range list {
		name := e.Name()
		switch {
		case name == pinMeta:
			maps = slices.Insert(maps, 0, name)
		case strings.HasPrefix(name, pinLink):
			links = append(links, name)
		case strings.HasPrefix(name, pinRing), slices.Contains([]string{pinRings, pinSleepers, pinVerdicts, pinTally}, name):
			maps = append(maps, name)
		}
	}
	return links, maps, nil
}

func (p *Pin) any() bool {
	links, maps, err := p.names()
	return err == nil && len(links)+len(maps) > 0
}

func (p *Pin) clearMaps() error {
	_, maps, err := p.names()
	if err != nil {
		return err
	}
	return p.remove(maps)
}

// clear removes all files of Pin.
func (p *Pin) clear() ([]string, error) {
	links, maps, err := p.names()
	if err != nil {
		return nil, err
	}
	all := append(links, maps...)
	return all, p.remove(all)
}

// Clear removes everything that Pin put into the folder. Attachments end.
func (p *Pin) Clear() error {
	_, err := p.clear()
	return err
}

func (p *Pin) remove(names []string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, os.Remove(filepath.Join(p.dir, name)))
	}
	return errors.Join(errs...)
}

// Close unlocks the folder. Pinned state stays. It is idempotent.
func (p *Pin) Close() error {
	if p.lock == nil {
		return nil
	}
	var err error
	if p.found != nil {
		err = p.found.close() // includes meta
	} else if p.meta != nil {
		err = p.meta.Close()
	}
	err = errors.Join(err, p.lock.Close())
	p.lock = nil
	return err
}

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
