package control

import (
	"encoding/json"
	"errors"
	"net/http"
)

// lines writes JSON objects, one per line. It waits for a client that reads slowly, such as a person with a pager. It
// stops when the connection ends.
type lines struct {
	http  *http.ResponseController
	json  *json.Encoder
	begun bool
}

func newLines(w http.ResponseWriter) *lines {
	out := &lines{http: http.NewResponseController(w), json: json.NewEncoder(w)}
	out.json.SetEscapeHTML(false)
	return out
}

// write writes one object and flushes it.
func (l *lines) write(v any) error {
	return errors.Join(l.writeAll(1, func(int) any { return v }), l.http.Flush())
}

// writeAll writes n objects without flushing. They are sent when the buffer is full, and at the end.
func (l *lines) writeAll(n int, object func(i int) any) error {
	l.begun = true
	for i := range n {
		if err := l.json.Encode(object(i)); err != nil {
			return err
		}
	}
	return nil
}
