package layout

// Detector finds out in which layout a peer sends its dialogs. The packet version alone doesn't tell: version 1 has
// three layouts, versions 2 and 4 have two.
//
//   - The layouts of versions 1 and 2 have different numbers of strings in front of, or behind, the last numbers. A
//     body ends exactly where one of them ends, and where no other does.
//   - Typed and untyped lists of version 4 differ within the lists of values and profiles: a pair has a "#" more if
//     it is typed. A dialog without values and profiles doesn't tell. A message VALUE does: releases with untyped
//     lists don't send it.
//
// One Detector belongs to one node. Its zero value is ready. It keeps no bytes.
type Detector struct {
	version Version
	seen    bool   // a body has been parsed in this version
	left    IDSet  // the layouts that every body so far fitted
	force   ID     // the layout in force: the last of left, or the only one
	changes uint32 // how often a decided layout gave way to another
}

// Layout returns the layout in force, None before the first body. While several are left (decided is false), it is
// the one of the latest releases; the bodies so far read the same in all of them.
func (d *Detector) Layout() (id ID, decided bool) { return d.force, d.left.Len() == 1 }

// Candidates returns the layouts that every body so far fitted.
func (d *Detector) Candidates() IDSet { return d.left }

// Changes returns how often the peer went from one decided layout to another, which happens when it is upgraded.
func (d *Detector) Changes() uint32 { return d.changes }

// Parse finds the fields of a body, as Parse does, in the layout of the peer, and learns from it. A body that fits no
// layout of its version is refused: with the fault that it has in the layout in force, or with NoLayout before one is
// decided among several. With a fault v is not to be used, and the Detector is as before.
func (d *Detector) Parse(version Version, body []byte, v *View) Fault {
	if d.seen && d.version == version {
		if fault := Parse(d.force, body, v); fault == NoFault {
			if version == untypedVersion && !(d.left == 1<<Bin4Typed && saysTyped(v.Bytes(Values))) {
				d.learn(version, v)
			}
			return NoFault
		}
	}
	return d.search(version, body, v)
}

// untypedVersion is the version of both typed and untyped lists.
const untypedVersion = 4

// search tries all layouts of a version.
func (d *Detector) search(version Version, body []byte, v *View) Fault {
	ids := OfVersion(version)
	if ids == 0 {
		return NoSuchVersion
	}
	for id := ids.Last(); id > None; id-- {
		if ids.Has(id) && Parse(id, body, v) == NoFault {
			d.learn(version, v)
			return NoFault
		}
	}
	switch {
	case d.seen && d.version == version && d.left.Len() == 1:
		return Parse(d.force, body, v)
	case ids.Len() == 1 || version == untypedVersion: // both layouts of version 4 have the same fields
		return Parse(ids.Last(), body, v)
	}
	return NoLayout
}

// learn narrows the candidates to those that the dialog in v fits, and makes v one of the layout in force.
func (d *Detector) learn(version Version, v *View) {
	fits := IDSet(1) << v.id
	if version == untypedVersion {
		fits = listLayouts(v)
	}
	d.narrow(version, fits)
	v.id = d.force
}

// narrow takes in that a message fits these layouts only.
func (d *Detector) narrow(version Version, fits IDSet) {
	left := fits
	if d.seen && d.version == version && d.left&fits != 0 {
		left &= d.left
	}
	if d.seen && d.left.Len() == 1 && left&d.left == 0 {
		d.changes++
	}
	d.version, d.seen, d.left, d.force = version, true, left, left.Last()
}

// Told tells the Detector in which layout another appliance found the peer's dialogs to be.
func (d *Detector) Told(id ID) {
	d.version, d.seen, d.left, d.force = id.Version(), true, 1<<id, id
}

// listLayouts tells which layouts of version 4 the lists of a dialog fit.
func listLayouts(v *View) IDSet {
	f := formOf(v.Bytes(Values))
	if f == unknownForm {
		f = formOf(v.Bytes(Profiles))
	}
	switch f {
	case untypedForm:
		return 1 << Bin4Untyped
	case typedForm:
		return 1 << Bin4Typed
	}
	return 1<<Bin4Untyped | 1<<Bin4Typed
}

// Message tells the Detector of a message that isn't a dialog: a VALUE of version 4 is sent only by releases with
// typed lists.
func (d *Detector) Message(version Version, k Kind) {
	if version == untypedVersion && k == Value {
		d.narrow(version, 1<<Bin4Typed)
	}
}

// Fitting returns the layouts of a version that consume the body exactly, and whose form its lists have.
func Fitting(version Version, body []byte) (s IDSet) {
	var v View
	for id := UDP; id < IDs; id++ {
		if kinds[id].version == version && Parse(id, body, &v) == NoFault {
			s |= 1 << id
		}
	}
	if version == untypedVersion && s != 0 {
		s &= listLayouts(&v)
	}
	return s
}
