package bin1test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Frame is one captured Ethernet frame.
type Frame struct {
	Time time.Time
	Data []byte
}

// ReadPcap reads a capture file in the classic format (tcpdump -w): a header of 24 bytes, then for each frame a
// header of 16 bytes and its data. Both byte orders, micro- and nanoseconds. Frames must be Ethernet and whole.
// Source of the format: the manual page pcap-savefile(5) of libpcap.
func ReadPcap(r io.Reader) ([]Frame, error) {
	var header [24]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, fmt.Errorf("pcap header: %w", err)
	}
	var order binary.ByteOrder = binary.LittleEndian
	unit := time.Microsecond
	switch magic := binary.BigEndian.Uint32(header[:]); magic {
	case 0xd4c3b2a1:
	case 0x4d3cb2a1:
		unit = time.Nanosecond
	case 0xa1b2c3d4:
		order = binary.BigEndian
	case 0xa1b23c4d:
		order, unit = binary.BigEndian, time.Nanosecond
	default:
		return nil, fmt.Errorf("pcap header: magic number %#08x is not of a classic capture file", magic)
	}
	// The upper bits of the word tell about frame check sequences.
	if link := order.Uint32(header[20:]) & 0xfffffff; link != 1 {
		return nil, fmt.Errorf("pcap header: link type %d, want 1 (Ethernet)", link)
	}
	var frames []Frame
	for {
		var head [16]byte
		switch _, err := io.ReadFull(r, head[:]); {
		case errors.Is(err, io.EOF):
			return frames, nil
		case err != nil:
			return nil, fmt.Errorf("pcap frame %d: %w", len(frames), err)
		}
		size, whole := order.Uint32(head[8:]), order.Uint32(head[12:])
		switch {
		case size < whole:
			return nil, fmt.Errorf("pcap frame %d: cut to %d of %d bytes", len(frames), size, whole)
		case size > 1<<18: // what libpcap allows as snapshot length
			return nil, fmt.Errorf("pcap frame %d: %d bytes long", len(frames), size)
		}
		data := make([]byte, size)
		if _, err := io.ReadFull(r, data); err != nil {
			return nil, fmt.Errorf("pcap frame %d: %w", len(frames), err)
		}
		at := time.Unix(int64(order.Uint32(head[:])), int64(order.Uint32(head[4:]))*int64(unit))
		frames = append(frames, Frame{Time: at, Data: data})
	}
}
