package control

import "time"

const (
	// fillWindow is the time over which the growth of the table is averaged. It is longer than the variations within a
	// minute, and short enough to show a flood while there is time to act.
	fillWindow = 5 * time.Minute
	fillEvery  = 10 * time.Second
	// A prediction needs evidence: the table must have been watched for fillLeast, must have grown by fillShare of its limit
	// since then, and must be full within fillAhead times the time that it was watched. Otherwise the start of a
	// handful of calls looks like a trend over days.
	fillLeast = 2 * time.Minute
	fillShare = 1e-3
	fillAhead = 1000
)

// fill is how full the table was at one time.
type fill struct {
	at              time.Time
	memory, dialogs uint64
}

// fills are the samples of the last minutes, one every ten seconds, oldest first.
type fills []fill

func (f *fills) sample(now time.Time, s *Status) {
	list := *f
	if n := len(list); n > 0 && now.Sub(list[n-1].at) < fillEvery {
		return
	}
	list = append(list, fill{now, s.Memory.Used, s.Dialogs + s.Early})
	for len(list) > 2 && now.Sub(list[1].at) >= fillWindow {
		list = list[1:]
	}
	*f = list
}

// fullIn predicts in how many seconds the table is full if it grows on as in the last minutes. It returns nil if the
// table doesn't grow, has no limit, or hasn't been watched long enough.
func (f fills) fullIn(now time.Time, s *Status) *float64 {
	if len(f) == 0 {
		return nil
	}
	before := f[0]
	seconds := now.Sub(before.at).Seconds()
	var soonest *float64
	for _, part := range []struct{ was, is, limit uint64 }{
		{before.memory, s.Memory.Used, s.Memory.Limit},
		{before.dialogs, s.Dialogs + s.Early, s.MaxDialogs},
	} {
		switch {
		case part.limit == 0:
		case part.is >= part.limit:
			soonest = new(float64)
		case part.is > part.was && seconds >= fillLeast.Seconds() && float64(part.is-part.was) >= fillShare*float64(part.limit):
			left := float64(part.limit-part.is) / (float64(part.is-part.was) / seconds)
			if left <= fillAhead*seconds && (soonest == nil || left < *soonest) {
				soonest = &left
			}
		}
	}
	return soonest
}
