package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"binrepd/userspace/in/packets"
)

const (
	// LeastLimit is the least Config.Limit: a file has room for its header and a chunk then.
	LeastLimit = filesPerLimit * 2 * chunkSize
	// idlePoll is how often the writer looks for more, and so how much is lost when the process is killed; busyPoll is how often when a lot
	// comes, so that chunks are written and taken again while they are in the cache: into cold memory a worker lays datagrams down at
	// two or three times the cost.
	idlePoll = 10 * time.Millisecond
	busyPoll = time.Millisecond
	// retryAfter is how long the writer leaves a disk alone that has refused something.
	retryAfter = time.Second
	// lookAfter is how often the writer looks whether its file still has a name.
	lookAfter = time.Second
)

// Config of a Recorder. Dir, Limit and Listeners are required.
type Config struct {
	Dir string // made if it is missing
	// Limit is the most bytes that all files together may have; at least LeastLimit.
	Limit int64
	// Listeners are the listen addresses, in the order that packets.Packet.Intake counts: listeners come first.
	Listeners []netip.AddrPort
	// Taps is how many there will be, one for each worker that has no trail.
	Taps int
	// Trails are what the other workers leave behind them. Receive and Release are called until Close has returned nil.
	Trails []Trail
	// Buffer is the size of the buffer of each tap in bytes; 0 means DefaultBuffer.
	Buffer int
	// Application is what files say that they were made by.
	Application string
	// Log receives trouble with the disk, when it begins, changes and ends; nil means slog.Default.
	Log *slog.Logger

	create func(path string) (file, error) // nil: createFile
}

// file is what the writer needs of an *os.File.
type file interface {
	io.WriteCloser
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
}

func createFile(path string) (file, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, fileMode)
}

// Recorder writes what its taps were shown.
type Recorder struct {
	cfg    Config
	header []byte
	ipv6   bool // whether there are blocks to complete
	memory []byte
	taps   []*Tap
	stop   chan struct{}
	done   chan struct{}
	once   sync.Once
	closed bool

	failing atomic.Bool

	// What the trails lost, by reason.
	missed [reasons]atomic.Uint64

	// The writer's.
	busy    int // bytes at one look from which on a lot comes
	moulds  []mould
	trails  []followed
	batch   *packets.Batch
	sheet   sheet
	folder  *recordings
	file    file
	size    int64
	looked  time.Time
	retryAt time.Time

	mu     sync.Mutex // guards status
	status Status
}

// Open takes the folder and starts the writer, which ends with Close.
func Open(cfg Config) (*Recorder, error) {
	switch {
	case cfg.Limit < LeastLimit:
		return nil, fmt.Errorf("limit of %d bytes: at least %d", cfg.Limit, LeastLimit)
	case len(cfg.Listeners) == 0 || cfg.Taps+len(cfg.Trails) < 1:
		return nil, errors.New("record: nothing to record")
	}
	if cfg.Buffer == 0 {
		cfg.Buffer = DefaultBuffer
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.create == nil {
		cfg.create = createFile
	}
	r := &Recorder{cfg: cfg, stop: make(chan struct{}), done: make(chan struct{})}
	var err error
	if r.header, err = fileHeader(cfg.Application, cfg.Listeners); err != nil {
		return nil, err
	}
	if r.folder, err = openFolder(cfg.Dir, cfg.Limit); err != nil {
		return nil, err
	}
	size := max(cfg.Buffer/chunkSize, 2) * chunkSize
	if cfg.Taps > 0 {
		// Outside of Go's heap, whose size it would double, and with all its pages: the workers shouldn't have to wait for those.
		r.memory, err = unix.Mmap(-1, 0, cfg.Taps*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("buffers: %w", err), r.folder.close())
		}
	}
	r.moulds = make([]mould, len(cfg.Listeners))
	for i, l := range cfg.Listeners {
		r.moulds[i] = newMould(i, l)
		r.ipv6 = r.ipv6 || r.moulds[i].ipv6
	}
	for i := range cfg.Taps {
		r.taps = append(r.taps, newTap(r.moulds, r.memory[i*size:][:size:size], &r.failing))
	}
	r.busy = 2 * chunkSize
	for _, t := range cfg.Trails {
		r.trails = append(r.trails, followed{Trail: t})
		r.busy = min(r.busy, t.Room()/4) // before one is full
	}
	r.batch = packets.NewBatch(trailBatch)
	r.tell()
	go r.write()
	return r, nil
}

// Tap returns the tap of the worker with that number, 0 to Config.Taps - 1.
func (r *Recorder) Tap(worker int) *Tap { return r.taps[worker] }

// Close writes what is left and ends the writer. No worker may be at work any more. When the disk doesn't answer before ctx ends, it returns that
// error, and the writer ends when the disk answers.
func (r *Recorder) Close(ctx context.Context) error {
	r.once.Do(func() { close(r.stop) })
	select {
	case <-r.done:
	case <-ctx.Done():
		return fmt.Errorf("record: the disk doesn't answer: %w", ctx.Err())
	}
	if r.closed {
		return nil
	}
	r.closed = true
	err := r.folder.close()
	if r.memory != nil {
		err = errors.Join(err, unix.Munmap(r.memory))
	}
	return err
}

// write is the writer.
func (r *Recorder) write() {
	defer close(r.done)
	timer := time.NewTimer(idlePoll)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-r.stop:
			r.retryAt = time.Time{}
			r.drain()
			r.finish()
			return
		}
		pause := idlePoll
		if r.drain() >= r.busy {
			pause = busyPoll
		}
		timer.Reset(pause)
	}
}

// drain writes what taps and trails have, in turn, until they have nothing more or the disk refuses it, and returns how many bytes that were. That
// may take long: the workers go on meanwhile.
func (r *Recorder) drain() (bytes int) {
	if !r.retryAt.IsZero() && time.Now().Before(r.retryAt) {
		return 0
	}
	for more := true; more; {
		more = false
		r.look()
		for _, t := range r.taps {
			blocks, n := t.pending()
			if len(blocks) == 0 {
				continue
			}
			if err := r.put(blocks); err != nil {
				r.refused(err)
				return bytes
			}
			t.take(blocks, n)
			bytes += len(blocks)
			more = true
			r.written(n, len(blocks))
		}
		for i := range r.trails {
			n, err := r.follow(&r.trails[i])
			if err != nil {
				r.refused(err)
				return bytes
			}
			bytes += n
			more = more || n > 0
		}
	}
	return bytes
}

// refused leaves the disk alone for a while.
func (r *Recorder) refused(err error) {
	r.retryAt = time.Now().Add(retryAfter)
	r.trouble(err)
	r.letGo(diskError)
}

// put writes whole blocks into the file, or takes them back.
func (r *Recorder) put(blocks []byte) error {
	if r.ipv6 {
		completeChecksums(blocks)
	}
	if r.file != nil && r.size+int64(len(blocks)) > r.folder.share() {
		r.closeFile()
	}
	if r.file == nil {
		if err := r.begin(); err != nil {
			return err
		}
	}
	return r.append(blocks)
}

// begin makes a new file with its header.
func (r *Recorder) begin() error {
	path, err := r.folder.makeRoom(time.Now())
	r.tell()
	if err != nil {
		return err
	}
	f, err := r.cfg.create(path)
	if err != nil {
		r.folder.forget()
		r.tell()
		return err
	}
	r.file, r.size, r.looked = f, 0, time.Now()
	return r.append(r.header)
}

// append adds b to the file, all of it or nothing.
func (r *Recorder) append(b []byte) error {
	_, err := r.file.Write(b)
	switch {
	case err == nil:
		r.size += int64(len(b))
		r.folder.grown(r.size)
		r.tell()
	case r.size == 0: // no header: it goes, or a disk that stays full would get one more each time
		r.closeFile()
		err = errors.Join(err, r.folder.removeNewest())
		r.tell()
	case r.file.Truncate(r.size) != nil: // its last block stays in pieces: the next try makes another one
		r.closeFile()
	}
	return err
}

// look begins a new file when somebody has deleted the one that is written: nobody would ever see that.
func (r *Recorder) look() {
	if r.file == nil || time.Since(r.looked) < lookAfter {
		return
	}
	r.looked = time.Now()
	info, err := r.file.Stat()
	if err != nil {
		return
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink == 0 {
		r.cfg.Log.Warn("the file of the recording was deleted: a new one is begun", "dir", r.cfg.Dir)
		r.closeFile()
	}
}

func (r *Recorder) closeFile() {
	if err := r.file.Close(); err != nil {
		r.trouble(err)
	}
	r.file, r.size = nil, 0
}

// finish closes the file and counts what could not be written.
func (r *Recorder) finish() {
	if r.file != nil {
		r.closeFile()
	}
	for _, t := range r.taps {
		for {
			blocks, n := t.pending()
			if len(blocks) == 0 {
				break
			}
			t.take(blocks, n)
			t.drops[atStop].Add(uint64(n))
		}
	}
	for len(r.sheet.blocks) > 0 {
		blocks, n := r.sheet.next()
		r.sheet.written(blocks)
		r.missed[atStop].Add(uint64(n))
	}
	r.letGo(atStop)
}
