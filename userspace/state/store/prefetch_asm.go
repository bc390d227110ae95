//go:build amd64 || arm64

package store

// prefetchLines asks for the cache lines at these offsets of mem and waits for none of them. It reads nothing, so an
// offset may lie anywhere. A load, which is all that Go itself offers, holds up what comes behind it once a few hundred
// instructions have begun: no more than a dozen entries of a batch were under way at a time. A prefetch is done as soon
// as it is issued.
//
//go:noescape
func prefetchLines(mem []byte, at []uint64)
