package ring

import (
	"sync/atomic"
	"unsafe"
)

// storeUint32 is what loadUint32 loads: everything that was written before is seen by who sees it.
func storeUint32(b []byte, at uint64, word uint32) {
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&b[at : at+4][0])), word)
}
