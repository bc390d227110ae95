package layout

import (
	"bytes"
	"encoding/binary"
)

// Versions of the messages of a sync. Source: sections 2.1 and 3.4 of the specification of generation 2.
const (
	SyncUnsized = 1 // 2.4.0 to 2.4.6, 3.0.0: neither a version of the data nor the sizes of chunks
	SyncSized   = 2 // 2.4.7 and later, 3.0.1 to 3.2
	SyncCounted = 3 // from 3.3 on: the same, and the end of the sync tells how many chunks there were
)

// chunkMarker stands in front of the data of each chunk: 101010101, little endian.
const chunkMarker = "\xb5\x4a\x05\x06"

// Sync walks the chunks of a message SYNC. Each chunk of capability dialog-dlg-repl is one dialog.
//
//	s, fault := layout.ParseSync(version, body)
//	for s.Next() { detector.Parse(s.Version, s.Chunk, &view) }
//	fault = s.Fault()
type Sync struct {
	Capability []byte
	Version    Version // packet version of the data; 1 where the message doesn't tell
	Chunk      []byte  // the data of the chunk that Next found

	rest  []byte
	sized bool
	fault Fault
}

// ParseSync reads the head of a message SYNC, whose fields end where its trailer begins.
func ParseSync(syncVersion int16, b []byte) (Sync, Fault) {
	c := cursor{b: b}
	s := Sync{Capability: c.string(), Version: 1, sized: syncVersion >= SyncSized}
	switch {
	case syncVersion < SyncUnsized || syncVersion > SyncCounted:
		return s, NoSuchVersion
	case s.sized:
		version := c.number()
		if c.fault == NoFault && version > 0xff {
			return s, NoSuchVersion
		}
		s.Version = Version(version)
	}
	if c.fault != NoFault {
		return s, c.fault
	}
	s.rest = b[c.off:]
	return s, NoFault
}

// Next goes to the next chunk and tells whether there is one. It goes by the size in front of each chunk, so that a
// chunk whose content is broken doesn't spoil those behind it.
func (s *Sync) Next() bool {
	s.Chunk = nil
	if s.fault != NoFault || len(s.rest) == 0 {
		return false
	}
	head := 4
	if s.sized {
		head = 8
	}
	if len(s.rest) < head {
		return s.fail(CutShort)
	}
	if string(s.rest[head-4:head]) != chunkMarker {
		return s.fail(BadMarker)
	}
	size := 0
	if s.sized {
		n := binary.LittleEndian.Uint32(s.rest)
		if uint64(n) > uint64(len(s.rest)-head) {
			return s.fail(PastEnd)
		}
		size = int(n)
	} else {
		size = unsizedChunk(s.rest[head:])
	}
	end := head + size
	s.Chunk, s.rest = s.rest[head:end:end], s.rest[end:]
	return true
}

func (s *Sync) fail(f Fault) bool {
	s.fault = f
	return false
}

// Fault returns why Next found no more: NoFault at the end.
func (s *Sync) Fault() Fault { return s.fault }

// unsizedChunk finds out where the dialog at the front of b ends: where a layout of version 1 ends, and nothing or
// the next marker follows. A dialog that fits none ends at the next marker, so that those behind it are not lost.
func unsizedChunk(b []byte) int {
	var v View
	for id := Bin1Plain; id <= Bin1FourSDP; id++ {
		n, fault := ParsePrefix(id, b, &v)
		if fault == NoFault && (n == len(b) || bytes.HasPrefix(b[n:], []byte(chunkMarker))) {
			return n
		}
	}
	if n := bytes.Index(b, []byte(chunkMarker)); n >= 0 {
		return n
	}
	return len(b)
}

// AppendSync appends the head of a message SYNC to dst; chunks follow. With a fault dst comes back as it was.
func AppendSync(dst []byte, syncVersion int16, capability []byte, version Version) ([]byte, Fault) {
	if syncVersion < SyncUnsized || syncVersion > SyncCounted {
		return dst, NoSuchVersion
	}
	if fault := fits(capability); fault != NoFault {
		return dst, fault
	}
	dst = appendString(dst, false, capability)
	if syncVersion >= SyncSized {
		dst = appendNumber(dst, uint32(version))
	}
	return dst, NoFault
}

// AppendChunk appends a chunk with its marker, and its size if the version has it, to dst.
func AppendChunk(dst []byte, syncVersion int16, data []byte) []byte {
	if syncVersion >= SyncSized {
		dst = appendNumber(dst, uint32(len(data)))
	}
	dst = append(dst, chunkMarker...)
	return append(dst, data...)
}
