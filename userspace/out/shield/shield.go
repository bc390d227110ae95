package shield

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
)

// ByeOnTimeout is the flag by which OpenSIPS ends a call, with a BYE to both parties, when its dialog expires.
const ByeOnTimeout = 1 << 3

// Policy is what a destination needs changed. The zero value changes nothing.
type Policy struct {
	// Rewrites replace the sockets of the caller's and the callee's side. A socket is replaced at most once.
	Rewrites []SocketRewrite
	// ClearByeOnTimeout clears ByeOnTimeout, for a standby that must not end calls by itself.
	ClearByeOnTimeout bool
	// Now is the clock that tells whether a dialog has expired; nil means time.Now.
	Now func() time.Time
}

// Shield decides about the events for one destination. One goroutine uses it; Report may be called from any.
type Shield struct {
	policy Policy
	body   []byte // where a changed dialog is put together
	counts counts
}

// New returns a shield for a destination.
func New(p Policy) (*Shield, error) {
	seen := map[string]bool{}
	for _, r := range p.Rewrites {
		switch {
		case r.Old == "" || r.New == "":
			return nil, errors.New("shield: a rewrite rule with an empty socket")
		case seen[r.Old]:
			return nil, fmt.Errorf("shield: two rewrite rules for %s", r.Old)
		}
		seen[r.Old] = true
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Shield{policy: p}, nil
}

// Outgoing is the decision about one event.
type Outgoing struct {
	// Held is the reason for holding the event back, or Passed.
	Held Reason
	// Kind of the packet: that of the event, but Delete for a dialog that has ended.
	Kind dialog.Kind
	// Packet is what to send: the packet that came, or one built behind dst.
	Packet []byte
}

// Process decides about the event of that kind and body: a packed dialog, or for a deletion its packed key. packet is what
// told of it, and is what goes out if nothing has to be changed; with nil it is built. Packets that are built are appended to
// dst; the extended slice is returned.
func (s *Shield) Process(dst []byte, kind dialog.Kind, body dialog.Packed, packet []byte) ([]byte, Outgoing) {
	kind, changed, held := s.examine(kind, body)
	if held == Passed && bin1.Size(changed) > bin1.MaxSize {
		held = TooLong
	}
	s.counts.held[held].Add(1)
	if held != Passed {
		return dst, Outgoing{Held: held}
	}
	if packet != nil && len(changed) == len(body) && &changed[0] == &body[0] {
		return dst, Outgoing{Kind: kind, Packet: packet}
	}
	from := len(dst)
	dst = bin1.Append(dst, kind, changed)
	return dst, Outgoing{Kind: kind, Packet: dst[from:len(dst):len(dst)]}
}

var reasons = [...]Reason{
	dialog.NoFault:        Passed,
	dialog.CutShort:       Malformed,
	dialog.NegativeLength: Malformed,
	dialog.PastEnd:        Malformed,
	dialog.Trailing:       Malformed,
	dialog.NoCallID:       EmptyCallID,
	dialog.BadState:       BadState,
}

// examine returns the kind and the body to send: body itself, a part of it, or a changed copy in s.body.
func (s *Shield) examine(kind dialog.Kind, body dialog.Packed) (dialog.Kind, dialog.Packed, Reason) {
	var ev dialog.Event
	switch kind {
	case dialog.Delete:
		return kind, body, reasons[dialog.ParseKey(body, &ev)]
	case dialog.Create, dialog.Update:
	default:
		return kind, body, Malformed
	}
	if fault := dialog.ParseSnapshot(body, kind, &ev); fault != dialog.NoFault {
		return kind, body, reasons[fault]
	}
	switch {
	case ev.State == dialog.Ended:
		return dialog.Delete, ev.Key, Passed
	case ev.State.BeingSetUp():
		return kind, body, BeingSetUp
	case int64(ev.Timeout) <= s.policy.Now().Unix():
		return kind, body, Expired
	}
	f := body.Fields()
	switch {
	case tooManyRoutes(f.Bytes(dialog.CallerRouteSet)), tooManyRoutes(f.Bytes(dialog.CalleeRouteSet)):
		return kind, body, TooManyRoutes
	case !readable(f.Bytes(dialog.Vars)):
		return kind, body, UnreadableVars
	case !readable(f.Bytes(dialog.Profiles)):
		return kind, body, UnreadableProfiles
	}
	return kind, s.adapt(body, &f), Passed
}

// adapt applies the policy to a snapshot.
func (s *Shield) adapt(body dialog.Packed, f *dialog.Fields) dialog.Packed {
	caller, callee := f.Bytes(dialog.CallerSocket), f.Bytes(dialog.CalleeSocket)
	if len(caller) == 0 || len(callee) == 0 {
		s.counts.noSocket.Add(1)
	}
	own := false // body is a copy in s.body
	if len(s.policy.Rewrites) > 0 {
		newCaller, known := s.rewrite(caller)
		newCallee, alsoKnown := s.rewrite(callee)
		if !known || !alsoKnown {
			s.counts.unmatched.Add(1)
			if !known {
				s.counts.socket(caller)
			}
			if !alsoKnown && (known || string(caller) != string(callee)) {
				s.counts.socket(callee)
			}
		}
		if newCaller != "" || newCallee != "" {
			body, own = s.replaceSockets(body, f, newCaller, newCallee), true
		}
	}
	if flags := f.Number(dialog.Flags); s.policy.ClearByeOnTimeout && flags&ByeOnTimeout != 0 {
		if !own {
			s.body = append(s.body[:0], body...)
			body = s.body
		}
		// Flags are the fourth number from the end, before the timeout and two generated CSeqs.
		binary.LittleEndian.PutUint32(body[len(body)-4*4:], flags&^ByeOnTimeout)
	}
	return body
}

// rewrite returns what to replace a socket by, or nothing, and whether the rules know the socket: one of them names it, or
// it is already what one of them makes.
func (s *Shield) rewrite(socket []byte) (replacement string, known bool) {
	if len(socket) == 0 {
		return "", true
	}
	for i := range s.policy.Rewrites {
		r := &s.policy.Rewrites[i]
		if string(socket) == r.Old {
			return r.New, true
		}
		known = known || string(socket) == r.New
	}
	return "", known
}

// replaceSockets puts a copy of body with other sockets together in s.body. The two are neighbours, behind five strings and
// three numbers.
func (s *Shield) replaceSockets(body dialog.Packed, f *dialog.Fields, newCaller, newCallee string) dialog.Packed {
	before := 3 * 4
	for _, i := range []dialog.Field{dialog.CallID, dialog.FromTag, dialog.ToTag, dialog.FromURI, dialog.ToURI} {
		before += 4 + len(f.Bytes(i))
	}
	caller, callee := f.Bytes(dialog.CallerSocket), f.Bytes(dialog.CalleeSocket)
	out := append(s.body[:0], body[:before]...)
	out = appendEither(out, caller, newCaller)
	out = appendEither(out, callee, newCallee)
	s.body = append(out, body[before+4+len(caller)+4+len(callee):]...)
	return s.body
}

func appendEither(dst, socket []byte, replacement string) []byte {
	if replacement == "" {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(socket)))
		return append(dst, socket...)
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(replacement)))
	return append(dst, replacement...)
}
