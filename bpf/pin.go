package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"binrepd/userspace/host/folder"
)

// Pin is a folder of a BPF filesystem in which rings, counters and attachments outlive the process. While no process
// reads the rings, the program goes on filling them. The next process takes over what it finds there if it fits its own
// configuration. It loads its own program, which then replaces the old one on every interface in one step. Contents that
// don't fit stay as they are, and in use, until Program.Commit replaces them.
//
//	meta      the description: layout, steering key, rings, listen addresses; marks of what was saved; and which
//	          programs fill the rings
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
	next   *pinned // what Commit is to put into the folder
	reason string

	discarded uint64 // see Discarded
	uncounted bool

	// step is nil, or a test's function that is called after each step of Commit. An error ends Commit there and then, as
	// the death of the process would.
	step func() error
}

// pinned is a set of new maps by name, with their description. The program owns maps, and Pin owns meta.
type pinned struct {
	meta *ebpf.Map
	maps map[string]*ebpf.Map
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
// part of the path is missing. Contents that don't fit stay until Program.Commit replaces them.
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
	return f, p.checkPrograms(f.maps[pinMeta])
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

// clear ends the attachments and removes all files of Pin. It returns the names of what it removed.
func (p *Pin) clear() ([]string, error) {
	links, maps, err := p.names()
	if err != nil {
		return nil, err
	}
	err = p.detach(links)
	return append(links, maps...), errors.Join(err, p.remove(maps))
}

// Clear ends the attachments and removes everything that Pin put into the folder. What waited in the rings is lost;
// Discarded counts it.
func (p *Pin) Clear() error {
	links, _, err := p.names()
	if err != nil {
		return err
	}
	err = p.detach(links)
	p.countWaiting()
	_, e := p.clear()
	return errors.Join(err, e)
}

// detach ends these attachments. Their programs take no more frames when it returns: removing a pin ends the attachment
// only a while later.
func (p *Pin) detach(links []string) error {
	var errs []error
	for _, name := range links {
		path := filepath.Join(p.dir, name)
		if l, err := link.LoadPinnedLink(path, nil); err == nil {
			if err := l.Detach(); err != nil && !errors.Is(err, unix.ENOLINK) { // ENOLINK: its interface is gone
				errs = append(errs, permission("detach "+path, err))
			}
			errs = append(errs, l.Close())
		}
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(errs...)
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
	} else if p.next != nil {
		err = p.next.meta.Close()
	}
	err = errors.Join(err, p.lock.Close())
	p.lock = nil
	return err
}
