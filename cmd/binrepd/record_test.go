package main

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/trace/capture"
	"binrepd/userspace/trace/record"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin2"
)

// recordPackets records payloads in dir, in a file of its own.
func recordPackets(t *testing.T, dir string, payloads ...[]byte) {
	t.Helper()
	at := netip.MustParseAddrPort("127.0.0.1:5556")
	r, err := record.Open(record.Config{Dir: dir, Limit: record.LeastLimit, Listeners: []netip.AddrPort{at}, Taps: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range payloads {
		r.Tap(0).Record([]packets.Packet{{
			Payload: p, Sender: packets.Sender{Endpoint: packets.EndpointOf(netip.MustParseAddrPort("192.0.2.7:5555"))}, Received: time.Now().UnixNano() + int64(i),
		}})
	}
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestCallOfDamagedRecording: the host stopped while the first of two files was written. What is before that in it, and what is in the second, is
// told, with the names' unprintable bytes escaped once; and so is that something may be missing.
func TestCallOfDamagedRecording(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "record")
	d := dialog.Details{CallID: "call", FromTag: "f", ToTag: "t", State: dialog.Confirmed, Vars: "a\x01"}
	recordPackets(t, dir, bin1.Append(nil, dialog.Create, d.AppendPacked(nil)))
	files, err := record.Files(dir)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	d.Vars = "b\x02"
	recordPackets(t, dir, bin1.Append(nil, dialog.Update, d.AppendPacked(nil)))
	args := []string{"record", "call", "call", "--record", dir}
	status, stdout, stderr := call(args...)
	if status != 0 || strings.Count(stdout, "\n") != 3 || stderr != "" || !strings.Contains(stdout, `vars "a\x01" -> "b\x02"`) {
		t.Errorf("%d\n%s%s", status, stdout, stderr)
	}
	first, err := os.OpenFile(files[0].Path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := first.Write([]byte{6, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	status, damaged, stderr := call(args...)
	if status != 0 || damaged != stdout || stderr != "the history may have gaps: 1 files that end in the middle of a packet\n" {
		t.Errorf("%d\n%s%s", status, damaged, stderr)
	}
}

// TestReplayOfLiveRecording: the oldest file of a folder goes while it is read. One that was named by itself has to be there.
func TestReplayOfLiveRecording(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "record")
	for range 2 {
		recordPackets(t, dir, []byte("P4CK"), []byte("JUNK"))
	}
	files, err := record.Files(dir)
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	r, err := readerOf([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	named, err := readerOf([]string{files[0].Path})
	if err != nil {
		t.Fatal(err)
	}
	defer named.Close()
	if err := os.Remove(files[0].Path); err != nil {
		t.Fatal(err)
	}
	n := 0
	var d capture.Datagram
	for err = r.Next(&d); err == nil; err = r.Next(&d) {
		n++
	}
	if !errors.Is(err, io.EOF) || n != 2 || r.Counts.Gone != 1 {
		t.Errorf("%d datagrams, %+v: %v", n, r.Counts, err)
	}
	if err := named.Next(&d); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file by its name: %v", err)
	}
}

// TestReplayOfWhatCannotBeSent: one datagram is longer than any that can be sent here. The others are, and the exit status tells.
func TestReplayOfWhatCannotBeSent(t *testing.T) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	path := filepath.Join(t.TempDir(), "long.pcap")
	if err := os.WriteFile(path, longPcap([]byte("one"), make([]byte, 65_520), []byte("two")), 0o600); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := call("replay", path, "--to", conn.LocalAddr().String(), "--json")
	if status != exitFailed || !strings.Contains(stdout, `"complete": false`) || !strings.Contains(stdout, `"failed": 1`) ||
		!strings.Contains(stdout, `"sent": 2`) || !strings.Contains(stderr, "1 of 3 datagrams") {
		t.Errorf("%d\n%s%s", status, stdout, stderr)
	}
}

// longPcap is a file with these datagrams over IPv6, where they may be some bytes longer than over IPv4.
func longPcap(payloads ...[]byte) []byte {
	const ipv6 = 229 // LINKTYPE_IPV6
	b := []byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, ipv6, 0, 0, 0}
	for _, p := range payloads {
		long := uint16(8 + len(p))
		b = binary.LittleEndian.AppendUint64(b, 1_800_000_000)
		b = binary.LittleEndian.AppendUint32(b, 40+uint32(long))
		b = binary.LittleEndian.AppendUint32(b, 40+uint32(long))
		b = append(b, 0x60, 0, 0, 0, byte(long>>8), byte(long), 17, 64)
		b = append(b, make([]byte, 32)...)                                     // addresses
		b = append(b, 0x15, 0xb3, 0x15, 0xb4, byte(long>>8), byte(long), 0, 0) // ports
		b = append(b, p...)
	}
	return b
}

// TestCallOfCluster: what a node of a cluster said of a call is shown with the node, and times name their zone (fault 32).
func TestCallOfCluster(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "record")
	r, err := record.Open(record.Config{Dir: dir, Limit: record.LeastLimit, Streams: []string{"cluster 1"}})
	if err != nil {
		t.Fatal(err)
	}
	m := layout.ValueChange{CallID: []byte("call"), HID: 7, Name: []byte("n\x1b"), Type: layout.Text, Text: []byte("v")}
	body, fault := m.Append(nil, 4)
	if fault != layout.NoFault {
		t.Fatal(fault)
	}
	w := bin2.Begin(nil, 4, bin2.Dialogs.String(), 5)
	w.Raw(body)
	packet, err := w.EndTrailer(bin2.Trailer{Cluster: 1, Source: 2, Destination: 3})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c := r.Connections().Begin(0, netip.MustParseAddrPort("192.0.2.7:40000"), netip.MustParseAddrPort("192.0.2.8:5566"), false, now.UnixNano())
	c.Record(packet, now.UnixNano())
	c.End(now.UnixNano())
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := call("record", "call", "call", "--record", dir)
	_, line, _ := strings.Cut(stdout, "\n")
	want := now.Format("2006-01-02 15:04:05.000000 -07:00") + `  192.0.2.7:40000 node 1/2  192.0.2.8:5566  value    -      variable n\x1b = "v", h_id 7` + "\n"
	if status != 0 || stderr != "" || line != want {
		t.Errorf("%d\n%s%s, want\n%s", status, stdout, stderr, want)
	}
	status, stdout, _ = call("record", "call", "call", "--record", dir, "--json")
	for _, part := range []string{`"command":"value"`, `"cluster_id":1`, `"node_id":2`, `"hash_id":7`, `"name":"n\\x1b"`, `"value":"v"`} {
		if status != 0 || !strings.Contains(stdout, part) {
			t.Errorf("%d %s: no %s", status, stdout, part)
		}
	}
}
