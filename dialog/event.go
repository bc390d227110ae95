package dialog

import "binrepd/dialog/layout"

// Kind says what an event does to its dialog.
type Kind uint8

const (
	Create Kind = iota + 1
	Update
	Delete
	// Value and CSeq exist in generation 2 only: they change one field of a dialog.
	Value
	CSeq
	// Chunk is a snapshot out of the answer to a request for a sync.
	Chunk
	// Kinds is how many there are, 0 included.
	Kinds
)

func (k Kind) String() string {
	switch k {
	case Create:
		return "create"
	case Update:
		return "update"
	case Delete:
		return "delete"
	case Value:
		return "value"
	case CSeq:
		return "cseq"
	case Chunk:
		return "chunk"
	}
	return "invalid"
}

// Event is one change of one dialog. Its byte slices are views into the packet that it was decoded from; the table
// copies what it stores. An Event can be used again: ParseSnapshot, ParseKey and the Set methods overwrite every field.
type Event struct {
	Kind Kind
	// State, Start and Timeout of a snapshot (create and update); zero in a deletion.
	State State
	// Layout is that of Key and Body. None stands for generation 1.
	Layout layout.ID
	// Since is what Table.BeginSync returned when the sync was requested that a Chunk belongs to; 0: nobody requested it.
	Since   uint8
	Start   uint32 // Unix seconds of the answer, 0 before it
	Timeout uint32 // Unix seconds at which the dialog expires
	// Key is the packed key: Call-ID, from-tag and to-tag, each after its length, as they lie in Layout. That of a CSeq has
	// the tags in any order, and that of a Value is the Call-ID alone.
	Key Packed
	// Body is the whole packed snapshot, or the whole message, which begins with Key.
	Body Packed
	// HID tells dialogs of one key apart, where the layout names them by it (see hasHID); 0 elsewhere.
	HID uint32

	// Hash is the steering hash. It selects the shard.
	Hash uint32
	// Origin numbers the source in the engine's register.
	Origin uint16
	// Peer tells apart the appliances that took events in and marked them: 1 to MaxPeer. It is 0 for what comes without a mark: from a
	// proxy, or from an appliance of an earlier version.
	Peer uint16
	// Moment orders contents of one dialog (newer.go). It comes with Peer. Otherwise Apply sets it if it stores the snapshot.
	Moment uint32
	// Confirms is set by Apply for a Duplicate that other appliances must learn of all the same, because its moment is later.
	Confirms bool

	// Outcome is what became of the event. Apply sets it.
	Outcome Outcome
	// EndedHID is h_id of the dialog that the event has ended, in whatever layout; 0 if there was none. Apply sets it.
	EndedHID uint32

	timeoutAt uint16 // where the timeout lies in the Body of a snapshot of generation 2
	tag       uint32 // the table's index hash of the Call-ID, set by Apply
}

// CallID returns the Call-ID.
func (ev *Event) CallID() []byte {
	callID, _ := ev.key().part()
	return callID
}

// MaxPeer is the largest Event.Peer: an entry has 12 bits for it.
const MaxPeer = 1<<12 - 1

// Outcome is what became of an event that reached the table. Exactly one is counted for each.
type Outcome uint8

const (
	NoOutcome Outcome = iota
	// Applied: the table changed as the event said.
	Applied
	// Recovered: an update of an unknown dialog stored it. Its creation was lost or is on its way.
	Recovered
	// BeganEarly: a snapshot of a call being set up was stored or renewed.
	BeganEarly
	// Unknown: a deletion of a dialog that the table doesn't hold left a tombstone. Or a Value or CSeq has no dialog, and
	// there is no room to wait for one.
	Unknown
	// Duplicate: the table holds that already.
	Duplicate
	// Stale: the table holds something newer.
	Stale
	// Late: the dialog has ended.
	Late
	// RefusedMemory: a new dialog was refused because the table is full.
	RefusedMemory
	// RefusedCall: one Call-ID has more dialogs than the table allows (Config.MaxPerCall).
	RefusedCall
	// Waiting: a Value or CSeq waits for its dialog.
	Waiting
	// RefusedChange: a Value doesn't fit the dialog: its list of values is broken, or would become too long.
	RefusedChange
	// Fenced: another node has claimed the sharing tag of the dialog since (package conflicts). The table never says so
	// itself.
	Fenced
	// Outcomes is how many there are.
	Outcomes
)

var outcomeNames = [Outcomes]string{
	"none", "applied", "recovered", "early", "unknown", "duplicate", "stale", "late",
	"refused_memory", "refused_call", "waiting", "refused_change", "fenced",
}

// String returns the name of the outcome in status and metrics.
func (o Outcome) String() string {
	if o < Outcomes {
		return outcomeNames[o]
	}
	return "invalid"
}

// Changed reports whether an event with this outcome changed the table; of a Value or CSeq, see Event.Changed.
func (o Outcome) Changed() bool {
	return o == Applied || o == Recovered || o == BeganEarly || o == Unknown || o == Waiting
}

// Changed reports whether the event changed the table. Such events are passed on to others. One that waits is, too,
// because it may wait there as well.
func (ev *Event) Changed() bool {
	return ev.Outcome.Changed() && (ev.Outcome != Unknown || ev.Kind != Value && ev.Kind != CSeq)
}
