package bpf

// Verdict is what the program made of a frame. Steered, Denied and RateLimited end it, all others leave it to the kernel.
type Verdict uint32

const (
	// Steered: the datagram is in a ring, the frame ended there.
	Steered = Verdict(binrepdVerdictVERDICT_STEERED)
	// Other: no UDP datagram to a listen address, that is, the host's other traffic.
	Other = Verdict(binrepdVerdictVERDICT_OTHER)
	// Encapsulated: a third VLAN tag, MPLS, PPPoE, or a tunnel.
	Encapsulated = Verdict(binrepdVerdictVERDICT_ENCAPSULATED)
	// Fragment: an IP fragment. The listener is known for first fragments of IPv4 only.
	Fragment = Verdict(binrepdVerdictVERDICT_FRAGMENT)
	// Options: IPv4 options, or IPv6 extension headers (for which the listener is not known).
	Options = Verdict(binrepdVerdictVERDICT_OPTIONS)
	// BadLength: a header or a length doesn't fit the frame.
	BadLength = Verdict(binrepdVerdictVERDICT_BAD_LENGTH)
	// BadHeader: IP version, header length or header checksum is wrong.
	BadHeader = Verdict(binrepdVerdictVERDICT_BAD_HEADER)
	// Martian: an address that can't come in at this interface, such as 127.0.0.1 from outside.
	Martian = Verdict(binrepdVerdictVERDICT_MARTIAN)
	// NotBIN: to a listen address, but not a BIN packet.
	NotBIN = Verdict(binrepdVerdictVERDICT_NOT_BIN)
	// TooLong: a BIN packet of more than MaxPayload bytes.
	TooLong = Verdict(binrepdVerdictVERDICT_TOO_LONG)
	// RingFull: the ring had no room.
	RingFull = Verdict(binrepdVerdictVERDICT_RING_FULL)
	// Fault: a helper of the kernel refused what it can't refuse. Never seen.
	Fault = Verdict(binrepdVerdictVERDICT_FAULT)
	// Denied: a BIN packet from a source that may not speak (Program.Allow).
	Denied = Verdict(binrepdVerdictVERDICT_DENIED)
	// RateLimited: a BIN packet from a source that has sent more than Config.Rate.
	RateLimited = Verdict(binrepdVerdictVERDICT_RATE_LIMITED)
	// Verdicts is how many there are.
	Verdicts = int(binrepdVerdictVERDICTS)
)

var verdictNames = [Verdicts]string{
	Steered: "steered", Other: "other", Encapsulated: "encapsulated", Fragment: "fragment", Options: "options",
	BadLength: "bad_length", BadHeader: "bad_header", Martian: "martian", NotBIN: "not_bin", TooLong: "too_long",
	RingFull: "ring_full", Fault: "fault", Denied: "denied", RateLimited: "rate_limited",
}

// String returns the name of the verdict in status and metrics.
func (v Verdict) String() string {
	if int(v) < Verdicts {
		return verdictNames[v]
	}
	return "invalid"
}

// Frames counts frames by Verdict.
type Frames [Verdicts]uint64

// Sum returns the number of frames of all verdicts.
func (f Frames) Sum() uint64 {
	var sum uint64
	for _, n := range f {
		sum += n
	}
	return sum
}

// Counters tell what became of every frame that the program saw.
type Counters struct {
	// Unknown are the frames of which the listener is not known, because they are to none or because the program
	// couldn't tell.
	Unknown Frames
	// Listeners are those to each listen address, in the order of Config.Listeners.
	Listeners []Frames
}

// Total returns the frames by verdict, whoever they were to.
func (c Counters) Total() Frames {
	sum := c.Unknown
	for _, l := range c.Listeners {
		for v, n := range l {
			sum[v] += n
		}
	}
	return sum
}

// subtract takes away what was counted before.
func (c *Counters) subtract(before Counters) {
	less := func(f *Frames, before Frames) {
		for v := range f {
			f[v] -= min(before[v], f[v])
		}
	}
	less(&c.Unknown, before.Unknown)
	for i := range min(len(c.Listeners), len(before.Listeners)) {
		less(&c.Listeners[i], before.Listeners[i])
	}
}
