package restarts

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/state/engine"
)

const epoch = 1_790_000_000

// world is a proxy, the table that it fills, and a Watch that looks on, with a clock of its own.
type world struct {
	t       *testing.T
	random  *rand.Rand
	table   *dialog.Table
	watch   Watch
	second  int
	status  engine.SourceStatus
	calls   []call
	made    int
	buckets map[uint32]uint32 // next h_id; nil: h_ids say nothing
	numbers bool              // h_ids are as OpenSIPS chooses them
	lost    float64           // share of packets that are lost
	cut     bool              // all are
	found   []Restart
}

type call struct {
	d    dialog.Details
	ends int
}

func newWorld(t *testing.T, seed uint64, numbers bool) *world {
	table, err := dialog.NewTable(dialog.Config{Shards: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	w := &world{t: t, random: rand.New(rand.NewPCG(seed, 7)), table: table, numbers: numbers, buckets: map[uint32]uint32{}}
	w.status.Sender = packets.Sender{Endpoint: packets.EndpointOf(netip.MustParseAddrPort("10.0.0.1:5555"))}
	return w
}

func (w *world) now() time.Time { return time.Unix(epoch+int64(w.second), 0) }

func (w *world) send(ev *dialog.Event) {
	if w.cut || w.random.Float64() < w.lost {
		return
	}
	h := fnv.New32a()
	h.Write(ev.CallID())
	ev.Hash, ev.Origin = h.Sum32(), 1
	s := w.table.Lock(w.table.ShardOf(ev.Hash))
	s.Apply([]*dialog.Event{ev}, w.now().Unix())
	s.Unlock()
	w.status.Events++
	w.status.Last = w.now()
	if ev.Changed() {
		switch ev.Kind {
		case dialog.Create:
			w.status.Created++
		case dialog.Delete:
			w.status.Ended++
		}
	}
}

// begin makes a call of that length in seconds.
func (w *world) begin(length float64) {
	w.made++
	d := dialog.Details{
		CallID: fmt.Sprintf("%d-%d@10.0.0.1", w.made, w.random.Uint32()), FromTag: "f", ToTag: "t", State: dialog.Confirmed,
		Start: uint32(w.now().Unix()), Timeout: uint32(w.now().Unix()) + 100_000, HID: w.random.Uint32() >> 1,
	}
	if w.numbers {
		bucket := bucketHash([]byte(d.CallID)) & 4095
		if _, known := w.buckets[bucket]; !known {
			w.buckets[bucket] = w.random.Uint32() >> 1
		}
		w.buckets[bucket]++
		d.HID = w.buckets[bucket]
	}
	var ev dialog.Event
	if fault := dialog.ParseSnapshot(d.AppendPacked(nil), dialog.Create, &ev); fault != 0 {
		w.t.Fatal(fault)
	}
	w.calls = append(w.calls, call{d, w.second + 1 + int(length)})
	w.send(&ev)
}

// run lets seconds pass. Calls begin at a rate, and have an average length, with many short ones and few long ones.
func (w *world) run(seconds int, rate func(second int) float64, length float64) {
	for i := range seconds {
		w.second++
		left := w.calls[:0]
		for _, c := range w.calls {
			if c.ends > w.second {
				left = append(left, c)
				continue
			}
			var ev dialog.Event
			if fault := ev.SetDeletion(layout.UDP, c.d.AppendKey(nil)); fault != layout.NoFault {
				w.t.Fatal(fault)
			}
			w.send(&ev)
		}
		w.calls = left
		for n := w.random.ExpFloat64() / rate(i); n < 1; n += w.random.ExpFloat64() / rate(i) {
			w.begin(length / 2 * math.Exp(w.random.NormFloat64()*1.2))
		}
		w.table.Expire(w.now().Unix())
		if w.watch.Sample(w.now().Add(time.Second/2), []engine.SourceStatus{w.status}) {
			w.found = append(w.found, w.watch.Look(w.now().Add(time.Second/2), w.table, w.sender)...)
		}
	}
}

func (w *world) sender(n uint16) packets.Sender {
	if n == 1 {
		return w.status.Sender
	}
	return packets.Sender{}
}

// restart is what a restart of the proxy does: it forgets its calls and the numbers of its buckets.
func (w *world) restart() { w.calls, w.buckets = nil, map[uint32]uint32{} }

func steady(rate float64) func(int) float64 { return func(int) float64 { return rate } }

func never(int) float64 { return 1e-9 }

// TestRestartIsNoticed: fault 8.
func TestRestartIsNoticed(t *testing.T) {
	for _, test := range []struct {
		name    string
		numbers bool
		rate    float64
		length  float64
		down    int
		within  int // seconds after it
	}{
		{"busy", true, 20, 90, 4, 60},
		{"busy, numbers say nothing", false, 20, 90, 4, 60},
		{"long calls", true, 5, 400, 6, 300},
		{"an ordinary proxy", false, 1, 150, 30, 300},
		{"slow to come back", true, 3, 120, 400, 300},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for seed := range seeds() {
				w := newWorld(t, seed, test.numbers)
				w.lost = 0.005
				w.run(900, steady(test.rate), test.length)
				if len(w.found) > 0 {
					t.Fatalf("noticed before: %+v", w.found)
				}
				left, from := len(w.calls), w.now()
				w.restart()
				w.run(test.down, never, 1)
				to := w.now()
				w.run(test.within, steady(test.rate), test.length)
				if len(w.found) != 1 {
					t.Fatalf("seed %d: noticed %d restarts", seed, len(w.found))
				}
				r := w.found[0]
				if !r.Before.After(w.status.Last.Add(-time.Hour)) || r.Before.Before(from.Add(-5*time.Second)) || r.Before.After(to.Add(time.Second)) {
					t.Errorf("before %s, the truth is %s to %s", r.Before, from, to)
				}
				if r.Left < left*98/100 { // some creations were lost
					t.Errorf("%d dialogs left, want about %d at least", r.Left, left)
				}
				if got, ok := w.watch.Of(w.status.Sender); !ok || got != r || got.Count != 1 {
					t.Errorf("shown: %+v", got)
				}
				w.run(600, steady(test.rate), test.length)
				if len(w.found) != 1 {
					t.Errorf("seed %d: noticed again", seed)
				}
			}
		})
	}
}

// TestNoFalseAlarm: silences of proxies that were not restarted. Some ends are lost, so that there are ghosts.
func TestNoFalseAlarm(t *testing.T) {
	night := func(second int) float64 { // from 4 calls a second to one in ten minutes, and back
		x := math.Abs(float64(second)-18_000) / 18_000
		return 4*math.Pow(x, 6) + 1.0/600
	}
	for name, live := range map[string]func(w *world){
		"a quiet night": func(w *world) { w.run(36_000, night, 150) },
		"always quiet":  func(w *world) { w.run(36_000, steady(1.0/60), 200) },
		"the network is down for a while": func(w *world) {
			for _, down := range []int{3, 30, 300} {
				w.run(900, steady(5), 120)
				w.cut = true
				w.run(down, steady(5), 120)
				w.cut = false
			}
			w.run(900, steady(5), 120)
		},
		"a pause between days of work": func(w *world) {
			for range 3 {
				w.run(1800, steady(4), 60)
				w.run(1200, never, 1)
			}
			w.run(600, steady(8), 60)
		},
		"bursts": func(w *world) {
			for range 20 {
				w.run(10, steady(10), 150)
				w.run(170, never, 1)
			}
		},
		"conferences": func(w *world) {
			for range 6 {
				w.run(120, steady(0.3), 7000)
				w.run(1500, never, 1)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, numbers := range []bool{true, false} {
				for seed := range seeds() {
					w := newWorld(t, seed, numbers)
					w.lost = 0.01
					live(w)
					if len(w.found) > 0 {
						t.Errorf("seed %d, numbers %v: %+v", seed, numbers, w.found)
					}
				}
			}
		})
	}
}

// TestBucketHash: examples of the specification.
func TestBucketHash(t *testing.T) {
	for callID, want := range map[string]uint32{
		"": 0, "a": 0x6d, "abcd": 0x6d5f4418, "102-28794@127.0.0.1": 0xd0805010, "3-28797@127.0.0.1": 0xd4884015,
		"\xc3\xa9t\xc3\xa9@x": 0xbb760d86,
	} {
		if got := bucketHash([]byte(callID)); got != want {
			t.Errorf("%q: %#x, want %#x", callID, got, want)
		}
	}
}

// seeds is how many worlds each case sees: more with BINREPD_CHAOS=1.
func seeds() uint64 {
	if os.Getenv("BINREPD_CHAOS") == "1" {
		return 8
	}
	return 1
}
