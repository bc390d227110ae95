package bin2

// Kind is a message of the clusterer module, independent of its number on the wire.
type Kind uint8

// The messages. The first seven have the capability Internal, the others Extra.
const (
	NoKind          Kind = iota
	KindPing             // Ping
	KindPong             // Pong
	KindLink             // LinkUpdate, "LS_UPDATE"
	KindTopology         // Topology, "FULL_TOP_UPDATE"
	KindUnknownID        // UnknownID
	KindDescription      // Description, "NODE_DESCRIPTION"
	KindCaps             // CapUpdate
	KindRemove           // RemoveNode
	KindGeneric          // Generic, "GENERIC_MSG"
	KindCommand          // Command, "MI_CMD"
	KindSyncRequest      // SyncRequest, "SYNC_REQ"
	KindSync             // Sync
	KindSyncEnd          // SyncEnd
	KindTag              // TagActive, "SHTAG_ACTIVE"
	// Kinds is the number of values, for arrays of counters.
	Kinds
)

var kindNames = [...]string{
	NoKind:          "none",
	KindPing:        "PING",
	KindPong:        "PONG",
	KindLink:        "LS_UPDATE",
	KindTopology:    "FULL_TOP_UPDATE",
	KindUnknownID:   "UNKNOWN_ID",
	KindDescription: "NODE_DESCRIPTION",
	KindCaps:        "CAP_UPDATE",
	KindRemove:      "REMOVE_NODE",
	KindGeneric:     "GENERIC_MSG",
	KindCommand:     "MI_CMD",
	KindSyncRequest: "SYNC_REQ",
	KindSync:        "SYNC",
	KindSyncEnd:     "SYNC_END",
	KindTag:         "SHTAG_ACTIVE",
}

// String returns the name that OpenSIPS gives to the message.
func (k Kind) String() string {
	if k >= Kinds {
		return kindNames[NoKind]
	}
	return kindNames[k]
}

// numbers are the types on the wire: first of 2.4 to 3.1, then of 3.2 and later. -1: there is no such message.
var numbers = [...][2]int32{
	KindPing:        {0, 0},
	KindPong:        {1, 1},
	KindLink:        {2, 2},
	KindTopology:    {3, 3},
	KindUnknownID:   {4, 4},
	KindDescription: {5, 5},
	KindCaps:        {8, 9},
	KindRemove:      {-1, 6},
	KindGeneric:     {6, 7},
	KindCommand:     {7, 8},
	KindSyncRequest: {9, 10},
	KindSync:        {10, 11},
	KindSyncEnd:     {11, 12},
	KindTag:         {12, 13},
}

// number returns the type of the message in a numbering; in that of 3.2 and later if it isn't known.
func (k Kind) number(n Numbering) int32 {
	if n == Old {
		return numbers[k][0]
	}
	return numbers[k][1]
}

// KindOf returns which message of the clusterer module p is, and which numbering it shows: 0 if the message has the
// same number in both. The two numberings give a type two meanings, but the version or the form of the body always
// tells which one is meant; in the one case of two readings that both fit, hint decides, and New if there is none.
// It returns NoKind for packets of other capabilities, and the Fault UnknownType for a type of no release.
func KindOf(p Packet, hint Numbering) (Kind, Numbering, error) {
	t := p.Type()
	switch p.Capability() {
	case Internal:
		switch {
		case t >= 0 && t <= 5:
			return KindPing + Kind(t), 0, nil
		case t == 8:
			return KindCaps, Old, nil
		case t == 9:
			return KindCaps, New, nil
		}
		return NoKind, 0, UnknownType
	case Extra:
		return extraKind(p, t, hint)
	}
	return NoKind, 0, nil
}

func extraKind(p Packet, t int32, hint Numbering) (Kind, Numbering, error) {
	switch t {
	case 6: // One integer, or an integer and two strings.
		if len(p.Body()) == 4 {
			return KindRemove, New, nil
		}
		return KindGeneric, Old, nil
	case 7:
		var command Command
		var generic Generic
		asOld, asNew := command.Decode(p) == nil, generic.Decode(p) == nil
		if asOld && (!asNew || hint == Old) {
			return KindCommand, Old, nil
		}
		return KindGeneric, New, nil
	case 8:
		return KindCommand, New, nil
	case 9:
		return KindSyncRequest, Old, nil
	case 10: // A string, or a string and more.
		if onlyString(p) {
			return KindSyncRequest, New, nil
		}
		return KindSync, Old, nil
	case 11: // The old end of a sync has no total, so it is a string only.
		if onlyString(p) {
			return KindSyncEnd, Old, nil
		}
		return KindSync, New, nil
	case 12: // Tags have version 1; the releases of the new numbering have a sync version of 2 or more.
		if p.Version() == 1 {
			return KindTag, Old, nil
		}
		return KindSyncEnd, New, nil
	case 13:
		return KindTag, New, nil
	}
	return NoKind, 0, UnknownType
}

func onlyString(p Packet) bool {
	r := NewReader(p.Body())
	r.Str()
	return r.End() == nil
}
