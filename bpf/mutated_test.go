package bpf_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
	"binrepd/userspace/wire/bin2/bin2test"
)

const (
	// chaosEnv makes fault tests run longer; see make chaos.
	chaosEnv = "BINREPD_CHAOS"
	// seedEnv sets the seed, to repeat a run.
	seedEnv = "BINREPD_SEED"
)

// seed returns a seed for random numbers: a new one each time, unless the environment sets it.
func seed(t *testing.T) uint64 {
	t.Helper()
	if text := os.Getenv(seedEnv); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return uint64(time.Now().UnixNano())
}

// mutator makes frames that no real host sends.
type mutator struct {
	*rand.Rand
	bases [][]byte
}

// frame returns the next frame. It has at least 14 bytes: the kernel runs nothing shorter.
func (m *mutator) frame() []byte {
	if m.IntN(50) == 0 { // random bytes
		f := make([]byte, 14+m.IntN(200))
		for i := range f {
			f[i] = byte(m.Uint32())
		}
		return f
	}
	base := m.bases[m.IntN(len(m.bases))]
	for len(base) > 2048 && m.IntN(3) > 0 { // long frames take much time
		base = m.bases[m.IntN(len(m.bases))]
	}
	f := slices.Clone(base)
	for range m.IntN(4) {
		m.change(&f)
	}
	if m.IntN(2) == 0 && len(f) >= 34 {
		fixChecksum(f[14:])
	}
	return f
}

func (m *mutator) change(f *[]byte) {
	b := *f
	// The rules are about headers. The rest is only copied, except for the length of the Call-ID.
	at := m.IntN(min(len(b), 14+40+8+60))
	if m.IntN(8) == 0 {
		at = m.IntN(len(b))
	}
	switch m.IntN(8) {
	case 0:
		b[at] = byte(m.Uint32())
	case 1, 2:
		b[at] = interesting[m.IntN(len(interesting))]
	case 3:
		b[at] ^= 1 << m.IntN(8)
	case 4: // a length, slightly or far off
		if at+1 < len(b) {
			n := uint16(b[at])<<8 | uint16(b[at+1])
			n += uint16(m.IntN(5) - 2)
			b[at], b[at+1] = byte(n>>8), byte(n)
		}
	case 5:
		b = b[:max(14, len(b)-m.IntN(len(b)))]
	case 6:
		b = append(b, make([]byte, m.IntN(64))...)
	case 7: // the head of one frame and the tail of another
		other := m.bases[m.IntN(len(m.bases))]
		b = append(b[:max(14, at)], other[min(at, len(other)):]...)
	}
	*f = b
}

// TestFramesMutated changes frames, both hand-made ones and those of real senders, in many ways. It compares the
// verdict and the record of the program with those of the model: 20,000 frames, or a million with BINREPD_CHAOS=1. Half of
// them come in by lo, and half by another interface.
func TestFramesMutated(t *testing.T) {
	n := 10_000
	if os.Getenv(chaosEnv) == "1" {
		n = 500_000
	}
	from := seed(t)
	m := &mutator{Rand: rand.New(rand.NewPCG(from, 1))}
	for _, c := range handMade() {
		m.bases = append(m.bases, c.frame)
	}
	for _, name := range bpftest.Captures() {
		t.Run(name, func(t *testing.T) {
			for _, f := range bpftest.Capture(t, name) {
				if m.IntN(8) == 0 {
					m.bases = append(m.bases, f)
				}
			}
		})
	}
	t.Run("a cluster", func(t *testing.T) {
		for _, p := range bin2test.Load(t, "3.6/S1").Packets {
			if m.IntN(8) == 0 {
				m.bases = append(m.bases, bpftest.Frame{From: netip.MustParseAddrPort("10.99.0.1:5566"), To: testListeners[0], Payload: p.Packet}.Bytes())
			}
		}
	})
	seen := make(map[bpf.Verdict]int)
	mutate := func(r *trial, i int) error {
		f := m.frame()
		if i%1000 == 0 {
			r.allow(t, []string{"10.99.0.0/28", "fd00::/125", "127.0.0.0/8", "::1/128"}[:1+m.IntN(4)]...)
		}
		if seen[r.compare(t, f).verdict]++; t.Failed() {
			return fmt.Errorf("frame %d of seed %d: %x", i, from, f)
		}
		return nil
	}
	all := []string{"10.99.0.0/28", "fd00::/125", "127.0.0.0/8", "::1/128"}
	lo := newTrial(t)
	lo.allow(t, all...)
	for i := range n {
		if err := mutate(lo, i); err != nil {
			t.Fatal(err)
		}
	}
	out, namespace := outside(t)
	out.allow(t, all...)
	namespace.Do(func() error {
		for i := range n {
			if err := mutate(out, i); err != nil {
				return err
			}
		}
		return nil
	})
	t.Logf("tried %d frames from %d bases (%s=%d): all verdicts and records as in the model: %v", 2*n, len(m.bases), seedEnv, from, seen)
	for v := range bpf.Verdict(bpf.Verdicts) {
		if never := v == bpf.RingFull || v == bpf.Fault || v == bpf.RateLimited; never != (seen[v] == 0) {
			t.Errorf("%d frames got %s", seen[v], v)
		}
	}
}
