package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// assign loads the program. It uses the existing maps if they fit.
func (p *Program) assign(spec *ebpf.CollectionSpec) error {
	pin := p.config.Pin
	if pin.Adopted() {
		err := spec.LoadAndAssign(&p.objects, &ebpf.CollectionOptions{MapReplacements: pin.replacements()})
		if !errors.Is(err, ebpf.ErrMapIncompatible) {
			return explain(err)
		}
		// Another version made these maps. Its rings are compatible, but its other maps are not.
		pin.reason = err.Error()
		if err := pin.found.close(); err != nil {
			return err
		}
		pin.found, pin.meta = nil, nil
	}
	return explain(spec.LoadAndAssign(&p.objects, nil))
}

// pin makes the tally and readies the new maps for Commit.
func (p *Program) pin() (err error) {
	pin := p.config.Pin
	if pin == nil {
		return nil
	}
	if p.tally, err = newTally(); err != nil {
		return permission("make tally", err)
	}
	maps := map[string]*ebpf.Map{
		pinRings: p.objects.Rings, pinSleepers: p.objects.Sleepers, pinVerdicts: p.objects.Verdicts, pinTally: p.tally,
	}
	for i, r := range p.rings {
		maps[ringName(i)] = r
	}
	meta, err := newMetaMap(newMeta(p.config))
	if err != nil {
		return permission("make description for pins", err)
	}
	pin.next, pin.meta = &pinned{meta: meta, maps: maps}, meta
	return nil
}

// adopt takes over the rings. It also computes which part of the counters an earlier process has accounted for: all
// steered frames that were consumed, and all frames with other verdicts that were counted until now.
func (p *Program) adopt() (err error) {
	maps := p.config.Pin.found.maps
	for i := range p.config.Rings {
		ring, err := maps[ringName(i)].Clone()
		if err != nil {
			return fmt.Errorf("ring %d: %w", i, err)
		}
		p.rings = append(p.rings, ring)
	}
	if p.tally, err = maps[pinTally].Clone(); err != nil {
		return fmt.Errorf("tally: %w", err)
	}
	if p.before, err = p.count(); err != nil {
		return err
	}
	consumed, err := consumed(p.rings, p.tally)
	for i := range p.before.Listeners {
		p.before.Listeners[i][Steered] = consumed[i]
	}
	return err
}

// Tally returns the map in which the consumers keep the tallies of their rings. It is nil if nothing is pinned.
func (p *Program) Tally() *ebpf.Map { return p.tally }

// Overflows returns how many frames have found their ring full, including those of earlier processes, and how many had
// done so when this process took over the rings.
func (p *Program) Overflows() (now, before uint64, err error) {
	c, err := p.count()
	if err != nil {
		return 0, 0, err
	}
	nowAll, beforeAll := c.Total(), p.before.Total()
	return nowAll[RingFull], beforeAll[RingFull], nil
}
