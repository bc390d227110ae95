package record

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"binrepd/userspace/host/folder"
)

const (
	// filesPerLimit is the number of files that share the limit. Deleting the oldest one removes a sixteenth of the
	// history.
	filesPerLimit = 16
	// maxFiles is the maximum number of files, however short they are. A process that restarts every second should not
	// fill the folder.
	maxFiles = 1000

	// The owner writes. The group, which may use the control socket, reads. The files show who called whom.
	fileMode   = 0o640
	folderMode = 0o750

	timeLayout = "20060102T150405Z"
)

// fileName is the form of our file names: a number, by which they sort, and the start time, for people. Other files are
// never touched.
var fileName = regexp.MustCompile(`^binrepd-(\d{10})-(\d{8}T\d{6}Z)\.pcapng$`)

// File is one file of a recording.
type File struct {
	Path   string
	Number uint64
	Begun  time.Time // precision: one second
	Size   int64     // bytes
}

// Files lists the files of the recording in dir, oldest first.
func Files(dir string) ([]File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []File
	for _, e := range entries {
		m := fileName.FindStringSubmatch(e.Name())
		if m == nil || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted in the meantime
		}
		if err != nil {
			return nil, err
		}
		number, err := strconv.ParseUint(m[1], 10, 64)
		if err != nil {
			return nil, err
		}
		begun, err := time.Parse(timeLayout, m[2])
		if err != nil {
			continue // not a valid time, so not one of our names
		}
		files = append(files, File{Path: filepath.Join(dir, e.Name()), Number: number, Begun: begun, Size: info.Size()})
	}
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Number, b.Number) })
	return files, nil
}

// recordings is the folder of the files. Only one process uses it.
type recordings struct {
	dir   string
	limit int64
	lock  *os.File
	files []File // oldest first, as last read
}

// openFolder makes the folder if it is missing, and locks it for this process.
func openFolder(dir string, limit int64) (*recordings, error) {
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return nil, err
	}
	f := &recordings{dir: dir, limit: limit}
	var err error
	if f.lock, err = folder.Lock(dir); err != nil {
		return nil, err
	}
	if err := f.look(); err != nil {
		return nil, errors.Join(err, f.lock.Close())
	}
	return f, nil
}

// look lists the files of earlier processes, and checks that files can be made. The first file is made only when there is
// data for it, but a missing permission should be reported at once.
func (f *recordings) look() (err error) {
	if err := unix.Access(f.dir, unix.W_OK|unix.X_OK); err != nil {
		return &fs.PathError{Op: "write in", Path: f.dir, Err: err}
	}
	f.files, err = Files(f.dir)
	return err
}

// share returns the maximum size of one file.
func (f *recordings) share() int64 { return f.limit / filesPerLimit }

// makeRoom deletes the oldest files until there is room for a new one. It returns the path of the new file. It lists
// the folder first, since somebody may have deleted files.
func (f *recordings) makeRoom(now time.Time) (string, error) {
	files, err := Files(f.dir)
	if err != nil {
		return "", err
	}
	next := uint64(1)
	if n := len(files); n > 0 {
		next = files[n-1].Number + 1
	}
	total := f.share()
	for _, file := range files {
		total += file.Size
	}
	for f.files = files; len(files) > 0 && (total > f.limit || len(files) >= maxFiles); f.files = files {
		if err := os.Remove(files[0].Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		total -= files[0].Size
		files = files[1:]
	}
	path := filepath.Join(f.dir, fmt.Sprintf("binrepd-%010d-%s.pcapng", next, now.UTC().Format(timeLayout)))
	f.files = append(slices.Clone(files), File{Path: path, Number: next, Begun: now})
	return path, nil
}

// forget removes the newest file from the list, because it could not be made.
func (f *recordings) forget() { f.files = f.files[:len(f.files)-1] }

// removeNewest deletes the newest file.
func (f *recordings) removeNewest() error {
	path := f.files[len(f.files)-1].Path
	f.forget()
	return os.Remove(path)
}

// grown sets the size of the newest file.
func (f *recordings) grown(size int64) { f.files[len(f.files)-1].Size = size }

// total returns the size of all files.
func (f *recordings) total() (bytes int64) {
	for _, file := range f.files {
		bytes += file.Size
	}
	return bytes
}

func (f *recordings) close() error { return f.lock.Close() }
