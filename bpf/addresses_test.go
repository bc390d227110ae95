package bpf_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
)

// TestTooManyAddresses gives the host more addresses than the map holds. The program takes as many as fit, leaves the
// rest to the kernel, and logs a warning.
func TestTooManyAddresses(t *testing.T) {
	n := bpftest.NewNamespace(t)
	// Each address counts once for each listener.
	const perListener = bpf.MaxAddresses/bpf.MaxListeners + 10
	n.Do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		for i := range perListener {
			ip := binary.BigEndian.AppendUint32(nil, 0x0a000001+uint32(i))
			if err := netlink.AddrAdd(lo, &netlink.Addr{IPNet: netlink.NewIPNet(ip), Flags: unix.IFA_F_NODAD}); err != nil {
				return err
			}
		}
		return nil
	})
	var listeners []netip.AddrPort
	for i := range bpf.MaxListeners {
		listeners = append(listeners, netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(1000+i)))
	}
	p := load(t, bpf.Config{Rings: 1, Listeners: listeners})
	_, book := follow(t, n, p, bpf.Generic, "lo")
	if book.count("too many addresses") != 1 || book.count("left=176") != 1 { // with 127.0.0.1: 16 * 267 - 4096
		t.Errorf("log:\n%s", &book.lines)
	}
	answers := make(map[uint32]int)
	for i := range perListener {
		to := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 0x0a000001+uint32(i))))
		for _, l := range listeners {
			f := bpftest.Frame{From: netip.MustParseAddrPort("10.9.9.9:5555"), To: netip.AddrPortFrom(to, l.Port()), Payload: binPacket("call", 100)}
			answer, _, err := p.XDP().Test(f.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			answers[answer]++
		}
	}
	if took := answers[xdpDrop]; took > bpf.MaxAddresses || took < bpf.MaxAddresses-bpf.MaxListeners || took+answers[xdpPass] != perListener*bpf.MaxListeners {
		t.Errorf("answers %v", answers)
	}
}
