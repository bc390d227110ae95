package bin1test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
)

func TestCaptures(t *testing.T) {
	for _, c := range Captures(t) {
		t.Run(c.Name, func(t *testing.T) {
			sent := map[dialog.Kind]uint64{}
			fragmented := 0
			table := map[string]dialog.Details{}
			ended := map[string]bool{}
			for i, d := range c.Datagrams {
				if d.Fragments > 1 {
					fragmented++
				}
				if d.Time.IsZero() || d.Source.Port() == 0 || d.Destination.Port() == 0 {
					t.Errorf("datagram %d: time %v, from %v to %v", i, d.Time, d.Source, d.Destination)
				}
				var ev dialog.Event
				switch v := bin1.Decode(d.Payload, &ev); v {
				case bin1.OtherCapability:
					continue
				case bin1.Dialog:
				default:
					t.Fatalf("datagram %d: %v", i, v)
				}
				sent[ev.Kind]++
				key := string(ev.Key)
				switch old, known := table[key]; {
				case ev.Kind == dialog.Delete:
					delete(table, key)
					ended[key] = true
				case !ended[key] && (!known || old.State <= ev.State):
					table[key] = ev.Body.Details()
				}
			}
			for kind, name := range map[dialog.Kind]string{
				dialog.Create: "create_sent", dialog.Update: "update_sent", dialog.Delete: "delete_sent",
			} {
				if want, ok := c.Statistics[name]; !ok || sent[kind] != want {
					t.Errorf("%d packets of kind %v, statistic %s says %d", sent[kind], kind, name, want)
				}
			}
			if active := c.Statistics["active_dialogs"]; uint64(len(c.Expected)) != active {
				t.Errorf("%d dialogs are expected, statistic active_dialogs says %d", len(c.Expected), active)
			}
			if fragmented == 0 {
				t.Error("no fragmented datagram")
			}
			for _, line := range Diff(values(table), c.Expected) {
				t.Error(line)
			}
		})
	}
}

// pcapFile makes a capture file of frames, in nanoseconds if nano.
func pcapFile(order binary.AppendByteOrder, nano bool, frames ...Frame) []byte {
	magic, unit := uint32(0xa1b2c3d4), int64(time.Microsecond)
	if nano {
		magic, unit = 0xa1b23c4d, int64(time.Nanosecond)
	}
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(order.AppendUint16(b, 2), 4)
	for _, word := range []uint32{0, 0, 1 << 18, 1} {
		b = order.AppendUint32(b, word)
	}
	for _, f := range frames {
		b = order.AppendUint32(b, uint32(f.Time.Unix()))
		b = order.AppendUint32(b, uint32(int64(f.Time.Nanosecond())/unit))
		b = order.AppendUint32(order.AppendUint32(b, uint32(len(f.Data))), uint32(len(f.Data)))
		b = append(b, f.Data...)
	}
	return b
}

func TestReadPcap(t *testing.T) {
	want := []Frame{{time.Unix(1_800_000_000, 123_456_000), []byte("one")}, {time.Unix(1_800_000_001, 0), []byte("two")}}
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, nano := range []bool{false, true} {
			got, err := ReadPcap(bytes.NewReader(pcapFile(order, nano, want...)))
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 2 || !got[0].Time.Equal(want[0].Time) || !bytes.Equal(got[1].Data, want[1].Data) {
				t.Errorf("%v, nanoseconds %t: %v", order, nano, got)
			}
		}
	}
}

func TestReadPcapRefuses(t *testing.T) {
	whole := pcapFile(binary.LittleEndian, false, Frame{time.Unix(1, 0), []byte("frame")})
	for cut := range whole {
		if cut == 24 {
			continue // a capture of nothing
		}
		if _, err := ReadPcap(bytes.NewReader(whole[:cut])); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut to %d bytes: %v", cut, err)
		}
	}
	for name, at := range map[string]int{"magic": 0, "link": 20, "snap": 24 + 12, "huge": 24 + 11} {
		broken := bytes.Clone(whole)
		broken[at] += 2
		if _, err := ReadPcap(bytes.NewReader(broken)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// frameIPv4 makes a frame with one fragment of an IPv4 packet.
func frameIPv4(tags int, id uint16, offset int, more bool, body []byte) []byte {
	ip := make([]byte, 20, 20+len(body))
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(ip[2:], uint16(20+len(body)))
	binary.BigEndian.PutUint16(ip[4:], id)
	binary.BigEndian.PutUint16(ip[6:], uint16(offset/8))
	if more {
		ip[6] |= 0x20
	}
	copy(ip[12:], []byte{192, 0, 2, 1, 192, 0, 2, 2})
	binary.BigEndian.PutUint16(ip[10:], ^onesSum(ip))
	return ethernet(tags, 0x0800, append(ip, body...))
}

func ethernet(tags int, etherType uint16, body []byte) []byte {
	frame := make([]byte, 12)
	for range tags {
		frame = append(frame, 0x81, 0, 0, 7)
	}
	frame = binary.BigEndian.AppendUint16(frame, etherType)
	return append(append(frame, body...), 0, 0, 0) // padding behind the packet
}

func udp(payload string) []byte {
	b := []byte{0x15, 0xb3, 0x15, 0xb4, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(payload)))
	return append(b, payload...)
}

func frames(data ...[]byte) (out []Frame) {
	for i, d := range data {
		out = append(out, Frame{time.Unix(int64(i), 0), d})
	}
	return out
}

func TestDatagrams(t *testing.T) {
	long := udp(strings.Repeat("0123456789", 5))
	ipv6 := make([]byte, 40)
	ipv6[0], ipv6[6], ipv6[5] = 0x60, 17, byte(len(udp("six")))
	ipv6[23], ipv6[39] = 1, 2
	tcp := frameIPv4(0, 1, 0, false, udp("tcp"))
	tcp[14+9] = 6
	binary.BigEndian.PutUint16(tcp[14+10:], 0)
	binary.BigEndian.PutUint16(tcp[14+10:], ^onesSum(tcp[14:34]))
	got, err := Datagrams(frames(
		frameIPv4(0, 1, 0, false, udp("one")),
		frameIPv4(2, 2, 0, true, long[:16]), // three fragments, between each other's and out of order
		frameIPv4(0, 3, 16, false, long[16:]),
		frameIPv4(0, 2, 40, false, long[40:]),
		ethernet(0, 0x0806, []byte("who has")),
		tcp,
		frameIPv4(0, 3, 0, true, long[:16]),
		frameIPv4(1, 2, 16, true, long[16:40]),
		ethernet(1, 0x86dd, append(ipv6, udp("six")...)),
	))
	if err != nil {
		t.Fatal(err)
	}
	four := [2]netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:5555"), netip.MustParseAddrPort("192.0.2.2:5556")}
	want := []Datagram{
		{time.Unix(0, 0), four[0], four[1], []byte("one"), 1},
		{time.Unix(6, 0), four[0], four[1], long[8:], 2},
		{time.Unix(7, 0), four[0], four[1], long[8:], 3},
		{time.Unix(8, 0), netip.MustParseAddrPort("[::1]:5555"), netip.MustParseAddrPort("[::2]:5556"), []byte("six"), 1},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestDatagramsRefuses(t *testing.T) {
	good := frameIPv4(0, 1, 0, false, udp("payload"))
	for name, frame := range map[string][]byte{
		"first fragment alone": frameIPv4(0, 1, 0, true, udp("payload")[:8]),
		"last fragment alone":  frameIPv4(0, 1, 8, false, udp("payload")[8:]),
		"no header":            good[:30],
		"cut short":            good[:40],
		"header checksum":      append(append(bytes.Clone(good[:22]), good[22]+1), good[23:]...),
		"UDP length":           frameIPv4(0, 1, 0, false, udp("payload")[:14]),
		"short IPv6":           ethernet(0, 0x86dd, []byte{0x60, 0}),
	} {
		if got, err := Datagrams(frames(frame)); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	// No frame may lead past its end.
	for cut := range good {
		Datagrams(frames(good[:cut]))
	}
}

func TestReadStatistics(t *testing.T) {
	got, err := ReadStatistics(strings.NewReader("200 OK\ndialog:create_sent = 12\ndialog:update_sent:: 13\ncore:x = y\n\n"))
	if err != nil || len(got) != 2 || got["create_sent"] != 12 || got["update_sent"] != 13 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := ReadStatistics(strings.NewReader("dialog:create_sent = many\n")); err == nil {
		t.Errorf("read %v", got)
	}
}

func TestLoadCaptureNamesWhatIsMissing(t *testing.T) {
	if _, err := LoadCapture(t.TempDir() + "/none.pcap"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// verdict is a test that only notes what becomes of it.
type verdict struct{ failed, skipped bool }

func (v *verdict) Helper()               {}
func (v *verdict) Fatalf(string, ...any) { v.failed = true; panic(v) }
func (v *verdict) Skipf(string, ...any)  { v.skipped = true; panic(v) }

// TestNoCaptures skips, or fails if that is forbidden.
func TestNoCaptures(t *testing.T) {
	for _, forbidden := range []bool{false, true} {
		t.Setenv(RequireEnv, map[bool]string{false: "", true: "1"}[forbidden])
		v := &verdict{}
		func() {
			defer func() { _ = recover() }()
			NoCaptures(v, os.ErrNotExist)
		}()
		if v.failed != forbidden || v.skipped == forbidden {
			t.Errorf("%s=1 %v: %+v", RequireEnv, forbidden, v)
		}
	}
}
