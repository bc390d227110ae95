package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"binrepd/bpf"
	"binrepd/userspace/in/gate"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/ring"
	"binrepd/userspace/in/socket"
	"binrepd/userspace/state/engine"
)

// input is the two ways in: a socket for each listen address, always, and rings where there is XDP.
type input struct {
	options options
	log     *slog.Logger
	sockets []*socket.Socket
	gate    *gate.Gate // for what comes through the sockets; the program has rules of its own

	allowing sync.Mutex // one change of the list of who may speak at a time

	// Nil or empty without XDP.
	pin      *bpf.Pin
	waited   uint64 // records that were in the rings at the opening
	program  *bpf.Program
	rings    []*ring.Source
	follower *bpf.Follower
	// noXDP is why there is none although it was asked for.
	noXDP error
}

// openInput opens the sockets, and loads the program unless it is not wanted. Nothing is attached yet.
func openInput(ctx context.Context, o options, pin *bpf.Pin, s packets.Steering, log *slog.Logger) (*input, error) {
	in := &input{options: o, pin: pin, log: log, gate: gate.New(gate.Config{Rate: o.SourceRate, Burst: burst(o.SourceRate)})}
	in.gate.Allow(o.Allow)
	for i, addr := range o.Listen {
		sock, err := socket.Listen(ctx, addr, socket.Config{Intake: uint8(i), Steering: s, Admit: in.gate.Admit})
		if err != nil {
			return nil, errors.Join(err, in.close())
		}
		in.sockets = append(in.sockets, sock)
		if size, clipped := sock.ReceiveBuffer(); clipped {
			log.Warn("the socket's receive buffer is smaller than wanted: bursts may be lost; "+
				"raise it by sysctl net.core.rmem_max, or run with CAP_NET_ADMIN",
				"listen", addr.String(), "bytes", size, "wanted", socket.DefaultReceiveBuffer)
		}
	}
	if o.XDP == xdpOff {
		return in, nil
	}
	if err := in.load(s); err != nil {
		if o.XDP != xdpAuto {
			return nil, errors.Join(fmt.Errorf("--xdp %s: %w", o.XDP, err), in.close())
		}
		in.noXDP = err
		log.Warn("no XDP, plain sockets instead", "reason", err)
		if pin != nil {
			// Nobody would read what an attached program takes.
			if err := pin.Clear(); err != nil {
				return nil, errors.Join(err, in.close())
			}
		}
	}
	return in, nil
}

// load loads the program and opens its rings.
func (in *input) load(s packets.Steering) (err error) {
	program, err := bpf.Load(bpf.Config{
		Rings: in.options.Rings, RingSize: in.options.RingSize, K0: s.K0, K1: s.K1, Listeners: in.options.Listen,
		Rate: in.options.SourceRate, Burst: burst(in.options.SourceRate), Pin: in.pin,
	})
	if err != nil {
		return err
	}
	if err := program.Allow(in.options.Allow); err != nil {
		return errors.Join(err, program.Close())
	}
	var rings []*ring.Source
	for i := range in.options.Rings {
		r, err := ring.Open(program, i, in.options.ringConfig())
		if err != nil {
			for _, r := range rings {
				err = errors.Join(err, r.Close())
			}
			return errors.Join(err, program.Close())
		}
		rings = append(rings, r)
	}
	in.program, in.rings = program, rings
	return in.takenOver()
}

// inputs lists the sources for the engine. What an earlier process has left in the rings comes before what the sockets have,
// which is newer.
func (in *input) inputs(ctx context.Context) []engine.Input {
	var list []engine.Input
	first := in.awaitInherited(ctx)
	for i, r := range in.rings {
		list = append(list, engine.Input{Source: r, Name: fmt.Sprintf("ring %d", i), Thread: true, Started: in.options.start(i, in.log)})
	}
	for i, s := range in.sockets {
		list = append(list, engine.Input{Source: &after{Source: s, first: first}, Name: "socket " + in.options.Listen[i].String()})
	}
	return list
}
