package bin2

// ProfileCount is how many dialogs a node has in a profile. The counts of a node are absolute: the last one counts.
type ProfileCount struct {
	// Name of the profile, without what a dialog's list has behind a slash. Value is empty if the profile has none.
	Name, Value []byte
	// Dialogs is never below 0.
	Dialogs int32
}

// profileCounts is the only message of the capability Profiles.
const profileCounts = 4

// ProfileWalk walks the counts in a packet of the capability Profiles. The views are into the packet. Source: section 4.9
// of the specification of generation 2; the version of the packet is that of the release and has no meaning.
//
//	w := ProfilesOf(p)
//	for w.Next(&count) { use count }
//	err := w.Err()
type ProfileWalk struct{ r Reader }

// ProfilesOf starts a walk.
func ProfilesOf(p Packet) ProfileWalk {
	w := ProfileWalk{NewReader(p.Body())}
	if p.Capability() != Profiles || p.Type() != profileCounts {
		w.r.fail(UnknownType)
	}
	return w
}

// Next goes to the next count and tells whether there is one.
func (w *ProfileWalk) Next(c *ProfileCount) bool {
	if w.r.Left() == 0 {
		return false
	}
	*c = ProfileCount{Name: w.r.Str()}
	if w.r.Bit() {
		c.Value = w.r.Str()
	}
	c.Dialogs = w.r.Int()
	if c.Dialogs < 0 || len(c.Name) == 0 {
		w.r.fail(BadValue) // not instead of a fault that came first
	}
	return w.r.Err() == nil
}

// Err returns nil if the walk has come to the end of the packet, or goes on; else a Fault.
func (w *ProfileWalk) Err() error { return w.r.Err() }

// AppendProfiles appends a packet with those counts to b. With an error, the Fault TooLong, b comes back as it was.
func AppendProfiles(b []byte, version int16, t Trailer, counts ...ProfileCount) ([]byte, error) {
	w := Begin(b, version, Profiles.String(), profileCounts)
	for i := range counts {
		c := &counts[i]
		w.Str(c.Name)
		w.Bit(len(c.Value) > 0)
		if len(c.Value) > 0 {
			w.Str(c.Value)
		}
		w.Int(c.Dialogs)
	}
	return w.EndTrailer(t)
}
