//go:build !amd64 && !arm64

package dialog

// prefetchLines does nothing here: what isn't in the caches is waited for when it is used.
func prefetchLines([]byte, []uint64) {}
