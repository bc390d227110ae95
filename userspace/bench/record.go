package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"binrepd/userspace/trace/record"
)

// recordStage is the path of the product without and with the flight recorder, in turns: what its second reader of
// the ring costs the first. The recorder has a processor of its own, if there is one, and the folder for temporary
// files, to which it writes as much as it can. What would disturb the consumer as well if any other program wrote as
// many bytes meanwhile is measured beside it.
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
	var ends []func() error
	defer func() {
		for i := len(ends) - 1; i >= 0; i-- {
			err = errors.Join(err, ends[i]())
		}
	}()
	n := s.events(roundEvents)
	// path makes one, with a recorder or without. Its rounds begin with begin.
	path := func(recorded bool) (round func(begin func(bytes int)) (lap, error), recorder *record.Recorder, err error) {
		r, err := newRig(1)
		if err != nil {
			return nil, nil, err
		}
		ends = append(ends, r.close)
		if recorded {
			if recorder, err = openRecorder(dir, r); err != nil {
				return nil, nil, err
			}
			ends = append(ends, func() error { return recorder.Close(context.WithoutCancel(ctx)) })
		}
		w, err := p.start(nil, true, r.sources[0])
		if err != nil {
			return nil, nil, err
		}
		ends = append(ends, w.finish)
		return func(begin func(bytes int)) (lap, error) {
			p.rest()
			if err := r.fill(n, p.mixed); err != nil {
				return lap{}, err
			}
			begin(r.feeder.end)
			return w.round(n), nil
		}, recorder, nil
	}
	plain, _, err := path(false)
	if err != nil {
		return err
	}
	recorded, recorder, err := path(true)
	if err != nil {
		return err
	}
	nothing := func(int) {}
	shown := uint64(0)
	all, err := s.compare(ctx,
		contender{"plain", func() (lap, error) { return plain(nothing) }},
		contender{"recorded", func() (lap, error) {
			l, err := recorded(nothing)
			shown += uint64(n)
			return l, errors.Join(err, recorderRest(ctx, recorder, shown))
		}},
		contender{"beside a writer", func() (lap, error) {
			written := make(chan error, 1)
			l, err := plain(func(bytes int) { go func() { written <- writeFile(dir, bytes) }() })
			return l, errors.Join(err, <-written)
		}},
	)
	if err != nil {
		return err
	}
	st := recorder.Status()
	s.add("ring to table", s.cfg.Dialogs, all[0])
	s.add("ring to table, recorded", s.cfg.Dialogs, all[1]).Note = fmt.Sprintf("%.0f %% of them are in the files",
		100*float64(st.Recorded)/float64(st.Recorded+lost(st)))
	s.add("ring to table, not recorded", s.cfg.Dialogs, all[2]).Note = "while something else writes as many bytes"
	s.atMost("processor time an event, recorded / not", all[1].cpu()/all[0].cpu(), 1.05)
	s.atMost("the same / while something else writes as much", all[1].cpu()/all[2].cpu(), 1.05)
	return nil
}

// writeFile writes so many bytes to a file that is gone then.
func writeFile(dir string, bytes int) (err error) {
	f, err := os.CreateTemp(dir, "beside-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	chunk := make([]byte, 128<<10)
	for ; bytes > 0; bytes -= len(chunk) {
		if _, err := f.Write(chunk); err != nil {
			return err
		}
	}
	return nil
}

func openRecorder(dir string, r *rig) (*record.Recorder, error) {
	return record.Open(record.Config{
		Dir: dir, Limit: 256 << 20, Listeners: []netip.AddrPort{listener()}, Trails: []record.Trail{r.sources[0].Tail()},
		Log: slog.New(slog.DiscardHandler),
	})
}

// recorderRest waits until the recorder is done with so many datagrams: it shouldn't take memory and processor from
// the round that isn't recorded.
func recorderRest(ctx context.Context, r *record.Recorder, shown uint64) error {
	for {
		st := r.Status()
		if st.Error != nil {
			return fmt.Errorf("recorder: %w", st.Error)
		}
		if done := st.Recorded + lost(st); done >= shown {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

func lost(st record.Status) (n uint64) {
	for _, one := range st.Dropped {
		n += one
	}
	return n
}
