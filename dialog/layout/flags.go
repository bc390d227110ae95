package layout

import (
	"bytes"
	"math/bits"
)

// Bits of the field Flags. Source: section 2.4 of the specification of generation 1, section 4.3 of that of
// generation 2.
const (
	FlagHasBye          = 1 << 2
	FlagByeOnTimeout    = 1 << 3
	FlagInitialised     = 1 << 4
	FlagPingCaller      = 1 << 5
	FlagPingCallee      = 1 << 6
	FlagTopologyHiding  = 1 << 7 // generation 1 only; generation 2 has it for something that is never sent
	FlagDBDeleted       = 1 << 9
	FlagCSeqEnforce     = 1 << 10 // in 1.10 and 1.11: topology hiding keeps the user
	FlagReinviteCaller  = 1 << 11
	FlagReinviteCallee  = 1 << 12
	FlagReinviteRequest = 1 << 13
	FlagReinviteReply   = 1 << 14
	FlagEndOnRace       = 1 << 15
	FlagCancelled       = 1 << 16
	FlagRaceOccurred    = 1 << 17
	FlagTimeoutExtended = 1 << 18
	FlagAutoPRACK       = 1 << 20 // 4.0
	commonFlags         = FlagHasBye | FlagByeOnTimeout | FlagInitialised | FlagPingCaller | FlagPingCallee | FlagDBDeleted
	generation2Flags    = commonFlags | FlagCSeqEnforce | FlagReinviteCaller | FlagReinviteCallee | FlagReinviteRequest |
		FlagReinviteReply | FlagEndOnRace | FlagCancelled | FlagRaceOccurred | FlagTimeoutExtended
)

var flagNames = [32]string{
	2: "has_bye", 3: "bye_on_timeout", 4: "initialised", 5: "ping_caller", 6: "ping_callee", 9: "db_deleted", 10: "cseq_enforce",
	11: "reinvite_ping_caller", 12: "reinvite_ping_callee", 13: "reinvite_ping_request", 14: "reinvite_ping_reply",
	15: "end_on_race", 16: "cancelled", 17: "race_occurred", 18: "timeout_extended", 20: "auto_prack",
}

var flagNames1 = [32]string{
	2: "has_bye", 3: "bye_on_timeout", 4: "initialised", 5: "ping_caller", 6: "ping_callee", 7: "topology_hiding", 9: "db_deleted",
	10: "keep_user_or_cseq_enforce",
}

// KnownFlags returns the flags of dialogs that releases of the layout send and whose meaning is the same in all of
// these releases. Bit 10 of generation 1 is none of them: 2.1 gave it another meaning.
func (id ID) KnownFlags() uint32 {
	switch {
	case id == UDP:
		return commonFlags | FlagTopologyHiding
	case id >= Bin4Typed:
		return generation2Flags | FlagAutoPRACK
	}
	return generation2Flags
}

// FlagWalk walks the flags of a dialog that are set, from the lowest bit on.
//
//	for w := v.FlagsOf(); w.Next(); { use w.Name and w.Mask }
type FlagWalk struct {
	Name string // empty if the bit is unknown
	Mask uint32

	rest  uint32
	names *[32]string
}

// FlagsOf starts a walk over the field Flags.
func (v *View) FlagsOf() FlagWalk {
	w := FlagWalk{rest: v.Number(Flags), names: &flagNames}
	if v.id == UDP {
		w.names = &flagNames1
	}
	return w
}

// Next goes to the next flag that is set and tells whether there is one.
func (w *FlagWalk) Next() bool {
	if w.rest == 0 {
		return false
	}
	bit := bits.TrailingZeros32(w.rest)
	w.rest &= w.rest - 1
	w.Name, w.Mask = w.names[bit], 1<<bit
	return true
}

// Routes walks a route set: name-addrs such as <sip:10.0.0.1;lr>, separated by commas.
//
//	for r := layout.RoutesOf(v.Bytes(layout.CallerRouteSet)); r.Next(); { use r.Route }
type Routes struct {
	Route []byte // view of one entry, without blanks around it
	rest  []byte
}

// RoutesOf starts a walk over a route set.
func RoutesOf(set []byte) Routes { return Routes{rest: set} }

// Next goes to the next route and tells whether there is one. A comma within <> or within quotes separates nothing.
func (r *Routes) Next() bool {
	for len(r.rest) > 0 {
		end := routeEnd(r.rest)
		r.Route = bytes.TrimSpace(r.rest[:end:end])
		r.rest = r.rest[min(end+1, len(r.rest)):]
		if len(r.Route) > 0 {
			return true
		}
	}
	r.Route = nil
	return false
}

func routeEnd(set []byte) int {
	quoted, angled := false, false
	for i := 0; i < len(set); i++ {
		switch c := set[i]; {
		case quoted && c == '\\':
			i++
		case c == '"' && !angled:
			quoted = !quoted
		case quoted:
		case c == '<':
			angled = true
		case c == '>':
			angled = false
		case c == ',' && !angled:
			return i
		}
	}
	return len(set)
}
