package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
	"binrepd/userspace/cluster/donor"
	"binrepd/userspace/wire/bin2"
)

// stillTail is a journal in which nothing happens.
type stillTail struct{}

func (stillTail) Head() uint64                                             { return 0 }
func (stillTail) Read(uint64, func(*changes.Change) error) (uint64, error) { return 0, nil }
func (stillTail) Close()                                                   {}

// donorStage measures an answer to a node that asks for all dialogs, up to SYNC_END: reading the table and making one
// packet for each dialog. The packets go into a sink that takes everything. The node has the layout of the dialogs, or
// that of 2.4, for which each is converted.
func donorStage(ctx context.Context, s *session) (err error) {
	p, err := newPopulation2(ctx, s.cfg.Dialogs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.table.Close()) }()
	same := donor.Peer{Trailer: bin2.Trailer{Cluster: 1, Source: 3, Destination: 2}, SyncVersion: layout.SyncCounted, Layout: layout.Bin4Typed,
		Dialect: bin2.Dialect{Numbering: bin2.New, CapForm: bin2.WithSeq, SyncVersion: layout.SyncCounted}}
	old := donor.Peer{Trailer: same.Trailer, SyncVersion: layout.SyncSized, Layout: layout.Bin1TwoSDP,
		Dialect: bin2.Dialect{Numbering: bin2.Old, CapForm: bin2.WithoutSeq, SyncVersion: layout.SyncSized}}
	answer := func(peer donor.Peer) func() (lap, error) {
		return func() (lap, error) {
			return timed(s.cfg.Dialogs, func() error {
				run := donor.NewRun(time.Now(), donor.Config{Peer: peer, Table: p.table, Tail: stillTail{}})
				defer run.Close()
				for !run.Told() {
					if _, err := run.Step(time.Now(), 1<<30, func([]byte) error { return nil }); err != nil {
						return err
					}
					if run.Done() {
						return errors.New("the answer ended early")
					}
				}
				if n := run.Summary().Dialogs; n != s.cfg.Dialogs {
					return fmt.Errorf("%d dialogs were sent, want %d", n, s.cfg.Dialogs)
				}
				return ctx.Err()
			})
		}
	}
	all, err := s.compare(ctx, contender{"same layout", answer(same)}, contender{"for 2.4", answer(old)})
	if err != nil {
		return err
	}
	s.add("a dialog to a node", s.cfg.Dialogs, all[0])
	s.add("a dialog to a node of 2.4", s.cfg.Dialogs, all[1])
	return nil
}
