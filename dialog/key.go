package dialog

import "bytes"

// Comparisons of packed keys other than equality. Both sides are packed keys, or begin with one.

// sameCallID reports whether the Call-IDs are equal.
func (p Packed) sameCallID(q Packed) bool {
	a, _ := p.Part()
	b, _ := q.Part()
	return bytes.Equal(a, b)
}

// sameCaller reports whether Call-IDs and from-tags are equal.
func (p Packed) sameCaller(q Packed) bool {
	a, p := p.Part()
	b, q := q.Part()
	if !bytes.Equal(a, b) {
		return false
	}
	a, _ = p.Part()
	b, _ = q.Part()
	return bytes.Equal(a, b)
}

// names reports whether the Call-IDs are equal and one of p's tags is q's from-tag.
func (p Packed) names(q Packed) bool {
	a, p := p.Part()
	b, q := q.Part()
	if !bytes.Equal(a, b) {
		return false
	}
	from, p := p.Part()
	to, _ := p.Part()
	caller, _ := q.Part()
	return bytes.Equal(from, caller) || bytes.Equal(to, caller)
}

// mirrors reports whether p is q with the tags in the other order.
func (p Packed) mirrors(q Packed) bool {
	if len(p) != len(q) {
		return false
	}
	a, p := p.Part()
	b, q := q.Part()
	if !bytes.Equal(a, b) {
		return false
	}
	from, p := p.Part()
	to, _ := p.Part()
	otherFrom, q := q.Part()
	otherTo, _ := q.Part()
	return bytes.Equal(from, otherTo) && bytes.Equal(to, otherFrom)
}
