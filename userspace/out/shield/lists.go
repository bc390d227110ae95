package shield

// readable tells whether OpenSIPS can read list, the variables or profiles of a dialog, without harm. The grammar is name#value| with a
// backslash before each special byte of a name or value. The reader of OpenSIPS differs from it, and readable follows the reader.
// To the reader '#' and '|' are separators unless the byte before is a backslash and the byte before that is not. So if a value has a
// backslash before '#' or '|', the reader cuts what OpenSIPS itself wrote at the wrong place. That does no harm if each piece is still
// a pair of one name and one value. If a pair has no name, no '#' or two of them, the reader may use uninitialised memory.
//
// The reader drops a last pair without its '|', which does no harm if the pair is otherwise right.
func readable(list []byte) bool {
	start, hashes := 0, 0
	for i, c := range list {
		if c != '#' && c != '|' || escaped(list, i) {
			continue
		}
		if c == '#' {
			if hashes++; hashes > 1 || i == start {
				return false
			}
			continue
		}
		if hashes == 0 {
			return false
		}
		start, hashes = i+1, 0
	}
	return start == len(list) || hashes == 1
}

// escaped tells whether the reader of OpenSIPS takes the separator at i as a part of the text.
func escaped(list []byte, i int) bool {
	return i > 0 && list[i-1] == '\\' && (i == 1 || list[i-2] != '\\')
}
