package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// classic reads files in the older format. pcapgo's reader ends at a record whose captured length exceeds its length,
// which tcpdump and Wireshark read, and it doesn't know the modified format.
//
// Format: draft-ietf-opsawg-pcap.
type classic struct {
	r     io.Reader
	order binary.ByteOrder
	unit  time.Duration // of the fraction of a second in a record
	extra int           // bytes of a record's header behind the known ones
	link  layers.LinkType
	head  [16 + 8]byte
	data  []byte
}

const (
	magicMicroseconds = 0xa1b2c3d4
	magicNanoseconds  = 0xa1b23c4d
	magicModified     = 0xa1b2cd34 // by a patch of libpcap of 1999: 8 more bytes for each record

	classicHeader = 24
	// maxRecord bounds the memory for one frame.
	maxRecord = 16 << 20
)

// isClassic tells whether a file begins with one of the magic numbers, in either byte order.
func isClassic(first []byte) bool {
	_, _, ok := classicMagic(first)
	return ok
}

func classicMagic(first []byte) (binary.ByteOrder, uint32, bool) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch magic := order.Uint32(first); magic {
		case magicMicroseconds, magicNanoseconds, magicModified:
			return order, magic, true
		}
	}
	return nil, 0, false
}

// newClassic reads the header of a file.
func newClassic(r io.Reader) (*classic, error) {
	var head [classicHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	c := &classic{r: r, unit: time.Microsecond}
	var magic uint32
	var ok bool
	if c.order, magic, ok = classicMagic(head[:]); !ok {
		return nil, errFormat
	}
	switch magic {
	case magicNanoseconds:
		c.unit = time.Nanosecond
	case magicModified:
		c.extra = 8
	}
	if major := c.order.Uint16(head[4:]); major != 2 {
		return nil, fmt.Errorf("version %d of the pcap format, which nobody uses", major)
	}
	c.link = layers.LinkType(c.order.Uint32(head[20:]) & 0xffff) // above it: the length of frame check sequences
	return c, nil
}

// ZeroCopyReadPacketData implements frames. The data are valid until the next call.
func (c *classic) ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error) {
	var info gopacket.CaptureInfo
	head := c.head[:16+c.extra]
	if _, err := io.ReadFull(c.r, head); err != nil {
		return nil, info, err
	}
	second, fraction := c.order.Uint32(head), c.order.Uint32(head[4:])
	n, length := c.order.Uint32(head[8:]), c.order.Uint32(head[12:])
	if n > maxRecord {
		return nil, info, fmt.Errorf("a record of %d bytes: the file is damaged", n)
	}
	if int(n) > cap(c.data) {
		c.data = make([]byte, n)
	}
	c.data = c.data[:n]
	if _, err := io.ReadFull(c.r, c.data); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, info, err
	}
	info.Timestamp = time.Unix(int64(second), int64(fraction)*int64(c.unit)).UTC()
	info.CaptureLength, info.Length = int(n), int(max(n, length))
	return c.data, info, nil
}
