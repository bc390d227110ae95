package appliance

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/appliance/appliancetest"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/packets/packetstest"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/wire/bin1/bin1test"
)

// footprint is what a process takes.
type footprint struct {
	heap, mapped, goroutines, files int
}

func footprintNow(t *testing.T, table *dialog.Table) footprint {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return footprint{int(m.HeapAlloc), table.Counts().Mapped, runtime.NumGoroutine(), len(files)}
}

// TestSoak is a day of calls, with injected clocks: engine, table and keeper as they are, fed step by step. One deletion in fifty is lost,
// so that ghosts come and expire. Every hour it takes what the process uses: behind the third hour, when the first ghosts have gone,
// that must not grow any more.
func TestSoak(t *testing.T) {
	const (
		hours    = 24
		step     = 10 * time.Second
		lifetime = 2 * time.Hour
		grace    = time.Minute
		calls    = 500
		lostOf   = 50
	)
	eventsPerStep := 20 // 172,800 a day
	if appliancetest.Chaos() {
		eventsPerStep = 400
	}
	table, err := dialog.NewTable(dialog.Config{Shards: 8, Tombstone: 64 * time.Second, ExpiryGrace: grace})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	begin := time.Unix(time.Now().Unix(), 0)
	var passed atomic.Int64
	now := func() time.Time { return begin.Add(time.Duration(passed.Load())) }
	listener := netip.MustParseAddrPort("192.0.2.1:5556")
	e, err := engine.New(engine.Config{
		Table: table, Intakes: packets.Listeners([]netip.AddrPort{listener}), Now: now,
		Elapsed: func() time.Duration { return time.Duration(passed.Load()) }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	source := packetstest.NewSource()
	ended := make(chan error, 1)
	go func() { ended <- e.Run(t.Context(), []engine.Input{{Source: source, Name: "proxy"}}) }()
	k := keep(t, t.TempDir(), new(bytes.Buffer))
	k.table = table // in the place of the one that keep has made

	seed := appliancetest.Seed(t)
	proxy := bin1test.NewProxy(seed, bin1test.Options{Now: begin.Unix(), Calls: calls, Lifetime: uint32(lifetime / time.Second)})
	from := packets.EndpointOf(netip.MustParseAddrPort("192.0.2.9:5555"))
	var fed uint64
	var deletions, lost int
	var goes []time.Time // when the ghosts expire
	play := func() {
		t.Helper()
		for range eventsPerStep {
			before := proxy.LiveCount()
			payload := proxy.Next(nil)
			if proxy.LiveCount() < before {
				if deletions++; deletions%lostOf == 0 {
					lost++
					goes = append(goes, now().Add(lifetime+grace))
					continue
				}
			}
			source.Feed(packets.Packet{Payload: payload, Sender: packets.Sender{Endpoint: from}, Received: now().UnixNano()})
			fed++
		}
		for received(e) < fed {
			runtime.Gosched()
		}
	}
	var steady, last footprint
	var most dialog.Counts
	for at := step; at <= hours*time.Hour; at += step {
		passed.Store(int64(at))
		proxy.SetNow(now().Unix())
		play()
		e.Expire()
		c := table.Counts()
		most.Tombstones, most.Confirmed = max(most.Tombstones, c.Tombstones), max(most.Confirmed, c.Confirmed)
		if at%(10*time.Minute) == 0 {
			k.save(t.Context())
		}
		if at%time.Hour == 0 {
			last = footprintNow(t, table)
			if at == 3*time.Hour {
				steady = last
			}
		}
	}
	source.Stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	st, c := e.Status(), table.Counts()
	account := st.Total()
	// Ghosts of the last two hours are still there; a dialog that is just due may be.
	there := 0
	for _, at := range goes {
		if at.After(now()) {
			there++
		}
	}
	t.Logf("%d hours (BINREPD_SEED=%d): %d events, %d deletions lost, %d of those dialogs expired; at the end %d live, %d remembered; %d saves; "+
		"hour 3: %+v, hour %d: %+v", hours, seed, fed, lost, st.Expired.Live, c.Live(), c.Tombstones, k.status.Saves, steady, hours, last)
	if account.Sum() != account.Received || account.Received != fed {
		t.Errorf("%d events fed, the account has %d and %d", fed, account.Received, account.Sum())
	}
	if c.Live() < proxy.LiveCount() || c.Live()-proxy.LiveCount() > there+calls/10 || int(st.Expired.Live)+c.Live()-proxy.LiveCount() < lost {
		t.Errorf("%d live, the proxy has %d, and %d ghosts are not due", c.Live(), proxy.LiveCount(), there)
	}
	// A third of the events are deletions; each is remembered for 64 s, which may end one step late.
	if limit := eventsPerStep * (64/10 + 2); most.Tombstones > limit {
		t.Errorf("%d tombstones at once, want at most %d", most.Tombstones, limit)
	}
	if k.status.Saves != hours*6 || k.status.Failures > 0 {
		t.Errorf("%+v", k.status)
	}
	const slack = 4 << 20 // what the collector and the mapping of chunks may differ by
	if last.heap > steady.heap+slack || last.mapped > steady.mapped+slack || last.goroutines > steady.goroutines || last.files > steady.files {
		t.Errorf("it grows: %+v, at hour 3 it was %+v", last, steady)
	}
}

func received(e *engine.Engine) uint64 {
	s := e.Status()
	total := s.Total()
	return total.Received
}
