package bin2

import "encoding/binary"

// Reader reads the fields of a body from front to back. It never reads past the end: after the first fault all
// further fields are zero and empty, and End returns that fault. So a decoder reads all fields and looks at the
// result once.
type Reader struct {
	rest  []byte
	fault Fault
}

// NewReader returns a reader of body.
func NewReader(body []byte) Reader { return Reader{rest: body} }

// Int reads an integer of 4 bytes.
func (r *Reader) Int() int32 {
	if len(r.rest) < 4 {
		r.fail(Truncated)
		return 0
	}
	v := int32(binary.LittleEndian.Uint32(r.rest))
	r.rest = r.rest[4:]
	return v
}

// Str reads a string: a u16 length and that many bytes. The result is a view. It is empty, not nil, for length 0.
func (r *Reader) Str() []byte {
	if len(r.rest) < 2 {
		r.fail(Truncated)
		return nil
	}
	end := 2 + int(binary.LittleEndian.Uint16(r.rest))
	if len(r.rest) < end {
		r.fail(Truncated)
		return nil
	}
	v := r.rest[2:end:end]
	r.rest = r.rest[end:]
	return v
}

// Count reads the number of items of a list, each of them at least least bytes long, at most limit.
func (r *Reader) Count(limit, least int) int {
	n := r.Int()
	switch {
	case r.fault != 0:
		return 0
	case n < 0 || int64(n) > int64(limit):
		r.fail(BadCount)
		return 0
	case int64(n)*int64(least) > int64(len(r.rest)):
		r.fail(Truncated)
		return 0
	}
	return int(n)
}

// Bit reads an integer that must be 0 or 1.
func (r *Reader) Bit() bool {
	v := r.Int()
	if v != 0 && v != 1 {
		r.fail(BadValue)
	}
	return v == 1
}

// Left returns the number of bytes that were not read yet.
func (r *Reader) Left() int { return len(r.rest) }

// Rest returns what was not read yet and leaves nothing.
func (r *Reader) Rest() []byte {
	rest := r.rest
	r.rest = nil
	return rest
}

// End returns nil if the fields ended exactly at the end of the body, else a Fault: the first one met, or Leftover.
func (r *Reader) End() error {
	switch {
	case r.fault != 0:
		return r.fault
	case len(r.rest) > 0:
		return Leftover
	}
	return nil
}

// Err returns the first fault met, nil if there was none. Unlike End it accepts bytes that were not read.
func (r *Reader) Err() error {
	if r.fault != 0 {
		return r.fault
	}
	return nil
}

// skip passes over n bytes.
func (r *Reader) skip(n int) []byte {
	if len(r.rest) < n {
		r.fail(Truncated)
		return nil
	}
	v := r.rest[:n:n]
	r.rest = r.rest[n:]
	return v
}

func (r *Reader) fail(f Fault) {
	if r.fault == 0 {
		r.fault = f
	}
	r.rest = nil
}
