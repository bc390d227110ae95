package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// Config is the configuration of the program.
type Config struct {
	// Rings is the number of rings, 1 to MaxRings; 0 means DefaultRings.
	Rings int
	// RingSize is the size of each ring in bytes (see ValidateRingSize); 0 means DefaultRingSize. The kernel allocates
	// all of it at once and never swaps it.
	RingSize int
	// K0 and K1 are the key of the steering hash (packets.Steering).
	K0, K1 uint64
	// Listeners are the listen addresses, at most MaxListeners. 0.0.0.0 stands for every IPv4 address of the host, and
	// :: for every IPv6 address (but no IPv4 address). A specific address takes precedence over a wildcard. A wildcard
	// matches nothing until Follow is called.
	Listeners []netip.AddrPort
	// Rate is how many datagrams a second each source address may send, at most MaxRate, and Burst how many at once.
	// Datagrams beyond that get the verdict RateLimited. 0 means no limit.
	Rate, Burst int
	// Pin, if not nil, is the folder where rings, counters and attachments outlive the process. It must have been
	// opened for the same Config. If it has state to take over, that state is used, and its steering key replaces K0
	// and K1.
	Pin *Pin
}

// Program is the loaded XDP program with its maps. Its methods are safe for concurrent use.
type Program struct {
	config    Config
	objects   binrepdObjects
	rings     []*ebpf.Map
	id        ebpf.ProgramID
	addresses addressBook
	own       mapSet[binrepdSource]
	homes     mapSet[binrepdHome]
	tally     *ebpf.Map  // nil without Pin
	before    Counters   // what earlier processes have accounted for
	allowing  sync.Mutex // held during a change of the list of allowed sources

	committing sync.Mutex
	committed  bool
}

// Load checks cfg, makes the rings and loads the program. The program is not attached yet. The error may be a
// PermissionError or an UnsupportedError.
func Load(cfg Config) (*Program, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	if err := rlimit.RemoveMemlock(); err != nil { // before Linux 5.11, maps count as locked memory
		return nil, permission("raise RLIMIT_MEMLOCK", err)
	}
	p := &Program{config: cfg}
	if err := p.load(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (c Config) complete() (Config, error) {
	if c.Rings == 0 {
		c.Rings = DefaultRings()
	}
	if c.RingSize == 0 {
		c.RingSize = DefaultRingSize
	}
	if c.Rings < 1 || c.Rings > MaxRings {
		return c, fmt.Errorf("%d rings: must be 1 to %d", c.Rings, MaxRings)
	}
	if len(c.Listeners) > MaxListeners {
		return c, fmt.Errorf("%d listen addresses: the maximum is %d", len(c.Listeners), MaxListeners)
	}
	if c.Rate < 0 || c.Rate > MaxRate || c.Rate > 0 && c.Burst < 1 {
		return c, fmt.Errorf("rate %d with burst %d: the rate must be 1 to %d and the burst at least 1", c.Rate, c.Burst, MaxRate)
	}
	listeners := make([]netip.AddrPort, len(c.Listeners))
	seen := map[netip.AddrPort]bool{}
	for i, l := range c.Listeners {
		l = netip.AddrPortFrom(l.Addr().Unmap().WithZone(""), l.Port())
		if !l.IsValid() || l.Port() == 0 {
			return c, fmt.Errorf("listen address %q: must have an address and a port", c.Listeners[i])
		}
		if seen[l] {
			return c, fmt.Errorf("listen address %s is given twice", l)
		}
		seen[l] = true
		listeners[i] = l
	}
	c.Listeners = listeners
	return c, ValidateRingSize(c.RingSize)
}

func (p *Program) load() error {
	spec, err := loadBinrepd()
	if err != nil {
		return err
	}
	if k0, k1, ok := p.config.Pin.Key(); ok {
		p.config.K0, p.config.K1 = k0, k1
	}
	if err := p.config.set(spec); err != nil {
		return err
	}
	if err := p.assign(spec); err != nil {
		return err
	}
	info, err := p.objects.Binrepd.Info()
	if err != nil {
		return fmt.Errorf("program info: %w", err)
	}
	p.id, _ = info.ID()
	if err := p.makeRings(); err != nil {
		return err
	}
	p.addresses.listeners = p.config.Listeners
	p.addresses.entries = p.objects.Addresses
	p.own.entries, p.homes.entries = p.objects.Own, p.objects.Homes
	return nil
}

// makeRings makes the rings and puts them into the map of rings, or takes over existing ones.
func (p *Program) makeRings() error {
	if p.config.Pin.Adopted() {
		return p.adopt()
	}
	for i := range p.config.Rings {
		ring, err := ebpf.NewMap(&ebpf.MapSpec{
			Name:       fmt.Sprintf("binrepd_ring_%d", i),
			Type:       ebpf.RingBuf,
			MaxEntries: uint32(p.config.RingSize),
		})
		if err != nil {
			return p.config.ringError(i, err)
		}
		p.rings = append(p.rings, ring)
		if err := p.objects.Rings.Put(uint32(i), ring); err != nil {
			return fmt.Errorf("put ring %d into the map: %w", i, err)
		}
	}
	return p.pin()
}

// ringError explains why ring i could not be made.
func (c *Config) ringError(i int, err error) error {
	if errors.Is(err, unix.ENOMEM) {
		return &RingMemoryError{Rings: c.Rings, RingSize: c.RingSize, Err: err}
	}
	return permission(fmt.Sprintf("ring %d of %d bytes", i, c.RingSize), err)
}

// set sets the program's constants.
func (c Config) set(spec *ebpf.CollectionSpec) error {
	var specs binrepdSpecs
	if err := spec.Assign(&specs); err != nil {
		return err
	}
	var (
		ports            [1 << 16 / 64]uint64
		names            [MaxListeners]binrepdNamedAddress
		named, wildcards uint32
	)
	for i, l := range c.Listeners {
		ports[l.Port()/64] |= 1 << (l.Port() % 64)
		if l.Addr().IsUnspecified() {
			wildcards++
			continue
		}
		names[named] = binrepdNamedAddress{At: addressKey(l), Listener: uint32(i)}
		named++
	}
	return errors.Join(
		c.setRate(&specs),
		specs.Named.Set(names),
		specs.NamedCount.Set(named),
		specs.WildcardCount.Set(wildcards),
		specs.RingCount.Set(uint32(c.Rings)),
		specs.SteeringK0.Set(c.K0),
		specs.SteeringK1.Set(c.K1),
		specs.ListenPorts.Set(ports),
	)
}

// explain returns the cause of a refusal: a missing privilege, a kernel that lacks a feature, or else the verifier.
func explain(err error) error {
	if err == nil {
		return nil
	}
	if err := permission("load XDP program", err); errors.As(err, new(*PermissionError)) {
		return err
	}
	// The newest feature that the program needs came with 5.18, as did multi-buffer frames.
	if miss := features.HaveProgramHelper(ebpf.XDP, asm.FnXdpLoadBytes); errors.Is(miss, ebpf.ErrNotSupported) {
		return &UnsupportedError{What: "XDP as in Linux 5.18", Err: err}
	}
	return fmt.Errorf("load XDP program: %w", err)
}

// Close frees the program and its maps. Attachments keep the program alive and must be closed separately.
func (p *Program) Close() error {
	var errs []error
	for _, ring := range p.rings {
		errs = append(errs, ring.Close())
	}
	p.rings = nil
	if p.tally != nil {
		errs = append(errs, p.tally.Close())
	}
	return errors.Join(append(errs, p.objects.Close())...)
}

// ID returns the kernel's ID of the program.
func (p *Program) ID() uint32 { return uint32(p.id) }

// Rings returns the ring buffers. The Record constants give the layout of record headers.
func (p *Program) Rings() []*ebpf.Map { return p.rings }

// Sleepers returns the map of the rings' sleep flags. It can be mapped into memory (see SleeperSize).
func (p *Program) Sleepers() *ebpf.Map { return p.objects.Sleepers }

// XDP returns the program itself, for test runs.
func (p *Program) XDP() *ebpf.Program { return p.objects.Binrepd }

// Counters returns how many frames got each verdict so far. It leaves out what an earlier process has accounted for.
func (p *Program) Counters() (Counters, error) {
	c, err := p.count()
	if err != nil {
		return Counters{}, err
	}
	c.subtract(p.before)
	return c, nil
}

// count returns the raw counters.
func (p *Program) count() (Counters, error) {
	c := Counters{Listeners: make([]Frames, len(p.config.Listeners))}
	var cpus []binrepdCounters
	for row := range 1 + len(p.config.Listeners) {
		if err := p.objects.Verdicts.Lookup(uint32(row), &cpus); err != nil {
			return Counters{}, fmt.Errorf("read counters: %w", err)
		}
		sum := &c.Unknown
		if row > 0 {
			sum = &c.Listeners[row-1]
		}
		for _, cpu := range cpus {
			for v, n := range cpu.Frames {
				sum[v] += n
			}
		}
	}
	return c, nil
}
