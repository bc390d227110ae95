package sources

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"binrepd/userspace/state/engine"
	"binrepd/userspace/watch/control"
)

// Most is how many sources can be expected, and how many a Book remembers.
const Most = engine.MaxOrigins

// retired is how long a source that isn't expected must be silent to be left out of the book.
const retired = 24 * time.Hour

// Book knows which sources count. The zero value is ready, and keeps everything in memory. It is safe for concurrent
// use.
type Book struct {
	mu      sync.Mutex
	path    string // "": not kept on disk
	entries map[string]entry
	written []byte // what the file has
}

// entry is what the book knows of a source.
type entry struct {
	// Address is ADDRESS:PORT, or an ADDRESS for a host with any port, which can only be expected.
	Address  string    `json:"address"`
	Expected bool      `json:"expected"`
	Last     time.Time `json:"last,omitzero"` // when it was heard last, of a source that counted
}

// fileName is the file of a Book in its folder.
const fileName = "sources.json"

// Open makes the book keep its entries in a folder, and reads what an earlier process wrote there. If that can't be
// used, the book is empty, and can be used all the same.
func (b *Book) Open(dir string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.path = filepath.Join(dir, fileName)
	b.entries = nil
	data, err := os.ReadFile(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var list []entry
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		return fmt.Errorf("sources: %s: %w", b.path, err)
	}
	for _, e := range list {
		if name, err := Parse(e.Address); err == nil && len(b.entries) < Most {
			e.Address = name
			b.setLocked(e)
		}
	}
	b.written = data
	return nil
}

// Save writes the book to its folder, if it has one and something has changed.
func (b *Book) Save() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.saveLocked()
}

func (b *Book) saveLocked() error {
	if b.path == "" {
		return nil
	}
	list := []entry{}
	for _, e := range b.entries {
		e.Last = e.Last.Truncate(time.Second)
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b entry) int { return compareNames(a.Address, b.Address) })
	data, err := json.MarshalIndent(list, "", "\t")
	if err != nil {
		return fmt.Errorf("sources: %w", err)
	}
	if data = append(data, '\n'); string(data) == string(b.written) {
		return nil
	}
	begun := b.path + ".tmp"
	if err := errors.Join(os.WriteFile(begun, data, 0o640), os.Rename(begun, b.path)); err != nil {
		return fmt.Errorf("sources: %w", err)
	}
	b.written = data
	return nil
}

func (b *Book) setLocked(e entry) {
	if b.entries == nil {
		b.entries = map[string]entry{}
	}
	b.entries[e.Address] = e
}

// Parse checks what a user calls a source, ADDRESS:PORT or ADDRESS, and returns it as status prints it.
func Parse(text string) (string, error) {
	if ap, err := netip.ParseAddrPort(text); err == nil && ap.Port() != 0 {
		return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port()).String(), nil
	}
	if len(text) > 2 && text[0] == '[' && text[len(text)-1] == ']' {
		text = text[1 : len(text)-1]
	}
	if a, err := netip.ParseAddr(text); err == nil {
		return a.Unmap().WithZone("").String(), nil
	}
	return "", fmt.Errorf("%q: want the address of a source, or its address and port", text)
}

// Matches reports whether a source is meant by a name that Parse has returned.
func Matches(name string, source netip.AddrPort) bool {
	if !source.IsValid() {
		return false
	}
	source = netip.AddrPortFrom(source.Addr().Unmap().WithZone(""), source.Port())
	return name == source.String() || name == source.Addr().String()
}

// Expect makes a source count from now on, and writes that down. name is what Parse has returned.
func (b *Book) Expect(name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, known := b.entries[name]
	if !known && len(b.entries) >= Most {
		return fmt.Errorf("at most %d sources can be expected", Most)
	}
	e.Address, e.Expected = name, true
	b.setLocked(e)
	return b.saveLocked()
}

// Forget makes the book know nothing of the sources of that name any more, and writes that down. It reports whether it
// knew any.
func (b *Book) Forget(name string) (known bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for is := range b.entries {
		source, err := netip.ParseAddrPort(is)
		if is == name || err == nil && Matches(name, source) {
			delete(b.entries, is)
			known = true
		}
	}
	return known, b.saveLocked()
}

// Complete tells for each source of the list whether it counts, and adds sources that count and aren't in the list. It
// notes when those that count were heard.
func (b *Book) Complete(list []control.SourceStatus) []control.SourceStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, e := range b.entries {
		if !e.Expected && time.Since(e.Last) > retired {
			delete(b.entries, name)
		}
	}
	at := map[string]int{}    // by the name of the source
	hosts := map[string]int{} // by address: the one that was heard last
	for i := range list {
		s := &list[i]
		source, err := netip.ParseAddrPort(s.Address)
		if err != nil { // other, nodes of clusters, and those of which another appliance tells
			s.Counts = s.Counts || s.Applied >= engine.CountsFrom && s.Address != "other"
			continue
		}
		at[s.Address] = i
		host := source.Addr().String()
		if other, twice := hosts[host]; !twice || list[other].Last.Before(s.Last) {
			hosts[host] = i
		}
		e, known := b.entries[s.Address]
		if s.Counts = s.Applied >= engine.CountsFrom || known; !s.Counts {
			continue
		}
		s.Expected = e.Expected
		if e.Last.Before(s.Last) {
			e.Address, e.Last = s.Address, s.Last
		} else {
			s.Last = e.Last
		}
		if known || len(b.entries) < Most {
			b.setLocked(e)
		}
	}
	names := make([]string, 0, len(b.entries))
	for name := range b.entries {
		names = append(names, name)
	}
	slices.SortFunc(names, compareNames)
	for _, name := range names {
		e := b.entries[name]
		if i, speaks := hosts[name]; speaks {
			list[i].Counts, list[i].Expected = true, true
		} else if _, listed := at[name]; !listed {
			list = append(list, control.SourceStatus{Address: name, Last: e.Last, Counts: true, Expected: e.Expected})
		}
	}
	return list
}

// compareNames orders by address, and then by port.
func compareNames(a, b string) int {
	x, errX := netip.ParseAddrPort(a)
	if errX != nil {
		h, _ := netip.ParseAddr(a)
		x = netip.AddrPortFrom(h, 0)
	}
	y, errY := netip.ParseAddrPort(b)
	if errY != nil {
		h, _ := netip.ParseAddr(b)
		y = netip.AddrPortFrom(h, 0)
	}
	return x.Compare(y)
}
