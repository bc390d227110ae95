package appliance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/host/folder"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/savefile"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/sources"
)

// keeper keeps the table on disk, in two files. Each save replaces the older one, so that the newer one remains if a save
// is interrupted or its file is damaged later. Saving has a goroutine of its own, and locks a shard only while it copies a
// few hundred entries: packets never wait for the disk.
type keeper struct {
	dir   string
	every time.Duration
	lock  *os.File
	log   *slog.Logger
	table *dialog.Table

	origin   func(number uint16) packets.Sender
	steering packets.Steering
	// consumed returns how many records of the rings the table includes. mark notes that number for one of the two files.
	consumed func() uint64
	mark     func(generation int, saved time.Time, consumed uint64) error

	sources *sources.Book // nil: what it knows is not kept

	saving sync.Mutex // one save at a time
	next   int        // the generation to write

	mu     sync.Mutex // guards status
	status control.StateStatus
}

// file returns the path of one of the two generations, 0 or 1.
func (k *keeper) file(generation int) string {
	return filepath.Join(k.dir, fmt.Sprintf("table-%d.saved", generation))
}

// open makes the folder if it is missing, and locks it for this process.
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
	if k.sources != nil {
		if err := k.sources.Open(k.dir); err != nil {
			k.log.Warn("which sources are expected is not known", "error", err)
		}
	}
	// Remove what a killed process had begun.
	begun, _ := filepath.Glob(filepath.Join(k.dir, ".table-*.saved.*.tmp"))
	for _, path := range begun {
		if err := os.Remove(path); err != nil {
			k.log.Warn("an unfinished save can't be removed", "error", err)
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

// restore loads the newest good file and returns when it was made, the zero time if there is none.
func (k *keeper) restore(ctx context.Context, number func(packets.Sender) uint16) (time.Time, error) {
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

// live returns the number of live dialogs.
func (k *keeper) live() uint64 {
	counts := k.table.Counts()
	return uint64(counts.Live())
}

// newestFirst returns the generations that exist, by the time in their headers. The times of the file system are too
// coarse for two saves in quick succession. A file with an unreadable header comes first, so that its damage is reported.
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

// run saves at once and then at intervals, until ctx ends. The first save keeps the work of an earlier process that
// crashed, and finds a bad disk at the start.
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

// save replaces the older generation. An error is logged when it begins, changes and ends. The next save tries again.
func (k *keeper) save(ctx context.Context) {
	k.saving.Lock()
	defer k.saving.Unlock()
	// The mark comes first, so that the newest file has one whenever this process dies. The older file loses its mark, but
	// it is about to be replaced.
	created := time.Now()
	if err := k.mark(k.next, created, k.consumed()); err != nil {
		k.log.Warn("the number of events lost by a crash will not be known", "error", err)
	}
	if k.sources != nil {
		if err := k.sources.Save(); err != nil {
			k.log.Warn("which sources count can't be saved", "error", err)
		}
	}
	s, err := savefile.Save(ctx, savefile.SaveConfig{
		Table: k.table, Path: k.file(k.next), Everything: true, Origin: k.origin, Created: created,
	})
	if err != nil && ctx.Err() != nil {
		return // the last save follows
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

// state returns the status, nil without a keeper.
func (k *keeper) state() *control.StateStatus {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.status
	return &s
}
