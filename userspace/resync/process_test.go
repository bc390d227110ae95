package resync_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/bin/bintest"
	"binrepd/userspace/datagram"
	"binrepd/userspace/resync"
	"binrepd/userspace/resync/opensipstest"
	"binrepd/userspace/shield"
	"binrepd/userspace/socket"
)

// newSender opens a real socket, which tells session of refusals.
func newSender(t *testing.T, session *atomic.Pointer[resync.Session]) *socket.Socket {
	t.Helper()
	s, err := socket.NewSender(context.Background(), netip.MustParseAddrPort("127.0.0.1:0"), socket.Config{
		OnError: func(_ datagram.Endpoint, err error) { session.Load().Failed(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestAgainstAProcess hands a table over to a model of OpenSIPS in another process, at the pace that OpenSIPS bears.
func TestAgainstAProcess(t *testing.T) {
	a := newAppliance(t, 0)
	p := newProxy(1, 2000)
	a.fill(p, 2000)
	standby, err := opensipstest.Start(os.Args[0], "-sockets", home)
	if err != nil {
		t.Fatal(err)
	}
	defer standby.Stop()
	var session atomic.Pointer[resync.Session]
	sender := newSender(t, &session)
	var buf []byte
	s, err := resync.New(resync.Config{
		Table: a.table, Sink: sender, OpenTail: a.tail, To: datagram.EndpointOf(netip.MustParseAddrPort(standby.Address)), Rate: 4000,
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
	session.Store(s)
	sum, err := s.Run(context.Background())
	if err != nil || sum.Passes != 2 || sum.Dialogs < 1900 || sum.TailEvents == 0 || sum.Unmatched != 0 {
		t.Fatalf("%+v, %v", sum, err)
	}
	want := a.live()
	for i := range want {
		want[i].CallerSocket, want[i].CalleeSocket = home, home
		want[i] = seen(want[i])
	}
	var report opensipstest.Report
	var differ []string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if report, err = standby.Report(); err != nil {
			t.Fatal(err)
		}
		for i := range report.Live {
			report.Live[i] = seen(report.Live[i])
		}
		if differ = bintest.DiffDetails(report.Live, want); len(differ) == 0 {
			break
		}
	}
	for i, line := range differ {
		if i < 10 {
			t.Error(line)
		}
	}
	if report.Faults != (opensipstest.Faults{}) || report.Statistics.RefusedSocket != 0 {
		t.Errorf("%+v, %+v", report.Statistics, report.Faults)
	}
}

// seen is what of a dialog an update takes over, and what it was built with.
func seen(d dialog.Details) dialog.Details {
	d.HID, d.CallerGenCSeq, d.CalleeGenCSeq = 0, 0, 0
	return d
}

func TestNobodyListens(t *testing.T) {
	// A port that was free a moment ago.
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	conn.Close()
	for _, n := range []int{1, 5000} {
		a := newAppliance(t, 0)
		a.fill(newProxy(1, n), n)
		var session atomic.Pointer[resync.Session]
		sender := newSender(t, &session)
		s, err := resync.New(resync.Config{
			Table: a.table, Sink: sender, OpenTail: a.tail, To: datagram.EndpointOf(closed), Rate: 4000,
			Poll: func() { sender.ReapErrors() },
		})
		if err != nil {
			t.Fatal(err)
		}
		session.Store(s)
		sum, err := s.Run(context.Background())
		if !errors.Is(err, resync.ErrNobodyAnswers) || sum.Complete || sum.Packets > uint64(2*n) {
			t.Errorf("%d dialogs: %+v, %v", n, sum, err)
		}
		if want := fmt.Sprint("sync to ", closed); err != nil && err.Error()[:len(want)] != want {
			t.Errorf("%v", err)
		}
	}
}
