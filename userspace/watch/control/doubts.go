package control

import (
	"binrepd/dialog"
	"binrepd/userspace/cluster/member"
)

// doubts returns the nodes of clusters that may have dropped calls.
func (b *Backend) doubts() []member.Doubt {
	if b.Doubts == nil {
		return nil
	}
	return b.Doubts()
}

// dropped reports whether the dialog's node may have dropped it.
func (h *ghostSearch) dropped(v *dialog.View) bool {
	for i := range h.doubts {
		d := &h.doubts[i]
		if !d.Covers(v.Start(), v.Updated()) {
			continue
		}
		if s := h.backend.sender(v.Origin()); int32(s.Cluster) == d.Cluster && int32(s.Node) == d.Node {
			return true
		}
	}
	return false
}
