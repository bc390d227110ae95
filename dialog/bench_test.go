package dialog

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"binrepd/userspace/state/store"
)

// sampleDialog has the size of a common call: 350 bytes.
func sampleDialog(n int) Details {
	return Details{
		CallID: fmt.Sprintf("%x-%d@198.51.100.7", uint32(n)*2654435761, n), FromTag: fmt.Sprintf("%07xSIPpTag001", n), ToTag: fmt.Sprintf("%07xSIPpTag011", n),
		FromURI: fmt.Sprintf("sip:alice%d@example.org", n%100000), ToURI: fmt.Sprintf("sip:bob%d@example.com", n%100000),
		HID: uint32(n), Start: 1_795_000_000, State: Answered,
		CallerSocket: "udp:127.0.0.1:5060", CalleeSocket: "udp:127.0.0.1:5060", CallerCSeq: "0", CalleeCSeq: "1",
		CallerContact: fmt.Sprintf("sip:alice%d@127.0.0.1:5082", n%100000), CalleeContact: "sip:127.0.0.1:5070;transport=UDP",
		Vars: fmt.Sprintf("account#acct-alice%d|", n%100000), Profiles: "inbound#|",
		Flags: 24, Timeout: 1_795_003_600,
	}
}

// benchEvent is an event and the bytes that it views, both used again.
type benchEvent struct {
	ev  Event
	buf []byte
}

// benchDialogs is how many dialogs are live in a benchmark: what BINREPD_BENCH_DIALOGS says, or a quick 10,000.
func benchDialogs(b *testing.B) int {
	s := os.Getenv("BINREPD_BENCH_DIALOGS")
	if s == "" {
		return 10_000
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func hashOf(n int) uint32 { return uint32(uint64(n) * 0x9e3779b97f4a7c15 >> 32) }

func (e *benchEvent) set(b testing.TB, d *Details, kind Kind, hash uint32) {
	if kind == Delete {
		e.buf = d.AppendKey(e.buf[:0])
		if f := ParseKey(e.buf, &e.ev); f != NoFault {
			b.Fatal(f)
		}
	} else {
		e.buf = d.AppendPacked(e.buf[:0])
		if f := ParseSnapshot(e.buf, kind, &e.ev); f != NoFault {
			b.Fatal(f)
		}
	}
	e.ev.Hash = hash
}

// traffic is a table and a list of what is live in it, so that creations, updates and deletions can go on and all hit.
type traffic struct {
	b     *testing.B
	table *Table
	rng   *rand.Rand
	live  [][]int // by shard
	next  int
	pool  []benchEvent
	evs   []*Event
}

func newTraffic(b *testing.B, dialogs, events int) *traffic {
	t := &traffic{
		b: b, table: newTable(b, Config{}), rng: rand.New(rand.NewPCG(1, 2)),
		pool: make([]benchEvent, events), evs: make([]*Event, events),
	}
	t.live = make([][]int, t.table.Shards())
	for i := range t.pool {
		t.evs[i] = &t.pool[i].ev
	}
	for range dialogs {
		shard := t.table.ShardOf(hashOf(t.next))
		t.create(&t.pool[0], shard)
		s := t.table.Lock(shard)
		s.Apply(t.evs[:1], epoch)
		s.Unlock()
	}
	return t
}

func (t *traffic) create(e *benchEvent, shard int) {
	for t.table.ShardOf(hashOf(t.next)) != shard {
		t.next++
	}
	d := sampleDialog(t.next)
	e.set(t.b, &d, Create, hashOf(t.next))
	t.live[shard] = append(t.live[shard], t.next)
	t.next++
}

func (t *traffic) update(e *benchEvent, shard int) {
	n := t.live[shard][t.rng.IntN(len(t.live[shard]))]
	d := sampleDialog(n)
	d.State, d.CallerCSeq = Confirmed, strconv.Itoa(1+t.rng.IntN(9))
	e.set(t.b, &d, Update, hashOf(n))
}

func (t *traffic) delete(e *benchEvent, shard int) {
	mine := t.live[shard]
	k := t.rng.IntN(len(mine))
	d := sampleDialog(mine[k])
	e.set(t.b, &d, Delete, hashOf(mine[k]))
	mine[k] = mine[len(mine)-1]
	t.live[shard] = mine[:len(mine)-1]
}

// BenchmarkApply plays creations, updates and deletions, one third each, in batches of 64 for one shard. The number of
// live dialogs stays the same: each creation is of a new one, updates and deletions are of any. A second passes every
// 100,000 events, so that tombstones come and go. The bytes of the events lie in the second level of caches at least.
func BenchmarkApply(b *testing.B) {
	dialogs := benchDialogs(b)
	b.Run(strconv.Itoa(dialogs), func(b *testing.B) { benchmarkApply(b, dialogs) })
}

func benchmarkApply(b *testing.B, dialogs int) {
	const events = 16 * store.Batch
	t := newTraffic(b, dialogs, events)
	var shards [events / store.Batch]int
	var rounds []time.Duration
	applied, now := 0, int64(epoch)
	b.ReportAllocs()
	for b.ResetTimer(); applied < b.N; applied += events {
		b.StopTimer()
		for i := range shards {
			shards[i] = t.rng.IntN(t.table.Shards())
			for j := range store.Batch {
				e := &t.pool[i*store.Batch+j]
				switch j % 3 {
				case 0:
					t.create(e, shards[i])
				case 1:
					t.update(e, shards[i])
				case 2:
					t.delete(e, shards[i])
				}
			}
		}
		if clock := epoch + int64(applied/100_000); clock != now {
			now = clock
			t.table.Expire(now)
		}
		b.StartTimer()
		began := time.Now()
		for i, shard := range shards {
			s := t.table.Lock(shard)
			s.Apply(t.evs[i*store.Batch:(i+1)*store.Batch], now)
			s.Unlock()
		}
		rounds = append(rounds, time.Since(began))
	}
	b.StopTimer()
	// The median of the rounds is the cost on a machine that does nothing else. ns/op is the cost on this one.
	slices.Sort(rounds)
	b.ReportMetric(float64(rounds[len(rounds)/2].Nanoseconds())/events, "median-ns/op")
	c := t.table.Counts()
	b.ReportMetric(float64(c.Mapped)/float64(c.Live()+c.Tombstones), "mapped-B/entry")
}

// BenchmarkScan visits the whole table in steps, looking at each entry's state and size; an operation is one entry.
func BenchmarkScan(b *testing.B) {
	t := newTraffic(b, benchDialogs(b), 1)
	var cur Cursor
	bytes, visits := 0, 0
	b.ReportAllocs()
	b.ResetTimer()
	for visits < b.N {
		if !t.table.Scan(&cur, func(v *View) {
			visits++
			if v.State().Live() {
				bytes += len(v.Body())
			}
		}) {
			cur = Cursor{}
		}
	}
	b.SetBytes(int64(bytes / visits))
}
