package systemd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

	"golang.org/x/sys/unix"

	"binrepd/bpf/bpftest"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1/bin1test"
)

// anybody is a user and group without an account and without files.
const anybody = 64533

// capabilityNumbers are the capabilities that the unit may request.
var capabilityNumbers = map[string]uintptr{
	"CAP_BPF": unix.CAP_BPF, "CAP_NET_ADMIN": unix.CAP_NET_ADMIN, "CAP_PERFMON": unix.CAP_PERFMON,
	"CAP_NET_BIND_SERVICE": unix.CAP_NET_BIND_SERVICE,
}

const lastCapability = 63 // more than any kernel has

// place is two namespaces joined by a veth pair: the proxy's and the appliance's.
type place struct {
	proxy, appliance *bpftest.Namespace
	listen           netip.AddrPort
	program          string // the built binrepd
	pins, state      string // folders for state that outlives the process
}

// builtIn is the folder of built. Every user may read it. TestMain removes it.
var builtIn string

// built is binrepd, built once for all tests.
var built = sync.OnceValues(func() (program string, err error) {
	dir, err := os.MkdirTemp("", "binrepd")
	if err != nil {
		return "", err
	}
	builtIn, program = dir, filepath.Join(dir, "binrepd")
	cmd := exec.Command("go", "build", "-trimpath", "-o", program, "../../cmd/binrepd") // compiled once for all tests
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return program, fmt.Errorf("go build: %w: %s", err, out)
	}
	return program, os.Chmod(dir, 0o755)
})

// build returns the built binrepd.
func build(t *testing.T) (program string) {
	t.Helper()
	bpftest.RequireKernel(t)
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// newPlace makes a place in which one service can run.
func newPlace(t *testing.T, program string) *place {
	t.Helper()
	p := &place{
		proxy: bpftest.NewNamespace(t), appliance: bpftest.NewNamespace(t),
		listen: netip.MustParseAddrPort("10.99.0.2:5556"), program: program,
	}
	bpftest.Veth(1500,
		bpftest.End{In: p.proxy, Name: "proxy0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.99.0.1/24")}},
		bpftest.End{In: p.appliance, Name: "bin0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.99.0.2/24")}})
	p.state = p.dir(t)
	p.pins = filepath.Join(bpftest.FileSystem(t), "binrepd")
	give(t, p.pins)
	return p
}

// dir returns a temporary folder in which the service may write.
func (p *place) dir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(open(t), "own")
	give(t, dir)
	return dir
}

// give makes a folder owned by the service's user.
func give(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, anybody, anybody); err != nil {
		t.Fatal(err)
	}
}

// open returns a temporary folder that every user may read.
func open(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// service is the unit's command, for running it as the unit does.
type service struct {
	*exec.Cmd
	log     locked
	control string
}

// locked collects the log of a process while the test reads it.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newService makes the command of the unit: a user without an account, the unit's capabilities, and settings by
// environment. before is put in front of it, for example a tracer.
func (p *place) newService(t *testing.T, capabilities []string, before ...string) *service {
	t.Helper()
	command := strings.Fields(readUnit(t).one(t, "ExecStart"))
	if filepath.Base(command[0]) != "binrepd" {
		t.Fatal(command)
	}
	command = append(append(before, p.program), command[1:]...)
	runtime := p.dir(t)
	s := &service{Cmd: exec.CommandContext(t.Context(), command[0], command[1:]...), control: filepath.Join(runtime, "control.sock")}
	s.Dir = runtime
	s.Env = []string{
		"BINREPD_LISTEN=" + p.listen.String(), "BINREPD_CONTROL=" + s.control, "BINREPD_XDP=native",
		"BINREPD_RINGS=1", "BINREPD_RING_SIZE=1MiB",
	}
	// The settings of the unit itself, with folders of the test instead of the system's.
	for _, setting := range readUnit(t).words(t, "Environment") {
		name, _, _ := strings.Cut(setting, "=")
		value, known := map[string]string{
			"BINREPD_PIN": p.pins, "BINREPD_STATE_DIR": p.state, "BINREPD_AWAIT_ADDRESS": "60s",
			"BINREPD_SETTINGS": filepath.Join(p.state, "no-settings"),
		}[name]
		if !known {
			t.Fatalf("the unit sets %s", setting)
		}
		s.Env = append(s.Env, name+"="+value)
	}
	s.Stdout, s.Stderr = &s.log, &s.log
	s.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: anybody, Gid: anybody}}
	for _, name := range capabilities {
		number, known := capabilityNumbers[name]
		if !known {
			t.Fatalf("no number for %s", name)
		}
		s.SysProcAttr.AmbientCaps = append(s.SysProcAttr.AmbientCaps, number)
	}
	return s
}

// start starts s in the appliance's namespace. The thread of that namespace keeps its privileges, but can't give its
// children more than the service has: it sets the bounding set and no_new_privs, as the unit does. So no later process
// of this place can have other capabilities.
func (p *place) start(t *testing.T, s *service) {
	t.Helper()
	p.appliance.Do(func() error {
		for number := range uintptr(lastCapability) {
			if slices.Contains(s.SysProcAttr.AmbientCaps, number) {
				continue
			}
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, number, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
				return err
			}
		}
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return err
		}
		return s.Start()
	})
	t.Cleanup(func() {
		if s.ProcessState == nil {
			_ = s.Process.Kill()
			_ = s.Wait()
		}
		if t.Failed() {
			t.Logf("log of binrepd:\n%s", s.log.String())
		}
	})
}

// await waits until the service answers.
func (s *service) await(t *testing.T) *control.Client {
	t.Helper()
	client := control.NewClient(s.control)
	bpftest.Await(t, "an answer on the control socket", func() bool {
		_, err := client.Status(context.Background())
		return err == nil && strings.Contains(s.log.String(), "msg=ready")
	})
	return client
}

// send sends packets of a simulated proxy.
func (p *place) send(proxy *bin1test.Proxy, packets int) {
	p.proxy.Do(func() error {
		conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(p.listen))
		if err != nil {
			return err
		}
		defer conn.Close()
		var packet []byte
		for range packets {
			packet = proxy.Next(packet[:0])
			if _, err := conn.Write(packet); err != nil {
				return err
			}
		}
		return nil
	})
}

// exercise waits until the service runs natively, sends it packets of a proxy, checks that XDP took them and that they
// were applied, and stops it.
func (p *place) exercise(t *testing.T, s *service) {
	t.Helper()
	const events = 200
	client := s.await(t)
	p.send(bin1test.NewProxy(1, bin1test.Realistic(time.Now().Unix(), 50)), events)
	var st control.Status
	bpftest.Await(t, "all packets in the account", func() bool {
		var err error
		st, err = client.Status(context.Background())
		return err == nil && st.Seen == events && st.Sum() == events
	})
	steered := uint64(0)
	for _, l := range st.Listeners {
		steered += l.Steered
	}
	if st.Mode != "xdp-native" || steered == 0 || st.Applied == 0 || st.Dialogs == 0 {
		t.Errorf("mode %s, %d through XDP, %d applied, %d dialogs", st.Mode, steered, st.Applied, st.Dialogs)
	}
	s.stop(t, st.PID)
}

// stop ends the service, process pid. That is not always s.Process, which may be a tracer.
func (s *service) stop(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	hanging := time.AfterFunc(time.Minute, func() { _ = s.Process.Kill() })
	defer hanging.Stop()
	if err := s.Wait(); err != nil {
		t.Errorf("exit: %v", err)
	}
}
