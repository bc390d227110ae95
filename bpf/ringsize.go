package bpf

import (
	"fmt"
	"math/bits"
	"os"
	"runtime"

	"github.com/cilium/ebpf"
)

// Limits of a configuration.
const (
	MaxRings     = int(binrepdLimitMAX_RINGS)
	MaxListeners = int(binrepdLimitMAX_LISTENERS)
	// MaxKey is how many bytes of a key the steering hash looks at.
	MaxKey = int(binrepdLimitMAX_KEY)
	// MaxPayload is the longest payload in bytes that goes into a ring; longer ones are left to the kernel.
	MaxPayload = int(binrepdLimitMAX_PAYLOAD)
	// DefaultRingSize is the size of a ring in bytes. 64 MiB hold 87,000 packets of 700 bytes: nearly a second of a
	// consumer standing still at 100,000 events a second.
	DefaultRingSize = 64 << 20
)

// maxRingSize is the largest power of two that an int holds everywhere; the kernel takes one more.
const maxRingSize = 1 << 30

// DefaultRings returns how many rings to use: one for each processor, up to MaxRings.
func DefaultRings() int { return min(runtime.NumCPU(), MaxRings) }

// ValidateRingSize returns an error that names the nearest right sizes, unless size in bytes is one for a ring: a power of
// two, a multiple of the page size, and large enough for one of the largest records from every processor, without
// which a wake-up could get lost (see the package comment).
func ValidateRingSize(size int) error { return validateRingSize(size, LeastRingSize()) }

// LeastRingSize returns the smallest right size on this machine, in bytes.
func LeastRingSize() int {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		cpus = runtime.NumCPU()
	}
	return minRingSize(cpus, os.Getpagesize())
}

// minRingSize has room, on each processor, for a record and a wake-up.
func minRingSize(cpus, page int) int {
	return max(page, powerAtLeast(cpus*int(binrepdLimitMAX_SLOT+binrepdLimitWAKE_SLOT)))
}

func validateRingSize(size, least int) error {
	switch {
	case size < least:
		return fmt.Errorf("ring size %d: the smallest on this machine is %d", size, least)
	case size > maxRingSize:
		return fmt.Errorf("ring size %d: the largest is %d", size, maxRingSize)
	}
	if above := powerAtLeast(size); size != above {
		return fmt.Errorf("ring size %d is not a power of two: the nearest are %d and %d", size, above/2, above)
	}
	return nil
}

// powerAtLeast returns the smallest power of two that is not below n, which is positive.
func powerAtLeast(n int) int {
	return 1 << bits.Len(uint(n-1))
}
