package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Commit puts the rings, which until then are the process's own, into the folder of the Pin, in place of others that
// didn't fit. Follow and Attach call it before they attach anything. Without a Pin it does nothing.
//
// The order of its steps makes sure that an attached program always fills the rings that are in the folder, wherever the
// process dies: attachments that fill other rings end before these rings are removed, and new attachments begin after
// the new rings are complete. In between, frames go to the kernel.
func (p *Program) Commit() error {
	pin := p.config.Pin
	if pin == nil {
		return nil
	}
	p.committing.Lock()
	defer p.committing.Unlock()
	if p.committed {
		return nil
	}
	if err := pin.commit(uint32(p.id)); err != nil {
		return err
	}
	p.committed = true
	return nil
}

func (p *Pin) commit(program uint32) error {
	links, maps, err := p.names()
	if err != nil {
		return err
	}
	if p.found != nil {
		ids := []uint32{program}
		for _, name := range links {
			id, _, err := p.attachedProgram(name)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return errors.Join(putPrograms(p.meta, ids), p.stepped())
	}
	for _, name := range links {
		if err := errors.Join(p.detach([]string{name}), p.stepped()); err != nil {
			return err
		}
	}
	if len(maps) > 0 {
		p.countWaiting()
	}
	for _, name := range maps { // meta first
		if err := errors.Join(p.remove([]string{name}), p.stepped()); err != nil {
			return err
		}
	}
	if err := putPrograms(p.meta, []uint32{program}); err != nil {
		return err
	}
	for name, one := range p.next.maps {
		if err := p.put(name, one); err != nil {
			return err
		}
	}
	return p.put(pinMeta, p.next.meta) // last: without it, nothing looks complete
}

func (p *Pin) put(name string, one *ebpf.Map) error {
	if err := one.Pin(filepath.Join(p.dir, name)); err != nil {
		return permission("pin in "+p.dir, err)
	}
	return p.stepped()
}

func (p *Pin) stepped() error {
	if p.step == nil {
		return nil
	}
	return p.step()
}

// attachedProgram returns the ID of the program of a pinned attachment, and the index of its interface. The index is 0
// if the interface is gone.
func (p *Pin) attachedProgram(name string) (id uint32, index int, err error) {
	path := filepath.Join(p.dir, name)
	l, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return 0, 0, permission("open "+path, err)
	}
	info, err := l.Info()
	if err = errors.Join(err, l.Close()); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", path, err)
	}
	if x := info.XDP(); x != nil {
		index = int(x.Ifindex)
	}
	return uint32(info.Program), index, nil
}

// maxPrograms is how many programs the description names: that of this process, and those on the interfaces when it
// took over the rings.
const maxPrograms = metaSize/4 - 1

// putPrograms records which programs fill the rings: a u32 for their number, and a u32 for each ID. It comes before any of
// these programs is attached. The kernel says which program an attachment has, but it doesn't tell a process without
// CAP_SYS_ADMIN which maps a program uses.
func putPrograms(meta *ebpf.Map, ids []uint32) error {
	if len(ids) > maxPrograms {
		return fmt.Errorf("%d attachments are pinned: the maximum is %d", len(ids)-1, maxPrograms-1)
	}
	value := make([]byte, metaSize)
	binary.NativeEndian.PutUint32(value, uint32(len(ids)))
	for i, id := range ids {
		binary.NativeEndian.PutUint32(value[4+4*i:], id)
	}
	if err := meta.Put(uint32(metaPrograms), value); err != nil {
		return fmt.Errorf("record which programs fill the rings: %w", err)
	}
	return nil
}

// checkPrograms checks that every pinned attachment has a program that fills these rings.
func (p *Pin) checkPrograms(meta *ebpf.Map) error {
	value, err := meta.LookupBytes(uint32(metaPrograms))
	if err != nil || len(value) != metaSize {
		return fmt.Errorf("%s: %w", pinMeta, errors.Join(err, errMeta))
	}
	n := binary.NativeEndian.Uint32(value)
	if n > maxPrograms {
		return fmt.Errorf("%s: %w", pinMeta, errMeta)
	}
	ids := make([]uint32, n)
	for i := range ids {
		ids[i] = binary.NativeEndian.Uint32(value[4+4*i:])
	}
	links, _, err := p.names()
	if err != nil {
		return err
	}
	for _, name := range links {
		id, index, err := p.attachedProgram(name)
		if err != nil {
			return err
		}
		if index != 0 && !slices.Contains(ids, id) {
			return fmt.Errorf("program %d of %s fills other rings", id, name)
		}
	}
	return nil
}

// countWaiting adds to discarded what waits in the rings of the folder. No program fills them any more.
func (p *Pin) countWaiting() {
	n, err := p.waiting()
	if err != nil {
		p.uncounted = true
		return
	}
	p.discarded += n
}

// waiting counts the records in the rings of the folder that no process has consumed. It relies only on what all versions
// have in common: the first counter of a listener is that of the steered datagrams.
func (p *Pin) waiting() (n uint64, err error) {
	var opened []*ebpf.Map
	defer func() {
		for _, m := range opened {
			err = errors.Join(err, m.Close())
		}
	}()
	open := func(name string) (*ebpf.Map, error) {
		m, err := ebpf.LoadPinnedMap(filepath.Join(p.dir, name), nil)
		if err == nil {
			opened = append(opened, m)
		}
		return m, err
	}
	verdicts, err := open(pinVerdicts)
	if err != nil {
		return 0, err
	}
	tally, err := open(pinTally)
	if err != nil {
		return 0, err
	}
	var rings []*ebpf.Map
	for i := range MaxRings {
		r, err := open(ringName(i))
		if errors.Is(err, os.ErrNotExist) {
			break
		}
		if err != nil {
			return 0, err
		}
		rings = append(rings, r)
	}
	steered := uint64(0)
	for row := uint32(1); row < min(verdicts.MaxEntries(), math.MaxUint8); row++ {
		cpus, err := verdicts.LookupBytes(row)
		if err != nil {
			return 0, err
		}
		for size := int(verdicts.ValueSize()+7) / 8 * 8; len(cpus) >= size && size > 0; cpus = cpus[size:] {
			steered += binary.NativeEndian.Uint64(cpus)
		}
	}
	gone, err := consumed(rings, tally)
	for _, one := range gone {
		steered -= min(one, steered)
	}
	return steered, err
}

// Discarded returns how many records waited in rings that didn't fit and were removed. These datagrams are lost. ok is
// false if their number can't be told. It is final after Program.Commit.
func (p *Pin) Discarded() (records uint64, ok bool) { return p.discarded, !p.uncounted }
