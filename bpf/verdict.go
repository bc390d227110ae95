package bpf

// Verdict is the program's decision about a frame. Steered, Denied and RateLimited end the frame; all others leave it
// to the kernel.
type Verdict uint32

const (
	// Steered: the datagram is in a ring, and the frame ends here.
	Steered = Verdict(binrepdVerdictVERDICT_STEERED)
	// Other: not a UDP datagram to a listen address, so it is the host's other traffic.
	Other = Verdict(binrepdVerdictVERDICT_OTHER)
	// Encapsulated: a third VLAN tag, MPLS, PPPoE, or a tunnel.
	Encapsulated = Verdict(binrepdVerdictVERDICT_ENCAPSULATED)
	// Fragment: an IP fragment. The listener is known only for first fragments of IPv4.
	Fragment = Verdict(binrepdVerdictVERDICT_FRAGMENT)
	// Options: IPv4 options, or IPv6 extension headers (for which the listener is not known).
	Options = Verdict(binrepdVerdictVERDICT_OPTIONS)
	// BadLength: a header or a length doesn't fit the frame.
	BadLength = Verdict(binrepdVerdictVERDICT_BAD_LENGTH)
	// BadHeader: IP version, header length or header checksum is wrong.
	BadHeader = Verdict(binrepdVerdictVERDICT_BAD_HEADER)
	// Martian: an address that must not come in at this interface, such as 127.0.0.1 from outside.
	Martian = Verdict(binrepdVerdictVERDICT_MARTIAN)
	// NotBIN: to a listen address, but not a BIN packet.
	NotBIN = Verdict(binrepdVerdictVERDICT_NOT_BIN)
	// TooLong: a BIN packet with more than MaxPayload bytes.
	TooLong = Verdict(binrepdVerdictVERDICT_TOO_LONG)
	// RingFull: the ring had no room.
	RingFull = Verdict(binrepdVerdictVERDICT_RING_FULL)
	// Fault: a helper of the kernel refused something that should always work. Never seen.
	Fault = Verdict(binrepdVerdictVERDICT_FAULT)
	// Denied: a BIN packet from a source that is not allowed (Program.Allow).
	Denied = Verdict(binrepdVerdictVERDICT_DENIED)
	// RateLimited: a BIN packet from a source that has sent more than Config.Rate.
	RateLimited = Verdict(binrepdVerdictVERDICT_RATE_LIMITED)
	// OtherVLAN: a tag of a VLAN on which the listen address doesn't live.
	OtherVLAN = Verdict(binrepdVerdictVERDICT_OTHER_VLAN)
	// OtherMAC: the destination MAC address isn't one of this host's.
	OtherMAC = Verdict(binrepdVerdictVERDICT_OTHER_MAC)
	// Merged: several datagrams that the kernel has merged into one (generic mode only). The kernel splits them again.
	Merged = Verdict(binrepdVerdictVERDICT_MERGED)
	// Verdicts is the number of verdicts.
	Verdicts = int(binrepdVerdictVERDICTS)
)

var verdictNames = [Verdicts]string{
	Steered: "steered", Other: "other", Encapsulated: "encapsulated", Fragment: "fragment", Options: "options",
	BadLength: "bad_length", BadHeader: "bad_header", Martian: "martian", NotBIN: "not_bin", TooLong: "too_long",
	RingFull: "ring_full", Fault: "fault", Denied: "denied", RateLimited: "rate_limited",
	OtherVLAN: "other_vlan", OtherMAC: "other_mac", Merged: "merged",
}

// String returns the name of the verdict, as in status and metrics.
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

// Counters count every frame that the program saw.
type Counters struct {
	// Unknown are the frames without a known listener: they are to no listener, or the program couldn't tell.
	Unknown Frames
	// Listeners are the frames to each listen address, in the order of Config.Listeners.
	Listeners []Frames
}

// Total returns the frames of all listeners by verdict.
func (c Counters) Total() Frames {
	sum := c.Unknown
	for _, l := range c.Listeners {
		for v, n := range l {
			sum[v] += n
		}
	}
	return sum
}

// subtract subtracts earlier counts.
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
