package ring

import (
	"sync/atomic"
	"unsafe"
)

// storeUint32 is the counterpart of loadUint32: a reader that sees the word also sees all earlier writes.
func storeUint32(b []byte, at uint64, word uint32) {
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&b[at : at+4][0])), word)
}
