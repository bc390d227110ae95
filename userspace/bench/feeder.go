package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// feeder is an XDP program that makes each run of a test run see another frame: it takes the next one from memory
// that we have mapped, overwrites the current frame with it, and calls the program to measure. So a million distinct
// frames take one system call and not a million.
//
//	memory: | size, u64 | frame, padded to 8 bytes | size | frame | ...
//
// Behind the last frame, every further run ends at once with XDP_ABORTED.
type feeder struct {
	program *ebpf.Program
	frames  *ebpf.Map // the memory: one value
	cursor  *ebpf.Map // one value, u64: offset of the next frame
	then    *ebpf.Map // the program to go on to, if any

	memory   []byte
	position []byte
	end      int
	count    int
}

// frameRoom is the longest frame, and what must be left of the memory behind the begin of each.
const frameRoom = 3 << 10

const (
	xdpHasFrags = 1 << 5 // BPF_F_XDP_HAS_FRAGS, as the program has it that is gone on to
	mmapable    = 1 << 10
)

// newFeeder makes a feeder with room for so many bytes of frames. With a program it goes on to that, or else it
// returns answer.
func newFeeder(size int, program *ebpf.Program, answer int32) (_ *feeder, err error) {
	f := &feeder{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("feeder: %w", err), f.close())
		}
	}()
	one := ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, MaxEntries: 1, Flags: mmapable}
	frames, cursor := one, one
	frames.ValueSize, cursor.ValueSize = uint32(size), 8
	if f.frames, err = ebpf.NewMap(&frames); err != nil {
		return nil, err
	}
	if f.cursor, err = ebpf.NewMap(&cursor); err != nil {
		return nil, err
	}
	if f.memory, err = unix.Mmap(f.frames.FD(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, err
	}
	if f.position, err = unix.Mmap(f.cursor.FD(), 0, 8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, err
	}
	last := asm.Instructions{asm.Mov.Imm(asm.R0, answer), asm.Return()}
	if program != nil {
		if f.then, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1}); err != nil {
			return nil, err
		}
		last = asm.Instructions{
			asm.Mov.Reg(asm.R1, asm.R6),
			asm.LoadMapPtr(asm.R2, f.then.FD()),
			asm.Mov.Imm(asm.R3, 0),
			asm.FnTailCall.Call(),
			asm.Mov.Imm(asm.R0, 0),
			asm.Return(),
		}
	}
	f.program, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "binrepd_feeder", Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "GPL", Flags: xdpHasFrags,
		Instructions: append(f.instructions(size), last...),
	})
	if err != nil {
		return nil, err
	}
	if program != nil {
		err = f.then.Put(uint32(0), program)
	}
	return f, err
}

func (f *feeder) instructions(size int) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1), // context
		asm.LoadMapValue(asm.R7, f.cursor.FD(), 0),
		asm.LoadMem(asm.R8, asm.R7, 0, asm.DWord),
		asm.JGT.Imm(asm.R8, int32(size-frameRoom-8), "end"),
		asm.LoadMapValue(asm.R9, f.frames.FD(), 0),
		asm.Add.Reg(asm.R9, asm.R8),
		asm.LoadMem(asm.R8, asm.R9, 0, asm.DWord), // size of the frame
		asm.JLT.Imm(asm.R8, ethSize, "end"),
		asm.JGT.Imm(asm.R8, frameRoom, "end"),

		asm.Mov.Reg(asm.R1, asm.R6),
		asm.FnXdpGetBuffLen.Call(),
		asm.Mov.Reg(asm.R2, asm.R8),
		asm.Sub.Reg(asm.R2, asm.R0),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.FnXdpAdjustTail.Call(),
		asm.JNE.Imm(asm.R0, 0, "end"),

		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Imm(asm.R2, 0),
		asm.Mov.Reg(asm.R3, asm.R9),
		asm.Add.Imm(asm.R3, 8),
		asm.Mov.Reg(asm.R4, asm.R8),
		asm.FnXdpStoreBytes.Call(),
		asm.JNE.Imm(asm.R0, 0, "end"),

		// cursor += 8 + size, rounded up
		asm.LoadMem(asm.R1, asm.R7, 0, asm.DWord),
		asm.Add.Reg(asm.R1, asm.R8),
		asm.Add.Imm(asm.R1, 15),
		asm.And.Imm(asm.R1, -8),
		asm.StoreMem(asm.R7, 0, asm.R1, asm.DWord),
		asm.Ja.Label("go on"),

		asm.Mov.Imm(asm.R0, 0).WithSymbol("end"),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("go on"),
	}
}

// reset forgets all frames.
func (f *feeder) reset() {
	f.end, f.count = 0, 0
	f.rewind()
}

// rewind makes the next run begin with the first frame.
func (f *feeder) rewind() { binary.NativeEndian.PutUint64(f.position, 0) }

// next returns room for a frame, empty; put takes what was made of it. It is nil when the memory is full.
func (f *feeder) next() []byte {
	if f.end+frameRoom+16 > len(f.memory) {
		return nil
	}
	return f.memory[f.end+8 : f.end+8 : f.end+8+frameRoom]
}

func (f *feeder) put(size int) {
	binary.NativeEndian.PutUint64(f.memory[f.end:], uint64(size))
	f.end += (8 + size + 7) &^ 7
	binary.NativeEndian.PutUint64(f.memory[f.end:], 0)
	f.count++
}

// consumed tells whether every frame has been taken.
func (f *feeder) consumed() bool { return binary.NativeEndian.Uint64(f.position) == uint64(f.end) }

func (f *feeder) close() error {
	var errs []error
	for _, m := range [...][]byte{f.memory, f.position} {
		if m != nil {
			errs = append(errs, unix.Munmap(m))
		}
	}
	if f.program != nil {
		errs = append(errs, f.program.Close())
	}
	for _, m := range [...]*ebpf.Map{f.frames, f.cursor, f.then} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	return errors.Join(errs...)
}

// frame appends a frame with the next packet.
func (f *feeder) frame(framer *framer, packet *[]byte, next func([]byte) ([]byte, uint64)) error {
	room := f.next()
	if room == nil {
		return fmt.Errorf("feeder: %d frames are all that fit", f.count)
	}
	p, call := next((*packet)[:0])
	*packet = p
	frame := append(framer.begin(room, call), p...)
	framer.finish(frame)
	f.put(len(frame))
	return nil
}

// run runs all frames once and returns the mean time of one, by the kernel's clock. want is the verdict that the
// last one must get. run checks that all frames were taken.
func (f *feeder) run(want uint32) (each time.Duration, err error) {
	f.rewind()
	answer, each, err := testRun(f.program.FD(), make([]byte, 64), f.count)
	switch {
	case err != nil:
		return 0, err
	case answer != want:
		return 0, fmt.Errorf("feeder: a frame got the answer %d, want %d", answer, want)
	case !f.consumed():
		return 0, errors.New("feeder: frames are left over")
	}
	return each, nil
}
