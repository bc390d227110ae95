package bin1test

import (
	"fmt"

	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/wire/bin1"
)

// Change describes the change that a packet tells of, as an engine does. It panics if the packet is no dialog event.
func Change(packet []byte) (c changes.Change) {
	var ev dialog.Event
	if v := bin1.Decode(packet, &ev); v != bin1.Dialog {
		panic(fmt.Sprintf("bin1test: a packet that is %v", v))
	}
	bin1.Describe(&c, packet, &ev)
	return c
}

// Unframed describes a change with that body, of which no packet told.
func Unframed(kind dialog.Kind, body []byte) changes.Change {
	return changes.Change{
		Capability: changes.Dialogs, Layout: bin1.Layout, Kind: kind, Bytes: body, BodySpan: changes.Span{To: uint32(len(body))},
	}
}
