package capture_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"binrepd/userspace/trace/capture"
)

// writeCapture writes a pcap file of link type RAW with one UDP datagram over IPv4.
func writeCapture(path, payload string) error {
	le, be := binary.LittleEndian, binary.BigEndian
	packet := []byte{0: 0x45, 8: 64, 9: 17, 12: 192, 14: 2, 15: 10, 16: 198, 17: 51, 18: 100, 19: 2, 27: 0}
	be.PutUint16(packet[2:], uint16(len(packet)+len(payload)))
	be.PutUint16(packet[20:], 5555)
	be.PutUint16(packet[22:], 5556)
	be.PutUint16(packet[24:], uint16(8+len(payload)))
	packet = append(packet, payload...)

	file := le.AppendUint32(nil, 0xa1b2c3d4)
	file = le.AppendUint16(le.AppendUint16(file, 2), 4) // version
	file = append(file, make([]byte, 8)...)
	file = le.AppendUint32(le.AppendUint32(file, 65535), 101)
	file = le.AppendUint32(le.AppendUint32(file, 1_700_000_000), 0)
	file = le.AppendUint32(le.AppendUint32(file, uint32(len(packet))), uint32(len(packet)))
	return os.WriteFile(path, append(file, packet...), 0o600)
}

// A Reader yields the UDP datagrams of files, with fragments put together, until io.EOF.
func ExampleReader() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "example.pcap")
	if err := writeCapture(path, "P4CK..."); err != nil {
		fmt.Println(err)
		return
	}

	r := capture.NewReader(path)
	defer r.Close()
	var d capture.Datagram
	for {
		err := r.Next(&d)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s %s > %s: %q\n", d.Time.UTC().Format(time.DateTime), d.Source, d.Destination, d.Payload)
	}
	fmt.Println(r.Counts.Frames, "frame,", r.Counts.Damaged, "damaged")
	// Output:
	// 2023-11-14 22:13:20 192.0.2.10:5555 > 198.51.100.2:5556: "P4CK..."
	// 1 frame, 0 damaged
}
