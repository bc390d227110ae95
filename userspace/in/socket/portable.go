//go:build !linux || portable

package socket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"binrepd/userspace/in/packets"
)

const (
	// drainQuiet is how long the socket must be quiet after Stop until it counts as empty.
	drainQuiet = 2 * time.Millisecond
	// drainLimit ends draining even if datagrams keep coming: nothing refuses them here.
	drainLimit = time.Second
)

// platform is the part of a Socket that depends on the system: here, one datagram a call through
// package net.
type platform struct {
	ip4     bool
	buffer  []byte
	stopped chan struct{}
	until   time.Time // the end of draining; the goroutine in Receive owns it
	sending sync.Mutex
}

func (s *Socket) configure(_ syscall.RawConn, ip4, _ bool) error {
	s.ip4 = ip4
	s.stopped = make(chan struct{})
	return nil
}

func (s *Socket) prepare(receives bool) error {
	// A smaller buffer than asked for is no reason not to run.
	if receives {
		s.buffer = make([]byte, s.cfg.MaxDatagram+1) // one more tells a longer datagram
		_ = s.conn.SetReadBuffer(s.cfg.ReceiveBuffer)
	}
	_ = s.conn.SetWriteBuffer(s.cfg.SendBuffer)
	return nil
}

// ReceiveBuffer returns the size in bytes that was asked for; what the system made of it is not known here.
func (s *Socket) ReceiveBuffer() (bytes int, clipped bool) { return s.cfg.ReceiveBuffer, false }

// Receive waits for one datagram and puts it in b. See packets.Source.
func (s *Socket) Receive(b *packets.Batch) error {
	b.Packets = b.Packets[:0]
	if s.buffer == nil {
		return net.ErrClosed // a sender
	}
	if cap(b.Packets) == 0 {
		return errNoRoom
	}
	for {
		if s.draining() {
			if err := s.conn.SetReadDeadline(s.drainDeadline()); err != nil {
				return net.ErrClosed
			}
		}
		s.rcv.reads.Add(1)
		n, from, err := s.conn.ReadFromUDPAddrPort(s.buffer)
		switch {
		case errors.Is(err, net.ErrClosed):
			return net.ErrClosed
		case errors.Is(err, os.ErrDeadlineExceeded):
			if !s.startDraining() {
				return net.ErrClosed
			}
			continue
		case err != nil:
			// An error about a message sent earlier, on systems that report it so, or one that stays.
			if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH) {
				continue
			}
			return fmt.Errorf("receive on %s: %w", s.local, err)
		case n > s.cfg.MaxDatagram:
			s.rcv.truncated.Add(1)
			continue
		}
		source := packets.EndpointOf(from)
		if !s.admit(source) {
			continue
		}
		payload := s.buffer[:n:n]
		b.Packets = append(b.Packets, packets.Packet{
			Payload:  payload,
			Sender:   packets.Sender{Endpoint: source},
			Intake:   s.cfg.Intake,
			Hash:     s.cfg.Steering.Hash(payload, source),
			Received: time.Now().UnixNano(),
		})
		s.rcv.datagrams.Add(1)
		s.rcv.bytes.Add(uint64(n))
		s.rcv.batches.Add(1)
		return nil
	}
}

// startDraining is asked when a deadline has passed. The first is Stop's doing; the next means that the buffer
// is empty, or that draining took too long.
func (s *Socket) startDraining() bool {
	<-s.stopped // Stop sets no deadline behind this
	if s.draining() {
		return false
	}
	s.until = time.Now().Add(drainLimit)
	return true
}

func (s *Socket) draining() bool { return !s.until.IsZero() }

// drainDeadline is that of one read while draining.
func (s *Socket) drainDeadline() time.Time {
	quiet := time.Now().Add(drainQuiet)
	if quiet.After(s.until) {
		return s.until
	}
	return quiet
}

// Release clears b. The memory behind its payload is written again by the next Receive.
func (s *Socket) Release(b *packets.Batch) {
	clear(b.Packets)
	b.Packets = b.Packets[:0]
}

// Stop wakes Receive, which reads what the socket holds until it is quiet for a moment.
func (s *Socket) Stop() {
	s.stop.Do(func() {
		_ = s.conn.SetReadDeadline(time.Unix(1, 0)) // long ago: wakes a waiting Receive
		close(s.stopped)
	})
}

// Send hands messages to the system in order and returns how many it took. With n < len(m), the error tells why
// m[n] was refused: an error that wraps a syscall.Errno, ErrFamily, or net.ErrClosed.
func (s *Socket) Send(m []packets.Message) (n int, err error) {
	s.sending.Lock()
	defer s.sending.Unlock()
	var bytes uint64
	for n < len(m) && err == nil {
		if err = s.sendOne(m[n]); err == nil {
			bytes += uint64(len(m[n].Payload))
			n++
		}
	}
	s.snd.messages.Add(uint64(n))
	s.snd.bytes.Add(bytes)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		s.snd.failed.count(err)
	}
	return n, err
}

func (s *Socket) sendOne(m packets.Message) error {
	to := m.To.AddrPort()
	if to.Addr().Is4() != s.ip4 {
		return ErrFamily
	}
	_, err := s.conn.WriteToUDPAddrPort(m.Payload, to)
	var errno syscall.Errno
	switch {
	case errors.Is(err, net.ErrClosed):
		return net.ErrClosed
	case errors.As(err, &errno):
		return sendError(errno)
	}
	return err
}

// Poll returns 0: this system doesn't tell which destination an error of the network is about.
func (s *Socket) Poll() (reported int) { return 0 }

func (s *Socket) kernelCounts() (dropped, waiting uint64) { return 0, 0 }
