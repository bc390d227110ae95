package membership

import "binrepd/userspace/wire/bin2"

// Verdict is what the caller does with a packet.
type Verdict uint8

// The verdicts.
const (
	// Refused: drop the packet. The reason says why.
	Refused Verdict = iota
	// Ignored: the packet is right and has no effect here. The reason says why.
	Ignored
	// Handled: a message between members; the machine has dealt with it.
	Handled
	// Deliver: a packet for this node, of another module or a part of a sync: apply it.
	Deliver
	// Forward: a packet for another node: send it on unchanged, or drop it.
	Forward
	// Verdicts is the number of values, for arrays of counters.
	Verdicts
)

var verdictNames = [...]string{Refused: "refused", Ignored: "ignored", Handled: "handled", Deliver: "deliver", Forward: "forward"}

// String returns the verdict in words.
func (v Verdict) String() string {
	if v >= Verdicts {
		return "unknown"
	}
	return verdictNames[v]
}

// Reason is why a packet was refused or ignored. NoReason for all others.
type Reason uint8

// Reasons to refuse a packet, and from Repeated on to ignore it.
const (
	NoReason Reason = iota
	// Malformed: the message doesn't decode. Outcome.Fault has more.
	Malformed
	// WrongCluster: the packet is of a cluster that this machine isn't in.
	WrongCluster
	// Removed: this node was removed from the cluster and refuses everything until Enable is called.
	Removed
	// Bridged: the packet comes from another cluster, over a bridge of OpenSIPS 4.0.
	Bridged
	// OwnID: somebody else uses the id of this node.
	OwnID
	// OwnURL: a node gives our URL as its own.
	OwnURL
	// UnknownSource: the source isn't a known node.
	UnknownSource
	// WrongAddress: the packet comes from an address of no known node.
	WrongAddress
	// SourceDisabled: the source is a node that was disabled here.
	SourceDisabled
	// UnknownDestination: the packet is for a node that isn't known.
	UnknownDestination
	// TooManyNodes, TooManyTags, TooManyCaps, TextTooLong: a bound of this package is reached.
	TooManyNodes
	TooManyTags
	TooManyCaps
	TextTooLong
	// BadID: a node id below 1.
	BadID

	// Repeated: the message came before, on this way or on another one, or a newer one came.
	Repeated
	// OldLife: the message is from before the restart of its source.
	OldLife
	// KnownNode: the description of a node that is known.
	KnownNode
	// UnknownNode: the message is about a node that isn't known.
	UnknownNode
	// ConfiguredNode: a node is to be removed or learned, and this cluster has configured nodes only.
	ConfiguredNode
	// CommandIgnored: a management command, which is never run.
	CommandIgnored
	// GenericIgnored: a message from a proxy's script.
	GenericIgnored
	// TooOften: an answer was due, and too many of its kind were sent within a second.
	TooOften
	// Reasons is the number of values, for arrays of counters.
	Reasons
)

var reasonNames = [...]string{
	NoReason:           "none",
	Malformed:          "malformed message",
	WrongCluster:       "wrong cluster",
	Removed:            "this node was removed from the cluster",
	Bridged:            "from another cluster over a bridge",
	OwnID:              "another node uses our id",
	OwnURL:             "another node has our URL",
	UnknownSource:      "unknown node",
	WrongAddress:       "from an address of no node",
	SourceDisabled:     "from a disabled node",
	UnknownDestination: "for an unknown node",
	TooManyNodes:       "too many nodes",
	TooManyTags:        "too many tags",
	TooManyCaps:        "too many capabilities",
	TextTooLong:        "text too long",
	BadID:              "impossible node id",
	Repeated:           "repeated",
	OldLife:            "from before the node's restart",
	KnownNode:          "description of a known node",
	UnknownNode:        "about an unknown node",
	ConfiguredNode:     "nodes are configured",
	CommandIgnored:     "management command",
	GenericIgnored:     "message of a script",
	TooOften:           "too often",
}

// String returns the reason in words.
func (r Reason) String() string {
	if r >= Reasons {
		return "unknown"
	}
	return reasonNames[r]
}

// Outcome is what became of a packet.
type Outcome struct {
	Verdict Verdict
	Reason  Reason
	Fault   bin2.Fault // of a Malformed message
	// First is set for the first packet with this reason: the one to write to a log.
	First bool
	// Kind is the message of the clusterer module; bin2.NoKind for other modules.
	Kind bin2.Kind
	// Source is the node that made the packet, as far as it was read.
	Source int32
	// Via is the node from whose address the packet came: the source, or the node that passed it on. 0 is unknown.
	Via int32
	// Destination is the node that the packet is for; 0 for messages that have none.
	Destination int32
}

func (o *Outcome) refuse(r Reason) { o.Verdict, o.Reason = Refused, r }

func (o *Outcome) ignore(r Reason) { o.Verdict, o.Reason = Ignored, r }

func (o *Outcome) malformed(err error) {
	o.refuse(Malformed)
	o.Fault, _ = err.(bin2.Fault)
}
