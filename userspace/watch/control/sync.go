package control

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// SyncRequest asks the appliance to send its table to a standby.
type SyncRequest struct {
	To string `json:"to"` // HOST:PORT; empty if Node is given
	// Cluster and Node name a node of a cluster, to which dialogs are pushed. Cluster 0 is the only one.
	Cluster int32 `json:"cluster,omitempty"`
	Node    int32 `json:"node,omitempty"`
	// Release of the node, such as 3.6; empty: as far as it is known.
	Release string `json:"release,omitempty"`
	// NoConvert holds dialogs of generation 2 back from a standby of generation 1.
	NoConvert bool `json:"no_convert,omitempty"`
	Rate      int  `json:"rate"`   // packets a second; 0: as fast as possible
	Passes    int  `json:"passes"` // 0: depends on the rate
	// Filter is the query of a Filter; empty: all live dialogs.
	Filter  string `json:"filter,omitempty"`
	Replace bool   `json:"replace,omitempty"`
	DryRun  bool   `json:"dry_run,omitempty"`
	// Ends tells which of the remembered ends are sent: EndsRecent, EndsAll or EndsNone; empty: EndsRecent.
	Ends              string   `json:"ends,omitempty"`
	Rewrites          []string `json:"rewrites,omitempty"` // OLD=NEW
	ClearByeOnTimeout bool     `json:"clear_bye_on_timeout,omitempty"`
}

// Which of the remembered ends a sync sends.
const (
	EndsRecent = "recent" // those that the standby can know from this appliance
	EndsAll    = "all"
	EndsNone   = "none"
)

// What a standby says about a sync, in SyncSummary.Arrived.
const (
	ArrivedAll     = "all"
	ArrivedMissing = "missing"
	ArrivedUnclear = "unclear" // other packets of this appliance arrived at the same time
	NotConfirmed   = "not confirmed"
)

// SyncProgress is the progress of a sync.
type SyncProgress struct {
	Pass      int     `json:"pass"` // from 1
	Passes    int     `json:"passes"`
	Visited   uint64  `json:"visited"` // entries of the table visited in this pass
	Total     uint64  `json:"total"`   // estimated number of entries
	Packets   uint64  `json:"packets"` // sent in total
	Bytes     uint64  `json:"bytes"`
	Elapsed   float64 `json:"elapsed_seconds"`
	Remaining float64 `json:"remaining_seconds"` // estimate; 0 if there is none
}

// SyncSummary is the result of a sync.
type SyncSummary struct {
	To string `json:"to"`
	// Complete is true if everything was sent. Otherwise the summary shows how much was.
	Complete bool `json:"complete"`
	DryRun   bool `json:"dry_run"`
	Passes   int  `json:"passes"` // completed ones
	// Of the last pass:
	Dialogs     uint64            `json:"dialogs"`           // live ones sent
	Deletions   uint64            `json:"deletions"`         // remembered ends sent
	EndsSkipped uint64            `json:"ends_skipped"`      // remembered ends not sent, by Ends of the request
	Filtered    uint64            `json:"filtered"`          // not selected
	Expired     uint64            `json:"expired"`           // not sent because their timeout has passed
	Held        map[string]uint64 `json:"held"`              // held back by the shield, by reason
	NoSocket    uint64            `json:"no_socket"`         // without two sockets: OpenSIPS refuses them
	Unmatched   uint64            `json:"unmatched"`         // with a socket that no rule covers
	Sockets     map[string]uint64 `json:"unmatched_sockets"` // those sockets, up to 32
	// MoreSockets counts occurrences of sockets that are not in Sockets.
	MoreSockets uint64 `json:"more_sockets"`
	// Of all passes:
	Packets     uint64 `json:"packets"`
	Bytes       uint64 `json:"bytes"`
	Changes     uint64 `json:"changes"`      // events during the sync, sent after it
	ChangesHeld uint64 `json:"changes_held"` // of these, held back by the shield
	// Of these, snapshots with a socket that no rule covers, and the sockets, as above.
	ChangesUnmatched   uint64            `json:"changes_unmatched"`
	ChangesSockets     map[string]uint64 `json:"changes_unmatched_sockets"`
	ChangesMoreSockets uint64            `json:"changes_more_sockets"`
	Lost               uint64            `json:"lost"` // of these, overwritten before sending; a further pass made up for them
	SendErrors         uint64            `json:"send_errors"`
	// Converted counts dialogs that came in another layout than that of the receiver, and ConversionLost what of them has no
	// place there, by field.
	Converted      uint64            `json:"converted"`
	ConversionLost map[string]uint64 `json:"conversion_lost"`
	// Refused are sockets of dialogs that were held back from a node, because it would refuse them.
	Refused []string `json:"refused_sockets,omitempty"`
	Seconds float64  `json:"seconds"`
	// Arrived is what the standby says about the last pass: ArrivedAll, ArrivedMissing, ArrivedUnclear, or NotConfirmed if it is no
	// binrepd or doesn't answer. Missing counts the packets of that pass that didn't arrive.
	Arrived string `json:"arrived"`
	Missing uint64 `json:"missing"`
	// Asked is the proxy that was asked in the binrepd's place (sync --mi), without a password; empty: none. Then Missing counts dialogs.
	Asked string `json:"asked,omitempty"`
	// Estimate is how many seconds the sync would take, of a dry run with a rate; 0 otherwise.
	Estimate float64 `json:"estimated_seconds"`
}

// SyncStatus is a sync that is running.
type SyncStatus struct {
	To      string    `json:"to"`
	Started time.Time `json:"started"`
	SyncProgress
}

// RequestError is an error in the request. Nothing was started.
type RequestError struct{ Err error }

func (e *RequestError) Error() string { return e.Err.Error() }
func (e *RequestError) Unwrap() error { return e.Err }

// Sync makes the appliance send its table, and calls progress several times a second until it is done. If ctx ends, the
// sync stops. The summary then shows the last known progress.
func (c *Client) Sync(ctx context.Context, req SyncRequest, progress func(SyncProgress)) (SyncSummary, error) {
	last := SyncProgress{}
	summary, err := follow[SyncProgress, SyncSummary](ctx, c, "/v1/sync", req, func(p SyncProgress) {
		last = p
		progress(p)
	})
	if summary != nil || !errors.Is(err, errCut) {
		if summary == nil {
			summary = &SyncSummary{}
		}
		return *summary, err
	}
	partial := SyncSummary{
		To: req.To, DryRun: req.DryRun, Packets: last.Packets, Bytes: last.Bytes, Seconds: last.Elapsed,
		Held: map[string]uint64{}, ConversionLost: map[string]uint64{}, Sockets: map[string]uint64{}, ChangesSockets: map[string]uint64{},
	}
	if ctx.Err() != nil {
		return partial, ctx.Err()
	}
	return partial, fmt.Errorf("the connection to the appliance was lost during the sync: %w", err)
}
