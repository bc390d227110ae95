package tuning

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
)

// largestRing is the largest size that is advised. A pause that is longer than such a ring holds is a problem of its
// own.
const largestRing = 1 << 30

// AdviseRings checks the rings of a running appliance against the rate of events and the highest use of a ring so far.
// Each ring should hold all events that come while its consumer pauses for this time.
func AdviseRings(d Daemon, pause time.Duration) []Finding {
	if len(d.Rings) == 0 {
		return nil
	}
	size, fullest := d.Rings[0].Size, 0.0
	for _, r := range d.Rings {
		size = min(size, r.Size)
		if r.Size > 0 {
			fullest = max(fullest, float64(r.HighWater)/float64(r.Size))
		}
	}
	if size == 0 {
		return nil // unknown, and doubling it would never be enough
	}
	f := Finding{
		Check: "ring_size", Well: true,
		Value: fmt.Sprintf("%d of %s, at most %.0f %% were in use", len(d.Rings), humanize.IBytes(size), 100*fullest),
	}
	// The hash of the Call-ID gives every ring the same share.
	share := d.Rate * d.RecordBytes / float64(len(d.Rings))
	if share > 0 {
		f.Value += fmt.Sprintf("; at %.0f events a second they hold %s", d.Rate, time.Duration(float64(size)/share*float64(time.Second)).Round(time.Millisecond))
	}
	want := size
	for float64(want) < share*pause.Seconds() && want < largestRing {
		want *= 2
	}
	switch {
	case want > size:
		f.Well = false
		f.Advice = fmt.Sprintf("should hold %s: run --ring-size %s", pause, flagSize(want))
	case fullest > 0.5 && size < largestRing:
		f.Well = false
		f.Advice = fmt.Sprintf("should stay half empty: run --ring-size %s, or more --rings where there are CPUs for their consumers", flagSize(2*size))
	}
	return []Finding{f}
}

// flagSize formats a power of two as --ring-size takes it.
func flagSize(n uint64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%dGiB", n>>30)
	case n >= 1<<20:
		return fmt.Sprintf("%dMiB", n>>20)
	}
	return fmt.Sprintf("%dKiB", n>>10)
}
