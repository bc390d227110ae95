package escape

import (
	"unicode"
	"unicode/utf8"
)

const digits = "0123456789abcdef"

// String returns s as text that is safe for terminals, pages and logs.
func String(s string) string {
	if shown(s) {
		return s
	}
	return string(Append(nil, s))
}

// Append appends the text of s to dst.
func Append[T string | []byte](dst []byte, s T) []byte {
	for i := 0; i < len(s); {
		n, show := next(s, i)
		for _, c := range []byte(s[i : i+n]) {
			if show {
				dst = append(dst, c)
			} else {
				dst = append(dst, '\\', 'x', digits[c>>4], digits[c&15])
			}
		}
		i += n
	}
	return dst
}

// AppendJSON appends the text of s to dst, as a JSON string with its quotes. CR, LF and TAB are escaped as JSON does it, so that
// an SDP reads as OpenSIPS prints it: they reach no terminal as they are.
func AppendJSON[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		n, show := next(s, i)
		switch {
		case show && (s[i] == '"' || s[i] == '\\'):
			dst = append(dst, '\\', s[i])
		case show:
			dst = append(dst, s[i:i+n]...)
		case s[i] == '\r':
			dst = append(dst, '\\', 'r')
		case s[i] == '\n':
			dst = append(dst, '\\', 'n')
		case s[i] == '\t':
			dst = append(dst, '\\', 't')
		default:
			for k := i; k < i+n; k++ {
				dst = append(dst, '\\', '\\', 'x', digits[s[k]>>4], digits[s[k]&15])
			}
		}
		i += n
	}
	return append(dst, '"')
}

// Parse returns the string that a text stands for. An escape that isn't complete stands for itself, so every text has a
// meaning.
func Parse(text string) string {
	var out []byte
	from := 0
	for i := 0; i < len(text); i++ {
		if escaped(text, i) {
			out = append(append(out, text[from:i]...), value(text[i+2])<<4|value(text[i+3]))
			i += 3
			from = i + 1
		}
	}
	if out == nil {
		return text
	}
	return string(append(out, text[from:]...))
}

// shown reports whether s stands for itself.
func shown(s string) bool {
	for i := 0; i < len(s); {
		n, show := next(s, i)
		if !show {
			return false
		}
		i += n
	}
	return true
}

// next returns the length of the character at s[i], and whether it stands for itself. A byte that is part of no UTF-8
// character counts as a character.
func next[T string | []byte](s T, i int) (n int, show bool) {
	switch c := s[i]; {
	case c == '\\':
		return 1, !escaped(s, i)
	case c < utf8.RuneSelf:
		return 1, c >= ' ' && c != 0x7f
	}
	r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
	return n, unicode.IsPrint(r) && r != utf8.RuneError
}

// escaped reports whether s[i:] begins with an escape.
func escaped[T string | []byte](s T, i int) bool {
	return i+3 < len(s) && s[i] == '\\' && s[i+1] == 'x' && isDigit(s[i+2]) && isDigit(s[i+3])
}

func isDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// value returns the value of a hexadecimal digit.
func value(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
