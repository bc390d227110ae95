package live

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/watch/control"
)

// Appliance is the interface to the appliance. control.Client implements it.
type Appliance interface {
	Status(ctx context.Context) (control.Status, error)
	Dialogs(ctx context.Context, f control.Filter, each func(line []byte) error) error
}

// patience is how long to wait for a whole answer. It is longer than control.Client waits for the first part, so that the
// client names the process that doesn't answer.
const patience = 8 * time.Second

// status requests the status.
func status(ctx context.Context, a Appliance) (control.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return a.Status(ctx)
}

// dialogs requests all dialogs of a Call-ID.
func dialogs(ctx context.Context, a Appliance, callID string) (found []control.Dialog, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	f := control.Filter{CallID: callID, States: []dialog.State{dialog.Unconfirmed, dialog.Early, dialog.Answered, dialog.Confirmed}}
	err = a.Dialogs(ctx, f, func(l []byte) error {
		var d control.Dialog
		if err := json.Unmarshal(l, &d); err != nil {
			return fmt.Errorf("dialog: %w", err)
		}
		found = append(found, d)
		return nil
	})
	return found, err
}

// Config is the configuration that all ways to show the view share.
type Config struct {
	Appliance Appliance
	Interval  time.Duration // between two updates
	Unicode   bool
	Color     bool
	Width     int // of a plain frame, in cells
}

// Once writes one frame, with the rates between two samples.
func Once(ctx context.Context, c Config, out io.Writer) error { return plain(ctx, c, out, 1) }

// Stream writes one frame below the other until ctx ends, for terminals without cursor control.
func Stream(ctx context.Context, c Config, out io.Writer) error { return plain(ctx, c, out, 0) }

// plain writes n frames, or frames without end if n is 0.
func plain(ctx context.Context, c Config, out io.Writer, n int) error {
	m := New(Options{Unicode: c.Unicode, Whole: true})
	s, err := status(ctx, c.Appliance)
	if err != nil {
		return err
	}
	m.Take(time.Now(), s)
	tick := time.NewTicker(c.Interval)
	defer tick.Stop()
	for i := 0; i < n || n == 0; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		s, err := status(ctx, c.Appliance)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && n > 0:
			return err
		case err != nil:
			m.Fail(time.Now(), err)
		default:
			m.Take(time.Now(), s)
		}
		f := m.Frame(c.Width, 0, time.Now())
		text := f.Text()
		if c.Color {
			text = f.ANSI()
		}
		if i > 0 {
			text = "\n" + text
		}
		if _, err := io.WriteString(out, text); err != nil {
			return err
		}
	}
	return nil
}
