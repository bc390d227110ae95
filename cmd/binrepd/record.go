package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"binrepd/bpf"
	"binrepd/userspace/in/ring"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/trace/record"
	"binrepd/userspace/watch/control"
)

const categoryRecord = "Flight recorder"

func recordFlags() []cli.Flag {
	return []cli.Flag{
		recordFlag("keep the last datagrams, good and bad, in `DIR`, in files that Wireshark opens; 'binrepd record' and 'binrepd replay' read them. " +
			"They tell who called whom. Not the folder of --state-dir; where that is /var/lib/binrepd, as under systemd, /var/lib/binrepd/record"),
		&cli.StringFlag{
			Name: "record-size", Category: categoryRecord, Value: "1GiB",
			Usage: "keep at most `SIZE` of them, those of earlier processes included, and delete the oldest; at least 4MiB",
		},
	}
}

// recordFlag is the same for the daemon, which writes there, and for the commands that read it.
func recordFlag(usage string) cli.Flag {
	return &cli.StringFlag{Name: "record", Category: categoryRecord, Usage: usage}
}

// recording is what is kept of what comes.
type recording struct {
	Record     string // folder, or empty
	RecordSize int64  // bytes
}

func parseRecording(c *cli.Context) (recording, error) {
	o := recording{Record: c.String("record")}
	if c.IsSet("record") && o.Record == "" {
		return o, nil // as in BINREPD_RECORD=
	}
	text := c.String("record-size")
	size, err := humanize.ParseBytes(text)
	switch {
	case err != nil || size > math.MaxInt64:
		return o, fmt.Errorf("--record-size %s: not a size; write 1GiB, 500MiB or a number of bytes", text)
	case size < record.LeastLimit:
		return o, fmt.Errorf("--record-size %s: at least %s", text, humanize.IBytes(record.LeastLimit))
	}
	o.RecordSize = int64(size)
	return o, nil
}

// validateRecording refuses a ring so small that nothing in it may wait for the recorder.
func (o *options) validateRecording() error {
	least := 2 * bpf.LeastRingSize()
	if o.Record == "" || o.XDP == xdpOff || o.RingSize >= least {
		return nil
	}
	return fmt.Errorf("--ring-size %s: with --record at least %s, of which a part waits for the recorder",
		humanize.IBytes(uint64(o.RingSize)), humanize.IBytes(uint64(least)))
}

// sameFolder tells whether two flags name one folder, which may not exist yet.
func sameFolder(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	if a, b = filepath.Clean(a), filepath.Clean(b); a == b {
		return true
	}
	first, err1 := os.Stat(a)
	second, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(first, second)
}

// recordBuffers is the memory for what waits for the disk. What is in rings waits there.
func (o *options) recordBuffers() uint64 {
	if o.Record == "" {
		return 0
	}
	return uint64(len(o.Listen)) * record.DefaultBuffer
}

// openRecorder starts the recorder, if there is to be one: with a tap for each socket, and what the rings leave behind them.
func openRecorder(o *options, rings []*ring.Source, log *slog.Logger) (*record.Recorder, error) {
	if o.Record == "" {
		return nil, nil
	}
	var trails []record.Trail
	for _, r := range rings {
		trails = append(trails, r.Tail())
	}
	version, _ := buildVersion()
	r, err := record.Open(record.Config{
		Dir: o.Record, Limit: o.RecordSize, Listeners: o.Listen, Taps: len(o.Listen), Trails: trails,
		Application: "binrepd " + version, Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("--record: %w", err)
	}
	return r, nil
}

// recorded has the sockets among the inputs recorded, which come behind the rings, if there is a recorder. It reads the rings by itself.
func (a *appliance) recorded(inputs []engine.Input) []engine.Input {
	if a.recorder == nil {
		return inputs
	}
	sockets := inputs[len(a.input.rings):]
	for i := range sockets {
		sockets[i].Recorder = a.recorder.Tap(i)
	}
	return inputs
}

// closeRecorder writes what waits, for a short time.
func (a *appliance) closeRecorder() error {
	if a.recorder == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	err := a.recorder.Close(ctx)
	for _, r := range a.input.rings { // what the recorder had no time for is done with: the last save and the next process count on that
		r.EndTail()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		a.log.Warn("the last datagrams are not recorded", "error", err)
		return nil // the appliance has done its work
	}
	return err
}

func (a *appliance) recordStatus(s *control.Status) {
	if a.recorder == nil {
		return
	}
	st := a.recorder.Status()
	s.Record = &control.RecordStatus{
		Dir: st.Dir, Limit: uint64(st.Limit), Recorded: st.Recorded, Bytes: st.Bytes, Dropped: st.Dropped,
		Files: st.Files, FileBytes: uint64(st.FileBytes), Oldest: st.Oldest, Errors: st.Errors,
	}
	if st.Error != nil {
		s.Record.Error = st.Error.Error()
	}
}

// notRecorded is how many datagrams are missing from the recording.
func notRecorded(s *control.Status) uint64 {
	if s.Record == nil {
		return 0
	}
	return sum(s.Record.Dropped)
}

// recordRows writes how the recording stands.
func recordRows(row func(name, format string, args ...any), s *control.Status, now time.Time) {
	r := s.Record
	if r == nil {
		return
	}
	text := fmt.Sprintf("%d recorded in %s", r.Recorded, r.Dir)
	if r.Files > 0 {
		text += fmt.Sprintf(": %s of %s, back to %s ago", humanize.IBytes(r.FileBytes), humanize.IBytes(r.Limit), span(r.Oldest, now))
	}
	if dropped := nonZero(r.Dropped); dropped != "" {
		text += "; not recorded: " + dropped
	}
	if r.Error != "" {
		text += "; FAILING: " + r.Error
	}
	row("recording", "%s", text)
}
