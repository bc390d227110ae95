package bin2

import (
	"encoding/binary"
	"math"
)

// Writer appends one packet to a slice of bytes: begin with Begin, append the fields, end with End or EndTrailer. It
// allocates nothing if the slice has room.
type Writer struct {
	buf   []byte
	start int // where this packet begins in buf
	long  bool
}

// Begin starts a packet behind what b holds.
func Begin(b []byte, version int16, capability string, kind int32) Writer {
	w := Writer{buf: b, start: len(b)}
	w.buf = append(w.buf, marker...)
	w.buf = append(w.buf, 0, 0, 0, 0) // the length, which end writes
	w.buf = binary.LittleEndian.AppendUint16(w.buf, uint16(version))
	w.Text(capability)
	w.Int(kind)
	return w
}

// Int appends an integer.
func (w *Writer) Int(v int32) { w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(v)) }

// Bit appends the integer 1 for true and 0 for false.
func (w *Writer) Bit(v bool) {
	if v {
		w.Int(1)
	} else {
		w.Int(0)
	}
}

// Str appends a string. One above 65,535 bytes makes End fail.
func (w *Writer) Str(s []byte) {
	if len(s) > math.MaxUint16 {
		w.long = true
		return
	}
	w.buf = binary.LittleEndian.AppendUint16(w.buf, uint16(len(s)))
	w.buf = append(w.buf, s...)
}

// Text appends a string as Str does.
func (w *Writer) Text(s string) {
	if len(s) > math.MaxUint16 {
		w.long = true
		return
	}
	w.buf = binary.LittleEndian.AppendUint16(w.buf, uint16(len(s)))
	w.buf = append(w.buf, s...)
}

// Raw appends bytes that are fields already.
func (w *Writer) Raw(fields []byte) { w.buf = append(w.buf, fields...) }

// End ends a packet of the capability Internal and returns the slice with it. With an error, the Fault TooLong, the
// slice is what it was before Begin: a packet is sent whole or not at all.
func (w *Writer) End() ([]byte, error) {
	size := len(w.buf) - w.start
	if w.long || size > MaxSent {
		return w.buf[:w.start], TooLong
	}
	binary.LittleEndian.PutUint32(w.buf[w.start+lengthOffset:], uint32(size))
	return w.buf, nil
}

// EndTrailer appends the trailer and ends the packet as End does.
func (w *Writer) EndTrailer(t Trailer) ([]byte, error) {
	w.Int(t.Cluster)
	w.Int(t.Source)
	w.Int(t.Destination)
	return w.End()
}

// BeginSync starts a packet SYNC as Sync.Append writes it; its chunks follow by Chunk or Raw, and EndTrailer.
func BeginSync(b []byte, version int16, d Dialect, capability string, dataVersion int32) Writer {
	w := beginExtra(b, version, KindSync, d.Numbering)
	w.Text(capability)
	if version > 1 {
		w.Int(dataVersion)
	}
	return w
}

// Chunk appends one chunk of a Sync, in the form of the sync version.
func (w *Writer) Chunk(data []byte, version int16) {
	if version > 1 {
		w.Int(int32(len(data)))
	}
	w.Int(ChunkMarker)
	w.Raw(data)
}
