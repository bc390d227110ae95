//go:build amd64 || arm64

package dialog

// prefetchLines asks for the cache lines at these offsets of mem and waits for none of them. Nothing is read, so that an offset
// may lie anywhere. A load, which is all that Go itself offers, holds up whatever comes behind it once a few hundred instructions have been begun: of
// a batch, no more than a dozen records were on their way at a time. Prefetches are done with as soon as they are issued.
//
//go:noescape
func prefetchLines(mem []byte, at []uint64)
