package layout

import (
	"math/bits"
	"sync/atomic"
)

// NumLosses is how many kinds of Losses there are.
const NumLosses = len(lossNames)

// Lost counts what conversions could not carry over.
type Lost struct {
	// Converted is the number of dialogs that were converted.
	Converted uint64
	// Dropped counts, by field, contents for which the other layout has no place. Losses counts by the bit of Losses.
	Dropped [NumFields]uint64
	Losses  [NumLosses]uint64
}

// lossFields are the fields that the losses are about.
var lossFields = [NumLosses]string{"vars", "vars", "profiles", "flags", "lists"}

// Each calls fn for each count that is not 0. The name is that of the field, and where a part of it was lost, a dot and
// what was lost: "caller_out_sdp", "vars.type".
func (l *Lost) Each(fn func(name string, times uint64)) {
	for f, n := range l.Dropped {
		if n > 0 {
			fn(Field(f).String(), n)
		}
	}
	for i, n := range l.Losses {
		if n > 0 {
			fn(lossFields[i]+"."+lossNames[i], n)
		}
	}
}

// ByName returns the counts that are not 0 by their names (Each).
func (l *Lost) ByName() map[string]uint64 {
	names := map[string]uint64{}
	l.Each(func(name string, times uint64) { names[name] = times })
	return names
}

// Tally counts the reports of conversions. Any goroutine may read it while one adds to it.
type Tally struct {
	converted atomic.Uint64
	dropped   [NumFields]atomic.Uint64
	losses    [NumLosses]atomic.Uint64
}

// Add counts one conversion.
func (t *Tally) Add(r *Report) {
	t.converted.Add(1)
	for set := uint64(r.Dropped); set != 0; set &= set - 1 {
		t.dropped[bits.TrailingZeros64(set)].Add(1)
	}
	for set := r.Losses; set != 0; set &= set - 1 {
		t.losses[bits.TrailingZeros8(uint8(set))].Add(1)
	}
}

// Lost returns the counts so far.
func (t *Tally) Lost() (l Lost) {
	l.Converted = t.converted.Load()
	for i := range l.Dropped {
		l.Dropped[i] = t.dropped[i].Load()
	}
	for i := range l.Losses {
		l.Losses[i] = t.losses[i].Load()
	}
	return l
}
