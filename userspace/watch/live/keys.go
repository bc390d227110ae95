package live

import (
	"slices"
	"time"
	"unicode/utf8"

	"binrepd/dialog/escape"
	"binrepd/userspace/watch/control"
)

// Names of keys that aren't characters, for Press. A character is its own name.
const (
	KeyUp        = "Up"
	KeyDown      = "Down"
	KeyPageUp    = "PgUp"
	KeyPageDown  = "PgDn"
	KeyHome      = "Home"
	KeyEnd       = "End"
	KeyTab       = "Tab"
	KeyBackTab   = "Backtab"
	KeyEnter     = "Enter"
	KeyEscape    = "Esc"
	KeyBackspace = "Backspace"
	KeyCtrlC     = "Ctrl-C"
	KeyCtrlL     = "Ctrl-L"
	KeyCtrlU     = "Ctrl-U"
	KeyCtrlZ     = "Ctrl-Z"
)

// Action is what a key asks of the caller, besides drawing again.
type Action uint8

const (
	None    Action = iota
	Quit           // end
	LookUp         // request the dialogs of CallID
	Repaint        // draw everything: something else wrote to the terminal
	Suspend        // let the shell have the terminal
)

// maxCallID is the maximum length of a typed Call-ID. No datagram has room for a longer one.
const maxCallID = 64 << 10

// prompt is the input line for a Call-ID.
type prompt struct{ text []rune }

// Press handles a key.
func (m *Model) Press(key string) Action {
	switch {
	case key == KeyCtrlC:
		return Quit
	case key == KeyCtrlL:
		return Repaint
	case key == KeyCtrlZ:
		return Suspend
	case m.prompt != nil:
		return m.typed(key)
	case key == "q":
		return Quit
	case m.page == helpPage:
		if !m.help.scroll(key) {
			m.page = overview
		}
		return None
	case key == "/":
		m.prompt = &prompt{}
		return None
	case key == "p", key == " ":
		m.pause()
		return None
	}
	if m.page == callPage {
		m.pressCall(key)
	} else {
		m.pressOverview(key)
	}
	return None
}

func (m *Model) pressOverview(key string) {
	t := &m.tables[m.focus]
	switch key {
	case "?", "h":
		m.page, m.help = helpPage, scroller{}
	case KeyTab, KeyBackTab:
		m.focus = (m.focus + 1) % len(m.tables)
	case "s":
		t.sortBy(+1)
	case "S":
		t.sortBy(-1)
	case "r":
		t.descending = !t.descending
	default:
		t.scroll(key)
	}
}

func (m *Model) pressCall(key string) {
	switch key {
	case KeyEscape, KeyBackspace, KeyEnter:
		m.page = overview
	case "?", "h":
		m.page, m.help = helpPage, scroller{}
	default:
		m.call.scroll(key)
	}
}

// typed handles a key while a Call-ID is typed.
func (m *Model) typed(key string) Action {
	p := m.prompt
	switch key {
	case KeyEscape:
		m.prompt = nil
	case KeyEnter:
		m.prompt = nil
		if len(p.text) > 0 {
			m.call, m.page = call{id: escape.Parse(string(p.text))}, callPage
			return LookUp
		}
	case KeyBackspace:
		if n := len(p.text); n > 0 {
			p.text = p.text[:n-1]
		} else {
			m.prompt = nil
		}
	case KeyCtrlU:
		p.text = nil
	case KeyUp: // the previous one
		if m.call.id != "" {
			p.text = []rune(escape.String(m.call.id))
		}
	default:
		if r, n := utf8.DecodeRuneInString(key); n == len(key) && r != utf8.RuneError && len(p.text) < maxCallID {
			p.text = append(p.text, r)
		}
	}
	return None
}

// CallID returns the Call-ID whose dialogs are shown and must be requested with each status, or "".
func (m *Model) CallID() string {
	if m.page == callPage && (m.frozen == nil || m.call.at.IsZero()) {
		return m.call.id
	}
	return ""
}

// scroller is a list of rows that may be longer than its space. The frame sets how many rows there are and how many it
// shows.
type scroller struct{ offset, rows, page int }

// scroll handles a key. It returns false for an unknown key.
func (s *scroller) scroll(key string) bool {
	switch key {
	case KeyUp, "k":
		s.offset--
	case KeyDown, "j":
		s.offset++
	case KeyPageUp:
		s.offset -= max(s.page, 1)
	case KeyPageDown:
		s.offset += max(s.page, 1)
	case KeyHome, "g":
		s.offset = 0
	case KeyEnd, "G":
		s.offset = s.rows
	default:
		return false
	}
	s.clamp()
	return true
}

func (s *scroller) clamp() { s.offset = max(min(s.offset, s.rows-s.page), 0) }

// fit sets the number of rows and the space, and returns the first row shown and the one after the last.
func (s *scroller) fit(rows, page int) (from, to int) {
	s.rows, s.page = rows, max(page, 0)
	s.clamp()
	return s.offset, min(s.offset+s.page, rows)
}

// call is the page of one Call-ID.
type call struct {
	scroller
	id      string
	dialogs []control.Dialog
	at      time.Time // of the last answer; zero: none yet
	seen    time.Time // of the last answer that had dialogs
	err     error
}

// Found takes the answer to a request for a Call-ID. at is the time of the request.
func (m *Model) Found(at time.Time, id string, dialogs []control.Dialog, err error) {
	c := &m.call
	if id != c.id || m.frozen != nil && !c.at.IsZero() {
		return
	}
	c.at, c.err = at, err
	if err == nil && len(dialogs) > 0 {
		// The table has no order, so sort them.
		slices.SortFunc(dialogs, func(a, b control.Dialog) int { return compareDialogs(&a, &b) })
		c.dialogs, c.seen = dialogs, at
	}
}
