package bin1test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"binrepd/dialog"
)

// Listed is a dialog as OpenSIPS's dlg_list prints it, and as `binrepd dialogs list --json` does after it. Keys that
// only one of the two knows are not read.
type Listed struct {
	CallID         string   `json:"callid"`
	FromURI        string   `json:"from_uri"`
	ToURI          string   `json:"to_uri"`
	State          Number   `json:"state"`
	UserFlags      Number   `json:"user_flags"` // OpenSIPS prints it as text
	Start          Number   `json:"timestart"`
	Timeout        Number   `json:"timeout"`
	CallerTag      string   `json:"caller_tag"`
	CallerContact  string   `json:"caller_contact"`
	CalleeCSeq     string   `json:"callee_cseq"` // of the callee's requests: dialog.CallerCSeq
	CallerRouteSet string   `json:"caller_route_set"`
	CallerSocket   string   `json:"caller_bind_addr"`
	Callees        []Callee `json:"CALLEES"`
}

// Callee is what Listed tells about one callee leg. A dialog that the proxy answered itself has none.
type Callee struct {
	Tag        string `json:"callee_tag"`
	Contact    string `json:"callee_contact"`
	CallerCSeq string `json:"caller_cseq"` // of the caller's requests: dialog.CalleeCSeq
	RouteSet   string `json:"callee_route_set"`
	Socket     string `json:"callee_bind_addr"`
}

// Number accepts 4 as well as "4", because dlg_list prints some numbers as text, and which ones depends on the version.
type Number uint32

func (n *Number) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseUint(string(bytes.Trim(b, `"`)), 10, 32)
	*n = Number(v)
	return err
}

// ReadListed reads dialogs in JSON, one object a line or in any other way one behind the other.
func ReadListed(r io.Reader) ([]Listed, error) {
	var out []Listed
	d := json.NewDecoder(bufio.NewReader(r))
	for {
		var l Listed
		switch err := d.Decode(&l); {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, fmt.Errorf("listed dialog %d: %w", len(out)+1, err)
		}
		out = append(out, l)
	}
}

// ListedOf returns d as dlg_list would print it.
func ListedOf(d dialog.Details) Listed {
	l := Listed{
		CallID: d.CallID, FromURI: d.FromURI, ToURI: d.ToURI,
		State: Number(d.State), UserFlags: Number(d.UserFlags), Start: Number(d.Start), Timeout: Number(d.Timeout),
		CallerTag: d.FromTag, CallerContact: d.CallerContact, CalleeCSeq: d.CallerCSeq,
		CallerRouteSet: d.CallerRouteSet, CallerSocket: d.CallerSocket,
	}
	callee := Callee{
		Tag: d.ToTag, Contact: d.CalleeContact, CallerCSeq: d.CalleeCSeq,
		RouteSet: d.CalleeRouteSet, Socket: d.CalleeSocket,
	}
	if callee != (Callee{}) {
		l.Callees = []Callee{callee}
	}
	return l
}
