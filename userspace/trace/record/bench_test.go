package record

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/wire/bin1/bin1test"
)

// benchDialogs is the number of dialogs while BenchmarkRecord measures. BINREPD_BENCH_DIALOGS overrides it.
const benchDialogs = 200_000

var (
	benchListen   = netip.MustParseAddrPort("192.0.2.1:5556")
	benchSource   = packets.EndpointOf(netip.MustParseAddrPort("198.51.100.1:5555"))
	benchSteering = packets.Steering{K0: 1, K1: 2}
)

// BenchmarkRecord plays the same events to two tables in turn, with one worker each, without and with a recorder that
// writes to a disk. It reports what an event costs the worker, and how much recording adds, in processor time of its
// thread, since other work on the machine disturbs that least. A round is as long as a buffer, so that nothing is
// dropped even on a slow disk.
func BenchmarkRecord(b *testing.B) {
	const events = 30_000
	dialogs := benchDialogs
	if n, err := strconv.Atoi(os.Getenv("BINREPD_BENCH_DIALOGS")); err == nil {
		dialogs = n
	}
	r, err := Open(Config{Dir: b.TempDir(), Limit: 64 << 20, Listeners: []netip.AddrPort{benchListen}, Taps: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	now := time.Now()
	proxy := bin1test.NewProxy(1, bin1test.Realistic(now.Unix(), dialogs))
	sides := [...]*side{newSide(b, nil), newSide(b, r.Tap(0))}
	var made []packets.Packet
	play := func() (cost [2]float64) {
		order := [...]int{0, 1}
		if len(sides[0].costs)%2 == 1 {
			order = [...]int{1, 0}
		}
		for _, i := range order {
			cost[i] = sides[i].play(b, made)
			for s := r.Status(); s.Error == nil && sides[1].shown != s.Recorded+s.Dropped["slow_disk"]; s = r.Status() {
				time.Sleep(idlePoll) // the writer also shares caches with the worker that isn't recorded
			}
		}
		return cost
	}
	fill := func() {
		made = made[:0]
		for range events {
			p := proxy.Next(nil)
			made = append(made, packets.Packet{
				Payload: p, Sender: packets.Sender{Endpoint: benchSource}, Hash: benchSteering.Hash(p, benchSource), Received: now.UnixNano(),
			})
		}
	}
	for proxy.LiveCount() < dialogs-events {
		fill()
		play()
	}
	var more []float64
	for b.Loop() {
		fill()
		cost := play()
		sides[0].costs, sides[1].costs = append(sides[0].costs, cost[0]), append(sides[1].costs, cost[1])
		more = append(more, 100*(cost[1]-cost[0])/cost[0])
	}
	b.ReportMetric(0, "ns/op") // one round, including making its events
	b.ReportMetric(median(sides[0].costs), "plain-ns/event")
	b.ReportMetric(median(sides[1].costs), "recorded-ns/event")
	b.ReportMetric(median(sides[1].costs)-median(sides[0].costs), "ns-more/event")
	b.ReportMetric(median(more), "%more")
	b.ReportMetric(100*float64(r.Status().Dropped["slow_disk"])/float64(sides[1].shown), "%dropped")
}

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// side is one of the two tables.
type side struct {
	table    *dialog.Table
	recorder engine.Recorder
	shown    uint64
	costs    []float64
}

func newSide(b *testing.B, tap *Tap) *side {
	table, err := dialog.NewTable(dialog.Config{Shards: 16, Tombstone: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { table.Close() })
	s := &side{table: table}
	if tap != nil {
		s.recorder = tap
	}
	return s
}

// play has an engine apply events. It returns the cost for its worker in nanoseconds per event.
func (s *side) play(b *testing.B, events []packets.Packet) float64 {
	e, err := engine.New(engine.Config{Table: s.table, Intakes: packets.Listeners([]netip.AddrPort{benchListen}), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	s.table.Expire(time.Now().Unix())
	runtime.GC() // keep garbage collection out of the measurement
	source := &memory{events: events}
	if err := e.Run(context.Background(), []engine.Input{{Source: source, Name: "memory", Thread: true, Recorder: s.recorder}}); err != nil {
		b.Fatal(err)
	}
	st := e.Status()
	if total := st.Total(); total.Applied() != uint64(len(events)) {
		b.Fatalf("of %d events, %d applied", len(events), total.Applied())
	}
	s.shown += uint64(len(events))
	return float64(source.end-source.begin) / float64(len(events))
}

// memory is a Source with prepared datagrams. It also notes the processor time of its worker's thread.
type memory struct {
	events     []packets.Packet
	next       int
	begin, end int64
}

func (m *memory) Receive(batch *packets.Batch) error {
	if m.next == 0 {
		m.begin = threadTime()
	}
	n := min(cap(batch.Packets), len(m.events)-m.next)
	batch.Packets = append(batch.Packets[:0], m.events[m.next:m.next+n]...)
	m.next += n
	if n == 0 {
		m.end = threadTime()
		return net.ErrClosed
	}
	return nil
}

func (m *memory) Release(*packets.Batch) {}
func (m *memory) Stop()                  {}
func (m *memory) Close() error           { return nil }

func threadTime() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return ts.Nano()
}
