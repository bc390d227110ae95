package dialog

// State of a dialog, with the numbers that OpenSIPS uses on the wire and in dlg_list.
type State uint8

const (
	Unconfirmed State = 1 // INVITE seen, no reply
	Early       State = 2 // provisional reply seen
	Answered    State = 3 // 2xx forwarded, no ACK yet (OpenSIPS: CONFIRMED_NA)
	Confirmed   State = 4 // ACK seen
	Ended       State = 5 // over; in a snapshot it means the same as a deletion
)

// Live reports whether the dialog is a call in progress.
func (s State) Live() bool { return s == Answered || s == Confirmed }

// BeingSetUp reports whether the call has not been answered yet.
func (s State) BeingSetUp() bool { return s == Unconfirmed || s == Early }

// Valid reports whether s is one of the five states.
func (s State) Valid() bool { return s >= Unconfirmed && s <= Ended }

func (s State) String() string {
	switch s {
	case Unconfirmed:
		return "unconfirmed"
	case Early:
		return "early"
	case Answered:
		return "answered"
	case Confirmed:
		return "confirmed"
	case Ended:
		return "ended"
	}
	return "invalid"
}
