package folder

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrInUse: another process has locked the folder.
var ErrInUse = errors.New("another binrepd works with it")

// Lock opens and locks a folder that exists. The lock lasts until the file is closed or the process ends, however it ends.
// The error is an *fs.PathError, or names the folder and matches ErrInUse.
func Lock(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), f.Close())
	}
	return f, nil
}

// Cause returns the reason in err without the path of a file. Two errors have the same cause if the same thing went wrong with
// two files, for example with temporary files, which have other names each time.
func Cause(err error) string {
	if number := syscall.Errno(0); errors.As(err, &number) {
		return number.Error()
	}
	return err.Error()
}
