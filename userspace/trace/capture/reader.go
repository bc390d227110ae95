package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// readSize is how many bytes are read from a file at once.
const readSize = 1 << 20

// Datagram is one UDP datagram from a file, or one packet of generation 2 from a TCP connection.
type Datagram struct {
	Time                time.Time // of its last fragment or segment
	Source, Destination netip.AddrPort
	TCP                 bool // it is a packet of a connection
	// Payload is a view. It is valid until the next datagram is read.
	Payload []byte
}

// Counts describe the contents of the files.
type Counts struct {
	Frames    uint64
	Datagrams uint64
	Packets   uint64 // of generation 2, in TCP connections
	Segments  uint64 // frames with a segment of a TCP connection
	Gaps      uint64 // places in connections with packets where segments are missing
	Skipped   uint64 // bytes of connections that are part of no packet, where there were packets before
	Other     uint64 // frames with something other than UDP and TCP
	Damaged   uint64 // frames that can't be decoded, or were cut off when captured
	Fragments uint64 // frames with a fragment of a datagram
	Torn      int    // files that end within a packet, or with damaged data
	Gone      int    // files of a recording that were deleted before they were read
}

// Reader reads files one after another.
type Reader struct {
	Counts Counts

	paths     []path
	recording bool // the current file belongs to a recording
	file      *os.File
	frames    frames
	decoder
}

// path is one file to read.
type path struct {
	name      string
	recording bool
}

// frames reads the frames of one of the two formats.
type frames interface {
	ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error)
}

// NewReader returns a reader of these files, in this order.
func NewReader(paths ...string) *Reader {
	r := &Reader{decoder: newDecoder()}
	r.Add(paths...)
	return r
}

// Add appends these files to the list.
func (r *Reader) Add(paths ...string) { r.add(paths, false) }

// AddRecording appends the files of a recording that may still be running. Its oldest files may be deleted before they
// are read. If the host has stopped while a file was written, its end may be zeros or worse. Such files are counted as
// Gone and Torn, and reading continues with the next file.
func (r *Reader) AddRecording(paths ...string) { r.add(paths, true) }

func (r *Reader) add(names []string, recording bool) {
	for _, name := range names {
		r.paths = append(r.paths, path{name, recording})
	}
}

// Close closes the current file.
func (r *Reader) Close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file, r.frames = nil, nil
	return err
}

// Next reads the next datagram into d. It returns io.EOF after the last.
func (r *Reader) Next(d *Datagram) error {
	for {
		if r.flows.take(d) {
			r.Counts.Packets++
			return nil
		}
		if r.frames == nil {
			if err := r.open(); errors.Is(err, io.EOF) {
				r.flows.finish()
				r.Counts.Gaps, r.Counts.Skipped = r.flows.gaps, r.flows.skipped
				if r.flows.take(d) {
					r.Counts.Packets++
					return nil
				}
				return err
			} else if err != nil {
				return err
			}
			continue
		}
		data, info, err := r.frames.ZeroCopyReadPacketData()
		if err != nil {
			if err = r.end(err); err != nil {
				return err
			}
			continue
		}
		r.Counts.Frames++
		link := r.link
		if len(info.AncillaryData) > 0 {
			link, _ = info.AncillaryData[0].(layers.LinkType)
		}
		if r.decode(link, data, info, d, &r.Counts) {
			r.Counts.Datagrams++
			return nil
		}
	}
}

// end closes a file after an error. It returns nil if the next file should be read.
func (r *Reader) end(err error) error {
	name := r.file.Name()
	switch {
	case errors.Is(err, io.EOF):
		err = nil
	case errors.Is(err, io.ErrUnexpectedEOF), r.recording:
		r.Counts.Torn++
		err = nil
	default:
		err = fmt.Errorf("%s: %w", name, err)
	}
	return errors.Join(err, r.Close())
}

// open opens the next file.
func (r *Reader) open() (err error) {
	if len(r.paths) == 0 {
		return io.EOF
	}
	next := r.paths[0]
	r.paths, r.recording = r.paths[1:], next.recording
	if r.file, err = os.Open(next.name); err != nil {
		r.file = nil
		if r.recording && errors.Is(err, fs.ErrNotExist) {
			r.Counts.Gone++
			return nil
		}
		return err
	}
	if err = r.begin(r.file); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // the header is incomplete
		}
		return r.end(err)
	}
	return nil
}

const (
	pcapngMagic = 0x0a0d0d0a
	gzipMagic   = 0x8b1f
)

var errFormat = errors.New("neither a pcap nor a pcapng file")

// begin detects the format of f.
func (r *Reader) begin(f io.Reader) error {
	b := bufio.NewReaderSize(f, readSize)
	magic, err := b.Peek(4)
	if err != nil {
		return err
	}
	switch first := binary.LittleEndian.Uint32(magic); {
	case first == pcapngMagic:
		// Interfaces may have different link types. Then each packet has its own.
		ng, err := pcapgo.NewNgReader(b, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
		if err != nil {
			return err
		}
		r.frames = ng
		return nil
	case first&0xffff == gzipMagic:
		return errors.New("compressed: gunzip it first")
	case !isClassic(magic):
		return errFormat
	}
	c, err := newClassic(b)
	if err != nil {
		return err
	}
	r.frames, r.link = c, c.link
	return nil
}
