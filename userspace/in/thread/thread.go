package thread

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// promptSlice is the time in nanoseconds that Prompt asks to be given at a time: the least that the kernel grants.
const promptSlice = 100_000

// Prompt makes the calling thread run soon after it is woken, even where others want the processor: a thread that asks for less time at a
// time is let in earlier by Linux 6.12 or later. It costs others nothing in sum, and needs no privilege. Older kernels ignore it.
func Prompt() error {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return fmt.Errorf("scheduling of the thread: %w", err)
	}
	if attr.Policy != unix.SCHED_NORMAL {
		return nil // somebody has decided otherwise
	}
	attr.Runtime = promptSlice
	if err := unix.SchedSetAttr(0, attr, 0); err != nil {
		return fmt.Errorf("scheduling of the thread: %w", err)
	}
	return nil
}

// Pin keeps the calling thread on one processor. The goroutine must be locked to it, for good: the thread keeps the setting.
func Pin(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to CPU %d: %w", cpu, err)
	}
	return nil
}

// Unpin lets the calling thread run on these processors, those that Allowed told before Pin.
func Unpin(cpus []int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("run on CPUs %v: %w", cpus, err)
	}
	return nil
}

// Allowed returns the processors that the process may run on, in order.
func Allowed() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("processors: %w", err)
	}
	var list []int
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			list = append(list, cpu)
		}
	}
	return list, nil
}

// maxCPU is the highest number of a processor that the calls above can name.
const maxCPU = 1023

// ParseCPUs reads a list of processors such as 0,2 or 4-7,12, in the form of cpuset(7).
func ParseCPUs(text string) ([]int, error) {
	var list []int
	for _, part := range strings.Split(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err := parseCPU(first)
		to, err2 := parseCPU(last)
		if err := errors.Join(err, err2); err != nil {
			return nil, fmt.Errorf("list of CPUs %q: want numbers and ranges, such as 0,2 or 4-7", text)
		}
		if from > to {
			return nil, fmt.Errorf("list of CPUs %q: %s runs backwards", text, part)
		}
		for cpu := from; cpu <= to; cpu++ {
			if slices.Contains(list, cpu) {
				return nil, fmt.Errorf("list of CPUs %q: %d is in it twice", text, cpu)
			}
			list = append(list, cpu)
		}
	}
	return list, nil
}

func parseCPU(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err == nil && n > maxCPU {
		err = strconv.ErrRange
	}
	return int(n), err
}
