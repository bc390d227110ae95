package thread

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// promptSlice is the time slice in nanoseconds that Prompt asks for. It is the smallest that the kernel grants.
const promptSlice = 100_000

// Prompt makes the calling thread run soon after it is woken, even if other threads want the processor. Linux 6.12 and
// later schedule a thread with a shorter time slice earlier. This takes no processor time from other threads overall,
// and needs no privilege. Older kernels ignore it.
func Prompt() error {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return fmt.Errorf("scheduling of the thread: %w", err)
	}
	if attr.Policy != unix.SCHED_NORMAL {
		return nil // somebody has chosen another policy
	}
	attr.Runtime = promptSlice
	if err := unix.SchedSetAttr(0, attr, 0); err != nil {
		return fmt.Errorf("scheduling of the thread: %w", err)
	}
	return nil
}

// Pin keeps the calling thread on one processor. The goroutine must be locked to the thread for good, because the
// thread keeps the setting.
func Pin(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to CPU %d: %w", cpu, err)
	}
	return nil
}

// Unpin lets the calling thread run on these processors: those that Allowed returned before Pin.
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

// maxCPU is the highest processor number that the calls above support.
const maxCPU = 1023

// ParseCPUs parses a list of processors such as 0,2 or 4-7,12, in the format of cpuset(7).
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
				return nil, fmt.Errorf("list of CPUs %q: %d is listed twice", text, cpu)
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
