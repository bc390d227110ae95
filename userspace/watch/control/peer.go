package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// peer is the process at the other end of a connection, as the kernel recorded it on connect.
type peer struct {
	uid    uint32
	groups []uint32
}

// peerKey is the key of the *peer in a request's context.
type peerKey struct{}

// withPeer is http.Server.ConnContext.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	p, err := peerOf(c.(*net.UnixConn))
	if err != nil {
		return ctx // an unidentified peer may only read
	}
	return context.WithValue(ctx, peerKey{}, p)
}

func peerOf(c *net.UnixConn) (*peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	p := &peer{}
	var failed error
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			failed = err
			return
		}
		groups, err := peerGroups(fd)
		p.uid, p.groups, failed = cred.Uid, append(groups, cred.Gid), err
	})
	return p, errors.Join(err, failed)
}

// pidOf returns the process that listens at the other end of a connection.
func pidOf(c *net.UnixConn) (pid int32, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			failed = err
			return
		}
		pid = cred.Pid
	})
	return pid, errors.Join(err, failed)
}

// mayChange reports whether p may change things in an appliance that runs as user self and whose socket belongs to
// group.
func (p *peer) mayChange(self, group uint32) bool {
	return p != nil && (p.uid == 0 || p.uid == self || slices.Contains(p.groups, group))
}

// inFolder restricts a request about a file. The appliance opens files with its own rights, which members of its socket's
// group don't have. So they may name only files below folder, where nobody but the appliance can put links.
func inFolder[Answer any](
	folder string, do func(context.Context, FileRequest) (Answer, error),
) func(context.Context, FileRequest) (Answer, error) {
	return func(ctx context.Context, req FileRequest) (none Answer, err error) {
		p, _ := ctx.Value(peerKey{}).(*peer)
		if p == nil || p.uid != 0 && p.uid != uint32(os.Geteuid()) {
			if err := within(folder, req.Path); err != nil {
				return none, &RequestError{Err: err}
			}
		}
		return do(ctx, req)
	}
}

// within reports by an error whether the file at path lies outside of a folder.
func within(folder, path string) error {
	if folder == "" {
		return errors.New("not permitted: only root and the user of the appliance may name a file, because there is no --state-dir")
	}
	real, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if folder, err = filepath.EvalSymlinks(folder); err != nil {
		return err
	}
	if inside, err := filepath.Rel(folder, real); err != nil || !filepath.IsLocal(inside) {
		return fmt.Errorf("%s: not permitted: only root and the user of the appliance may name a file outside of %s", path, folder)
	}
	return nil
}

// changing protects a handler that changes something. The mode of the socket already excludes others. This check also
// holds if somebody has opened the socket for everybody to read.
func changing(path string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, _ := r.Context().Value(peerKey{}).(*peer)
		info, err := os.Stat(path)
		if err != nil {
			refuse(w, http.StatusInternalServerError, fmt.Errorf("control socket: %w", err))
			return
		}
		group := info.Sys().(*syscall.Stat_t).Gid
		if !p.mayChange(uint32(os.Geteuid()), group) {
			refuse(w, http.StatusForbidden, errors.New("not permitted: only root, the user of the appliance and members of its socket's group may change things"))
			return
		}
		h(w, r)
	}
}
