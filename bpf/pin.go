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

// Pin is a folder of a BPF filesystem in which rings, counters and attachments outlive the process: with nobody there to read
// them, the program goes on filling the rings. What the next process finds there it takes over, if it fits what that process is
// to do, and loads its own program beside it, which takes the place of the old one on every interface in one step.
//
//	meta      what all this is for: layout, steering key, rings, listen addresses; and up to where it was saved
//	rings, ring_0, ...   sleepers   verdicts
//	tally     how many records of each ring have been given back, by listener (see Tally)
//	link_2    the attachment to the interface with index 2; the program and all its other maps live by it
//
// A folder belongs to one process at a time, by a lock on it.
type Pin struct {
	dir    string
	lock   *os.File
	meta   *ebpf.Map // of what is pinned now, for marks
	found  *found
	reason string
}

// found is what was there and fits.
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

// OpenPin takes the folder, which it makes where only that is missing, and looks whether what is there fits cfg. What doesn't
// fit stays until Load replaces it.
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

// Unpin removes from the folder what Pin puts there, and the folder if nothing else is in it. Attachments end, and what waits
// in the rings is lost. It returns the names of what it removed.
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

// inBPF checks that dir, or the folder in which it could be made, is of a BPF filesystem.
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

// Adopted tells whether there is something to take over.
func (p *Pin) Adopted() bool { return p != nil && p.found != nil }

// Reason is why what was found is not taken over; empty if it is, or nothing was found.
func (p *Pin) Reason() string { return p.reason }

// Key returns the steering key that was found.
func (p *Pin) Key() (k0, k1 uint64, ok bool) {
	if !p.Adopted() {
		return 0, 0, false
	}
	return p.found.meta.Key[0], p.found.meta.Key[1], true
}

// find opens what there is. An error tells why it doesn't fit.
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

// replacements are the maps that a program is to use instead of new ones.
func (p *Pin) replacements() map[string]*ebpf.Map {
	r := map[string]*ebpf.Map{}
	for _, name := range []string{pinRings, pinSleepers, pinVerdicts} {
		r[name] = p.found.maps[name]
	}
	return r
}

// put pins new maps in the place of old ones. Meta comes last, and goes first: a process that dies in between leaves
// nothing that looks whole.
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

// names lists what is ours in the folder, attachments first and meta before the other maps.
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

// clear removes everything of ours.
func (p *Pin) clear() ([]string, error) {
	links, maps, err := p.names()
	if err != nil {
		return nil, err
	}
	all := append(links, maps...)
	return all, p.remove(all)
}

// Clear removes everything from the folder: attachments end.
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

// Close gives the folder back. What is pinned stays. It is idempotent.
func (p *Pin) Close() error {
	if p.lock == nil {
		return nil
	}
	var err error
	if p.found != nil {
		err = p.found.close() // meta is one of them
	} else if p.meta != nil {
		err = p.meta.Close()
	}
	err = errors.Join(err, p.lock.Close())
	p.lock = nil
	return err
}

// Mark notes, in one of two places, that a table saved at that time includes the first consumed records, of all rings together, and
// how many frames had found their ring full by then (Program.Overflows).
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

// Marked returns how many records the table includes that was saved at that time, and how many frames had found their ring full.
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
