package bpf

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"

	"binrepd/bpf/bpftest"
)

var errDied = errors.New("the process dies here")

// start begins a process on the folder: it opens the folder, loads a program and follows in0. With died > 0 it dies after
// that step of Commit. end closes what it has open, as the kernel does when a process ends.
func start(t *testing.T, n *bpftest.Namespace, dir string, cfg Config, died int) (pin *Pin, p *Program, end func(), err error) {
	t.Helper()
	pin, err = OpenPin(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	pin.step = func() error {
		if steps++; steps == died {
			return errDied
		}
		return nil
	}
	cfg.Pin = pin
	if p, err = Load(cfg); err != nil {
		t.Fatalf("%+v", errors.Join(err, pin.Close()))
	}
	var f *Follower
	err = n.Try(func() (err error) {
		f, err = Follow(p, FollowConfig{Interfaces: []string{"in0"}, Mode: Native, Logger: slog.New(slog.DiscardHandler)})
		return err
	})
	return pin, p, func() {
		var errs []error
		if f != nil {
			errs = append(errs, f.Close())
		}
		if err := errors.Join(append(errs, p.Close(), pin.Close())...); err != nil {
			t.Error(err)
		}
	}, err
}

// TestCommitDies lets a process with another configuration die after each step of Commit. Whatever program is attached
// then, each datagram that it takes is found by the next process: it waits in the rings that were taken over, or it is
// counted as discarded.
func TestCommitDies(t *testing.T) {
	sender, receiver := bpftest.NewNamespace(t), bpftest.NewNamespace(t)
	bpftest.Veth(1500,
		bpftest.End{In: sender, Name: "proxy0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}},
		bpftest.End{In: receiver, Name: "in0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.2/24")}})
	send := func(n int) {
		sender.Do(func() error {
			c, err := net.Dial("udp", "10.1.0.2:5556")
			if err != nil {
				return err
			}
			defer c.Close()
			for range n {
				if _, err := c.Write([]byte("P4CK a packet that is long enough")); err != nil {
					return err
				}
			}
			return nil
		})
	}
	steered := func(p *Program) uint64 {
		c, err := p.Counters()
		if err != nil {
			t.Fatal(err)
		}
		return c.Listeners[0][Steered]
	}
	small := Config{Rings: 2, RingSize: 1 << 20, Listeners: addrPorts("10.1.0.2:5556")}
	large := small
	large.RingSize *= 2
	for _, third := range []Config{small, large} {
		for died, done := 1, false; !done; died++ {
			dir := filepath.Join(bpftest.FileSystem(t), "pins")
			_, p, end, err := start(t, receiver, dir, small, 0)
			if err != nil {
				t.Fatal(err)
			}
			send(3)
			bpftest.Await(t, "3 records", func() bool { return steered(p) == 3 })
			end()

			pin, _, end, err := start(t, receiver, dir, large, died)
			end()
			if done = err == nil; done {
				if n, ok := pin.Discarded(); n != 3 || !ok {
					t.Errorf("the second process discarded %d, %v", n, ok)
				}
			} else if !errors.Is(err, errDied) {
				t.Fatalf("step %d: %v", died, err)
			}
			attached := receiver.Attached("in0")
			if !attached && done {
				t.Fatalf("nothing is attached after the last step")
			}
			if attached {
				send(5)
			}

			pin, p, end, err = start(t, receiver, dir, third, 0)
			if err != nil {
				t.Fatal(err)
			}
			inherited := steered(p)
			lost, known := pin.Discarded()
			switch {
			case pin.Adopted() && (pin.Reason() != "" || lost != 0):
				t.Errorf("step %d: took over, reason %q, discarded %d", died, pin.Reason(), lost)
			case attached && pin.Adopted() && inherited != 5 && inherited != 3+5:
				t.Errorf("step %d: took over %d records of 5 that came", died, inherited)
			case attached && !pin.Adopted() && (!known || lost < 5 || pin.Reason() == ""):
				t.Errorf("step %d: %d discarded (%v) of 5 that came, reason %q", died, lost, known, pin.Reason())
			case !attached && inherited != 0 && inherited != 3:
				t.Errorf("step %d: %d records, but nothing was attached", died, inherited)
			}
			send(1)
			bpftest.Await(t, "the next record", func() bool { return steered(p) == inherited+1 })
			end()
			if _, err := Unpin(dir); err != nil {
				t.Error(err)
			}
			if receiver.Attached("in0") {
				t.Error("Unpin leaves the program attached")
			}
		}
	}
}

// TestAdoptForeignLink finds an attachment whose program fills other rings than those of the folder. It takes over
// neither.
func TestAdoptForeignLink(t *testing.T) {
	n := bpftest.NewNamespace(t)
	bpftest.Veth(1500, bpftest.End{In: n, Name: "in0"}, bpftest.End{In: n, Name: "out0"})
	dir := filepath.Join(bpftest.FileSystem(t), "pins")
	cfg := Config{Rings: 1, RingSize: 1 << 20, Listeners: addrPorts("10.1.0.2:5556")}
	_, _, end, err := start(t, n, dir, cfg, 0)
	if err != nil {
		t.Fatal(err)
	}
	end()
	other, err := Load(Config{Rings: 1, RingSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	index := n.Index("out0")
	n.Do(func() error {
		dev, err := netlink.LinkByIndex(index)
		if err != nil {
			return err
		}
		l, err := attachAs(other.objects.Binrepd, dev, Native)
		if err != nil {
			return err
		}
		return errors.Join(l.Pin(filepath.Join(dir, linkName(index))), l.Close())
	})
	pin, _, end, err := start(t, n, dir, cfg, 0)
	if err != nil || pin.Adopted() || pin.Reason() == "" {
		t.Errorf("adopted %v, reason %q, error %v", pin.Adopted(), pin.Reason(), err)
	}
	end()
}
