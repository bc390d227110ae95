package bpftest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// verdict is a testing.TB that only records how a test ends.
type verdict struct {
	testing.TB
	failed, skipped bool
}

func (v *verdict) Helper()               {}
func (v *verdict) Fatalf(string, ...any) { v.failed = true; panic(v) }
func (v *verdict) Skipf(string, ...any)  { v.skipped = true; panic(v) }

// TestRequireKernel skips without privilege, or fails if skipping is forbidden.
func TestRequireKernel(t *testing.T) {
	RequireKernel(t) // without privilege there is none to drop
	for _, forbidden := range []bool{false, true} {
		t.Setenv(RequireEnv, map[bool]string{false: "", true: "1"}[forbidden])
		WithCapabilities(t, func() {
			v := &verdict{TB: t}
			func() {
				defer func() { _ = recover() }()
				RequireKernel(v)
			}()
			if v.failed != forbidden || v.skipped == forbidden {
				t.Errorf("%s=1 %v: %+v", RequireEnv, forbidden, v)
			}
		})
	}
}

// TestMissing skips, or fails if skipping is forbidden.
func TestMissing(t *testing.T) {
	for _, forbidden := range []bool{false, true} {
		t.Setenv(RequireEnv, map[bool]string{false: "", true: "1"}[forbidden])
		v := &verdict{TB: t}
		func() {
			defer func() { _ = recover() }()
			Missing(v, "a moon", os.ErrNotExist)
		}()
		if v.failed != forbidden || v.skipped == forbidden {
			t.Errorf("%s=1 %v: %+v", RequireEnv, forbidden, v)
		}
	}
}

// TestFrameLikeReal rebuilds the complete frames of a capture.
func TestFrameLikeReal(t *testing.T) {
	built := 0
	for i, want := range Capture(t, "opensips-1.11.pcap") {
		if binary.BigEndian.Uint16(want[20:])&0x3fff != 0 {
			continue
		}
		got := Frame{
			From:    netip.MustParseAddrPort("10.99.0.1:5555"),
			To:      netip.MustParseAddrPort("10.99.0.2:5556"),
			Payload: want[42:],
		}.Bytes()
		// A Frame doesn't set the Ethernet addresses and the identification, so the IP checksum differs, too.
		copy(got, want[:12])
		copy(got[18:22], want[18:22])
		copy(got[24:26], want[24:26])
		if !bytes.Equal(got, want) {
			t.Fatalf("frame %d:\n%x, want\n%x", i, got, want)
		}
		built++
	}
	if built == 0 {
		t.Error("no whole frame in the capture")
	}
}

// TestFrameChecksums checks the checksums: with them included, the sum is all ones.
func TestFrameChecksums(t *testing.T) {
	for _, f := range []Frame{
		{From: netip.MustParseAddrPort("10.0.0.1:1"), To: netip.MustParseAddrPort("10.0.0.2:2"), Payload: []byte("odd")},
		{From: netip.MustParseAddrPort("10.0.0.1:1"), To: netip.MustParseAddrPort("10.0.0.2:2"), Options: make([]byte, 40)},
		{From: netip.MustParseAddrPort("[fd00::1]:1"), To: netip.MustParseAddrPort("[fd00::2]:2"), Payload: []byte("even")},
	} {
		b := f.Bytes()[14:]
		var addrs, udp []byte
		if f.To.Addr().Is4() {
			header := int(b[0]&15) * 4
			if s := sum(0, b[:header]); s != 0xffff {
				t.Errorf("%+v: header sums up to %#x", f, s)
			}
			addrs, udp = b[12:20], b[header:]
		} else {
			addrs, udp = b[8:40], b[40:]
		}
		pseudo := append(append([]byte(nil), addrs...), 0, protocolUDP, byte(len(udp)>>8), byte(len(udp)))
		if s := sum(uint32(sum(0, pseudo)), udp); s != 0xffff {
			t.Errorf("%+v: datagram sums up to %#x", f, s)
		}
	}
}

// TestFrameShapes checks that each part is in its place.
func TestFrameShapes(t *testing.T) {
	f := Frame{
		Tags: []Tag{{Type: 0x88a8, VLAN: 7}, {Type: 0x8100, VLAN: 8}},
		From: netip.MustParseAddrPort("10.0.0.1:1"), To: netip.MustParseAddrPort("10.0.0.2:2"),
		Payload: []byte("middle"), Offset: 1480, More: true, Padding: 3,
	}
	b := f.Bytes()
	if got, want := b[12:22], []byte{0x88, 0xa8, 0, 7, 0x81, 0, 0, 8, 8, 0}; !bytes.Equal(got, want) {
		t.Errorf("tags and type %x, want %x", got, want)
	}
	ip := b[22:]
	if got := binary.BigEndian.Uint16(ip[6:]); got != 0x2000|185 {
		t.Errorf("fragment field %#x", got)
	}
	if got := string(ip[20:]); got != "middle\x00\x00\x00" {
		t.Errorf("after the header %q", got)
	}
	g := Frame{
		From: netip.MustParseAddrPort("[fd00::1]:1"), To: netip.MustParseAddrPort("[fd00::2]:2"),
		Extensions: [][]byte{make([]byte, 8), make([]byte, 8)}, ExtensionTypes: []byte{0, 60},
	}.Bytes()[14:]
	if g[6] != 0 || g[40] != 60 || g[48] != protocolUDP || binary.BigEndian.Uint16(g[4:]) != 8+8+8 {
		t.Errorf("chain of headers %x", g)
	}
}

// TestNamespace carries a datagram of the full MTU from one namespace to another, and nothing to the host's.
func TestNamespace(t *testing.T) {
	a, b := NewNamespace(t), NewNamespace(t)
	Veth(9000,
		End{In: a, Name: "left0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}},
		End{In: b, Name: "right0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.2/24")}})
	var server net.PacketConn
	b.Do(func() (err error) {
		server, err = net.ListenPacket("udp4", "10.1.0.2:5556")
		return err
	})
	defer server.Close()
	sent := bytes.Repeat([]byte("x"), 8972)
	a.Do(func() error {
		c, err := net.Dial("udp4", "10.1.0.2:5556")
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write(sent)
		return err
	})
	got := make([]byte, 9000)
	if err := server.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	n, _, err := server.ReadFrom(got)
	if err != nil || !bytes.Equal(got[:n], sent) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, err := net.InterfaceByName("right0"); err == nil {
		t.Error("the interface is in the namespace of the test")
	}
	if err := b.Try(func() error { return errors.New("an error") }); err == nil || err.Error() != "an error" {
		t.Errorf("Try returned %v", err)
	}
}

func TestPcap(t *testing.T) {
	header := make([]byte, 24)
	binary.LittleEndian.PutUint32(header, 0xa1b2c3d4)
	header[20] = 1
	frame := append(make([]byte, 8), 3, 0, 0, 0, 3, 0, 0, 0, 'a', 'b', 'c')
	whole := append(append([]byte(nil), header...), frame...)
	frames, err := parsePcap(whole)
	if err != nil || len(frames) != 1 || string(frames[0]) != "abc" {
		t.Errorf("%q, %v", frames, err)
	}
	for size := range whole {
		if frames, err := parsePcap(whole[:size]); err == nil && size != len(header) {
			t.Errorf("%d of %d bytes: %q", size, len(whole), frames)
		}
	}
	whole[20] = 113
	if frames, err := parsePcap(whole); err == nil {
		t.Errorf("not Ethernet: %q", frames)
	}
}
