package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/socket"
)

const (
	// socketDialogs is how many dialogs are live in the comparison with the naive receiver; the more, the worse for
	// that one.
	socketDialogs = 200_000
	// socketEvents is how many datagrams are in a round.
	socketEvents = 60_000
	// truesize is more than half of what the kernel charges a receive buffer for a datagram, and it grants twice what
	// it is asked for.
	truesize = 3 << 10
)

// socketStage compares two receivers on loopback sockets whose buffers have been filled with the same datagrams: how
// long each takes from there to its table. What the kernel does before, to get a datagram into the buffer, is the
// same for both and not in it; see liveStage for that.
func socketStage(ctx context.Context, s *session) (err error) {
	dialogs := min(s.cfg.Dialogs, socketDialogs)
	p, err := newPopulation(shards)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	home := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	ours, err := socket.Listen(ctx, home, socket.Config{Steering: steering()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.Close()) }()
	buffer, _ := ours.ReceiveBuffer()
	theirs, err := listenNaive(buffer)
	if err != nil {
		return err
	}
	defer theirs.conn.Close()
	sender, err := socket.NewSender(ctx, home, socket.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sender.Close()) }()

	f := feed{sender: sender, chunk: max(1, min(socketEvents, buffer/truesize))}
	ourAddress := packets.EndpointOf(ours.LocalAddr())
	theirAddress := packets.EndpointOf(theirs.conn.LocalAddr().(*net.UDPAddr).AddrPort())
	for len(p.live) < dialogs {
		f.made.reset()
		f.made.make(min(growStep, dialogs-len(p.live)), p.create)
		if err := p.play(ctx, &f.made); err != nil {
			return err
		}
		for i := range f.made.len() {
			if err := theirs.apply(f.made.at(i)); err != nil {
				return err
			}
		}
	}
	w, err := p.start(nil, false, ours)
	if err != nil {
		return err
	}
	all, err := s.compare(ctx,
		contender{"socket", func() (lap, error) {
			f.made.reset()
			f.made.make(s.events(socketEvents), p.mixed)
			return f.lap(ourAddress, func(n int) (lap, error) { return w.round(n), nil })
		}},
		contender{"naive", func() (lap, error) { return f.lap(theirAddress, theirs.lap) }}, // the same datagrams once more
	)
	if err = errors.Join(err, w.finish()); err != nil {
		return err
	}
	row := s.add("socket to table", dialogs, all[0])
	row.Note = fmt.Sprintf("rounds of %d datagrams", f.chunk)
	s.add("the naive receiver", dialogs, all[1])
	s.atLeast("naive receiver / socket path, time an event", all[1].wall()/all[0].wall(), 3)
	return nil
}

func listenNaive(buffer int) (*naive, error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		var refused error
		err = raw.Control(func(fd uintptr) {
			// The kernel doubles what it is asked for. Without privilege it takes no more than it allows anyone,
			// which buffer then is.
			if refused = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer); refused != nil {
				refused = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
			}
		})
		err = errors.Join(err, refused)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("naive receiver: %w", err), conn.Close())
	}
	return &naive{conn: conn, dialogs: map[string]*dialog.Details{}}, nil
}

// feed sends packets to a receiver, no more at once than its buffer holds.
type feed struct {
	sender   *socket.Socket
	made     encoded
	chunk    int
	messages []packets.Message
}

// lap sends all packets to an address, chunk by chunk, and has each received; only receiving is timed.
func (f *feed) lap(to packets.Endpoint, receive func(n int) (lap, error)) (sum lap, err error) {
	for from := 0; from < f.made.len(); from += f.chunk {
		f.messages = f.messages[:0]
		for i := from; i < min(from+f.chunk, f.made.len()); i++ {
			f.messages = append(f.messages, packets.Message{Payload: f.made.at(i), To: to})
		}
		for m := f.messages; len(m) > 0; {
			n, err := f.sender.Send(m)
			if err != nil {
				return sum, fmt.Errorf("feed: %w", err)
			}
			m = m[n:]
		}
		l, err := receive(len(f.messages))
		if err != nil {
			return sum, err
		}
		sum.events, sum.wall, sum.cpu, sum.allocs = sum.events+l.events, sum.wall+l.wall, sum.cpu+l.cpu, sum.allocs+l.allocs
	}
	return sum, nil
}
