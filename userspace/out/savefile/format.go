package savefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1"
)

// A file holds a header, and blocks of records of one kind each. All integers are little endian.
//
//	header  "BINREPD\n"  magic, 8 bytes
//	        u32          version, 2
//	        u32          zero
//	        i64          when saving began, nanoseconds since the Unix epoch
//	        16 bytes     identity of the appliance that saved; zero if it has none
//	        u64          incarnation: which of the appliance's processes saved; zero if unknown
//	        u64          position in the event log up to which the table includes all events; zero if there is no log
//	        u64          number of records
//	        u64          size of the file in bytes
//	        u32          the checksum of the last block, or the seed if there is none
//	        u32          CRC-32C of the 76 bytes before
//	block   16 bytes     kind of the records: lower-case letters, digits and dashes, and zero bytes behind them
//	        u32          1: a reader that doesn't know the kind may skip the block; 0: it must refuse the file
//	        u32          bytes of records, at most 2 MiB
//	        u32          number of records
//	        u32          CRC-32C of the previous block's checksum (of the first block: the seed), of the 28 bytes before,
//	                     and of the records
//	record  u32          number of bytes that follow, of whatever kind the record is
//
// A record of kind "dialogs" continues:
//
//	u32          Unix seconds of the last change; of an ended dialog: of its end
//	u32          Unix seconds of the answer, as known of an ended dialog; else 0
//	u16          port of the source, 0 if unknown
//	u16          layout of the dialog (dialog/layout.ID); plus 32768 for an ended one in a layout of generation 2
//	16 bytes     address of the source, IPv4 as ::ffff:a.b.c.d. Of a node of a cluster: 0xff, which no source's address
//	             begins with, 11 zero bytes, and the node as u32; the port is the cluster
//	             of layout 1: a BIN packet of generation 1, a creation, or of an ended dialog a deletion
//	             of another: the body of a creation, or of an ended dialog of a deletion
//
// The seed is the CRC-32C of all that stands in the header before the number of records. Every byte is thus covered
// by a checksum, and since each block's contains the one before, blocks can't be left out or change places. CRC-32C
// (Castagnoli, RFC 3720, section 12.1) finds all errors of up to 32 bits in a row, which is how disks and memory
// fail, and processors compute it as fast as they read. It doesn't protect against forgery; no sum without a key
// does. A checksum for each block, instead of one at the end, tells where the damage is.
//
// Version 1 differs in three ways: its header has neither identity, incarnation nor position; its blocks have neither
// kind nor flag, because all records are dialogs of layout 1, written as 0; and its records begin with the size of
// the packet.
const (
	magic   = "BINREPD\n"
	version = 2

	recordHeader = 32 // of a dialog, with the number of bytes that follow
	kindSize     = 16
	mostHeader   = 80
	mostBlock    = 32 // header of a block
	// longestPacket is the longest packet that can have come, over IPv6.
	longestPacket = 65527
	// blockSize is when a block is closed: large enough for few system calls.
	blockSize = 1 << 20
	// maxBlock is the size of one that was closed late, by the longest record; it bounds what a damaged length can
	// ask for.
	maxBlock = 2 << 20

	kindDialogs = "dialogs"
	layoutBIN1  = uint16(layout.UDP)
	layoutEnded = 1 << 15 // in the layout of an ended dialog of generation 2
	nodeAddress = 0xff    // first byte of an address: of a node of a cluster
)

// form is what differs between the versions of the format.
type form struct {
	version int
	seed    int // bytes of the header before the number of records
	block   int // bytes of a block's header
	// uncounted are the bytes of a record that its size doesn't count.
	uncounted int
	layout    uint16 // how the layout of generation 1 is written
}

// header returns the size of the header in bytes.
func (f *form) header() int { return f.seed + 24 }

// formOf returns the form of a version; ok is false if there is none.
func formOf(v uint32) (f form, ok bool) {
	switch v {
	case 1:
		return form{version: 1, seed: 24, block: 12, uncounted: recordHeader}, true
	case 2:
		return form{version: 2, seed: 56, block: 32, uncounted: 4, layout: layoutBIN1}, true
	}
	return f, false
}

// DamageError says that a file can't be loaded, and where it is damaged.
type DamageError struct {
	Path   string
	Offset int64 // in bytes
	Reason string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("%s is damaged at byte %d: %s", e.Path, e.Offset, e.Reason)
}

// Errors of files that are not damaged. ErrFormat: no save wrote the file. ErrNewer: a later version of this program
// did, in a form that this one doesn't know.
var (
	ErrFormat = errors.New("is not a saved state")
	ErrNewer  = errors.New("was saved by a newer version of binrepd")
)

// Header is what the header of a file tells.
type Header struct {
	Version     int // of the format
	Created     time.Time
	Appliance   [16]byte // identity of the appliance that saved; zero if it has none
	Incarnation uint64   // which of the appliance's processes saved; 0 if unknown
	LogPosition uint64   // in the event log, up to which the table includes all events; 0 without a log
	Records     uint64   // of all kinds
	Size        int64    // of the file in bytes
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // the package keeps one

// append appends the header in the form of h.Version, which must be known.
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
	dst = binary.LittleEndian.AppendUint32(dst, uint32(h.Version))
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.Created.UnixNano()))
	if h.Version == 1 {
		return dst
	}
	dst = append(dst, h.Appliance[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, h.Incarnation)
	return binary.LittleEndian.AppendUint64(dst, h.LogPosition)
}

// parseHeader reads a header of any version. last is the checksum of the last block, seed the start of the chain.
func parseHeader(path string, b []byte) (h Header, f form, last, seed uint32, err error) {
	if len(b) < len(magic) || string(b[:len(magic)]) != magic {
		return h, f, 0, 0, fmt.Errorf("%s %w", path, ErrFormat)
	}
	if len(b) < len(magic)+4 {
		return h, f, 0, 0, &DamageError{path, int64(len(b)), "it ends within the header"}
	}
	v := binary.LittleEndian.Uint32(b[8:])
	f, ok := formOf(v)
	switch {
	case v == 0:
		return h, f, 0, 0, &DamageError{path, 8, "the version is 0"}
	case !ok:
		return h, f, 0, 0, fmt.Errorf("%s %w: its format has version %d, and this binrepd reads versions 1 to %d",
			path, ErrNewer, v, version)
	case len(b) < f.header():
		return h, f, 0, 0, &DamageError{path, int64(len(b)), "it ends within the header"}
	}
	b = b[:f.header()]
	if crc32.Checksum(b[:len(b)-4], castagnoli()) != binary.LittleEndian.Uint32(b[len(b)-4:]) {
		return h, f, 0, 0, &DamageError{path, 0, "the header's checksum is wrong"}
	}
	h.Version = f.version
	h.Created = time.Unix(0, int64(binary.LittleEndian.Uint64(b[16:])))
	if f.version > 1 {
		copy(h.Appliance[:], b[24:40])
		h.Incarnation = binary.LittleEndian.Uint64(b[40:])
		h.LogPosition = binary.LittleEndian.Uint64(b[48:])
	}
	h.Records = binary.LittleEndian.Uint64(b[f.seed:])
	h.Size = int64(binary.LittleEndian.Uint64(b[f.seed+8:]))
	return h, f, binary.LittleEndian.Uint32(b[f.seed+16:]), crc32.Checksum(b[:f.seed], castagnoli()), nil
}

// blockHead is the header of a block, without its checksum.
type blockHead struct {
	kind      string
	skippable bool
	size      uint32 // of the records in bytes
	records   uint32
}

// put writes the header of a block to the front of b, checksum aside, in the form of this version.
func (h *blockHead) put(b []byte) {
	clear(b[:kindSize])
	copy(b[:kindSize], h.kind)
	flag := uint32(0)
	if h.skippable {
		flag = 1
	}
	binary.LittleEndian.PutUint32(b[kindSize:], flag)
	binary.LittleEndian.PutUint32(b[kindSize+4:], h.size)
	binary.LittleEndian.PutUint32(b[kindSize+8:], h.records)
}

// parse reads the header of a block. What is wrong with the kind shows only after the checksum has been verified.
func (h *blockHead) parse(f *form, b []byte) error {
	counts := b[f.block-12:]
	h.size, h.records = binary.LittleEndian.Uint32(counts), binary.LittleEndian.Uint32(counts[4:])
	if f.version == 1 {
		h.kind, h.skippable = kindDialogs, false
		return nil
	}
	name := bytes.TrimRight(b[:kindSize], "\x00")
	flag := binary.LittleEndian.Uint32(b[kindSize:])
	if len(name) == 0 || flag > 1 {
		return errors.New("the kind of the records is wrong")
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return errors.New("the kind of the records is wrong")
		}
	}
	h.skippable = flag == 1
	if h.kind != string(name) { // most blocks are of the same kind as the one before
		h.kind = string(name)
	}
	return nil
}

// blockSum is the checksum of a block, given the header without the checksum, and the records.
func blockSum(previous uint32, head, records []byte) uint32 {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], previous)
	sum := crc32.Update(crc32.Checksum(b[:], castagnoli()), castagnoli(), head)
	return crc32.Update(sum, castagnoli(), records)
}

// savedDialog is one record of kind "dialogs".
type savedDialog struct {
	updated, start uint32 // Unix seconds
	origin         packets.Sender
	layout         layout.ID
	ended          bool   // of a dialog of generation 2
	packet         []byte // or of generation 2 the body
}

// event makes ev what the record says: a creation or a deletion.
func (r *savedDialog) event(ev *dialog.Event) error {
	if r.layout == layout.UDP {
		if v := bin1.Decode(r.packet, ev); v != bin1.Dialog {
			return fmt.Errorf("a packet can't be read: %v", v)
		}
		if ev.Kind == dialog.Update || ev.State == dialog.Ended {
			return errors.New("a packet is neither a creation nor a deletion")
		}
		return nil
	}
	var v layout.View
	fault := layout.NoFault
	if r.ended {
		fault = ev.SetDeletion(r.layout, r.packet)
	} else if fault = layout.Parse(r.layout, r.packet, &v); fault == layout.NoFault {
		if ev.SetSnapshot(&v, dialog.Create); ev.State == dialog.Ended {
			return errors.New("a dialog has ended")
		}
	}
	if fault != layout.NoFault {
		return fmt.Errorf("a dialog can't be read: %v", fault)
	}
	return nil
}

// append appends all of the record but its packet.
func (r *savedDialog) append(dst []byte, packetSize int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(recordHeader-4+packetSize))
	dst = binary.LittleEndian.AppendUint32(dst, r.updated)
	dst = binary.LittleEndian.AppendUint32(dst, r.start)
	source := r.origin.Endpoint
	if r.origin.Node != 0 {
		source.Port = r.origin.Cluster
		source.Addr[0] = nodeAddress
		binary.LittleEndian.PutUint32(source.Addr[12:], r.origin.Node)
	}
	dst = binary.LittleEndian.AppendUint16(dst, source.Port)
	id := uint16(r.layout)
	if r.ended {
		id |= layoutEnded
	}
	dst = binary.LittleEndian.AppendUint16(dst, id)
	return append(dst, source.Addr[:]...)
}

// cutRecord returns the record of any kind at the front of b, with its size, and what is behind it. ok is false if it
// is not whole.
func (f *form) cutRecord(b []byte) (record, rest []byte, ok bool) {
	if len(b) < f.uncounted {
		return nil, nil, false
	}
	size := binary.LittleEndian.Uint32(b)
	if uint64(size) > uint64(len(b)-f.uncounted) {
		return nil, nil, false
	}
	end := f.uncounted + int(size)
	return b[:end:end], b[end:], true
}

// parseDialog reads a record that cutRecord returned.
func (f *form) parseDialog(record []byte) (r savedDialog, err error) {
	if len(record) < recordHeader || len(record)-recordHeader > longestPacket {
		return r, errors.New("the length of a record is wrong")
	}
	switch id := binary.LittleEndian.Uint16(record[14:]); {
	case id == f.layout:
		r.layout = layout.UDP
	case f.version > 1 && id&^layoutEnded > layoutBIN1 && id&^layoutEnded < uint16(layout.IDs):
		r.layout, r.ended = layout.ID(id&^layoutEnded), id&layoutEnded != 0
	default:
		return r, fmt.Errorf("%w: it has a dialog of layout %d, which this binrepd doesn't know", ErrNewer, id)
	}
	r.updated, r.start = binary.LittleEndian.Uint32(record[4:]), binary.LittleEndian.Uint32(record[8:])
	source := packets.Endpoint{Addr: [16]byte(record[16:32]), Port: binary.LittleEndian.Uint16(record[12:])}
	switch node := binary.LittleEndian.Uint32(record[28:]); {
	case source.Port == 0: // unknown
	case source.Addr[0] != nodeAddress:
		r.origin.Endpoint = source
	case node != 0:
		r.origin = packets.Sender{Cluster: source.Port, Node: node}
	}
	r.packet = record[recordHeader:]
	return r, nil
}
