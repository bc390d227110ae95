package bin1test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"binrepd/dialog"
)

// TimeoutJitter is by how many seconds two timeouts of one dialog may differ without meaning anything: the sender
// adds up two clocks that don't tick together.
const TimeoutJitter = 2

// Diff compares the dialogs that a replica holds with those that it ought to hold, as far as dlg_list tells,
// and returns one line for each difference. Timeouts may differ by TimeoutJitter, and CSeqs may be newer in
// want, because requests that the sender doesn't tell about move them on.
func Diff(got []dialog.Details, want []Listed) []string {
	listed := make([]Listed, len(got))
	for i, d := range got {
		listed[i] = ListedOf(d)
	}
	return DiffListed(listed, want)
}

// DiffListed is Diff for dialogs that were read back from a list.
func DiffListed(got, want []Listed) []string {
	return diff(got, want, Listed.key, func(g, w Listed, differs func(field string, got, want any)) {
		g.compare(w, differs)
	})
}

// DiffDetails is Diff with all fields, for dialogs whose last packet is known. Timeouts may differ by TimeoutJitter.
func DiffDetails(got, want []dialog.Details) []string {
	key := func(d dialog.Details) [3]string { return [3]string{d.CallID, d.FromTag, d.ToTag} }
	return diff(got, want, key, func(g, w dialog.Details, differs func(field string, got, want any)) {
		if near(g.Timeout, w.Timeout) {
			g.Timeout = w.Timeout
		}
		if g == w {
			return
		}
		gv, wv := reflect.ValueOf(g), reflect.ValueOf(w)
		for i := range gv.NumField() {
			if a, b := gv.Field(i).Interface(), wv.Field(i).Interface(); a != b {
				differs(gv.Type().Field(i).Name, a, b)
			}
		}
	})
}

// diff pairs got and want by key and compares the pairs. Its lines are sorted, so that they don't depend on any order
// of input.
func diff[T any](got, want []T, key func(T) [3]string, compare func(g, w T, differs func(string, any, any))) []string {
	var lines []string
	index := func(in []T, whose string) map[[3]string]T {
		m := make(map[[3]string]T, len(in))
		for _, d := range in {
			if _, ok := m[key(d)]; ok {
				lines = append(lines, fmt.Sprintf("%q is twice in %s", key(d), whose))
			}
			m[key(d)] = d
		}
		return m
	}
	have, expected := index(got, "what is there"), index(want, "what is expected")
	for k, w := range expected {
		g, ok := have[k]
		if !ok {
			lines = append(lines, fmt.Sprintf("%q is missing", k))
			continue
		}
		compare(g, w, func(field string, got, want any) {
			lines = append(lines, fmt.Sprintf("%q: %s is %v, expected %v", k, field, got, want))
		})
	}
	for k := range maps.Keys(have) {
		if _, ok := expected[k]; !ok {
			lines = append(lines, fmt.Sprintf("%q should not be there", k))
		}
	}
	slices.Sort(lines)
	return lines
}

func (l Listed) key() [3]string { return [3]string{l.CallID, l.CallerTag, l.callee().Tag} }

// callee returns the leg that answered, of which alone the wire format tells.
func (l Listed) callee() Callee {
	if len(l.Callees) == 0 {
		return Callee{}
	}
	return l.Callees[0]
}

func (l Listed) compare(want Listed, differs func(field string, got, want any)) {
	text := func(field, got, want string) {
		if got != want {
			differs(field, strconv.Quote(got), strconv.Quote(want))
		}
	}
	num := func(field string, got, want Number) {
		if got != want {
			differs(field, got, want)
		}
	}
	cseq := func(field, got, want string) {
		if !cseqMayBecome(got, want) {
			differs(field, strconv.Quote(got), strconv.Quote(want))
		}
	}
	text("from_uri", l.FromURI, want.FromURI)
	text("to_uri", l.ToURI, want.ToURI)
	num("state", l.State, want.State)
	num("user_flags", l.UserFlags, want.UserFlags)
	num("timestart", l.Start, want.Start)
	if !near(uint32(l.Timeout), uint32(want.Timeout)) {
		differs("timeout", l.Timeout, want.Timeout)
	}
	text("caller_contact", l.CallerContact, want.CallerContact)
	cseq("callee_cseq", l.CalleeCSeq, want.CalleeCSeq)
	text("caller_route_set", l.CallerRouteSet, want.CallerRouteSet)
	text("caller_bind_addr", l.CallerSocket, want.CallerSocket)
	got, expected := l.callee(), want.callee()
	text("callee_contact", got.Contact, expected.Contact)
	cseq("caller_cseq", got.CallerCSeq, expected.CallerCSeq)
	text("callee_route_set", got.RouteSet, expected.RouteSet)
	text("callee_bind_addr", got.Socket, expected.Socket)
}

func near(a, b uint32) bool {
	d := int64(a) - int64(b)
	return -TimeoutJitter <= d && d <= TimeoutJitter
}

// cseqMayBecome tells whether want is got or a later CSeq number.
func cseqMayBecome(got, want string) bool {
	if got == want {
		return true
	}
	g, err := strconv.ParseUint(strings.TrimSpace(got), 10, 32)
	if err != nil {
		return false
	}
	w, err := strconv.ParseUint(strings.TrimSpace(want), 10, 32)
	return err == nil && w > g
}
