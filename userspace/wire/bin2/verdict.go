package bin2

import "binrepd/dialog/layout"

// Verdict is the result of Decode. Each verdict but Event is counted under its name. Names that generation 1 has, too,
// mean the same.
type Verdict uint8

const (
	// Event: a well-formed event of one dialog.
	Event Verdict = iota
	// Chunks: a part of the answer to a sync request for dialogs. ChunksOf walks its events.
	Chunks
	// OtherPacket: a well-formed packet that isn't about dialogs, or that says nothing of one. Its fields are not looked at.
	OtherPacket
	BadPacket     // no packet: marker, length, name or trailer don't fit
	BadVersion    // no release sends packets of this version
	BadCommand    // no such message
	TooShort      // a number or a length lies past the end
	PastEnd       // a string reaches past the end
	TrailingBytes // bytes are left over
	EmptyCallID   // the Call-ID is empty
	BadState      // the state is not 1 to 5
	UnknownLayout // the body fits no layout of its version
	BadChange     // a value without a name, or of no type
	BadChunk      // a chunk has no marker, or reaches past the end
	BadChecksum   // another appliance sent it, and it was damaged on the way
	Verdicts      // the number of verdicts
)

var verdictNames = [Verdicts]string{
	"dialog", "sync", "other_capability", "bad_packet", "bad_version", "bad_command", "truncated", "length_past_end",
	"trailing_bytes", "empty_callid", "bad_state", "unknown_layout", "bad_value_change", "bad_chunk",
	"bad_checksum",
}

// String returns the name of the verdict in status and metrics.
func (v Verdict) String() string {
	if v < Verdicts {
		return verdictNames[v]
	}
	return "invalid"
}

// VerdictOf translates what the package layout found.
func VerdictOf(f layout.Fault) Verdict {
	if f < layout.Faults {
		return verdicts[f]
	}
	return UnknownLayout
}

var verdicts = [layout.Faults]Verdict{
	layout.NoFault:        Event,
	layout.CutShort:       TooShort,
	layout.NegativeLength: PastEnd,
	layout.PastEnd:        PastEnd,
	layout.Trailing:       TrailingBytes,
	layout.NoCallID:       EmptyCallID,
	layout.BadState:       BadState,
	layout.TooLong:        PastEnd,
	layout.NoSuchVersion:  BadVersion,
	layout.NoSuchType:     BadCommand,
	layout.NoLayout:       UnknownLayout,
	layout.BadValueType:   BadChange,
	layout.BadCount:       BadChange,
	layout.BadMarker:      BadChunk,
	layout.BadName:        BadChange,
	layout.BadList:        BadChange,
}
