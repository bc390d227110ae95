package resync_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/socket"
	"binrepd/userspace/out/resync"
	"binrepd/userspace/state/engine"
)

// replica is an engine behind a real socket on the loopback.
type replica struct {
	table  *dialog.Table
	socket *socket.Socket
	engine *engine.Engine
	done   chan error
}

func newReplica(tb testing.TB) *replica {
	tb.Helper()
	r := &replica{done: make(chan error, 1)}
	var err error
	if r.table, err = dialog.NewTable(dialog.Config{}); err != nil {
		tb.Fatal(err)
	}
	if r.socket, err = socket.Listen(context.Background(), netip.MustParseAddrPort("127.0.0.1:0"), socket.Config{}); err != nil {
		tb.Fatal(err)
	}
	if r.engine, err = engine.New(engine.Config{
		Table: r.table, Intakes: packets.Listeners([]netip.AddrPort{r.socket.LocalAddr()}), Log: slog.New(slog.DiscardHandler),
	}); err != nil {
		tb.Fatal(err)
	}
	go func() {
		r.done <- r.engine.Run(context.Background(), []engine.Input{{Source: r.socket, Name: "socket"}})
	}()
	tb.Cleanup(func() {
		r.socket.Stop()
		if err := <-r.done; err != nil {
			tb.Error(err)
		}
		r.socket.Close()
		r.table.Close()
	})
	return r
}

// settle waits until nothing arrives any more and returns the number of live dialogs.
func (r *replica) settle() int {
	for before := ^uint64(0); ; {
		s := r.engine.Status()
		total := s.Total()
		if total.Received == before {
			return s.Table.Live()
		}
		before = total.Received
		time.Sleep(20 * time.Millisecond)
	}
}

// cpuTime is what this process has used, of both appliances.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSync hands a table over to another appliance on the same machine, as fast as it goes.
func BenchmarkSync(b *testing.B) {
	for _, n := range []int{200_000} {
		for _, passes := range []int{1, 2} {
			b.Run(fmt.Sprintf("dialogs=%d/passes=%d", n, passes), func(b *testing.B) {
				a := newAppliance(b, 0)
				a.fill(newProxy(1, n), n)
				sender, err := socket.NewSender(context.Background(), netip.MustParseAddrPort("127.0.0.1:0"), socket.Config{})
				if err != nil {
					b.Fatal(err)
				}
				defer sender.Close()
				var took, cpu time.Duration
				var sent, arrived uint64
				for b.Loop() {
					b.StopTimer()
					r := newReplica(b)
					runtime.GC()
					b.StartTimer()
					before := cpuTime(b)
					s, err := resync.New(resync.Config{
						Table: a.table, Sink: sender, OpenTail: a.tail, Passes: passes, To: packets.EndpointOf(r.socket.LocalAddr()),
					})
					if err != nil {
						b.Fatal(err)
					}
					sum, err := s.Run(context.Background())
					if err != nil {
						b.Fatal(err)
					}
					took += sum.Duration
					sent += sum.Dialogs
					arrived += uint64(r.settle())
					cpu += cpuTime(b) - before
				}
				b.ReportMetric(float64(sent)/took.Seconds(), "dialogs/s")
				b.ReportMetric(float64(cpu.Nanoseconds())/float64(sent), "cpu-ns/dialog")
				b.ReportMetric(100*float64(sender.Stats().Merged)/float64(sender.Stats().Sent), "%merged")
				b.ReportMetric(100*float64(arrived)/float64(sent), "%arrived")
			})
		}
	}
}
