package resync_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/socket"
	"binrepd/userspace/out/resync"
	"binrepd/userspace/out/resync/opensipstest"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/wire/bin1/bin1test"
)

// newSender opens a real socket.
func newSender(t *testing.T) *socket.Socket {
	t.Helper()
	s, err := socket.NewSender(context.Background(), netip.MustParseAddrPort("127.0.0.1:0"), socket.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestAgainstAProcess hands a table over to a model of OpenSIPS in another process, at the pace that OpenSIPS bears, while calls come and
// go. If the other process got no CPU for so long that its socket overflowed, it is done again, as an operator would: what counts is that
// the model has everything as soon as everything reached it.
func TestAgainstAProcess(t *testing.T) {
	a := newAppliance(t, 0)
	p := newProxy(1, 2000)
	a.fill(p, 2000)
	standby, err := opensipstest.Start(os.Args[0], "-sockets", home,
		// Three seconds at this rate: a standstill of a busy test machine is not what is tested.
		"-buffer", "8000000")
	if err != nil {
		t.Fatal(err)
	}
	defer standby.Stop()
	sender := newSender(t)
	const rounds = 10
	for round := range rounds {
		var buf []byte
		s, err := resync.New(resync.Config{
			Table: a.table, Sink: sender, OpenTail: a.tail, To: packets.EndpointOf(netip.MustParseAddrPort(standby.Address)), Rate: 4000,
			Policy: shield.Policy{Rewrites: []shield.SocketRewrite{{Old: ours, New: home}}},
			// Ten times a second some calls come and go; not in the second pass, at the end of which nobody looks for them any more.
			OnProgress: func(p2 resync.Progress) {
				for range 50 {
					if p2.Pass < 2 {
						buf = p.Next(buf[:0])
						a.take(buf)
					}
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		before := handled(t, standby)
		sum, err := s.Run(context.Background())
		if err != nil || sum.Passes != 2 || sum.Dialogs < 1900 || sum.TailEvents == 0 || sum.Unmatched != 0 {
			t.Fatalf("%+v, %v", sum, err)
		}
		got := awaitHandled(t, standby, before+sum.Packets)
		report, err := standby.Report()
		if err != nil {
			t.Fatal(err)
		}
		if report.Faults != (opensipstest.Faults{}) || report.Statistics.RefusedSocket != 0 {
			t.Fatalf("%+v, %+v", report.Statistics, report.Faults)
		}
		if got < before+sum.Packets {
			t.Logf("round %d: %d of %d packets overflowed the model's socket", round+1, before+sum.Packets-got, sum.Packets)
			continue
		}
		want := a.live()
		for i := range want {
			want[i].CallerSocket, want[i].CalleeSocket = home, home
			want[i] = seen(want[i])
		}
		for i := range report.Live {
			report.Live[i] = seen(report.Live[i])
		}
		for i, line := range bin1test.DiffDetails(report.Live, want) {
			if i < 10 {
				t.Error(line)
			}
		}
		return
	}
	t.Errorf("in none of %d rounds everything reached the model", rounds)
}

// handled is how many packets the model has taken from its socket.
func handled(t *testing.T, standby *opensipstest.Process) uint64 {
	t.Helper()
	r, err := standby.Counts()
	if err != nil {
		t.Fatal(err)
	}
	return r.Statistics.CreateReceived + r.Statistics.UpdateReceived + r.Statistics.DeleteReceived
}

// awaitHandled waits until the model has handled so many packets, or for a second none: then the others were lost. It returns how many.
func awaitHandled(t *testing.T, standby *opensipstest.Process, want uint64) uint64 {
	t.Helper()
	last, since := handled(t, standby), time.Now()
	for last < want && time.Since(since) < time.Second {
		time.Sleep(5 * time.Millisecond) // between two looks at a condition
		if n := handled(t, standby); n > last {
			last, since = n, time.Now()
		}
	}
	return last
}

// seen is what of a dialog an update takes over, and what it was built with.
func seen(d dialog.Details) dialog.Details {
	d.HID, d.CallerGenCSeq, d.CalleeGenCSeq = 0, 0, 0
	return d
}

func TestNobodyListens(t *testing.T) {
	// Connected elsewhere, it takes nothing from us, and nobody else can have its port meanwhile.
	conn, err := net.Dial("udp4", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	closed := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	for _, n := range []int{1, 5000} {
		a := newAppliance(t, 0)
		a.fill(newProxy(1, n), n)
		sender := newSender(t)
		s, err := resync.New(resync.Config{
			Table: a.table, Sink: sender, OpenTail: a.tail, To: packets.EndpointOf(closed), Rate: 4000,
		})
		if err != nil {
			t.Fatal(err)
		}
		sum, err := s.Run(context.Background())
		if !errors.Is(err, resync.ErrNobodyAnswers) || sum.Complete || sum.Packets > uint64(2*n) {
			t.Errorf("%d dialogs: %+v, %v", n, sum, err)
		}
		if want := fmt.Sprint("sync to ", closed); err != nil && err.Error()[:len(want)] != want {
			t.Errorf("%v", err)
		}
	}
}
