package bin1test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
)

const testNow = 1_800_000_000

// replay applies packets without any rules, which is right as long as no packet is lost or changes its place.
func replay(t *testing.T, table map[string]dialog.Details, packet []byte) dialog.Kind {
	t.Helper()
	var ev dialog.Event
	if v := bin1.Decode(packet, &ev); v != bin1.Dialog {
		t.Fatalf("packet decodes as %v: %x", v, packet)
	}
	_, known := table[string(ev.Key)]
	switch {
	case ev.Kind == dialog.Delete && !known:
		t.Fatal("the end of a call that never began")
	case ev.Kind == dialog.Delete:
		delete(table, string(ev.Key))
	case ev.Kind == dialog.Create && known:
		t.Fatal("the beginning of a call that is in progress")
	default:
		table[string(ev.Key)] = ev.Body.Details()
	}
	return ev.Kind
}

func TestProxyStream(t *testing.T) {
	for _, calls := range []int{0, 1, 5, 300} {
		t.Run(fmt.Sprint(calls), func(t *testing.T) {
			p := NewProxy(7, Realistic(testNow, calls))
			table := map[string]dialog.Details{}
			kinds := map[dialog.Kind]int{}
			var sizes []int
			var buf []byte
			for i := range 6000 {
				if i%1000 == 0 {
					p.SetNow(testNow + int64(i))
				}
				if buf = p.Next(buf[:0]); i >= 3000 {
					sizes = append(sizes, len(buf))
					kinds[replay(t, table, buf)]++
				} else {
					replay(t, table, buf)
				}
				if i%100 == 50 {
					if buf = p.AppendRefresh(buf[:0]); len(buf) > 0 {
						replay(t, table, buf)
					}
				}
				if i%500 == 0 {
					for _, line := range DiffDetails(values(table), p.LiveDetails()) {
						t.Fatal(line)
					}
				}
			}
			if want := max(calls, 1); p.LiveCount() != want && p.LiveCount() != want-1 {
				t.Errorf("%d calls in progress in the steady state, want %d", p.LiveCount(), want)
			}
			c, u, d := kinds[dialog.Create], kinds[dialog.Update], kinds[dialog.Delete]
			if !near(uint32(u), uint32(d)) || c == d || c < d*9/10 {
				t.Errorf("%d creations, %d updates, %d deletions: not 1:1:1 with a few creations skipped", c, u, d)
			}
			slices.Sort(sizes)
			if largest := sizes[len(sizes)-1]; largest < 2400 || largest > 2900 {
				t.Errorf("largest packet %d bytes, want about 2.6 kB", largest)
			}
		})
	}
}

func values(m map[string]dialog.Details) (out []dialog.Details) {
	for _, d := range m {
		out = append(out, d)
	}
	return out
}

// TestProxyRefreshesAgain: every refresh of a call is newer than the one before.
func TestProxyRefreshesAgain(t *testing.T) {
	p := NewProxy(1, Options{Now: testNow, Calls: 1})
	if got := p.AppendRefresh(nil); len(got) > 0 {
		t.Fatalf("a refresh without a call in progress: %x", got)
	}
	p.Next(nil) // created
	p.Next(nil) // confirmed
	var last dialog.Details
	for i := range 100 {
		var ev dialog.Event
		if v := bin1.Decode(p.AppendRefresh(nil), &ev); v != bin1.Dialog {
			t.Fatal(v)
		}
		d := ev.Body.Details()
		if d.CalleeCSeq <= last.CalleeCSeq || d.Timeout <= last.Timeout {
			t.Fatalf("refresh %d: CSeq %s after %s, timeout %d after %d", i, d.CalleeCSeq, last.CalleeCSeq, d.Timeout, last.Timeout)
		}
		last = d
	}
}

func TestProxyRepeatsItself(t *testing.T) {
	stream := func(seed uint64, name string) (out [][]byte) {
		o := Realistic(testNow, 20)
		o.Name = name
		p := NewProxy(seed, o)
		for range 500 {
			out = append(out, p.Next(nil))
		}
		return out
	}
	first := stream(3, "a")
	if !slices.EqualFunc(first, stream(3, "a"), bytes.Equal) {
		t.Error("two proxies with the same seed differ")
	}
	seen := map[string]bool{}
	for _, packet := range first {
		seen[string(bin1.Capability(packet))+string(key(t, packet))] = true
	}
	for _, other := range [][][]byte{stream(4, "a"), stream(3, "b")} {
		for _, packet := range other {
			if seen["dialog"+string(key(t, packet))] {
				t.Fatalf("two proxies share the call %q", key(t, packet))
			}
		}
	}
}

func key(t *testing.T, packet []byte) []byte {
	t.Helper()
	var ev dialog.Event
	if v := bin1.Decode(packet, &ev); v != bin1.Dialog {
		t.Fatalf("packet decodes as %v", v)
	}
	return ev.Key
}

func TestProxyDoesNotAllocate(t *testing.T) {
	p := NewProxy(1, Realistic(testNow, 100))
	buf := make([]byte, 0, 4096)
	for range 1000 {
		buf = p.Next(buf[:0])
	}
	if n := testing.AllocsPerRun(1000, func() { buf = p.Next(buf[:0]) }); n > 0 {
		t.Errorf("Next allocates %v times", n)
	}
}

func BenchmarkProxyNext(b *testing.B) {
	p := NewProxy(1, Realistic(testNow, 100_000))
	buf := make([]byte, 0, 4096)
	bytes := 0
	for b.Loop() {
		buf = p.Next(buf[:0])
		bytes += len(buf)
	}
	b.SetBytes(int64(bytes / b.N))
}
