package shield

// Reason says why a change is held back. Every reason is counted under its name.
type Reason uint8

const (
	// Passed: the change is not held back.
	Passed Reason = iota
	// Malformed: not a well-formed packed dialog or key; a negative length crashes OpenSIPS.
	Malformed
	// EmptyCallID crashes OpenSIPS.
	EmptyCallID
	// BadState is none of 1 to 5. OpenSIPS would list the dialog for ever.
	BadState
	// BeingSetUp: state 1 or 2, which OpenSIPS would list for ever; it learns of the call when it is answered.
	BeingSetUp
	// Expired: its timeout has passed. OpenSIPS keeps an update with a timeout further back than its own start for decades.
	Expired
	// TooManyRoutes: more than 64 on a leg, which OpenSIPS writes past an array.
	TooManyRoutes
	// UnreadableVars and UnreadableProfiles: read as OpenSIPS does, the list has a pair without a name, without '#' or
	// with two; OpenSIPS may go on with uninitialised memory.
	UnreadableVars
	UnreadableProfiles
	// TooLong: longer than a packet of the destination's dialect can be; 65,507 bytes, what fits a datagram, in generation 1
	// and between appliances.
	TooLong
	// OtherLayout: the dialog is in a layout that the destination doesn't speak, and the policy doesn't convert it: one of
	// generation 2 for an OpenSIPS of generation 1.
	OtherLayout
	// SocketTag and SocketProtocol: a socket of a dialog of generation 2 that a destination of generation 1 doesn't know, and no
	// rule replaces it.
	SocketTag
	SocketProtocol
	// NotHere: a value or CSeq number of generation 2 whose dialog isn't in the table any more. Its end follows.
	NotHere
	// Looped: the end of one of several dialogs of generation 2 with the same tags, of which another lives. Generation 1 knows
	// one dialog of such tags.
	Looped
	// Reasons is how many there are.
	Reasons
)

var reasonNames = [Reasons]string{
	"passed", "malformed", "empty_callid", "bad_state", "being_set_up", "expired", "too_many_routes",
	"unreadable_vars", "unreadable_profiles", "too_long", "other_layout",
	"socket_tag", "socket_protocol", "not_here", "looped",
}

// String returns the name of the reason in status and metrics.
func (r Reason) String() string {
	if r < Reasons {
		return reasonNames[r]
	}
	return "invalid"
}
