package dialog

import (
	"bytes"

	"binrepd/dialog/layout"
)

// Name names one dialog for longer than its View is valid.
type Name struct {
	Layout layout.ID
	// Deletion is what a deletion of the dialog says in that layout.
	Deletion []byte
}

// Name returns the name of the dialog.
func (v *View) Name() Name { return Name{v.Layout(), v.AppendName(nil)} }

// Equal reports whether two names are the same.
func (n Name) Equal(o Name) bool { return n.Layout == o.Layout && bytes.Equal(n.Deletion, o.Deletion) }

// CallID returns the Call-ID, nil if the name is none.
func (n Name) CallID() []byte {
	var ev Event
	if ev.SetDeletion(n.Layout, n.Deletion) != layout.NoFault {
		return nil
	}
	return ev.CallID()
}
