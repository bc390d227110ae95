//go:build !amd64 && !arm64

package store

// prefetchLines does nothing here: code waits for what isn't in the caches when it uses it.
func prefetchLines([]byte, []uint64) {}
