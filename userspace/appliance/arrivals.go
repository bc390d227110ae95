package appliance

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"

	"binrepd/userspace/host/neighbour"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/arrival"
)

// maxQuestions is how many questions of other appliances may wait for an answer. Further ones are dropped: they are asked again.
const maxQuestions = 64

// question is one of another appliance, about what has arrived here.
type question struct {
	arrival.Message
	from packets.Sender
}

// hear takes a packet from another appliance that is no event. It neither blocks nor keeps the packet.
func (a *Appliance) hear(p *packets.Packet) {
	m, ok := arrival.Parse(p.Payload)
	if !ok {
		a.output.egress.Hear(p)
		return
	}
	if m.Answer || p.Sender.Node != 0 {
		return
	}
	select {
	case a.questions <- question{m, p.Sender}:
	default:
	}
}

// answerQuestions tells other appliances what has arrived from them, until ctx ends.
func (a *Appliance) answerQuestions(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case q := <-a.questions:
			count, ok := a.engine.Arrived(q.from)
			if !ok {
				continue
			}
			to := q.from.Endpoint
			if q.Port != 0 {
				to.Port = q.Port
			}
			answer := arrival.Message{Answer: true, Nonce: q.Nonce, Count: count}
			// A lost answer is asked for again.
			_, _ = a.output.sink.Send([]packets.Message{{Payload: answer.Append(nil), To: to}})
		}
	}
}

// peer asks the destination of one sync what has arrived there. Answers come to a port of its own.
type peer struct {
	sink    packets.Sink
	to      packets.Endpoint
	answers *net.UDPConn
	port    uint16
}

func newPeer(sink packets.Sink, to packets.Endpoint) (*peer, error) {
	answers, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, err
	}
	return &peer{sink: sink, to: to, answers: answers, port: answers.LocalAddr().(*net.UDPAddr).AddrPort().Port()}, nil
}

// ask sends a question and returns its number.
func (p *peer) ask() (nonce uint64, err error) {
	m := arrival.Message{Nonce: rand.Uint64(), Port: p.port}
	_, err = p.sink.Send([]packets.Message{{Payload: m.Append(nil), To: p.to}})
	return m.Nonce, err
}

// Arrived implements resync.Peer.
func (p *peer) Arrived(ctx context.Context, wait time.Duration) (arrival.Count, bool) {
	deadline := time.Now().Add(wait)
	nonce, err := p.ask()
	if err != nil || p.answers.SetReadDeadline(deadline) != nil {
		return arrival.Count{}, false // the session learns by its own packets what is wrong
	}
	defer context.AfterFunc(ctx, func() { _ = p.answers.SetReadDeadline(time.Now()) })()
	buf := make([]byte, 512) // much longer than an answer
	for {
		n, from, err := p.answers.ReadFromUDPAddrPort(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
			return arrival.Count{}, false
		case err != nil:
			continue // an error of an earlier answer
		}
		m, ok := arrival.Parse(buf[:n])
		if ok && m.Answer && m.Nonce == nonce && sameHost(from, p.to) {
			return m.Count, true
		}
	}
}

func sameHost(from netip.AddrPort, to packets.Endpoint) bool {
	return from.Addr().Unmap().WithZone("") == to.AddrPort().Addr()
}

// reach waits until the kernel knows the way to the destination. A first question starts the lookup.
func (p *peer) reach(ctx context.Context) error {
	if _, err := p.ask(); err != nil {
		return nil // the session learns by its own packets what is wrong
	}
	err := neighbour.Await(ctx, p.to.AddrPort().Addr())
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // nothing is known, and nothing claimed
	}
	return err
}

// Close frees the port.
func (p *peer) Close() error { return p.answers.Close() }
