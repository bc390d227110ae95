package stream

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// options reads what tells a half-open connection from an idle one.
func options(t *testing.T, c *Conn) (keepAlive, idle, interval, count, userTimeout int) {
	t.Helper()
	get := func(fd uintptr, level, option int) int {
		n, err := unix.GetsockoptInt(int(fd), level, option)
		if err != nil {
			t.Error(err)
		}
		return n
	}
	err := c.sock.raw.Control(func(fd uintptr) {
		keepAlive = get(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE)
		idle = get(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)
		interval = get(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL)
		count = get(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT)
		userTimeout = get(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
	})
	if err != nil {
		t.Fatal(err)
	}
	return
}

func TestKeepAlive(t *testing.T) {
	server, client := open(t, Config{}), open(t, Config{})
	peer, err := client.Dial(Dial{URL: listen(t, server, "bin")})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "both ends", func() bool { return peer.Conn() != nil && len(connsOf(server)) == 1 })
	for name, c := range map[string]*Conn{"dialled": peer.Conn(), "accepted": connsOf(server)[0]} {
		if on, idle, interval, count, user := options(t, c); on != 1 || idle != 10 || interval != 5 || count != 3 || user != 15_000 {
			t.Errorf("%s: keepalive %d, after %d s, every %d s, %d times; user timeout %d ms", name, on, idle, interval, count, user)
		}
	}
}

// A peer whose host is gone: nothing answers, nothing refuses.
func TestHalfOpen(t *testing.T) {
	// Never unlocked: the thread ends with the goroutine, and the namespace with the sockets in it.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		if os.Getenv("BINREPD_REQUIRE_KERNEL") == "1" {
			t.Fatal("network namespace: ", err)
		}
		t.Skip("NOT TESTED: no privilege to make a network namespace: ", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal("loopback interface: ", err)
	}
	w := &watcher{}
	s := open(t, Config{Handler: w, Limits: Limits{UserTimeout: 500 * time.Millisecond, WriteTimeout: time.Minute}})
	connect(t, listen(t, s, "bin"))
	await(t, "the connection", func() bool { return len(w.conns()) == 1 })
	if err := netlink.LinkSetDown(lo); err != nil {
		t.Fatal(err)
	}
	if err := w.conns()[0].Send(packet(1, 100)); err != nil {
		t.Fatal(err)
	}
	reason(t, s, TimedOut, 1)
}
