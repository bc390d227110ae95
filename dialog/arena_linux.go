package dialog

import "syscall"

// madvPopulateWrite is MADV_POPULATE_WRITE of Linux 5.14, include/uapi/asm-generic/mman-common.h.
const madvPopulateWrite = 23

// adviseHuge asks for huge pages: an access to a random record then misses the TLB seldom. Where the system doesn't
// offer them all works without, so the error doesn't matter.
func adviseHuge(b []byte) { _ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) }

// populate is only to save time later, so its error doesn't matter either.
func populate(b []byte) { _ = syscall.Madvise(b, madvPopulateWrite) }
