package main

import (
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"binrepd/bpf/bpftest"
	"binrepd/userspace/appliance"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1/bin1test"
)

// secondAddr is a second address at the proxy's end.
const secondAddr = "10.99.0.3"

func newPairOfThree(t *testing.T) pair {
	p := newPair(t)
	p.proxy.Do(func() error {
		link, err := netlink.LinkByName("proxy0")
		if err != nil {
			return err
		}
		addr, err := netlink.ParseAddr(secondAddr + "/24")
		if err != nil {
			return err
		}
		return netlink.AddrAdd(link, addr)
	})
	return p
}

// sender is a proxy with a socket.
type sender struct {
	t     *testing.T
	conn  *net.UDPConn
	proxy *bin1test.Proxy
}

func newSender(t *testing.T, p pair, from string) *sender {
	return &sender{
		t: t, conn: dial(t, p.proxy, from+":5555", listenAt),
		proxy: bin1test.NewProxy(7, bin1test.Options{Now: nowUnix(), Calls: 100, Name: from}),
	}
}

func (s *sender) send(n int) {
	s.t.Helper()
	for range n {
		if _, err := s.conn.Write(s.proxy.Next(nil)); err != nil {
			s.t.Error(err) // may be a goroutine's
			return
		}
	}
}

// TestAllow turns away who isn't on the list, which changes meanwhile, with XDP and without.
func TestAllow(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{appliance.XDPNative, appliance.XDPOff} {
		t.Run(mode, func(t *testing.T) {
			p := newPairOfThree(t)
			d := startDaemon(t, p.appliance, "--listen", listenAt, "--xdp", mode, "--ring-size", "1MiB", "--allow", proxyAddr, "--allow", "2001:db8::/32")
			good, bad := newSender(t, p, proxyAddr), newSender(t, p, secondAddr)
			allow := func(want int, args ...string) (out string) {
				t.Helper()
				out, stderr, status := command(t, p.appliance, append(append([]string{"allow"}, args...), "--control", d.socket)...)
				if status != want {
					t.Fatalf("allow %v: status %d, %s", args, status, stderr)
				}
				return out + stderr
			}
			check := func(seen, denied uint64) control.Status {
				t.Helper()
				s := d.settle(seen)
				l := s.Listeners[0]
				if s.Rejected["denied"] != denied || l.Denied != denied || l.Rejected["denied"] != denied || l.Sum() != l.Seen || s.Word == control.Losing {
					t.Fatalf("%d denied of %d, at the listener %d: %s %s, %+v", s.Rejected["denied"], s.Seen, l.Denied, s.Word, s.Reason, l)
				}
				if mode == appliance.XDPNative && l.Steered != seen-denied {
					t.Errorf("%d through XDP of %d", l.Steered, seen-denied)
				}
				return s
			}
			good.send(100)
			bad.send(60)
			s := check(160, 60)
			if len(s.Denied) != 1 || s.Denied[0] != (control.RefusedSource{Address: secondAddr, Datagrams: 60}) || len(s.Sources) != 1 {
				t.Errorf("denied %v, sources %v", s.Denied, s.Sources)
			}
			// What isn't BIN comes to the socket in any case.
			for range 10 {
				if _, err := bad.conn.Write([]byte("OPTIONS sip:appliance SIP/2.0")); err != nil {
					t.Fatal(err)
				}
			}
			if s := check(170, 70); s.Denied[0].Datagrams != 70 {
				t.Errorf("denied %v", s.Denied)
			}

			if out := allow(exitDone, "add", "10.99.0.0/24"); out != "10.99.0.0/24\n10.99.0.1/32\n2001:db8::/32\n" {
				t.Errorf("add prints %q", out)
			}
			bad.send(50)
			check(220, 70)
			allow(exitDone, "remove", "10.99.0.0/24")
			bad.send(20)
			good.send(20)
			check(260, 90)

			if out := allow(exitFailed, "remove", secondAddr); !strings.Contains(out, "not on the list") {
				t.Errorf("remove of what isn't there: %s", out)
			}
			if out := allow(exitFailed, "remove", proxyAddr, "2001:db8::/32"); !strings.Contains(out, "everyone could speak") {
				t.Errorf("remove of all: %s", out)
			}
			if out := allow(exitUsage, "add", "10.0.0.1/8"); !strings.Contains(out, "10.0.0.0/8") {
				t.Errorf("add of no prefix: %s", out)
			}
			if out := allow(exitDone, "list", "--json"); out != `{"allow":["10.99.0.1/32","2001:db8::/32"]}`+"\n" {
				t.Errorf("list prints %s", out)
			}
			out, _, _ := command(t, nil, "status", "--control", d.socket)
			for _, want := range []string{"packets are taken from 10.99.0.1/32, 2001:db8::/32\n", "denied most: 10.99.0.3 (90)"} {
				if !strings.Contains(out, want) {
					t.Errorf("status lacks %q: %s", want, out)
				}
			}
			if strings.Contains(d.log.String(), "taken from everyone") {
				t.Error("warned although there is a list")
			}
			d.stop()
		})
	}
}

// TestAllowFromEveryone closes an appliance that began open.
func TestAllowFromEveryone(t *testing.T) {
	p := newPairOfThree(t)
	d := startDaemon(t, p.appliance, "--listen", listenAt, "--xdp", "native", "--ring-size", "1MiB")
	if n := strings.Count(d.log.String(), "taken from everyone"); n != 1 {
		t.Errorf("%d warnings that everyone may speak", n)
	}
	good, bad := newSender(t, p, proxyAddr), newSender(t, p, secondAddr)
	bad.send(10)
	d.settle(10)
	if out, _, _ := command(t, nil, "allow", "list", "--control", d.socket); out != "everyone\n" {
		t.Errorf("list prints %q", out)
	}
	if _, stderr, status := command(t, nil, "allow", "add", proxyAddr, "--control", d.socket); status != exitDone {
		t.Fatal(stderr)
	}
	bad.send(10)
	good.send(10)
	if s := d.settle(30); s.Rejected["denied"] != 10 {
		t.Errorf("%+v", s.Account)
	}
	d.stop()
}

// TestWhoMayChange opens the control socket to everyone: others may look then, and still change nothing.
func TestWhoMayChange(t *testing.T) {
	t.Parallel()
	bpftest.RequireKernel(t)
	dir, err := os.MkdirTemp("", "binrepd-test-") // t.TempDir is below a folder that is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	const group = 4711 // of the socket
	d := prepareDaemon(t, "--listen", freePort(t), "--xdp", "off", "--control", dir+"/control.sock", "--state-dir", dir+"/state")
	d.socket = dir + "/control.sock"
	d.client = control.NewClient(d.socket)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.await("an answer", func() bool { return strings.Contains(d.log.String(), "msg=ready") })
	for _, err := range []error{os.Chmod(d.socket, 0o666), os.Chown(d.socket, 0, group)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	self := copyOfSelf(t, dir)
	as := func(uid, gid uint32, groups []uint32, args ...string) (string, int) {
		cmd := program(t, append(args, "--control", d.socket)...)
		cmd.Path = self
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid, Groups: groups}}
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	for _, c := range []struct {
		name     string
		uid, gid uint32
		groups   []uint32
		may      bool
	}{
		{"nobody", 65534, 65534, nil, false},
		{"another group", 65534, 65534, []uint32{4710, 4712}, false},
		{"the group as the first", 65534, group, nil, true},
		{"the group among others", 65534, 65534, []uint32{4710, group}, true},
		{"many groups", 65534, 65534, append(make([]uint32, 60), group), true},
		{"root", 0, 65534, nil, true},
	} {
		if out, status := as(c.uid, c.gid, c.groups, "allow", "list"); status != exitDone {
			t.Errorf("%s may not look: %s", c.name, out)
		}
		for _, change := range [][]string{{"allow", "add", "0.0.0.0/0"}, {"save", dir + "/state/table"}} {
			out, status := as(c.uid, c.gid, c.groups, change...)
			if (status == exitDone) != c.may || !c.may && !strings.Contains(out, "not permitted") {
				t.Errorf("%s, %v: status %d, %s", c.name, change, status, out)
			}
		}
	}
	d.stop()
}

// TestSourceRate floods from one source while another sends 1,000 a second: the second loses nothing.
func TestSourceRate(t *testing.T) {
	for _, mode := range []string{appliance.XDPNative, appliance.XDPOff} {
		t.Run(mode, func(t *testing.T) {
			p := newPairOfThree(t)
			const rate, ticks = 4000, 1500
			d := startDaemon(t, p.appliance, "--listen", listenAt, "--xdp", mode, "--ring-size", "1MiB", "--source-rate", "4000")
			flood, quiet := newSender(t, p, proxyAddr), newSender(t, p, secondAddr)
			began := time.Now()
			// Paced, because a veth pair has room for 256 frames and what it loses doesn't reach the appliance.
			pace := func(s *sender, each int) {
				tick := time.NewTicker(time.Millisecond)
				defer tick.Stop()
				for range ticks {
					<-tick.C
					s.send(each)
				}
			}
			var both sync.WaitGroup
			both.Go(func() { pace(flood, 40) })
			both.Go(func() { pace(quiet, 1) })
			both.Wait()
			s := d.settle(41 * ticks)
			most := uint64(400 + rate*time.Since(began).Seconds() + 1)
			events := map[string]uint64{}
			for _, src := range s.Sources {
				events[src.Address] = src.Events
			}
			t.Logf("flood of %d: %d taken; quiet source: %d of %d", 40*ticks, events[proxyAddr+":5555"], events[secondAddr+":5555"], ticks)
			if n := events[secondAddr+":5555"]; n != ticks {
				t.Errorf("the quiet source lost %d of %d", ticks-n, ticks)
			}
			if n := events[proxyAddr+":5555"]; n < 400 || n > most {
				t.Errorf("%d of the flood were taken, want 400 to %d", n, most)
			}
			if n := s.Lost["rate_limited"]; n != 40*ticks-events[proxyAddr+":5555"] || len(s.RateLimited) != 1 ||
				s.RateLimited[0] != (control.RefusedSource{Address: proxyAddr, Datagrams: n}) {
				t.Errorf("limited: %d, %v", n, s.RateLimited)
			}
			d.stop()
		})
	}
}
