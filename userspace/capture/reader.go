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

// readSize is how much is read from a file at once.
const readSize = 1 << 20

// Datagram is one UDP datagram out of a file.
type Datagram struct {
	Time                time.Time // of its last fragment
	Source, Destination netip.AddrPort
	// Payload is a view, valid until the next one is read.
	Payload []byte
}

// Counts tell what was in the files.
type Counts struct {
	Frames    uint64
	Datagrams uint64
	Other     uint64 // frames with something else than UDP
	Damaged   uint64 // frames that could not be understood, or were cut off when they were captured
	Fragments uint64 // frames with a part of a datagram
	Torn      int    // files that end in the middle of a packet
	Gone      int    // files that had been deleted when their turn came
}

// Reader reads files one behind another.
type Reader struct {
	paths []string
	// SkipGone passes over files that are no longer there: the oldest of a recording go while it is read.
	SkipGone bool
	Counts   Counts

	file   *os.File
	frames frames
	decoder
}

// frames is a reader of one of the two formats.
type frames interface {
	ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error)
}

// NewReader returns a reader of these files, in this order.
func NewReader(paths ...string) *Reader {
	return &Reader{paths: paths, decoder: newDecoder()}
}

// Close closes the file that is being read.
func (r *Reader) Close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file, r.frames = nil, nil
	return err
}

// Next reads the next datagram into d. It returns io.EOF behind the last.
func (r *Reader) Next(d *Datagram) error {
	for {
		if r.frames == nil {
			if err := r.open(); err != nil {
				return err
			}
			continue
		}
		data, info, err := r.frames.ZeroCopyReadPacketData()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			if errors.Is(err, io.ErrUnexpectedEOF) {
				r.Counts.Torn++
			}
			if err := r.Close(); err != nil {
				return err
			}
			continue
		case err != nil:
			return fmt.Errorf("%s: %w", r.name(), err)
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

func (r *Reader) name() string {
	if r.file == nil {
		return "capture"
	}
	return r.file.Name()
}

// open opens the next file.
func (r *Reader) open() (err error) {
	if len(r.paths) == 0 {
		return io.EOF
	}
	path := r.paths[0]
	r.paths = r.paths[1:]
	if r.file, err = os.Open(path); err != nil {
		if r.SkipGone && errors.Is(err, fs.ErrNotExist) {
			r.Counts.Gone++
			return nil
		}
		return err
	}
	switch err = r.begin(r.file); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // not even a whole header
		r.Counts.Torn++
		return r.Close()
	case err != nil:
		return errors.Join(fmt.Errorf("%s: %w", path, err), r.Close())
	}
	return nil
}

const (
	pcapngMagic = 0x0a0d0d0a
	gzipMagic   = 0x8b1f
)

var errFormat = errors.New("neither a pcap nor a pcapng file")

// begin finds out which format f has.
func (r *Reader) begin(f io.Reader) error {
	b := bufio.NewReaderSize(f, readSize)
	magic, err := b.Peek(4)
	if err != nil {
		return err
	}
	switch first := binary.LittleEndian.Uint32(magic); {
	case first == pcapngMagic:
		// Interfaces may be of different kinds; the kind then comes with each packet.
		ng, err := pcapgo.NewNgReader(b, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
		if err != nil {
			return err
		}
		r.frames = ng
		return nil
	case first&0xffff == gzipMagic:
		return errors.New("compressed: gunzip it first")
	case first != 0xa1b2c3d4 && first != 0xd4c3b2a1 && first != 0xa1b23c4d && first != 0x4d3cb2a1:
		return errFormat
	}
	classic, err := pcapgo.NewReader(b)
	if err != nil {
		return err
	}
	r.frames, r.link = classic, classic.LinkType()
	return nil
}
