package store

import "syscall"

// madvPopulateWrite is MADV_POPULATE_WRITE of Linux 5.14, include/uapi/asm-generic/mman-common.h.
const madvPopulateWrite = 23

// adviseHuge asks for huge pages: accesses to random entries then seldom miss the TLB. Everything works without them,
// so the error doesn't matter.
func adviseHuge(b []byte) { _ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) }

// populate only saves time later, so its error doesn't matter either.
func populate(b []byte) { _ = syscall.Madvise(b, madvPopulateWrite) }
