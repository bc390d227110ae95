package bin1

import (
	"bytes"
	"errors"
)

// What is wrong with a list of pairs.
var (
	ErrPairUnfinished = errors.New("pair without closing |")
	ErrPairNoValue    = errors.New("pair without #")
	ErrPairTwoValues  = errors.New("pair with a second #")
	ErrPairNoName     = errors.New("pair without a name")
)

// Pairs walks a list of names and values, which is how the variables and the profiles of a dialog are written:
//
//	list = *( name "#" value "|" )
//
// A backslash makes a "#", "|" or backslash behind it part of the name or value. Before any other byte it stands for
// itself; senders never write it there. Names are not empty, values may be. A profile that several
// proxies share has "/s" behind its name.
//
// The reader in OpenSIPS differs: it takes the "#" or "|" for a separator whenever two backslashes stand before it,
// and so misreads a list in which a value has a backslash directly before a "#" or "|".
//
//	pairs := bin.PairsOf(list)
//	for pairs.Next() { use pairs.Name and pairs.Value }
//	err := pairs.Err()
type Pairs struct {
	// Name and Value of the pair that Next found, views into the list.
	Name, Value Escaped

	rest []byte
	err  error
}

// Escaped is a name or value with its escapes, as a list holds it.
type Escaped []byte

// PairsOf starts a walk over list.
func PairsOf(list []byte) Pairs { return Pairs{rest: list} }

// Next goes to the next pair and reports whether there is one.
func (p *Pairs) Next() bool {
	p.Name, p.Value = nil, nil
	if len(p.rest) == 0 || p.err != nil {
		return false
	}
	// The walk goes from special byte to special byte. What is behind the last one doesn't matter.
	name := -1 // where the name ends
	for i := 0; ; i++ {
		n := bytes.IndexAny(p.rest[i:], `\#|`)
		if n < 0 {
			return p.fail(ErrPairUnfinished)
		}
		switch i += n; p.rest[i] {
		case '\\': // the byte behind it doesn't separate
			if i+1 < len(p.rest) {
				i++
			}
		case '#':
			switch {
			case name >= 0:
				return p.fail(ErrPairTwoValues)
			case i == 0:
				return p.fail(ErrPairNoName)
			}
			name = i
		case '|':
			if name < 0 {
				return p.fail(ErrPairNoValue)
			}
			p.Name, p.Value = Escaped(p.rest[:name:name]), Escaped(p.rest[name+1:i:i])
			p.rest = p.rest[i+1:]
			return true
		}
	}
}

func (p *Pairs) fail(err error) bool {
	p.err = err
	return false
}

// Err returns why Next stopped: nil at the end of the list.
func (p *Pairs) Err() error { return p.err }

// AppendTo appends e without its escapes to dst.
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

// String returns e without its escapes.
func (e Escaped) String() string { return string(e.AppendTo(nil)) }

// AppendPair appends a pair with its escapes to the list dst. The name must not be empty.
func AppendPair(dst []byte, name, value string) []byte {
	dst = appendEscaped(dst, name)
	dst = append(dst, '#')
	dst = appendEscaped(dst, value)
	return append(dst, '|')
}

func appendEscaped(dst []byte, s string) []byte {
	for i := range len(s) {
		if special(s[i]) {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return dst
}

func special(c byte) bool { return c == '\\' || c == '#' || c == '|' }
