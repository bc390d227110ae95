package record

import (
	"time"

	"binrepd/userspace/host/folder"
)

// Status of a Recorder. At rest, the number of packets that came in, by datagrams and by
// connections, is Recorded plus Waiting plus the sum of Dropped.
type Status struct {
	Dir   string
	Limit int64 // maximum bytes of all files
	// Recorded packets since the start, and their bytes with all headers.
	Recorded, Bytes uint64
	// Waiting packets are in the buffers. While the disk fails they wait for it, and are written when it works again.
	Waiting uint64
	// Dropped packets, by reason.
	Dropped map[string]uint64
	// Files is the number of files, including those of earlier processes, FileBytes their size, and Oldest the start of
	// the oldest one, or the zero time.
	Files     int
	FileBytes int64
	Oldest    time.Time
	// Errors is the number of errors of the disk. Error is the current one, or nil.
	Errors uint64
	Error  error
}

// Status returns the current status.
func (r *Recorder) Status() Status {
	r.mu.Lock()
	s := r.status
	r.mu.Unlock()
	s.Dir, s.Limit = r.cfg.Dir, r.cfg.Limit
	s.Waiting = r.queued.Load()
	for _, t := range r.taps {
		s.Waiting += t.waiting()
	}
	s.Dropped = map[string]uint64{}
	for why, name := range reasonNames {
		n := r.missed[why].Load()
		for _, t := range r.taps {
			n += t.drops[why].Load()
		}
		s.Dropped[name] = n
	}
	return s
}

// tell publishes the state of the folder. Status returns this copy, so its caller never waits for a disk.
func (r *Recorder) tell() {
	files, total := r.folder.files, r.folder.total()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Files, r.status.FileBytes, r.status.Oldest = len(files), total, time.Time{}
	if len(files) > 0 {
		r.status.Oldest = files[0].Begun
	}
}

// written counts what has been written. If the disk had errors before, it logs that recording has resumed.
func (r *Recorder) written(datagrams, bytes int) {
	r.mu.Lock()
	r.status.Recorded += uint64(datagrams)
	r.status.Bytes += uint64(bytes)
	before := r.status.Error
	r.status.Error = nil
	r.mu.Unlock()
	if before != nil {
		r.retryAt = time.Time{}
		r.failing.Store(false)
		r.cfg.Log.Info("the recording has resumed", "dir", r.cfg.Dir)
	}
}

// trouble records an error of the disk. It logs the error if the cause is a new one.
func (r *Recorder) trouble(err error) {
	r.failing.Store(true)
	for i := range r.trails {
		r.trails[i].refused = true
	}
	r.mu.Lock()
	before := r.status.Error
	r.status.Errors++
	r.status.Error = err
	r.mu.Unlock()
	if before == nil || folder.Cause(before) != folder.Cause(err) {
		r.cfg.Log.Error("the recording is stopped by an error; trying again", "dir", r.cfg.Dir, "error", err)
	}
}
