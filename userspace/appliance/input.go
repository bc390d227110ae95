package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"binrepd/bpf"
	"binrepd/userspace/in/gate"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/ring"
	"binrepd/userspace/in/socket"
	"binrepd/userspace/state/engine"
)

// input is the two ways in: always a socket for each listen address, and rings if there is XDP.
type input struct {
	config  *Config
	log     *slog.Logger
	sockets []*socket.Socket
	gate    *gate.Gate // for packets that come through the sockets; the XDP program filters the others

	allowing sync.Mutex // one change of the allowed sources at a time

	// Nil or empty without XDP.
	pin      *bpf.Pin
	waited   uint64 // records that were in the rings when they were opened
	program  *bpf.Program
	rings    []*ring.Source
	follower atomic.Pointer[bpf.Follower] // set by attach
	// noXDP is why there is no XDP although it was asked for.
	noXDP error
}

// openInput opens the sockets, and loads the program unless XDP is off. Nothing is attached yet. It writes the ports that
// the sockets got into cfg.
func openInput(ctx context.Context, cfg *Config, pin *bpf.Pin, s packets.Steering) (*input, error) {
	log := cfg.Log
	in := &input{config: cfg, pin: pin, log: log, gate: gate.New(gate.Config{Rate: cfg.SourceRate, Burst: burst(cfg.SourceRate)})}
	in.gate.Allow(cfg.Allow)
	for i, addr := range cfg.Listen {
		sock, err := socket.Listen(ctx, addr, socket.Config{Intake: uint8(i), Steering: s, Admit: in.gate.Admit})
		if err != nil {
			return nil, errors.Join(err, in.close())
		}
		in.sockets = append(in.sockets, sock)
		if addr.Port() == 0 {
			addr = sock.LocalAddr()
			cfg.Listen[i] = addr
		}
		if size, clipped := sock.ReceiveBuffer(); clipped {
			log.Warn("the socket's receive buffer is smaller than wanted: bursts may be lost; "+
				"raise it by sysctl net.core.rmem_max, or run with CAP_NET_ADMIN",
				"listen", addr.String(), "bytes", size, "wanted", socket.DefaultReceiveBuffer)
		}
	}
	if cfg.XDP == XDPOff { // as it is without listen addresses, see Validate
		return in, nil
	}
	if err := in.load(s); err != nil {
		if cfg.XDP != XDPAuto {
			return nil, errors.Join(fmt.Errorf("--xdp %s: %w", cfg.XDP, err), in.close())
		}
		in.noXDP = err
		log.Warn("no XDP, plain sockets instead", "reason", err)
		if pin != nil {
			// No worker would read what an attached program takes.
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
		Rings: in.config.Rings, RingSize: in.config.RingSize, K0: s.K0, K1: s.K1, Listeners: in.config.Listen,
		Rate: in.config.SourceRate, Burst: burst(in.config.SourceRate), Pin: in.pin,
	})
	if err != nil {
		return err
	}
	if err := program.Allow(in.config.Allow); err != nil {
		return errors.Join(err, program.Close())
	}
	var rings []*ring.Source
	for i := range in.config.Rings {
		r, err := ring.Open(program, i, in.config.ringConfig())
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

// inputs returns the sources for the engine. Sockets wait for what an earlier process left in the rings, which is older.
func (in *input) inputs(ctx context.Context) []engine.Input {
	var list []engine.Input
	first := in.awaitInherited(ctx)
	for i, r := range in.rings {
		list = append(list, engine.Input{Source: r, Name: fmt.Sprintf("ring %d", i), Thread: true, Started: in.config.startWorker(i)})
	}
	for i, s := range in.sockets {
		list = append(list, engine.Input{Source: &after{Source: s, first: first}, Name: "socket " + in.config.Listen[i].String()})
	}
	return list
}
