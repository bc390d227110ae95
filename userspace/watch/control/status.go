package control

import (
	"fmt"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin2"
)

// Status is what `binrepd status --json` prints. Counters count from the start of the process.
type Status struct {
	// Word is the overall state. Reason is why it is not READY.
	Word   Word   `json:"word"`
	Reason string `json:"reason"`
	// Problems are what is wrong beside the word. It is never null.
	Problems []Problem `json:"problems"`
	Version  string    `json:"version"`
	PID      int       `json:"pid"`
	Started  time.Time `json:"started"`
	// Mode is the mode in force: "xdp-native", "xdp-generic" or "socket". With several interfaces it is the slowest of
	// them.
	Mode string `json:"mode"`
	// FallbackReason is why the mode is not a better one. It is empty if the mode is the best one or was requested.
	FallbackReason string            `json:"fallback_reason"`
	Interfaces     []InterfaceStatus `json:"interfaces"`

	// Dialogs is the number of live dialogs: answered and confirmed.
	Dialogs    uint64  `json:"dialogs"`
	Answered   uint64  `json:"answered"`
	Confirmed  uint64  `json:"confirmed"`
	Early      uint64  `json:"early"`
	Tombstones uint64  `json:"tombstones"`
	Memory     Memory  `json:"memory"`
	Expired    Expired `json:"expired"`
	// MaxDialogs is the maximum number of dialogs, live and early, in the table; 0: no limit.
	MaxDialogs uint64 `json:"max_dialogs"`
	// FullIn is in how many seconds the table is full if it grows on as in the last minutes. It is null if that is not
	// in sight.
	FullIn *float64 `json:"full_in_seconds"`

	// ClampedTimeouts counts snapshots whose timeout is more than 20 years ahead. Their dialogs expire after 20 years.
	ClampedTimeouts uint64 `json:"clamped_timeouts"`
	// ClockAhead is how many seconds the wall clock is ahead of the clock used for expiry. When the wall clock jumps,
	// that clock follows slowly.
	ClockAhead float64 `json:"clock_ahead_seconds"`

	// LogLost is how many lines of the log could not be written, because nobody reads it or the disk is full.
	LogLost uint64 `json:"log_lines_lost"`

	// Well-formed events received, whatever their outcome, under the names of OpenSIPS's statistics.
	CreateRecv uint64 `json:"create_recv"`
	UpdateRecv uint64 `json:"update_recv"`
	DeleteRecv uint64 `json:"delete_recv"`
	// Events passed on to backups. Each counts once, however many backups there are.
	CreateSent uint64 `json:"create_sent"`
	UpdateSent uint64 `json:"update_sent"`
	DeleteSent uint64 `json:"delete_sent"`

	Account
	// Allow lists the allowed sources; if it is empty, every source is allowed. Denied and RateLimited list the sources
	// refused most, up to ten each.
	Allow        []string            `json:"allow"`
	SourceRate   int                 `json:"source_rate"` // datagrams a second for each source address, 0: no limit
	Denied       []RefusedSource     `json:"denied_sources"`
	RateLimited  []RefusedSource     `json:"rate_limited_sources"`
	Listeners    []ListenerStatus    `json:"listeners"`
	Clusters     []ClusterStatus     `json:"clusters"`
	Bridges      []BridgeStatus      `json:"bridges"`
	Sources      []SourceStatus      `json:"sources"`
	Nodes        []NodeStatus        `json:"nodes"` // that sent dialogs of generation 2
	Destinations []DestinationStatus `json:"destinations"`
	Syncs        []SyncStatus        `json:"syncs"`
	Audits       []AuditStatus       `json:"audits"`
	Capabilities ByText[uint64]      `json:"capabilities"`
	Rings        []RingStatus        `json:"rings"`
	Latency      LatencyStatus       `json:"latency"`
	// LatencyRecent is that of the last minutes, LatencyWindow how many seconds these are.
	LatencyRecent LatencyStatus    `json:"latency_recent"`
	LatencyWindow float64          `json:"latency_window_seconds"`
	Pin           *PinStatus       `json:"pin,omitempty"`
	State         *StateStatus     `json:"state,omitempty"`
	Privileges    *PrivilegeStatus `json:"privileges,omitempty"`
	Record        *RecordStatus    `json:"record,omitempty"`

	histogram *engine.Histogram // Latency with all buckets
}

// Memory of the table, in bytes.
type Memory struct {
	Records uint64 `json:"records"` // headers and packed dialogs
	Used    uint64 `json:"used"`    // parts in use for records and indexes
	Mapped  uint64 `json:"mapped"`  // taken from the system
	Limit   uint64 `json:"limit"`   // maximum of Used
}

// Expired counts entries that were removed because their time was over.
type Expired struct {
	Live       uint64 `json:"live"`       // dialogs whose end was never received
	Early      uint64 `json:"early"`      // calls whose answer was never received
	Tombstones uint64 `json:"tombstones"` // their normal end
	Waiting    uint64 `json:"waiting"`    // values and CSeqs whose dialog was never received
	// Ghosts were ended by an operator (binrepd dialogs ghosts --remove).
	Ghosts uint64 `json:"ghosts"`
	// Dropped were ended because their node had dropped them, which a sync has proven.
	Dropped uint64 `json:"dropped"`
}

// InterfaceStatus is the state of one interface.
type InterfaceStatus struct {
	Name   string `json:"name"`
	Mode   string `json:"mode"`
	Reason string `json:"reason,omitempty"`
	// Link is one of the Link constants, or empty if it isn't known yet.
	Link string `json:"link"`
	// Unused is true if nothing is known to come in here: the interface is watched only because a listen address is a
	// wildcard, and it has had no carrier since the start. That is no problem then.
	Unused bool `json:"unused,omitempty"`
	// What the interface, its driver and the kernel lost in front of XDP and the sockets, since the start of the process.
	// Lost is what counts as a loss. Dropped and Missed are the interface's counters rx_dropped and rx_missed_errors,
	// rx_fifo_errors and rx_over_errors. A few Dropped a second are no loss: the kernel counts frames there whose
	// protocol nothing handles. Queues are the driver's own counters of that kind, by name, as ethtool -S prints them.
	Lost    uint64            `json:"lost"`
	Dropped uint64            `json:"rx_dropped"`
	Missed  uint64            `json:"rx_missed"`
	Queues  map[string]uint64 `json:"queues,omitempty"`
}

// The states of an interface's link.
const (
	LinkUp        = "up"
	LinkDown      = "down"       // set down by an administrator
	LinkNoCarrier = "no-carrier" // up, but the cable or the peer is missing
	LinkMissing   = "missing"    // there is no such interface
)

// Account counts what became of the datagrams of one listener or of all. At rest
//
//	seen = applied + duplicate + stale + late + unknown + waiting + sync_packets + other_capability + every reason of rejected + every reason of lost
//
// applied includes recovered and early.
type Account struct {
	Seen            uint64            `json:"seen"`
	Applied         uint64            `json:"applied"`
	Recovered       uint64            `json:"recovered"`
	BeganEarly      uint64            `json:"began_early"`
	Duplicate       uint64            `json:"duplicate"`
	Stale           uint64            `json:"stale"`
	Late            uint64            `json:"late"`
	Unknown         uint64            `json:"unknown"`
	Waiting         uint64            `json:"waiting"` // changes of generation 2 that came before their dialog
	SyncPackets     uint64            `json:"sync_packets"`
	OtherCapability uint64            `json:"other_capability"`
	Rejected        map[string]uint64 `json:"rejected"`
	Lost            map[string]uint64 `json:"lost"`
}

// NewAccount renders the account a of the engine. seen is the count of the intakes. denied is how many of these they
// refused because the source is not allowed. lost is their losses by reason.
func NewAccount(seen uint64, a *engine.Account, denied uint64, lost map[string]uint64) Account {
	out := Account{
		Seen: seen, Applied: a.Applied(),
		Recovered: a.Outcome(dialog.Recovered), BeganEarly: a.Outcome(dialog.BeganEarly),
		Duplicate: a.Outcome(dialog.Duplicate), Stale: a.Outcome(dialog.Stale),
		Late: a.Outcome(dialog.Late), Unknown: a.Outcome(dialog.Unknown),
		Waiting: a.Outcome(dialog.Waiting), SyncPackets: a.Verdicts2[bin2.Chunks],
		OtherCapability: a.OtherCapability(),
		Rejected:        map[string]uint64{"denied": denied},
		Lost:            lost,
	}
	for v := bin1.Short; v < bin1.Verdicts; v++ {
		out.Rejected[v.String()] = a.Verdicts[v]
	}
	for v := bin2.BadPacket; v < bin2.Verdicts; v++ {
		out.Rejected[v.String()] += a.Verdicts2[v]
	}
	for _, o := range []dialog.Outcome{dialog.RefusedMemory, dialog.RefusedCall, dialog.RefusedChange, dialog.Fenced} {
		out.Rejected[o.String()] = a.Outcome(o)
	}
	return out
}

// Sum adds up all outcomes. At rest it equals Seen.
func (a *Account) Sum() uint64 {
	n := a.Applied + a.Duplicate + a.Stale + a.Late + a.Unknown + a.Waiting + a.SyncPackets + a.OtherCapability
	for _, c := range a.Rejected {
		n += c
	}
	for _, c := range a.Lost {
		n += c
	}
	return n
}

// ListenerStatus is the account of one listen address.
type ListenerStatus struct {
	Address string `json:"address"`
	Account
	// Steered datagrams came through a ring, and Socket datagrams through the plain socket.
	Steered uint64 `json:"steered"`
	Socket  uint64 `json:"socket"`
	// Denied datagrams were refused on either way. They are also in Rejected.
	Denied uint64 `json:"denied"`
	// Passed counts frames that XDP left to the kernel, by reason. Their datagrams arrive at the socket.
	Passed map[string]uint64 `json:"passed,omitempty"`
	// Hint says what to do if all datagrams come by the socket although XDP is attached. It is empty otherwise.
	Hint string `json:"hint,omitempty"`
	// ReceiveBuffer is the size of the socket's receive buffer in bytes, as granted by the kernel.
	ReceiveBuffer int `json:"receive_buffer"`
	// Waiting is how many bytes of it are in use now, by the kernel's accounting.
	Waiting uint64 `json:"receive_buffer_used"`
}

// SourceStatus is the state of one source.
type SourceStatus struct {
	Address  string `json:"address"`
	Events   uint64 `json:"events"`
	Applied  uint64 `json:"applied"` // events that changed the table
	Rejected uint64 `json:"rejected"`
	// Counts tells whether silence of the source makes the word STALE (package sources). A node of a cluster always counts.
	// Expected: an operator said so.
	Counts   bool      `json:"counts"`
	Expected bool      `json:"expected"`
	Last     time.Time `json:"last"` // zero if it was never heard
	// Restarts is how often the source was restarted, as far as binrepd noticed. Restarted is between its last event before
	// the last restart and the first one after it; zero if there was none, and for a node.
	Restarts  int       `json:"restarts"`
	Restarted time.Time `json:"restarted,omitzero"`
	Rate      float64   `json:"rate"` // events a second, over the last ten seconds
	// Skew is how many seconds the source's clock is ahead of ours, measured by its recent creations. It is null if
	// there were none.
	Skew *float64 `json:"clock_skew_seconds"`
	node bool     // of a cluster
}

// NodeStatus tells in which layout a node sends dialogs of generation 2.
type NodeStatus struct {
	Source  string `json:"source"`  // who sent its packets to this appliance
	Cluster int32  `json:"cluster"` // as its packets say
	Node    int32  `json:"node"`    // likewise
	Layout  string `json:"layout"`
	Decided bool   `json:"layout_decided"` // no other layout fits what it sent
}

// NewNode renders the status of a node.
func NewNode(n engine.NodeStatus) NodeStatus {
	return NodeStatus{Source: SenderName(n.Sender), Cluster: n.Cluster, Node: n.Node, Layout: n.Layout.String(), Decided: n.Decided}
}

// DestinationStatus is the account of one backup. At rest, for the events since the backup was added, forwarded = sent
// + queued + dropped + own + lost + every reason of held.
type DestinationStatus struct {
	Address  string    `json:"address"`  // as configured
	Endpoint string    `json:"endpoint"` // the resolved address; empty while it is not resolved
	State    string    `json:"state"`    // resolving, up, refused or unreachable
	Since    time.Time `json:"since"`
	Cause    string    `json:"cause,omitempty"` // the last error
	Rate     int       `json:"rate_limit"`      // packets a second, 0: no limit
	Peer     bool      `json:"binrepd"`         // it is another appliance, and gets events with their stamps
	Paused   bool      `json:"paused"`          // by `binrepd backups pause`
	// NeedsSync says why it may lack something until it is synced, such as "was away 26 s"; empty: nothing is known to be
	// missing. Away is how long it was away last, in seconds.
	NeedsSync string  `json:"needs_sync,omitempty"`
	Away      float64 `json:"away_seconds"`

	Sent    uint64 `json:"sent"`
	Bytes   uint64 `json:"bytes"`
	Queued  uint64 `json:"queued"`
	Dropped uint64 `json:"dropped"` // overwritten in the queue before they could be sent
	Own     uint64 `json:"own"`     // came from there and are not sent back
	Lost    uint64 `json:"lost"`    // finally refused by this host
	// Repeated are updates that were sent once more, because the backup may not have known the call.
	Repeated uint64            `json:"repeated"`
	Held     map[string]uint64 `json:"held"` // held back by the shield, by reason
	// Converted counts dialogs of generation 2 that were converted, and ConversionLost what of them has no place in
	// generation 1, by field.
	Converted      uint64            `json:"converted"`
	ConversionLost map[string]uint64 `json:"conversion_lost"`
	// Errors counts errors of sending. It includes those that a retry resolved and those that the network reported
	// later. Refusals and Unreachables are parts of it: the port was closed, or there was no route.
	Errors       uint64 `json:"send_errors"`
	Refusals     uint64 `json:"refusals"`
	Unreachables uint64 `json:"unreachables"`

	NoSocket  uint64         `json:"no_socket"`
	Unmatched uint64         `json:"unmatched"`         // dialogs with a socket that no rule covers
	Sockets   ByText[uint64] `json:"unmatched_sockets"` // those sockets, up to 32
	// MoreSockets counts occurrences of sockets that are not in Sockets.
	MoreSockets uint64 `json:"more_sockets"`
}

// NewSource renders the engine's state of a source.
func NewSource(s engine.SourceStatus) SourceStatus {
	node := s.Sender.Node != 0 && s.Sender.Port == 0
	out := SourceStatus{
		Address: SenderName(s.Sender), Events: s.Events, Applied: s.Applied, Rejected: s.Rejected, Last: s.Last,
		node: node, Counts: node,
	}
	if s.Skew != nil {
		ahead := s.Skew.Seconds()
		out.Skew = &ahead
	}
	return out
}

// RingStatus is the state of one ring buffer.
type RingStatus struct {
	Records   uint64 `json:"records"`
	Size      uint64 `json:"size"`       // bytes
	Fill      uint64 `json:"fill"`       // bytes waiting now
	HighWater uint64 `json:"high_water"` // most bytes that ever waited
	// Refused records and late wake-ups are defects. Both should stay zero.
	Refused     uint64 `json:"refused"`
	LateWakeups uint64 `json:"late_wakeups"`
}

// LatencyStatus is how long datagrams took from the kernel's receipt to the table, in microseconds. Datagrams that the
// kernel received before the process read don't count.
type LatencyStatus struct {
	P50  float64 `json:"p50_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p99_9_us"`
	Max  float64 `json:"max_us"`
}

// SetLatency sets the latency since the start, and keeps h for that of the last minutes.
func (s *Status) SetLatency(h *engine.Histogram) {
	s.Latency, s.histogram = newLatency(h), h
}

// newLatency returns the quantiles of h.
func newLatency(h *engine.Histogram) LatencyStatus {
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	return LatencyStatus{
		P50: us(h.Quantile(0.50)), P99: us(h.Quantile(0.99)), P999: us(h.Quantile(0.999)),
		Max: us(time.Duration(h.Max)),
	}
}

// String returns the quantiles in the unit that suits each: p50 98 us, p99 3.1 ms, p99.9 36 ms, max 1.6 s.
func (l LatencyStatus) String() string {
	return fmt.Sprintf("p50 %s, p99 %s, p99.9 %s, max %s", Micros(l.P50), Micros(l.P99), Micros(l.P999), Micros(l.Max))
}

// Micros formats a number of microseconds in the unit that suits it.
func Micros(us float64) string {
	switch {
	case us >= 1e6:
		return fmt.Sprintf("%.1f s", us/1e6)
	case us >= 1e4:
		return fmt.Sprintf("%.0f ms", us/1e3)
	case us >= 1e3:
		return fmt.Sprintf("%.1f ms", us/1e3)
	}
	return fmt.Sprintf("%.0f us", us)
}
