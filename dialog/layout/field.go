package layout

import "math/bits"

// Field numbers the fields of a dialog. Every layout has its fields in this order and leaves some out.
type Field uint8

// ONLY APPEND TO THIS LIST where the order of a new layout allows it: the parser relies on the runs of strings and
// numbers.
const (
	CallID Field = iota
	FromTag
	ToTag
	FromURI
	ToURI

	HID   // number; dialog number inside the sender's hash bucket
	Start // number; Unix seconds of the answer, 0 before it
	State // number; 1 to 5

	CallerSocket // proto:address:port, or proto:tag from 3.0 on
	CalleeSocket
	CallerCSeq // decimal; of the last request sent towards the caller
	CalleeCSeq // decimal; of the last request sent towards the callee
	CallerRouteSet
	CalleeRouteSet
	CallerContact
	CalleeContact
	MangledFrom
	MangledTo
	CallerSDP     // as received
	CallerSentSDP // as sent on; empty unless changed
	CalleeSDP
	CalleeSentSDP
	CallerAdvContact
	CalleeAdvContact
	Values   // list, see Pairs
	Profiles // list, see Pairs

	UserFlags       // number; 32 flags of the script
	ModuleFlags     // number
	Flags           // number; see FlagsOf
	OptionsPing     // number; interval in seconds
	ReinvitePing    // number; interval in seconds
	Timeout         // number; Unix seconds at which the dialog expires
	CallerGenCSeq   // number; last CSeq that the proxy generated towards the caller, 0 if none
	CalleeGenCSeq   // number
	OnAnswerRoute   // name of a route of the script
	OnTimeoutRoute  // likewise
	OnHangupRoute   // likewise
	NumFields       // how many there are
	keyFields       = 3
	endFirstStrings = HID          // strings before it
	endFirstNumbers = CallerSocket // HID, Start, State
	endStrings      = UserFlags    // strings between the two runs of numbers
	endNumbers      = OnAnswerRoute
)

// fieldNames are the keys of the fields that dlg_list doesn't show, and the names of all fields in reports.
var fieldNames = [NumFields]string{
	"callid", "from_tag", "to_tag", "from_uri", "to_uri", "h_id", "start_ts", "state", "caller_sock", "callee_sock",
	"caller_cseq", "callee_cseq", "caller_route_set", "callee_route_set", "caller_contact", "callee_contact",
	"mangled_from_uri", "mangled_to_uri", "caller_in_sdp", "caller_out_sdp", "callee_in_sdp", "callee_out_sdp",
	"caller_adv_contact", "callee_adv_contact", "vars", "profiles", "user_flags", "mod_flags", "flags",
	"options_ping_interval", "reinvite_ping_interval", "timeout", "caller_last_gen_cseq", "callee_last_gen_cseq",
	"rt_on_answer", "rt_on_timeout", "rt_on_hangup",
}

// String returns the name of the field in reports, documents and JSON.
func (f Field) String() string {
	if f < NumFields {
		return fieldNames[f]
	}
	return "invalid"
}

// IsNumber tells the fields of 4 bytes from the strings.
func (f Field) IsNumber() bool { return numberFields.Has(f) }

// FieldSet is a set of fields, one bit each.
type FieldSet uint64

// AllFields holds every field.
const AllFields FieldSet = 1<<NumFields - 1

const numberFields FieldSet = 1<<endFirstNumbers - 1<<endFirstStrings | 1<<endNumbers - 1<<endStrings

// Has tells whether f is in the set.
func (s FieldSet) Has(f Field) bool { return s>>f&1 != 0 }

// Len returns how many fields are in the set.
func (s FieldSet) Len() int { return bits.OnesCount64(uint64(s)) }

// Next returns the first field of the set and the set without it. An empty set returns NumFields.
//
//	for f, rest := set.Next(); f < NumFields; f, rest = rest.Next() { ... }
func (s FieldSet) Next() (Field, FieldSet) {
	if s == 0 {
		return NumFields, 0
	}
	return Field(bits.TrailingZeros64(uint64(s))), s & (s - 1)
}

// AppendNames appends the names of the fields to dst, with a comma between two.
func (s FieldSet) AppendNames(dst []byte) []byte {
	for f, rest := s.Next(); f < NumFields; f, rest = rest.Next() {
		if f != Field(bits.TrailingZeros64(uint64(s))) {
			dst = append(dst, ',')
		}
		dst = append(dst, fieldNames[f]...)
	}
	return dst
}

func (s FieldSet) String() string { return string(s.AppendNames(nil)) }
