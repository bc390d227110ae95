package snapshot

import (
	"slices"

	"binrepd/dialog"
	"binrepd/dialog/layout"
)

// Entries is a copy of the entries that one or several steps of a scan met. The zero value is empty and ready.
type Entries struct {
	bytes []byte
	// Ended dialogs and live ones (with those being set up) are apart, because the ended ones must go first: a deletion
	// names a dialog with its tags in either order, and so could end a live dialog of the same Call-ID. That one is in
	// the same step of the scan, and so comes after the deletion and is built again.
	Ended, Dialogs []Entry
}

// Entry is the copy of one entry of the table.
type Entry struct {
	from, to, key int // the packed dialog is Entries.bytes[from:to]; its key ends at key
	State         dialog.State
	Layout        layout.ID
	Origin        uint16
	// Start, Timeout and Updated are Unix seconds, as the methods of dialog.View return them.
	Start, Timeout, Updated uint32
}

// Reset empties e and keeps its memory.
func (e *Entries) Reset() {
	e.bytes, e.Ended, e.Dialogs = e.bytes[:0], e.Ended[:0], e.Dialogs[:0]
}

// Grow makes room for as many bytes of packed dialogs and as many dialogs, for a caller that knows how much will come.
func (e *Entries) Grow(bytes, dialogs int) {
	e.bytes = slices.Grow(e.bytes, bytes)
	e.Dialogs = slices.Grow(e.Dialogs, dialogs)
}

// Len returns the number of entries.
func (e *Entries) Len() int { return len(e.Ended) + len(e.Dialogs) }

// Bytes returns the size of the packed dialogs of all entries.
func (e *Entries) Bytes() int { return len(e.bytes) }

// Add copies one entry. It is the function to give to dialog.Table.Scan.
func (e *Entries) Add(v *dialog.View) {
	c := Entry{
		from: len(e.bytes), State: v.State(), Layout: v.Layout(), Origin: v.Origin(),
		Start: v.Start(), Timeout: v.Timeout(), Updated: v.Updated(),
	}
	e.bytes = append(e.bytes, v.Body()...)
	c.to, c.key = len(e.bytes), c.from+len(v.Key())
	if v.Tombstone() {
		e.Ended = append(e.Ended, c)
	} else {
		e.Dialogs = append(e.Dialogs, c)
	}
}

// Body returns the packed dialog of an entry, of an ended one what a deletion says. It is valid until Reset.
func (e *Entries) Body(c *Entry) dialog.Packed { return e.bytes[c.from:c.to:c.to] }

// Key returns the packed key of an entry. It is valid until Reset.
func (e *Entries) Key(c *Entry) dialog.Packed { return e.bytes[c.from:c.key:c.key] }
