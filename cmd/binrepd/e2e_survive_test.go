package main

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"binrepd/bpf/bpftest"
	"binrepd/userspace/trace/capture"
	"binrepd/userspace/trace/record"
	"binrepd/userspace/wire/bin1/bin1test"
)

// wantedRate is how many events a second the tests here send, as far as the machine lets them.
const wantedRate = 50_000

// newWidePair is newPair with room for every packet in one frame: fragments go to sockets, which don't outlive a process.
func newWidePair(t *testing.T) pair {
	p := pair{proxy: bpftest.NewNamespace(t), appliance: bpftest.NewNamespace(t)}
	bpftest.Veth(9000,
		bpftest.End{In: p.proxy, Name: "proxy0", Addresses: []netip.Prefix{netip.MustParsePrefix(proxyAddr + "/24")}},
		bpftest.End{In: p.appliance, Name: "bin0", Addresses: []netip.Prefix{netip.MustParsePrefix(ourAddr + "/24")}})
	return p
}

// talker sends what a proxy has to tell, without a pause, until it is stopped.
type talker struct {
	proxy *bin1test.Proxy
	// Each witnesses-th packet begins a call of its own that never ends, if it isn't 0: those that are missing at the end tell what
	// was lost.
	witnesses uint64
	sent      atomic.Uint64
	begun     time.Time
	quit      chan struct{}
	done      chan error
}

func startProxy(t *testing.T, p pair, witnesses uint64) *talker {
	s := &talker{
		witnesses: witnesses,
		proxy:     bin1test.NewProxy(21, bin1test.Realistic(nowUnix(), 1000)), begun: time.Now(),
		quit: make(chan struct{}), done: make(chan error, 1),
	}
	conn := dial(t, p.proxy, proxyAddr+":5555", listenAt)
	go func() { s.done <- s.run(conn) }()
	return s
}

func (s *talker) run(conn *net.UDPConn) error {
	const burst = wantedRate / 1000
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var buffer []byte
	for {
		select {
		case <-s.quit:
			return nil
		case <-tick.C:
		}
		// A tick that comes late is made up for, within limits.
		due := min(uint64(time.Since(s.begun).Seconds()*wantedRate), s.sent.Load()+20*burst)
		for s.sent.Load() < due {
			if n := s.sent.Load(); s.witnesses > 0 && n%s.witnesses == 0 {
				buffer = witness(buffer[:0], n/s.witnesses, s.begun)
			} else {
				buffer = s.proxy.Next(buffer[:0])
			}
			if _, err := conn.Write(buffer); err != nil {
				if errors.Is(err, syscall.ECONNREFUSED) {
					continue // an earlier one found neither room in a ring nor a socket: the test will see
				}
				return err
			}
			s.sent.Add(1)
		}
	}
}

// stop ends the sending and returns how much was sent, and how fast.
func (s *talker) stop(t *testing.T) (uint64, float64) {
	t.Helper()
	close(s.quit)
	if err := <-s.done; err != nil {
		t.Fatal(err)
	}
	n := s.sent.Load()
	return n, float64(n) / time.Since(s.begun).Seconds()
}

// survivor starts binrepd so that it survives: the file binary or, if that is empty, the test's own, which the race detector
// may make too slow for load.
func survivor(t *testing.T, p pair, binary, pins, states string, more ...string) *daemon {
	t.Helper()
	d := prepareDaemon(t, append([]string{
		"--listen", listenAt, "--interface", "bin0", "--xdp", "native", "--rings", "2", "--ring-size", "128MiB",
		"--pin", pins, "--state-dir", states, "--save-interval", "200ms",
	}, more...)...)
	if binary != "" {
		d.cmd.Path = binary
	}
	p.appliance.Do(d.cmd.Start)
	d.awaitReady()
	return d
}

// logged returns the number behind name= in the line of the log that has msg.
func (d *daemon) logged(msg, name string) uint64 {
	d.t.Helper()
	for _, line := range strings.Split(d.log.String(), "\n") {
		if !strings.Contains(line, msg) {
			continue
		}
		if m := regexp.MustCompile(name + `=(\d+)`).FindStringSubmatch(line); m != nil {
			n, _ := strconv.ParseUint(m[1], 10, 64)
			return n
		}
	}
	return 0
}

// TestRestartLosesNothing stops and starts the appliance several times while a proxy goes on sending: at the end the table is
// what the proxy has, and the accounts of all processes together are every event that was sent; and so are the recordings, if the rings are read
// for them, too.
func TestRestartLosesNothing(t *testing.T) {
	t.Parallel()
	bpftest.RequireKernel(t)
	t.Run("plain", func(t *testing.T) { restartLosesNothing(t) })
	records := t.TempDir()
	t.Run("recorded", func(t *testing.T) {
		d, sent := restartLosesNothing(t, "--record", records)
		missing := uint64(0)
		for _, process := range d {
			missing += process.logged("final account", "not_recorded")
		}
		files, err := record.Files(records)
		if err != nil || len(files) != len(d) {
			t.Fatal(files, err)
		}
		if n := recordedIn(t, files); n+missing != sent {
			t.Errorf("%d are recorded, %d are missing, %d were sent", n, missing, sent)
		}
	})
}

func restartLosesNothing(t *testing.T, more ...string) (all []*daemon, sent uint64) {
	p := newWidePair(t)
	pins, states := filepath.Join(bpftest.FileSystem(t), "pins"), t.TempDir()
	binary := builtStatic(t)
	d := survivor(t, p, binary, pins, states, more...)
	all = append(all, d)
	s := startProxy(t, p, 0)
	var accounted, waited uint64
	for range 4 {
		before := s.sent.Load()
		d.await("load", func() bool { return s.sent.Load() > before+10_000 })
		d.stop()
		accounted += d.logged("final account", "seen") - d.logged("left pinned", "waiting")
		d = survivor(t, p, binary, pins, states, more...)
		all = append(all, d)
		st := d.status()
		if !st.Pin.Adopted || st.Pin.Unsaved != 0 || st.State.Restored.IsZero() {
			t.Errorf("%+v, %+v", st.Pin, st.State)
		}
		waited += st.Pin.Waited
	}
	sent, rate := s.stop(t)
	last := d.settle(sent - accounted)
	checkNoRingFull(t, d)
	if diff := bin1test.DiffListed(d.listed(), listedOf(s.proxy)); len(diff) > 0 {
		t.Errorf("%d differences, first: %s", len(diff), diff[0])
	}
	out, err := program(t, "status", "--wide", "--control", d.socket).Output()
	if err != nil || !strings.Contains(string(out), "took over ") || !strings.Contains(string(out), "restored ") {
		t.Errorf("status prints %s, error %v", out, err)
	}
	t.Logf("%d events at %.0f a second, %d of them waited in the rings through 4 restarts, none lost; duplicates %d",
		sent, rate, waited, last.Duplicate)
	if waited == 0 {
		t.Error("nothing ever waited in a ring")
	}
	d.stop()
	checkUnpin(t, p, pins)
	return all, sent
}

// recordedIn counts the datagrams in the files of a recording.
func recordedIn(t *testing.T, files []record.File) (n uint64) {
	t.Helper()
	r := capture.NewReader()
	defer r.Close()
	for _, f := range files {
		r.AddRecording(f.Path)
	}
	for {
		var d capture.Datagram
		if err := r.Next(&d); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
		n++
	}
}

func checkNoRingFull(t *testing.T, d *daemon) {
	t.Helper()
	for _, l := range d.status().Listeners {
		if n := l.Passed["ring_full"]; n > 0 {
			t.Errorf("%d events found a ring full", n)
		}
	}
}

func checkUnpin(t *testing.T, p pair, pins string) {
	t.Helper()
	out, err := program(t, "unpin", "--pin", pins).CombinedOutput()
	if err != nil {
		t.Errorf("unpin: %v, %s", err, out)
	}
	if _, err := os.Stat(pins); !os.IsNotExist(err) {
		t.Errorf("the folder of pins is still there: %v", err)
	}
	bpftest.Await(t, "the interface is free", func() bool { return !p.appliance.Attached("bin0") })
}
