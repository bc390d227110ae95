package record

import (
	"time"

	"binrepd/userspace/host/folder"
)

// Status of a Recorder. At rest, datagrams shown = Recorded + every reason of Dropped.
type Status struct {
	Dir   string
	Limit int64 // bytes of all files
	// Recorded datagrams, and their bytes with all headers, since the start.
	Recorded, Bytes uint64
	// Dropped datagrams, by reason.
	Dropped map[string]uint64
	// Files that there are, those of earlier processes too, their bytes, and when the oldest was begun: the zero time without one.
	Files     int
	FileBytes int64
	Oldest    time.Time
	// Errors of the disk, and the one that lasts, or nil.
	Errors uint64
	Error  error
}

// Status takes the picture.
func (r *Recorder) Status() Status {
	r.mu.Lock()
	s := r.status
	r.mu.Unlock()
	s.Dir, s.Limit = r.cfg.Dir, r.cfg.Limit
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

// tell publishes what is in the folder. It is only told here: whoever asks doesn't wait for a disk.
func (r *Recorder) tell() {
	files, total := r.folder.files, r.folder.total()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Files, r.status.FileBytes, r.status.Oldest = len(files), total, time.Time{}
	if len(files) > 0 {
		r.status.Oldest = files[0].Begun
	}
}

// written counts what has been written, and says so when the disk had been refusing.
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
		r.cfg.Log.Info("the recording goes on", "dir", r.cfg.Dir)
	}
}

// trouble notes an error of the disk, and logs it when it is another one than before.
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
		r.cfg.Log.Error("the recording stands still; trying again", "dir", r.cfg.Dir, "error", err)
	}
}
