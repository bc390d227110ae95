package bpf_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
)

// pair makes two namespaces with a veth pair: 10.1.0.1 and fd00::1 at the sender, 10.1.0.2 and fd00::2 at the receiver.
func pair(t testing.TB, mtu int) (sender, receiver *bpftest.Namespace) {
	t.Helper()
	sender, receiver = bpftest.NewNamespace(t), bpftest.NewNamespace(t)
	addresses := func(last string) []netip.Prefix {
		return []netip.Prefix{netip.MustParsePrefix("10.1.0." + last + "/24"), netip.MustParsePrefix("fd00::" + last + "/64")}
	}
	bpftest.Veth(mtu,
		bpftest.End{In: sender, Name: "proxy0", Addresses: addresses("1")},
		bpftest.End{In: receiver, Name: "in0", Addresses: addresses("2")})
	return sender, receiver
}

// sendFrom sends payload from the namespace.
func sendFrom(n *bpftest.Namespace, to string, payload []byte) {
	n.Do(func() error {
		c, err := net.Dial("udp", to)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write(payload)
		return err
	})
}

// programOn returns the ID of the XDP program on an interface, or 0.
func programOn(n *bpftest.Namespace, name string) (id uint32, mode uint32) {
	n.Do(func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if x := l.Attrs().Xdp; x != nil {
			id, mode = x.ProgId, x.AttachMode
		}
		return nil
	})
	return id, mode
}

// binPacket returns a dialog packet with this Call-ID, followed by meaningless bytes.
func binPacket(callID string, size int) []byte {
	b := append([]byte("P4CK\x00\x00\x00\x00\x06\x00\x00\x00dialog\x01\x00\x00\x00"), byte(len(callID)), byte(len(callID)>>8), 0, 0)
	b = append(b, callID...)
	return append(b, make([]byte, max(0, size-len(b)))...)
}

// TestAttach sends through every mode on every kind of interface, with every size that the interface carries.
func TestAttach(t *testing.T) {
	for _, c := range []struct {
		name, dev, to string
		ask, want     bpf.Mode
		fallback      bool
		sizes         []int
	}{
		{"veth native", "in0", "10.1.0.2:5556", bpf.Native, bpf.Native, false, []int{18, 400, 1472, 5000, 8972}},
		{"veth native IPv6", "in0", "[fd00::2]:5556", bpf.Native, bpf.Native, false, []int{18, 400, 1452, 8952}},
		{"veth generic", "in0", "10.1.0.2:5556", bpf.Generic, bpf.Generic, false, []int{18, 400, 1472, 8972}},
		{"veth auto", "in0", "10.1.0.2:5556", bpf.Auto, bpf.Native, false, []int{400}},
		{"lo generic", "lo", "127.0.0.1:5556", bpf.Generic, bpf.Generic, false, []int{18, 400, 9000}},
		{"lo auto", "lo", "[::1]:5556", bpf.Auto, bpf.Generic, true, []int{400}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sender, receiver := pair(t, 9000)
			p := load(t, bpf.Config{Rings: 1, Listeners: []netip.AddrPort{netip.MustParseAddrPort(c.to)}})
			var a *bpf.Attachment
			index := receiver.Index(c.dev)
			receiver.Do(func() (err error) {
				a, err = p.Attach(index, c.ask)
				return err
			})
			if a.Mode != c.want || (a.Fallback != nil) != c.fallback || a.Index != index {
				t.Errorf("attached as %+v", a)
			}
			if c.fallback && !errors.Is(a.Fallback, errors.ErrUnsupported) {
				t.Errorf("fallback because of %v", a.Fallback)
			}
			if id, _ := programOn(receiver, c.dev); id != p.ID() {
				t.Errorf("program %d is attached, ours is %d", id, p.ID())
			}
			if c.dev == "lo" {
				sender = receiver
			}
			rings := newDrain(t, p)
			for _, size := range c.sizes {
				packet := binPacket(fmt.Sprintf("call-%d", size), size)[:size]
				sendFrom(sender, c.to, packet)
				var records []record
				bpftest.Await(t, fmt.Sprintf("a record of %d bytes", size), func() bool {
					records = rings.records()
					return len(records) > 0
				})
				if len(records) != 1 || string(records[0].payload) != string(packet) {
					t.Errorf("%d bytes: %d records, the first %x", size, len(records), records[0].payload)
				}
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			if id, _ := programOn(receiver, c.dev); id != 0 {
				t.Errorf("program %d is attached after Close", id)
			}
		})
	}
}

func TestAttachUnsupported(t *testing.T) {
	n := bpftest.NewNamespace(t)
	p := load(t, bpf.Config{})
	err := n.Try(func() error {
		_, err := p.Attach(1, bpf.Native)
		return err
	})
	var unsupported *bpf.UnsupportedError
	if !errors.Is(err, errors.ErrUnsupported) || !errors.As(err, &unsupported) || unsupported.What != "native XDP on lo" {
		t.Errorf("native on lo: %v", err)
	}
	if err := n.Try(func() error { _, err := p.Attach(4711, bpf.Auto); return err }); err == nil {
		t.Error("attached to no interface")
	}
}

// foreignProgram attaches a program of another owner until the test ends.
func foreignProgram(t testing.TB, n *bpftest.Namespace, dev string, flags link.XDPAttachFlags) (uint32, link.Link) {
	t.Helper()
	index := n.Index(dev)
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "somebody_elses", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	var l link.Link
	n.Do(func() (err error) {
		l, err = link.AttachXDP(link.XDPOptions{Program: program, Interface: index, Flags: flags})
		return err
	})
	t.Cleanup(func() { _ = l.Close() })
	info, err := program.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	return uint32(id), l
}

// TestAttachForeign finds a foreign program. It is left alone, whatever its mode and ours, and the error names it.
func TestAttachForeign(t *testing.T) {
	for _, theirs := range []link.XDPAttachFlags{link.XDPDriverMode, link.XDPGenericMode} {
		for _, ours := range []bpf.Mode{bpf.Auto, bpf.Native, bpf.Generic} {
			t.Run(fmt.Sprintf("%d %s", theirs, ours), func(t *testing.T) {
				_, receiver := pair(t, 1500)
				id, _ := foreignProgram(t, receiver, "in0", theirs)
				p := load(t, bpf.Config{})
				index := receiver.Index("in0")
				err := receiver.Try(func() error {
					_, err := p.Attach(index, ours)
					return err
				})
				mode := bpf.Native
				if theirs == link.XDPGenericMode {
					mode = bpf.Generic
				}
				want := bpf.ForeignProgramError{Interface: "in0", ForeignProgram: bpf.ForeignProgram{ID: id, Name: "somebody_elses", Mode: mode}}
				var foreign *bpf.ForeignProgramError
				if !errors.As(err, &foreign) || *foreign != want {
					t.Errorf("got %v, want %v", err, &want)
				}
				if now, _ := programOn(receiver, "in0"); now != id {
					t.Errorf("program %d is attached, theirs is %d", now, id)
				}
			})
		}
	}
}

// TestKilled kills a process that has attached the program. The program goes away.
func TestKilled(t *testing.T) {
	_, receiver := pair(t, 1500)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, dev := range []string{"in0", "lo"} {
		t.Run(dev, func(t *testing.T) {
			child := exec.Command(self)
			child.Env = append(os.Environ(), childEnv+"="+dev)
			out, err := child.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			receiver.Do(child.Start)
			defer func() { _ = child.Wait() }()
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil || line != "attached\n" {
				t.Errorf("the child says %q, %v", line, err)
			}
			if id, _ := programOn(receiver, dev); id == 0 {
				t.Error("the child has attached nothing")
			}
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			bpftest.Await(t, "the program of a killed process goes away", func() bool {
				id, _ := programOn(receiver, dev)
				return id == 0
			})
		})
	}
}

// TestCapabilities checks that three capabilities are needed and nothing else, and that the error names the missing
// ones.
func TestCapabilities(t *testing.T) {
	cfg := bpf.Config{Rings: 1, RingSize: 1 << 20}
	for _, c := range []struct {
		have    []int
		missing string
	}{
		{nil, "[CAP_BPF CAP_NET_ADMIN CAP_PERFMON]"},
		{[]int{unix.CAP_NET_ADMIN, unix.CAP_PERFMON}, "[CAP_BPF]"},
		{[]int{unix.CAP_BPF, unix.CAP_PERFMON}, "[CAP_NET_ADMIN]"},
		{[]int{unix.CAP_BPF, unix.CAP_NET_ADMIN}, "[CAP_PERFMON]"},
	} {
		bpftest.WithCapabilities(t, func() {
			p, err := bpf.Load(cfg)
			var refused *bpf.PermissionError
			if !errors.As(err, &refused) || !errors.Is(err, fs.ErrPermission) || fmt.Sprint(refused.Missing) != c.missing {
				t.Errorf("with %v: %v, want %s missing", c.have, err, c.missing)
			} else if strings.Contains(err.Error(), "RemoveMemlock") {
				t.Errorf("with %v: advice for programmers: %v", c.have, err)
			}
			if err == nil {
				_ = p.Close()
			}
		}, c.have...)
	}
}

// TestCapabilitiesEnough loads and attaches with only the capabilities that are documented as needed.
func TestCapabilitiesEnough(t *testing.T) {
	bpftest.WithCapabilities(t, func() {
		p, err := bpf.Load(bpf.Config{Rings: 1, RingSize: 1 << 20})
		if err != nil {
			t.Errorf("%+v", err)
			return
		}
		defer p.Close()
		if held := fmt.Sprint(bpf.HeldCapabilities()); held != "[CAP_BPF CAP_NET_ADMIN CAP_PERFMON]" {
			t.Errorf("holds %s", held)
		}
		// Use a new namespace. In the one of the test binary this would touch the host.
		if err := enterNew(); err != nil {
			t.Error(err)
			return
		}
		a, err := p.Attach(1, bpf.Generic)
		if err != nil {
			t.Error(err)
			return
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}, unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON)
}

// enterNew moves the thread to a new network namespace. It takes CAP_SYS_ADMIN for a moment.
func enterNew() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var few, more [2]unix.CapUserData
	if err := unix.Capget(&header, &few[0]); err != nil {
		return err
	}
	more = few
	more[0].Effective |= 1 << unix.CAP_SYS_ADMIN
	return errors.Join(unix.Capset(&header, &more[0]), unix.Unshare(unix.CLONE_NEWNET), unix.Capset(&header, &few[0]))
}
