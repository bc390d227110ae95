package telemetry

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"binrepd/userspace/watch/control"
)

// Collector turns snapshots into metrics when it is scraped. It counts nothing itself.
type Collector struct {
	picture func() *Picture
	descs   [len(metrics)]*prometheus.Desc

	mu    sync.Mutex
	names []string // names of capabilities with their own series
}

// NewCollector returns a Collector for the snapshots that picture returns.
func NewCollector(picture func() *Picture) *Collector {
	c := &Collector{picture: picture}
	for i := range metrics {
		c.descs[i] = metrics[i].desc()
	}
	return c
}

// Describe sends the descriptions of all metrics.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect sends the metrics of the current snapshot.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	s := scrape{Collector: c, ch: ch, Picture: c.picture()}
	s.whole()
	s.traffic()
	s.table()
	s.rings()
	s.bySource()
	s.byDestination()
	s.survival()
	s.audits()
	s.recording()
}

// scrape is one collection.
type scrape struct {
	*Collector
	*Picture
	ch chan<- prometheus.Metric
}

// send sends one value of metric number id. The labels have the order of its description.
func (s *scrape) send(id int, value float64, labels ...string) {
	kind := prometheus.GaugeValue
	if metrics[id].kind == counter {
		kind = prometheus.CounterValue
	}
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "?") // names of interfaces may hold any bytes
	}
	s.ch <- prometheus.MustNewConstMetric(s.descs[id], kind, value, labels...)
}

// count sends a counter.
func (s *scrape) count(id int, n uint64, labels ...string) { s.send(id, float64(n), labels...) }

// flag sends 1 or 0.
func (s *scrape) flag(id int, is bool, labels ...string) {
	value := 0.0
	if is {
		value = 1
	}
	s.send(id, value, labels...)
}

// moment sends a time, unless it is zero.
func (s *scrape) moment(id int, t time.Time, labels ...string) {
	if !t.IsZero() {
		s.send(id, float64(t.UnixMilli())/1000, labels...)
	}
}

// whole sends the overall state.
func (s *scrape) whole() {
	s.send(buildInfo, 1, s.Version, s.Revision, s.GoVersion)
	for _, w := range [...]control.Word{control.Ready, control.Idle, control.Stale, control.Incomplete, control.Losing} {
		s.flag(state, s.Word == w, string(w))
	}
	problems := map[control.ProblemCode]int{}
	for _, p := range s.Problems {
		problems[p.Code]++
	}
	for _, code := range control.ProblemCodes() {
		s.send(problem, float64(problems[code]), string(code))
	}
	s.send(modeInfo, 1, s.Mode)
	s.flag(fallback, s.FallbackReason != "")
	for _, i := range s.Interfaces {
		s.send(interfaceInfo, 1, i.Name, i.Mode)
		if i.Link != "" && !i.Unused {
			s.flag(interfaceUp, i.Link == control.LinkUp, i.Name)
		}
		s.count(interfaceLost, i.Lost, i.Name)
		s.count(interfaceDropped, i.Dropped, i.Name)
		s.count(interfaceMissed, i.Missed, i.Name)
	}
	s.send(staleAfter, s.StaleAfter.Seconds())
	s.count(logLinesLost, s.LogLost)
}

// table sends the contents and limits of the table.
func (s *scrape) table() {
	s.count(dialogs, s.Answered, "answered")
	s.count(dialogs, s.Confirmed, "confirmed")
	s.count(earlyDialogs, s.Early)
	s.count(tombstones, s.Tombstones)
	if s.MaxDialogs > 0 {
		s.count(dialogsLimit, s.MaxDialogs)
	}
	s.count(expired, s.Expired.Live, "live")
	s.count(expired, s.Expired.Early, "early")
	s.count(expired, s.Expired.Tombstones, "tombstone")
	s.count(ghostsRemoved, s.Expired.Ghosts+s.Expired.Dropped)
	s.count(tombstonesRefused, s.Engine.Table.Unremembered)
	s.count(timeoutsClamped, s.ClampedTimeouts)
	s.send(clockAhead, s.ClockAhead)
	s.count(tableRecords, s.Memory.Records)
	s.count(tableUsed, s.Memory.Used)
	s.count(tableMapped, s.Memory.Mapped)
	s.count(tableLimit, s.Memory.Limit)
	if s.FullIn != nil {
		s.send(tableFullIn, *s.FullIn)
	}
}

// survival sends metrics of syncs, of saves, and of what an earlier process left.
func (s *scrape) survival() {
	s.send(syncsRunning, float64(len(s.Status.Syncs)))
	s.count(syncs, s.Picture.Syncs.Complete, "complete")
	s.count(syncs, s.Picture.Syncs.Failed, "failed")
	s.durations(syncDuration, &s.Picture.Syncs.Duration, syncBounds)
	if st := s.State; st != nil {
		s.send(saveInterval, s.SaveInterval.Seconds())
		s.count(saves, st.Saves)
		s.count(saveFailures, st.Failures)
		s.moment(saveLast, st.Saved)
		if !st.Saved.IsZero() {
			s.send(saveDuration, st.SaveSeconds)
			s.count(saveBytes, st.SavedBytes)
			s.count(saveDialogs, st.SavedDialogs)
		}
		s.moment(restoredSave, st.Restored)
		if !st.Restored.IsZero() {
			s.count(restoredDialogs, st.RestoredDialogs)
		}
	}
	if p := s.Pin; p != nil {
		s.flag(pinAdopted, p.Adopted)
		s.count(pinWaited, p.Waited)
		s.count(pinUnsaved, p.Unsaved)
		s.count(pinOverflowed, p.Overflowed)
		if p.Discarded != nil {
			s.count(pinDiscarded, *p.Discarded)
		}
	}
}

// audits sends what the last audits of proxies found.
func (s *scrape) audits() {
	for i := range s.Status.Audits {
		a := &s.Status.Audits[i]
		if a.Last.IsZero() {
			continue
		}
		for result, n := range map[string]uint64{
			"compared": a.Compared, "missing_here": a.Missing, "missing_at_proxy": a.There, "different": a.Different, "unchecked": a.Unchecked,
		} {
			s.count(auditDialogs, n, a.Proxy, result)
		}
		s.moment(auditLast, a.Last, a.Proxy)
	}
}

// recording sends metrics of the flight recorder.
func (s *scrape) recording() {
	r := s.Record
	if r == nil {
		return
	}
	s.count(recordLimit, r.Limit)
	s.count(recorded, r.Recorded)
	s.count(recordedBytes, r.Bytes)
	s.count(recordWaiting, r.Waiting)
	for reason, n := range r.Dropped {
		s.count(recordDropped, n, reason)
	}
	s.count(recordFiles, uint64(r.Files))
	s.count(recordFileBytes, r.FileBytes)
	s.moment(recordOldest, r.Oldest)
	s.count(recordErrors, r.Errors)
	s.flag(recordFailing, r.Error != "")
}
