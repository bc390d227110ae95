package membership

import (
	"net/netip"
	"time"

	"binrepd/userspace/wire/bin2"
)

// Origin is where a packet came from.
type Origin struct {
	// Addr is the address of the TCP peer. The zero value passes the check of addresses.
	Addr netip.Addr
	// Connection is any number that the caller gives to the connection. Answers that must go back on it carry it.
	Connection uint64
}

// Send is a packet to send.
type Send struct {
	// Node is the node to send to, over any connection to it. If there is none the caller opens one, or calls
	// SendFailed. 0: the packet goes to Connection or nowhere.
	Node int32
	// Connection is the one on which the packet came that this one answers; 0 if it answers none. It is one of
	// those that reach Node.
	Connection uint64
	// At is the time before which the packet must not be sent.
	At     time.Time
	Kind   bin2.Kind
	Packet []byte
}

// EventKind is a kind of event.
type EventKind uint8

// The kinds of events.
const (
	// LinkUp: the link to Node is up.
	LinkUp EventKind = iota + 1
	// LinkLost: the link to Node was up, and Node doesn't answer or can't be reached.
	LinkLost
	// LinkDown: Node didn't answer any retry.
	LinkDown
	// Gap: packets of Node may have been lost. Cause says how it shows.
	Gap
	// NewLife: Node was restarted.
	NewLife
	// NodeLearned: Node was added; Text is its URL. If that holds a name, SetAddresses is due.
	NodeLearned
	// NodeRemoved: Node was removed, by Other or to make room.
	NodeRemoved
	// WeAreRemoved: Node has removed this node from the cluster. It takes part no more until Enable is called.
	WeAreRemoved
	// DialectLearned: what releases Node can have has become clearer; Text names them.
	DialectLearned
	// CapabilityChanged: Node announces the capability Text, with the state On.
	CapabilityChanged
	// TagChanged: Node is active for the tag Text; before it was Other, or nobody if that is 0.
	TagChanged
	// TagConflict: Node claims the tag Text, shortly after Other did.
	TagConflict
	// SyncRequested: Node asks for all data of the capability Text, in the sync version Version. It must be answered:
	// Node may wait for ever.
	SyncRequested
	// Nudged: Node answers pings and has sent nothing itself for long, so it was sent a PONG that it didn't ask for.
	Nudged
	// EventKinds is the number of values, for arrays of counters.
	EventKinds
)

var eventNames = [...]string{
	LinkUp:            "link up",
	LinkLost:          "link lost",
	LinkDown:          "link down",
	Gap:               "gap",
	NewLife:           "node restarted",
	NodeLearned:       "node learned",
	NodeRemoved:       "node removed",
	WeAreRemoved:      "this node was removed",
	DialectLearned:    "dialect learned",
	CapabilityChanged: "capability changed",
	TagChanged:        "tag changed",
	TagConflict:       "tag conflict",
	SyncRequested:     "sync requested",
	Nudged:            "nudged",
}

// String returns the kind in words.
func (k EventKind) String() string {
	if k == 0 || k >= EventKinds {
		return "unknown"
	}
	return eventNames[k]
}

// Cause is how a gap shows.
type Cause uint8

// The causes. OpenSIPS never tells what it didn't send.
const (
	// LinkWasLost: our link to the node was lost and is up again.
	LinkWasLost Cause = iota + 1
	// NodeProbes: the node, which had a link to us, pings as one that has none.
	NodeProbes
	// NodeSaysDown: the node tells that its link to us is down.
	NodeSaysDown
	// NodeJoined: the node sends its topology, as it does on a new link, though it had one.
	NodeJoined
	// Causes is the number of values, for arrays of counters.
	Causes
)

var causeNames = [...]string{0: "none", LinkWasLost: "link was lost", NodeProbes: "node probes the link",
	NodeSaysDown: "node says that the link was down", NodeJoined: "node made a new link"}

// String returns the cause in words.
func (c Cause) String() string {
	if c >= Causes {
		return "unknown"
	}
	return causeNames[c]
}

// Event is something that the caller may want to act upon.
type Event struct {
	Kind    EventKind
	Node    int32
	Other   int32
	Text    string
	On      bool
	Version int16
	Cause   Cause
}

// Output collects what calls of a Machine produce. The caller owns it and uses it again after Reset; the packets in
// it are valid until then.
type Output struct {
	Sends  []Send
	Events []Event
	buf    []byte
}

// Reset empties the output and keeps its memory.
func (o *Output) Reset() {
	clear(o.Events) // their texts
	o.Sends, o.Events, o.buf = o.Sends[:0], o.Events[:0], o.buf[:0]
}

func (o *Output) event(e Event) { o.Events = append(o.Events, e) }
