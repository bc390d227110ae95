package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"runtime/debug"
	"time"

	"binrepd/bpf"
	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/ring"
	"binrepd/userspace/in/socket"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/state/engine"
)

// Watched are the parts of an appliance whose metrics address is served while the bench has it at work.
type Watched struct {
	Table   *dialog.Table
	Engine  *engine.Engine
	Program *bpf.Program
	Rings   []*ring.Source
	Socket  *socket.Socket // of the only listener
	Listen  netip.AddrPort
	Egress  *egress.Egress
}

// MetricsFunc serves the metrics address of an appliance, as `binrepd run` does, until stop is called.
type MetricsFunc func(context.Context, Watched) (address netip.AddrPort, stop func() error, err error)

// The appliance that is scraped is a large one, so that the answers are long and there is much to look at.
const (
	scrapeDialogs      = 1_000_000
	scrapeRings        = 16
	scrapeSources      = 128
	scrapeDestinations = 64
	scrapeRingSize     = 1 << 20
	scrapeEvents       = 2000 * engine.DefaultBatch // of a lap: half a second and more
	scrapeEvery        = 100 * time.Millisecond
)

// scrapes are what the metrics address is asked for. A Prometheus server takes protobuf where it wants native
// histograms, else text, and in both cases compressed; a browser asks for the status, which has the same numbers and
// the sources by name.
var scrapes = [...]struct{ name, path, accept string }{
	{"protobuf", "/metrics", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"},
	{"text", "/metrics", "text/plain;version=0.0.4"},
	{"status page", "/api/status", "application/json"},
}

// scrapeStage measures how much scrapes slow ingest: one consumer at its limit, in turns without requests to the
// metrics address and with ten a second. Then it measures the cost of a single answer.
func scrapeStage(ctx context.Context, s *session) (err error) {
	if s.cfg.Metrics == nil {
		return errors.New("nobody serves the metrics address: Config.Metrics")
	}
	dialogs := min(s.cfg.Dialogs, scrapeDialogs)
	p, err := newWatched(ctx, dialogs, s.cfg.Metrics)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()

	n := s.events(scrapeEvents)
	quiet, err := p.contend(ctx, n, "", "")
	if err != nil {
		return err
	}
	list := []*scraped{quiet}
	for _, sc := range scrapes {
		c, err := p.contend(ctx, n, sc.path, sc.accept)
		if err != nil {
			return err
		}
		defer c.client.close()
		list = append(list, c)
	}
	var contenders []contender
	for _, c := range list {
		contenders = append(contenders, contender{lap: func() (lap, error) { return c.lap(ctx) }})
	}
	all, err := s.compare(ctx, contenders...)
	if err != nil {
		return err
	}
	s.add("memory to table, nobody looks", dialogs, all[0]).Note = list[0].note()
	for i, sc := range scrapes {
		s.add("scraped ten times a second, "+sc.name, dialogs, all[i+1]).Note = list[i+1].note()
	}
	throughput, cost := 1.0, 1.0
	for _, l := range all[1:] {
		throughput, cost = min(throughput, all[0].against(l, lap.wallEach)), max(cost, l.against(all[0], lap.cpuEach))
	}
	s.atLeast("throughput scraped ten times a second / not scraped", throughput, 0.98)
	s.atMost("consumer's CPU time an event, scraped / not scraped", cost, 1.02)
	return s.answers(ctx, list[1:])
}

// Requests within these times share one picture; there is one picture for Prometheus and one for the page.
const (
	metricsAge = 300 * time.Millisecond
	pageAge    = 1100 * time.Millisecond
)

// answers measures single answers, each with a new picture.
func (s *session) answers(ctx context.Context, list []*scraped) error {
	type costs struct{ cpu, bytes, objects, size []float64 }
	all := make([]costs, len(list))
	for range s.cfg.Runs {
		wait := pageAge
		for i, a := range list {
			if err := s.pause(ctx, wait); err != nil {
				return err
			}
			wait = metricsAge
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := readClock(processClock)
			size, err := a.client.ask()
			if err != nil {
				return err
			}
			spent := readClock(processClock) - began
			runtime.ReadMemStats(&after)
			c := &all[i]
			c.cpu = append(c.cpu, float64(spent.Microseconds())/1e3)
			c.bytes = append(c.bytes, float64(after.TotalAlloc-before.TotalAlloc)/1e3)
			c.objects = append(c.objects, float64(after.Mallocs-before.Mallocs))
			c.size = append(c.size, float64(size)/1e3)
		}
	}
	for i := range all {
		c := &all[i]
		s.row(Row{Case: "an answer, " + scrapes[i].name, Allocs: -1, Note: fmt.Sprintf("%.2f ms of CPU; %.0f allocations, %.0f KB; %.1f KB sent",
			median(c.cpu), median(c.objects), median(c.bytes), median(c.size))})
	}
	return nil
}

func (s *session) pause(ctx context.Context, d time.Duration) error {
	if s.cfg.quick {
		d /= 20
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// watched is a large appliance with its metrics address. One of its consumers works at its limit, the others are idle.
type watched struct {
	*population
	Watched
	worker  *worker
	address netip.AddrPort
	ends    []func() error
}

func newWatched(ctx context.Context, dialogs int, metrics MetricsFunc) (_ *watched, err error) {
	w := &watched{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	places := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(max(places, runtime.NumCPU()+scrapeRings)) // as binrepd run does
	w.ends = append(w.ends, func() error { runtime.GOMAXPROCS(places); return nil })

	if w.population, err = newPopulation(scrapeRings * shards); err != nil {
		return nil, err
	}
	w.ends = append(w.ends, w.population.close)
	if err := w.grow(ctx, dialogs); err != nil {
		return nil, err
	}
	w.Table = w.table
	if w.Program, err = loadProgram(scrapeRings, scrapeRingSize); err != nil {
		return nil, err
	}
	w.ends = append(w.ends, w.Program.Close)
	if w.Rings, err = openRings(w.Program, 0); err != nil {
		return nil, err
	}
	w.ends = append(w.ends, func() error { return closeRings(w.Rings) })
	local := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	if w.Socket, err = socket.Listen(ctx, local, socket.Config{Steering: steering()}); err != nil {
		return nil, err
	}
	w.ends = append(w.ends, w.Socket.Close)
	w.Listen = local
	if w.Egress, err = egress.New(egress.Config{Sink: void{}, Log: slog.New(slog.DiscardHandler)}); err != nil {
		return nil, err
	}
	w.ends = append(w.ends, func() error { w.Egress.Close(ctx); return nil })
	for i := range scrapeDestinations {
		to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 2, byte(i)}), 5556)
		if err := w.Egress.Add(egress.Destination{Address: to.String()}); err != nil {
			return nil, err
		}
	}
	// Changes that are passed on would make the destinations work, which must not be part of the comparison.
	sources := []packets.Source{newCycle(w.traffic)}
	for _, r := range w.Rings {
		sources = append(sources, r)
	}
	if w.worker, err = w.start(nil, true, sources...); err != nil {
		return nil, err
	}
	w.worker.gates[0].clock = threadClock // the others never work
	w.ends = append(w.ends, w.finish)
	w.Engine = w.worker.engine
	var stop func() error
	if w.address, stop, err = metrics(ctx, w.Watched); err != nil {
		return nil, err
	}
	w.ends = append(w.ends, stop)
	w.ends = append(w.ends, asInService())
	return w, nil
}

// serviceHeap is how much an appliance allocates until the runtime collects: its heap is smaller than the least that
// the runtime cares about.
const serviceHeap = 4 << 20

// asInService has the runtime collect as often as in service, although the packets of the bench are in its heap, and
// returns what ends that.
func asInService() (end func() error) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before := debug.SetGCPercent(int(max(100*serviceHeap/m.HeapAlloc, 1)))
	return func() error { debug.SetGCPercent(before); return nil }
}

// finish stops the engine and checks its account. In a cycle, one update in 22,000 looks like an old one: see dialog.
func (w *watched) finish() error {
	err := w.worker.stop()
	s := w.worker.engine.Status()
	total := s.Total()
	if applied, all := total.Outcome(dialog.Applied), uint64(w.worker.events); err == nil && (total.Received != all || applied < all-all/1000) {
		err = fmt.Errorf("account: %d events, of which %d were received and %d applied: %v", all, total.Received, applied, total.Outcomes)
	}
	return err
}

func (w *watched) close() (err error) {
	for i := len(w.ends) - 1; i >= 0; i-- {
		err = errors.Join(err, w.ends[i]())
	}
	w.ends = nil
	return err
}
