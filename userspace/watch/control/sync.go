package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// SyncRequest asks the appliance to send its table to a standby.
type SyncRequest struct {
	To     string `json:"to"`     // HOST:PORT
	Rate   int    `json:"rate"`   // packets a second; 0: as fast as it goes
	Passes int    `json:"passes"` // 0: chosen by the rate
	// Filter is the query of a Filter; empty: all live dialogs.
	Filter            string   `json:"filter,omitempty"`
	Replace           bool     `json:"replace,omitempty"`
	DryRun            bool     `json:"dry_run,omitempty"`
	Rewrites          []string `json:"rewrites,omitempty"` // OLD=NEW
	ClearByeOnTimeout bool     `json:"clear_bye_on_timeout,omitempty"`
}

// SyncProgress tells how far a sync is.
type SyncProgress struct {
	Pass      int     `json:"pass"` // from 1
	Passes    int     `json:"passes"`
	Visited   uint64  `json:"visited"` // entries of the table met in this pass
	Total     uint64  `json:"total"`   // estimate of how many there are
	Packets   uint64  `json:"packets"` // sent in all
	Bytes     uint64  `json:"bytes"`
	Elapsed   float64 `json:"elapsed_seconds"`
	Remaining float64 `json:"remaining_seconds"` // estimate; 0 if there is none
}

// SyncSummary tells what a sync did.
type SyncSummary struct {
	To string `json:"to"`
	// Complete: everything was sent. Otherwise the summary tells how far it came.
	Complete bool `json:"complete"`
	DryRun   bool `json:"dry_run"`
	Passes   int  `json:"passes"` // finished ones
	// Of the last pass:
	Dialogs   uint64            `json:"dialogs"`           // live ones sent
	Deletions uint64            `json:"deletions"`         // ends that are remembered, sent
	Filtered  uint64            `json:"filtered"`          // not chosen
	Expired   uint64            `json:"expired"`           // not sent because their timeout has passed
	Held      map[string]uint64 `json:"held"`              // held back by the shield, by reason
	NoSocket  uint64            `json:"no_socket"`         // without two sockets: OpenSIPS refuses them
	Unmatched uint64            `json:"unmatched"`         // with a socket that no rule names
	Sockets   map[string]uint64 `json:"unmatched_sockets"` // those sockets, up to 32
	// MoreSockets is how often others than those of Sockets occurred.
	MoreSockets uint64 `json:"more_sockets"`
	// Of all passes:
	Packets     uint64 `json:"packets"`
	Bytes       uint64 `json:"bytes"`
	Changes     uint64 `json:"changes"`      // events during the sync, sent behind
	ChangesHeld uint64 `json:"changes_held"` // of these, held back by the shield
	// Of these, snapshots with a socket that no rule names, and the sockets, as above.
	ChangesUnmatched   uint64            `json:"changes_unmatched"`
	ChangesSockets     map[string]uint64 `json:"changes_unmatched_sockets"`
	ChangesMoreSockets uint64            `json:"changes_more_sockets"`
	Lost               uint64            `json:"lost"` // of these, overwritten before they could be sent, and made good by a further pass
	SendErrors         uint64            `json:"send_errors"`
	Seconds            float64           `json:"seconds"`
}

// SyncStatus is a sync that is running.
type SyncStatus struct {
	To      string    `json:"to"`
	Started time.Time `json:"started"`
	SyncProgress
}

// syncLine is one line of the answer to /v1/sync: progress, and at the end the summary, with an error if it failed.
type syncLine struct {
	Progress *SyncProgress `json:"progress,omitempty"`
	Summary  *SyncSummary  `json:"summary,omitempty"`
	Error    string        `json:"error,omitempty"`
}

// RequestError is an error of the caller's: nothing was begun.
type RequestError struct{ Err error }

func (e *RequestError) Error() string { return e.Err.Error() }
func (e *RequestError) Unwrap() error { return e.Err }

func (b *Backend) sync(w http.ResponseWriter, r *http.Request) {
	var req SyncRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLine)).Decode(&req); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	// The session ends when its client goes away: so Ctrl-C stops it, and a connection that was cut leaves nothing running.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	out := newLines(w)
	// The session never waits for its client: what is not read in time is overtaken by newer progress.
	news, done := make(chan SyncProgress, 1), make(chan struct{})
	var summary SyncSummary
	var err error
	go func() {
		defer close(done)
		summary, err = b.Sync(ctx, req, func(p SyncProgress) {
			select {
			case <-news:
			default:
			}
			news <- p
		})
	}()
	for running := true; running; {
		select {
		case p := <-news:
			if out.write(syncLine{Progress: &p}) != nil {
				cancel()
			}
		case <-done:
			running = false
		}
	}
	var mine *RequestError
	if errors.As(err, &mine) && !out.begun {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	last := syncLine{Summary: &summary}
	if err != nil {
		last.Error = err.Error()
	}
	_ = out.write(last) // nobody to tell if the client is gone
}

// Sync has the appliance send its table, and calls progress several times a second until it is done. When ctx ends, so does
// the sync; the summary then tells how far it came, as far as the appliance could still tell.
func (c *Client) Sync(ctx context.Context, req SyncRequest, progress func(SyncProgress)) (SyncSummary, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return SyncSummary{}, err
	}
	resp, err := c.send(ctx, http.MethodPost, "/v1/sync", nil, bytes.NewReader(body))
	if err != nil {
		return SyncSummary{}, err
	}
	defer resp.Body.Close()
	last := SyncProgress{}
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, maxLine)
	for in.Scan() {
		var line syncLine
		if err := json.Unmarshal(in.Bytes(), &line); err != nil {
			return SyncSummary{}, fmt.Errorf("answer of %s: %w", c.path, err)
		}
		switch {
		case line.Progress != nil:
			last = *line.Progress
			progress(last)
		case line.Error != "":
			return *line.Summary, errors.New(line.Error)
		case line.Summary != nil:
			return *line.Summary, nil
		}
	}
	partial := SyncSummary{
		To: req.To, DryRun: req.DryRun, Packets: last.Packets, Bytes: last.Bytes, Seconds: last.Elapsed,
		Held: map[string]uint64{}, Sockets: map[string]uint64{}, ChangesSockets: map[string]uint64{},
	}
	if ctx.Err() != nil {
		return partial, ctx.Err()
	}
	return partial, fmt.Errorf("the appliance went away during the sync: %w", errors.Join(in.Err(), errCut))
}

var errCut = errors.New("connection cut off")
