package shield

// readable tells whether OpenSIPS can read list, the variables or profiles of a dialog, without going astray. It follows the
// reader of OpenSIPS and not the grammar, name#value| with a backslash before each special byte of a name or value, because
// the two differ: for the reader, '#' and '|' are separators unless the byte before is a backslash and the one before that is
// not. So what OpenSIPS itself writes of a value in which a backslash stands before '#' or '|' is cut at the wrong place. Where that
// leaves pairs of one name and one value it harms nobody; where it leaves a pair without a name, without '#' or with two,
// the reader may go on with uninitialised memory.
//
// A last pair without its '|' is dropped by the reader, which is harmless if the pair is otherwise right.
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

// escaped tells whether the reader of OpenSIPS takes the separator at i for a part of the text.
func escaped(list []byte, i int) bool {
	return i > 0 && list[i-1] == '\\' && (i == 1 || list[i-2] != '\\')
}
