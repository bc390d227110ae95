package proxies

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"binrepd/userspace/watch/control"
)

// Paths of the requests.
const (
	auditPath   = "/v1/audit"
	importPath  = "/v1/import"
	arrivedPath = "/v1/arrived"
)

// Target names a proxy, and whose dialogs in the table are its own.
type Target struct {
	MI string `json:"mi"` // address of its management interface, see mi.Forms
	// Node and Origin choose the dialogs of the table that the proxy should have: those that last came from a node of a
	// cluster, or from an address with or without a port. Without either, they are those that came in datagrams from the
	// host of MI; if none ever did, all dialogs.
	Node   uint32 `json:"node,omitempty"`
	Origin string `json:"origin,omitempty"`
}

// AuditRequest asks for an audit of a proxy.
type AuditRequest struct {
	Target
	// Repair ends what isn't at the proxy, and takes in what isn't here. Fields that differ stay as they are.
	Repair bool `json:"repair,omitempty"`
}

// Field is a field that differs. Its name is that of dlg_list.
type Field struct {
	Field string       `json:"field"`
	Here  control.Text `json:"here"`
	Proxy control.Text `json:"proxy"`
}

// Finding is one dialog that isn't the same on both sides. Its kinds are those of package audit.
type Finding struct {
	Kind      string       `json:"kind"`
	CallID    control.Text `json:"callid"`
	CallerTag control.Text `json:"caller_tag"`
	CalleeTag control.Text `json:"callee_tag"`
	Origin    string       `json:"origin,omitempty"`  // source of the dialog here
	Updated   uint32       `json:"updated,omitempty"` // Unix seconds of the last change here
	Fields    []Field      `json:"fields,omitempty"`
	Repaired  bool         `json:"repaired"`
}

// AuditSummary is the result of an audit.
type AuditSummary struct {
	Proxy    string `json:"proxy"`   // its address, without a password
	Version  string `json:"version"` // what it calls itself
	Equal    bool   `json:"equal"`
	Repair   bool   `json:"repair"`
	Expected string `json:"expected"` // whose dialogs of the table the proxy should have
	control.AuditCounts
}

// auditLine is one line of an answer: a finding, or at the end the summary.
type auditLine struct {
	Finding *Finding      `json:"finding,omitempty"`
	Summary *AuditSummary `json:"summary,omitempty"`
}

// Audit compares a proxy with the table of the appliance, and calls each for every finding.
func Audit(ctx context.Context, c *control.Client, req AuditRequest, each func(*Finding) error) (AuditSummary, error) {
	return ask(ctx, c, auditPath, req, each)
}

// ArrivedRequest asks whether a proxy has the dialogs of the table, after a sync to it.
type ArrivedRequest struct {
	MI     string `json:"mi"`
	Filter string `json:"filter,omitempty"` // query of a control.Filter; empty: all live dialogs
	// Before leaves out dialogs that changed at that time or later, in Unix seconds: when the sync began.
	Before uint32 `json:"before"`
}

// Arrived asks a proxy whether it has the dialogs of the appliance's table, and calls each for every one that it
// hasn't. Only the counts Here, There, Recent, Unclear and Unchecked of the summary are used.
func Arrived(ctx context.Context, c *control.Client, req ArrivedRequest, each func(*Finding) error) (AuditSummary, error) {
	return ask(ctx, c, arrivedPath, req, each)
}

func ask(ctx context.Context, c *control.Client, path string, req any, each func(*Finding) error) (s AuditSummary, err error) {
	done := false
	err = c.Ask(ctx, path, req, func(line []byte) error {
		var l auditLine
		if err := json.Unmarshal(line, &l); err != nil {
			return fmt.Errorf("answer of the appliance: %w", err)
		}
		if l.Finding != nil {
			return each(l.Finding)
		}
		if l.Summary != nil {
			s, done = *l.Summary, true
		}
		return nil
	})
	if err == nil && !done {
		err = errCut
	}
	return s, err
}

var errCut = errors.New("the answer of the appliance is cut off")

// ImportRequest asks for the dialogs of a proxy.
type ImportRequest struct {
	Target      // Node and Origin are the source that the dialogs are said to come from
	DryRun bool `json:"dry_run,omitempty"`
}

// ImportSummary is the result of an import.
type ImportSummary struct {
	Proxy    string            `json:"proxy"`
	Version  string            `json:"version"`
	Layout   string            `json:"layout"` // in which the dialogs are stored
	Origin   string            `json:"origin"` // the source that they are said to come from; "other" if none is known
	DryRun   bool              `json:"dry_run"`
	Dialogs  uint64            `json:"dialogs"` // answered ones at the proxy
	Early    uint64            `json:"early"`   // not answered yet: events will tell of them
	Imported uint64            `json:"imported"`
	Known    uint64            `json:"known"`    // here already
	Outcomes map[string]uint64 `json:"outcomes"` // of all
	Unfit    uint64            `json:"unfit"`    // that can't be stored, such as those with a field that is too long
	Lacking  uint64            `json:"lacking"`  // imported without user flags or profiles, which this interface gives incompletely
	Seconds  float64           `json:"seconds"`
}

// Import fills the appliance's table with what a proxy knows.
func Import(ctx context.Context, c *control.Client, req ImportRequest) (s ImportSummary, err error) {
	done := false
	err = c.Ask(ctx, importPath, req, func(line []byte) error {
		done = true
		return json.Unmarshal(line, &s)
	})
	if err == nil && !done {
		err = errCut
	}
	return s, err
}
