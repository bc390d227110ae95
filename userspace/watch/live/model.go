package live

import (
	"maps"
	"slices"
	"time"

	"binrepd/userspace/watch/control"
)

// Options are the constant settings of a Model.
type Options struct {
	// Unicode is true if the terminal can show more than ASCII.
	Unicode bool
	// Whole is true for output without keys and with as many rows as needed.
	Whole bool
}

// page is what the frame shows.
type page uint8

const (
	overview page = iota
	callPage
	helpPage
)

// Model is the state of the view. It is pure, and for use by one goroutine.
type Model struct {
	glyphs *glyphs
	whole  bool

	now    data  // newest
	frozen *data // shown instead while the view is paused

	// err is why there is no answer. failing is since when.
	err     error
	failing time.Time

	page   page
	tables [2]table
	focus  int
	prompt *prompt
	call   call
	help   scroller
}

// data is the data from the appliance.
type data struct {
	status control.Status
	at     time.Time // zero: nothing yet

	events [3]series // creates, updates, deletes
	lost   series
	// Events of each source, and packets sent to each backup.
	sources, backups map[string]series
	// grew is when each loss was last seen to grow, by reason.
	grew map[string]time.Time
}

// New returns a model without data.
func New(o Options) *Model {
	return &Model{
		glyphs: newGlyphs(o.Unicode), whole: o.Whole,
		tables: [2]table{sourcesTable(), backupsTable()},
		now:    data{sources: map[string]series{}, backups: map[string]series{}, grew: map[string]time.Time{}},
	}
}

// Take stores a status. at is when it was requested.
func (m *Model) Take(at time.Time, s control.Status) {
	m.err = nil
	m.now.take(at, s)
}

func (d *data) take(at time.Time, s control.Status) {
	was := &d.status
	// The counters of another process say nothing about the time in between.
	same := !d.at.IsZero() && was.PID == s.PID && was.Started.Equal(s.Started) && at.After(d.at)
	grow := func(old series, before, after uint64) series {
		if same {
			old.add(point{d.at, at, after - min(before, after)})
		}
		return old
	}
	d.events[0] = grow(d.events[0], was.CreateRecv, s.CreateRecv)
	d.events[1] = grow(d.events[1], was.UpdateRecv, s.UpdateRecv)
	d.events[2] = grow(d.events[2], was.DeleteRecv, s.DeleteRecv)

	before, after := was.Losses(), s.Losses()
	d.lost = grow(d.lost, total(before), total(after))
	maps.DeleteFunc(d.grew, func(reason string, _ time.Time) bool { return !same || after[reason] == 0 })
	for reason, n := range after {
		if same && n > before[reason] {
			d.grew[reason] = at
		}
	}

	earlier := make(map[string]uint64, len(was.Sources))
	for i := range was.Sources {
		earlier[was.Sources[i].Address] = was.Sources[i].Events
	}
	sources := make(map[string]series, len(s.Sources))
	for i := range s.Sources {
		src := &s.Sources[i]
		sources[src.Address] = grow(d.sources[src.Address], earlier[src.Address], src.Events)
	}
	earlier = make(map[string]uint64, len(was.Destinations))
	for i := range was.Destinations {
		earlier[was.Destinations[i].Address] = was.Destinations[i].Sent
	}
	backups := make(map[string]series, len(s.Destinations))
	for i := range s.Destinations {
		b := &s.Destinations[i]
		backups[b.Address] = grow(d.backups[b.Address], earlier[b.Address], b.Sent)
	}
	d.sources, d.backups = sources, backups
	d.status, d.at = s, at
}

// Fail records that there was no answer.
func (m *Model) Fail(at time.Time, err error) {
	if m.err == nil {
		m.failing = at
	}
	m.err = err
}

// shown returns the data that the frame shows: the newest, or the data at the time of the pause.
func (m *Model) shown() *data {
	if m.frozen != nil {
		return m.frozen
	}
	return &m.now
}

// pause freezes the view, or resumes it. New data is stored meanwhile.
func (m *Model) pause() {
	if m.frozen != nil {
		m.frozen = nil
		return
	}
	d := m.now
	// The maps of series are new for each status. Only this map is modified in place.
	d.grew = maps.Clone(d.grew)
	m.frozen = &d
}

func total(counts map[string]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// reasons returns the names of the nonzero counts, the highest count first.
func reasons(counts map[string]uint64) []string {
	names := slices.Sorted(maps.Keys(counts))
	names = slices.DeleteFunc(names, func(n string) bool { return counts[n] == 0 })
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case counts[a] > counts[b]:
			return -1
		case counts[a] < counts[b]:
			return 1
		}
		return 0
	})
	return names
}
