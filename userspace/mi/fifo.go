package mi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// replyFolder is where proxies look for the pipe of a reply unless they are told otherwise.
const replyFolder = "/tmp"

// fifoProbe is how long the first answer over a FIFO may take while the dialect isn't known: a proxy of the other
// generation never answers.
const fifoProbe = 3 * time.Second

// fifo asks over a FIFO on the same host. The answer comes through a pipe that the client makes.
type fifo struct {
	path   string
	probed bool
}

func (f *fifo) close() {}

// dialects begins with the text form. A proxy of JSON-RPC doesn't answer it; one of the text form would wait for more
// after a JSON-RPC request, and lose the request after that.
func (f *fifo) dialects() []Dialect { return []Dialect{Text, RPC} }

// another is true for silence only. After anything else a request of the other generation would do harm.
func (f *fifo) another(err error) bool { return errors.Is(err, errNoReply) }

var errNoReply = errors.New("no answer on the FIFO")

// maxFIFO is the largest request that a proxy reads.
const maxFIFO = 4096

func (f *fifo) ask(ctx context.Context, dialect Dialect, id int, command string, params []Param) ([]byte, error) {
	// A name with a dot, slash or backslash gets no answer. Letters keep it from being valid JSON, where a proxy of the
	// other generation might take it for a request.
	name := "binrepd_" + rand.Text()
	request, err := requestText(command, name, params)
	if dialect == RPC {
		request, err = fmt.Appendf(nil, ":%s:%s\n", name, requestRPC(id, command, params)), nil
	}
	if err != nil {
		return nil, err
	}
	if len(request) > maxFIFO {
		return nil, ErrUnsendable
	}
	// Without blocking, so that a FIFO without reader is an error (ENXIO) instead of a wait.
	to, err := os.OpenFile(f.path, os.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		if errors.Is(err, syscall.ENXIO) {
			return nil, fmt.Errorf("%s: no proxy reads it", f.path)
		}
		return nil, err
	}
	defer to.Close()
	if info, err := to.Stat(); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return nil, fmt.Errorf("%s is no FIFO", f.path)
	}
	reply := filepath.Join(replyFolder, name)
	if err := unix.Mkfifo(reply, 0o600); err != nil {
		return nil, fmt.Errorf("%s: %w", reply, err)
	}
	defer os.Remove(reply)
	if err := os.Chmod(reply, 0o622); err != nil { // the proxy runs as another user
		return nil, err
	}
	from, err := os.OpenFile(reply, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	if !f.probed {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, fifoProbe)
		defer cancel()
	}
	if _, err := to.Write(request); err != nil { // at most a pipe's page: one write
		return nil, err
	}
	answer, err := readReply(ctx, from)
	if err == nil {
		f.probed = true
	}
	return answer, err
}

// readReply reads until the proxy closes its end. Before it opened it, a read returns nothing at once.
func readReply(ctx context.Context, from *os.File) ([]byte, error) {
	stop := context.AfterFunc(ctx, func() { _ = from.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var answer []byte
	buf := make([]byte, 64<<10)
	pause := time.NewTicker(2 * time.Millisecond)
	defer pause.Stop()
	for {
		n, err := from.Read(buf)
		answer = append(answer, buf[:n]...)
		switch {
		case len(answer) > maxAnswer:
			return nil, fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)
		case ctx.Err() != nil:
			return nil, errNoReply
		case errors.Is(err, io.EOF) && len(answer) > 0:
			return answer, nil
		case errors.Is(err, io.EOF): // not opened yet
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
		case err != nil:
			return nil, err
		}
	}
}
