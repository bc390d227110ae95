package donor

import (
	"slices"
	"time"
)

// Summary is what a Run did.
type Summary struct {
	Node    int32     `json:"node"`
	Layout  string    `json:"layout"`
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended,omitzero"`
	Dialogs int       `json:"dialogs"` // chunks that were sent
	// Visited is how many live dialogs of the table were looked at, and Filtered how many of them were not chosen.
	Visited  int `json:"visited"`
	Filtered int `json:"filtered"`
	// Told is set when SYNC_END was sent.
	Told  bool `json:"end_sent"`
	Bytes int  `json:"bytes"`
	// Held counts dialogs that were held back, by reason, and Sockets names sockets of such dialogs.
	Held    map[string]int `json:"held_back"`
	Sockets []string       `json:"sockets,omitempty"`
	Repairs int            `json:"repairs"` // ends, values and CSeq numbers that were repeated
	Lost    uint64         `json:"lost"`    // changes that were overwritten in the journal before they were read
	// Converted is how many dialogs came in another layout, and Dropped what of them has no place in this one, by name.
	Converted uint64            `json:"converted"`
	Dropped   map[string]uint64 `json:"dropped"`
	Failed    string            `json:"failed,omitempty"`

	held [Reasons]int
}

// Told tells whether SYNC_END was sent.
func (r *Run) Told() bool { return r.summary.Told }

// Summary returns what the Run has done so far. It may be called between steps.
func (r *Run) Summary() Summary {
	s := r.summary
	lost := r.encoder.Lost()
	s.Converted, s.Dropped = lost.Converted, lost.ByName()
	s.Held = map[string]int{}
	for reason := Passed + 1; reason < Reasons; reason++ {
		if n := s.held[reason]; n > 0 {
			s.Held[reason.String()] = n
		}
	}
	s.Sockets = slices.Clone(s.Sockets)
	return s
}

// hold counts a dialog that isn't sent. Being set up or over is no loss for the requester.
func (r *Run) hold(reason Reason, sockets [2][]byte) {
	r.summary.held[reason]++
	if reason != NoSocket && reason != SocketTag && reason != SocketProtocol {
		return
	}
	for _, s := range sockets {
		if len(r.summary.Sockets) < maxNamed && !slices.Contains(r.summary.Sockets, string(s)) {
			r.summary.Sockets = append(r.summary.Sockets, string(s))
		}
	}
}

// Refused is the number of dialogs that the requester lacks because they were held back.
func (s *Summary) Refused() (n int) {
	for _, reason := range [...]Reason{NoSocket, SocketTag, SocketProtocol, TooLong, Malformed} {
		n += s.Held[reason.String()]
	}
	return n
}
