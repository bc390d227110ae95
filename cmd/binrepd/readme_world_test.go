package main

import (
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"binrepd/bpf/bpftest"
	"binrepd/userspace/watch/control"
)

// readmeWorld has the README's proxy 10.0.0.1, an appliance 10.0.0.2 on eth0, and standbys 10.0.0.3 and 10.0.0.4, all in namespaces.
type readmeWorld struct {
	pair
	standby *daemon // at both addresses
	current *daemon // that commands are for
	// Folders of this system that the README names, and what stands for them here.
	places map[string]string
}

func newReadmeWorld(t *testing.T) *readmeWorld {
	t.Helper()
	w := &readmeWorld{pair: pair{proxy: bpftest.NewNamespace(t), appliance: bpftest.NewNamespace(t)}}
	end := func(in *bpftest.Namespace, name, address string) bpftest.End {
		return bpftest.End{In: in, Name: name, Addresses: []netip.Prefix{netip.MustParsePrefix(address)}}
	}
	bpftest.Veth(1500, end(w.proxy, "eth0", "10.0.0.1/24"), end(w.appliance, "eth0", "10.0.0.2/24"))
	w.proxy.Do(func() error { // the standbys are where the proxy is
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		for _, a := range []string{"10.0.0.3/24", "10.0.0.4/24"} {
			address, err := netlink.ParseAddr(a)
			if err != nil {
				return err
			}
			if err := netlink.AddrAdd(link, address); err != nil {
				return err
			}
		}
		return nil
	})
	w.standby = startDaemon(t, w.proxy, "--xdp", "off", "--listen", "10.0.0.3:5556", "--listen", "10.0.0.4:5556")
	w.places = map[string]string{
		"/sys/fs/bpf/binrepd": filepath.Join(bpftest.FileSystem(t), "binrepd"), "/var/lib/binrepd": t.TempDir(),
		"/var/lib/binrepd/record": t.TempDir(),
	}
	return w
}

// words divides a line of the README into arguments, with what stands for its places here.
func (w *readmeWorld) words(t *testing.T, line string) []string {
	t.Helper()
	args := strings.Fields(line)
	for i, arg := range args {
		if place := w.places[arg]; place != "" {
			args[i] = place
		}
		if arg == "CALLID" {
			args[i] = callID(t, w.current)
		}
	}
	return args
}

// start runs the line of the README that begins with run, until it is ready.
func (w *readmeWorld) start(t *testing.T, line string) *daemon {
	t.Helper()
	args, _ := strings.CutPrefix(line, "run ")
	w.current = startDaemon(t, w.appliance, w.words(t, args)...)
	return w.current
}

// feed has the proxy announce its calls, unless the appliance knows them.
func (w *readmeWorld) feed(t *testing.T, d *daemon) {
	t.Helper()
	conn := dial(t, w.proxy, "10.0.0.1:5555", "10.0.0.2:5556")
	proxy, before := newReadmeProxy(), d.status()
	for proxy.LiveCount() < readmeCalls {
		if _, err := conn.Write(proxy.Next(nil)); err != nil {
			t.Fatal(err)
		}
	}
	d.await("the calls of the proxy", func() bool {
		s := d.status()
		return s.Dialogs == readmeCalls && s.Seen > before.Seen && s.Seen == s.Sum()
	})
	if s := d.status(); s.Mode != control.ModeNative || s.Listeners[0].Address != "10.0.0.2:5556" {
		t.Errorf("mode %s, listeners %+v", s.Mode, s.Listeners)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

// unpin removes what a line of the README with --pin leaves behind: the XDP program goes on filling the rings.
func (w *readmeWorld) unpin(t *testing.T, line string) {
	t.Helper()
	if _, rest, found := strings.Cut(line, "--pin "); found {
		dir := w.words(t, rest)[0]
		if _, stderr, status := command(t, w.appliance, "unpin", "--pin", dir); status != exitDone {
			t.Errorf("unpin: status %d, %s", status, stderr)
		}
	}
}

// command runs a line of the README at the running appliance.
func (w *readmeWorld) command(t *testing.T, line string) (stdout, stderr string, status int) {
	t.Helper()
	args := w.words(t, line)
	if args[0] != "replay" { // which asks no appliance
		args = append(args, "--control", w.current.socket)
	}
	return command(t, w.appliance, args...)
}

// makeInstall runs make install into a folder.
func makeInstall(t *testing.T, root string) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: make install builds the program")
	}
	cmd := exec.CommandContext(t.Context(), "make", "--no-print-directory", "install", "DESTDIR="+root)
	cmd.Dir = moduleRoot(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make install: %v\n%s", err, out)
	}
}
