package control

import (
	"fmt"
	"time"
)

// AuditCounts is what an audit of a proxy found. The counts are of dialogs.
type AuditCounts struct {
	Dialogs   uint64  `json:"dialogs"`          // answered ones at the proxy
	Here      uint64  `json:"here"`             // live ones here that the proxy should have
	Compared  uint64  `json:"compared"`         // on both sides
	Missing   uint64  `json:"missing_here"`     // at the proxy, not here
	There     uint64  `json:"missing_at_proxy"` // here, not at the proxy: ghosts
	Different uint64  `json:"different"`        // on both sides, with different fields
	Repaired  uint64  `json:"repaired"`
	Recent    uint64  `json:"recent"`    // not judged, because events told of them during the audit
	Unclear   uint64  `json:"unclear"`   // the proxy can't be asked for them one by one
	Unchecked uint64  `json:"unchecked"` // seemed to differ, beyond the number that is asked for one by one
	Asked     uint64  `json:"asked"`     // one by one
	Seconds   float64 `json:"seconds"`
}

// Differences is how many dialogs differ in any way.
func (c *AuditCounts) Differences() uint64 { return c.Missing + c.There + c.Different + c.Unchecked }

// Text says in one line what was found.
func (c *AuditCounts) Text() string {
	if c.Differences() == 0 {
		return fmt.Sprintf("equal: %d dialogs", c.Compared)
	}
	text := fmt.Sprintf("%d missing here, %d missing at the proxy, %d different", c.Missing, c.There, c.Different)
	if c.Unchecked > 0 {
		text += fmt.Sprintf(", %d more not checked one by one", c.Unchecked)
	}
	return text
}

// AuditStatus is an audit on a schedule (--audit).
type AuditStatus struct {
	Proxy    string  `json:"proxy"` // its address, without a password
	Interval float64 `json:"interval_seconds"`
	Running  bool    `json:"running"`
	// Last is when the last audit ended that could be completed, and AuditCounts what it found.
	Last time.Time `json:"last,omitzero"`
	// Error is why the last try wasn't completed; empty if it was, or if there was none.
	Error string `json:"error"`
	AuditCounts
}

// auditProblems adds what audits found.
func (s *Status) auditProblems() {
	for i := range s.Audits {
		a := &s.Audits[i]
		if a.Error != "" {
			s.AddProblem(AuditFailing, "proxy %s can't be audited: %s", Printable(a.Proxy), Printable(a.Error))
		}
		if n := a.Differences() - min(a.Differences(), a.Repaired); n > 0 {
			s.AddProblem(AuditDiffers, "audit of proxy %s: %s", Printable(a.Proxy), a.Text())
		}
	}
}

// Cold starts: an appliance that begins beside proxies that have been running doesn't know their calls.
const (
	coldLeast = 20   // updates of unknown calls
	coldShare = 0.05 // of all updates
)

// Cold says that many updates told of calls that weren't known, or "" if few did. It is a hint to import them.
func (s *Status) Cold() string {
	if s.Recovered < coldLeast || float64(s.Recovered) < coldShare*float64(s.UpdateRecv) {
		return ""
	}
	return fmt.Sprintf("%d of %d updates told of calls that weren't known here: binrepd import --mi URL asks a proxy for all its calls",
		s.Recovered, s.UpdateRecv)
}
