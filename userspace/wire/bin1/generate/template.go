package generate

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
)

// A template is a finished packet with holes of fixed width, which Append fills. That is several times as fast as
// encoding each packet field by field, so that a generator is faster than the program that it loads.
type template struct {
	snapshot []byte // a creation
	deletion []byte
	// Offsets of the holes. Those in the key are the same in both packets.
	callID, fromTag, toTag        int // 16, 8 and 8 hexadecimal digits
	fromUser, toUser, contactUser int // 8 digits each
	hid, start, state             int // numbers
	cseq                          int // 5 digits
	timeout                       int // number
}

// Placeholders of the holes. They occur nowhere else in a template.
const (
	holeCallID      = "\x01CALL-ID-16-DIGS"
	holeFromTag     = "\x02FROMTAG"
	holeToTag       = "\x03TO-TAG-"
	holeFromUser    = "\x04FROMUSR"
	holeToUser      = "\x05TO-USER"
	holeContactUser = "\x06CONTACT"
	holeCSeq        = "\x07CSEQ"
)

// routes are 28 name-addrs of about 80 bytes, which make a packet of 2.6 kB like the largest of the captures.
func routes() string {
	all := make([]string, 28)
	for i := range all {
		all[i] = fmt.Sprintf("<sip:border-%02d.transit.example.net:5060;transport=udp;lr;ftag=%06x;did=%03x.7b3>", i, i*7919, i)
	}
	return strings.Join(all, ",")
}

// newTemplates returns templates of different sizes. Those before index large spread around the median of the
// captures, 376 bytes, from a call without variables to one with many. Those from index large on have many routes.
func newTemplates(o *Options) (ts []template, large int) {
	variables := [...]string{
		"", "route#gw1|", `route#gw1;pri=1\|x|account#acct-7|`, `route#gw2;pri=1\|x|account#acct-subscriber-7|`,
		`route#gw1;pri=1\|x|account#acct-7|`, `account#acct-7|`, `route#gw4|account#acct-7|trunk#west-2|`,
		`route#gw1;pri=2\|y|account#acct-subscriber-7|trunk#north-11|tariff#flat|`,
	}
	profiles := [...]string{"inbound#|", "inbound#|caller#subscriber-7|", "inbound#|caller#sub-7|", "outbound#|trunk#west-2|"}
	for i, v := range variables {
		ts = append(ts, newTemplate(o, v, profiles[i%len(profiles)], ""))
	}
	large = len(ts)
	for i := range 2 {
		ts = append(ts, newTemplate(o, variables[2+i], profiles[1+i], routes()))
	}
	return ts, large
}

func newTemplate(o *Options, vars, profiles, callerRoutes string) template {
	d := dialog.Details{
		CallID: holeCallID + "@" + o.Name, FromTag: "as" + holeFromTag, ToTag: "gK" + holeToTag,
		FromURI: "sip:" + holeFromUser + "@example.org", ToURI: "sip:" + holeToUser + "@example.com",
		State:        dialog.Answered,
		CallerSocket: o.CallerSocket, CalleeSocket: o.CalleeSocket,
		CallerCSeq: "0", CalleeCSeq: holeCSeq,
		CallerRouteSet: callerRoutes,
		CallerContact:  "sip:" + holeContactUser + "@198.51.100.20:5080",
		CalleeContact:  "sip:203.0.113.30:5070",
		Vars:           vars, Profiles: profiles,
		Flags: 0x18, // as in the captures: the call ends at its timeout, and it has a transaction
	}
	t := template{
		snapshot: bin1.Append(nil, dialog.Create, d.AppendPacked(nil)),
		deletion: bin1.Append(nil, dialog.Delete, d.AppendKey(nil)),
	}
	find := func(hole string) int { return bytes.Index(t.snapshot, []byte(hole)) }
	t.callID, t.fromTag, t.toTag = find(holeCallID), find(holeFromTag), find(holeToTag)
	t.fromUser, t.toUser, t.contactUser = find(holeFromUser), find(holeToUser), find(holeContactUser)
	t.cseq = find(holeCSeq)
	// The three numbers lie behind the To URI, and the timeout is the third number from the end.
	t.hid = t.toUser + len(holeToUser) + len("@example.com")
	t.start, t.state = t.hid+4, t.hid+8
	t.timeout = len(t.snapshot) - 12
	return t
}

// commandOffset is the offset of the command in a dialog packet, behind marker, checksum, length and "dialog".
const commandOffset = 18

// checksumOffset is the offset of the checksum in a packet.
const checksumOffset = 4

// Append appends the last packet of a call to dst. With enough room in dst it doesn't allocate.
func (g *Generator) Append(dst []byte, c Call) []byte {
	id := mix(g.seed ^ c.Number)
	tags := mix(id)
	// The choice must not depend on the digits that identify the call, or hashes of these would be uneven for each
	// size.
	size := mix(tags)
	t := &g.templates[size>>32%uint64(g.large)]
	if g.o.Large > 0 && g.share(c.Number, 2) < g.o.Large {
		t = &g.templates[g.large+int(size>>32%uint64(len(g.templates)-g.large))]
	}

	from := len(dst)
	if c.Phase == Delete {
		dst = append(dst, t.deletion...)
	} else {
		dst = append(dst, t.snapshot...)
	}
	b := dst[from:]
	putHex(b[t.callID:], id)
	putHex(b[t.callID+8:], id>>32)
	putHex(b[t.fromTag:], tags)
	putHex(b[t.toTag:], tags>>32)
	if c.Phase != Delete {
		g.renderRest(b, t, c, tags, size)
	}
	binary.LittleEndian.PutUint32(b[checksumOffset:], bin1.Checksum(b))
	return dst
}

// renderRest fills the holes that only a snapshot has.
func (g *Generator) renderRest(b []byte, t *template, c Call, tags, size uint64) {
	putDecimal(b[t.fromUser:t.fromUser+8], uint32(tags))
	putDecimal(b[t.contactUser:t.contactUser+8], uint32(tags))
	putDecimal(b[t.toUser:t.toUser+8], uint32(tags>>32))
	le := binary.LittleEndian
	le.PutUint32(b[t.hid:], uint32(size))
	le.PutUint32(b[t.start:], c.Start)
	// A CSeq of five digits leaves room for 2^16 refreshes.
	timeout, state, cseq := c.Start+g.o.Lifetime, dialog.Answered, 10000+uint32(size)%10000
	if c.Phase != Create {
		state = dialog.Confirmed
		le.PutUint32(b[commandOffset:], uint32(dialog.Update))
		timeout += uint32(size) >> 31 // in some calls the timeout moves by a second, as it does in the captures
	}
	if c.Phase == Refresh {
		cseq += uint32(c.Refreshes)
		timeout += refreshLater * uint32(c.Refreshes)
	}
	le.PutUint32(b[t.state:], uint32(state))
	le.PutUint32(b[t.timeout:], timeout)
	putDecimal(b[t.cseq:t.cseq+5], cseq)
}

// putHex writes the lower 32 bits of v as eight hexadecimal digits.
func putHex(b []byte, v uint64) {
	const digits = "0123456789abcdef"
	b = b[:8]
	for i := range b {
		b[i] = digits[v&15]
		v >>= 4
	}
}

// putDecimal fills b with the last decimal digits of v.
func putDecimal(b []byte, v uint32) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = '0' + byte(v%10)
		v /= 10
	}
}
