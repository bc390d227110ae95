package audit

import (
	"hash/maphash"
	"slices"
)

// hashes are those of the dialogs that a walk showed: 8 bytes each. Two of 10 million dialogs have the same hash once in
// 400,000 audits, and then one of them isn't judged.
type hashes struct {
	seed   maphash.Seed
	sorted []uint64
	fresh  map[uint64]struct{} // of the last dialogs, so that those shown twice across a seam of pages are found
	recent []uint64            // fresh, as a ring
}

// seam is how many dialogs before are looked through for one that is shown twice.
const seam = 4096

func (h *hashes) init() {
	h.seed = maphash.MakeSeed()
	h.fresh = make(map[uint64]struct{}, seam)
}

func (h *hashes) hash(callID, from, to []byte) uint64 {
	var m maphash.Hash
	m.SetSeed(h.seed)
	for _, part := range [...][]byte{callID, from, to} {
		_, _ = m.Write(part)
		_ = m.WriteByte(0)
	}
	return m.Sum64()
}

// add notes a dialog, and reports whether it is another than those shortly before.
func (h *hashes) add(c call) bool {
	x := h.hash([]byte(c.callID), []byte(c.from), []byte(c.to))
	if _, again := h.fresh[x]; again {
		return false
	}
	if len(h.recent) < seam {
		h.recent = append(h.recent, x)
	} else {
		at := len(h.sorted) % seam
		delete(h.fresh, h.recent[at])
		h.recent[at] = x
	}
	h.fresh[x] = struct{}{}
	h.sorted = append(h.sorted, x)
	return true
}

// sort ends the walk: has works from now on.
func (h *hashes) sort() {
	slices.Sort(h.sorted)
	h.fresh, h.recent = nil, nil
}

func (h *hashes) has(x uint64) bool {
	_, found := slices.BinarySearch(h.sorted, x)
	return found
}
