package bin2

// Numbering is one of the two ways to number the messages of the clusterer module. 0 is unknown.
type Numbering uint8

// The numberings.
const (
	Old Numbering = iota + 1 // 2.4, 3.0 and 3.1
	New                      // 3.2 and later
)

// CapForm is one of the two forms of CAP_UPDATE. 0 is unknown.
type CapForm uint8

// The forms of CAP_UPDATE.
const (
	WithoutSeq CapForm = iota + 1
	WithSeq            // with a sequence number and a timestamp
)

// Dialect is how the messages of one peer look. The zero value knows nothing; messages are then written as 3.3 and
// later write them.
type Dialect struct {
	// Numbering of the message types.
	Numbering Numbering
	// CapForm is the form of CAP_UPDATE.
	CapForm CapForm
	// SyncVersion is the version of sync packets: 1, 2 or 3; 0 is unknown.
	SyncVersion int16
}

// DefaultSyncVersion is the sync version of 3.3 and later.
const DefaultSyncVersion = 3

// syncVersion returns the sync version to write. As long as none was seen, it is the latest of the releases that d
// can be.
func (d Dialect) syncVersion() int16 {
	switch {
	case d.SyncVersion != 0:
		return d.SyncVersion
	case d.Numbering == Old || d.CapForm == WithoutSeq:
		return 2 // before 3.3
	}
	return DefaultSyncVersion
}

// Releases names the releases of OpenSIPS that speak d, as far as it is known; "unknown" if nothing is.
func (d Dialect) Releases() string {
	switch {
	case d.SyncVersion >= 3:
		return "3.3 to 4.0"
	case d.Numbering == New && d.CapForm == WithoutSeq:
		return "3.2.0 to 3.2.3"
	case d.Numbering == New && d.CapForm == WithSeq && d.SyncVersion == 2:
		return "3.2.4 to 3.2.19"
	case d.Numbering == New && d.CapForm == WithSeq:
		return "3.2.4 to 4.0"
	case d.Numbering == New:
		return "3.2 to 4.0"
	case d.SyncVersion == 1:
		return "2.4.0 to 2.4.6, 3.0.0"
	case d.Numbering == Old && d.CapForm == WithSeq:
		return "3.1.7 to 3.1.17"
	case d.Numbering == Old && d.CapForm == WithoutSeq && d.SyncVersion == 2:
		return "2.4.7 to 2.4.11, 3.0.1 to 3.1.6"
	case d.Numbering == Old && d.CapForm == WithoutSeq:
		return "2.4 to 3.1.6"
	case d.Numbering == Old:
		return "2.4 to 3.1"
	}
	return "unknown"
}

// Observe learns from a packet that the peer made itself, and tells whether d changed. Packets that the peer only
// passed on show another peer's dialect. A later packet overrides an earlier one, because a peer may come back with
// another release.
func (d *Dialect) Observe(p Packet) (changed bool) {
	before := *d
	kind, numbering, err := KindOf(p, d.Numbering)
	if err != nil || kind == NoKind {
		return false
	}
	if numbering != 0 && numbering != d.Numbering {
		*d = Dialect{Numbering: numbering}
	}
	switch kind {
	case KindCaps:
		var m CapUpdate
		if m.Decode(p) != nil {
			break
		}
		if d.CapForm = WithoutSeq; m.HasSeq {
			d.CapForm = WithSeq
		}
	case KindSyncRequest, KindSync, KindSyncEnd:
		if v := p.Version(); v >= 1 && v <= DefaultSyncVersion {
			if d.SyncVersion = v; v == DefaultSyncVersion {
				d.CapForm = WithSeq
			}
		}
	}
	return *d != before
}
