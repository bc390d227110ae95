package live

import (
	"errors"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// stopTime is how long to wait for the system to stop the process.
const stopTime = 100 * time.Millisecond

// suspend restores the terminal and stops the process, as Ctrl-Z usually does, until the shell continues it.
func (v *viewer) suspend() error {
	if err := v.screen.Suspend(); err != nil {
		return err
	}
	goOn := make(chan os.Signal, 1)
	signal.Notify(goOn, unix.SIGCONT)
	defer signal.Stop(goOn)
	// Signal the whole process group, as the terminal would, since it may include sudo. If no shell could continue it,
	// the system ignores the signal.
	err := unix.Kill(0, unix.SIGTSTP)
	select {
	case <-goOn:
	case <-time.After(stopTime):
	}
	return errors.Join(err, v.screen.Resume())
}
