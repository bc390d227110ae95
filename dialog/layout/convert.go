package layout

import (
	"bytes"
	"encoding/binary"
)

// Fate is what becomes of a field when a dialog goes from one layout to another.
type Fate uint8

const (
	Absent  Fate = iota // neither layout has the field
	Kept                // the same bytes
	Derived             // the same meaning in the other layout's form; what can't be told in that form is a Loss
	Filled              // the source doesn't have the field: it becomes empty or 0
	Dropped             // the target doesn't have the field
)

func (f Fate) String() string {
	if int(f) < len(fateNames) {
		return fateNames[f]
	}
	return "invalid"
}

var fateNames = [...]string{"absent", "kept", "derived", "filled", "dropped"}

// treatment is how a field that both layouts have goes over.
type treatment uint8

const (
	asIs treatment = iota
	asSocket
	asValues
	asProfiles
	asFlags
	asHID
)

// conversion says how each field goes over if both layouts have it. A field that only one has is filled or dropped.
var conversion = [NumFields]struct {
	treatment treatment
	note      string // what an operator ought to know
}{
	CallerSocket:   {asSocket, "proto:tag exists from 3.0 on; a dialog with one is held back from older releases"},
	CalleeSocket:   {asSocket, "as caller_sock; a dialog without one is held back from generation 2, which would refuse it"},
	CallerSDP:      {asIs, "2.4 has one SDP for each side"},
	CalleeSDP:      {asIs, "2.4 has one SDP for each side"},
	Values:         {asValues, "between typed and untyped lists integers become strings; names that proxies reserve stay within generation 2"},
	Profiles:       {asProfiles, "generation 1 knows no profiles that are shared by BIN (/b): they become local ones"},
	UserFlags:      {asIs, "the bits mean the same only if both scripts name their flags in the same order"},
	Flags:          {asFlags, "bits that don't mean the same in both layouts are left out"},
	ModuleFlags:    {asIs, "bits belong to modules of the proxy"},
	HID:            {asHID, "1.10 takes no notice of it"},
	OnTimeoutRoute: {asIs, "a proxy that doesn't have the route runs none"},
	OnAnswerRoute:  {asIs, "as rt_on_timeout"},
	OnHangupRoute:  {asIs, "as rt_on_timeout"},
}

// FateOf tells what becomes of a field.
func FateOf(f Field, from, to ID) Fate {
	has, takes := from.Fields().Has(f), to.Fields().Has(f)
	switch {
	case !has && !takes:
		return Absent
	case !takes:
		return Dropped
	case !has:
		return Filled
	}
	switch conversion[f].treatment {
	case asValues:
		if from.Typed() != to.Typed() || (from == UDP) != (to == UDP) {
			return Derived
		}
	case asProfiles:
		if from.Typed() != to.Typed() || from != UDP && to == UDP {
			return Derived
		}
	case asFlags:
		if from.KnownFlags() != to.KnownFlags() {
			return Derived
		}
	case asHID:
		if from == UDP && to != UDP {
			return Derived
		}
	}
	return Kept
}

// Note returns what an operator ought to know about the field in conversions, empty if nothing.
func (f Field) Note() string {
	if f < NumFields {
		return conversion[f].note
	}
	return ""
}

// Losses is what a derived field couldn't carry over, one bit each.
type Losses uint8

const (
	LostType       Losses = 1 << iota // an integer became a string
	LostReserved                      // a value with a name that proxies reserve was left out
	LostSharing                       // a profile that was shared by BIN became a local one
	LostFlags                         // bits of the flags were left out
	LostUnreadable                    // a list that breaks the grammar was left out
)

var lossNames = [...]string{"type", "reserved_value", "profile_sharing", "flags", "unreadable_list"}

// Report is what a conversion did beyond keeping bytes.
type Report struct {
	Dropped FieldSet // not empty or 0, and the target has no place for them
	Derived FieldSet // written in another form
	Losses  Losses   // what derived fields couldn't carry over
	Refusal Refusal  // the dialog must not be sent in this form
}

// Convert appends the dialog in the layout to, to dst. With a fault dst comes back as it was. A dialog for which the
// report has a Refusal is converted, but must be held back until its sockets are rewritten (AppendWith).
func (v *View) Convert(dst []byte, to ID, r *Report) ([]byte, Fault) {
	*r = Report{}
	if !to.Valid() {
		return dst, NoLayout
	}
	r.Refusal = v.refusal(to)
	k := &kinds[to]
	if k.fields == v.fields && k.width == v.width && k.typed == v.id.Typed() && to.KnownFlags() == v.id.KnownFlags() {
		return append(dst, v.body...), NoFault
	}
	from, fault := len(dst), NoFault
	if k.width == v.width {
		dst, fault = v.convertRuns(dst, to, r)
	} else {
		if dst, fault = v.convertWidth(dst, to, r); fault == NoFault && to != UDP {
			v.chooseHID(dst[from:], r)
		}
	}
	if fault == NoFault && len(dst)-from > MaxBody {
		fault = TooLong
	}
	if fault != NoFault {
		return dst[:from], fault
	}
	r.Dropped = v.content(v.fields &^ k.fields)
	return dst, NoFault
}

// rewritten returns the fields that both layouts have and whose bytes may differ.
func rewritten(from, to ID) (s FieldSet) {
	for _, f := range [...]Field{Values, Profiles, Flags} {
		if FateOf(f, from, to) == Derived {
			s |= 1 << f
		}
	}
	return s
}

// convertRuns converts between layouts with the same width of lengths: it copies the runs between the fields that are
// filled, dropped or rewritten.
func (v *View) convertRuns(dst []byte, to ID, r *Report) ([]byte, Fault) {
	target := kinds[to].fields
	derived := rewritten(v.id, to)
	copied := 0 // bytes of the body that have been dealt with
	stops := v.fields ^ target | derived
	for f, rest := stops.Next(); f < NumFields; f, rest = rest.Next() {
		here := len(v.body) // where the field is, or would be
		if behind, _ := (v.fields &^ (1<<f - 1)).Next(); behind < NumFields {
			here = int(v.at[behind])
		}
		dst = append(dst, v.body[copied:here]...)
		copied = here
		if v.fields.Has(f) {
			copied += v.size(f)
		}
		var fault Fault
		if target.Has(f) {
			if dst, fault = v.convertField(dst, f, to, r); fault != NoFault {
				return dst, fault
			}
		}
	}
	return append(dst, v.body[copied:]...), NoFault
}

// size returns how many bytes a field takes in the body, its length included.
func (v *View) size(f Field) int {
	if f.IsNumber() {
		return 4
	}
	return int(v.width) + len(v.Bytes(f))
}

// convertWidth converts between generation 1 and generation 2, which have different widths of lengths.
func (v *View) convertWidth(dst []byte, to ID, r *Report) ([]byte, Fault) {
	target := kinds[to].fields
	derived := rewritten(v.id, to)
	both := v.fields & target &^ derived
	wide := to == UDP
	var fault Fault
	for f, rest := target.Next(); f < NumFields; f, rest = rest.Next() {
		at := int(v.at[f])
		switch {
		case !both.Has(f):
			dst, fault = v.convertField(dst, f, to, r)
		case f.IsNumber():
			dst = append(dst, v.body[at:at+4]...)
		case wide:
			n := binary.LittleEndian.Uint16(v.body[at:])
			dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
			dst = append(dst, v.body[at+2:at+2+int(n)]...)
		default: // a string of a body that was parsed has less than 64 KB
			n := int(binary.LittleEndian.Uint32(v.body[at:]))
			dst = binary.LittleEndian.AppendUint16(dst, uint16(n))
			dst = append(dst, v.body[at+4:at+4+n]...)
		}
		if fault != NoFault {
			return dst, fault
		}
	}
	return dst, NoFault
}

// convertField appends a field that isn't copied as it is: one that the source doesn't have, a list, or the flags.
func (v *View) convertField(dst []byte, f Field, to ID, r *Report) ([]byte, Fault) {
	wide := to == UDP
	switch {
	case f == Flags:
		return appendNumber(dst, v.convertFlags(to, r)), NoFault
	case f.IsNumber():
		return appendNumber(dst, 0), NoFault
	case !v.fields.Has(f):
		return appendString(dst, wide, nil), NoFault
	}
	from := len(dst) // where the length goes
	dst = v.convertList(appendString(dst, wide, nil), f, to, r)
	return dst, setLength(dst, from, wide)
}

// chooseHID writes an h_id into a body of generation 2 that was converted from generation 1, if there it is 0.
func (v *View) chooseHID(body []byte, r *Report) {
	if v.Number(HID) != 0 {
		return
	}
	at := int(v.at[HID]) - 2*int(endFirstStrings) // five lengths have 2 bytes less
	binary.LittleEndian.PutUint32(body[at:], ChosenHID(v.Bytes(CallID), v.Bytes(FromTag), v.Bytes(ToTag)))
	r.Derived |= 1 << HID
}

// content returns the fields of the set that are not empty or 0.
func (v *View) content(set FieldSet) (full FieldSet) {
	for f, rest := set.Next(); f < NumFields; f, rest = rest.Next() {
		if f.IsNumber() && v.Number(f) != 0 || !f.IsNumber() && len(v.Bytes(f)) > 0 {
			full |= 1 << f
		}
	}
	return full
}

func (v *View) convertFlags(to ID, r *Report) uint32 {
	is := v.Number(Flags)
	kept := is & v.id.KnownFlags() & to.KnownFlags()
	if kept != is {
		r.Derived |= 1 << Flags
		r.Losses |= LostFlags
	}
	return kept
}

// convertList appends the list of the field in the form of the layout to.
func (v *View) convertList(dst []byte, f Field, to ID, r *Report) []byte {
	list := v.Bytes(f)
	from := len(dst)
	p := PairsOf(list, v.id.Typed())
	for p.Next() {
		name := p.Name
		if f == Values && (v.id == UDP) != (to == UDP) && reserved(name) {
			r.Losses |= LostReserved
			continue
		}
		if f == Profiles && to == UDP {
			if plain, shared := Profile(name); shared == 'b' {
				r.Losses |= LostSharing
				name = plain
			}
		}
		dst = append(dst, name...)
		switch {
		case !to.Typed():
			if p.Type == Integer {
				r.Losses |= LostType
			}
			dst = append(dst, '#')
		case p.Type == Integer:
			dst = append(dst, "#2#"...)
		default:
			dst = append(dst, "#1#"...)
		}
		dst = append(dst, p.Value...)
		dst = append(dst, '|')
	}
	if p.Err() != nil {
		r.Losses |= LostUnreadable
		dst = dst[:from]
	}
	if !bytes.Equal(dst[from:], list) {
		r.Derived |= 1 << f
	}
	return dst
}

// setLength writes the length of the string that begins at from and ends with dst.
func setLength(dst []byte, from int, wide bool) Fault {
	head := 2
	if wide {
		head = 4
	}
	n := len(dst) - from - head
	if n > MaxBody {
		return TooLong
	}
	dst[from], dst[from+1] = byte(n), byte(n>>8)
	return NoFault
}

// reservedNames are the names of values that proxies of generation 2 use for themselves. A proxy of generation 1
// would take them for variables of the script.
var reservedNames = [...]string{TagName, "uCSDP", "ucSDP", "aCSDP", "acSDP", "Cct", "cct", "siprecX_ctx", "_rtp_relay_ctx_"}

func reserved(name Escaped) bool {
	for _, r := range reservedNames {
		if string(name) == r {
			return true
		}
	}
	return false
}

// String names the losses, with a comma between two.
func (l Losses) String() string {
	var dst []byte
	for i, name := range lossNames {
		if l>>i&1 != 0 {
			if len(dst) > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, name...)
		}
	}
	return string(dst)
}
