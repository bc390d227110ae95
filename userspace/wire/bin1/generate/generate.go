package generate

// Options say what the packets of a Generator look like. The zero value is useful.
type Options struct {
	// Lifetime of a dialog in seconds; 0 means 12 hours, as in OpenSIPS.
	Lifetime uint32
	// Name of the proxy, which is the host of its Call-IDs; "" means "proxy.example.net".
	Name string
	// CallerSocket and CalleeSocket are the proxy's own, proto:address:port; "" means udp:192.0.2.10:5060.
	CallerSocket, CalleeSocket string
	// SkippedCreates is the share of calls, 0 to 1, of which First says that their creation is never sent. Real
	// proxies with several workers skip 0.7 to 4 %.
	SkippedCreates float64
	// Large is the share of calls, 0 to 1, with 28 routes, whose packets exceed an MTU of 1500.
	Large float64
}

// Phase is a moment in the life of a call at which a packet is sent.
type Phase uint8

const (
	Create  Phase = iota + 1 // answered: state 3
	Confirm                  // ACK seen, the first update: state 4
	Refresh                  // a re-INVITE, another update: newer CSeq and timeout
	Delete
)

func (p Phase) String() string {
	if int(p) < len(phaseNames) {
		return phaseNames[p]
	}
	return "invalid"
}

var phaseNames = [...]string{"none", "create", "confirm", "refresh", "delete"}

// refreshLater is the number of seconds by which each Refresh moves the timeout.
const refreshLater = 1800

// Call is one call, as Append needs to know it.
type Call struct {
	Number    uint64
	Start     uint32 // Unix seconds
	Refreshes uint16 // so far
	Phase     Phase  // of the packet
}

// Generator makes packets of calls. The same seed, options and call always make the same packet. It may be used by
// several goroutines.
type Generator struct {
	o         Options
	seed      uint64
	templates []template
	large     int // index of the first template with many routes
}

// New returns a generator. Generators with different names have no call in common. Those with different seeds have
// none in common either, as long as they number fewer than 2^32 calls, except by a chance of one in 2^32 for each
// pair.
func New(seed uint64, o Options) *Generator {
	if o.Lifetime == 0 {
		o.Lifetime = 12 * 3600
	}
	if o.Name == "" {
		o.Name = "proxy.example.net"
	}
	if o.CallerSocket == "" {
		o.CallerSocket = "udp:192.0.2.10:5060"
	}
	if o.CalleeSocket == "" {
		o.CalleeSocket = "udp:192.0.2.10:5060"
	}
	g := &Generator{o: o, seed: mix(seed)}
	g.templates, g.large = newTemplates(&o)
	return g
}

// First returns the phase of the first packet of a call: Create, or Confirm if the proxy skips its creation.
func (g *Generator) First(call uint64) Phase {
	if g.share(call, 1) < g.o.SkippedCreates {
		return Confirm
	}
	return Create
}

// share spreads calls evenly over 0 to 1, for each salt in another way.
func (g *Generator) share(call, salt uint64) float64 {
	return float64(mix(g.seed^call<<8^salt)>>11) / (1 << 53)
}

// mix is a bijection of 64 bits whose output bits each depend on all input bits: the finalizer of SplitMix64 (Steele,
// Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
