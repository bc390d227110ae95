package layout

// Fault says why bytes are refused. The zero value is none.
type Fault uint8

const (
	NoFault        Fault = iota
	CutShort             // a length or a number lies past the end
	NegativeLength       // a length has its top bit set; only where lengths have 4 bytes
	PastEnd              // a string reaches past the end
	Trailing             // bytes are left over
	NoCallID             // the Call-ID is empty
	BadState             // the state is not 1 to 5
	TooLong              // more bytes than a packet holds, or a string of more bytes than its length can tell
	NoSuchVersion        // no release sends this packet version
	NoSuchType           // no message has this number in this version
	NoLayout             // several layouts have this version, and none consumes the bytes exactly
	BadValueType         // the type of a value is not none, string or integer
	BadCount             // a count of a profile says neither that it has a value nor that it has none
	BadMarker            // a chunk of a sync doesn't begin with the marker
	BadName              // a value without a name
	BadList              // the list of values breaks the grammar, so that it can't be changed
	Faults               // how many there are
)

var faultNames = [Faults]string{
	"none", "cut_short", "negative_length", "past_end", "trailing", "no_call_id", "bad_state", "too_long", "no_such_version",
	"no_such_type", "no_layout", "bad_value_type", "bad_count", "bad_marker", "bad_name", "bad_list",
}

// String returns the name of the fault in status and metrics.
func (f Fault) String() string {
	if f < Faults {
		return faultNames[f]
	}
	return "invalid"
}
