package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socketMode gives access to the owner and the group of the socket.
const socketMode = 0o660

const (
	// folderTime is how long to wait for another process that holds the lock of the folder. It holds it for milliseconds.
	folderTime = 5 * time.Second
	folderLook = 10 * time.Millisecond
)

// takeSocket listens at path. It removes a socket file that a dead process left behind, and never anything else. own is
// the new socket file.
func takeSocket(path string) (l *net.UnixListener, own os.FileInfo, err error) {
	err = withFolder(path, func() error {
		if err := clearStale(path); err != nil {
			return err
		}
		if l, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}); err != nil {
			return fmt.Errorf("control socket: %w", err)
		}
		l.SetUnlinkOnClose(false) // removeSocket does that
		if err = os.Chmod(path, socketMode); err == nil {
			own, err = os.Lstat(path)
		}
		if err != nil {
			return fmt.Errorf("control socket: %w", errors.Join(err, l.Close()))
		}
		return nil
	})
	return l, own, err
}

// removeSocket removes the socket file at path if it is still the own one.
func removeSocket(path string, own os.FileInfo) error {
	return withFolder(path, func() error {
		if now, err := os.Lstat(path); err != nil || !os.SameFile(now, own) {
			return nil // gone, or another process's
		}
		return os.Remove(path)
	})
}

// withFolder runs do while no other process is in withFolder for the same folder: two processes that start at once
// would otherwise both find a stale socket, and the second would remove the new one of the first.
func withFolder(path string, do func() error) error {
	folder := filepath.Dir(path)
	fd, err := unix.Open(folder, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("control socket: folder %s: %w", folder, err)
	}
	defer unix.Close(fd) // frees the lock, too
	for begin := time.Now(); ; time.Sleep(folderLook) {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return do()
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) || time.Since(begin) > folderTime {
			return fmt.Errorf("control socket: lock of folder %s: %w", folder, err)
		}
	}
}

// clearStale removes a socket file that a process left behind. It never removes anything else.
func clearStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("control socket: %s exists and is not a socket: remove it or choose another --control", path)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
		return fmt.Errorf("control socket: another binrepd listens at %s: stop it or choose another --control", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("control socket: %w", err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}
