package donor

import (
	"binrepd/dialog/layout"
	"binrepd/userspace/wire/bin2"
)

// Peer is how to write to the node that asks.
type Peer struct {
	Trailer bin2.Trailer
	Dialect bin2.Dialect
	// SyncVersion is that of its request: 1, 2 or 3.
	SyncVersion int16
	// Layout is that of the dialogs that it takes.
	Layout layout.ID
}

// bySyncVersion are the layouts of the releases that have a sync version. Source: sections 2.1 and 4.2 of the
// specification of generation 2.
var bySyncVersion = [...]layout.IDSet{
	layout.SyncUnsized: 1<<layout.Bin1Plain | 1<<layout.Bin1TwoSDP | 1<<layout.Bin1FourSDP,
	layout.SyncSized: 1<<layout.Bin1TwoSDP | 1<<layout.Bin2Plain | 1<<layout.Bin2Routes | 1<<layout.Bin3 |
		1<<layout.Bin4Untyped,
	layout.SyncCounted: 1<<layout.Bin4Untyped | 1<<layout.Bin4Typed | 1<<layout.Bin5,
}

// LayoutOf returns in which layout a node takes dialogs, and None if its sync version isn't known. own is the layout in
// which it last sent some, and others are those of the other nodes of its cluster; None among them stands for a node that
// sent none. What a node sends it takes; otherwise its dialect decides, then what the others send, then the release that
// is most in use.
func LayoutOf(syncVersion int16, d bin2.Dialect, own layout.ID, others []layout.ID) layout.ID {
	if syncVersion < layout.SyncUnsized || syncVersion > layout.SyncCounted {
		return layout.None
	}
	possible := bySyncVersion[syncVersion]
	if syncVersion == layout.SyncSized {
		// The number of CAP_UPDATE came with 3.1.7 and 3.2.4, and the new numbering with 3.2.
		switch {
		case d.CapForm == bin2.WithSeq:
			possible = 1 << layout.Bin4Untyped
		case d.Numbering == bin2.New:
			possible &^= 1<<layout.Bin1TwoSDP | 1<<layout.Bin2Plain
		}
	}
	if possible.Has(own) {
		return own
	}
	for _, id := range others {
		if possible.Has(id) {
			return id
		}
	}
	switch {
	case possible.Has(layout.Bin4Typed):
		return layout.Bin4Typed // 3.4 to 4.0; later ones take it too
	case possible.Has(layout.Bin1TwoSDP):
		return layout.Bin1TwoSDP // 2.4.5 to 2.4.11
	}
	return possible.Last()
}
