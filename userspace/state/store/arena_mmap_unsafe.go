//go:build linux || darwin

package store

import (
	"syscall"
	"unsafe"
)

// maxMapping is how much may be reserved: everything where addresses have 64 bits.
const maxMapping = maxReserve >> (8 * (8 - unsafe.Sizeof(uintptr(0))))

// mapping is a range of addresses from the system, outside the heap.
type mapping struct {
	whole []byte // as the system gave it
	part  []byte // from the first boundary of growStep on, so that it can be backed with huge pages
}

// reserve takes size bytes of addresses, a multiple of growStep. None of them may be touched yet.
func reserve(size int) (mapping, error) {
	whole, err := syscall.Mmap(-1, 0, size+growStep, syscall.PROT_NONE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		return mapping{}, err
	}
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(whole)))) & (growStep - 1)
	return mapping{whole: whole, part: whole[skip : skip+size : skip+size]}, nil
}

func (m mapping) bytes() []byte { return m.part }

// commit makes the bytes from one offset to another usable. Doing so twice does no harm.
func (m mapping) commit(from, to int) error {
	if err := syscall.Mprotect(m.part[from:to], syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
		return err
	}
	adviseHuge(m.part[from:to])
	return nil
}

// populate makes the system back committed bytes with memory now. It doesn't change them.
func (m mapping) populate(from, to int) { populate(m.part[from:to]) }

func (m mapping) release() error { return syscall.Munmap(m.whole) }
