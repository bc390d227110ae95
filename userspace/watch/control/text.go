package control

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text is a string from a SIP message. Such strings may hold any bytes, but JSON strings only Unicode. A byte that is
// not part of a UTF-8 character is written as the lone surrogate \udcXX. So nothing is lost, and two different Call-IDs
// never look the same. This is Python's "surrogateescape"; other readers show a replacement character.
type Text string

// MarshalJSON implements json.Marshaler.
func (t Text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	out := []byte{'"'}
	for s := string(t); len(s) > 0; {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			const hex = "0123456789abcdef"
			out = append(out, '\\', 'u', 'd', 'c', hex[s[0]>>4], hex[s[0]&15])
		} else {
			quoted, err := json.Marshal(s[:n])
			if err != nil {
				return nil, err
			}
			out = append(out, quoted[1:len(quoted)-1]...)
		}
		s = s[n:]
	}
	return append(out, '"'), nil
}

// Printable makes a string from a packet safe for a terminal. It escapes everything that can't be printed.
func Printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) < 0 {
		return s
	}
	quoted := fmt.Sprintf("%+q", s)
	return quoted[1 : len(quoted)-1]
}

// OneLine returns the text of err without line breaks, so that one error stays one line of a log or a table.
func OneLine(err error) string {
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "; ")
}
