package layout

import (
	"bytes"
	"errors"
	"math"
	"strconv"
)

// What is wrong with a list of pairs.
var (
	ErrPairUnfinished = errors.New("pair without closing |")
	ErrPairNoValue    = errors.New("pair without #")
	ErrPairTwoValues  = errors.New("pair with a # too many")
	ErrPairNoName     = errors.New("pair without a name")
	ErrPairType       = errors.New("pair whose type is neither 1 nor 2")
	ErrPairInteger    = errors.New("pair of type integer whose value is none")
)

// ValueType is the type of a value, as it stands in typed lists and in the message VALUE.
type ValueType uint8

const (
	NoValue ValueType = 0 // only in VALUE: the value is removed
	Text    ValueType = 1
	Integer ValueType = 2
)

func (t ValueType) String() string {
	switch t {
	case NoValue:
		return "none"
	case Text:
		return "string"
	case Integer:
		return "integer"
	}
	return "invalid"
}

// Pairs walks a list of names and values, which is how the values and the profiles of a dialog are written:
//
//	untyped  list = *( name "#" value "|" )             until 3.3
//	typed    list = *( name "#" type "#" value "|" )    from 3.4 on; the type is 1 (string) or 2 (integer, decimal)
//
// A backslash makes a "#", "|" or backslash behind it part of the name or value; before any other byte, where senders
// never write one, it stands for itself. Names are not empty, values may be.
//
//	pairs := v.Values()
//	for pairs.Next() { use pairs.Name, pairs.Type and pairs.Value }
//	err := pairs.Err()
type Pairs struct {
	// Name and Value of the pair that Next found, views into the list.
	Name, Value Escaped
	// Type of the value; Text in an untyped list.
	Type ValueType

	list  []byte
	from  int // where the pair begins that Next found
	next  int // where the next one begins
	typed bool
	err   error
}

// Escaped is a name or value as it stands in a list.
type Escaped []byte

// PairsOf starts a walk over list.
func PairsOf(list []byte, typed bool) Pairs { return Pairs{list: list, typed: typed} }

// Values starts a walk over the values of the dialog.
func (v *View) Values() Pairs { return PairsOf(v.Bytes(Values), v.id.Typed()) }

// Profiles starts a walk over the profiles of the dialog. Profile tells what a name says.
func (v *View) Profiles() Pairs { return PairsOf(v.Bytes(Profiles), v.id.Typed()) }

// Next goes to the next pair and tells whether there is one.
func (p *Pairs) Next() bool {
	p.Name, p.Value, p.Type = nil, nil, NoValue
	if p.next >= len(p.list) || p.err != nil {
		return false
	}
	p.from = p.next
	rest := p.list[p.from:]
	// The list's separators are found byte by byte: pairs are short.
	name, kind := -1, -1 // where the name ends, and the type
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '\\': // whatever is behind it doesn't separate
			i++
		case '#':
			switch {
			case i == 0:
				return p.fail(ErrPairNoName)
			case name < 0:
				name = i
			case p.typed && kind < 0:
				kind = i
			default:
				return p.fail(ErrPairTwoValues)
			}
		case '|':
			if name < 0 || p.typed && kind < 0 {
				return p.fail(ErrPairNoValue)
			}
			p.next = p.from + i + 1
			return p.found(rest[:i:i], name, kind)
		}
	}
	return p.fail(ErrPairUnfinished)
}

// found takes apart a pair without its closing "|", whose name ends at name and, in a typed list, whose type ends at
// kind.
func (p *Pairs) found(pair []byte, name, kind int) bool {
	p.Type = Text
	value := pair[name+1:]
	if p.typed {
		if kind != name+2 || pair[name+1] != '1' && pair[name+1] != '2' {
			return p.fail(ErrPairType)
		}
		p.Type = ValueType(pair[name+1] - '0')
		value = pair[kind+1:]
	}
	p.Name, p.Value = Escaped(pair[:name:name]), Escaped(value)
	if p.Type == Integer {
		if _, ok := p.Int(); !ok {
			return p.fail(ErrPairInteger)
		}
	}
	return true
}

// Int returns the value of a pair of type Integer.
func (p *Pairs) Int() (int32, bool) {
	digits := p.Value
	negative := len(digits) > 0 && digits[0] == '-'
	if negative {
		digits = digits[1:]
	}
	if len(digits) == 0 || len(digits) > 10 {
		return 0, false
	}
	n := int64(0)
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return int32(n), n >= math.MinInt32 && n <= math.MaxInt32
}

// Raw returns the pair that Next found as it stands in the list, from its name to its "|".
func (p *Pairs) Raw() []byte { return p.list[p.from:p.next:p.next] }

func (p *Pairs) fail(err error) bool {
	p.Name, p.Value, p.Type = nil, nil, NoValue
	p.err = err
	return false
}

// Err returns why Next found no more: nil at the end of the list.
func (p *Pairs) Err() error { return p.err }

// AppendTo appends what e stands for to dst.
func (e Escaped) AppendTo(dst []byte) []byte {
	for {
		i := bytes.IndexByte(e, '\\')
		if i < 0 {
			return append(dst, e...)
		}
		dst = append(dst, e[:i]...)
		if e = e[i+1:]; len(e) == 0 || !special(e[0]) {
			dst = append(dst, '\\')
		} else {
			dst = append(dst, e[0])
			e = e[1:]
		}
	}
}

// Equal tells whether e stands for plain.
func (e Escaped) Equal(plain []byte) bool {
	for i := 0; i < len(e); i++ {
		if e[i] == '\\' && i+1 < len(e) && special(e[i+1]) {
			i++
		}
		if len(plain) == 0 || e[i] != plain[0] {
			return false
		}
		plain = plain[1:]
	}
	return len(plain) == 0
}

// String returns what e stands for.
func (e Escaped) String() string { return string(e.AppendTo(nil)) }

// AppendPair appends a pair of a string to the list dst, with its escapes. The name must not be empty.
func AppendPair(dst []byte, typed bool, name, value []byte) []byte {
	dst = AppendEscaped(dst, name)
	if typed {
		dst = append(dst, "#1#"...)
	} else {
		dst = append(dst, '#')
	}
	dst = AppendEscaped(dst, value)
	return append(dst, '|')
}

// AppendIntPair appends a pair of an integer to the list dst. In an untyped list the number is written as a string.
func AppendIntPair(dst []byte, typed bool, name []byte, value int32) []byte {
	dst = AppendEscaped(dst, name)
	if typed {
		dst = append(dst, "#2#"...)
	} else {
		dst = append(dst, '#')
	}
	dst = appendInt(dst, value)
	return append(dst, '|')
}

func appendInt(dst []byte, n int32) []byte { return strconv.AppendInt(dst, int64(n), 10) }

// AppendEscaped appends s to dst, with a backslash in front of "#", "|" and backslash.
func AppendEscaped(dst, s []byte) []byte {
	for _, c := range s {
		if special(c) {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return dst
}

// escapedSize returns how many bytes AppendEscaped appends.
func escapedSize(s []byte) int {
	size := len(s)
	for _, c := range s {
		if special(c) {
			size++
		}
	}
	return size
}

func special(c byte) bool { return c == '\\' || c == '#' || c == '|' }

// form is how a list is written.
type form uint8

const (
	unknownForm form = iota // the list is empty or broken
	untypedForm
	typedForm
)

// formOf tells by the first pair how a list is written. A well-formed pair is never both: a typed one has a "#" more.
func formOf(list []byte) form {
	typed := Pairs{list: list, typed: true}
	if typed.Next() {
		return typedForm
	}
	if typed.err == nil {
		return unknownForm
	}
	untyped := Pairs{list: list}
	if untyped.Next() {
		return untypedForm
	}
	return unknownForm
}

// saysTyped tells quickly of most typed lists that they are. It may miss one.
func saysTyped(list []byte) bool {
	i := bytes.IndexByte(list, '#')
	return i > 0 && i+2 < len(list) && (list[i+1] == '1' || list[i+1] == '2') && list[i+2] == '#' && list[i-1] != '\\'
}

// Sharing tells how a profile is shared between proxies: 0 not at all, 's' through a cache database, 'b' by BIN.
type Sharing byte

// Profile takes the name of a profile apart. Names have only letters and digits; what is behind a slash tells of
// sharing.
func Profile(name Escaped) (plain Escaped, shared Sharing) {
	if n := len(name) - 2; n > 0 && name[n] == '/' && (name[n+1] == 's' || name[n+1] == 'b') {
		return name[:n:n], Sharing(name[n+1])
	}
	return name, 0
}

// TagName is the name of the value that holds the sharing tag of a dialog. There is no other field for it.
const TagName = "dlgX_shtag"

// Tag returns the sharing tag of the dialog as it stands in the list of values, nil if it has none.
func (v *View) Tag() Escaped {
	// Most dialogs of clusters have it, in front.
	for p := v.Values(); p.Next(); {
		if string(p.Name) == TagName {
			return p.Value
		}
	}
	return nil
}
