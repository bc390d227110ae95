//go:build !linux && !darwin

package store

// maxMapping is small, because here the memory is taken at once: enough to try things, not for service.
const maxMapping = 256 << 20

// mapping is memory from the heap, for systems without mmap.
type mapping struct{ mem []byte }

func reserve(size int) (mapping, error) { return mapping{make([]byte, size)}, nil }

func (m mapping) bytes() []byte             { return m.mem }
func (m mapping) commit(from, to int) error { return nil }
func (m mapping) populate(from, to int)     {}
func (m mapping) release() error            { return nil }
