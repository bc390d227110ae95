package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"binrepd/userspace/out/egress"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/watch/control"
)

// Backups returns the backups and how they stand.
func (a *Appliance) Backups() control.BackupList {
	var s control.Status
	a.output.status(&s)
	return control.BackupList{Backups: s.Destinations}
}

// ChangeBackups adds, removes, pauses or resumes a backup, and returns the new list. A wrong request is a
// *control.RequestError.
func (a *Appliance) ChangeBackups(_ context.Context, req control.BackupRequest) (control.BackupList, error) {
	if err := a.changeBackups(req); err != nil {
		return control.BackupList{}, &control.RequestError{Err: err}
	}
	a.log.Info("backups changed", "do", req.Do, "backup", req.Address)
	return a.Backups(), nil
}

func (a *Appliance) changeBackups(req control.BackupRequest) error {
	switch req.Do {
	case control.BackupAdd:
		rewrites, err := shield.ParseRewrites(req.Rewrites)
		if err != nil {
			return err
		}
		return a.output.egress.Add(egress.Destination{
			Address: req.Address, Rate: req.Rate, Policy: shield.Policy{Rewrites: rewrites, ClearByeOnTimeout: req.ClearByeOnTimeout},
		})
	case control.BackupRemove:
		return a.output.egress.Remove(req.Address)
	case control.BackupPause, control.BackupResume:
		return a.output.egress.Pause(req.Address, req.Do == control.BackupPause)
	}
	return fmt.Errorf("backups: can't %q", req.Do)
}

const (
	// returnRate and returnPasses are those of `binrepd sync`: what an OpenSIPS takes, and all of it twice.
	returnRate, returnPasses = 4000, 2
	// returnRetry is the pause after a sync that failed.
	returnRetry = 30 * time.Second
)

// syncReturned syncs each backup that is back and lacks something, until ctx ends (Config.SyncOnReturn).
func (a *Appliance) syncReturned(ctx context.Context) {
	var syncing sync.WaitGroup
	defer syncing.Wait()
	var mu sync.Mutex // guards busy
	busy := map[string]time.Time{}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, d := range a.output.egress.NeedSync() {
			mu.Lock()
			wait := time.Now().Before(busy[d.Address])
			if !wait {
				busy[d.Address] = time.Now().Add(longest)
			}
			mu.Unlock()
			if wait {
				continue
			}
			syncing.Go(func() {
				pause := time.Duration(0)
				if !a.syncTo(ctx, d) {
					pause = returnRetry
				}
				mu.Lock()
				defer mu.Unlock()
				busy[d.Address] = time.Now().Add(pause)
			})
		}
	}
}

// syncTo syncs one backup and tells whether all of it was sent.
func (a *Appliance) syncTo(ctx context.Context, d egress.Destination) bool {
	log := a.log.With("backup", d.Address)
	log.Info("the backup is back: syncing it")
	req := control.SyncRequest{To: d.Address, Rate: returnRate, Passes: returnPasses, ClearByeOnTimeout: d.Policy.ClearByeOnTimeout,
		NoConvert: a.config.NoConvert}
	if d.Rate > 0 {
		req.Rate = min(req.Rate, d.Rate)
	}
	for _, r := range d.Policy.Rewrites {
		req.Rewrites = append(req.Rewrites, r.Old+"="+r.New)
	}
	s, err := a.Sync(ctx, req, func(control.SyncProgress) {})
	level := slog.LevelInfo
	if err != nil || !s.Complete {
		level = slog.LevelWarn
	}
	if errors.Is(err, context.Canceled) {
		return false
	}
	log.Log(ctx, level, "sync after a return", "complete", s.Complete, "dialogs", s.Dialogs, "packets", s.Packets, "seconds", s.Seconds, "error", err)
	return err == nil && s.Complete
}
