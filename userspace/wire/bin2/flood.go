package bin2

import "encoding/binary"

// PathOf returns the path of a message that nodes pass on: LinkUpdate, Topology, Description and CapUpdate; false for
// others and for those that don't decode.
func PathOf(p Packet) (path IDs, ok bool) {
	kind, _, err := KindOf(p, 0)
	if err != nil {
		return IDs{}, false
	}
	switch kind {
	case KindLink:
		var m LinkUpdate
		err = m.Decode(p)
		path = m.Path
	case KindTopology:
		var m Topology
		err = m.Decode(p)
		path = m.Path
	case KindDescription:
		var m Description
		err = m.Decode(p)
		path = m.Path
	case KindCaps:
		var m CapUpdate
		err = m.Decode(p)
		path = m.Path
	default:
		return IDs{}, false
	}
	return path, err == nil
}

// AppendPassedOn appends p as node passes it on: with node behind its path, and a CapUpdate without the wish for a
// reply. It returns false, and b as it was, for a message that isn't passed on or whose path is full.
func AppendPassedOn(b []byte, p Packet, node int32) ([]byte, bool) {
	path, ok := PathOf(p)
	if !ok || path.Len() >= MaxPath {
		return b, false
	}
	start := len(b)
	b = append(b, p...)
	b = binary.LittleEndian.AppendUint32(b, uint32(node))
	made := b[start:]
	binary.LittleEndian.PutUint32(made[lengthOffset:], uint32(len(made)))
	count := len(p) - 4*path.Len() - 4 // the path is the last field
	binary.LittleEndian.PutUint32(made[count:], uint32(path.Len()+1))
	if kind, _, _ := KindOf(p, 0); kind == KindCaps {
		binary.LittleEndian.PutUint32(made[count-4:], 0) // the wish stands before the path
	}
	if len(made) > MaxSent {
		return b[:start], false
	}
	return b, true
}
