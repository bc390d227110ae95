package main

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// outliveOutput lets a command finish if nobody reads its output any more. Without this the first write to a closed pipe
// would end the process, in the middle of a change. It is for run and for commands that change something. Those that
// only print end quietly, as is usual.
func outliveOutput(c *cli.Context) {
	signal.Ignore(syscall.SIGPIPE)
	c.App.Writer, c.App.ErrWriter = ignoreClosed(c.App.Writer), ignoreClosed(c.App.ErrWriter)
}

// outlivesOutput makes a command call outliveOutput before its action.
func outlivesOutput(cmd *cli.Command) *cli.Command {
	do := cmd.Action
	cmd.Action = func(c *cli.Context) error {
		outliveOutput(c)
		return do(c)
	}
	return cmd
}

// ignoreClosed returns a writer to w that reports success when w is a closed pipe. A terminal is returned as it is: it is
// no pipe, and progress bars must recognise it.
func ignoreClosed(w io.Writer) io.Writer {
	if f := fileOf(w); f != nil && term.IsTerminal(int(f.Fd())) {
		return w
	}
	return closedIgnored{w}
}

type closedIgnored struct{ w io.Writer }

func (i closedIgnored) Write(p []byte) (int, error) {
	if n, err := i.w.Write(p); err != nil && !errors.Is(err, syscall.EPIPE) {
		return n, err
	}
	return len(p), nil
}

// keptError is standard output. It keeps the first error of writing, such as that of a full disk, so that no command has
// to ask each write for its error. After an error it writes nothing more. A closed pipe is no error: either SIGPIPE ends
// the process, or the command outlives its output.
type keptError struct {
	io.Writer
	err error
}

func (k *keptError) Write(p []byte) (int, error) {
	if k.err != nil {
		return 0, k.err
	}
	n, err := k.Writer.Write(p)
	if err != nil && !errors.Is(err, syscall.EPIPE) {
		k.err = err
	}
	return n, err
}

// fileOf returns the file that w writes to, or nil.
func fileOf(w io.Writer) *os.File {
	if k, ok := w.(*keptError); ok {
		w = k.Writer
	}
	f, _ := w.(*os.File)
	return f
}

// lossyLog writes log lines and counts those that could not be written. A lost log never stops the daemon.
type lossyLog struct {
	w    io.Writer
	lost atomic.Uint64
}

func (l *lossyLog) Write(p []byte) (int, error) {
	n, err := l.w.Write(p)
	if err != nil {
		l.lost.Add(1)
	}
	return n, err
}
