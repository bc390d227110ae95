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
	// LeastLimit is the minimum of Config.Limit. A file then has room for its header and a chunk.
	LeastLimit = filesPerLimit * 2 * chunkSize
	// idlePoll is how often the writer checks for more data, and so how much is lost if the process is killed. busyPoll
	// is used under load, so that chunks are written and reused while they are in the cache. Writing datagrams into
	// cold memory costs a worker two or three times as much.
	idlePoll = 10 * time.Millisecond
	busyPoll = time.Millisecond
	// retryAfter is how long the writer waits after an error of the disk.
	retryAfter = time.Second
	// lookAfter is how often the writer checks that its file still exists.
	lookAfter = time.Second
)

// Config of a Recorder. Dir, Limit, and Listeners or Streams are required.
type Config struct {
	Dir string // made if it is missing
	// Limit is the maximum size in bytes of all files together. It must be at least LeastLimit.
	Limit int64
	// Listeners are the listen addresses, in the order that packets.Packet.Intake counts: listeners come first.
	Listeners []netip.AddrPort
	// Streams are the names of groups of connections, such as clusters. Connections takes their packets.
	Streams []string
	// Taps is the number of taps, one for each worker without a trail.
	Taps int
	// Trails are those of the other workers. Receive and Release are called until Close has returned nil.
	Trails []Trail
	// Buffer is the size of the buffer of each tap in bytes; 0 means DefaultBuffer.
	Buffer int
	// Application is the name of the program that the files state.
	Application string
	// Log receives errors of the disk when they begin, change and end; nil means slog.Default.
	Log *slog.Logger

	create func(path string) (file, error) // nil: createFile
}

// file is the part of *os.File that the writer needs.
type file interface {
	io.WriteCloser
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
}

func createFile(path string) (file, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, fileMode)
}

// Recorder writes the datagrams of its taps and trails to files.
type Recorder struct {
	cfg    Config
	header []byte
	sums   bool // true if there are checksums to complete
	memory []byte
	taps   []*Tap
	conns  *Connections // its tap is the last one; nil without Config.Streams
	stop   chan struct{}
	done   chan struct{}
	once   sync.Once
	closed bool

	failing atomic.Bool

	// missed counts what the trails lost, by reason.
	missed [reasons]atomic.Uint64
	// queued is how many datagrams of trails wait for the disk.
	queued atomic.Uint64

	// Only the writer uses the following.
	busy      int // bytes in one round from which on the load counts as high
	templates []blockTemplate
	trails    []followed
	batch     *packets.Batch
	queue     blockQueue
	folder    *recordings
	file      file
	size      int64
	looked    time.Time
	retryAt   time.Time

	mu     sync.Mutex // guards status
	status Status
}

// Open opens and locks the folder and starts the writer. Close ends the writer.
func Open(cfg Config) (*Recorder, error) {
	switch {
	case cfg.Limit < LeastLimit:
		return nil, fmt.Errorf("limit of %d bytes: at least %d", cfg.Limit, LeastLimit)
	case (len(cfg.Listeners) == 0 || cfg.Taps+len(cfg.Trails) < 1) && len(cfg.Streams) == 0:
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
	if r.header, err = fileHeader(cfg.Application, cfg.Listeners, cfg.Streams); err != nil {
		return nil, err
	}
	if r.folder, err = openFolder(cfg.Dir, cfg.Limit); err != nil {
		return nil, err
	}
	size := max(cfg.Buffer/chunkSize, 2) * chunkSize
	taps := cfg.Taps + min(len(cfg.Streams), 1)
	if taps > 0 {
		// Memory outside Go's heap doesn't double the heap's target size. All pages are allocated now, so that workers
		// never wait for them.
		r.memory, err = unix.Mmap(-1, 0, taps*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("buffers: %w", err), r.folder.close())
		}
	}
	r.templates = make([]blockTemplate, len(cfg.Listeners))
	for i, l := range cfg.Listeners {
		r.templates[i] = newBlockTemplate(i, l)
		r.sums = r.sums || r.templates[i].ipv6
	}
	for i := range taps {
		r.taps = append(r.taps, newTap(r.templates, r.memory[i*size:][:size:size], &r.failing))
	}
	if len(cfg.Streams) > 0 {
		r.conns, r.sums = &Connections{tap: r.taps[cfg.Taps]}, true
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

// Connections takes the packets of connections; nil without Config.Streams. It may be used after Close, which then counts
// what comes.
func (r *Recorder) Connections() *Connections { return r.conns }

// Close writes what is left and ends the writer. All workers must have ended. If the disk doesn't answer before ctx
// ends, Close returns that error, and the writer ends when the disk answers.
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

// write is the writer's goroutine.
func (r *Recorder) write() {
	defer close(r.done)
	timer := time.NewTimer(idlePoll)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-r.stop:
			r.retryAt = time.Time{}
			if r.conns != nil {
				r.conns.close()
			}
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

// drain writes the data of taps and trails, in turn, until there is no more or the disk returns an error. It returns
// the number of bytes. This may take long; the workers go on in the meantime.
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

// refused makes the writer leave the disk alone for a while.
func (r *Recorder) refused(err error) {
	r.retryAt = time.Now().Add(retryAfter)
	r.trouble(err)
	r.discardTrails(diskError)
}

// put appends whole blocks to the file. If that fails, it removes them again.
func (r *Recorder) put(blocks []byte) error {
	if r.sums {
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

// append adds all of b to the file, or nothing.
func (r *Recorder) append(b []byte) error {
	_, err := r.file.Write(b)
	switch {
	case err == nil:
		r.size += int64(len(b))
		r.folder.grown(r.size)
		r.tell()
	case r.size == 0: // remove a file without header, or a full disk would collect one at each try
		r.closeFile()
		err = errors.Join(err, r.folder.removeNewest())
		r.tell()
	case r.file.Truncate(r.size) != nil: // its last block is incomplete, so the next try makes a new file
		r.closeFile()
	}
	return err
}

// look starts a new file if somebody has deleted the current one. Nobody could ever see what is written to that.
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
		r.cfg.Log.Warn("the file of the recording was deleted; starting a new one", "dir", r.cfg.Dir)
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
	for len(r.queue.blocks) > 0 {
		blocks, n := r.queue.next()
		r.queue.written(blocks, n)
		r.queued.Store(uint64(r.queue.count))
		r.missed[atStop].Add(uint64(n))
	}
	r.discardTrails(atStop)
}
