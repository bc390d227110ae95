package bpf

import "errors"

// ownProgram is the name of the XDP program, as the kernel tells it.
const ownProgram = "binrepd"

// Trial is what came of attaching the program to one interface.
type Trial struct {
	// Foreign is another owner's XDP program on the interface, or nil.
	Foreign *ForeignProgram
	// Own says that binrepd's program is attached already, by a running appliance or a pin.
	Own bool
	// Native and Generic are why the mode doesn't work, nil if it does. With Foreign or Own nothing was tried, and
	// Native says so.
	Native, Generic error
}

// Try loads the program with the smallest ring and no listener, attaches it to each interface by index, in each mode, and
// removes it at once. The interfaces are those of the network namespace of the calling thread. Some drivers take the link
// down for a moment when they change to native mode and back.
func Try(interfaces []int) []Trial {
	trials := make([]Trial, len(interfaces))
	program, err := Load(Config{Rings: 1, RingSize: LeastRingSize()})
	if err != nil {
		for i := range trials {
			trials[i].Native, trials[i].Generic = err, err
		}
		return trials
	}
	defer program.Close() // its maps and its program go with it; an error of closing changes no answer
	for i, index := range interfaces {
		trials[i] = program.try(index)
	}
	return trials
}

// try attaches the program in each mode and detaches it again. It leaves a program that is there already alone.
func (p *Program) try(index int) (t Trial) {
	attach := func(mode Mode) error {
		a, err := p.Attach(index, mode)
		if err != nil {
			return err
		}
		return a.Close()
	}
	t.Native = attach(Native)
	var there *ForeignProgramError
	if errors.As(t.Native, &there) {
		if there.Name == ownProgram {
			t.Own = true
		} else {
			t.Foreign = &there.ForeignProgram
		}
		return t
	}
	t.Generic = attach(Generic)
	return t
}
