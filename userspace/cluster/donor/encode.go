package donor

import (
	"fmt"
	"regexp"
	"strings"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
	"binrepd/userspace/out/shield"
)

// Reason is why a dialog or a message isn't sent to a peer.
type Reason uint8

const (
	Passed         Reason = iota // it is sent
	BeingSetUp                   // generation 2 replicates answered calls only
	HasEnded                     // the snapshot says so
	Expired                      // its timeout has passed: the peer would end it at once
	NoSocket                     // a socket is empty, and a peer refuses such a dialog
	SocketTag                    // a socket is given by its tag, and the peer's releases have none
	SocketProtocol               // a socket has a protocol that the peer's releases don't have
	TooLong                      // the packet would be longer than a peer takes
	Malformed                    // the dialog can't be read
	NoMessage                    // the peer's releases don't have the message
	Reasons
)

var reasonNames = [Reasons]string{"passed", "being_set_up", "ended", "expired", "no_socket", "socket_tag", "socket_protocol", "too_long",
	"malformed", "no_message"}

// String returns the name of the reason in status and metrics.
func (r Reason) String() string {
	if r < Reasons {
		return reasonNames[r]
	}
	return "invalid"
}

var ofRefusal = [layout.Refusals]Reason{layout.NotRefused: Passed, layout.NoSocket: NoSocket, layout.SocketTag: SocketTag,
	layout.SocketProtocol: SocketProtocol}

// MaxBody is the longest dialog in bytes that a packet of a sync takes. With its head the packet stays below 64 KB less
// the 20 bytes that 4.0 keeps free; from 32 KB on it is a dialog that fills its packet alone, which every release takes.
const MaxBody = 65_300

// Rewrites replaces sockets: the key is a socket as a proxy sends it, the value what a peer gets.
type Rewrites map[string]string

// ParseRewrite reads a rule OLD=NEW. Each side is proto:address:port, or proto:tag for a socket that is known by its tag.
func ParseRewrite(text string) (from, to string, err error) {
	left, right, ok := strings.Cut(text, "=")
	if !ok {
		return "", "", fmt.Errorf("rewrite rule %q: want OLD=NEW, as in udp:10.0.0.1:5060=udp:10.0.0.2:5060 or udp:edge=udp:10.0.0.2:5060", text)
	}
	if from, err = socketOf(left); err == nil {
		to, err = socketOf(right)
	}
	if err != nil {
		return "", "", fmt.Errorf("rewrite rule %q: %w", text, err)
	}
	return from, to, nil
}

// socketOf returns a socket in the form in which OpenSIPS sends it.
func socketOf(text string) (string, error) {
	if regexp.MustCompile(`^[a-z_]+:[A-Za-z0-9_.-]*[A-Za-z_][A-Za-z0-9_.-]*$`).MatchString(text) {
		return text, nil // by its tag
	}
	r, err := shield.ParseRewrite(text + "=" + text)
	if err != nil {
		return "", fmt.Errorf("%q is neither proto:address:port nor proto:tag", text)
	}
	return r.Old, nil
}

// Encoder writes dialogs, and messages about dialogs, in the layout of one peer. It keeps its memory, so that it
// allocates nothing per dialog. One goroutine uses it.
type Encoder struct {
	to       layout.ID
	rewrites Rewrites
	view     layout.View
	report   layout.Report
	scratch  [2][]byte
	tally    layout.Tally
}

// NewEncoder returns an encoder for a peer that takes the layout to.
func NewEncoder(to layout.ID, r Rewrites) *Encoder { return &Encoder{to: to, rewrites: r} }

// Layout returns the layout of what the encoder writes.
func (e *Encoder) Layout() layout.ID { return e.to }

// Lost returns what all conversions so far could not carry over. Any goroutine may call it.
func (e *Encoder) Lost() layout.Lost { return e.tally.Lost() }

// Dialog appends the dialog body, which lies in the layout id, as the peer takes it. now is in Unix seconds. If the
// reason isn't Passed, dst comes back as it was; sockets is then what the dialog says of its sockets, for people. It is a
// view that the next call overwrites.
func (e *Encoder) Dialog(dst []byte, id layout.ID, body []byte, now uint32) (out []byte, r Reason, sockets [2][]byte) {
	v := &e.view
	if layout.Parse(id, body, v) != layout.NoFault {
		return dst, Malformed, sockets
	}
	switch state := dialog.State(v.Number(layout.State)); {
	case state == dialog.Ended:
		return dst, HasEnded, sockets
	case !state.Live():
		return dst, BeingSetUp, sockets
	case v.Number(layout.Timeout) <= now:
		return dst, Expired, sockets
	}
	if len(e.rewrites) > 0 && (!e.rewrite(layout.CallerSocket, 0) || !e.rewrite(layout.CalleeSocket, 1)) {
		return dst, TooLong, sockets
	}
	out, fault := v.Convert(dst, e.to, &e.report)
	sockets = [2][]byte{v.Bytes(layout.CallerSocket), v.Bytes(layout.CalleeSocket)}
	switch {
	case fault == layout.TooLong, len(out)-len(dst) > MaxBody:
		return dst, TooLong, sockets
	case fault != layout.NoFault:
		return dst, Malformed, sockets
	case e.report.Refusal != layout.NotRefused:
		return dst, ofRefusal[e.report.Refusal], sockets
	}
	if id != e.to {
		e.tally.Add(&e.report)
	}
	return out, Passed, sockets
}

// rewrite replaces a socket, if a rule names it. The view then views a copy.
func (e *Encoder) rewrite(f layout.Field, at int) bool {
	to, found := e.rewrites[string(e.view.Bytes(f))]
	if !found {
		return true
	}
	changed, fault := e.view.AppendWith(e.scratch[at][:0], f, []byte(to))
	e.scratch[at] = changed
	return fault == layout.NoFault && layout.Parse(e.view.Layout(), changed, &e.view) == layout.NoFault
}

// Message appends the body of the message that tells of a change: an end, a value or a CSeq number.
func (e *Encoder) Message(dst []byte, c *changes.Change) (out []byte, kind layout.Kind, r Reason) {
	from, to := layout.ID(c.Layout).Version(), e.to.Version()
	fault := layout.NoFault
	switch c.Kind {
	case dialog.Delete:
		return e.end(dst, layout.ID(c.Layout), c.Body(), c.HID)
	case dialog.Value:
		if !e.to.Typed() { // 3.5 and later know the message
			return dst, layout.Value, NoMessage
		}
		var m layout.ValueChange
		if layout.ParseValue(from, c.Body(), &m) != layout.NoFault {
			return dst, layout.Value, Malformed
		}
		out, fault = m.Append(dst, to)
		kind = layout.Value
	case dialog.CSeq:
		var m layout.CSeqChange
		if layout.ParseCSeq(from, c.Body(), &m) != layout.NoFault {
			return dst, layout.CSeq, Malformed
		}
		kind = layout.CSeq
		if to >= 4 && !m.HasHID {
			return dst, kind, NoMessage
		}
		out, fault = m.Append(dst, to)
	default:
		return dst, layout.NoKind, NoMessage
	}
	if fault != layout.NoFault {
		return dst, kind, NoMessage
	}
	return out, kind, Passed
}

// end appends the body of DELETED for what a deletion of the dialog says in the layout id. hid is h_id of the dialog that it
// has ended, 0 if that isn't known.
func (e *Encoder) end(dst []byte, id layout.ID, name []byte, hid uint32) ([]byte, layout.Kind, Reason) {
	var m layout.Deletion
	if layout.ParseDeletion(id.Version(), name, &m) != layout.NoFault {
		return dst, layout.Deleted, Malformed
	}
	switch {
	case m.HasHID:
	case hid != 0:
		m.HID, m.HasHID = hid, true
	case id == layout.UDP: // as Convert chose it
		m.HID, m.HasHID = layout.ChosenHID(m.CallID, m.FromTag, m.ToTag), true
	case e.to.Version() >= 4:
		return dst, layout.Deleted, NoMessage // such a peer finds dialogs by h_id only
	}
	out, fault := m.Append(dst, e.to.Version())
	if fault != layout.NoFault {
		return dst, layout.Deleted, Malformed
	}
	return out, layout.Deleted, Passed
}
