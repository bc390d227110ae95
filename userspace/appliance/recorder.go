package appliance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"binrepd/userspace/in/ring"
	"binrepd/userspace/in/stream"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/trace/record"
	"binrepd/userspace/watch/control"
)

// openRecorder starts the recorder, if there is a folder for it. It has a tap for each socket and one for the
// connections of all clusters, and reads from the rings what their workers have done with.
func openRecorder(cfg *Config, rings []*ring.Source) (*record.Recorder, error) {
	if cfg.Record == "" {
		return nil, nil
	}
	var trails []record.Trail
	for _, r := range rings {
		trails = append(trails, r.Tail())
	}
	var clusters []string
	for i := range cfg.Clusters {
		clusters = append(clusters, fmt.Sprintf("cluster %d at %s", cfg.Clusters[i].Cluster, cfg.Clusters[i].Listen))
	}
	r, err := record.Open(record.Config{
		Dir: cfg.Record, Limit: cfg.RecordSize, Listeners: cfg.Listen, Streams: clusters, Taps: len(cfg.Listen), Trails: trails,
		Application: "binrepd " + cfg.Version, Log: cfg.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("--record: %w", err)
	}
	return r, nil
}

// recorded gives the sockets among the inputs, which follow the rings, their taps. The recorder reads the rings by itself.
func (a *Appliance) recorded(inputs []engine.Input) []engine.Input {
	if a.recorder == nil {
		return inputs
	}
	sockets := inputs[len(a.input.rings):]
	for i := range sockets {
		sockets[i].Recorder = a.recorder.Tap(i)
	}
	return inputs
}

// recordedConnection returns what makes the recordings of the connections of a cluster; nil without a recorder.
func (a *Appliance) recordedConnection(cluster int) func(*stream.Conn) stream.Recording {
	if a.recorder == nil {
		return nil
	}
	return func(c *stream.Conn) stream.Recording {
		return a.recorder.Connections().Begin(cluster, c.Remote(), c.Local(), c.Dialed(), time.Now().UnixNano())
	}
}

// closeRecorder writes what waits, for at most flushTime. A second call does nothing.
func (a *Appliance) closeRecorder() error {
	if a.recorder == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	err := a.recorder.Close(ctx)
	for _, r := range a.input.rings { // give up what the recorder didn't get to: the last save and the next process need the rings released
		r.EndTail()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		a.log.Warn("the last datagrams are not recorded", "error", err)
		return nil // the appliance has done its work
	}
	return err
}

// recordStatus fills in the state of the recording.
func (a *Appliance) recordStatus(s *control.Status) {
	if a.recorder == nil {
		return
	}
	st := a.recorder.Status()
	s.Record = &control.RecordStatus{
		Dir: st.Dir, Limit: uint64(st.Limit), Recorded: st.Recorded, Bytes: st.Bytes, Waiting: st.Waiting, Dropped: st.Dropped,
		Files: st.Files, FileBytes: uint64(st.FileBytes), Oldest: st.Oldest, Errors: st.Errors,
	}
	if st.Error != nil {
		s.Record.Error = st.Error.Error()
	}
}
