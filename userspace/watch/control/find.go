package control

import "binrepd/dialog"

// Find returns the dialogs of a Call-ID in any state, at most this many of them, and their total number.
func (b *Backend) Find(callID string, most int) (found []Dialog, total int) {
	id := []byte(callID)
	b.Table.Get(b.Steering.CallID(id), id, func(v *dialog.View) bool {
		if v.Tombstone() {
			return true
		}
		total++
		if len(found) < most {
			found = append(found, newDialog(v, b.sender(v.Origin())))
		}
		return true
	})
	return found, total
}
