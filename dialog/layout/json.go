package layout

import (
	"strconv"

	"binrepd/dialog/escape"
)

// Print says how a dialog is printed.
type Print struct {
	// HashSize is that of the proxy's table of dialogs. It is part of the proxy's identifiers of a dialog, but not of
	// what the proxy sends. With 0 the identifiers are left out.
	HashSize uint32
	// Brief leaves out what dlg_list_ctx shows beyond dlg_list: values and profiles.
	Brief bool
	// Listed leaves out what no list of a proxy shows.
	Listed bool
}

// AppendJSON appends the dialog as one JSON object to dst. The keys are those of dlg_list and dlg_list_ctx of the
// releases that send the layout, in their order, and behind them the names of the fields that these lists don't show.
//
// Three things differ from a proxy's list. Dates (datestart, dateout) are left out: they are the proxy's local time.
// user_flags is the decimal mask in every layout: names of flags are those of the proxy's script. A byte that is part
// of no UTF-8 character is written as the lone surrogate \udcXX.
func (v *View) AppendJSON(dst []byte, p Print) []byte {
	dst = append(dst, '{')
	from := len(dst)
	dst = v.AppendMembers(dst, p)
	if len(dst) > from && dst[len(dst)-1] == ',' {
		dst = dst[:len(dst)-1]
	}
	return append(dst, '}')
}

// AppendMembers appends the members of the object that AppendJSON makes, each with a comma behind it.
func (v *View) AppendMembers(dst []byte, p Print) []byte {
	w := writer{dst}
	if p.HashSize > 0 {
		v.writeIdentifiers(&w, HashEntry(v.Bytes(CallID), p.HashSize))
	}
	w.number("state", v.Number(State))
	w.decimal("user_flags", v.Number(UserFlags))
	w.number("timestart", v.Number(Start))
	w.number("timeout", v.Number(Timeout))
	v.writeTexts(&w, callerKeys[:])
	v.writeSDP(&w, callerSDPKeys[:])
	w.open("CALLEES", '[')
	if v.hasCallee() {
		w.dst = append(w.dst, '{')
		v.writeTexts(&w, calleeKeys[:])
		v.writeSDP(&w, calleeSDPKeys[:])
		w.close('}')
	}
	w.close(']')
	if !p.Brief {
		w.open("context", '{')
		w.pairs("values", v.Values())
		if !p.Listed || len(v.Bytes(Profiles)) > 0 { // dlg_list_ctx leaves an empty list of profiles out
			w.pairs("profiles", v.Profiles())
		}
		w.close('}')
	}
	if !p.Listed {
		v.writeUnlisted(&w)
	}
	return w.dst
}

// keyed is a field and its key in dlg_list.
type keyed struct {
	field Field
	key   string
}

// The keys of dlg_list in its order. It names a CSeq by the side that sends the requests, the wire by the side that
// they go to, hence the crossing.
var (
	callerKeys = [...]keyed{
		{CallID, "callid"}, {FromURI, "from_uri"}, {ToURI, "to_uri"}, {FromTag, "caller_tag"}, {CallerContact, "caller_contact"},
		{CallerCSeq, "callee_cseq"}, {CallerRouteSet, "caller_route_set"}, {CallerSocket, "caller_bind_addr"},
	}
	callerSDPKeys = [...]keyed{{CallerSDP, "caller_sdp"}, {CallerSentSDP, "caller_sent_sdp"}}
	calleeKeys    = [...]keyed{
		{ToTag, "callee_tag"}, {CalleeContact, "callee_contact"}, {CalleeCSeq, "caller_cseq"}, {CalleeRouteSet, "callee_route_set"},
		{CalleeSocket, "callee_bind_addr"},
	}
	calleeSDPKeys = [...]keyed{{CalleeSDP, "callee_sdp"}, {CalleeSentSDP, "callee_sent_sdp"}}
)

// unlisted holds the fields that no list of a proxy shows.
const unlisted FieldSet = 1<<HID | 1<<MangledFrom | 1<<MangledTo | 1<<CallerAdvContact | 1<<CalleeAdvContact |
	1<<CallerGenCSeq | 1<<CalleeGenCSeq | 1<<Flags | modFlags | pings | routeNames

// writeIdentifiers writes what dlg_list calls the dialog: text and number in generation 1, the number in 2.4, both
// from 3.0 on.
func (v *View) writeIdentifiers(w *writer, entry uint32) {
	hid := v.Number(HID)
	number := uint64(entry)<<32 | uint64(hid)
	switch v.id {
	case UDP:
		w.key("hash")
		w.dst = strconv.AppendUint(append(w.dst, '"'), uint64(entry), 10)
		w.dst = strconv.AppendUint(append(w.dst, ':'), uint64(hid), 10)
		w.dst = append(w.dst, `",`...)
		w.decimal64("dialog_id", number)
	case Bin1Plain, Bin1TwoSDP:
		w.decimal64("ID", number)
	default:
		w.key("ID")
		w.dst = AppendDialogID(append(w.dst, '"'), entry, hid)
		w.dst = append(w.dst, `",`...)
		w.decimal64("db_id", number)
	}
}

func (v *View) writeTexts(w *writer, keys []keyed) {
	for _, k := range keys {
		w.text(k.key, v.Bytes(k.field))
	}
}

// writeSDP writes the SDPs of one leg. 2.4 shows its own even if it is empty; later releases only what there is.
func (v *View) writeSDP(w *writer, keys []keyed) {
	for _, k := range keys {
		if sdp := v.Bytes(k.field); len(sdp) > 0 || v.id == Bin1TwoSDP && v.Has(k.field) {
			w.text(k.key, sdp)
		}
	}
}

// hasCallee tells whether any leg has answered. A proxy that answers a call itself has none.
func (v *View) hasCallee() bool {
	for _, k := range calleeKeys {
		if len(v.Bytes(k.field)) > 0 {
			return true
		}
	}
	return false
}

func (v *View) writeUnlisted(w *writer) {
	set := unlisted & v.fields
	for f, rest := set.Next(); f < NumFields; f, rest = rest.Next() {
		if f.IsNumber() {
			w.number(f.String(), v.Number(f))
		} else {
			w.text(f.String(), v.Bytes(f))
		}
	}
	w.open("flag_names", '[')
	for f := v.FlagsOf(); f.Next(); {
		if f.Name != "" {
			w.dst = append(w.dst, '"')
			w.dst = append(w.dst, f.Name...)
			w.dst = append(w.dst, `",`...)
		}
	}
	w.close(']')
	v.writeShared(w)
	w.key("layout")
	w.dst = append(w.dst, '"')
	w.dst = append(w.dst, v.id.String()...)
	w.dst = append(w.dst, `",`...)
}

// writeShared writes the names of the profiles that are shared between proxies, with "/s" or "/b" behind them, if
// there are any.
func (v *View) writeShared(w *writer) {
	from := len(w.dst)
	w.open("shared_profiles", '[')
	open := len(w.dst)
	for p := v.Profiles(); p.Next(); {
		if _, shared := Profile(p.Name); shared != 0 {
			w.dst = append(AppendJSONText(w.dst, p.Name), ',')
		}
	}
	if len(w.dst) == open {
		w.dst = w.dst[:from]
		return
	}
	w.close(']')
}

// writer appends members of JSON objects, each with a comma behind it.
type writer struct{ dst []byte }

func (w *writer) key(key string) {
	w.dst = append(w.dst, '"')
	w.dst = append(w.dst, key...)
	w.dst = append(w.dst, `":`...)
}

func (w *writer) open(key string, bracket byte) {
	w.key(key)
	w.dst = append(w.dst, bracket)
}

// close closes an object or array, with the comma of its last member taken back.
func (w *writer) close(bracket byte) {
	if w.dst[len(w.dst)-1] == ',' {
		w.dst = w.dst[:len(w.dst)-1]
	}
	w.dst = append(w.dst, bracket, ',')
}

func (w *writer) number(key string, n uint32) {
	w.key(key)
	w.dst = strconv.AppendUint(w.dst, uint64(n), 10)
	w.dst = append(w.dst, ',')
}

// decimal writes a number as a text.
func (w *writer) decimal(key string, n uint32) { w.decimal64(key, uint64(n)) }

func (w *writer) decimal64(key string, n uint64) {
	w.key(key)
	w.dst = strconv.AppendUint(append(w.dst, '"'), n, 10)
	w.dst = append(w.dst, `",`...)
}

func (w *writer) text(key string, s []byte) {
	w.key(key)
	w.dst = append(AppendJSONText(w.dst, s), ',')
}

// pairs writes a list as an array of objects of one member each, which keeps order and repeated names. A list that
// breaks the grammar is written as one text under the key with "_raw" behind it.
func (w *writer) pairs(key string, p Pairs) {
	from := len(w.dst)
	w.open(key, '[')
	var plain [256]byte // names and values are seldom longer
	for p.Next() {
		w.dst = append(w.dst, '{')
		name := p.Name
		if key == "profiles" {
			name, _ = Profile(name) // no list shows how a profile is shared
		}
		w.dst = AppendJSONText(w.dst, name.AppendTo(plain[:0]))
		w.dst = append(w.dst, ':')
		if p.Type == Integer {
			n, _ := p.Int()
			w.dst = appendInt(w.dst, n) // not as it stands in the list: 007 is no JSON
		} else {
			w.dst = AppendJSONText(w.dst, p.Value.AppendTo(plain[:0]))
		}
		w.dst = append(w.dst, "},"...)
	}
	w.close(']')
	if p.Err() != nil {
		w.dst = w.dst[:from]
		w.key(key + "_raw")
		w.dst = append(AppendJSONText(w.dst, p.list), ',')
	}
}

// AppendJSONText appends s as a JSON string to dst, in the notation of package escape.
func AppendJSONText(dst, s []byte) []byte { return escape.AppendJSON(dst, s) }
