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
	// MaxKey is how many bytes of a key go into the steering hash.
	MaxKey = int(binrepdLimitMAX_KEY)
	// MaxPayload is the longest payload in bytes that goes into a ring. Longer ones are left to the kernel.
	MaxPayload = int(binrepdLimitMAX_PAYLOAD)
	// DefaultRingSize is the size of a ring in bytes. 64 MiB hold 87,000 packets of 700 bytes. That covers a pause of
	// nearly a second of the consumer at 100,000 events a second.
	DefaultRingSize = 64 << 20
)

// maxRingSize is the largest power of two that fits an int on every platform. The kernel's own limit is twice as much.
const maxRingSize = 1 << 30

// DefaultRings returns the default number of rings: one for each processor, up to MaxRings.
func DefaultRings() int { return min(runtime.NumCPU(), MaxRings) }

// ValidateRingSize returns an error unless size, in bytes, is valid for a ring. A valid size is a power of two, a
// multiple of the page size, and has room for one of the largest records from every processor; without that room a
// wake-up could be lost (see the package comment). The error names the nearest valid sizes.
func ValidateRingSize(size int) error { return validateRingSize(size, LeastRingSize()) }

// LeastRingSize returns the smallest valid size on this machine, in bytes.
func LeastRingSize() int {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		cpus = runtime.NumCPU()
	}
	return minRingSize(cpus, os.Getpagesize())
}

// minRingSize returns the smallest size that has room for a record and a wake-up of each processor.
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

// powerAtLeast returns the smallest power of two that is at least n, which must be positive.
func powerAtLeast(n int) int {
	return 1 << bits.Len(uint(n-1))
}
