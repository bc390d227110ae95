package store_test

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"

	"binrepd/userspace/state/store"
)

const chunk = 64 << 10

func steer(aor string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(aor))
	return h.Sum32() * 0x9e3779b1
}

func newTestContacts(t testing.TB, c store.Config, most int) *contacts {
	t.Helper()
	table, err := newContacts(c, most)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := table.shards.Close(); err != nil {
			t.Error(err)
		}
	})
	return table
}

// want is the slow form of a contact: a value in a map.
type want struct{ cseq, expires, deadline uint32 }

// TestASecondModel plays random registrations on the contacts and on maps, and compares outcomes, contents, counts and
// what expires. The hash has few values in one case, so that AoRs share tags, and many in the other, so that the index
// grows and shrinks.
func TestASecondModel(t *testing.T) {
	for _, c := range []struct {
		name string
		hash func([]byte) uint32
		aors int
	}{
		{"equal tags", func(aor []byte) uint32 { return uint32(aor[len(aor)-1]) % 7 * 0x11111111 }, 300},
		{"random tags", nil, 20_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := newTestContacts(t, store.Config{Shards: 3, Hash: c.hash}, 0)
			rng := rand.New(rand.NewPCG(1, 2))
			model := make(map[string]map[string]want)
			now := uint32(1000)
			for range 3 {
				for range 60_000 {
					aor, uri := fmt.Sprint("sip:user", rng.IntN(c.aors)), fmt.Sprint("sip:phone", rng.IntN(9))
					phones := model[aor]
					if phones == nil {
						phones = make(map[string]want)
						model[aor] = phones
					}
					old, known := phones[uri]
					switch rng.IntN(8) {
					case 0:
						if got := table.forget(steer(aor), []byte(aor), []byte(uri)); got != known {
							t.Fatalf("forget %s %s: %v, want %v", aor, uri, got, known)
						}
						delete(phones, uri)
						continue
					case 1:
						now += uint32(rng.IntN(20) / 19) // a second now and then
					}
					w := want{cseq: rng.Uint32N(50)}
					if rng.IntN(3) > 0 {
						w.expires = now + 1 + rng.Uint32N(600)
						w.deadline = w.expires
					} else {
						w.deadline = now + tombstoneTime
					}
					outcome := "applied"
					switch {
					case known && old.cseq >= w.cseq:
						outcome = "stale"
					case !known && len(phones) >= maxPerAoR:
						outcome = "refused"
					default:
						phones[uri] = w
					}
					if got := table.register(steer(aor), []byte(aor), []byte(uri), w.cseq, w.expires, now); got != outcome {
						t.Fatalf("register %s %s: %s, want %s", aor, uri, got, outcome)
					}
				}
				compare(t, table, model)
				for range 4 {
					now += 30
					expire(t, table, model, now)
					compare(t, table, model)
				}
				now += 1000
				expire(t, table, model, now)
				// Each shard keeps a chunk for its index, and one for each of up to four size classes.
				if dealt, _, _ := table.shards.Memory(); dealt > 3*5*chunk {
					t.Errorf("%d bytes in use after all expired", dealt)
				}
			}
		})
	}
}

func expire(t *testing.T, table *contacts, model map[string]map[string]want, now uint32) {
	t.Helper()
	live, gone := 0, 0
	for _, phones := range model {
		for uri, w := range phones {
			if w.deadline > now {
				continue
			}
			if w.expires == 0 {
				gone++
			} else {
				live++
			}
			delete(phones, uri)
		}
	}
	if gotLive, gotGone := table.expire(int64(now)); gotLive != live || gotGone != gone {
		t.Fatalf("%d contacts and %d tombstones expired, want %d and %d", gotLive, gotGone, live, gone)
	}
}

// compare scans the contacts and finds exactly what the maps hold.
func compare(t *testing.T, table *contacts, model map[string]map[string]want) {
	t.Helper()
	seen, live, gone := make(map[string]bool), 0, 0
	var cur store.Cursor
	for more := true; more; {
		more = table.shards.Scan(&cur, func(_ *contactShard, e store.Entry) {
			c := contact(e)
			aor, uri := string(c.aor()), string(c.uri())
			w, known := model[aor][uri]
			if seen[aor+" "+uri] || !known || c.cseq() != w.cseq || c.expires() != w.expires || c.gone() != (w.expires == 0) {
				t.Fatalf("%s %s with CSeq %d, want %+v", aor, uri, c.cseq(), w)
			}
			seen[aor+" "+uri] = true
			if c.gone() {
				gone++
			} else {
				live++
			}
		})
	}
	held := 0
	for _, phones := range model {
		held += len(phones)
	}
	if len(seen) != held {
		t.Fatalf("%d contacts, want %d", len(seen), held)
	}
	for i := range table.shards.Len() {
		live -= table.shards.At(i).live
		gone -= table.shards.At(i).gone
	}
	if live != 0 || gone != 0 {
		t.Fatalf("counts differ by %d contacts and %d tombstones", live, gone)
	}
}

// 300,000 phones register once and never again. When they have expired, their memory is back.
func TestExpiredMemoryComesBack(t *testing.T) {
	const shards, phones = 2, 300_000
	table := newTestContacts(t, store.Config{Shards: shards}, 0)
	empty, _, _ := table.shards.Memory()
	uri := []byte("sip:phone@192.0.2.1:5060")
	for round := range 2 {
		var aor []byte
		for n := range phones {
			aor = fmt.Appendf(aor[:0], "sip:%08x@example.org", uint32(n)*2654435761)
			if got := table.register(uint32(n)*2654435761, aor, uri, 1, 2000, 1000); got != "applied" {
				t.Fatal(got)
			}
		}
		full, _, _ := table.shards.Memory()
		if live, gone := table.expire(1999); live+gone != 0 {
			t.Errorf("%d expired too early", live+gone)
		}
		if live, _ := table.expire(2000); live != phones {
			t.Errorf("%d expired, want %d", live, phones)
		}
		left, _, _ := table.shards.Memory()
		t.Logf("round %d: %d bytes empty, %d full, %d afterwards", round, empty, full, left)
		if left > empty+shards*chunk {
			t.Errorf("%d bytes in use after all expired, %d at the start", left, empty)
		}
	}
}

// Contacts that come, change and go take nothing from the heap.
func TestChangesAllocateNothing(t *testing.T) {
	table := newTestContacts(t, store.Config{Shards: 1}, 1000)
	aor, uri := []byte("sip:alice@example.org"), []byte("sip:alice@192.0.2.1")
	now := uint32(1000)
	visits := 0
	round := func() {
		for cseq := range uint32(4) {
			table.register(0, aor, uri, cseq+1, now+10, now)
		}
		table.register(0, aor, uri, 5, 0, now)
		var cur store.Cursor
		for table.shards.Scan(&cur, func(*contactShard, store.Entry) { visits++ }) {
		}
		s := table.shards.Lock(0)
		s.part.Prefetch([]uint32{s.part.Hash(aor), s.part.Hash(uri)})
		s.part.Unlock()
		now += tombstoneTime
		if _, gone := table.expire(int64(now)); gone != 1 {
			t.Errorf("%d tombstones expired, want 1", gone)
		}
	}
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations a round", n)
	}
	if visits != 101 {
		t.Errorf("%d visits", visits)
	}
}

// The limit of the pool holds, and what expires makes room.
func TestASecondModelHasLimits(t *testing.T) {
	const most = 100
	table := newTestContacts(t, store.Config{Shards: 1}, most)
	for turn := range 2 {
		for n := range most + 1 {
			aor := fmt.Sprint("sip:", n)
			want := "applied"
			if n == most {
				want = "refused"
			}
			if got := table.register(0, []byte(aor), []byte("sip:phone"), 1, 2000, 1000); got != want {
				t.Fatalf("turn %d: contact %d: %s, want %s", turn, n, got, want)
			}
		}
		table.expire(2000)
	}
}
