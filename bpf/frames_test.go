package bpf_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
)

// trial runs single frames through the program and compares the results with the model.
type trial struct {
	model
	program *bpf.Program
	rings   *drain
	before  bpf.Counters
	context *xdpContext
}

// fataler is what testing.TB and rapid.T have in common.
type fataler interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Fatal(args ...any)
}

// xdpContext is struct xdp_md of linux/bpf.h.
type xdpContext struct {
	Data, DataEnd, DataMeta, Ingress, Queue, Egress uint32
}

var testListeners = []netip.AddrPort{
	netip.MustParseAddrPort("10.99.0.2:5556"),
	netip.MustParseAddrPort("[fd00::2]:5556"),
	netip.MustParseAddrPort("127.0.0.1:5556"),
	netip.MustParseAddrPort("[::1]:5557"),
}

func newTrial(t testing.TB) *trial {
	p := load(t, bpf.Config{Rings: 3, Listeners: testListeners})
	before, err := p.Counters()
	if err != nil {
		t.Fatal(err)
	}
	r := &trial{program: p, rings: newDrain(t, p), before: before, model: model{listeners: testListeners, rings: 3, loopback: true}}
	r.onHost(t, 1)
	return r
}

// onHost lets frames come in by the interface with this index, 1 for lo, at a host with several VLANs there.
func (r *trial) onHost(t testing.TB, index int) {
	t.Helper()
	r.loopback, r.interfaceIndex, r.mayMerge = index == 1, index, true
	r.stations, r.homes, r.own = nil, nil, []netip.Addr{netip.MustParseAddr("10.99.0.14"), netip.MustParseAddr("fd00::6")}
	for _, tags := range []uint32{0, 100, 0x1064, 0x1064<<16 | 101, 100<<16 | 101} {
		for _, mac := range [][6]byte{{2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 9}} {
			r.stations = append(r.stations, bpf.Station{Interface: index, Tags: tags, MAC: mac})
		}
		if tags != 0 {
			r.homes = append(r.homes,
				bpf.Home{Interface: index, Tags: tags, Address: testListeners[0].Addr()}, bpf.Home{Interface: index, Tags: tags, Address: testListeners[1].Addr()})
		}
	}
	if err := r.program.SetHost(r.stations, r.homes, r.own, r.mayMerge); err != nil {
		t.Fatal(err)
	}
}

// outside makes a trial whose frames come in by an interface of a namespace. Its frames must be run on the thread of the
// namespace.
func outside(t testing.TB) (*trial, *bpftest.Namespace) {
	_, receiver := pair(t, 1500)
	r := newTrial(t)
	r.onHost(t, receiver.Index("in0"))
	r.context = &xdpContext{Ingress: uint32(r.interfaceIndex)}
	return r, receiver
}

// run runs one frame and returns the result of the program.
func (r *trial) run(t fataler, frame []byte) judgement {
	t.Helper()
	opts := ebpf.RunOptions{Data: frame}
	if r.context != nil {
		r.context.DataEnd = uint32(len(frame))
		opts.Context = *r.context
	}
	answer, err := r.program.XDP().Run(&opts)
	if err != nil {
		t.Fatalf("frame %x: %v", frame, err)
	}
	now, err := r.program.Counters()
	if err != nil {
		t.Fatal(err)
	}
	got := judgement{verdict: difference(t, r.before, now)}
	for i := range now.Listeners {
		if now.Listeners[i] != r.before.Listeners[i] {
			got.row = 1 + i
		}
	}
	r.before = now
	records := r.rings.records()
	// Frames with these verdicts end in the program: the kernel doesn't get them.
	ends := got.verdict == bpf.Steered || got.verdict == bpf.Denied || got.verdict == bpf.RateLimited
	if ends != (answer == xdpDrop) || !ends && answer != xdpPass || (got.verdict == bpf.Steered) != (len(records) == 1) {
		t.Fatalf("frame %x: verdict %s, answer %d, %d records", frame, got.verdict, answer, len(records))
	}
	if len(records) == 1 {
		got.record = records[0]
		var now unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
		if age := time.Duration(now.Nano() - got.record.received); age < 0 || age > time.Minute {
			t.Errorf("received %v ago", age)
		}
		got.record.received = 0
	}
	return got
}

// compare runs one frame and compares the result with the model.
func (r *trial) compare(t fataler, frame []byte) judgement {
	t.Helper()
	got, want := r.run(t, frame), r.judge(frame)
	same := got.verdict == want.verdict && got.row == want.row && got.record.hash == want.record.hash &&
		got.record.ring == want.record.ring && got.record.source == want.record.source &&
		got.record.listener == want.record.listener && bytes.Equal(got.record.payload, want.record.payload)
	if !same {
		t.Fatalf("frame %x:\ngot  %+v\nwant %+v", frame, got, want)
	}
	return got
}

// ulPacket is a packet of the capability ul with key as its second string.
func ulPacket(first, key string) []byte {
	b := []byte("P4CK\x00\x00\x00\x00\x02\x00\x00\x00ul\x01\x00\x00\x00")
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(first))), first...)
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(key))), key...)
}

// madeFrame is a frame, the verdict that it must get, and the row of the counters.
type madeFrame struct {
	name    string
	frame   []byte
	verdict bpf.Verdict
	row     int
}

// handMade returns frames of every kind, each with its expected verdict.
func handMade() []madeFrame {
	from4, to4 := netip.MustParseAddrPort("10.99.0.1:5555"), testListeners[0]
	from6, to6 := netip.MustParseAddrPort("[fd00::1]:5555"), testListeners[1]
	call := binPacket("a-call@10.0.0.1", 300)
	v4 := func(change func(*bpftest.Frame)) []byte {
		f := bpftest.Frame{From: from4, To: to4, Payload: call}
		change(&f)
		return f.Bytes()
	}
	v6 := func(change func(*bpftest.Frame)) []byte {
		f := bpftest.Frame{From: from6, To: to6, Payload: call}
		change(&f)
		return f.Bytes()
	}
	plain := func(*bpftest.Frame) {}
	payload := func(p []byte) func(*bpftest.Frame) { return func(f *bpftest.Frame) { f.Payload = p } }
	to := func(from, to string) func(*bpftest.Frame) {
		return func(f *bpftest.Frame) { f.From, f.To = netip.MustParseAddrPort(from), netip.MustParseAddrPort(to) }
	}
	tags := func(types ...uint16) func(*bpftest.Frame) {
		return func(f *bpftest.Frame) {
			for i, kind := range types {
				f.Tags = append(f.Tags, bpftest.Tag{Type: kind, VLAN: uint16(100 + i)})
			}
		}
	}
	vlan := func(kind, id uint16) func(*bpftest.Frame) {
		return func(f *bpftest.Frame) { f.Tags = append(f.Tags, bpftest.Tag{Type: kind, VLAN: id | 3<<13}) }
	}
	// poke changes a byte of the IP header. If right, it also corrects the checksum.
	poke := func(frame []byte, at int, value byte, right bool) []byte {
		ip := frame[14:]
		ip[at] = value
		if right && ip[0]>>4 == 4 {
			fixChecksum(ip)
		}
		return frame
	}
	extension := func(kind byte, next ...byte) func(*bpftest.Frame) {
		return func(f *bpftest.Frame) {
			f.Extensions, f.ExtensionTypes = [][]byte{append([]byte{0}, next...)}, []byte{kind}
		}
	}
	long := strings.Repeat("x", 300)
	return append([]madeFrame{
		{"IPv4", v4(plain), bpf.Steered, 1},
		{"IPv6", v6(plain), bpf.Steered, 2},
		{"VLAN", v4(tags(0x8100)), bpf.Steered, 1},
		{"VLAN IPv6", v6(tags(0x8100)), bpf.Steered, 2},
		{"service tag alone", v4(tags(0x88a8)), bpf.Steered, 1},
		{"QinQ", v4(tags(0x88a8, 0x8100)), bpf.Steered, 1},
		{"QinQ of the old kind", v6(tags(0x8100, 0x8100)), bpf.Steered, 2},
		{"three tags", v4(tags(0x88a8, 0x8100, 0x8100)), bpf.Encapsulated, 0},
		{"tag 9100", v4(tags(0x9100)), bpf.Encapsulated, 0},
		{"MPLS", v4(tags(0x8847)), bpf.Encapsulated, 0},
		{"PPPoE in VLAN", v4(tags(0x8100, 0x8864)), bpf.Encapsulated, 0},
		{"ARP", append(make([]byte, 12), append([]byte{0x08, 0x06}, make([]byte, 46)...)...), bpf.Other, 0},
		{"another VLAN", v4(vlan(0x8100, 7)), bpf.OtherVLAN, 1},
		{"another VLAN IPv6", v6(vlan(0x8100, 7)), bpf.OtherVLAN, 2},
		{"VLAN without the address", v4(func(f *bpftest.Frame) { vlan(0x8100, 100)(f); f.To = testListeners[2] }), bpf.OtherVLAN, 3},
		{"service tag of a customer's VLAN", v4(vlan(0x88a8, 101)), bpf.OtherVLAN, 1},
		{"priority", v4(vlan(0x8100, 0)), bpf.Steered, 1},
		{"priority of a service tag IPv6", v6(vlan(0x88a8, 0)), bpf.Steered, 2},
		{"priority, then VLAN", v4(func(f *bpftest.Frame) { vlan(0x88a8, 0)(f); vlan(0x8100, 100)(f) }), bpf.Steered, 1},
		{"priority, then another VLAN", v4(func(f *bpftest.Frame) { vlan(0x88a8, 0)(f); vlan(0x8100, 7)(f) }), bpf.OtherVLAN, 1},
		{"padded", v4(func(f *bpftest.Frame) { f.Padding = 9 }), bpf.Steered, 1},
		{"padded IPv6", v6(func(f *bpftest.Frame) { f.Padding = 1 }), bpf.Steered, 2},

		{"other port", v4(to("10.99.0.1:5555", "10.99.0.2:5557")), bpf.Other, 0},
		{"other address", v4(to("10.99.0.1:5555", "10.99.0.3:5556")), bpf.Other, 0},
		{"other address IPv6", v6(to("[fd00::1]:5555", "[fd00::3]:5556")), bpf.Other, 0},
		{"port of the other family", v4(to("10.99.0.1:5555", "127.0.0.1:5557")), bpf.Other, 0},
		{"TCP", poke(v4(plain), 9, 6, true), bpf.Other, 0},
		{"GRE", poke(v4(plain), 9, 47, true), bpf.Encapsulated, 0},
		{"IPv6 in IPv4", poke(v4(plain), 9, 41, true), bpf.Encapsulated, 0},
		{"ICMPv6", poke(v6(plain), 6, 58, true), bpf.Other, 0},
		{"IPv4 in IPv6", poke(v6(plain), 6, 4, true), bpf.Encapsulated, 0},

		{"first fragment", v4(func(f *bpftest.Frame) { f.More = true }), bpf.Fragment, 1},
		{"first fragment to others", v4(func(f *bpftest.Frame) { f.More = true; f.To = from4 }), bpf.Other, 0},
		{"middle fragment", v4(func(f *bpftest.Frame) { f.More = true; f.Offset = 1480 }), bpf.Fragment, 0},
		{"last fragment", v4(func(f *bpftest.Frame) { f.Offset = 1480 }), bpf.Fragment, 0},
		{"do not fragment", poke(v4(plain), 6, 0x40, true), bpf.Steered, 1},
		{"fragment IPv6", v6(extension(44, 0, 0, 1, 0, 0, 0, 1)), bpf.Fragment, 0},
		{"options", v4(func(f *bpftest.Frame) { f.Options = []byte{0x94, 4, 0, 0} }), bpf.Options, 1},
		{"most options", v4(func(f *bpftest.Frame) { f.Options = make([]byte, 40) }), bpf.Options, 1},
		{"options to others", v4(func(f *bpftest.Frame) { f.Options = make([]byte, 4); f.To = from4 }), bpf.Other, 0},
		{"hop-by-hop", v6(extension(0, 0, 1, 4, 0, 0, 0, 0)), bpf.Options, 0},
		{"routing", v6(extension(43, 0, 0, 0, 0, 0, 0, 0)), bpf.Options, 0},
		{"destination options", v6(extension(60, 0, 1, 4, 0, 0, 0, 0)), bpf.Options, 0},
		{"authentication", v6(extension(51, 0, 0, 0, 0, 0, 0, 0)), bpf.Encapsulated, 0},

		{"version 5", poke(v4(plain), 0, 0x55, true), bpf.BadHeader, 0},
		{"header of 16 bytes", poke(v4(plain), 0, 0x44, false), bpf.BadHeader, 0},
		{"version 4 as IPv6", poke(v6(plain), 0, 0x40, false), bpf.BadHeader, 0},
		{"checksum", poke(v4(plain), 8, 63, false), bpf.BadHeader, 1},
		{"IP longer than the frame", poke(v4(plain), 3, 0xff, true), bpf.BadLength, 1},
		{"IP shorter than UDP", poke(v4(plain), 2, 0, true), bpf.BadLength, 1},
		{"IPv6 longer than the frame", poke(v6(plain), 5, 0xff, true), bpf.BadLength, 2},
		{"jumbogram", poke(poke(v6(plain), 4, 0, true), 5, 0, true), bpf.BadLength, 2},
		{"UDP of 7 bytes", poke(poke(v4(plain), 24, 0, false), 25, 7, false), bpf.BadLength, 1},
		{"UDP of 0 bytes", poke(poke(v4(plain), 24, 0, false), 25, 0, false), bpf.BadLength, 1},
		{"UDP longer than IP", poke(v4(plain), 24, 0xff, false), bpf.BadLength, 1},
		{"UDP shorter than IP", poke(v4(plain), 25, 0x10, false), bpf.Steered, 1},

		{"from loopback on lo", v4(to("127.0.0.1:5555", "127.0.0.1:5556")), bpf.Steered, 3},
		{"from loopback on lo IPv6", v6(to("[::1]:5555", "[::1]:5557")), bpf.Steered, 4},
		{"from 0.0.0.0", v4(to("0.0.0.0:5555", "10.99.0.2:5556")), bpf.Martian, 1},
		{"from multicast", v4(to("224.0.0.1:5555", "10.99.0.2:5556")), bpf.Martian, 1},
		{"from broadcast", v4(to("255.255.255.255:5555", "10.99.0.2:5556")), bpf.Martian, 1},
		{"from multicast IPv6", v6(to("[ff02::1]:5555", "[fd00::2]:5556")), bpf.Martian, 2},
		{"from mapped IPv6", v6(to("[::ffff:10.0.0.1]:5555", "[fd00::2]:5556")), bpf.Martian, 2},
		{"to mapped IPv6", v6(to("[fd00::1]:5555", "[::ffff:10.99.0.2]:5556")), bpf.Martian, 1},

		{"no payload", v4(payload(nil)), bpf.NotBIN, 1},
		{"17 bytes", v4(payload(call[:17])), bpf.NotBIN, 1},
		{"18 bytes", v4(payload(call[:18])), bpf.Steered, 1},
		{"SIP", v4(payload([]byte("OPTIONS sip:proxy@10.0.0.2 SIP/2.0\r\n"))), bpf.NotBIN, 1},
		{"marker in lower case", v4(payload(bytes.Replace(call, []byte("P4CK"), []byte("p4ck"), 1))), bpf.NotBIN, 1},
		{"unknown capability", v4(payload(bytes.Replace(call, []byte("dialog"), []byte("dialin"), 1))), bpf.Steered, 1},
		{"empty Call-ID", v4(payload(binPacket("", 100))), bpf.Steered, 1},
		{"Call-ID of 256 bytes", v4(payload(binPacket(long[:256], 400))), bpf.Steered, 1},
		{"Call-ID of 300 bytes", v4(payload(binPacket(long, 400))), bpf.Steered, 1},
		{"Call-ID to the end", v4(payload(binPacket(long[:100], 0))), bpf.Steered, 1},
		{"Call-ID past the end", v4(payload(binPacket(long[:100], 0)[:100])), bpf.Steered, 1},
		{"ul", v4(payload(ulPacket("location", "alice@example.com"))), bpf.Steered, 1},
		{"ul, no key", v4(payload(ulPacket("location", ""))), bpf.Steered, 1},
		{"ul, no first string", v6(payload(ulPacket("", "alice@example.com"))), bpf.Steered, 2},
		{"ul, long key", v4(payload(ulPacket("location", long))), bpf.Steered, 1},
		{"ul, first string past the end", v4(payload(ulPacket("location", "alice@example.com")[:24])), bpf.Steered, 1},
		{"ul, key past the end", v4(payload(ulPacket("location", "alice@example.com")[:40])), bpf.Steered, 1},

		{"merged", v4(payload(bytes.Repeat(call, 3))), bpf.Merged, 1},
		{"merged IPv6", v6(payload(bytes.Repeat(call[:18], 2))), bpf.Merged, 2},
		{"merged, the second cut short", v4(payload(append(slices.Clone(call[:303-4]), "P4CK"...))), bpf.Merged, 1},
		{"half a marker at the end", v4(payload(append(slices.Clone(call[:303-3]), "P4C"...))), bpf.Steered, 1},
		{"merged, up to the longest", v4(payload(append(binPacket("longest", bpf.MaxPayload-30), call[:30]...))), bpf.Merged, 1},

		{"MTU of 9000", v4(payload(binPacket("jumbo", 8972))), bpf.Steered, 1},
		{"MTU of 9000, tags, IPv6", v6(func(f *bpftest.Frame) { f.Payload = binPacket("jumbo", 8952); tags(0x88a8, 0x8100)(f) }), bpf.Steered, 2},
		{"ul with its key in a fragment of the buffer", v4(payload(ulPacket(strings.Repeat("x", 5000), "alice@example.com"))), bpf.Steered, 1},
		{"the longest", v4(payload(binPacket("longest", bpf.MaxPayload))), bpf.Steered, 1},
		{"longer than that", v4(payload(binPacket("longest", bpf.MaxPayload+1))), bpf.TooLong, 1},
	}, handMade2()...)
}

func TestFrames(t *testing.T) {
	r := newTrial(t)
	for _, c := range handMade() {
		t.Run(c.name, func(t *testing.T) {
			if got := r.compare(t, c.frame); got.verdict != c.verdict || got.row != c.row {
				t.Errorf("%s for row %d, want %s for row %d", got.verdict, got.row, c.verdict, c.row)
			}
		})
	}
	t.Run("every size", func(t *testing.T) {
		for size := 18; size <= bpf.MaxPayload+2; size++ {
			f := bpftest.Frame{From: netip.MustParseAddrPort("10.99.0.1:5555"), To: testListeners[0], Payload: binPacket("call", size)[:size]}
			r.compare(t, f.Bytes())
			if size > 1600 {
				size += 12
			}
		}
	})
}

// TestFramesTruncated cuts the end off frames, at every byte.
func TestFramesTruncated(t *testing.T) {
	r := newTrial(t)
	cut := 0
	for _, c := range handMade() {
		if len(c.frame) > 1000 {
			continue // the headers are the same, only with many more bytes
		}
		for size := 14; size < len(c.frame); size++ { // the kernel runs nothing shorter
			r.compare(t, c.frame[:size])
			cut++
		}
	}
	if got := r.before.Total(); got.Sum() != uint64(cut) || got[bpf.Fault] != 0 {
		t.Errorf("%d frames: %v", cut, got)
	}
}

// TestFramesFromOutside refuses loopback addresses, addresses of this host as the source, and other hosts' MAC addresses when
// they come in at an interface other than lo.
func TestFramesFromOutside(t *testing.T) {
	r, receiver := outside(t)
	cases := []struct {
		from, to string
		mac      byte // the last byte of the destination
		verdict  bpf.Verdict
	}{
		{"10.99.0.1:5555", "10.99.0.2:5556", 2, bpf.Steered},
		{"10.99.0.1:5555", "10.99.0.2:5556", 9, bpf.Steered},
		{"10.99.0.1:5555", "10.99.0.2:5556", 3, bpf.OtherMAC},
		{"10.99.0.14:5555", "10.99.0.2:5556", 2, bpf.Martian},
		{"127.0.0.1:5555", "10.99.0.2:5556", 2, bpf.Martian},
		{"10.99.0.1:5555", "127.0.0.1:5556", 2, bpf.Martian},
		{"[fd00::1]:5555", "[fd00::2]:5556", 2, bpf.Steered},
		{"[fd00::1]:5555", "[fd00::2]:5556", 4, bpf.OtherMAC},
		{"[fd00::6]:5555", "[fd00::2]:5556", 2, bpf.Martian},
		{"[::1]:5555", "[fd00::2]:5556", 2, bpf.Martian},
		{"[::]:5555", "[fd00::2]:5556", 2, bpf.Martian},
		{"[fd00::1]:5555", "[::1]:5557", 2, bpf.Martian},
	}
	receiver.Do(func() error { // the interface is looked up in the thread's namespace
		var errs []error
		for _, c := range cases {
			f := bpftest.Frame{From: netip.MustParseAddrPort(c.from), To: netip.MustParseAddrPort(c.to), Payload: binPacket("call", 100)}.Bytes()
			f[5] = c.mac
			if got := r.run(t, f).verdict; got != c.verdict || r.judge(f).verdict != c.verdict {
				errs = append(errs, fmt.Errorf("%s to %s, MAC %d: %s, want %s", c.from, c.to, c.mac, got, c.verdict))
			}
		}
		return errors.Join(errs...)
	})
	// Nothing is known of the host: every MAC address and VLAN is taken.
	r.stations, r.homes = nil, nil
	if err := r.program.SetHost(nil, nil, r.own, true); err != nil {
		t.Fatal(err)
	}
	receiver.Do(func() error {
		f := bpftest.Frame{From: netip.MustParseAddrPort("10.99.0.1:5555"), To: testListeners[0], Payload: binPacket("call", 100), Tags: []bpftest.Tag{{Type: 0x8100, VLAN: 7}}}.Bytes()
		f[0] = 0xfe
		if got := r.compare(t, f); got.verdict != bpf.Steered {
			return fmt.Errorf("promiscuous: %s", got.verdict)
		}
		return nil
	})
}
