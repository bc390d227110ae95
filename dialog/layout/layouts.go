package layout

import "math/bits"

// ID names a layout. The numbers are stored with dialogs, in saved state and in logs.
type ID uint8

// ONLY APPEND TO THIS LIST: the numbers are part of saved state.
const (
	None        ID = iota
	UDP            // generation 1: 1.10, 1.11, 2.1
	Bin1Plain      // version 1 of 2.4.0 to 2.4.4: no SDP, no advertised contacts, no routes
	Bin1TwoSDP     // version 1 of 2.4.5 and later: two SDPs
	Bin1FourSDP    // version 1 of 3.0.0: four SDPs and the advertised contacts
	Bin2Plain      // version 2 of 3.0.1 to 3.0.5: as 3.0.0
	Bin2Routes     // version 2 of 3.1.0 to 3.1.3 and 3.2.0: names of routes at the end
	Bin3           // version 3 of 3.1.4, 3.1.5, 3.2.1 and 3.2.2
	Bin4Untyped    // version 4 of 3.1.6 to 3.3: lists of name#value|
	Bin4Typed      // version 4 of 3.4 to 4.0: lists of name#type#value|
	Bin5           // version 5 of the development line after 4.0: two intervals of pings
	IDs            // how many there are, None included
)

// Version is the version in the header of a packet of generation 2. Generation 1 has none and is 0 here.
type Version uint8

// LastVersion is the highest version that is known.
const LastVersion Version = 5

// kind is what a layout consists of.
type kind struct {
	name     string // what operators see: generation, packet version, first release
	releases string
	version  Version
	width    uint8 // bytes of the length in front of a string
	typed    bool  // lists carry the types of values
	fields   FieldSet
}

// Groups of fields that layouts have or leave out.
const (
	modFlags   FieldSet = 1 << ModuleFlags
	twoSDP     FieldSet = 1<<CallerSDP | 1<<CalleeSDP
	fourSDP    FieldSet = 1<<Values - 1<<CallerSDP // and the advertised contacts
	pings      FieldSet = 1<<OptionsPing | 1<<ReinvitePing
	routeNames FieldSet = 1<<NumFields - 1<<OnAnswerRoute
	common              = AllFields &^ (modFlags | fourSDP | pings | routeNames) // what every layout has
)

// kinds are the layouts, by ID. Source: section 2.1 of the specification of generation 1, sections 4.2, 4.3 and 4.5
// of that of generation 2.
var kinds = [IDs]kind{
	None:        {name: "none"},
	UDP:         {"udp", "1.10, 1.11, 2.1", 0, 4, false, common},
	Bin1Plain:   {"bin 1 (2.4.0)", "2.4.0 - 2.4.4", 1, 2, false, common | modFlags},
	Bin1TwoSDP:  {"bin 1 (2.4.5)", "2.4.5 and later 2.4", 1, 2, false, common | modFlags | twoSDP},
	Bin1FourSDP: {"bin 1 (3.0.0)", "3.0.0", 1, 2, false, common | modFlags | fourSDP},
	Bin2Plain:   {"bin 2 (3.0.1)", "3.0.1 - 3.0.5", 2, 2, false, common | modFlags | fourSDP},
	Bin2Routes:  {"bin 2 (3.1.0)", "3.1.0 - 3.1.3, 3.2.0", 2, 2, false, AllFields &^ pings},
	Bin3:        {"bin 3 (3.1.4)", "3.1.4, 3.1.5, 3.2.1, 3.2.2", 3, 2, false, AllFields &^ pings},
	Bin4Untyped: {"bin 4 (3.1.6)", "3.1.6 - 3.1.17, 3.2.3 and later 3.2, 3.3", 4, 2, false, AllFields &^ pings},
	Bin4Typed:   {"bin 4 (3.4.0)", "3.4 - 4.0", 4, 2, true, AllFields &^ pings},
	Bin5:        {"bin 5 (next)", "development after 4.0", 5, 2, true, AllFields},
}

// Valid tells whether id names a layout.
func (id ID) Valid() bool { return id > None && id < IDs }

func (id ID) kind() *kind {
	if id >= IDs {
		id = None
	}
	return &kinds[id]
}

// String returns the name that operators see: generation, packet version, and the first release that sends it.
func (id ID) String() string { return id.kind().name }

// Releases tells which releases of OpenSIPS send the layout.
func (id ID) Releases() string { return id.kind().releases }

// Version returns the packet version of the layout, 0 for generation 1.
func (id ID) Version() Version { return id.kind().version }

// Typed tells whether the lists of the layout carry the types of values.
func (id ID) Typed() bool { return id.kind().typed }

// Fields returns the fields that the layout has.
func (id ID) Fields() FieldSet { return id.kind().fields }

// ByName returns the layout of a name that String returned, or None.
func ByName(name string) ID {
	for id := UDP; id < IDs; id++ {
		if kinds[id].name == name {
			return id
		}
	}
	return None
}

// IDSet is a set of layouts, one bit each.
type IDSet uint16

// Has tells whether id is in the set.
func (s IDSet) Has(id ID) bool { return s>>id&1 != 0 }

// Len returns how many layouts are in the set.
func (s IDSet) Len() int { return bits.OnesCount16(uint16(s)) }

// Last returns the layout of the set that came last in history, or None.
func (s IDSet) Last() ID {
	if s == 0 {
		return None
	}
	return ID(bits.Len16(uint16(s)) - 1)
}

// OfVersion returns the layouts that packets of a version may have; none for a version that doesn't exist.
func OfVersion(v Version) (s IDSet) {
	if v <= LastVersion {
		s = ofVersion[v]
	}
	return s
}

var ofVersion = [LastVersion + 1]IDSet{
	0: 1 << UDP,
	1: 1<<Bin1Plain | 1<<Bin1TwoSDP | 1<<Bin1FourSDP,
	2: 1<<Bin2Plain | 1<<Bin2Routes,
	3: 1 << Bin3,
	4: 1<<Bin4Untyped | 1<<Bin4Typed,
	5: 1 << Bin5,
}
