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

// MaxAllowed is the maximum number of prefixes in the list of allowed sources.
const MaxAllowed = int(binrepdLimitMAX_ALLOWED)

// MaxRate is the highest Config.Rate. The program counts in whole nanoseconds per datagram, and up to this rate the
// rounding error is small.
const MaxRate = 10_000_000

// SourceCount is how many datagrams of one source were refused.
type SourceCount struct {
	Source    netip.Addr
	Datagrams uint64
}

// Allow replaces the list of allowed sources. BIN packets to a listener from any other source are dropped with the
// verdict Denied. An empty list allows every source. While one list replaces another, the sources of both are allowed.
func (p *Program) Allow(list []netip.Prefix) error {
	if len(list) > MaxAllowed {
		return fmt.Errorf("%d prefixes in the list of allowed sources: the maximum is %d", len(list), MaxAllowed)
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
	// The map may be too small for both lists. Then the old entries go first, and for a moment fewer sources are
	// allowed.
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

// allowed returns the keys in the map.
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

// Denied returns the sources that were refused because they are not on the list, the highest count first. The map is
// bounded: of very many sources it keeps those that were refused last.
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

// Limited returns the sources that sent more than Config.Rate, the highest count first. The map is bounded: of very
// many sources it keeps those that sent last.
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

// walk calls visit for each entry. The kernel finds each next entry by the previous one. So entries that come and go
// during the walk may end it early. The caller then gets what was found until then.
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

// setRate sets the constants for Config.Rate in the program.
func (c Config) setRate(specs *binrepdSpecs) error {
	if c.Rate == 0 {
		return nil
	}
	return errors.Join(
		specs.RateInterval.Set(uint64(time.Second)/uint64(c.Rate)),
		specs.RateBurst.Set(uint64(c.Burst)),
	)
}
