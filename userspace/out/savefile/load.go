package savefile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
)

// LoadConfig says what to load, and into what. Table, Path and Steering are required.
type LoadConfig struct {
	Table *dialog.Table
	Path  string
	// Steering is the one by which the engine chooses shards.
	Steering packets.Steering
	// Origin numbers a source; nil: sources are lost.
	Origin func(s packets.Sender) uint16
}

// LoadSummary tells what was loaded.
type LoadSummary struct {
	Header
	// Outcomes of the records, by the table's rules: an empty table takes all; one that knows something newer keeps it.
	Outcomes [dialog.Outcomes]uint64
	// Expired counts records that were left out because the timeout of their dialogs, with the usual grace, has passed.
	Expired uint64
	// Skipped counts records that this version doesn't know and that may be skipped, by kind; nil if there are none.
	Skipped  map[string]uint64
	Duration time.Duration
}

// Changed returns the number of records that changed the table.
func (s *LoadSummary) Changed() (n uint64) {
	for o, c := range s.Outcomes {
		if dialog.Outcome(o).Changed() {
			n += c
		}
	}
	return n
}

// Load reads the file twice: first it verifies every byte, then it applies the records to the table. With
// a *DamageError, ErrFormat or ErrNewer the table is unchanged. If ctx ends, a part has been applied.
func Load(ctx context.Context, cfg LoadConfig) (s LoadSummary, err error) {
	begin := time.Now()
	f, err := openRegular(cfg.Path)
	if err != nil {
		return s, fmt.Errorf("load: %w", err)
	}
	defer f.Close()
	first, err := readFile(ctx, f, cfg.Path, func(*section) error { return nil })
	if err != nil {
		return s, err
	}
	l := loader{cfg: &cfg, shards: make([][]int32, cfg.Table.Shards())}
	second, err := readFile(ctx, f, cfg.Path, func(s *section) error { return l.apply(ctx, s) })
	if err == nil && second != first {
		err = errors.New("it was changed")
	}
	l.summary.Header, l.summary.Duration = first, time.Since(begin)
	if err != nil {
		return l.summary, fmt.Errorf("load %s, while it was being applied: %w", cfg.Path, err)
	}
	return l.summary, nil
}

// loader applies records.
type loader struct {
	cfg     *LoadConfig
	summary LoadSummary
	shards  [][]int32 // by shard: which of the events below belong to it

	events  []dialog.Event
	updated []uint32 // of each event: Unix seconds of the last change
	event   [1]*dialog.Event
}

// maxTogether bounds the records applied under one lock.
const maxTogether = 128

// apply applies the records of a block, shard by shard. Those of one call are in one shard and stay in order.
func (l *loader) apply(ctx context.Context, s *section) error {
	if !s.known() {
		if l.summary.Skipped == nil {
			l.summary.Skipped = make(map[string]uint64)
		}
		l.summary.Skipped[s.kind] += uint64(s.records)
		return ctx.Err()
	}
	l.read(s)
	for shard, list := range l.shards {
		for len(list) > 0 {
			n := min(len(list), maxTogether)
			l.applyTo(shard, list[:n])
			list = list[n:]
		}
		l.shards[shard] = l.shards[shard][:0]
	}
	return ctx.Err()
}

// read decodes the records of a verified block and sorts them by shard.
func (l *loader) read(s *section) {
	now := uint32(time.Now().Unix())
	grace := l.cfg.Table.ExpiryGrace()
	l.events, l.updated = l.events[:0], l.updated[:0]
	for rest := s.data; len(rest) > 0; {
		var record []byte
		record, rest, _ = s.form.cutRecord(rest)
		r, _ := s.form.parseDialog(record) // readFile has checked it
		var ev dialog.Event
		_ = r.event(&ev)
		if ev.State.Live() && uint64(ev.Timeout)+uint64(grace) <= uint64(now) {
			l.summary.Expired++
			continue
		}
		if ev.Kind == dialog.Delete && r.start != 0 {
			// An end that knows when its call began: to the table that is a snapshot in state 5.
			ev.Kind, ev.State, ev.Start = dialog.Update, dialog.Ended, r.start
		}
		if l.cfg.Origin != nil && r.origin != (packets.Sender{}) {
			ev.Origin = l.cfg.Origin(r.origin)
		}
		ev.Hash = l.cfg.Steering.CallID(ev.CallID())
		shard := l.cfg.Table.ShardOf(ev.Hash)
		l.shards[shard] = append(l.shards[shard], int32(len(l.events)))
		l.events = append(l.events, ev)
		l.updated = append(l.updated, min(r.updated, now)) // the clock may have been set back
	}
}

// applyTo applies records to one shard, each as of its own time, so that the table forgets ended dialogs and calls
// being set up when it would have done so without the restart.
func (l *loader) applyTo(shard int, list []int32) {
	s := l.cfg.Table.Lock(shard)
	defer s.Unlock()
	for _, i := range list {
		ev := &l.events[i]
		l.event[0] = ev
		s.Apply(l.event[:], int64(l.updated[i]))
		l.summary.Outcomes[ev.Outcome]++
	}
}
