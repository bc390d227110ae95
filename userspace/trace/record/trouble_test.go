package record

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func (s Status) shown() uint64 {
	return s.Recorded + s.Dropped["slow_disk"] + s.Dropped["disk_error"] + s.Dropped["at_stop"]
}

// TestRotation: the files together never exceed the limit. The oldest are deleted, files of earlier processes count,
// and other files stay.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	stranger := filepath.Join(dir, "binrepd-1-of-somebody-else.pcapng")
	if err := os.WriteFile(stranger, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "binrepd-0000000001-20260101T000000Z.pcapng")
	if err := os.Symlink(stranger, link); err != nil {
		t.Fatal(err)
	}
	next := uint32(0)
	for round := range 3 {
		r := open(t, dir, nil)
		for range 75 {
			r.Tap(int(next) % 2).Record(batchOf(next, 200, 400))
			next += 200
			await(t, "the writer", func() bool { return r.Status().Recorded == uint64(next)-uint64(round)*15000 })
			files, err := Files(dir)
			if err != nil {
				t.Fatal(err)
			}
			sum := int64(0)
			for _, f := range files {
				sum += f.Size
			}
			if sum > LeastLimit {
				t.Fatalf("%d bytes in %d files, limit %d", sum, len(files), LeastLimit)
			}
			if s := r.Status(); s.FileBytes != sum || s.Files != len(files) || !s.Oldest.Equal(files[0].Begun) && s.Files > 1 {
				t.Fatalf("status %+v, %d bytes in %d files", s, sum, len(files))
			}
		}
		closeRecorder(t, r)
	}
	files, _ := Files(dir)
	for i, f := range files[1:] {
		if f.Number != files[i].Number+1 {
			t.Errorf("file %d follows upon %d", f.Number, files[i].Number)
		}
	}
	packets := readFiles(t, dir)
	// The last datagrams are there without a gap, and they use most of the limit.
	for i, p := range packets {
		if got, want := binary.BigEndian.Uint32(p.payload), next-uint32(len(packets)-i); got != want {
			t.Fatalf("packet %d of %d is number %d, want %d", i, len(packets), got, want)
		}
	}
	if bytes := len(packets) * (400 + 60); bytes < LeastLimit*3/4 {
		t.Errorf("%d packets, %d bytes, of a limit of %d", len(packets), bytes, LeastLimit)
	}
	for _, path := range []string{stranger, link} {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

// TestSlowDisk: while a write hangs, Record goes on. Datagrams without room are dropped and counted. When the disk
// answers, the others are written.
func TestSlowDisk(t *testing.T) {
	dir := t.TempDir()
	gate := make(chan struct{})
	d := &disk{gate: gate}
	r := open(t, dir, func(c *Config) { c.create = d.create })
	const n = 200
	for i := range uint32(n) {
		r.Tap(0).Record(batchOf(i*50, 50, 400)) // would hang here if it waited for the disk
	}
	s := r.Status()
	if s.Recorded != 0 || s.Dropped["slow_disk"] == 0 || s.Dropped["slow_disk"] >= n*50 {
		t.Errorf("%+v", s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Close(ctx); err == nil || !strings.Contains(err.Error(), "doesn't answer") {
		t.Errorf("Close of a disk that hangs: %v", err)
	}
	close(gate)
	d.set(nil, nil)
	closeRecorder(t, r)
	s = r.Status()
	if s.shown() != n*50 || s.Recorded == 0 || s.Error != nil || s.Dropped["at_stop"] != 0 {
		t.Errorf("%+v", s)
	}
	packets := readFiles(t, dir)
	for i, p := range packets { // the oldest are there, in order
		if binary.BigEndian.Uint32(p.payload) != uint32(i) {
			t.Fatalf("packet %d is number %d", i, binary.BigEndian.Uint32(p.payload))
		}
	}
	if uint64(len(packets)) != s.Recorded {
		t.Errorf("%d packets in the files, %d counted", len(packets), s.Recorded)
	}
}

// TestFailingDisk: writes fail half way. The files stay valid, the error is logged once, and the recording resumes when
// the disk does.
func TestFailingDisk(t *testing.T) {
	for name, first := range map[string]bool{"from the beginning": true, "later": false} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := &disk{}
			var log lockedBuffer
			r := open(t, dir, func(c *Config) {
				c.create, c.Log = d.create, slog.New(slog.NewTextHandler(&log, nil))
			})
			next := uint32(0)
			record := func(batches int) {
				for range batches {
					r.Tap(0).Record(batchOf(next, 50, 400))
					next += 50
				}
			}
			if !first {
				record(3)
				await(t, "the first", func() bool { return r.Status().Recorded == 150 })
			}
			d.set(syscall.ENOSPC, nil)
			record(3)
			await(t, "a second error", func() bool { return r.Status().Errors >= 2 })
			record(200)
			s := r.Status()
			if s.Error == nil || s.Dropped["disk_error"] == 0 || s.Dropped["slow_disk"] != 0 {
				t.Errorf("%+v", s)
			}
			if s.Waiting == 0 || s.shown()+s.Waiting != uint64(next) { // fault 28
				t.Errorf("%d datagrams, of which %d in no column: %+v", next, uint64(next)-s.shown()-s.Waiting, s)
			}
			if files, _ := Files(dir); len(files) > 1 {
				t.Errorf("%d files", len(files))
			}
			readFiles(t, dir) // all blocks are complete
			d.set(nil, nil)
			kept := uint64(next) - s.Dropped["disk_error"]
			await(t, "everything that had room", func() bool { return r.Status().Recorded == kept })
			record(1)
			closeRecorder(t, r)
			if s := r.Status(); s.Error != nil || s.shown() != uint64(next) || s.Recorded != kept+50 || s.Waiting != 0 {
				t.Errorf("%+v", s)
			}
			if got := len(readFiles(t, dir)); uint64(got) != kept+50 {
				t.Errorf("%d packets in the files, want %d", got, kept+50)
			}
			if still, goes := log.count("stopped by an error"), log.count("has resumed"); still != 1 || goes != 1 {
				t.Errorf("logged %d and %d times:\n%s", still, goes, log.b.String())
			}
		})
	}
}

// TestStopWhileFailing: what can't be written at the end is counted.
func TestStopWhileFailing(t *testing.T) {
	d := &disk{err: syscall.EIO}
	r := open(t, t.TempDir(), func(c *Config) { c.create = d.create })
	r.Tap(1).Record(batchOf(0, 50, 400))
	closeRecorder(t, r)
	if s := r.Status(); s.Dropped["at_stop"] != 50 || s.shown() != 50 {
		t.Errorf("%+v", s)
	}
}

// TestDeletedFile: somebody deletes the file that is being written.
func TestDeletedFile(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, nil)
	r.Tap(0).Record(batchOf(0, 1, 400))
	await(t, "the first", func() bool { return r.Status().Recorded == 1 })
	files, _ := Files(dir)
	if len(files) != 1 {
		t.Fatal(files)
	}
	if err := os.Remove(files[0].Path); err != nil {
		t.Fatal(err)
	}
	n := uint32(1)
	await(t, "another file", func() bool {
		r.Tap(0).Record(batchOf(n, 1, 400))
		n++
		files, _ := Files(dir)
		return len(files) == 1
	})
	if s := r.Status(); s.Files != 1 {
		t.Errorf("%+v", s)
	}
}

// TestDeletedUnderLoad is the same under so much load that the taps are never empty.
func TestDeletedUnderLoad(t *testing.T) {
	dir := t.TempDir()
	var r *Recorder
	var enough atomic.Bool
	made := make(chan string, 100)
	r = open(t, dir, func(c *Config) {
		c.Limit = 1 << 50 // so that the size never causes a new file
		c.create = func(path string) (file, error) {
			f, err := createFile(path)
			if err != nil {
				return nil, err
			}
			made <- path
			return &busyFile{file: f, more: func() {
				if !enough.Load() {
					r.Tap(0).Record(batchOf(0, 1, 400)) // called by the writer, which is the only user of the tap after the first
				}
			}}, nil
		}
	})
	r.Tap(0).Record(batchOf(0, 1, 400))
	if err := os.Remove(<-made); err != nil {
		t.Fatal(err)
	}
	await(t, "another file", func() bool { return len(made) > 0 })
	enough.Store(true)
	closeRecorder(t, r)
}

// TestReadableWithoutEnd: a killed process leaves a file that is valid up to the last complete block. An incomplete
// block after it doesn't disturb the next process.
func TestReadableWithoutEnd(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, nil)
	r.Tap(0).Record(batchOf(0, 100, 400))
	await(t, "the writer", func() bool { return r.Status().Recorded == 100 })
	files, _ := Files(dir)
	b, err := os.ReadFile(files[0].Path) // still open
	if err != nil {
		t.Fatal(err)
	}
	if got := len(readFile(t, bytes.NewReader(b))); got != 100 {
		t.Errorf("%d packets", got)
	}
}

// TestManyShortFiles: a process that restarts all the time doesn't fill the folder.
func TestManyShortFiles(t *testing.T) {
	dir := t.TempDir()
	f := &recordings{dir: dir, limit: LeastLimit}
	for i := range maxFiles + 5 {
		path := filepath.Join(dir, fmt.Sprintf("binrepd-%010d-20260101T000000Z.pcapng", i+1))
		if i >= maxFiles {
			var err error
			if path, err = f.makeRoom(time.Unix(int64(i), 0)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, []byte{1}, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := Files(dir)
	if err != nil || len(files) != maxFiles || files[0].Number != 6 {
		t.Errorf("%d files, %v", len(files), err)
	}
}

// lockedBuffer collects a log while the test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}
