package layout

import (
	"math"
	"strconv"
)

// DefaultHashSize is how many buckets a proxy's table of dialogs has if its configuration doesn't say.
const DefaultHashSize = 4096

// HashEntry returns the number of the bucket in which a proxy with a table of size buckets, a power of two, keeps a
// call. It is the same in all releases. Source: section 2.5 of the specification of generation 1.
func HashEntry(callID []byte, size uint32) uint32 {
	var h uint32
	for len(callID) >= 4 {
		// Bytes are signed there.
		v := uint32(int8(callID[0]))<<24 + uint32(int8(callID[1]))<<16 + uint32(int8(callID[2]))<<8 + uint32(int8(callID[3]))
		h += v ^ v>>3
		callID = callID[4:]
	}
	var v uint32
	for _, c := range callID {
		v = v<<8 + uint32(int8(c))
	}
	h += v ^ v>>3
	h += h>>11 + h>>13 + h>>23
	return h & (size - 1)
}

// AppendDialogID appends the text form of a dialog's number, as dlg_list of 3.0 and later shows it and as it travels
// in the Record-Route parameter "did": bucket and h_id in hexadecimal with their digits in reverse order, and a dot
// between them.
func AppendDialogID(dst []byte, entry, hid uint32) []byte {
	dst = appendReverse(dst, entry)
	dst = append(dst, '.')
	return appendReverse(dst, hid)
}

func appendReverse(dst []byte, n uint32) []byte {
	var digits [8]byte
	hex := strconv.AppendUint(digits[:0], uint64(n), 16)
	for i := len(hex) - 1; i >= 0; i-- {
		dst = append(dst, hex[i])
	}
	return dst
}

// ChosenHID returns the h_id for a dialog that has none: 1 or more, always the same for one Call-ID and two tags, whichever
// is the caller's. Every message about the dialog gets it, and so do other appliances.
func ChosenHID(callID, tag, otherTag []byte) uint32 {
	return max((fnv(callID)+fnv(tag)*31+fnv(otherTag)*31)&math.MaxInt32, 1)
}

// fnv is FNV-1a of 32 bits.
func fnv(s []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range s {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}
