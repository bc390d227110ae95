package engine

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/packets/packetstest"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// steering is fixed so that tests repeat themselves.
var steering = packets.Steering{K0: 1, K1: 2}

const testNow = 1_800_000_000 // Unix seconds; the simulated proxies and the engines of these tests live at this moment

// rig is an engine over a new table, fed by fake sources.
type rig struct {
	*Engine
	table   *dialog.Table
	sources []*packetstest.Source
	done    chan error
}

func newRig(tb testing.TB, sources int, change func(*Config)) *rig {
	tb.Helper()
	table, err := dialog.NewTable(dialog.Config{Shards: 8})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { table.Close() })
	cfg := Config{
		Table:   table,
		Intakes: packets.Listeners([]netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:5556"), netip.MustParseAddrPort("[2001:db8::1]:5556")}),
		Now:     func() time.Time { return time.Unix(testNow, 0) },
		Log:     slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	r := &rig{Engine: e, table: table, done: make(chan error, 1)}
	for range sources {
		r.sources = append(r.sources, packetstest.NewSource())
	}
	return r
}

// start runs the engine until finish.
func (r *rig) start(tb testing.TB) {
	inputs := make([]Input, len(r.sources))
	for i, s := range r.sources {
		inputs[i] = Input{Source: s, Name: fmt.Sprintf("source %d", i), Thread: i == 0}
	}
	go func() { r.done <- r.Run(context.Background(), inputs) }()
}

// finish stops the sources, which deliver what they have, and waits until the engine is at rest.
func (r *rig) finish(tb testing.TB) Status {
	tb.Helper()
	for _, s := range r.sources {
		s.Stop()
	}
	if err := <-r.done; err != nil {
		tb.Fatal(err)
	}
	s := r.Status()
	for _, l := range s.Intakes {
		if l.Sum() != l.Received {
			tb.Errorf("%s: received %d, accounted for %d", l.Intake, l.Received, l.Sum())
		}
	}
	return s
}

func from(source string, listener uint8, payload []byte) packets.Packet {
	ep := packets.EndpointOf(netip.MustParseAddrPort(source))
	return packets.Packet{
		Payload: payload, Sender: packets.Sender{Endpoint: ep}, Intake: listener,
		Hash: steering.Hash(payload, ep), Received: testNow * int64(time.Second),
	}
}

func contents(t *dialog.Table) (out []dialog.Details) {
	var cur dialog.Cursor
	for more := true; more; {
		more = t.Scan(&cur, func(v *dialog.View) {
			if !v.Tombstone() && v.State().Live() {
				out = append(out, v.Body().Details())
			}
		})
	}
	return out
}

func TestStreamEndsInTheSendersState(t *testing.T) {
	for _, sources := range []int{1, 3} {
		t.Run(fmt.Sprint(sources), func(t *testing.T) {
			r := newRig(t, sources, func(c *Config) { c.Batch = 64 })
			r.start(t)
			proxy := bin1test.NewProxy(7, bin1test.Realistic(testNow, 500))
			const sent = 5000
			for range sent {
				d := from("198.51.100.1:5555", 0, proxy.Next(nil))
				// One call, one source: as rings do it.
				r.sources[packets.Spread(d.Hash, sources)].Feed(d)
			}
			s := r.finish(t)
			if diff := bin1test.DiffDetails(contents(r.table), proxy.LiveDetails()); len(diff) > 0 {
				t.Errorf("%d differences, first: %s", len(diff), diff[0])
			}
			total := s.Total()
			if total.Received != sent || total.Applied() != sent {
				t.Errorf("received %d, applied %d, want %d of each", total.Received, total.Applied(), sent)
			}
			if len(s.Sources) != 1 || s.Sources[0].Events != sent || s.Sources[0].Last.UnixNano() != testNow*1e9 {
				t.Errorf("sources: %+v", s.Sources)
			}
			if s.Latency.Count() != sent {
				t.Errorf("latency observed %d times, want %d", s.Latency.Count(), sent)
			}
		})
	}
}

func TestCapturesEndInTheSendersList(t *testing.T) {
	for _, c := range bin1test.Captures(t) {
		t.Run(c.Name, func(t *testing.T) {
			first := c.Datagrams[0].Time
			r := newRig(t, 1, func(cfg *Config) { cfg.Now = func() time.Time { return first } })
			r.start(t)
			for _, d := range c.Datagrams {
				r.sources[0].Feed(from("10.99.0.1:5555", 0, d.Payload))
			}
			s := r.finish(t)
			for _, line := range bin1test.Diff(contents(r.table), c.Expected) {
				t.Error(line)
			}
			total := s.Total()
			for kind, name := range map[dialog.Kind]string{
				dialog.Create: "create_sent", dialog.Update: "update_sent", dialog.Delete: "delete_sent",
			} {
				if total.Kind(kind) != c.Statistics[name] {
					t.Errorf("%s: %d received, the sender sent %d", kind, total.Kind(kind), c.Statistics[name])
				}
			}
			if ul := s.Capabilities["ul"]; ul != total.Verdicts[bin1.OtherCapability] {
				t.Errorf("capability ul: %d, other capabilities %d", ul, total.Verdicts[bin1.OtherCapability])
			}
		})
	}
}

// TestEveryDatagramHasOnePlace mixes good packets with every way of being bad, over two listeners.
func TestEveryDatagramHasOnePlace(t *testing.T) {
	var log bytes.Buffer
	r := newRig(t, 2, func(c *Config) {
		c.Batch = 16
		c.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	r.start(t)
	proxy := bin1test.NewProxy(1, bin1test.Realistic(testNow, 20))
	good := proxy.AppendPacket(nil, 1, bin1test.Create)
	bad := [][]byte{
		nil, good[:17], []byte("GET / HTTP/1.1\r\n\r\n"), good[:len(good)-1],
		append(slices.Clone(good), 0), flip(good, 60), bin1.Append(nil, 9, nil),
		bin1.Append(nil, dialog.Create, good[22:40]), bin1.Append(nil, dialog.Delete, make([]byte, 12)),
		rename(good, "dialoq"),
	}
	const rounds = 50
	for n := range rounds {
		for i, p := range bad {
			r.sources[i%2].Feed(from("203.0.113.9:9", uint8(i%2), p))
		}
		p := proxy.AppendPacket(nil, uint64(n), bin1test.Create)
		r.sources[0].Feed(from("198.51.100.1:5555", 0, p), from("198.51.100.1:5555", 1, p))
	}
	s := r.finish(t)
	total := s.Total()
	want := uint64(rounds * (len(bad) + 2))
	if total.Received != want {
		t.Errorf("received %d, want %d", total.Received, want)
	}
	if n := total.Outcome(dialog.Applied); n != rounds {
		t.Errorf("applied %d, want %d", n, rounds)
	}
	if n := total.Outcome(dialog.Duplicate); n != rounds {
		t.Errorf("duplicate %d, want %d", n, rounds)
	}
	if counts := r.table.Counts(); counts.Live() != rounds {
		t.Errorf("table has %d live dialogs, want %d", counts.Live(), rounds)
	}
	for v, n := range total.Verdicts {
		if n%rounds != 0 {
			t.Errorf("%s: %d, which is no multiple of the %d rounds", bin1.Verdict(v), n, rounds)
		}
		if v := bin1.Verdict(v); n > 0 && v != bin1.OtherCapability {
			if got := strings.Count(log.String(), "reason="+v.String()+" "); got != 1 {
				t.Errorf("%s: logged %d times, want once", v, got)
			}
		}
	}
	if s.Capabilities["dialoq"] != rounds {
		t.Errorf("capabilities: %v", s.Capabilities)
	}
	if !strings.Contains(log.String(), "source=203.0.113.9:9") {
		t.Errorf("log doesn't name the source: %s", log.String())
	}
}

func flip(packet []byte, at int) []byte {
	p := slices.Clone(packet)
	p[at] ^= 1
	return p
}

// rename changes the capability of a packet to another of the same length, with a right checksum.
func rename(packet []byte, name string) []byte {
	p := slices.Clone(packet)
	copy(p[12:18], name)
	sum := bin1.Checksum(p)
	p[4], p[5], p[6], p[7] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
	return p
}

func TestSourceThatFailsEndsTheRun(t *testing.T) {
	r := newRig(t, 2, nil)
	r.start(t)
	r.sources[0].Fail(context.DeadlineExceeded) // the other one goes on
	err := <-r.done
	if err == nil || !strings.Contains(err.Error(), "source 0: ") {
		t.Errorf("error %v doesn't name the source", err)
	}
}

func TestContextStopsTheSources(t *testing.T) {
	r := newRig(t, 2, nil)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		r.done <- r.Run(ctx, []Input{{Source: r.sources[0], Name: "a"}, {Source: r.sources[1], Name: "b"}})
	}()
	proxy := bin1test.NewProxy(3, bin1test.Realistic(testNow, 30))
	r.sources[0].Feed(from("198.51.100.1:5555", 0, proxy.Next(nil)))
	cancel()
	if err := <-r.done; err != nil {
		t.Fatal(err)
	}
	s := r.Status()
	if total := s.Total(); total.Received != 1 {
		t.Errorf("received %d, want what had arrived before: 1", total.Received)
	}
}

func TestExpiryIsCounted(t *testing.T) {
	now := time.Unix(testNow, 0)
	r := newRig(t, 1, func(c *Config) { c.Now = func() time.Time { return now } })
	r.start(t)
	o := bin1test.Realistic(testNow, 30)
	o.Lifetime = 100
	proxy := bin1test.NewProxy(3, o)
	for range 20 {
		r.sources[0].Feed(from("198.51.100.1:5555", 0, proxy.Next(nil)))
	}
	r.finish(t)
	before := r.table.Counts()
	live := before.Live()
	now = now.Add(time.Hour)
	r.Expire()
	if s := r.Status(); s.Expired.Live != live || s.Table.Live() != 0 || live == 0 {
		t.Errorf("of %d live dialogs %d expired, %d are left", live, s.Expired.Live, s.Table.Live())
	}
}

// TestNoAllocation: the stages of a batch allocate nothing once the source is known.
func TestNoAllocation(t *testing.T) {
	r := newRig(t, 1, func(c *Config) { c.Batch = 64; c.Outlet = nullOutlet{} })
	w := newWorker(r.Engine, Input{Source: r.sources[0]})
	proxy := bin1test.NewProxy(5, bin1test.Realistic(testNow, 100))
	stream := make([]packets.Packet, 0, 64*400)
	for range cap(stream) {
		stream = append(stream, from("198.51.100.1:5555", 0, proxy.Next(nil)))
	}
	step := func() {
		w.batch.Packets = append(w.batch.Packets[:0], stream[:64]...)
		stream = stream[64:]
		w.decode()
		w.apply(testNow)
		w.account()
		w.replaced()
	}
	for range 150 { // the table's own growth
		step()
	}
	if n := testing.AllocsPerRun(200, step); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

type nullOutlet struct{}

func (nullOutlet) Forward([]changes.Change) {}
