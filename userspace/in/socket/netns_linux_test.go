//go:build !portable

package socket

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"binrepd/userspace/in/packets"
)

// enterNamespace puts the test's goroutine, and no other, into a network namespace with nothing but a loopback
// interface of the given MTU. Its thread ends with the goroutine, and the namespace with the sockets in it.
func enterNamespace(t *testing.T, mtu int) {
	t.Helper()
	runtime.LockOSThread() // never unlocked
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		if os.Getenv("BINREPD_REQUIRE_KERNEL") == "1" {
			t.Fatal("network namespace: ", err)
		}
		t.Skip("NOT TESTED: no privilege to make a network namespace: ", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetMTU(lo, mtu)
	}
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal("loopback interface: ", err)
	}
}

// fragmentsCreated reads the namespace's counter from a line of header and value pairs (snmp) or of one
// name and value (snmp6).
func fragmentsCreated(t *testing.T, v4 bool) int {
	t.Helper()
	file, expr := "/proc/thread-self/net/snmp6", `Ip6FragCreates\s+(\d+)`
	if v4 {
		// The 19 values of the second "Ip:" line end with FragCreates and, since Linux 6.6, OutTransmits.
		file, expr = "/proc/thread-self/net/snmp", `(?m)^Ip: (?:\d+ ){18}(\d+)`
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(expr).FindSubmatch(text)
	if m == nil {
		t.Fatalf("no count of fragments in %s:\n%s", file, text)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestLongerThanMTU(t *testing.T) {
	families(t, func(t *testing.T, local netip.AddrPort) {
		enterNamespace(t, 1500)
		s := listen(t, local, Config{})
		from := newSender(t, local, Config{})
		before := fragmentsCreated(t, local.Addr().Is4())
		var want [][]byte
		for _, size := range []int{1400, 1473, 2600, 9000, 65507} {
			want = append(want, bytes.Repeat([]byte{byte(size)}, size))
		}
		send(t, from, endpoint(s), want...)
		for i, d := range collect(t, s, len(want), 8) {
			if !bytes.Equal(d.Payload, want[i]) {
				t.Errorf("datagram %d of %d bytes is not that of %d bytes sent", i, len(d.Payload), len(want[i]))
			}
		}
		if n := fragmentsCreated(t, local.Addr().Is4()) - before; n < 2+2+7+45 {
			t.Errorf("%d fragments: the MTU was not in the way", n)
		}
	})
}

func TestNoRoute(t *testing.T) {
	families(t, func(t *testing.T, local netip.AddrPort) {
		enterNamespace(t, 1500)
		s := listen(t, local, Config{})
		nowhere := netip.MustParseAddrPort("192.0.2.1:5556")
		if !local.Addr().Is4() {
			nowhere = netip.MustParseAddrPort("[2001:db8::1]:5556")
		}
		m := []packets.Message{
			{Payload: []byte("a"), To: endpoint(s)},
			{Payload: []byte("b"), To: packets.EndpointOf(nowhere)},
			{Payload: []byte("c"), To: endpoint(s)},
		}
		if n, err := s.Send(m); n != 1 || !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("sent %d: %v, want 1 and %v", n, err, syscall.ENETUNREACH)
		}
		send(t, s, endpoint(s), []byte("c"))
		got := collect(t, s, 2, 4)
		if string(got[0].Payload) != "a" || string(got[1].Payload) != "c" {
			t.Errorf("got %q and %q", got[0].Payload, got[1].Payload)
		}
		if st := s.Stats(); st.SendErrors != (ErrorCounts{Unreachable: 1}) || st.Sent != 2 {
			t.Errorf("stats %+v", st)
		}
	})
}
