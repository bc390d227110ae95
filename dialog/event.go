package dialog

// Kind says what an event does to its dialog.
type Kind uint8

const (
	Create Kind = iota + 1
	Update
	Delete
)

func (k Kind) String() string {
	switch k {
	case Create:
		return "create"
	case Update:
		return "update"
	case Delete:
		return "delete"
	}
	return "invalid"
}

// Event is one change of one dialog. Its byte slices are views into the packet that it was decoded from; the table
// copies what it stores. An Event can be used again: ParseSnapshot and ParseKey overwrite every field.
type Event struct {
	Kind Kind
	// State, Start and Timeout of a snapshot (create and update); zero in a deletion.
	State   State
	Start   uint32 // Unix seconds of the answer, 0 before it
	Timeout uint32 // Unix seconds at which the dialog expires
	// Key is the packed key (see Packed): Call-ID, from-tag and to-tag, each after its length.
	Key Packed
	// Body is the whole packed snapshot, which begins with Key. In a deletion it is Key itself.
	Body Packed

	// Hash is the steering hash. It selects the shard.
	Hash uint32
	// Origin numbers the source in the engine's register.
	Origin uint16

	// Outcome is what became of the event. Apply sets it.
	Outcome Outcome

	tag uint32 // the table's index hash of the Call-ID, set by Apply
}

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
	// Unknown: a deletion of a dialog that the table doesn't hold left a tombstone.
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
	// Outcomes is how many there are.
	Outcomes
)

var outcomeNames = [Outcomes]string{
	"none", "applied", "recovered", "early", "unknown", "duplicate", "stale", "late",
	"refused_memory", "refused_call",
}

// String returns the name of the outcome in status and metrics.
func (o Outcome) String() string {
	if o < Outcomes {
		return outcomeNames[o]
	}
	return "invalid"
}

// Changed reports whether the event changed the table. Such events are passed on to others.
func (o Outcome) Changed() bool {
	return o == Applied || o == Recovered || o == BeganEarly || o == Unknown
}
