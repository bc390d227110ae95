package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"binrepd/bpf/bpftest"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

// The tests in the files e2e_* run binrepd as a process, send it real traffic, and ask it over its control socket. They know of
// it what a user knows.

// patience bounds each wait for a condition. It is no measure of speed: it only ends a test that would hang.
const patience = time.Minute

// daemon is a running `binrepd run`.
type daemon struct {
	t      *testing.T
	cmd    *exec.Cmd
	client *control.Client
	socket string
	log    lockedBuffer
	waited bool
}

// lockedBuffer takes the standard error of a process while the test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startDaemon starts binrepd, in ns if that isn't nil, and waits until it answers.
func startDaemon(t *testing.T, ns *bpftest.Namespace, args ...string) *daemon {
	t.Helper()
	d := launch(t, ns, args...)
	d.await("an answer on the control socket", func() bool {
		_, err := d.client.Status(context.Background())
		return err == nil && strings.Contains(d.log.String(), "msg=ready")
	})
	return d
}

// launch starts binrepd without waiting for it.
func launch(t *testing.T, ns *bpftest.Namespace, args ...string) *daemon {
	t.Helper()
	d := prepareDaemon(t, args...)
	if ns == nil {
		if err := d.cmd.Start(); err != nil {
			t.Fatal(err)
		}
	} else {
		ns.Do(d.cmd.Start)
	}
	return d
}

// prepareDaemon makes the command without starting it. The caller that starts it leaves the end to the test, or sets waited.
func prepareDaemon(t *testing.T, args ...string) *daemon {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "control.sock")
	if !slices.Contains(args, "--metrics") { // several daemons would want the default address
		args = append([]string{"--metrics", "off"}, args...)
	}
	d := &daemon{
		t: t, socket: socket, client: control.NewClient(socket),
		cmd: program(t, append([]string{"run", "--control", socket}, args...)...),
	}
	d.cmd.Stderr = &d.log
	t.Cleanup(func() {
		if !d.waited && d.cmd.Process != nil {
			_ = d.cmd.Process.Kill()
			_ = d.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("log of binrepd:\n%s", d.log.String())
		}
	})
	return d
}

// await waits for a condition.
func (d *daemon) await(what string, done func() bool) {
	d.t.Helper()
	deadline := time.Now().Add(patience)
	for !done() {
		if time.Now().After(deadline) {
			d.t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(2 * time.Millisecond) // between two looks at a condition
	}
}

func (d *daemon) status() control.Status {
	d.t.Helper()
	s, err := d.client.Status(context.Background())
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// settle waits until n datagrams were seen and all have their place in the account.
func (d *daemon) settle(n uint64) control.Status {
	d.t.Helper()
	var s control.Status
	deadline := time.Now().Add(patience)
	for {
		// Other appliances ask whether this one is there, any number of times.
		if s = d.status(); s.Seen-s.Capabilities[bin1.OwnCapability] == n && s.Sum() == s.Seen {
			return s
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("%d datagrams sent, %d seen, %d accounted for: %+v", n, s.Seen, s.Sum(), s.Account)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// listed asks for the live dialogs, as JSON, by the command that a user would use.
func (d *daemon) listed() []bin1test.Listed {
	d.t.Helper()
	out, err := program(d.t, "dialogs", "list", "--json", "--control", d.socket).Output()
	if err != nil {
		d.t.Fatal(err)
	}
	listed, err := bin1test.ReadListed(bytes.NewReader(out))
	if err != nil {
		d.t.Fatal(err)
	}
	return listed
}

// stop ends the daemon in good order and checks how.
func (d *daemon) stop() {
	d.t.Helper()
	d.waited = true
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	if err := d.cmd.Wait(); err != nil {
		d.t.Errorf("exit: %v", err)
	}
	if log := d.log.String(); !strings.Contains(log, `msg="final account"`) || strings.Contains(log, "does not add up") {
		d.t.Errorf("no good final account")
	}
	if _, err := os.Stat(d.socket); err == nil {
		d.t.Error("the control socket is left behind")
	}
}

// kill ends the daemon as a crash does.
func (d *daemon) kill() {
	d.t.Helper()
	d.waited = true
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait()
}

// wire sends raw frames into one end of a veth pair.
type wire struct {
	t  *testing.T
	fd int
	to net.HardwareAddr
}

// newWire opens the interface name in ns; frames will carry the hardware address to.
func newWire(t *testing.T, ns *bpftest.Namespace, name string, to net.HardwareAddr) *wire {
	t.Helper()
	w := &wire{t: t, fd: -1, to: to}
	ns.Do(func() (err error) {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return unix.Bind(w.fd, &unix.SockaddrLinklayer{Ifindex: link.Attrs().Index})
	})
	t.Cleanup(func() { _ = unix.Close(w.fd) })
	return w
}

func (w *wire) send(frame []byte) {
	w.t.Helper()
	f := bytes.Clone(frame)
	copy(f, w.to)
	if _, err := unix.Write(w.fd, f); err != nil {
		w.t.Fatalf("send: %v", err)
	}
}

// hardwareAddr asks for the address of an interface.
func hardwareAddr(ns *bpftest.Namespace, name string) (addr net.HardwareAddr) {
	ns.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err == nil {
			addr = link.Attrs().HardwareAddr
		}
		return err
	})
	return addr
}

// pair is a proxy's namespace and an appliance's, joined by a veth pair with the addresses of the captures.
type pair struct {
	proxy, appliance *bpftest.Namespace
}

const (
	proxyAddr = "10.99.0.1"
	ourAddr   = "10.99.0.2"
	listenAt  = ourAddr + ":5556"
)

func newPair(t *testing.T) pair {
	p := pair{proxy: bpftest.NewNamespace(t), appliance: bpftest.NewNamespace(t)}
	p.connect()
	return p
}

func (p pair) connect() {
	bpftest.Veth(1500,
		bpftest.End{In: p.proxy, Name: "proxy0", Addresses: []netip.Prefix{netip.MustParsePrefix(proxyAddr + "/24")}},
		bpftest.End{In: p.appliance, Name: "bin0", Addresses: []netip.Prefix{netip.MustParsePrefix(ourAddr + "/24")}})
}

// dial opens a UDP socket in ns from one address to another.
func dial(t *testing.T, ns *bpftest.Namespace, from, to string) *net.UDPConn {
	t.Helper()
	var conn *net.UDPConn
	ns.Do(func() (err error) {
		conn, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from)), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to)))
		return err
	})
	t.Cleanup(func() { conn.Close() })
	return conn
}

// decodeLines reads one JSON object a line.
func decodeLines(t *testing.T, out []byte) (objects []map[string]any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(out))
	for d.More() {
		var o map[string]any
		if err := d.Decode(&o); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, o)
	}
	return objects
}
