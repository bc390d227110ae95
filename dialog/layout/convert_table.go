package layout

// AppendConversions appends the table of conversions as Markdown to dst: which layouts have a field, and what becomes
// of it between two that have it. A field that only the source has is dropped, and reported if it wasn't empty; one
// that only the target has becomes empty or 0.
func AppendConversions(dst []byte) []byte {
	dst = append(dst, "| field |"...)
	for id := UDP; id < IDs; id++ {
		dst = append(dst, ' ')
		dst = append(dst, id.String()...)
		dst = append(dst, " |"...)
	}
	dst = append(dst, " if both have it | remark |\n|---|"...)
	for id := UDP; id < IDs; id++ {
		dst = append(dst, "---|"...)
	}
	dst = append(dst, "---|---|\n"...)
	for f := range NumFields {
		dst = append(dst, "| "...)
		dst = append(dst, f.String()...)
		dst = append(dst, " |"...)
		for id := UDP; id < IDs; id++ {
			if id.Fields().Has(f) {
				dst = append(dst, " x |"...)
			} else {
				dst = append(dst, " - |"...)
			}
		}
		dst = append(dst, ' ')
		dst = append(dst, treatmentNames[conversion[f].treatment]...)
		dst = append(dst, " | "...)
		dst = append(dst, f.Note()...)
		dst = append(dst, " |\n"...)
	}
	return dst
}

var treatmentNames = [...]string{
	asIs:       "kept",
	asSocket:   "kept, or the dialog is held back",
	asValues:   "kept, or derived between typed, untyped and generation 1",
	asProfiles: "kept, or derived between typed and untyped, and towards generation 1",
	asFlags:    "kept, or derived where bits differ",
	asHID:      "kept; from generation 1 to 2 chosen where it is 0",
}
