package engine

import (
	"math"
	"sync/atomic"
	"time"
)

// A proxy writes into a creation when the call was answered by its own clock, and sends it at once. So that time less the time of receipt
// tells how far its clock is ahead of ours, less the time on the way. The greatest difference of the recent creations is the best
// estimate. It is good to a second, which is the unit of the protocol.

// skewWindow is what counts as recent: one to two of these.
const skewWindow = time.Minute

// noSkew says that there was no creation.
const noSkew = math.MinInt64

// skew is one worker's estimate for one source, in seconds. The worker is the only writer.
type skew struct {
	now, before atomic.Int64
	since       int64 // ns since the epoch, the receipt that began the window
}

func (k *skew) init() {
	k.now.Store(noSkew)
	k.before.Store(noSkew)
}

// take takes over the greatest difference of a few creations, of which the last was received at that time.
func (k *skew) take(greatest, received int64) {
	switch past := received - k.since; {
	case past >= 2*int64(skewWindow), past < 0:
		k.before.Store(noSkew)
		k.now.Store(greatest)
		k.since = received
	case past >= int64(skewWindow):
		k.before.Store(k.now.Load())
		k.now.Store(greatest)
		k.since = received
	default:
		k.now.Store(max(greatest, k.now.Load()))
	}
}

// estimate returns the greatest difference of the last windows that had creations.
func (k *skew) estimate() int64 { return max(k.now.Load(), k.before.Load()) }
