package bin1

import "binrepd/dialog"

// Verdict is the result of Decode. Each verdict but Dialog is counted under its name.
type Verdict uint8

const (
	// Dialog: a well-formed dialog event.
	Dialog Verdict = iota
	// OtherCapability: a packet with a right checksum, but not for dialogs; its fields are not looked at.
	OtherCapability
	Short          // fewer than 18 bytes
	NotBIN         // wrong marker
	BigEndian      // a packet in the other byte order, with a right checksum
	BadChecksum    // wrong checksum
	BadCapability  // the capability's name is empty or reaches past the end
	BadCommand     // not create, update or delete
	Truncated      // the command, a number or a length lies past the end
	NegativeLength // a length below zero
	LengthPastEnd  // a string reaches past the end
	TrailingBytes  // bytes are left over
	EmptyCallID    // the Call-ID is empty
	BadState       // the state is not 1 to 5
	Verdicts       // the number of verdicts
)

var verdictNames = [Verdicts]string{
	"dialog", "other_capability", "short", "not_bin", "big_endian", "bad_checksum", "bad_capability",
	"bad_command", "truncated", "negative_length", "length_past_end", "trailing_bytes", "empty_callid", "bad_state",
}

// String returns the name of the verdict in status and metrics.
func (v Verdict) String() string {
	if v < Verdicts {
		return verdictNames[v]
	}
	return "invalid"
}

// verdicts translates what the walk over the fields found.
var verdicts = [...]Verdict{
	dialog.NoFault:        Dialog,
	dialog.CutShort:       Truncated,
	dialog.NegativeLength: NegativeLength,
	dialog.PastEnd:        LengthPastEnd,
	dialog.Trailing:       TrailingBytes,
	dialog.NoCallID:       EmptyCallID,
	dialog.BadState:       BadState,
}
