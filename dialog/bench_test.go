package dialog

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// sampleDialog is of the size that a common call has: 350 bytes.
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

// stream makes batches of events of one shard each. Bytes are made anew for each batch, as a datagram would bring them, outside the timer.
type benchEvent struct {
	ev   Event
	buf  []byte
	hash uint32
}

func benchDialogs(b *testing.B) []int {
	sizes := []int{10_000}
	if s := os.Getenv("BINREPD_BENCH_DIALOGS"); s != "" {
		sizes = nil
		n, err := strconv.Atoi(s)
		if err != nil {
			b.Fatal(err)
		}
		sizes = append(sizes, n)
	}
	return sizes
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

// BenchmarkApply plays creations, updates and deletions, one third each, in batches of 32 for one shard, upon a table in which
// so many dialogs are live throughout: each creation is of a new one, updates and deletions are of any.
func BenchmarkApply(b *testing.B) {
	for _, dialogs := range benchDialogs(b) {
		b.Run(strconv.Itoa(dialogs), func(b *testing.B) { benchmarkApply(b, dialogs) })
	}
}

func benchmarkApply(b *testing.B, dialogs int) {
	t := newTable(b, Config{})
	shards := t.Shards()
	live := make([][]int, shards)
	var pool [batch]benchEvent
	var evs [batch]*Event
	for i := range pool {
		evs[i] = &pool[i].ev
	}
	now := int64(1_795_000_000)
	for n := range dialogs {
		d := sampleDialog(n)
		h := hashOf(n)
		pool[0].set(b, &d, Create, h)
		shard := t.ShardOf(h)
		s := t.Lock(shard)
		s.Apply(evs[:1], now)
		s.Unlock()
		live[shard] = append(live[shard], n)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	next := dialogs
	var outcomes [Outcomes]int
	b.ReportAllocs()
	b.ResetTimer()
	b.StopTimer()
	for i := 0; i < b.N; i += batch {
		shard := rng.IntN(shards)
		for j := range pool {
			mine := live[shard]
			switch j % 3 {
			case 0:
				for t.ShardOf(hashOf(next)) != shard {
					next++
				}
				d := sampleDialog(next)
				pool[j].set(b, &d, Create, hashOf(next))
				live[shard] = append(mine, next)
				next++
			case 1:
				n := mine[rng.IntN(len(mine))]
				d := sampleDialog(n)
				d.State, d.CallerCSeq = Confirmed, strconv.Itoa(1+rng.IntN(9))
				pool[j].set(b, &d, Update, hashOf(n))
			case 2:
				k := rng.IntN(len(mine))
				n := mine[k]
				d := sampleDialog(n)
				pool[j].set(b, &d, Delete, hashOf(n))
				mine[k] = mine[len(mine)-1]
				live[shard] = mine[:len(mine)-1]
			}
		}
		if i%(batch*1024) == 0 {
			now += 2
			t.Expire(now)
		}
		b.StartTimer()
		s := t.Lock(shard)
		s.Apply(evs[:], now)
		s.Unlock()
		b.StopTimer()
		for _, ev := range evs {
			outcomes[ev.Outcome]++
		}
	}
	c := t.Counts()
	b.Logf("n %d outcomes %v counts %+v mapped/dialog %.1f", b.N, outcomes, c, float64(c.Mapped)/float64(c.Live()+c.Tombstones))
}
