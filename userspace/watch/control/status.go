package control

import (
	"time"

	"binrepd/dialog"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/wire/bin1"
)

// Status is what `binrepd status --json` prints. Counters count since the start.
type Status struct {
	// Word says how the whole stands, and Reason why it is not READY.
	Word    Word      `json:"word"`
	Reason  string    `json:"reason"`
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	// Mode in force: "xdp-native", "xdp-generic" or "socket"; with several interfaces the slowest of them.
	Mode string `json:"mode"`
	// FallbackReason says why the mode is not a better one; empty if it is the best or was asked for.
	FallbackReason string            `json:"fallback_reason"`
	Interfaces     []InterfaceStatus `json:"interfaces"`

	// Dialogs is the number of live ones, answered and confirmed.
	Dialogs    uint64  `json:"dialogs"`
	Answered   uint64  `json:"answered"`
	Confirmed  uint64  `json:"confirmed"`
	Early      uint64  `json:"early"`
	Tombstones uint64  `json:"tombstones"`
	Memory     Memory  `json:"memory"`
	Expired    Expired `json:"expired"`
	// MaxDialogs is how many dialogs, live and early, the table takes; 0: no limit.
	MaxDialogs uint64 `json:"max_dialogs"`
	// FullIn is in how many seconds the table is full if it goes on growing as in the last minutes; null if that isn't in sight.
	FullIn *float64 `json:"full_in_seconds"`

	// ClampedTimeouts counts snapshots whose timeout is more than 20 years ahead: their dialogs expire then.
	ClampedTimeouts uint64 `json:"clamped_timeouts"`
	// ClockAhead is how many seconds the wall clock is ahead of the clock that expiry goes by, which follows it slowly when it jumps.
	ClockAhead float64 `json:"clock_ahead_seconds"`

	// Well-formed events received, whatever became of them, under the names of OpenSIPS's statistics.
	CreateRecv uint64 `json:"create_recv"`
	UpdateRecv uint64 `json:"update_recv"`
	DeleteRecv uint64 `json:"delete_recv"`
	// Events handed on to backups, one each, however many backups there are.
	CreateSent uint64 `json:"create_sent"`
	UpdateSent uint64 `json:"update_sent"`
	DeleteSent uint64 `json:"delete_sent"`

	Account
	// Allow is who may speak, none: everyone. Denied and RateLimited are who was turned away most, up to ten each.
	Allow        []string            `json:"allow"`
	SourceRate   int                 `json:"source_rate"` // datagrams a second that each source address may send, 0: no limit
	Denied       []RefusedSource     `json:"denied_sources"`
	RateLimited  []RefusedSource     `json:"rate_limited_sources"`
	Listeners    []ListenerStatus    `json:"listeners"`
	Sources      []SourceStatus      `json:"sources"`
	Destinations []DestinationStatus `json:"destinations"`
	Syncs        []SyncStatus        `json:"syncs"`
	Capabilities map[string]uint64   `json:"capabilities"`
	Rings        []RingStatus        `json:"rings"`
	Latency      LatencyStatus       `json:"latency"`
	Pin          *PinStatus          `json:"pin,omitempty"`
	State        *StateStatus        `json:"state,omitempty"`
	Privileges   *PrivilegeStatus    `json:"privileges,omitempty"`
	Record       *RecordStatus       `json:"record,omitempty"`
}

// Memory of the table, in bytes.
type Memory struct {
	Records uint64 `json:"records"` // headers and packed dialogs
	Used    uint64 `json:"used"`    // parts in use for records and indexes
	Mapped  uint64 `json:"mapped"`  // taken from the system
	Limit   uint64 `json:"limit"`   // the most that Used can be
}

// Expired counts what went because its time was over.
type Expired struct {
	Live       uint64 `json:"live"`       // dialogs whose end nobody told
	Early      uint64 `json:"early"`      // calls whose answer nobody told
	Tombstones uint64 `json:"tombstones"` // the ordinary end of one
	// Ghosts were ended by hand (binrepd dialogs ghosts --remove).
	Ghosts uint64 `json:"ghosts"`
}

// InterfaceStatus says how one interface is served.
type InterfaceStatus struct {
	Name   string `json:"name"`
	Mode   string `json:"mode"`
	Reason string `json:"reason,omitempty"`
}

// Account is what became of the datagrams of one listener or of all. At rest
//
//	seen = applied + duplicate + stale + late + unknown + other_capability + every reason of rejected + every reason of lost
//
// where applied includes recovered and early.
type Account struct {
	Seen            uint64            `json:"seen"`
	Applied         uint64            `json:"applied"`
	Recovered       uint64            `json:"recovered"`
	BeganEarly      uint64            `json:"began_early"`
	Duplicate       uint64            `json:"duplicate"`
	Stale           uint64            `json:"stale"`
	Late            uint64            `json:"late"`
	Unknown         uint64            `json:"unknown"`
	OtherCapability uint64            `json:"other_capability"`
	Rejected        map[string]uint64 `json:"rejected"`
	Lost            map[string]uint64 `json:"lost"`
}

// NewAccount renders what the engine counted in a. Seen is what the ways in counted, denied how much of it they turned away because
// the source may not speak, and lost their losses, by reason.
func NewAccount(seen uint64, a *engine.Account, denied uint64, lost map[string]uint64) Account {
	out := Account{
		Seen: seen, Applied: a.Applied(),
		Recovered: a.Outcome(dialog.Recovered), BeganEarly: a.Outcome(dialog.BeganEarly),
		Duplicate: a.Outcome(dialog.Duplicate), Stale: a.Outcome(dialog.Stale),
		Late: a.Outcome(dialog.Late), Unknown: a.Outcome(dialog.Unknown),
		OtherCapability: a.Verdicts[bin1.OtherCapability],
		Rejected:        map[string]uint64{"denied": denied},
		Lost:            lost,
	}
	for v := bin1.Short; v < bin1.Verdicts; v++ {
		out.Rejected[v.String()] = a.Verdicts[v]
	}
	for _, o := range []dialog.Outcome{dialog.RefusedMemory, dialog.RefusedCall} {
		out.Rejected[o.String()] = a.Outcome(o)
	}
	return out
}

// Sum adds up what became of the datagrams. At rest it equals Seen.
func (a *Account) Sum() uint64 {
	n := a.Applied + a.Duplicate + a.Stale + a.Late + a.Unknown + a.OtherCapability
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
	// Steered datagrams came through a ring, Socket ones through the plain socket.
	Steered uint64 `json:"steered"`
	Socket  uint64 `json:"socket"`
	// Denied datagrams were turned away on either way; they are in Rejected, too.
	Denied uint64 `json:"denied"`
	// Passed counts frames that XDP left to the kernel, by reason; their datagrams arrive at the socket.
	Passed map[string]uint64 `json:"passed,omitempty"`
	// ReceiveBuffer of the socket in bytes, as the kernel granted it.
	ReceiveBuffer int `json:"receive_buffer"`
	// Waiting is how many bytes of it are in use now, as the kernel charges them.
	Waiting uint64 `json:"receive_buffer_used"`
}

// SourceStatus is what one source sent.
type SourceStatus struct {
	Address  string    `json:"address"`
	Events   uint64    `json:"events"`
	Rejected uint64    `json:"rejected"`
	Last     time.Time `json:"last"`
	Rate     float64   `json:"rate"` // events a second, over the last ten
	// Skew is how many seconds the source's clock is ahead of ours, by its recent creations; null if there were none.
	Skew *float64 `json:"clock_skew_seconds"`
}

// DestinationStatus is the account of one backup. At rest, of the events since it was added,
// forwarded = sent + queued + dropped + own + lost + every reason of held.
type DestinationStatus struct {
	Address  string            `json:"address"`  // as it was named
	Endpoint string            `json:"endpoint"` // what the name stands for; empty while it is not resolved
	State    string            `json:"state"`    // resolving, up, refused or unreachable
	Since    time.Time         `json:"since"`
	Cause    string            `json:"cause,omitempty"` // the last error
	Rate     int               `json:"rate_limit"`      // packets a second, 0: none
	Sent     uint64            `json:"sent"`
	Bytes    uint64            `json:"bytes"`
	Queued   uint64            `json:"queued"`
	Dropped  uint64            `json:"dropped"` // overwritten in the queue before they could be sent
	Own      uint64            `json:"own"`     // came from there and don't go back
	Lost     uint64            `json:"lost"`    // refused by this host for good
	Held     map[string]uint64 `json:"held"`    // held back by the shield, by reason
	// Errors are those of sending, those that a repetition cured and those that the network told of later included; Refusals and Unreachables are
	// parts of them: nobody listened there, and there was no way.
	Errors       uint64 `json:"send_errors"`
	Refusals     uint64 `json:"refusals"`
	Unreachables uint64 `json:"unreachables"`

	NoSocket  uint64            `json:"no_socket"`
	Unmatched uint64            `json:"unmatched"`         // dialogs with a socket that no rule names
	Sockets   map[string]uint64 `json:"unmatched_sockets"` // those sockets, up to 32
	// MoreSockets is how often others than those of Sockets occurred.
	MoreSockets uint64 `json:"more_sockets"`
}

// NewSource renders what the engine counted of a source.
func NewSource(s engine.SourceStatus) SourceStatus {
	out := SourceStatus{Address: senderName(s.Sender), Events: s.Events, Rejected: s.Rejected, Last: s.Last}
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
	// Refused records and wake-ups that came late are defects; both stay zero.
	Refused     uint64 `json:"refused"`
	LateWakeups uint64 `json:"late_wakeups"`
}

// LatencyStatus tells how long datagrams took from the kernel's receipt to the table, in microseconds.
type LatencyStatus struct {
	P50  float64 `json:"p50_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p99_9_us"`
	Max  float64 `json:"max_us"`
}

// NewLatency reads the quantiles of h.
func NewLatency(h *engine.Histogram) LatencyStatus {
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	return LatencyStatus{
		P50: us(h.Quantile(0.50)), P99: us(h.Quantile(0.99)), P999: us(h.Quantile(0.999)),
		Max: us(time.Duration(h.Max)),
	}
}
