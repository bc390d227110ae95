package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"binrepd/bpf"
	"binrepd/userspace/in/ring"
	"binrepd/userspace/in/socket"
	"binrepd/userspace/in/thread"
	"binrepd/userspace/state/engine"
)

// appliance is a whole binrepd at one end of a link: its ways in, an engine and a table.
type appliance struct {
	*population
	link       *link
	program    *bpf.Program
	rings      []*ring.Source
	attachment *bpf.Attachment
	socket     *socket.Socket
	engine     *engine.Engine
	places     int // for Go code, before
	cancel     context.CancelFunc
	done       chan error
}

// liveRingSize is the default of binrepd run.
const liveRingSize = bpf.DefaultRingSize

// newAppliance starts one with so many dialogs and so many rings; with no ring it has only its socket, as with --xdp
// off. Like binrepd run it has room for its consumers beside everything else.
func newAppliance(ctx context.Context, l *link, dialogs, rings int, coalesce time.Duration) (_ *appliance, err error) {
	a := &appliance{link: l, cancel: func() {}, places: runtime.GOMAXPROCS(0)}
	// One more is for the sender, which in service is elsewhere.
	runtime.GOMAXPROCS(max(a.places, runtime.NumCPU()+rings+1))
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if a.population, err = newPopulation(shards * max(rings, 1)); err != nil {
		return nil, err
	}
	if err := a.grow(ctx, dialogs); err != nil {
		return nil, err
	}
	if rings > 0 {
		if a.program, err = loadProgram(rings, liveRingSize); err != nil {
			return nil, err
		}
		if a.rings, err = openRings(a.program, coalesce); err != nil {
			return nil, err
		}
	}
	err = inNamespace(l.near, func() (err error) {
		if a.socket, err = socket.Listen(ctx, listener(), socket.Config{Steering: steering()}); err != nil {
			return err
		}
		if rings == 0 {
			return enableGRO(nearName)
		}
		a.attachment, err = a.program.Attach(l.nearIndex, bpf.Native)
		return err
	})
	if err != nil {
		return nil, err
	}
	if a.engine, err = a.population.engine(nil); err != nil {
		return nil, err
	}
	inputs := []engine.Input{{Source: a.socket, Name: "socket"}}
	cpus := applianceCPUs()
	for i, r := range a.rings {
		inputs = append(inputs, engine.Input{Source: r, Name: fmt.Sprintf("ring %d", i), Thread: true, Started: func() {
			_ = thread.Pin(cpus[i%len(cpus)]) // as with --cpus
			_ = thread.Prompt()
		}})
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a.cancel, a.done = cancel, make(chan error, 1)
	go func() { a.done <- a.engine.Run(running, inputs) }()
	return a, nil
}

// applianceCPUs are the processors of an appliance's consumers: all but the first, which is the sender's, as there is
// no other machine to send from. With a processor of its own, the sender takes time only from the kernel, which
// receives there.
func applianceCPUs() []int {
	cpus, err := thread.Allowed()
	if err != nil || len(cpus) == 0 {
		return []int{0}
	}
	return cpus[min(1, len(cpus)-1):]
}

// onSendersCPU runs fn on the calling thread, to which the goroutine must be locked, on the first processor.
func onSendersCPU(fn func() error) error {
	cpus, err := thread.Allowed()
	if err != nil {
		return err
	}
	if err := thread.Pin(cpus[0]); err != nil {
		return err
	}
	return errors.Join(fn(), thread.Unpin(cpus))
}

func (a *appliance) close() error {
	var errs []error
	if a.attachment != nil {
		errs = append(errs, a.attachment.Close())
	}
	a.cancel()
	defer runtime.GOMAXPROCS(a.places)
	if a.done != nil {
		errs = append(errs, <-a.done)
	}
	errs = append(errs, closeRings(a.rings))
	if a.program != nil {
		errs = append(errs, a.program.Close())
	}
	if a.socket != nil {
		errs = append(errs, a.socket.Close())
	}
	if a.population != nil {
		errs = append(errs, a.population.close())
	}
	return errors.Join(errs...)
}
