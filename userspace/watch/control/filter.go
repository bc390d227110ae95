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
)

// Filter selects dialogs. The zero value selects the live ones.
type Filter struct {
	CallID string         // exactly this Call-ID
	States []dialog.State // any of these; none: the live ones
	From   string         // part of the caller's URI
	To     string         // part of the callee's URI
	Origin string         // source: an address, or an address and a port
	Limit  int            // maximum number; 0: all
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
	f := Filter{CallID: q.Get("callid"), From: q.Get("from"), To: q.Get("to"), Origin: q.Get("origin")}
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

// matches reports whether the filter selects v. It runs under a shard lock, so the cheap tests come first.
func (f *Filter) matches(v *dialog.View, origin func(uint16) netip.AddrPort) bool {
	return !v.Tombstone() && f.Chooses(v.State(), v.Body(), origin(v.Origin()))
}

// Chooses reports whether the filter selects a dialog with this state, body and source.
func (f *Filter) Chooses(state dialog.State, body dialog.Packed, origin netip.AddrPort) bool {
	if len(f.States) == 0 {
		if !state.Live() {
			return false
		}
	} else if !slices.Contains(f.States, state) {
		return false
	}
	if f.Origin != "" && !sameOrigin(f.Origin, origin) {
		return false
	}
	if f.CallID == "" && f.From == "" && f.To == "" {
		return true
	}
	fields := body.Fields()
	return (f.CallID == "" || string(fields.Bytes(dialog.CallID)) == f.CallID) &&
		bytes.Contains(fields.Bytes(dialog.FromURI), []byte(f.From)) &&
		bytes.Contains(fields.Bytes(dialog.ToURI), []byte(f.To))
}

// ChoosesEnd reports whether the filter may have selected a dialog that has ended. Only its key is known. Its URIs and
// state are not known, and count as selected, because sending an end too many does no harm.
func (f *Filter) ChoosesEnd(key dialog.Packed, origin netip.AddrPort) bool {
	if f.CallID != "" {
		if callID, _ := key.Part(); string(callID) != f.CallID {
			return false
		}
	}
	return f.Origin == "" || sameOrigin(f.Origin, origin)
}

func sameOrigin(want string, have netip.AddrPort) bool {
	name := originName(have)
	return name == want || have.IsValid() && strings.Trim(want, "[]") == have.Addr().String()
}
