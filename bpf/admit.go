package bpf

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/cilium/ebpf"
)

// MaxAllowed is how many prefixes the list of those who may speak can have.
const MaxAllowed = int(binrepdLimitMAX_ALLOWED)

// MaxRate is the highest Config.Rate: what is counted in whole nanoseconds for each datagram has some precision there.
const MaxRate = 10_000_000

// SourceCount is how many datagrams of a source were refused.
type SourceCount struct {
	Source    netip.Addr
	Datagrams uint64
}

// Allow makes list the list of those who may speak: BIN packets to a listener from other sources are dropped, with the
// verdict Denied. An empty list lets everyone in. While one list is replaced by another, sources in either may speak.
func (p *Program) Allow(list []netip.Prefix) error {
	if len(list) > MaxAllowed {
		return fmt.Errorf("%d prefixes are allowed: the most are %d", len(list), MaxAllowed)
	}
	p.allowing.Lock()
	defer p.allowing.Unlock()
	if len(list) == 0 {
		if err := p.guard(0); err != nil {
			return err
		}
	}
	want := make(map[binrepdAllowKey]bool, len(list))
	for _, prefix := range list {
		want[allowKey(prefix)] = true
	}
	now, err := p.allowed()
	if err != nil {
		return err
	}
	// The map may be too full for both lists: then what is gone goes first, and for a moment fewer may speak.
	var gone []binrepdAllowKey
	for _, key := range now {
		if !want[key] {
			gone = append(gone, key)
		}
		delete(want, key)
	}
	early := len(now)+len(want) > MaxAllowed
	if early {
		err = p.disallow(gone)
	}
	for key := range want {
		err = errors.Join(err, p.objects.Allowed.Put(key, uint8(1)))
	}
	if err == nil && len(list) > 0 {
		err = p.guard(1)
	}
	if err == nil && !early {
		err = p.disallow(gone)
	}
	if err != nil {
		return fmt.Errorf("list of allowed sources: %w", err)
	}
	return nil
}

func (p *Program) guard(on uint32) error {
	if err := p.objects.Guarded.Set(on); err != nil {
		return fmt.Errorf("switch of the list of allowed sources: %w", err)
	}
	return nil
}

func (p *Program) disallow(keys []binrepdAllowKey) error {
	for _, key := range keys {
		if err := p.objects.Allowed.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// allowed reads the keys that are in the map.
func (p *Program) allowed() (keys []binrepdAllowKey, err error) {
	var key binrepdAllowKey
	var value uint8
	entries := p.objects.Allowed.Iterate()
	for entries.Next(&key, &value) {
		keys = append(keys, key)
	}
	return keys, entries.Err()
}

func allowKey(p netip.Prefix) binrepdAllowKey {
	p = p.Masked()
	key := binrepdAllowKey{Bits: 32 + uint32(p.Bits()), Family: 6}
	if p.Addr().Is4() {
		key.Family = 4
	}
	copy(key.Addr[:], p.Addr().AsSlice())
	return key
}

// Denied returns who was refused for not being on the list, most first: of very many sources only the last.
func (p *Program) Denied() ([]SourceCount, error) {
	var list []SourceCount
	var key binrepdSource
	var cpus []uint64
	err := walk(p.objects.Denied, &key, &cpus, func() {
		var sum uint64
		for _, n := range cpus {
			sum += n
		}
		list = append(list, sourceCount(key, sum))
	})
	return mostFirst(list), err
}

// Limited returns who was refused for sending more than Config.Rate, most first: of very many sources only the last.
func (p *Program) Limited() ([]SourceCount, error) {
	var list []SourceCount
	var key binrepdSource
	var b binrepdBucket
	if p.config.Rate == 0 {
		return nil, nil
	}
	err := walk(p.objects.Buckets, &key, &b, func() {
		if b.Refused > 0 {
			list = append(list, sourceCount(key, b.Refused))
		}
	})
	return mostFirst(list), err
}

// walk calls visit for each entry. Sources that come and go meanwhile may end the walk early, since the kernel finds
// the next entry by the one before; what was found until then has to do.
func walk(m *ebpf.Map, key, value any, visit func()) error {
	entries := m.Iterate()
	for entries.Next(key, value) {
		visit()
	}
	if err := entries.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return fmt.Errorf("counts of sources: %w", err)
	}
	return nil
}

func sourceCount(key binrepdSource, n uint64) SourceCount {
	return SourceCount{Source: netip.AddrFrom16(key.Addr).Unmap(), Datagrams: n}
}

func mostFirst(list []SourceCount) []SourceCount {
	slices.SortFunc(list, func(a, b SourceCount) int {
		return cmp.Or(cmp.Compare(b.Datagrams, a.Datagrams), a.Source.Compare(b.Source))
	})
	return list
}

// setRate puts the limit of Config.Rate into the program.
func (c Config) setRate(specs *binrepdSpecs) error {
	if c.Rate == 0 {
		return nil
	}
	return errors.Join(
		specs.RateInterval.Set(uint64(time.Second)/uint64(c.Rate)),
		specs.RateBurst.Set(uint64(c.Burst)),
	)
}
