package bpftest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Captures are the names of the captures of real senders. Their frames go from 10.99.0.1:5555 to 10.99.0.2:5556.
func Captures() []string { return []string{"opensips-1.10.pcap", "opensips-1.11.pcap"} }

// Capture returns the frames of a capture, in order. It skips the test if the captures are absent. They are in
// ../shared/captures beside the repository.
func Capture(t testing.TB, name string) [][]byte {
	t.Helper()
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(root, "..", "shared", "captures", name))
	if errors.Is(err, fs.ErrNotExist) {
		// Package bintest does the same. It may not be imported here.
		if os.Getenv("BINREPD_REQUIRE_CAPTURES") == "1" {
			t.Fatalf("needs captures of real senders, and BINREPD_REQUIRE_CAPTURES=1 forbids skipping: %v", err)
		}
		t.Skipf("SKIPPED, needs captures of real senders in ../shared/captures beside the repository, which are not part of it: %v "+
			"(BINREPD_REQUIRE_CAPTURES=1 makes this a failure)", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	frames, err := parsePcap(b)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return frames
}

// repository returns the directory of go.mod.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

// parsePcap reads a little-endian pcap file of Ethernet frames. The file has a header of 24 bytes. Each frame then has
// 16 bytes of header, whose third word is the captured length and whose fourth is the real length.
func parsePcap(b []byte) ([][]byte, error) {
	if len(b) < 24 {
		return nil, errors.New("pcap: no header")
	}
	switch magic := binary.LittleEndian.Uint32(b); magic {
	case 0xa1b2c3d4, 0xa1b23c4d: // microseconds, nanoseconds
	default:
		return nil, fmt.Errorf("pcap: magic number %#x", magic)
	}
	if link := binary.LittleEndian.Uint32(b[20:]); link != 1 {
		return nil, fmt.Errorf("pcap: link type %d is not Ethernet", link)
	}
	var frames [][]byte
	for b = b[24:]; len(b) > 0; {
		if len(b) < 16 {
			return nil, errors.New("pcap: cut within a frame's header")
		}
		captured, real := binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])
		if captured != real || uint64(captured) > uint64(len(b)-16) {
			return nil, errors.New("pcap: cut within a frame")
		}
		frames = append(frames, b[16:16+captured])
		b = b[16+captured:]
	}
	return frames, nil
}
