package stream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"binrepd/userspace/in/packets"
)

// What Config has where it says nothing.
const (
	// DefaultBlock is 128 KiB: one read brings up to 200 packets of 650 bytes, and the block stays in the cache.
	DefaultBlock = 128 << 10
	// DefaultQueueBytes is 64 MiB: 100,000 packets of 650 bytes, a quarter of a second of the highest rate, and
	// a thousand seconds of 100 calls/s.
	DefaultQueueBytes = 64 << 20
	// DefaultQueueReads is how many reads may wait. It is the bound that counts when each read brings one packet.
	DefaultQueueReads = 1 << 16
	// DefaultSendBytes is 4 MiB for each connection: 128 sync packets of 32 KiB.
	DefaultSendBytes = 4 << 20

	DefaultMaxConns           = 1024
	DefaultMaxConnsPerAddress = 16 // an OpenSIPS opens one or two; several may share an address

	// DefaultPacketTimeout is what OpenSIPS grants itself (spec bin-tcp, 1.4).
	DefaultPacketTimeout = 4 * time.Second
	// DefaultFirstTimeout: OpenSIPS connects when it has something to send.
	DefaultFirstTimeout = 10 * time.Second
	// DefaultIdleTimeout is more than the 120 s after which OpenSIPS itself closes an idle connection, so that it
	// learns of the end by its own decision.
	DefaultIdleTimeout = 180 * time.Second
	// DefaultWriteTimeout: a peer that took no 64 KiB in this time has long been marked down by the others.
	DefaultWriteTimeout     = 5 * time.Second
	DefaultHandshakeTimeout = 5 * time.Second
	DefaultDialTimeout      = 3 * time.Second
	// DefaultUserTimeout is how long sent data, or a keepalive, may stay without an acknowledgement.
	DefaultUserTimeout = 15 * time.Second

	// Times between attempts to connect. OpenSIPS tries once a second.
	DefaultBackoffMin = 500 * time.Millisecond
	DefaultBackoffMax = 10 * time.Second
	// DefaultStable is how long a connection must have lived so that the next attempt waits DefaultBackoffMin again. A
	// peer that refuses the certificate does so after the handshake, and must not be redialled at once for ever.
	DefaultStable = 10 * time.Second
)

// Limits bound what peers may cost. A zero field has the default.
type Limits struct {
	Block      int // bytes of a block; at least twice MaxPacket
	MaxPacket  int // bytes; longer packets end the connection
	QueueBytes int // of blocks full of packets that wait for the consumer, beyond two blocks for each connection
	QueueReads int // reads whose packets wait for the consumer
	SendBytes  int // bytes that wait in the outgoing queue of one connection

	MaxConns           int // accepted connections
	MaxConnsPerAddress int // accepted connections of one address

	PacketTimeout    time.Duration // from the first byte of a packet to its last
	FirstTimeout     time.Duration // from accept to the first whole packet
	IdleTimeout      time.Duration // without a byte in either direction
	WriteTimeout     time.Duration // for one write of up to 64 KiB
	HandshakeTimeout time.Duration
	DialTimeout      time.Duration
	UserTimeout      time.Duration

	BackoffMin, BackoffMax, Stable time.Duration
}

// Config of a Stream. The zero value is good for plain TCP.
type Config struct {
	Limits Limits
	// Handler sees connections and packets first; nil: every packet is delivered.
	Handler Handler
	// Hash computes the Hash of each delivered packet, in the consumer's goroutine; nil: 0.
	Hash func(payload []byte, source packets.Endpoint) uint32
	// Admit decides about a connection by its source, right after accept; nil: all may connect.
	Admit func(source packets.Endpoint) packets.Admission
	// TLS is needed to listen on and dial bins URLs.
	TLS *TLS
	// VerifyPeer decides about a peer's certificate after its chain was verified (or not, with TLSFiles.NoVerify).
	// Here a certificate is pinned to an address. certificate is nil if the peer gave none. It is called by several
	// goroutines.
	VerifyPeer func(peer PeerInfo, certificate *Certificate) error
	// Record returns the recording of a connection that is ready, before the Handler is Connected; nil, and a nil Recording:
	// none. It is called by several goroutines.
	Record func(*Conn) Recording
	// Notice is told of the first of each kind of trouble, for the log. It is called by several goroutines.
	Notice func(Notice)
	// Clock is for the times between attempts to connect; nil: the system's. Limits of connections use real time,
	// because the system's sockets do.
	Clock Clock
	// Jitter returns a number from 0 to 1 that spreads attempts to connect; nil: a random one.
	Jitter func() float64
}

// PeerInfo tells whose certificate is to be verified.
type PeerInfo struct {
	Remote netip.AddrPort
	Dialed bool // this side opened the connection
}

// Notice is the first trouble of its kind.
type Notice struct {
	Reason Reason
	Remote netip.AddrPort // invalid if there is none
	Dialed bool
	Err    error // nil if Reason says it all
}

// String returns one line for the log.
func (n Notice) String() string {
	from := "connection from "
	if n.Dialed {
		from = "connection to "
	}
	s := "listener"
	if n.Remote.IsValid() {
		s = from + n.Remote.String()
	}
	if n.Err == nil {
		return s + ": " + n.Reason.String()
	}
	return fmt.Sprintf("%s: %s: %v", s, n.Reason, n.Err)
}

// Clock tells the time and waits.
type Clock interface {
	Now() time.Time
	// Timer returns a channel that gets a value after d, and a function that frees the timer.
	Timer(d time.Duration) (<-chan time.Time, func() bool)
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) Timer(d time.Duration) (<-chan time.Time, func() bool) {
	t := time.NewTimer(d)
	return t.C, t.Stop
}

var errBlock = errors.New("a block must be at least twice as long as the longest packet")

func (l *Limits) complete() error {
	for _, n := range []struct {
		name          string
		value         *int
		preset, limit int
	}{
		{"block", &l.Block, DefaultBlock, 1 << 30},
		{"longest packet", &l.MaxPacket, MaxPacket, 1 << 29},
		{"queue bytes", &l.QueueBytes, DefaultQueueBytes, 1 << 40},
		{"queue reads", &l.QueueReads, DefaultQueueReads, 1 << 24},
		{"send bytes", &l.SendBytes, DefaultSendBytes, 1 << 30},
		{"connections", &l.MaxConns, DefaultMaxConns, 1 << 20},
		{"connections per address", &l.MaxConnsPerAddress, DefaultMaxConnsPerAddress, 1 << 20},
	} {
		if *n.value == 0 {
			*n.value = n.preset
		}
		if *n.value < 1 || *n.value > n.limit {
			return fmt.Errorf("%s of %d is not between 1 and %d", n.name, *n.value, n.limit)
		}
	}
	for _, d := range []struct {
		name   string
		value  *time.Duration
		preset time.Duration
	}{
		{"packet timeout", &l.PacketTimeout, DefaultPacketTimeout},
		{"first timeout", &l.FirstTimeout, DefaultFirstTimeout},
		{"idle timeout", &l.IdleTimeout, DefaultIdleTimeout},
		{"write timeout", &l.WriteTimeout, DefaultWriteTimeout},
		{"handshake timeout", &l.HandshakeTimeout, DefaultHandshakeTimeout},
		{"dial timeout", &l.DialTimeout, DefaultDialTimeout},
		{"user timeout", &l.UserTimeout, DefaultUserTimeout},
		{"shortest back-off", &l.BackoffMin, DefaultBackoffMin},
		{"longest back-off", &l.BackoffMax, DefaultBackoffMax},
		{"stable time", &l.Stable, DefaultStable},
	} {
		if *d.value == 0 {
			*d.value = d.preset
		}
		if *d.value < 0 {
			return fmt.Errorf("%s of %v is negative", d.name, *d.value)
		}
	}
	if l.MaxPacket < MinPacket || l.Block < 2*l.MaxPacket {
		return fmt.Errorf("%w: %d and %d", errBlock, l.Block, l.MaxPacket)
	}
	return nil
}

func (c *Config) complete() error {
	if err := c.Limits.complete(); err != nil {
		return err
	}
	if c.Clock == nil {
		c.Clock = systemClock{}
	}
	if c.Jitter == nil {
		c.Jitter = rand.Float64
	}
	return nil
}
