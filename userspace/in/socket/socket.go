package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"binrepd/userspace/in/packets"
)

// What Config has where it says nothing.
const (
	// DefaultReceiveBuffer is 64 MiB. The kernel grants twice what is asked for and charges about 1.3 KiB
	// for a datagram of 350 bytes, 2.3 KiB for one of 1,400, so that 58,000 to 105,000 fit: at 100,000 events a
	// second half a second or more, longer than any pause of this process should be.
	DefaultReceiveBuffer = 64 << 20
	// DefaultSendBuffer is 1 MiB: a whole batch of 3 kB messages, with what the kernel adds to each
	// fragment, is handed over without waiting in the middle.
	DefaultSendBuffer = 1 << 20
	// DefaultBatch is how many datagrams one system call moves. Beyond it the fixed cost of the call is lost
	// in the cost of the datagrams (see BenchmarkReceive), while the slots begin to leave the cache.
	DefaultBatch = 128
	// MaxBatch is the most that the kernel moves with one call (UIO_MAXIOV).
	MaxBatch = 1024
	// MaxDatagram is the most that the length field of a UDP header can tell. Over IPv4, 65,507 bytes
	// of payload fit.
	MaxDatagram = 65535
)

// Config of a socket. The zero value is good.
type Config struct {
	// Intake becomes the Intake of each datagram.
	Intake uint8
	// Steering computes the Hash of each datagram.
	Steering packets.Steering
	// Batch is the most datagrams moved with one system call. 0 is DefaultBatch.
	Batch int
	// MaxDatagram is the longest payload in bytes that is received; longer ones are counted as
	// truncated and not delivered. 0 is the constant MaxDatagram: all of them.
	MaxDatagram int
	// ReceiveBuffer and SendBuffer are the sizes in bytes to ask the kernel for. 0 is the default.
	ReceiveBuffer, SendBuffer int
	// Plain sends each message by itself. Otherwise, on Linux, messages of equal length to one destination that follow each
	// other are handed to the kernel as one, which cuts it again; what arrives is the same.
	Plain bool
	// Admit decides whose datagrams are delivered, and is called by Receive for each; nil: everyone's.
	Admit func(source packets.Endpoint) packets.Admission
}

// Socket is a UDP socket of one address family. It is a packets.Source and a packets.Reporter.
type Socket struct {
	conn  *net.UDPConn
	local netip.AddrPort
	cfg   Config
	stop  sync.Once
	rcv   receiveCounters
	snd   sendCounters
	told  packets.Watchers
	platform
}

var (
	_ packets.Source   = (*Socket)(nil)
	_ packets.Reporter = (*Socket)(nil)
	_ packets.Reporter = (*Router)(nil)
)

var errNoRoom = errors.New("receive: the batch has no room for a datagram")

// Listen opens a socket on addr, of which the address may be unspecified (0.0.0.0 or ::) and the port 0. An IPv6
// socket takes no IPv4 datagrams, so that 0.0.0.0 and :: can be listened on side by side. An address that can't
// be listened on is a *ListenError.
func Listen(ctx context.Context, addr netip.AddrPort, cfg Config) (*Socket, error) {
	return open(ctx, addr, cfg, true)
}

// NewSender opens a socket that only sends, from local: usually the unspecified address of the family
// to send to, with port 0. Its Receive returns net.ErrClosed.
func NewSender(ctx context.Context, local netip.AddrPort, cfg Config) (*Socket, error) {
	return open(ctx, local, cfg, false)
}

func open(ctx context.Context, addr netip.AddrPort, cfg Config, receives bool) (*Socket, error) {
	if !addr.IsValid() {
		return nil, errors.New("listen: no address given")
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	network := "udp4"
	if addr.Addr().Is6() {
		network = "udp6" // sets IPV6_V6ONLY
	}
	s := &Socket{cfg: cfg}
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return s.configure(raw, addr.Addr().Is4(), receives)
	}}
	pc, err := lc.ListenPacket(ctx, network, addr.String())
	if err != nil {
		return nil, &ListenError{Addr: addr, Err: err}
	}
	s.conn = pc.(*net.UDPConn)
	local := s.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	s.local = netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
	if err := s.prepare(receives); err != nil {
		s.conn.Close()
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	if !receives {
		s.Stop()
	}
	return s, nil
}

func (c *Config) complete() error {
	limits := []struct {
		name          string
		value         *int
		preset, limit int
	}{
		{"batch", &c.Batch, DefaultBatch, MaxBatch},
		{"longest datagram", &c.MaxDatagram, MaxDatagram, MaxDatagram},
		// The kernel keeps twice the size in an int.
		{"receive buffer", &c.ReceiveBuffer, DefaultReceiveBuffer, 1<<30 - 1},
		{"send buffer", &c.SendBuffer, DefaultSendBuffer, 1<<30 - 1},
	}
	for _, l := range limits {
		if *l.value == 0 {
			*l.value = l.preset
		}
		if *l.value < 1 || *l.value > l.limit {
			return fmt.Errorf("%s of %d is not between 1 and %d", l.name, *l.value, l.limit)
		}
	}
	return nil
}

// LocalAddr returns the address that the socket is bound to, with the port that the kernel chose for 0.
func (s *Socket) LocalAddr() netip.AddrPort { return s.local }

// Close frees the socket and wakes a Send that waits.
func (s *Socket) Close() error {
	s.Stop() // so that the final count of drops has been read
	if err := s.conn.Close(); err != nil {
		return fmt.Errorf("close socket %s: %w", s.local, err)
	}
	return nil
}

// admit tells whether a datagram from source is to be delivered, and counts it if not.
func (s *Socket) admit(source packets.Endpoint) bool {
	if s.cfg.Admit == nil {
		return true
	}
	switch s.cfg.Admit(source) {
	case packets.Denied:
		s.rcv.denied.Add(1)
		return false
	case packets.RateLimited:
		s.rcv.limited.Add(1)
		return false
	}
	return true
}

// Watch implements packets.Reporter. The function is called from Receive, Send and Poll; Send holds a lock meanwhile. The error
// wraps a syscall.Errno: ECONNREFUSED where nothing listens.
func (s *Socket) Watch(fn func(to packets.Endpoint, err error)) (stop func()) {
	return s.told.Watch(fn)
}

func (s *Socket) reported(to packets.Endpoint, errno syscall.Errno) {
	err := sendError(errno)
	s.snd.reported.count(err)
	s.told.Report(to, err)
}
