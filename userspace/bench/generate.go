package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
)

// Defaults of GenerateConfig.
const (
	DefaultGenerateRate     = 100_000
	DefaultGenerateDuration = 10 * time.Second
	DefaultGenerateDialogs  = 100_000
	DefaultGenerateWait     = time.Minute
	// GenerateNamespace is the network namespace that is made for a receiver.
	GenerateNamespace = "binrepd-bench"
)

// GenerateConfig says what traffic to make and where to.
type GenerateConfig struct {
	// Rate is events a second; 0 is DefaultGenerateRate.
	Rate int
	// Duration and Count end it, whichever comes first; Duration 0 is DefaultGenerateDuration, Count 0 no limit.
	Duration time.Duration
	Count    int
	// Dialogs is how many calls are in progress once as many have been created; then creations, updates and deletions
	// are a third each. 0 is DefaultGenerateDialogs.
	Dialogs int
	// Wait is how long to wait for a receiver; 0 is DefaultGenerateWait. Only where Interface is empty.
	Wait time.Duration

	// Interface is the one to send from, in the namespace of the process. Empty: a veth pair is made whose other end,
	// with the address of GenerateTo, is in a namespace of the name GenerateNamespace; both go away at the end.
	Interface string
	// To and MAC are the destination's address, IPv4, and Ethernet address; required with Interface, and only then.
	To  netip.AddrPort
	MAC [6]byte

	// Progress is told where to listen; it may be nil.
	Progress io.Writer

	namespace string // instead of GenerateNamespace, which may be in use on the host of a test
}

// GenerateTo is where the traffic goes unless an interface is named.
func GenerateTo() netip.AddrPort { return listener() }

// Generated is what was sent.
type Generated struct {
	Events int `json:"events"` // that the driver took, by the interface's count of sent packets
	Queued int `json:"queued"` // that were given to it
	// Kinds of the queued events.
	Creates   int     `json:"creates"`
	Updates   int     `json:"updates"`
	Deletes   int     `json:"deletes"`
	Live      int     `json:"live"` // calls in progress at the end
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"events_per_second"`
}

// Validate checks the configuration and puts the defaults in. Its errors are about usage.
func (c *GenerateConfig) Validate() error {
	if c.Rate == 0 {
		c.Rate = DefaultGenerateRate
	}
	if c.Duration == 0 {
		c.Duration = DefaultGenerateDuration
	}
	if c.Dialogs == 0 {
		c.Dialogs = DefaultGenerateDialogs
	}
	if c.Wait == 0 {
		c.Wait = DefaultGenerateWait
	}
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	switch {
	case c.Rate < 1 || c.Rate > 100_000_000:
		return fmt.Errorf("rate %d: choose 1 to 100000000 events a second", c.Rate)
	case c.Duration < 0 || c.Count < 0 || c.Wait < 0:
		return errors.New("duration, count and wait: must not be negative")
	case c.Dialogs < 1 || c.Dialogs > mostDialogs:
		return fmt.Errorf("dialogs %d: choose 1 to %d", c.Dialogs, mostDialogs)
	case c.Interface == "" && (c.To.IsValid() || c.MAC != [6]byte{}):
		return fmt.Errorf("to, mac: only with an interface; without one traffic goes to %s over a veth pair of its own", listener())
	case c.Interface != "" && (!c.To.Addr().Is4() || c.To.Port() == 0 || c.MAC == [6]byte{}):
		return errors.New("interface: say the destination's IPv4 address with its port, and its Ethernet address, too")
	}
	return nil
}

// Generate sends made-up traffic of proxies as live frames.
func Generate(ctx context.Context, cfg GenerateConfig) (r Generated, err error) {
	if err := cfg.Validate(); err != nil {
		return r, err
	}
	if err := mayUseKernel(); err != nil {
		return r, fmt.Errorf("live frames need root: %w", err)
	}
	if cfg.Interface != "" {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		dev, err := netlink.LinkByName(cfg.Interface)
		if err != nil {
			return r, fmt.Errorf("interface %s: %w", cfg.Interface, err)
		}
		if len(dev.Attrs().HardwareAddr) != 6 {
			return r, fmt.Errorf("interface %s: it is no Ethernet interface", cfg.Interface)
		}
		return cfg.generate(ctx, dev.Attrs().Index, newFramer([6]byte(dev.Attrs().HardwareAddr), cfg.MAC, cfg.To))
	}
	l, err := newLink(cmp.Or(cfg.namespace, GenerateNamespace))
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	// Sockets alone receive the frames, too.
	if err := inNamespace(l.near, func() error { return enableGRO(nearName) }); err != nil {
		return r, err
	}
	fmt.Fprintf(cfg.Progress, "waiting for a receiver: ip netns exec %s binrepd run --listen %s\n", l.name, listener())
	if err := l.awaitReceiver(ctx, cfg.Wait); err != nil {
		return r, err
	}
	err = inNamespace(l.far, func() (err error) {
		r, err = cfg.generate(ctx, l.farIndex, newFramer(l.farMAC, l.nearMAC, listener()))
		return err
	})
	return r, err
}

// awaitReceiver waits until something in the near namespace listens at the port.
func (l *link) awaitReceiver(ctx context.Context, wait time.Duration) error {
	const look = 50 * time.Millisecond
	port := fmt.Sprintf(":%04X ", listener().Port())
	for deadline := time.Now().Add(wait); ; {
		var table []byte
		err := inNamespace(l.near, func() (err error) {
			table, err = os.ReadFile("/proc/thread-self/net/udp")
			return err
		})
		switch {
		case err != nil:
			return err
		case strings.Contains(string(table), port):
			// The appliance opens its sockets first and attaches its program a moment later.
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(10 * look):
			}
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("nobody listened at %s in namespace %s for %v", listener(), l.name, wait)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(look):
		}
	}
}

const (
	// generateBurst is the time whose events are made and sent together, and generateMost how many these are at most.
	generateBurst = time.Millisecond
	generateMost  = 4096
	// roomForLarge is the memory for a frame, whichever it is.
	roomForLarge = frameRoom + 64
)

// generate sends from the interface of that index in the namespace of the thread.
func (c *GenerateConfig) generate(ctx context.Context, index int, framer *framer) (r Generated, err error) {
	burst := min(max(int(float64(c.Rate)*generateBurst.Seconds()), 1), generateMost)
	g, err := newGenerator(index, burst*roomForLarge, xdpTx, framer)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	t := newTraffic()
	next := func(dst []byte) ([]byte, uint64) {
		if len(t.live) < c.Dialogs {
			r.Creates++
			return t.create(dst)
		}
		switch t.turn++; t.turn % 3 {
		case 1:
			r.Deletes++
			return t.end(dst)
		case 2:
			r.Creates++
			return t.create(dst)
		}
		r.Updates++
		return t.update(dst)
	}
	before, err := sentPackets(index)
	if err != nil {
		return r, err
	}
	began := time.Now()
	for ctx.Err() == nil && time.Since(began) < c.Duration && (c.Count == 0 || r.Queued < c.Count) {
		n := burst
		if c.Count > 0 {
			n = min(n, c.Count-r.Queued)
		}
		t.start = uint32(time.Now().Unix()) // the clock of a proxy goes on
		if err := g.make(n, next); err != nil {
			return r, err
		}
		awaitTime(began.Add(time.Duration(float64(r.Queued) / float64(c.Rate) * 1e9)))
		if _, err := g.send(ctx, 0, n); err != nil {
			return r, err
		}
		r.Queued += n
	}
	r.Live = len(t.live)
	r.Seconds = time.Since(began).Seconds()
	if r.Events, err = awaitSent(index, before, r.Queued); err != nil {
		return r, err
	}
	r.PerSecond = float64(r.Events) / r.Seconds
	return r, nil
}

// sentPackets reads how many packets the interface has sent. A driver that has no room for a frame doesn't count it.
func sentPackets(index int) (uint64, error) {
	dev, err := netlink.LinkByIndex(index)
	if err != nil {
		return 0, fmt.Errorf("interface %d: %w", index, err)
	}
	if s := dev.Attrs().Statistics; s != nil {
		return s.TxPackets, nil
	}
	return 0, fmt.Errorf("interface %s: it has no counters", dev.Attrs().Name)
}

// awaitSent returns how many of the queued packets the interface has sent since the count before. It waits for those
// that are still in the driver, until the count has stood still for a while.
func awaitSent(index int, before uint64, queued int) (sent int, err error) {
	const look, still = 10 * time.Millisecond, 20
	for quiet := 0; quiet < still && sent < queued; quiet++ {
		now, err := sentPackets(index)
		if err != nil {
			return sent, err
		}
		if n := min(int(now-before), queued); n != sent {
			sent, quiet = n, 0
		}
		time.Sleep(look)
	}
	return sent, nil
}
