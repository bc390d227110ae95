package control

import (
	"bytes"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/in/packets"
)

// Filter selects dialogs. The zero value selects the live ones.
type Filter struct {
	CallID string         // exactly this Call-ID
	States []dialog.State // any of these; none: the live ones
	From   string         // part of the caller's URI
	To     string         // part of the callee's URI
	Origin string         // source: an address, or an address and a port
	Node   uint32         // number of the node that the last change came from
	Tag    string         // sharing tag
	// Profiles and Vars hold NAME or NAME=VALUE: the dialog has each of them.
	Profiles, Vars []string
	Limit          int // maximum number; 0: all
}

// ParseStates parses a list of states by name or number, and "live" and "all".
func ParseStates(list []string) ([]dialog.State, error) {
	var states []dialog.State
	for _, s := range list {
		switch s {
		case "all":
			states = append(states, dialog.Unconfirmed, dialog.Early, dialog.Answered, dialog.Confirmed)
			continue
		case "live":
			states = append(states, dialog.Answered, dialog.Confirmed)
			continue
		}
		found := false
		for st := dialog.Unconfirmed; st < dialog.Ended; st++ {
			if s == st.String() || s == strconv.Itoa(int(st)) {
				states, found = append(states, st), true
			}
		}
		if !found {
			return nil, fmt.Errorf("state %q: want unconfirmed (1), early (2), answered (3), confirmed (4), live or all", s)
		}
	}
	return states, nil
}

// Query renders the filter as the query of a URL.
func (f Filter) Query() url.Values {
	q := url.Values{}
	set := func(key, value string) {
		if value != "" {
			q.Set(key, value)
		}
	}
	set("callid", f.CallID)
	set("from", f.From)
	set("to", f.To)
	set("origin", f.Origin)
	set("tag", f.Tag)
	if f.Node > 0 {
		q.Set("node", strconv.FormatUint(uint64(f.Node), 10))
	}
	if len(f.Profiles) > 0 {
		q["profile"] = f.Profiles
	}
	if len(f.Vars) > 0 {
		q["var"] = f.Vars
	}
	if f.Limit > 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	for _, s := range f.States {
		q.Add("state", s.String())
	}
	return q
}

// ParseFilter parses the result of Query.
func ParseFilter(q url.Values) (Filter, error) {
	f := Filter{
		CallID: q.Get("callid"), From: q.Get("from"), To: q.Get("to"), Origin: q.Get("origin"),
		Tag: q.Get("tag"), Profiles: q["profile"], Vars: q["var"],
	}
	if s := q.Get("node"); s != "" {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil || n == 0 {
			return f, fmt.Errorf("node %q: want the number of a node", s)
		}
		f.Node = uint32(n)
	}
	for key, list := range map[string][]string{"profile": f.Profiles, "var": f.Vars} {
		for _, s := range list {
			if name, _, _ := strings.Cut(s, "="); name == "" {
				return f, fmt.Errorf("%s %q: want NAME or NAME=VALUE", key, s)
			}
		}
	}
	states, err := ParseStates(q["state"])
	if err != nil {
		return f, err
	}
	f.States = states
	if s := q.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return f, fmt.Errorf("limit %q: want a number of dialogs", s)
		}
		f.Limit = n
	}
	if f.Origin != "" && !validOrigin(f.Origin) {
		return f, fmt.Errorf("origin %q: want an address, or an address and a port", f.Origin)
	}
	return f, nil
}

func validOrigin(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	_, err := netip.ParseAddrPort(s)
	return err == nil || s == "other"
}

// chooser returns a function that tells whether state and source of an entry suit the filter. It is for use under a
// shard's lock, so it compares each source only once.
func (f *Filter) chooser(sender func(uint16) packets.Sender) func(*dialog.View) bool {
	suits := map[uint16]bool{}
	return func(v *dialog.View) bool {
		if v.Tombstone() || !f.matchesState(v.State()) {
			return false
		}
		n := v.Origin()
		suit, known := suits[n]
		if !known {
			suit = f.choosesSender(sender(n))
			suits[n] = suit
		}
		return suit
	}
}

func (f *Filter) matchesState(state dialog.State) bool {
	if len(f.States) == 0 {
		return state.Live()
	}
	return slices.Contains(f.States, state)
}

// Chooses reports whether the filter selects a dialog with this state, body in a layout, and source.
func (f *Filter) Chooses(state dialog.State, id layout.ID, body []byte, sender packets.Sender) bool {
	return f.matchesState(state) && f.choosesSender(sender) && f.matchesBody(id, body)
}

// matchesBody reports whether what is in a dialog suits the filter.
func (f *Filter) matchesBody(id layout.ID, body []byte) bool {
	if f.CallID == "" && f.From == "" && f.To == "" && f.Tag == "" && len(f.Profiles) == 0 && len(f.Vars) == 0 {
		return true
	}
	var v layout.View
	if layout.Parse(id, body, &v) != layout.NoFault {
		return false
	}
	return (f.CallID == "" || string(v.Bytes(layout.CallID)) == f.CallID) &&
		bytes.Contains(v.Bytes(layout.FromURI), []byte(f.From)) &&
		bytes.Contains(v.Bytes(layout.ToURI), []byte(f.To)) &&
		(f.Tag == "" || v.Tag().Equal([]byte(f.Tag))) &&
		hasAll(f.Profiles, v.Profiles, true) && hasAll(f.Vars, v.Values, false)
}

// hasAll reports whether a list has each of the pairs wanted, NAME or NAME=VALUE. Names of profiles don't count the "/s"
// or "/b" behind them.
func hasAll(want []string, list func() layout.Pairs, profiles bool) bool {
	for _, w := range want {
		name, value, exact := strings.Cut(w, "=")
		has := false
		for p := list(); p.Next() && !has; {
			is := p.Name
			if profiles {
				is, _ = layout.Profile(is)
			}
			has = is.Equal([]byte(name)) && (!exact || p.Value.Equal([]byte(value)))
		}
		if !has {
			return false
		}
	}
	return true
}

func (f *Filter) choosesSender(s packets.Sender) bool {
	return (f.Origin == "" || sameOrigin(f.Origin, s.AddrPort())) && (f.Node == 0 || s.Node == f.Node)
}

// ChoosesEnd reports whether the filter may have selected a dialog that has ended. Only its name is known. The rest of it
// is not known, and counts as selected, because sending an end too many does no harm.
func (f *Filter) ChoosesEnd(name dialog.Name, sender packets.Sender) bool {
	if f.CallID != "" && string(name.CallID()) != f.CallID {
		return false
	}
	return f.choosesSender(sender)
}

func sameOrigin(want string, have netip.AddrPort) bool {
	name := originName(have)
	return name == want || have.IsValid() && strings.Trim(want, "[]") == have.Addr().String()
}
