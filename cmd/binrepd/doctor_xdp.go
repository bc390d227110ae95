package main

import (
	"context"
	"errors"
	"time"

	"binrepd/bpf"
)

// ourProgram is the name of the XDP program, as the kernel tells it.
const ourProgram = "binrepd"

// examine makes the report about the host and the interfaces of those names. An appliance that runs here is asked at the socket, and
// its rings judged by what comes within a stall.
func examine(ctx context.Context, names []string, socket string, stall time.Duration) (report, error) {
	r := report{Findings: readHostFacts().findings(), Interfaces: []linkReport{}}
	links := make([]linkFacts, len(names))
	for i, name := range names {
		var err error
		if links[i], err = readLink(name); err != nil {
			return report{}, err
		}
	}
	tryXDP(links)
	for _, l := range links {
		mode, reason := l.auto()
		r.Interfaces = append(r.Interfaces, linkReport{Interface: l.Name, Mode: mode, Reason: reason, Findings: l.findings()})
	}
	r.tune(ctx, links, socket, stall)
	r.OK = r.problems() == 0
	return r, nil
}

// tryXDP loads the XDP program, listening nowhere, and attaches it to each interface in turn, in both modes. Between
// the two trials and behind them nothing of ours is attached.
func tryXDP(links []linkFacts) {
	program, err := bpf.Load(bpf.Config{Rings: 1, RingSize: smallestRing()})
	for i := range links {
		l := &links[i]
		if err != nil {
			l.Native, l.Generic = err, err
			continue
		}
		l.Native = l.try(program, bpf.Native)
		if len(l.Programs) == 0 && !l.Busy {
			l.Generic = l.try(program, bpf.Generic)
		}
	}
	if err == nil {
		_ = program.Close() // nothing can be done about it, and the process ends
	}
}

// try attaches the program and detaches it again. A program that is there already is noted and left alone.
func (l *linkFacts) try(program *bpf.Program, mode bpf.Mode) error {
	attachment, err := program.Attach(l.Index, mode)
	if err == nil {
		return attachment.Close()
	}
	var there *bpf.ForeignProgramError
	if errors.As(err, &there) {
		if there.Name == ourProgram {
			l.Busy = true
		} else {
			l.Programs = []xdpProgram{{ID: there.ID, Name: there.Name, Mode: there.Mode.String()}}
		}
	}
	return err
}

// smallestRing is the size in bytes of the smallest ring that may be made here.
func smallestRing() int {
	size := 4096
	for size < bpf.DefaultRingSize && bpf.ValidateRingSize(size) != nil {
		size *= 2
	}
	return size
}
