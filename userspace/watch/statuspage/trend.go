package statuspage

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"binrepd/userspace/watch/control"
)

const (
	// trendWindow is the length of the charts: long enough to see a whole failover, short enough to see each second of
	// it.
	trendWindow = 5 * time.Minute
	// growthWindow is how long a loss is shown as growing. The word LOSING uses the same time.
	growthWindow = time.Minute
)

// Trend keeps the counters of the last minutes, second by second. So a page has its charts as soon as it is opened. It
// is safe for concurrent use.
type Trend struct {
	// StaleAfter is how long a source may be silent before the page marks it; 0 means for ever.
	StaleAfter time.Duration

	mu     sync.Mutex
	points []point     // oldest first, at most trendWindow old
	losses []lossTable // oldest first; all but the first within growthWindow
}

// point holds the counters at one time.
type point struct {
	at                                  time.Time
	created, updated, ended, lost, live uint64
}

// lossTable holds all losses up to one time.
type lossTable struct {
	at     time.Time
	counts []Loss // sorted by compareLosses
}

// Loss is one way in which the replica or one of its backups has become incomplete.
type Loss struct {
	Place  string `json:"place"` // "interface NAME", "listener ADDRESS", "table" or "backup ADDRESS"
	Reason string `json:"reason"`
	Count  uint64 `json:"count"` // since the start
	// Growth is the part of Count that came within the last minute.
	Growth uint64 `json:"growth"`
}

func compareLosses(a, b Loss) int {
	return cmp.Or(cmp.Compare(a.Place, b.Place), cmp.Compare(a.Reason, b.Reason))
}

// lossesOf lists the losses by place and reason.
func lossesOf(s *control.Status) []Loss {
	var list []Loss
	add := func(place, reason string, n uint64) {
		if n > 0 {
			list = append(list, Loss{Place: place, Reason: reason, Count: n})
		}
	}
	for i := range s.Interfaces {
		add("interface "+s.Interfaces[i].Name, "before_xdp", s.Interfaces[i].Lost)
	}
	for i := range s.Listeners {
		for reason, n := range s.Listeners[i].Lost {
			add("listener "+s.Listeners[i].Address, reason, n)
		}
	}
	for _, reason := range [...]string{"refused_memory", "refused_call"} {
		add("table", reason, s.Rejected[reason])
	}
	for i := range s.Destinations {
		add("backup "+s.Destinations[i].Address, "queue_full", s.Destinations[i].Dropped)
		add("backup "+s.Destinations[i].Address, "not_sent", s.Destinations[i].Lost)
	}
	slices.SortFunc(list, compareLosses)
	return list
}

// Sample records the counters of s. Call it about once a second.
func (t *Trend) Sample(now time.Time, s *control.Status) {
	p := point{at: now, created: s.CreateRecv, updated: s.UpdateRecv, ended: s.DeleteRecv, live: s.Dialogs}
	losses := lossesOf(s)
	for _, l := range losses {
		p.lost += l.Count
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.losses) == 0 {
		t.losses = append(t.losses, lossTable{at: s.Started}) // nothing was lost before
	}
	t.points = append(t.points, p)
	t.losses = append(t.losses, lossTable{at: now, counts: losses})
	for len(t.points) > 1 && now.Sub(t.points[0].at) > trendWindow {
		t.points = t.points[1:]
	}
	// One table that is older than the window stays. The newest is compared with it.
	for len(t.losses) > 2 && now.Sub(t.losses[1].at) >= growthWindow {
		t.losses = t.losses[1:]
	}
}

// growing returns the losses with their growth.
func (t *Trend) growing() []Loss {
	if len(t.losses) == 0 {
		return []Loss{}
	}
	before := t.losses[0].counts
	list := append([]Loss{}, t.losses[len(t.losses)-1].counts...)
	for i := range list {
		l := &list[i]
		l.Growth = l.Count
		if at, found := slices.BinarySearchFunc(before, *l, compareLosses); found {
			l.Growth -= min(before[at].Count, l.Count)
		}
	}
	return list
}

// trendAnswer is the answer to /api/trend. All lists have the length of At. Counters count since the start of the
// process, and restart with a new process.
type trendAnswer struct {
	At         []int64  `json:"at"` // Unix milliseconds
	CreateRecv []uint64 `json:"create_recv"`
	UpdateRecv []uint64 `json:"update_recv"`
	DeleteRecv []uint64 `json:"delete_recv"`
	Lost       []uint64 `json:"lost"`    // sum of all losses
	Dialogs    []uint64 `json:"dialogs"` // live ones
	Losses     []Loss   `json:"losses"`
	StaleAfter float64  `json:"stale_after_seconds"` // 0: never
}

// answer returns everything after that time, in Unix milliseconds. If that time is in the future, it returns
// everything: the clock was set back, or the client has data of another appliance.
func (t *Trend) answer(after int64) trendAnswer {
	t.mu.Lock()
	defer t.mu.Unlock()
	points := t.points
	if n := len(points); n > 0 && after <= points[n-1].at.UnixMilli() {
		first := slices.IndexFunc(points, func(p point) bool { return p.at.UnixMilli() > after })
		if first < 0 {
			first = n
		}
		points = points[first:]
	}
	a := trendAnswer{
		At: make([]int64, len(points)), CreateRecv: make([]uint64, len(points)), UpdateRecv: make([]uint64, len(points)),
		DeleteRecv: make([]uint64, len(points)), Lost: make([]uint64, len(points)), Dialogs: make([]uint64, len(points)),
		Losses: t.growing(), StaleAfter: t.StaleAfter.Seconds(),
	}
	for i, p := range points {
		a.At[i], a.CreateRecv[i], a.UpdateRecv[i], a.DeleteRecv[i] = p.at.UnixMilli(), p.created, p.updated, p.ended
		a.Lost[i], a.Dialogs[i] = p.lost, p.live
	}
	return a
}

func (t *Trend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	after := int64(0)
	if s := r.URL.Query().Get("after"); s != "" {
		var err error
		if after, err = strconv.ParseInt(s, 10, 64); err != nil {
			refuse(w, http.StatusBadRequest, "after: want Unix milliseconds")
			return
		}
	}
	writeJSON(w, t.answer(after))
}
