package shield

import (
	"errors"
	"fmt"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin2"
)

// ByeOnTimeout is the flag by which OpenSIPS ends a call, with a BYE to both parties, when its dialog expires.
const ByeOnTimeout = 1 << 3

// Policy is what a destination needs changed. The zero value changes nothing.
type Policy struct {
	// Dialect is what the destination speaks; nil means generation 1.
	Dialect changes.Dialect
	// Rewrites replace the sockets of the caller's and the callee's side. A socket is replaced at most once.
	Rewrites []SocketRewrite
	// ClearByeOnTimeout clears ByeOnTimeout, for a standby that must not end calls by itself.
	ClearByeOnTimeout bool
	// Convert makes dialogs of generation 2 ones of generation 1, where that is the dialect; nil: they are held back.
	Convert Dialogs
	// Now is the clock that tells whether a dialog has expired; nil means time.Now.
	Now func() time.Time
}

// Shield decides about the changes for one destination, and encodes them for it. One goroutine uses it; any may call Report.
type Shield struct {
	policy     Policy
	body       []byte // a changed dialog is put together here
	conversion conversion
	counts     counts
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
	if p.Dialect == nil {
		p.Dialect = bin1.Dialect{}
	}
	return &Shield{policy: p}, nil
}

// Dialect returns what the destination speaks.
func (s *Shield) Dialect() changes.Dialect { return s.policy.Dialect }

// Outgoing is the decision about one change.
type Outgoing struct {
	// Held is the reason for holding the change back, or Passed.
	Held Reason
	// Kind of the packet: that of the change, but Delete for a dialog that has ended.
	Kind dialog.Kind
	// Packet is what to send: the packet that came, or one built behind dst.
	Packet []byte
}

// Process decides about a change. If nothing has to be changed, the packet that told of it goes out; where there is none, or
// something has to be changed, a packet is built. Packets that are built are appended to dst, and the extended slice is
// returned.
func (s *Shield) Process(dst []byte, c *changes.Change) ([]byte, Outgoing) {
	return s.process(dst, c, nil)
}

// ProcessStamped is like Process, for a destination that is another appliance. Its packets carry the stamp, if the dialect has
// packets with stamps and the packet doesn't become too long. A change in a layout of generation 2 is passed on as it came:
// the policy changes nothing of it.
func (s *Shield) ProcessStamped(dst []byte, c *changes.Change) ([]byte, Outgoing) {
	if c.Layout != bin1.Layout {
		return s.passOn(dst, c)
	}
	stamper, _ := s.policy.Dialect.(changes.Stamper)
	return s.process(dst, c, stamper)
}

func (s *Shield) process(dst []byte, c *changes.Change, stamper changes.Stamper) ([]byte, Outgoing) {
	dialect, body := s.policy.Dialect, c.Body()
	kind, id, held, converts := c.Kind, c.Layout, Passed, s.converts(c)
	if converts {
		id = dialect.Layout()
		kind, body, held = s.convert(c)
	}
	changed := dialog.Packed(body)
	if held == Passed {
		kind, changed, held = s.examine(id, kind, body)
	}
	switch {
	case held == Passed && dialect.Size(changed) > dialect.MaxSize():
		held = TooLong
	case held == Passed && converts && kind != dialog.Delete:
		if held = s.refused(changed); held == Passed {
			s.counts.tally.Add(&s.conversion.report)
		}
	}
	s.counts.held[held].Add(1)
	if held != Passed {
		return dst, Outgoing{Held: held}
	}
	if stamper != nil && c.Origin != 0 && stamper.Size(changed)+stamper.StampSize() <= stamper.MaxSize() {
		from := len(dst)
		dst = stamper.AppendStamped(dst, kind, changed, c)
		return dst, Outgoing{Kind: kind, Packet: dst[from:len(dst):len(dst)]}
	}
	if c.Framed && !converts && len(changed) == len(body) && &changed[0] == &body[0] {
		return dst, Outgoing{Kind: kind, Packet: c.Packet()}
	}
	from := len(dst)
	dst = dialect.Append(dst, kind, changed)
	return dst, Outgoing{Kind: kind, Packet: dst[from:len(dst):len(dst)]}
}

// passOn builds the packet of generation 2 that tells another appliance of c. A packet without its stamp could go round for
// ever. So one that would become too long is held back.
func (s *Shield) passOn(dst []byte, c *changes.Change) ([]byte, Outgoing) {
	held, from := Passed, len(dst)
	if bin2.StampedSize(c) > bin1.MaxSize {
		held = TooLong
	} else if built, err := bin2.AppendStamped(dst, c); err != nil {
		held = Malformed
	} else {
		dst = built
	}
	s.counts.held[held].Add(1)
	if held != Passed {
		return dst, Outgoing{Held: held}
	}
	kind := c.Kind
	if kind == dialog.Chunk {
		kind = dialog.Update
	}
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
func (s *Shield) examine(id changes.Layout, kind dialog.Kind, body dialog.Packed) (dialog.Kind, dialog.Packed, Reason) {
	var ev dialog.Event
	if id != s.policy.Dialect.Layout() {
		return kind, body, OtherLayout
	}
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
			s.body = s.policy.Dialect.AppendSockets(s.body[:0], body, newCaller, newCallee)
			body, own = s.body, true
		}
	}
	if flags := f.Number(dialog.Flags); s.policy.ClearByeOnTimeout && flags&ByeOnTimeout != 0 {
		if !own {
			s.body = append(s.body[:0], body...)
			body = s.body
		}
		s.policy.Dialect.SetFlags(body, flags&^ByeOnTimeout)
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
