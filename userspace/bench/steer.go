package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"binrepd/userspace/in/packets"
)

// steerStage measures the XDP program on distinct frames, with a ring that takes them all. The limit is a program
// that copies the same payloads once, to memory of the size of the ring, and drops the frame. All programs are
// reached in the same way, by the feeder; what that costs is found with a program that does nothing but drop, and is
// taken off.
func steerStage(ctx context.Context, s *session) (err error) {
	r, err := newRig(1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	t, n := newTraffic(), s.events(roundEvents)
	// Calls for updates and deletions to be of.
	var ignore encoded
	ignore.make(n, t.create)
	if err := r.make(n, t.mixed); err != nil {
		return err
	}
	drop, err := newProgram("binrepd_drop", dropProgram())
	if err != nil {
		return err
	}
	defer drop.Close()
	to, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: rigRingSize, MaxEntries: 1})
	if err != nil {
		return fmt.Errorf("memory to copy to: %w", err)
	}
	defer to.Close()
	at, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		return fmt.Errorf("place to copy to: %w", err)
	}
	defer at.Close()
	copier, err := newProgram("binrepd_copy", copyProgram(to, at))
	if err != nil {
		return err
	}
	defer copier.Close()

	batch := packets.NewBatch(512)
	alone := func() (lap, error) {
		_, each, err := testRun(drop.FD(), make([]byte, 64), 100*n)
		return kernelLap(each, n), err
	}
	fed := func(p *ebpf.Program) func() (lap, error) {
		return func() (lap, error) {
			if err := r.feeder.then.Put(uint32(0), p); err != nil {
				return lap{}, err
			}
			each, err := r.run()
			if err == nil && p == r.program.XDP() {
				err = r.drain(batch, r.feeder.count)
			}
			return kernelLap(each, n), err
		}
	}
	all, err := s.compare(ctx,
		contender{"XDP_DROP", alone},
		contender{"fed and dropped", fed(drop)},
		contender{"fed and copied", fed(copier)},
		contender{"fed and steered", fed(r.program.XDP())},
	)
	if err != nil {
		return err
	}
	less := func(l laps) laps {
		off := all[1].wall() - all[0].wall()
		out := make(laps, len(l))
		for i := range l {
			out[i] = l[i]
			out[i].wall -= time.Duration(off * float64(l[i].events))
			out[i].cpu = out[i].wall
		}
		return out
	}
	s.add("XDP_DROP", 0, all[0]).Note = "the limit of the kernel side"
	limit := s.add("XDP_DROP and one copy of the payload", 0, less(all[2])).NS
	mine := s.add("steer to a ring", 0, less(all[3])).NS
	s.atMost("kernel side / (XDP_DROP + one copy)", mine/limit, 1.5)
	return nil
}

// kernelLap is a lap that the kernel has timed.
func kernelLap(each time.Duration, events int) lap {
	d := each * time.Duration(events)
	return lap{events: events, wall: d, cpu: d}
}

func newProgram(name string, instructions asm.Instructions) (*ebpf.Program, error) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: name, Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "GPL", Flags: xdpHasFrags, Instructions: instructions,
	})
	if err != nil {
		return nil, fmt.Errorf("program %s: %w", name, err)
	}
	return p, nil
}

func dropProgram() asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, xdpDrop), asm.Return()}
}

// copyProgram copies payload after payload to memory, from the beginning again when it is full, and drops the frame.
func copyProgram(to, at *ebpf.Map) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1), // context
		asm.LoadMapValue(asm.R7, at.FD(), 0),
		asm.FnXdpGetBuffLen.Call(),
		asm.Mov.Reg(asm.R8, asm.R0),
		asm.Sub.Imm(asm.R8, frameHeader),
		asm.JLT.Imm(asm.R8, 1, "end"),
		asm.JGT.Imm(asm.R8, frameRoom, "end"),
		asm.LoadMem(asm.R9, asm.R7, 0, asm.DWord),
		asm.JLE.Imm(asm.R9, rigRingSize-frameRoom, "fits"),
		asm.Mov.Imm(asm.R9, 0),
		asm.LoadMapValue(asm.R3, to.FD(), 0).WithSymbol("fits"),
		asm.Add.Reg(asm.R3, asm.R9),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Imm(asm.R2, frameHeader),
		asm.Mov.Reg(asm.R4, asm.R8),
		asm.Add.Reg(asm.R8, asm.R9),
		asm.StoreMem(asm.R7, 0, asm.R8, asm.DWord),
		asm.FnXdpLoadBytes.Call(),
		asm.JNE.Imm(asm.R0, 0, "end"),
		asm.Mov.Imm(asm.R0, xdpDrop),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("end"),
		asm.Return(),
	}
}
