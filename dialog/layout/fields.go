package layout

import "math"

// Fields is a dialog with its fields taken apart: what encoding starts from. It is large; reuse it.
type Fields struct {
	Strings [NumFields][]byte
	Numbers [NumFields]uint32
}

// CopyTo sets f to the fields of the dialog. The strings are views of the body.
func (v *View) CopyTo(f *Fields) {
	for i := range NumFields {
		f.Strings[i], f.Numbers[i] = nil, 0
		switch {
		case !v.fields.Has(i):
		case i.IsNumber():
			f.Numbers[i] = v.Number(i)
		default:
			f.Strings[i] = v.Bytes(i)
		}
	}
}

// Append appends the dialog in the layout id to dst. Fields that the layout doesn't have are left out. With a fault dst
// comes back as it was.
func (f *Fields) Append(dst []byte, id ID) ([]byte, Fault) {
	if !id.Valid() {
		return dst, NoLayout
	}
	from := len(dst)
	k := &kinds[id]
	for i, rest := k.fields.Next(); i < NumFields; i, rest = rest.Next() {
		switch {
		case i.IsNumber():
			dst = appendNumber(dst, f.Numbers[i])
		case len(f.Strings[i]) > math.MaxUint16:
			return dst[:from], TooLong
		default:
			dst = appendString(dst, k.width == 4, f.Strings[i])
		}
	}
	if len(dst)-from > MaxBody {
		return dst[:from], TooLong
	}
	return dst, NoFault
}
