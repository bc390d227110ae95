package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"go.uber.org/goleak"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
	"binrepd/userspace/in/packets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func requireKernel(t testing.TB) {
	t.Helper()
	bpftest.RequireKernel(t)
}

// TestStages runs every stage, small, and looks at what must hold at any speed: no allocation and no wait for a lock
// an event on the whole path, every figure a number. Losses at a million events a second depend
// on the host, so TestLivePath sends at a rate that any host can take.
func TestStages(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: all stages take a while")
	}
	for _, st := range stages {
		t.Run(st.name, func(t *testing.T) {
			if st.privileged {
				requireKernel(t)
			}
			var progress bytes.Buffer
			r, err := Run(t.Context(), Config{Stages: []string{st.name}, Dialogs: 5_000, Runs: 1, Metrics: serveMetrics, Progress: &progress, quick: true})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(progress.String(), st.name) || len(r.Rows) == 0 {
				t.Errorf("%d rows, progress %q", len(r.Rows), &progress)
			}
			for _, row := range r.Rows {
				for _, v := range []float64{row.NS, row.PerSecond, row.Bytes, row.Allocs} {
					if math.IsNaN(v) || math.IsInf(v, 0) {
						t.Errorf("%s: %+v", row.Case, row)
					}
				}
				if row.Stage != st.name {
					t.Errorf("row %q is of stage %q", row.Case, row.Stage)
				}
				if freeOfAllocation(row.Stage, row.Case) && row.Allocs > 0.05 { // the runtime and other goroutines have a few of their own
					t.Errorf("%s: %.4f allocations an event", row.Case, row.Allocs)
				}
			}
			var text, object bytes.Buffer
			if err := errors.Join(r.Text(&text), r.JSON(&object)); err != nil {
				t.Fatal(err)
			}
			var back Report
			if err := json.Unmarshal(object.Bytes(), &back); err != nil || len(back.Rows) != len(r.Rows) {
				t.Errorf("JSON: %v", err)
			}
			_, table, _ := strings.Cut(text.String(), "\nstage ") // a line before that tells how stages ran
			table, _, _ = strings.Cut(table, "\ntarget ")
			if n := strings.Count(table, "\n"+st.name+" "); n != len(r.Rows) {
				t.Errorf("%d of %d rows in the table:\n%s", n, len(r.Rows), &text)
			}
		})
	}
}

// freeOfAllocation reports whether a case must not allocate: those on the path of an event must not.
func freeOfAllocation(stage, name string) bool {
	switch stage {
	case "steer", "ring", "decode", "apply", "growth", "whole", "rings":
		return true
	case "socket":
		return name == "socket to table"
	}
	return false
}

// TestFeeder runs distinct frames through the program and finds each in the ring, in order and byte for byte.
func TestFeeder(t *testing.T) {
	requireKernel(t)
	r, err := newRig(1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	}()
	made := newTraffic()
	const n = 3000
	for range 2 { // the second time over what the first has left
		var want encoded
		if err := r.fill(n, func(dst []byte) ([]byte, uint64) {
			packet, call := made.mixed(dst)
			want.make(1, func(dst []byte) ([]byte, uint64) { return append(dst, packet...), call })
			return packet, call
		}); err != nil {
			t.Fatal(err)
		}
		b := packets.NewBatch(n)
		if err := r.sources[0].Receive(b); err != nil {
			t.Fatal(err)
		}
		if len(b.Packets) != n {
			t.Fatalf("%d of %d frames in the ring", len(b.Packets), n)
		}
		for i, d := range b.Packets {
			w := want.datagram(i, d.Received)
			if !bytes.Equal(d.Payload, w.Payload) || d.Sender != w.Sender || d.Hash != w.Hash {
				t.Fatalf("datagram %d: %d bytes from %v, hash %#x; want %d from %v, %#x", i, len(d.Payload), d.Sender, d.Hash, len(w.Payload), w.Sender, w.Hash)
			}
		}
		r.sources[0].Release(b)
	}
}

// TestLivePath sends over the veth pair, to an appliance with XDP and to one without, and makes sure of the way that
// the events take.
func TestLivePath(t *testing.T) {
	requireKernel(t)
	for _, rings := range []int{2, 0} {
		p, err := newPath(t.Context(), 10_000, 1000, rings, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.sendAll(t.Context(), 10_000, 50_000, liveChunk, p.appliance.mixed); err != nil {
			t.Error(err)
		}
		all := uint64(p.received()) // more than 10,000 if some were lost at first
		if rings > 0 {
			c, err := p.appliance.program.Counters()
			if total := c.Total(); err != nil || total[bpf.Steered] != all {
				t.Errorf("%d frames steered, %v", total[bpf.Steered], err)
			}
		}
		if got := p.appliance.socket.Stats().Received; got != 0 && rings > 0 || got != all && rings == 0 {
			t.Errorf("%d rings: %d through the socket", rings, got)
		}
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}
}

// testNamespace is a name that nobody else on this host uses.
func testNamespace() string { return fmt.Sprintf("binrepd-test-%d", os.Getpid()) }

// TestNamedLink: who uses the appliance in the namespace finds it at 127.0.0.1, and a second one doesn't take it from
// under the first.
func TestNamedLink(t *testing.T) {
	requireKernel(t)
	name := testNamespace()
	l, err := newLink(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newLink(name); err == nil || !strings.Contains(err.Error(), "ip netns delete "+name) {
		t.Errorf("a second of that name: %v", err)
	}
	inside, err := netns.GetFromName(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(inNamespace(inside, func() error {
		c, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer c.Close()
		d, err := net.Dial("tcp4", c.Addr().String())
		if err != nil {
			return err
		}
		return d.Close()
	}), inside.Close(), l.close()); err != nil {
		t.Error(err)
	}
	if _, err := netns.GetFromName(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the name is left behind: %v", err)
	}
}

func TestGenerate(t *testing.T) {
	requireKernel(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Generate(ctx, GenerateConfig{namespace: testNamespace()}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled while it waits: %v", err)
	}
	l, err := newLink(testNamespace()) // the name is free again
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}()
	detach, err := attachDrop(l)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := detach(); err != nil {
			t.Error(err)
		}
	}()
	var r Generated
	err = inNamespace(l.far, func() (err error) {
		r, err = Generate(t.Context(), GenerateConfig{
			Interface: farName, To: listener(), MAC: l.nearMAC, Rate: 1_000_000, Count: 9000, Dialogs: 3000,
		})
		return err
	})
	if err != nil || r.Events != 9000 || r.Queued != 9000 || r.Live < 2999 || r.Live > 3001 || r.Creates+r.Updates+r.Deletes != 9000 || r.Updates < 1990 {
		t.Errorf("%+v, %v", r, err)
	}

	// A driver that takes nothing is not reported as having sent (fault 32).
	err = inNamespace(l.near, func() error {
		near, err := netlink.LinkByName(nearName)
		if err != nil {
			return err
		}
		return netlink.LinkSetDown(near)
	})
	if err != nil {
		t.Fatal(err)
	}
	err = inNamespace(l.far, func() (err error) {
		r, err = Generate(t.Context(), GenerateConfig{Interface: farName, To: listener(), MAC: l.nearMAC, Rate: 100_000, Count: 100})
		return err
	})
	if err != nil || r.Events != 0 || r.Queued != 100 {
		t.Errorf("with the other end down: %+v, %v", r, err)
	}
}
