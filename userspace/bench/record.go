package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"binrepd/userspace/record"
)

// recordStage is the path of the product without and with the flight recorder, in turns: what its second reader of the ring costs the first. The
// recorder has a processor of its own, if there is one, and the folder for temporary files, to which it writes as much as it can.
func recordStage(ctx context.Context, s *session) (err error) {
	p, err := s.population(ctx, s.cfg.Dialogs)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "binrepd-bench-record-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var list []contender
	var ends []func() error
	defer func() {
		for i := len(ends) - 1; i >= 0; i-- {
			err = errors.Join(err, ends[i]())
		}
	}()
	var recorder *record.Recorder
	for _, recorded := range [...]bool{false, true} {
		r, err := newRig(1)
		if err != nil {
			return err
		}
		ends = append(ends, r.close)
		if recorded {
			if recorder, err = openRecorder(dir, r); err != nil {
				return err
			}
			ends = append(ends, func() error { return recorder.Close(context.WithoutCancel(ctx)) })
		}
		w, err := p.start(nil, true, r.sources[0])
		if err != nil {
			return err
		}
		ends = append(ends, w.finish)
		shown := uint64(0)
		list = append(list, contender{"", func() (lap, error) {
			p.rest()
			n := s.events(roundEvents)
			if err := r.fill(n, p.mixed); err != nil {
				return lap{}, err
			}
			l := w.round(n)
			if recorded {
				shown += uint64(n)
				return l, recorderRest(ctx, recorder, shown)
			}
			return l, nil
		}})
	}
	all, err := s.compare(ctx, list...)
	if err != nil {
		return err
	}
	s.add("ring to table", s.cfg.Dialogs, all[0])
	st := recorder.Status()
	s.add("ring to table, recorded", s.cfg.Dialogs, all[1]).Note = fmt.Sprintf("%.0f %% of them are in the files", 100*float64(st.Recorded)/float64(st.Recorded+st.Dropped["slow_disk"]))
	s.atMost("processor time an event, recorded / not", all[1].cpu()/all[0].cpu(), 1.05)
	return nil
}

func openRecorder(dir string, r *rig) (*record.Recorder, error) {
	return record.Open(record.Config{
		Dir: dir, Limit: 256 << 20, Listeners: []netip.AddrPort{listener()}, Trails: []record.Trail{r.sources[0].Tail()},
		Log: slog.New(slog.DiscardHandler),
	})
}

// recorderRest waits until the recorder is done with so many datagrams: it shouldn't take memory and processor from the round that isn't recorded.
func recorderRest(ctx context.Context, r *record.Recorder, shown uint64) error {
	for {
		st := r.Status()
		if st.Error != nil {
			return fmt.Errorf("recorder: %w", st.Error)
		}
		if done := st.Recorded + st.Dropped["slow_disk"]; done >= shown {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}
