package resync

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"binrepd/userspace/in/packets"
)

// A file holds a header, and blocks of records. All integers are little endian.
//
//	header  "BINREPD\n"  magic, 8 bytes
//	        u32          version, 1
//	        u32          zero
//	        i64          when saving began, nanoseconds since the Unix epoch
//	        u64          number of records
//	        u64          size of the file in bytes
//	        u32          the checksum of the last block, or the seed if there is none
//	        u32          CRC-32C of the 44 bytes before
//	block   u32          bytes of records, at most 2 MiB
//	        u32          number of records
//	        u32          CRC-32C of the previous block's checksum (of the first block: the seed), of the 8 bytes before,
//	                     and of the records
//	record  u32          size of the packet
//	        u32          Unix seconds of the last change; of an ended dialog: of its end
//	        u32          Unix seconds of the answer, as known of an ended dialog; else 0
//	        u16          port of the source, 0 if unknown
//	        u16          zero
//	        16 bytes     address of the source, IPv4 as ::ffff:a.b.c.d
//	        packet       a BIN packet: a creation, or of an ended dialog a deletion
//
// The seed is the CRC-32C of the header's first 24 bytes. Every byte is thus covered by a checksum, and since each block's
// contains the one before, blocks can't be left out or change places. CRC-32C (Castagnoli, RFC 3720, section 12.1) finds all
// errors of up to 32 bits in a row, which is how disks and memory fail, and processors compute it as fast as they read; against
// forgery neither it nor any other sum without a key helps. A checksum for each block, instead of one at the end, tells
// where the damage is.
const (
	magic        = "BINREPD\n"
	version      = 1
	headerSize   = 48
	seedSize     = 24
	blockHeader  = 12
	recordHeader = 32
	// longestPacket is the longest packet that can have come, over IPv6.
	longestPacket = 65527
	// blockSize is when a block is closed: large enough for few system calls.
	blockSize = 1 << 20
	// maxBlock is one that was closed late, by the longest record; it bounds what a damaged length can ask for.
	maxBlock = 2 << 20
)

// DamageError says that a file can't be loaded, and where it is damaged.
type DamageError struct {
	Path   string
	Offset int64 // in bytes
	Reason string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("%s is damaged at byte %d: %s", e.Path, e.Offset, e.Reason)
}

// ErrFormat says that a file is none that was saved by this program, or by a later version of it.
var ErrFormat = errors.New("is not a saved state that this version can read")

// Header is what the header of a file tells.
type Header struct {
	Created time.Time
	Records uint64
	Size    int64 // of the file in bytes
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // the package keeps one

func (h *Header) append(dst []byte, last uint32) []byte {
	from := len(dst)
	dst = h.appendSeed(dst)
	dst = binary.LittleEndian.AppendUint64(dst, h.Records)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.Size))
	dst = binary.LittleEndian.AppendUint32(dst, last)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli()))
}

func (h *Header) appendSeed(dst []byte) []byte {
	dst = append(dst, magic...)
	dst = binary.LittleEndian.AppendUint32(dst, version)
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	return binary.LittleEndian.AppendUint64(dst, uint64(h.Created.UnixNano()))
}

// parseHeader reads a header. last is the checksum of the last block, seed the start of the chain.
func parseHeader(path string, b []byte) (h Header, last, seed uint32, err error) {
	switch {
	case len(b) < len(magic) || string(b[:len(magic)]) != magic:
		return h, 0, 0, fmt.Errorf("%s %w", path, ErrFormat)
	case len(b) < headerSize:
		return h, 0, 0, &DamageError{path, int64(len(b)), "it ends within the header"}
	case binary.LittleEndian.Uint32(b[8:]) != version:
		return h, 0, 0, fmt.Errorf("%s %w: it is of version %d, this reads %d", path, ErrFormat, binary.LittleEndian.Uint32(b[8:]), version)
	case crc32.Checksum(b[:headerSize-4], castagnoli()) != binary.LittleEndian.Uint32(b[headerSize-4:]):
		return h, 0, 0, &DamageError{path, 0, "the header's checksum is wrong"}
	}
	h.Created = time.Unix(0, int64(binary.LittleEndian.Uint64(b[16:])))
	h.Records = binary.LittleEndian.Uint64(b[24:])
	h.Size = int64(binary.LittleEndian.Uint64(b[32:]))
	return h, binary.LittleEndian.Uint32(b[40:]), crc32.Checksum(b[:seedSize], castagnoli()), nil
}

// blockSum is the checksum of a block, given its first 8 bytes and its records.
func blockSum(previous uint32, head, records []byte) uint32 {
	var b [12]byte
	binary.LittleEndian.PutUint32(b[:], previous)
	copy(b[4:], head)
	return crc32.Update(crc32.Checksum(b[:], castagnoli()), castagnoli(), records)
}

// saved is one record.
type saved struct {
	updated, start uint32
	origin         packets.Endpoint
	packet         []byte
}

func appendRecordHeader(dst []byte, r *saved, packetSize int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(packetSize))
	dst = binary.LittleEndian.AppendUint32(dst, r.updated)
	dst = binary.LittleEndian.AppendUint32(dst, r.start)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(r.origin.Port))
	return append(dst, r.origin.Addr[:]...)
}

// cutRecord reads the record at the front of b and returns what is behind it. ok is false if there is none.
func cutRecord(b []byte) (r saved, rest []byte, ok bool) {
	if len(b) < recordHeader {
		return r, nil, false
	}
	size := binary.LittleEndian.Uint32(b)
	if size > longestPacket || int(size) > len(b)-recordHeader {
		return r, nil, false
	}
	r.updated, r.start = binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])
	r.origin.Port = binary.LittleEndian.Uint16(b[12:])
	copy(r.origin.Addr[:], b[16:32])
	end := recordHeader + int(size)
	r.packet = b[recordHeader:end:end]
	return r, b[end:], true
}
