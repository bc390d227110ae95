package control

import "binrepd/dialog"

// Find calls each for the dialogs of a Call-ID in any state until it returns false, and returns how many there are. Each
// call gets another Dialog. It takes memory for one rendered dialog at a time.
func (b *Backend) Find(callID string, each func(*Dialog) (more bool)) (total int) {
	r := b.reader(func(v *dialog.View) bool { return !v.Tombstone() })
	more := true
	_ = r.call([]byte(callID), func(v *dialog.View) error {
		total++
		if more {
			d := newDialog(v, b.sender(v.Origin()))
			more = each(&d)
		}
		return nil
	})
	return total
}
