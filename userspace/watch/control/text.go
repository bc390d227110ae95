package control

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"binrepd/dialog/escape"
)

// Text is a string from a SIP message. Such strings may hold any bytes, but JSON strings only Unicode. In JSON a Text is
// written in the notation of package escape, and read back to the same bytes.
type Text string

// MarshalJSON implements json.Marshaler.
func (t Text) MarshalJSON() ([]byte, error) { return escape.AppendJSON(nil, string(t)), nil }

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*t = Text(escape.Parse(s))
	return nil
}

// ByText is a map whose keys come from packets. In JSON the keys are written as Text is.
type ByText[V any] map[string]V

// MarshalJSON implements json.Marshaler. The keys are sorted.
func (m ByText[V]) MarshalJSON() ([]byte, error) {
	if m == nil {
		return []byte("null"), nil
	}
	out := []byte{'{'}
	for i, key := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			out = append(out, ',')
		}
		value, err := json.Marshal(m[key])
		if err != nil {
			return nil, err
		}
		out = append(append(escape.AppendJSON(out, key), ':'), value...)
	}
	return append(out, '}'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *ByText[V]) UnmarshalJSON(b []byte) error {
	var plain map[string]V
	if err := json.Unmarshal(b, &plain); err != nil || plain == nil {
		return err
	}
	*m = make(ByText[V], len(plain))
	for key, value := range plain {
		(*m)[escape.Parse(key)] = value
	}
	return nil
}

// Printable makes a string from a packet safe for a terminal, in the notation of package escape.
func Printable(s string) string { return escape.String(s) }

// OneLine returns the text of err without line breaks, so that one error stays one line of a log or a table.
func OneLine(err error) string {
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "; ")
}
