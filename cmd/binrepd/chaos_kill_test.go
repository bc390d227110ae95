package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
	"binrepd/dialog"
	"binrepd/userspace/appliance/appliancetest"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

// witnessHost is where the calls of witnesses come from.
const witnessHost = "@witness.example.net"

// witness appends the packet of call number n that never ends.
func witness(dst []byte, n uint64, now time.Time) []byte {
	d := dialog.Details{
		CallID: fmt.Sprint(n, witnessHost), FromTag: "f", ToTag: "t", State: dialog.Confirmed,
		Start: uint32(now.Unix()), Timeout: uint32(now.Unix()) + 24*3600,
	}
	return bin1.Append(dst, dialog.Create, d.AppendPacked(nil))
}

// TestKilled kills the appliance at random moments under load and starts it again. Everything that reached a ring is
// applied but for what the dead had applied after its last save. The number of that is stated. It is compared with what is
// missing: each fiftieth event is a witness. With two rings the flight recorder reads them, too, and gives them back later than they are applied.
func TestKilled(t *testing.T) {
	bpftest.RequireKernel(t)
	kills := 3
	if appliancetest.Chaos() {
		kills = 50
	}
	for _, rings := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d rings", rings), func(t *testing.T) {
			var more []string
			if rings == 2 {
				more = []string{"--record", filepath.Join(t.TempDir(), "record"), "--record-size", "64MiB"}
			}
			killedTest(t, rings, kills, more)
		})
	}
}

func killedTest(t *testing.T, rings, kills int, more []string) {
	const every = 50
	p := newWidePair(t)
	pins, states := filepath.Join(bpftest.FileSystem(t), "pins"), t.TempDir()
	binary := builtStatic(t)
	start := func() *daemon {
		t.Helper()
		return survivor(t, p, binary, pins, states, append([]string{
			"--rings", fmt.Sprint(rings), "--ring-size", "256MiB", "--tombstone", "5s",
		}, more...)...)
	}
	d := start()
	s := startProxy(t, p, every)
	seed := appliancetest.Seed(t)
	random := rand.New(rand.NewPCG(seed, 5))
	var waited, overflowed uint64
	var away []time.Duration
	// A process that dies before its first save leaves the next one to begin where it began itself: what is stated then includes
	// what was stated before. So of those that were restored from the same save the last one counts.
	stated := map[time.Time]uint64{}
	for range kills {
		moment := s.sent.Load() + 500 + random.Uint64N(wantedRate)
		d.await("the moment", func() bool { return s.sent.Load() >= moment })
		begin := time.Now()
		d.kill()
		d = start()
		away = append(away, time.Since(begin))
		st := d.status()
		if !st.Pin.Adopted || st.Pin.Reason != "" || st.State.Damaged != "" {
			t.Fatalf("%+v, %+v", st.Pin, st.State)
		}
		stated[st.State.Restored] = max(stated[st.State.Restored], st.Pin.Unsaved)
		waited += st.Pin.Waited
		overflowed += st.Pin.Overflowed
	}
	sent, rate := s.stop(t)
	settleAny(t, d)
	overflowed += d.status().Listeners[0].Passed["ring_full"]
	var unsaved, most uint64
	for _, n := range stated {
		unsaved, most = unsaved+n, max(most, n)
	}
	all := d.listed()
	came := map[string]bool{}
	for _, l := range all {
		if n, is := strings.CutSuffix(l.CallID, witnessHost); is {
			came[n] = true
		}
	}
	missing := uint64(0)
	for n := range (sent + every - 1) / every {
		if !came[fmt.Sprint(n)] {
			missing++
		}
	}
	others := slices.DeleteFunc(all, func(l bin1test.Listed) bool { return strings.HasSuffix(l.CallID, witnessHost) })
	diff := bin1test.DiffListed(others, listedOf(s.proxy))
	slices.Sort(away)
	t.Logf("%d rings (BINREPD_SEED=%d): %d events at %.0f a second, killed %d times; back after %v in the median, %v at most; %d events waited in the rings and were "+
		"applied; stated as lost: at most %d, for one kill at most %d, and %d that found the rings full; really lost, by witnesses: %d of %d, so about %d; %d dialogs missing, or too many, beside the %d of the proxy at the end",
		rings, seed, sent, rate, kills, away[len(away)/2].Round(time.Millisecond), away[len(away)-1].Round(time.Millisecond), waited, unsaved, most, overflowed,
		missing, len(came), missing*every, len(diff), s.proxy.LiveCount())
	// What is lost of one ring is one run of what came through it. With one ring that has as many witnesses as its length says; with
	// several it is a matter of chance how they are distributed, but never are there more witnesses than events.
	bound := unsaved/every + uint64(len(stated)) + overflowed
	if rings > 1 {
		bound = unsaved + overflowed
	}
	if missing > bound {
		t.Errorf("%d witnesses are missing, and of %d events stated as lost at most %d can be", missing, unsaved, bound)
	}
	if uint64(len(diff)) > unsaved+overflowed {
		t.Errorf("%d differences, first: %s", len(diff), diff[0])
	}
	if waited == 0 || unsaved == 0 {
		t.Error("the test didn't try what it is for")
	}
	d.stop()
	checkUnpin(t, p, pins)
}

// TestOverflowWhileAway sends more than the rings hold while nobody is there: what they hold is applied by the next process, and the rest
// is stated to the event, after a clean stop and after a crash.
func TestOverflowWhileAway(t *testing.T) {
	bpftest.RequireKernel(t)
	p := newWidePair(t)
	pins, states := filepath.Join(bpftest.FileSystem(t), "pins"), t.TempDir()
	start := func() *daemon {
		t.Helper()
		return survivor(t, p, "", pins, states, "--rings", "1", "--ring-size", fmt.Sprint(bpf.LeastRingSize()))
	}
	d := start()
	conn := dial(t, p.proxy, proxyAddr+":5555", listenAt)
	for n, end := range []func(){d.stop, func() { d.kill() }} {
		saves := d.status().State.Saves
		d.await("a save", func() bool { return d.status().State.Saves > saves+1 })
		end()
		const events = 300
		for i := range uint64(events) {
			// Nobody listens at the port: what is passed on comes back as an error.
			if _, err := conn.Write(witness(nil, uint64(n)*events+i, time.Now())); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
				t.Fatal(err)
			} else if err != nil {
				_, _ = conn.Write(witness(nil, uint64(n)*events+i, time.Now()))
			}
		}
		d = start()
		d.await("what waited", func() bool { s := d.status(); return s.Sum() == s.Seen })
		st := d.status()
		if st.Pin.Waited == 0 || st.Pin.Overflowed == 0 || st.Pin.Waited+st.Pin.Overflowed != events || st.Pin.Unsaved != 0 || st.Seen != st.Pin.Waited {
			t.Errorf("of %d events %d waited, %d found no room, %d seen, %d unsaved", events, st.Pin.Waited, st.Pin.Overflowed, st.Seen, st.Pin.Unsaved)
		}
	}
	d.stop()
	checkUnpin(t, p, pins)
}
