package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/host/folder"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/savefile"
	"binrepd/userspace/watch/control"
)

// keeper keeps the table on disk: two files, of which the older one is written anew each time, so that a save that is
// interrupted, or damaged later, leaves the one before. Saving has a goroutine of its own, and locks a shard for as long as it
// takes to copy a few hundred entries: however slow the disk is, packets don't wait for it.
type keeper struct {
	dir   string
	every time.Duration
	lock  *os.File
	log   *slog.Logger
	table *dialog.Table

	origin   func(number uint16) netip.AddrPort
	steering packets.Steering
	// consumed is how many records of the rings the table includes; mark notes that for the file of that generation.
	consumed func() uint64
	mark     func(generation int, saved time.Time, consumed uint64) error

	saving sync.Mutex // one save at a time
	next   int        // the generation to write

	mu     sync.Mutex // guards status
	status control.StateStatus
}

// file names one of the two generations.
func (k *keeper) file(generation int) string {
	return filepath.Join(k.dir, fmt.Sprintf("table-%d.saved", generation))
}

// open makes the folder if it is missing, and takes it for this process.
func (k *keeper) open() error {
	if err := os.MkdirAll(k.dir, 0o750); err != nil {
		return fmt.Errorf("--state-dir: %w", err)
	}
	f, err := folder.Lock(k.dir)
	if err != nil {
		return fmt.Errorf("--state-dir: %w", err)
	}
	k.lock = f
	k.status.Dir = k.dir
	// What a process that was killed had begun.
	begun, _ := filepath.Glob(filepath.Join(k.dir, ".table-*.saved.*.tmp"))
	for _, path := range begun {
		if err := os.Remove(path); err != nil {
			k.log.Warn("a save that was begun can't be removed", "error", err)
		}
	}
	return nil
}

func (k *keeper) close() error {
	if k == nil || k.lock == nil {
		return nil
	}
	return k.lock.Close()
}

// restore loads the newest good file, if there is one, and returns when it was made: the zero time if there is none.
func (k *keeper) restore(ctx context.Context, number func(packets.Endpoint, bool) uint16) (time.Time, error) {
	for _, generation := range k.newestFirst() {
		s, err := savefile.Load(ctx, savefile.LoadConfig{
			Table: k.table, Path: k.file(generation), Steering: k.steering, Origin: number,
		})
		switch {
		case err == nil:
			k.next = 1 - generation
			k.mu.Lock()
			k.status.Restored, k.status.RestoredFrom, k.status.RestoredDialogs = s.Created, k.file(generation), k.live()
			k.mu.Unlock()
			k.log.Info("restored the table", "file", k.file(generation), "age", time.Since(s.Created).Round(time.Millisecond),
				"records", s.Records, "dialogs", k.live(), "expired", s.Expired, "took", s.Duration)
			for kind, n := range s.Skipped {
				k.log.Warn("the saved table has records that this version doesn't know; they are left out", "kind", kind, "records", n)
			}
			return s.Created, nil
		case ctx.Err() != nil:
			return time.Time{}, ctx.Err()
		default:
			k.log.Warn("a saved table can't be used, an older one will be tried", "error", err)
			k.mu.Lock()
			k.status.Damaged = err.Error()
			k.mu.Unlock()
			k.next = generation
		}
	}
	return time.Time{}, nil
}

func (k *keeper) live() uint64 {
	counts := k.table.Counts()
	return uint64(counts.Live())
}

// newestFirst lists the generations that there are, by when they say that they were saved: two saves may be closer to each other
// than the times that a file system keeps. One whose header can't be read comes first, so that its damage is told.
func (k *keeper) newestFirst() []int {
	var at [2]time.Time
	var there []int
	for g := range at {
		h, err := savefile.ReadHeader(k.file(g))
		if errors.Is(err, fs.ErrNotExist) {
			k.next = g
			continue
		}
		if at[g] = h.Created; err != nil {
			at[g] = time.Unix(1<<40, 0)
		}
		there = append(there, g)
	}
	if len(there) == 2 && at[1].After(at[0]) {
		there[0], there[1] = there[1], there[0]
	}
	return there
}

// run saves now and then, until ctx ends; and at once, so that the work of an earlier process that died isn't lost with this one,
// and a disk that won't do is known at the start.
func (k *keeper) run(ctx context.Context) {
	k.save(ctx)
	tick := time.NewTicker(k.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.save(ctx)
		}
	}
}

// save writes the older generation anew. Trouble is logged when it begins, changes and ends; the next time it is tried again.
func (k *keeper) save(ctx context.Context) {
	k.saving.Lock()
	defer k.saving.Unlock()
	// The mark comes first: whenever this process dies, the newest file has one. The older file, which loses its own, is on its
	// way out.
	created := time.Now()
	if err := k.mark(k.next, created, k.consumed()); err != nil {
		k.log.Warn("the number of events lost by a crash will not be known", "error", err)
	}
	s, err := savefile.Save(ctx, savefile.SaveConfig{
		Table: k.table, Path: k.file(k.next), Everything: true, Origin: k.origin, Created: created,
	})
	if err != nil && ctx.Err() != nil {
		return // the last save comes
	}
	k.mu.Lock()
	before := k.status.Error
	if err != nil {
		k.status.Failures++
		k.status.Error = folder.Cause(err)
	} else {
		k.status.Saves++
		k.status.Error = ""
		k.status.Saved, k.status.SavedDialogs, k.status.SavedBytes = s.Created, s.Dialogs, uint64(s.Bytes)
		k.status.SaveSeconds = s.Duration.Seconds()
	}
	now := k.status.Error
	k.mu.Unlock()
	switch {
	case err != nil && now != before:
		k.log.Error("the table can't be saved; trying again", "error", err)
	case err == nil && before != "":
		k.log.Info("the table is saved again", "file", k.file(k.next))
	}
	if err != nil {
		return
	}
	k.log.Debug("saved the table", "file", k.file(k.next), "dialogs", s.Dialogs, "bytes", s.Bytes, "took", s.Duration)
	k.next = 1 - k.next
}

func (k *keeper) state() *control.StateStatus {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.status
	return &s
}
