package live

import (
	"errors"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// stopTime is how long the system may take to stop the process.
const stopTime = 100 * time.Millisecond

// suspend gives the terminal back and stops the process, as Ctrl-Z does where nobody catches it, until the shell lets it go on.
func (v *viewer) suspend() error {
	if err := v.screen.Suspend(); err != nil {
		return err
	}
	goOn := make(chan os.Signal, 1)
	signal.Notify(goOn, unix.SIGCONT)
	defer signal.Stop(goOn)
	// To the whole group, as the terminal would: sudo is in it, too. Where no shell could wake it, the system ignores it.
	err := unix.Kill(0, unix.SIGTSTP)
	select {
	case <-goOn:
	case <-time.After(stopTime):
	}
	return errors.Join(err, v.screen.Resume())
}
